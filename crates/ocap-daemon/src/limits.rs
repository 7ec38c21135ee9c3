//! Every limit of the daemon, with unit and reason.

use std::time::Duration;

/// Bytes of one request line: room for a message of 10 million characters in any encoding JSON
/// allows, and for a bundle given as a `data:` URL.
pub const REQUEST_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Bytes of one request line that need no permit. Longer ones share [`LARGE_REQUESTS_MAX`].
/// Small, because parsed JSON can be twenty times as large as its text.
pub const SMALL_REQUEST_BYTES_MAX: usize = 64 * 1024;

/// Requests above [`SMALL_REQUEST_BYTES_MAX`] that are read at the same time; the next ones wait.
/// Bounds what all clients together can make the daemon hold.
pub const LARGE_REQUESTS_MAX: usize = 4;

/// Client connections at the same time. The next one is told so and closed.
pub const CONNECTIONS_MAX: usize = 512;

/// Time to wait after the operating system refused us another connection.
pub const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Time a client may take between two pieces of its request, or to take a piece of its answer.
pub const CLIENT_IDLE_MAX: Duration = Duration::from_secs(30);

/// Time a client may take to send its whole request.
pub const REQUEST_TIME_MAX: Duration = Duration::from_mins(5);

/// How often a connection whose request is being worked on is checked for a client that left.
pub const GONE_CLIENT_CHECK: Duration = Duration::from_millis(500);

/// Time to go on reading from a client after a refused request, so that it sees the answer.
pub const REFUSED_DRAIN_TIME_MAX: Duration = Duration::from_secs(2);

/// Bytes to go on reading from a client after a refused request.
pub const REFUSED_DRAIN_BYTES_MAX: usize = 4 * REQUEST_BYTES_MAX;

/// Time the kernel gets to stop cleanly. What it has committed is safe in any case.
pub const KERNEL_STOP_MAX: Duration = Duration::from_secs(10);

/// Time within which a second signal is an echo of the first (some tools send it to a process and
/// to its group), not a user who cannot wait.
pub const SIGNAL_ECHO_MAX: Duration = Duration::from_secs(1);

/// Time open connections get to take their answers at shutdown.
pub const CONNECTIONS_STOP_MAX: Duration = Duration::from_secs(1);

/// Tries to take the lock of a home before it counts as held.
pub const LOCK_TRIES: u32 = 8;

/// Time between two of them.
pub const LOCK_RETRY: Duration = Duration::from_millis(10);

/// Bytes of one log file; then it becomes `daemon.log.1` and a new one begins.
pub const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Bytes of `daemon.pid` that are looked at: a number and a newline.
pub const PID_FILE_BYTES_MAX: u64 = 32;

/// Bytes of a socket path: `sun_path` of Linux without its final zero.
pub const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Bytes of an answer a client accepts: above what a kernel can be made to return.
pub const RESPONSE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Characters of a client's text that an error message repeats.
pub const QUOTED_CHARS_MAX: usize = 200;
