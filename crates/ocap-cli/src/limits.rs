//! Every limit of the command, with unit and reason.

use std::time::Duration;

/// Bytes of a cluster config file: what the RPC socket would take.
pub(crate) const CONFIG_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Time a running daemon gets to answer whether it is there.
pub(crate) const PING_TIME_MAX: Duration = Duration::from_secs(3);

/// Time a daemon gets to start: it brings every vat back before it answers.
pub(crate) const START_TIME_MAX: Duration = Duration::from_secs(30);

/// Time between two looks whether it has.
pub(crate) const START_POLL: Duration = Duration::from_millis(10);

/// Time a daemon gets to answer `shutdown`.
pub(crate) const SHUTDOWN_CALL_MAX: Duration = Duration::from_secs(10);

/// Time it then gets to end: more than it allows itself.
pub(crate) const SHUTDOWN_TIME_MAX: Duration = Duration::from_secs(15);

/// Time a daemon that was sent SIGTERM gets to end.
pub(crate) const TERMINATE_TIME_MAX: Duration = Duration::from_secs(15);

/// Time the operating system gets to end a daemon that was sent SIGKILL.
pub(crate) const KILL_TIME_MAX: Duration = Duration::from_secs(2);

/// Time before the second try to connect to a daemon that seemed to be there.
pub(crate) const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Bytes at the end of `daemon.log` searched for why a daemon did not start.
pub(crate) const LOG_TAIL_BYTES_MAX: u64 = 64 * 1024;

/// Time between two looks at how far something has come, and between two lines that say so.
pub(crate) const PROGRESS_PAUSE: Duration = Duration::from_millis(200);
