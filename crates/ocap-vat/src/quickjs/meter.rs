//! What a crank may cost, and the fault of the first limit it reaches.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use ocap_types::crank::{Fault, FaultKind};
use rustix::time::{ClockId, clock_gettime};

use super::memory::Memory;
use crate::engine::Limits;

/// Counts interrupts and CPU time of the crank in progress. A fault is final.
#[derive(Debug)]
pub(super) struct Meter {
    memory: Rc<Memory>,
    ticks: Cell<u64>,
    ticks_max: Cell<u64>,
    cpu_start: Cell<Duration>,
    cpu_max: Cell<Duration>,
    fault: RefCell<Option<Fault>>,
}

/// CPU time of this thread: an innocent vat on a busy machine does not pay for the others.
fn cpu_now() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

impl Meter {
    pub(super) fn new(memory: Rc<Memory>) -> Self {
        Meter {
            memory,
            ticks: Cell::new(0),
            ticks_max: Cell::new(u64::MAX),
            cpu_start: Cell::new(Duration::ZERO),
            cpu_max: Cell::new(Duration::MAX),
            fault: RefCell::new(None),
        }
    }

    pub(super) fn limit(&self, limits: &Limits) {
        self.ticks_max.set(limits.crank_ticks_max);
        self.cpu_max.set(Duration::from_millis(limits.crank_cpu_ms_max));
        self.memory.limit(usize::try_from(limits.heap_bytes_max).unwrap_or(usize::MAX));
    }

    pub(super) fn begin(&self) {
        self.ticks.set(0);
        self.cpu_start.set(cpu_now());
    }

    /// Called by the engine every so many steps. Whether to stop.
    pub(super) fn on_interrupt(&self) -> bool {
        self.ticks.set(self.ticks.get().saturating_add(1));
        self.is_over()
    }

    fn is_over(&self) -> bool {
        if self.ticks.get() > self.ticks_max.get() {
            self.fail(FaultKind::Overrun, || {
                format!("the crank used up its {} ticks", self.ticks_max.get())
            });
        } else if self.cpu() > self.cpu_max.get() {
            self.fail(FaultKind::Overrun, || {
                format!("the crank used up its {} ms of CPU time", self.cpu_max.get().as_millis())
            });
        }
        let stop = self.is_faulted();
        if stop {
            self.memory.stop();
        }
        stop
    }

    /// Counts work that the engine does not interrupt. Whether to stop.
    #[cfg(feature = "crypto")]
    pub(super) fn charge(&self, ticks: u64) -> bool {
        self.ticks.set(self.ticks.get().saturating_add(ticks));
        self.is_over()
    }

    /// Records a fault, unless there is one already.
    pub(super) fn fail(&self, kind: FaultKind, detail: impl FnOnce() -> String) {
        let mut fault = self.fault.borrow_mut();
        if fault.is_none() {
            *fault = Some(Fault { kind, detail: detail() });
        }
    }

    /// Whether the engine must not go on.
    pub(super) fn is_faulted(&self) -> bool {
        self.fault.borrow().is_some() || self.memory.is_exhausted()
    }

    /// Why the engine must not go on.
    pub(super) fn fault(&self) -> Option<Fault> {
        if self.memory.is_exhausted() {
            self.fail(FaultKind::OutOfMemory, || "the vat's heap limit was reached".into());
        }
        self.fault.borrow().clone()
    }

    pub(super) fn ticks(&self) -> u64 {
        self.ticks.get()
    }

    pub(super) fn cpu(&self) -> Duration {
        cpu_now().saturating_sub(self.cpu_start.get())
    }

    /// A threshold for the next collection of cycles that leaves it room before the heap's limit;
    /// `None` while that is far away. (The engine itself only looks at what is in use.)
    pub(super) fn collect_at(&self) -> Option<usize> {
        let (used, max) = (self.memory.used(), self.memory.max());
        (used > max / 2).then(|| used.saturating_add(max.saturating_sub(used) / 2))
    }

    pub(super) fn heap_bytes(&self) -> u64 {
        self.memory.used() as u64
    }
}
