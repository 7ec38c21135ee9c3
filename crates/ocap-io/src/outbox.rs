//! The outbound half of one channel: writes on their way to a peer, and whether there is one.

use std::collections::VecDeque;

use ocap_types::config::{IoUnit, WhenDisconnected};

use crate::bounds::Bounds;
use crate::framing::to_bytes;

/// Whether there is somebody to write to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// A peer is there.
    Connected,
    /// Nobody is there.
    Absent,
    /// Nobody can come before something changes, for this reason.
    Unavailable(String),
    /// Nobody will ever come, for this reason.
    Never(String),
    /// The channel is closed for good.
    Closed,
}

/// One write on its way.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// The caller's name for it.
    pub(crate) call: u64,
    /// Its units as they go over the wire.
    pub(crate) data: Vec<u8>,
    /// How much of it the peer's system has.
    pub(crate) written: usize,
    /// How much it counts against the limit.
    pub(crate) bytes: usize,
}

/// What becomes of a write at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// It is done in its turn.
    Queued,
    /// It counts as done.
    Dropped,
}

/// Writes in order. What is taken out still counts until it is `settled`.
#[derive(Debug)]
pub(crate) struct Outbox {
    unit: IoUnit,
    policy: WhenDisconnected,
    bounds: Bounds,
    link: Link,
    queue: VecDeque<Outgoing>,
    calls: usize,
    bytes: usize,
}

impl Outbox {
    pub(crate) fn new(unit: IoUnit, policy: WhenDisconnected, bounds: Bounds) -> Self {
        let (link, queue) = (Link::Absent, VecDeque::new());
        Outbox { unit, policy, bounds, link, queue, calls: 0, bytes: 0 }
    }

    /// What becomes of a write while nobody is there.
    pub(crate) fn policy(&self) -> WhenDisconnected {
        self.policy
    }

    /// Changes who can be written to, and returns the writes that now cannot be done. A closed
    /// channel stays closed.
    pub(crate) fn set_link(&mut self, link: Link) -> Vec<Outgoing> {
        if self.link == Link::Closed {
            return Vec::new();
        }
        self.link = link;
        match self.link {
            // A closing channel still hands over what was accepted, as far as that needs no waiting.
            Link::Connected | Link::Closed => Vec::new(),
            Link::Absent | Link::Unavailable(_) if self.policy == WhenDisconnected::Wait => {
                Vec::new()
            }
            Link::Absent | Link::Unavailable(_) | Link::Never(_) => self.drain(),
        }
    }

    /// Takes out everything.
    pub(crate) fn drain(&mut self) -> Vec<Outgoing> {
        let drained: Vec<Outgoing> = self.queue.drain(..).collect();
        for outgoing in &drained {
            self.settled(outgoing.bytes);
        }
        drained
    }

    /// What is wrong with there being nobody to write to.
    pub(crate) fn complaint(&self) -> String {
        match &self.link {
            Link::Closed => "is closed".to_owned(),
            Link::Absent | Link::Connected => "has no connected client".to_owned(),
            Link::Unavailable(reason) | Link::Never(reason) => format!("is unavailable: {reason}"),
        }
    }

    /// Accepts a write of some units, or says why not, as the end of a sentence that begins with
    /// the channel.
    pub(crate) fn push(&mut self, call: u64, units: Vec<String>) -> Result<Accepted, String> {
        let count = units.len();
        let mut data = Vec::with_capacity(units.iter().map(|unit| unit.len() + 1).sum());
        for unit in units {
            data.append(&mut to_bytes(self.unit, unit, self.bounds.unit_bytes)?);
        }
        match (&self.link, self.policy) {
            (Link::Connected, _)
            | (Link::Absent | Link::Unavailable(_), WhenDisconnected::Wait) => {}
            (Link::Absent | Link::Unavailable(_), WhenDisconnected::Drop) => {
                return Ok(Accepted::Dropped);
            }
            _ => return Err(self.complaint()),
        }
        let bytes_max = self.bounds.outbound_bytes;
        let full_calls = self.calls >= self.bounds.outbound_calls;
        let full_bytes = self.calls > 0 && self.bytes + data.len() > bytes_max;
        let too_many = count > 1 && data.len() > bytes_max;
        if too_many {
            return Err(format!(
                "cannot take {count} units of {} bytes at once: the limit is {bytes_max} \
                 bytes",
                data.len()
            ));
        }
        if full_calls || full_bytes {
            return Err(format!(
                "is full: its client has not yet taken {} writes of {} bytes in total",
                self.calls, self.bytes
            ));
        }
        self.calls += 1;
        let bytes = data.len();
        self.bytes += bytes;
        self.queue.push_back(Outgoing { call, data, written: 0, bytes });
        Ok(Accepted::Queued)
    }

    /// The next write to do.
    pub(crate) fn pop(&mut self) -> Option<Outgoing> {
        self.queue.pop_front()
    }

