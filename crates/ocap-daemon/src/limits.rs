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

/// Bytes a second that are read of large requests, all of them together. As fast as clients can send
/// would be some ten times that, and take the processors away from others.
pub const LARGE_REQUEST_BYTES_PER_SECOND: u64 = 256 * 1024 * 1024;

/// Bytes of large requests that are read at once after a pause: more than most of them have.
pub const LARGE_REQUEST_BURST_BYTES: u64 = 4 * 1024 * 1024;

/// Bytes asked of a connection in one go, at least and at most. Also what a connection that is
/// between two requests may keep allocated.
pub const READ_BYTES_MIN: usize = 4 * 1024;

/// See [`READ_BYTES_MIN`].
pub const READ_BYTES_MAX: usize = 64 * 1024;

/// KiB of answers above [`SMALL_REQUEST_BYTES_MAX`] bytes that clients have not taken yet, over all
/// of them: room for the largest answer there can be, and then some. An answer beyond it is not
/// kept; its client gets an error that says so.
pub const UNTAKEN_ANSWERS_KIB_MAX: usize = 512 * 1024;

/// Client connections at the same time: more than any honest use, few enough that what they may
/// hold stays small beside the rest. The next one is told so and closed.
pub const CONNECTIONS_MAX: usize = 2048;

/// Files the daemon may have open, if the system lets it: one for each connection, and as many again
/// for vats, channels and the store. Where the system allows fewer, accepting waits for one.
pub const OPEN_FILES_WANTED: u64 = 2 * CONNECTIONS_MAX as u64;

/// Requests of one session that are under way or whose answers it has not taken. Then its next ones
/// are not read. All sessions together have no more than the kernel takes from a host.
pub const SESSION_REQUESTS_MAX: usize = 32;

/// Subscriptions of one session.
pub const SESSION_SUBSCRIPTIONS_MAX: usize = 16;

/// Time a session without requests under way and without subscriptions may be silent.
pub const SESSION_IDLE_MAX: Duration = Duration::from_mins(10);

/// The longest that that can be set to: a session that is silent for a day is forgotten.
pub const SESSION_IDLE_SETTABLE: Duration = Duration::from_hours(24);

/// A time that does not come.
pub const FOREVER: Duration = Duration::from_hours(24 * 365);

/// Longest deadline a request may ask for, in milliseconds: a day. Who wants to wait longer gives
/// none.
pub const DEADLINE_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// How often the status is looked at for subscribers. What changes in between they see as one
/// change.
pub const STATUS_INTERVAL: Duration = Duration::from_millis(200);

/// Lines of the log that are kept for subscribers who have not taken them yet. Who is further
/// behind is told how many it has missed.
pub const LOG_EVENTS_KEPT: usize = 1024;

/// Targets one subscription to the log may name.
pub const LOG_TARGETS_MAX: usize = 32;

/// Bytes of a key that makes a request happen once.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 128;

/// Events a client keeps that it has not been asked for. Older ones go.
pub const CLIENT_EVENTS_KEPT: usize = 1024;

/// Time to wait after the operating system refused us another connection.
pub const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Time a client may take between two pieces of its request, or to take a piece of its answer.
pub const CLIENT_IDLE_MAX: Duration = Duration::from_secs(30);

/// Time a client may take to send its whole request.
pub const REQUEST_TIME_MAX: Duration = Duration::from_mins(5);

/// Time a client may take to send the rest of a large request, once it has its permit: others wait
/// for that.
pub const LARGE_REQUEST_TIME_MAX: Duration = Duration::from_secs(30);

/// How often a connection whose request is being worked on is checked for a client that left.
pub const GONE_CLIENT_CHECK: Duration = Duration::from_millis(500);

/// Time to go on reading from a client after a refused request, so that it sees the answer.
pub const REFUSED_DRAIN_TIME_MAX: Duration = Duration::from_secs(2);

/// Bytes to go on reading from a client after a refused request.
pub const REFUSED_DRAIN_BYTES_MAX: usize = 4 * REQUEST_BYTES_MAX;

/// Bytes a second of them over all clients, so that nobody else is held up.
pub const REFUSED_BYTES_PER_SECOND: u64 = 64 * 1024 * 1024;

/// Bytes of them that are read at once after a pause.
pub const REFUSED_BURST_BYTES: u64 = 1024 * 1024;

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

/// Bytes of one log file, unless set otherwise; then it becomes `daemon.log.1` and a new one begins.
pub const LOG_BYTES: u64 = 16 * 1024 * 1024;

/// The least of that that can be set: room for the longest lines.
pub const LOG_BYTES_MIN: u64 = 64 * 1024;

/// The most of that that can be set: a file that can still be looked at.
pub const LOG_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// Older log files kept, unless set otherwise.
pub const LOG_FILES: u32 = 4;

/// The most of them: each is renamed when a new one begins.
pub const LOG_FILES_MAX: u32 = 100;

/// Bytes of `config.toml`: far more than there is to set.
pub const CONFIG_FILE_BYTES_MAX: u64 = 256 * 1024;

/// Bytes of `daemon.pid` that are looked at: a number and a newline.
pub const PID_FILE_BYTES_MAX: u64 = 32;

/// Bytes of a socket path: `sun_path` of Linux without its final zero.
pub const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Chats with the language model that are under way at once: each takes a thread.
pub const CHATS_MAX: usize = 16;

/// Chats that wait for one of these; more are refused.
pub const CHATS_WAITING_MAX: usize = 256;

/// Chats of one cluster that are under way at once: a quarter of all, so that others have room.
pub const CHATS_OF_ONE_MAX: usize = CHATS_MAX / 4;

/// Chats of one cluster that wait for one of these; more are refused.
pub const CHATS_OF_ONE_WAITING_MAX: usize = 64;

/// Bytes of an answer a client accepts: above what a kernel can be made to return.
pub const RESPONSE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Characters of a client's text that an error message repeats.
pub const QUOTED_CHARS_MAX: usize = 200;

/// Time between two looks at the kernel for the service manager, if its watchdog wants none sooner.
pub const REPORT_PERIOD: Duration = Duration::from_secs(10);

/// The least of it, whatever the watchdog wants.
pub const REPORT_PERIOD_MIN: Duration = Duration::from_millis(10);

/// OCAP URLs in one answer to `listOcapURLs`: some hundred kilobytes. Clients ask again for more.
pub const URLS_LISTED_MAX: usize = 1_000;
