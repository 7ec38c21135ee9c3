//! Workers that are threads of this process: the same protocol without the isolation, for tests and
//! embedders.
//!
//! Nothing can end a thread that does not want to: [`WorkerHandle::kill`] closes its connection and
//! raises a flag that engines look at in their interrupt handler ([`is_interrupted`]).

use std::cell::RefCell;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::engine::PreparedEngine;
use crate::exit::{EXIT_PANIC, ExitReason};
use crate::limits::THREAD_STACK_BYTES;
use crate::serve::{Surroundings, serve};
use crate::worker::{WorkerControl, WorkerHandle, cpu_time_ms};

/// Starts a worker in a thread of this process, with an engine of its own.
pub fn spawn_worker() -> io::Result<WorkerHandle> {
    spawn_with(crate::prepare)
}

/// Prepares an engine.
pub(crate) type Prepare = fn() -> Result<Box<dyn PreparedEngine>, String>;

pub(crate) fn spawn_with(prepare: Prepare) -> io::Result<WorkerHandle> {
    let (stream, theirs) = UnixStream::pair()?;
    stream.set_nonblocking(true)?;
    let shared = Arc::new(Shared::default());
    let control = ThreadControl { stream: stream.try_clone()?, shared: Arc::clone(&shared) };
    let run = move || {
        shared.thread.store(rustix::thread::gettid().as_raw_nonzero().get(), Ordering::Relaxed);
        INTERRUPT.with_borrow_mut(|interrupt| *interrupt = Some(Arc::clone(&shared)));
        let served = catch_unwind(AssertUnwindSafe(|| match prepare() {
            Ok(prepared) => serve(theirs, prepared, Box::new(InThread)),
            Err(_) => EXIT_PANIC,
        }));
        shared.end(ExitReason::Exited(served.unwrap_or(EXIT_PANIC)));
    };
    let thread = std::thread::Builder::new().name("ocap-worker".into());
    thread.stack_size(THREAD_STACK_BYTES).spawn(run)?;
    Ok(WorkerHandle { stream, control: WorkerControl::thread(control) })
}

thread_local! {
    static INTERRUPT: RefCell<Option<Arc<Shared>>> = const { RefCell::new(None) };
}

/// Whether this thread is a worker that was told to end. Engines ask in their interrupt handler.
pub fn is_interrupted() -> bool {
    INTERRUPT.with_borrow(|shared| {
        shared.as_ref().is_some_and(|shared| shared.interrupt.load(Ordering::Relaxed))
    })
}

struct InThread;

impl Surroundings for InThread {
    fn limit(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn end(&self, _: i32) {}

    fn may_overflow(&self) -> bool {
        false
    }
}

#[derive(Debug, Default)]
struct Shared {
    interrupt: AtomicBool,
    thread: AtomicI32,
    ended: Mutex<Option<ExitReason>>,
    changed: Condvar,
}

impl Shared {
    fn end(&self, reason: ExitReason) {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
        self.changed.notify_all();
    }
}

/// The kernel's hold on a worker thread.
#[derive(Debug)]
pub(crate) struct ThreadControl {
    stream: UnixStream,
    shared: Arc<Shared>,
}

impl ThreadControl {
    pub(crate) fn kill(&self) {
        self.shared.interrupt.store(true, Ordering::Relaxed);
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    pub(crate) fn exit_reason(&self) -> Option<ExitReason> {
        *self.shared.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn wait(&self, patience: Duration) -> Option<ExitReason> {
        let ended = self.shared.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.shared.changed.wait_timeout_while(ended, patience, |e| e.is_none());
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    pub(crate) fn cpu_time_ms(&self) -> Option<u64> {
        // Held while the clock is read, so that the thread is still there.
        let ended = self.shared.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let thread = self.shared.thread.load(Ordering::Relaxed);
        if ended.is_some() || thread == 0 {
            return None;
        }
        cpu_time_ms(cpu_clock_of_thread(thread))
    }
}

/// The clock that counts a thread's CPU time.
fn cpu_clock_of_thread(thread: i32) -> libc::clockid_t {
    const CPUCLOCK_PERTHREAD_SCHED: i32 = 6;
    (!thread << 3) | CPUCLOCK_PERTHREAD_SCHED
}

impl Drop for ThreadControl {
    fn drop(&mut self) {
        self.kill();
    }
}