    /// A write that was taken out is to be done after all, before all others.
    pub(crate) fn put_back(&mut self, outgoing: Outgoing) {
        self.queue.push_front(outgoing);
    }

    /// Whether a write waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// A write that was taken out is done, one way or the other; it had this many bytes.
    pub(crate) fn settled(&mut self, bytes: usize) {
        self.calls = self.calls.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds;
    use crate::limits::{OUTBOUND_CALLS_MAX, UNIT_BYTES_MAX};

    fn outbox(policy: WhenDisconnected) -> Outbox {
        Outbox::new(IoUnit::Line, policy, bounds::CHANNEL)
    }

    fn push(outbox: &mut Outbox, call: u64, unit: &str) -> Result<Accepted, String> {
        outbox.push(call, vec![unit.to_owned()])
    }

    #[test]
    fn takes_writes_only_while_connected() {
        let mut outbox = outbox(WhenDisconnected::Reject);
        assert_eq!(push(&mut outbox, 1, "a"), Err("has no connected client".into()));
        assert!(outbox.set_link(Link::Unavailable("no disk".into())).is_empty());
        assert_eq!(push(&mut outbox, 2, "a"), Err("is unavailable: no disk".into()));
        outbox.set_link(Link::Connected);
        assert_eq!(push(&mut outbox, 3, "a"), Ok(Accepted::Queued));
        let drained = outbox.set_link(Link::Absent);
        assert_eq!(drained.iter().map(|o| o.call).collect::<Vec<_>>(), [3]);
        outbox.set_link(Link::Closed);
        outbox.set_link(Link::Connected);
        assert_eq!(push(&mut outbox, 4, "a"), Err("is closed".into()));
    }

    #[test]
    fn writes_may_wait_for_a_client_but_not_for_ever() {
        let mut outbox = outbox(WhenDisconnected::Wait);
        assert_eq!(push(&mut outbox, 1, "a"), Ok(Accepted::Queued));
        outbox.set_link(Link::Connected);
        assert!(outbox.set_link(Link::Absent).is_empty());
        assert!(outbox.set_link(Link::Unavailable("away".into())).is_empty());
        for call in 2..=OUTBOUND_CALLS_MAX as u64 {
            assert_eq!(push(&mut outbox, call, ""), Ok(Accepted::Queued));
        }
        assert!(push(&mut outbox, 9, "").expect_err("full").starts_with("is full"));
        assert_eq!(outbox.set_link(Link::Never("gone".into())).len(), OUTBOUND_CALLS_MAX);
        assert_eq!(push(&mut outbox, 9, ""), Err("is unavailable: gone".into()));
    }

    #[test]
    fn writes_may_be_dropped_while_nobody_is_there() {
        let mut outbox = outbox(WhenDisconnected::Drop);
        assert_eq!(push(&mut outbox, 1, "a"), Ok(Accepted::Dropped));
        outbox.set_link(Link::Connected);
        assert_eq!(push(&mut outbox, 2, "a"), Ok(Accepted::Queued));
        assert_eq!(outbox.set_link(Link::Absent).len(), 1);
    }

    #[test]
    fn several_units_are_one_write() {
        let mut outbox = outbox(WhenDisconnected::Reject);
        outbox.set_link(Link::Connected);
        outbox.push(1, vec!["a".into(), String::new(), "b".into()]).expect("room");
        assert_eq!(outbox.pop().expect("queued").data, b"a\n\nb\n");
        let large = "x".repeat(UNIT_BYTES_MAX);
        let refused = outbox.push(2, vec![large.clone(), large.clone(), large]);
        assert!(refused.expect_err("too much").starts_with("cannot take 3 units"));
    }

    #[test]
    fn is_bounded_by_calls_and_by_bytes_until_they_settle() {
        let mut outbox = outbox(WhenDisconnected::Reject);
        outbox.set_link(Link::Connected);
        for call in 0..OUTBOUND_CALLS_MAX as u64 {
            push(&mut outbox, call, "").expect("room for calls");
        }
        assert!(push(&mut outbox, 9, "").expect_err("full").starts_with("is full"));
        let first = outbox.pop().expect("queued");
        assert!(push(&mut outbox, 9, "").is_err(), "what is under way still counts");
        outbox.settled(first.bytes);
        push(&mut outbox, 9, "").expect("room again");
        outbox.set_link(Link::Absent);

        outbox.set_link(Link::Connected);
        let half = "x".repeat(UNIT_BYTES_MAX);
        push(&mut outbox, 1, &half).expect("one always passes");
        assert!(push(&mut outbox, 2, &half).expect_err("full").starts_with("is full"));
        let long = "x".repeat(UNIT_BYTES_MAX + 1);
        assert!(push(&mut outbox, 3, &long).expect_err("long").contains("unit"));
    }
}
