//! What has happened lately: who sent what to whom because of which delivery, and what came of it.
//!
//! A ring of events of a fixed size, filled by the driver as it goes; what is in it is lost with the
//! process, and when it is full the oldest goes. Bodies are never noted, only how a method's name
//! begins. A message is known by the promise for its result, which no other message ever has.

use std::collections::VecDeque;
use std::time::{Instant, SystemTime};

use ocap_core::api::{CrankId, MethodName, Observation, Subject};
use ocap_types::crank::{FaultKind, Outcome};
use ocap_types::{KRef, VatId};
use serde::Serialize;

use crate::driver::Driver;
use crate::limits;

/// Because of what something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", content = "id", rename_all = "camelCase")]
pub enum Cause {
    /// Somebody outside asked for it.
    Host,
    /// A vat did it in this delivery.
    Delivery(u64),
    /// The kernel did, or a service, a channel or a timer of it.
    Kernel,
}

/// One thing that happened.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "camelCase")]
pub enum Traced {
    /// A message was sent.
    Sent {
        /// By whom.
        by: Cause,
        /// To what, as the sender named it.
        target: KRef,
        /// The promise for its result.
        #[serde(skip_serializing_if = "Option::is_none")]
        result: Option<KRef>,
        /// How its method's name begins.
        method: MethodName,
    },
    /// A vat was handed a delivery.
    Began {
        /// The delivery.
        delivery: u64,
        /// The vat.
        vat: VatId,
        /// What it is about.
        #[serde(flatten)]
        about: About,
    },
    /// A delivery ended, and what it did counts.
    #[serde(rename_all = "camelCase")]
    Ended {
        /// The delivery.
        delivery: u64,
        /// CPU time it took, in microseconds.
        cpu_us: u64,
    },
    /// A delivery ended, and nothing of it counts.
    Failed {
        /// The delivery.
        delivery: u64,
        /// Why.
        fault: &'static str,
    },
    /// A promise has settled.
    Settled {
        /// By whom.
        by: Cause,
        /// Which.
        promise: KRef,
        /// How.
        rejected: bool,
    },
}

/// What a delivery is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "about", rename_all = "camelCase")]
pub enum About {
    /// The vat starts.
    Start,
    /// A message.
    Message {
        /// Its target.
        target: KRef,
        /// The promise for its result.
        #[serde(skip_serializing_if = "Option::is_none")]
        result: Option<KRef>,
    },
    /// Promises have settled, this one first.
    Notify {
        /// Which.
        promise: KRef,
    },
    /// References are collected.
    Collection,
}

/// A numbered event.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TraceEvent {
    /// Events are numbered from 1 in each run of the kernel.
    pub number: u64,
    /// When, in microseconds since 1970.
    pub at_us: u64,
    /// What.
    #[serde(flatten)]
    pub what: Traced,
}

/// Part of the trace.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TracePage {
    /// Whether events are noted at present.
    pub on: bool,
    /// Number of the oldest event that is left.
    pub first: u64,
    /// Ask for events after this one to go on from here.
    pub last: u64,
    /// The events, in order.
    pub events: Vec<TraceEvent>,
}

/// The ring.
pub(crate) struct Trace {
    on: bool,
    ring: VecDeque<(u64, Traced)>,
    /// Events noted so far.
    noted: u64,
    /// A moment by both clocks.
    began: (Instant, u64),
}

impl Trace {
    /// An empty one, which notes what happens.
    pub(crate) fn new() -> Trace {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let wall = u64::try_from(wall.as_micros()).unwrap_or(0);
        Trace { on: true, ring: VecDeque::new(), noted: 0, began: (Instant::now(), wall) }
    }

    fn note(&mut self, at: Instant, what: Traced) {
        let since = at.saturating_duration_since(self.began.0).as_micros();
        let at_us = self.began.1.saturating_add(u64::try_from(since).unwrap_or(u64::MAX));
        if self.ring.len() == limits::TRACE_EVENTS_MAX {
            self.ring.pop_front();
        }
        self.ring.push_back((at_us, what));
        self.noted += 1;
    }

