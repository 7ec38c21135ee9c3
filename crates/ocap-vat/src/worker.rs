//! The kernel's hold on one worker: its connection, and the power to end it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, pidfd_send_signal};

use crate::exit::ExitReason;
use crate::fork;
use crate::nursery::{Corpse, bury};
use crate::thread::ThreadControl;

/// A running worker. Dropping it ends the worker.
#[derive(Debug)]
pub struct WorkerHandle {
    /// The connection: frames of [`crate::frame`], nonblocking. It ends when the worker does.
    pub stream: UnixStream,
    /// Everything else; may be taken apart from the stream.
    pub control: WorkerControl,
}

impl WorkerHandle {
    /// See [`WorkerControl::kill`].
    pub fn kill(&self) {
        self.control.kill();
    }

    /// See [`WorkerControl::exit_reason`].
    pub fn exit_reason(&self) -> Option<ExitReason> {
        self.control.exit_reason()
    }

    /// See [`WorkerControl::wait_exit`].
    pub fn wait_exit(&self, patience: Duration) -> Option<ExitReason> {
        self.control.wait_exit(patience)
    }

    /// See [`WorkerControl::cpu_time_ms`].
    pub fn cpu_time_ms(&self) -> Option<u64> {
        self.control.cpu_time_ms()
    }

    /// The worker's process id; `None` if it is a thread of this process.
    pub fn pid(&self) -> Option<u32> {
        self.control.pid()
    }
}

/// The power over a worker. Dropping it ends the worker.
#[derive(Debug)]
pub struct WorkerControl(Body);

#[derive(Debug)]
enum Body {
    Process(Process),
    Thread(ThreadControl),
}

#[derive(Debug)]
struct Process {
    pid: i32,
    /// Taken when the worker is left to the reaper.
    pidfd: Option<OwnedFd>,
    /// The exit status can be asked for once only.
    ended: Mutex<Option<ExitReason>>,
}

impl WorkerControl {
    pub(crate) fn process(pid: i32, pidfd: OwnedFd) -> Self {
        let pidfd = Some(pidfd);
        WorkerControl(Body::Process(Process { pid, pidfd, ended: Mutex::default() }))
    }

    pub(crate) fn thread(control: ThreadControl) -> Self {
        WorkerControl(Body::Thread(control))
    }

    /// Ends the worker, whatever it is doing; its stream ends soon after. (A thread ends at its
    /// engine's next look around.)
    pub fn kill(&self) {
        match &self.0 {
            Body::Process(process) => process.kill(),
            Body::Thread(thread) => thread.kill(),
        }
    }

    /// How the worker has ended. `None` while it runs; after its stream has ended it may take
    /// another moment until this is known.
    pub fn exit_reason(&self) -> Option<ExitReason> {
        match &self.0 {
            Body::Process(process) => process.ended(),
            Body::Thread(thread) => thread.exit_reason(),
        }
    }

    /// Waits for the worker's end, at most so long. For use after the stream has ended, when it is
    /// a matter of a millisecond.
    pub fn wait_exit(&self, patience: Duration) -> Option<ExitReason> {
        match &self.0 {
            Body::Process(process) => process.wait(patience),
            Body::Thread(thread) => thread.wait(patience),
        }
    }

    /// CPU time the worker has used so far, in milliseconds. `None` when it is gone.
    pub fn cpu_time_ms(&self) -> Option<u64> {
        match &self.0 {
            Body::Process(process) => process.cpu_time_ms(),
            Body::Thread(thread) => thread.cpu_time_ms(),
        }
    }

    /// The worker's process id; `None` if it is a thread of this process.
    pub fn pid(&self) -> Option<u32> {
        match &self.0 {
            Body::Process(process) => u32::try_from(process.pid).ok(),
            Body::Thread(_) => None,
        }
    }

    /// Becomes readable when the worker process has ended. `None` for a thread.
    pub fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        match &self.0 {
            Body::Process(process) => process.pidfd.as_ref().map(AsFd::as_fd),
            Body::Thread(_) => None,
        }
    }
}

impl Process {
    fn kill(&self) {
        if let Some(pidfd) = &self.pidfd {
            // It fails only when there is nothing left to kill.
            let _ = pidfd_send_signal(pidfd, Signal::KILL);
        }
    }

    fn ended(&self) -> Option<ExitReason> {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.is_none() {
            *ended = self.pidfd.as_ref().and_then(|pidfd| fork::ended(pidfd, false));
        }
        *ended
    }

    fn wait(&self, patience: Duration) -> Option<ExitReason> {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let pidfd = self.pidfd.as_ref()?;
            let timeout = Timespec::try_from(left).ok();
            let polled = poll(&mut [PollFd::new(pidfd, PollFlags::IN)], timeout.as_ref());
            match (self.ended(), polled) {
                (None, Ok(1..) | Err(rustix::io::Errno::INTR)) if !left.is_zero() => {}
                (ended, _) => return ended,
            }
        }
    }

    fn cpu_time_ms(&self) -> Option<u64> {
        if self.ended().is_some() {
            return None;
        }
        // The id is still the worker's: nobody but us can have reaped it.
        cpu_time_ms(cpu_clock_of_process(self.pid))
    }
}

/// The clock that counts a process's CPU time, as `clock_getcpuclockid` makes it.
fn cpu_clock_of_process(pid: i32) -> libc::clockid_t {
    const CPUCLOCK_SCHED: i32 = 2;
    (!pid << 3) | CPUCLOCK_SCHED
}

/// What a CPU clock shows, in milliseconds.
pub(crate) fn cpu_time_ms(clock: libc::clockid_t) -> Option<u64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for the call; an unknown clock is an error, not undefined.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return None;
    }
    Some(u64::try_from(time.tv_sec).ok()? * 1000 + u64::try_from(time.tv_nsec).ok()? / 1_000_000)
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.kill();
            if let Some(pidfd) = self.pidfd.take() {
                bury(Corpse::Worker(pidfd));
            }
        }
    }
}
