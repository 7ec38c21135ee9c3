//! What vats have asked of this process and not been told of yet.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use ocap_core::api::CallId;
use ocap_types::crank::Request;

/// Timers that run, by when they are due and in what order they were set.
pub(crate) struct Asks {
    /// Where this process's milliseconds are counted from.
    epoch: Instant,
    /// The moment asks of the present batch count from: those of one crank keep their order.
    now_ms: u64,
    timers: BTreeSet<(u64, CallId)>,
    due_of: BTreeMap<CallId, u64>,
}

impl Asks {
    pub(crate) fn new() -> Self {
        let (timers, due_of) = (BTreeSet::new(), BTreeMap::new());
        Asks { epoch: Instant::now(), now_ms: 0, timers, due_of }
    }

    /// A batch of effects begins.
    pub(crate) fn begin(&mut self) {
        self.now_ms = milliseconds(self.epoch.elapsed());
    }

    /// Takes on what a vat asks.
    pub(crate) fn ask(&mut self, call: CallId, request: &Request) {
        match *request {
            Request::Timer { delay_ms, since_ms } => {
                let since_ms = since_ms.unwrap_or(self.now_ms);
                // A timer is never early: the present millisecond has begun already.
                let due_ms = since_ms.saturating_add(delay_ms).max(self.now_ms).saturating_add(1);
                self.timers.insert((due_ms, call));
                self.due_of.insert(call, due_ms);
            }
        }
    }

    /// Nobody wants this any more.
    pub(crate) fn withdraw(&mut self, call: CallId) {
        if let Some(due_ms) = self.due_of.remove(&call) {
            self.timers.remove(&(due_ms, call));
        }
    }

    /// How long until a timer is due.
    pub(crate) fn until_due(&self) -> Option<Duration> {
        let &(due_ms, _) = self.timers.first()?;
        Some(Duration::from_millis(due_ms).saturating_sub(self.epoch.elapsed()))
    }

    /// The next timer that is due, and when it was.
    pub(crate) fn take_due(&mut self) -> Option<(CallId, u64)> {
        let &(due_ms, call) = self.timers.first()?;
        if Duration::from_millis(due_ms) > self.epoch.elapsed() {
            return None;
        }
        self.withdraw(call);
        Some((call, due_ms))
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