    fn page(&self, after: u64, limit: usize) -> TracePage {
        let first = self.noted + 1 - self.ring.len() as u64;
        let skip =
            usize::try_from(after.saturating_add(1).saturating_sub(first)).unwrap_or(usize::MAX);
        let limit = limit.min(limits::TRACE_EVENTS_MAX);
        let events: Vec<TraceEvent> = self
            .ring
            .iter()
            .zip(first..)
            .skip(skip)
            .take(limit)
            .map(|(&(at_us, what), number)| TraceEvent { number, at_us, what })
            .collect();
        let last = events.last().map_or(self.noted.min(after.max(first - 1)), |event| event.number);
        TracePage { on: self.on, first, last, events }
    }
}

impl Driver {
    /// Notes what the last turn did, and because of what.
    pub(crate) fn observe(&mut self, by: Cause) {
        if !self.core.has_observations() {
            return;
        }
        let now = Instant::now();
        for observation in self.core.take_observations() {
            let what = match observation {
                Observation::Sent { target, result, method } => {
                    Traced::Sent { by, target, result, method }
                }
                Observation::Settled { promise, rejected } => {
                    Traced::Settled { by, promise, rejected }
                }
            };
            self.trace.note(now, what);
        }
    }

    /// Notes that a vat has been handed a delivery.
    pub(crate) fn trace_begin(&mut self, crank: CrankId, vat: VatId, now: Instant) {
        if !self.trace.on {
            return;
        }
        let Some(subject) = self.core.subject(vat, crank) else { return };
        let about = match subject {
            Subject::Start => About::Start,
            Subject::Message { target, result } => About::Message { target, result },
            Subject::Notify { promise } => About::Notify { promise },
            Subject::Collection => About::Collection,
        };
        self.trace.note(now, Traced::Began { delivery: crank.0, vat, about });
    }

    /// Notes what came of a delivery, whose outcome this is.
    pub(crate) fn trace_end(&mut self, crank: CrankId, end: End) {
        self.observe(Cause::Delivery(crank.0));
        if self.trace.on {
            let delivery = crank.0;
            let what = match end {
                End::Done { cpu_us } => Traced::Ended { delivery, cpu_us },
                End::Fault(fault) => Traced::Failed { delivery, fault },
            };
            self.trace.note(Instant::now(), what);
        }
    }

    /// Events after a number, at most so many.
    pub(crate) fn trace_page(&self, after: u64, limit: usize) -> TracePage {
        self.trace.page(after, limit)
    }

    /// Notes events from now on, or does not any more; either way those noted so far stay.
    pub(crate) fn set_tracing(&mut self, on: bool) {
        self.trace.on = on;
        self.core.set_observed(on);
    }
}

/// How a delivery ended, as far as it is noted.
#[derive(Clone, Copy)]
pub(crate) enum End {
    Done { cpu_us: u64 },
    Fault(&'static str),
}

impl End {
    pub(crate) fn of(outcome: &Outcome) -> End {
        match outcome {
            Outcome::Done(report) => End::Done { cpu_us: report.usage.cpu_us },
            Outcome::Fault(fault) => End::Fault(match fault.kind {
                FaultKind::Overrun => "overrun",
                FaultKind::OutOfMemory => "out of memory",
                FaultKind::Crash => "crash",
                FaultKind::CageViolation => "cage violation",
                FaultKind::Protocol => "broken protocol",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(n: u64) -> Traced {
        Traced::Ended { delivery: n, cpu_us: 0 }
    }

    fn numbers(page: &TracePage) -> Vec<u64> {
        page.events.iter().map(|event| event.number).collect()
    }

    #[test]
    fn the_oldest_events_make_room() {
        let mut trace = Trace::new();
        let empty = trace.page(0, 10);
        assert_eq!((empty.first, empty.last, empty.events.len()), (1, 0, 0));
        let count = limits::TRACE_EVENTS_MAX as u64 + 5;
        for n in 1..=count {
            trace.note(Instant::now(), event(n));
        }
        let page = trace.page(0, 3);
        assert_eq!((page.first, page.last), (6, 8));
        assert_eq!(numbers(&page), [6, 7, 8]);
        assert!(matches!(page.events[0].what, Traced::Ended { delivery: 6, .. }));
        let rest = trace.page(page.last, usize::MAX);
        assert_eq!(rest.events.len() as u64, count - 8);
        assert_eq!(trace.page(rest.last, 10), TracePage { events: vec![], ..trace.page(count, 1) });
        // Of a run that noted more, or from a client that makes numbers up.
        assert_eq!(trace.page(u64::MAX, 10).last, count);
    }
}
