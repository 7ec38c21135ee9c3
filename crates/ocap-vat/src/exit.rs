//! How a worker can end, and what that means for the crank it was in.

use std::fmt;

use ocap_types::crank::{Fault, FaultKind};

/// Exit code of a worker that was done: its connection was closed, or it had reported a fault.
pub const EXIT_DONE: i32 = 0;
/// Exit code of a worker whose native code could not get memory.
pub const EXIT_OUT_OF_MEMORY: i32 = 80;
/// Exit code of a worker that received something other than the protocol.
pub const EXIT_PROTOCOL: i32 = 81;
/// Exit code of a worker that could not enter its cage; it has run nothing.
pub const EXIT_NO_CAGE: i32 = 82;
/// Exit code of a worker that panicked where no fault could be reported.
pub const EXIT_PANIC: i32 = 83;
/// Exit code of a worker whose kernel was gone before it was ready.
pub const EXIT_ORPHAN: i32 = 84;

/// How a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal.
    Signaled(i32),
    /// It cannot be known: somebody else took the exit status.
    Unknown,
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            ExitReason::Exited(EXIT_OUT_OF_MEMORY) => f.write_str("it ran out of memory"),
            ExitReason::Exited(EXIT_NO_CAGE) => f.write_str("its cage could not be closed"),
            ExitReason::Exited(EXIT_PROTOCOL) => f.write_str("it was sent a malformed frame"),
            ExitReason::Exited(code) => write!(f, "it exited with code {code}"),
            ExitReason::Signaled(libc::SIGSYS) => {
                f.write_str("it tried a system call that its cage forbids")
            }
            ExitReason::Signaled(libc::SIGKILL) => f.write_str("it was killed"),
            ExitReason::Signaled(libc::SIGSEGV | libc::SIGBUS) => {
                f.write_str("it used memory that is not its own, or its stack overflowed")
            }
            ExitReason::Signaled(signal) => write!(f, "it was ended by signal {signal}"),
            ExitReason::Unknown => f.write_str("it ended for an unknown reason"),
        }
    }
}

/// The fault of a crank whose worker ended this way. `None`: the stream ended, but how the worker
/// did is not known (yet). Who killed the worker for an overrun knows better than its exit.
pub fn fault_of_exit(reason: Option<ExitReason>) -> Fault {
    let reason = reason.unwrap_or(ExitReason::Unknown);
    let kind = match reason {
        ExitReason::Exited(EXIT_OUT_OF_MEMORY) => FaultKind::OutOfMemory,
        ExitReason::Signaled(libc::SIGSYS) => FaultKind::CageViolation,
        _ => FaultKind::Crash,
    };
    Fault { kind, detail: format!("the worker is gone: {reason}") }
}
