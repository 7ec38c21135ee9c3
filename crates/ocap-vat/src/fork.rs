//! Processes by hand: forking without the C library's help, and watching a child by descriptor.
//!
//! A worker is forked by the zygote but made a *sibling* of it (`CLONE_PARENT`): a child of the
//! kernel's process. So the kernel can wait for it itself, its `PDEATHSIG` follows the kernel and
//! not the zygote, and a zygote that dies takes no worker along.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::process::{WaitId, WaitIdOptions, waitid};

use crate::exit::ExitReason;

/// Which side of a fork this is.
pub(crate) enum Forked {
    /// The new process.
    Child,
    /// The old one.
    Parent {
        /// The new one's id.
        pid: i32,
        /// The new one, whatever becomes of its id.
        pidfd: OwnedFd,
    },
}

/// Whose child a new process is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parent {
    /// The caller's.
    Own,
    /// The caller's parent's.
    Sibling,
}

/// Forks this process. It must have one thread: no lock may be held by somebody who is not there.
pub(crate) fn fork(parent: Parent) -> io::Result<Forked> {
    if !is_single_threaded() {
        return Err(io::Error::other("a process with several threads cannot fork a worker"));
    }
    let sibling = if parent == Parent::Sibling { libc::CLONE_PARENT } else { 0 };
    let flags = i64::from(libc::CLONE_PIDFD | libc::SIGCHLD | sibling);
    let mut pidfd: RawFd = -1;
    // SAFETY: without CLONE_VM this is a fork, checked above to be of a single thread; no stack
    // and no thread storage is given, and `pidfd` outlives the call. The C library's fork handlers
    // are skipped: they guard locks against other threads.
    let pid =
        unsafe { libc::syscall(libc::SYS_clone, flags, 0usize, &raw mut pidfd, 0usize, 0usize) };
    match i32::try_from(pid) {
        Ok(0) => Ok(Forked::Child),
        // SAFETY: the system has just opened it for us.
        Ok(pid @ 1..) => Ok(Forked::Parent { pid, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether this process has one thread.
fn is_single_threaded() -> bool {
    std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() == 1)
}

/// Ends this process without any clean-up: nothing of the zygote's is the child's to clean up.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: always sound; it does not return.
    unsafe { libc::_exit(code) }
}

/// Makes `source` this process's descriptor `target`, inherited by children.
pub(crate) fn place(source: BorrowedFd<'_>, target: RawFd) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    if source.as_raw_fd() == target {
        return rustix::io::fcntl_setfd(source, rustix::io::FdFlags::empty()).map_err(Into::into);
    }
    // SAFETY: used only where no Rust value owns `target`.
    match unsafe { libc::dup2(source.as_raw_fd(), target) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Closes every descriptor from `first` on.
///
/// # Safety
/// No value that owns one of them may be used or dropped afterwards.
pub(crate) unsafe fn close_from(first: RawFd) -> io::Result<()> {
    let first = first.unsigned_abs();
    // SAFETY: passes no memory; that the descriptors are ours to close is the caller's promise.
    match unsafe { libc::close_range(first, libc::c_uint::MAX, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Gives every signal its default action, but keeps SIGPIPE ignored, and takes away the handler
/// stack: the Rust runtime's handler for SIGSEGV would hide crashes.
pub(crate) fn reset_signals() {
    for signal in 1..=64 {
        let action = if signal == libc::SIGPIPE { libc::SIG_IGN } else { libc::SIG_DFL };
        // SAFETY: the default action and "ignore" run no code. Those that cannot be set (SIGKILL,
        // those of the C library) are refused without effect.
        unsafe { libc::signal(signal, action) };
    }
    // SAFETY: all zero is a valid value; then the set is initialised by sigemptyset.
    let mut none: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `none` is valid for both calls; the old set is not asked for.
    unsafe {
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
    let off = libc::stack_t {
        ss_sp: std::ptr::null_mut(),
        ss_flags: libc::SS_DISABLE,
        // Ignored, but some systems check it.
        ss_size: libc::SIGSTKSZ,
    };
    // SAFETY: `off` is valid, and no handler is running.
    unsafe { libc::sigaltstack(&raw const off, std::ptr::null_mut()) };
}

/// How the process behind `pidfd`, a child of this one, has ended. `None`: it still runs.
pub(crate) fn ended(pidfd: &OwnedFd, wait: bool) -> Option<ExitReason> {
    let options =
        if wait { WaitIdOptions::EXITED } else { WaitIdOptions::EXITED | WaitIdOptions::NOHANG };
    loop {
        return match waitid(WaitId::PidFd(pidfd.as_fd()), options) {
            Ok(None) => None,
            Ok(Some(status)) => Some(match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => ExitReason::Exited(code),
                (None, Some(signal)) => ExitReason::Signaled(signal),
                (None, None) => ExitReason::Unknown,
            }),
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => Some(ExitReason::Unknown),
        };
    }
}
