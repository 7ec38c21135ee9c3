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

/// Time an object gets to say which methods it has, before it is shown without.
pub(crate) const METHODS_TIME_MAX: Duration = Duration::from_secs(2);

/// Time between two looks whether a log that is followed has grown.
pub(crate) const LOG_POLL: Duration = Duration::from_millis(200);

/// Bytes of a line of the log; a longer one is shown in pieces.
pub(crate) const LOG_LINE_BYTES_MAX: u64 = 1 << 20;

/// Time between two looks whether anything has happened that is followed.
pub(crate) const TRACE_POLL: Duration = Duration::from_millis(250);

/// Levels of a tree of messages that are shown: more would not fit a terminal.
pub(crate) const TRACE_DEPTH_MAX: usize = 40;

/// Levels of a value that is written in the prompt of `ocap repl`.
pub(crate) const EXPRESSION_DEPTH_MAX: usize = 100;

/// Lines of history that `ocap repl` keeps.
pub(crate) const HISTORY_LINES_MAX: usize = 1_000;

/// Time that something takes before a sign of life is given.
pub(crate) const WAITING_DELAY: Duration = Duration::from_secs(1);

/// Time between two of them.
pub(crate) const WAITING_INTERVAL: Duration = Duration::from_millis(500);

/// Time that a kernel whose answer was lost gets to be there again.
pub(crate) const LOST_ANSWER_TIME_MAX: Duration = Duration::from_secs(2);
/// Bytes of the words of an identity that are read: more than the longest have.
pub(crate) const WORDS_BYTES_MAX: u64 = 4_096;

/// How long the matcher may take to say how it is: it may just have been started.
pub(crate) const MATCHER_TIME_MAX: Duration = Duration::from_secs(30);

/// Folders watched for changes of source files: each takes one of the system's watches, of which a
/// user has some thousand.
pub(crate) const WATCHED_FOLDERS_MAX: usize = 4096;

/// Time without a change after which a series of changes is taken to be over: editors and compilers
/// write a file in several steps.
pub(crate) const CHANGES_PAUSE: Duration = Duration::from_millis(100);

/// Time after which changes are looked at although more keep coming.
pub(crate) const CHANGES_TIME_MAX: Duration = Duration::from_secs(2);

/// Clients of the server of bundles at once; more wait.
pub(crate) const HTTP_CLIENTS_MAX: usize = 64;

/// Time one of them may stay: a bundle takes far less, also over a slow line.
pub(crate) const HTTP_CLIENT_TIME_MAX: Duration = Duration::from_mins(2);

/// Bytes of a request's head, which is all that is read of one. The least hyper takes is 8 KiB.
pub(crate) const HTTP_BUFFER_BYTES_MAX: usize = 16 * 1024;

/// Time before a client is accepted again after that has failed.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
