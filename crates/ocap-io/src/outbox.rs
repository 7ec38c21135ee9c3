//! The outbound half of one channel: writes on their way to a peer, and whether there is one.

use std::collections::VecDeque;

use crate::limits::{OUTBOUND_BYTES_MAX, OUTBOUND_CALLS_MAX, UNIT_BYTES_MAX};

/// Whether there is somebody to write to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// A peer is there.
    Connected,
    /// Nobody is there.
    Absent,
    /// Nobody can come, for this reason.
    Unavailable(String),
    /// The channel is closed for good.
    Closed,
}

/// One write on its way.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// The caller's name for it.
    pub(crate) call: u64,
    /// The unit and its newline.
    pub(crate) data: Vec<u8>,
    /// How much of it the peer's system has.
    pub(crate) written: usize,
    /// How much it counts against the limit.
    pub(crate) bytes: usize,
}

/// Writes in order. What is taken out still counts until it is `settled`.
#[derive(Debug)]
pub(crate) struct Outbox {
    link: Link,
    queue: VecDeque<Outgoing>,
    calls: usize,
    bytes: usize,
}

impl Outbox {
    pub(crate) fn new() -> Self {
        Outbox { link: Link::Absent, queue: VecDeque::new(), calls: 0, bytes: 0 }
    }

    /// Changes who can be written to, and returns the writes that now cannot be done. A closed
    /// channel stays closed.
    pub(crate) fn set_link(&mut self, link: Link) -> Vec<Outgoing> {
        if self.link == Link::Closed {
            return Vec::new();
        }
        self.link = link;
        // A closing channel still hands over what was accepted, as far as that needs no waiting.
        if matches!(self.link, Link::Connected | Link::Closed) { Vec::new() } else { self.drain() }
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
            Link::Unavailable(reason) => format!("is unavailable: {reason}"),
        }
    }

    /// Accepts a write, or says why not, as the end of a sentence that begins with the channel.
    pub(crate) fn push(&mut self, call: u64, data: String) -> Result<(), String> {
        if self.link != Link::Connected {
            return Err(self.complaint());
        }
        if data.len() > UNIT_BYTES_MAX {
            let length = data.len();
            return Err(format!(
                "cannot take a unit of {length} bytes: the limit is {UNIT_BYTES_MAX} bytes"
            ));
        }
        let full_calls = self.calls >= OUTBOUND_CALLS_MAX;
        let full_bytes = self.calls > 0 && self.bytes + data.len() + 1 > OUTBOUND_BYTES_MAX;
        if full_calls || full_bytes {
            return Err(format!(
                "is full: its client has not yet taken {} writes of {} bytes in total",
                self.calls, self.bytes
            ));
        }
        let mut data = data.into_bytes();
        data.push(b'\n');
        self.calls += 1;
        let bytes = data.len();
        self.bytes += bytes;
        self.queue.push_back(Outgoing { call, data, written: 0, bytes });
        Ok(())
    }

    /// The next write to do.
    pub(crate) fn pop(&mut self) -> Option<Outgoing> {
        self.queue.pop_front()
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

    #[test]
    fn takes_writes_only_while_connected() {
        let mut outbox = Outbox::new();
        assert_eq!(outbox.push(1, "a".into()), Err("has no connected client".into()));
        assert!(outbox.set_link(Link::Unavailable("no disk".into())).is_empty());
        assert_eq!(outbox.push(2, "a".into()), Err("is unavailable: no disk".into()));
        outbox.set_link(Link::Connected);
        assert_eq!(outbox.push(3, "a".into()), Ok(()));
        let drained = outbox.set_link(Link::Absent);
        assert_eq!(drained.iter().map(|o| o.call).collect::<Vec<_>>(), [3]);
        outbox.set_link(Link::Closed);
        outbox.set_link(Link::Connected);
        assert_eq!(outbox.push(4, "a".into()), Err("is closed".into()));
    }

    #[test]
    fn is_bounded_by_calls_and_by_bytes_until_they_settle() {
        let mut outbox = Outbox::new();
        outbox.set_link(Link::Connected);
        for call in 0..OUTBOUND_CALLS_MAX as u64 {
            outbox.push(call, String::new()).expect("room for calls");
        }
        assert!(outbox.push(9, String::new()).expect_err("full").starts_with("is full"));
        let first = outbox.pop().expect("queued");
        assert!(outbox.push(9, String::new()).is_err(), "what is under way still counts");
        outbox.settled(first.bytes);
        outbox.push(9, String::new()).expect("room again");
        outbox.set_link(Link::Absent);

        outbox.set_link(Link::Connected);
        let half = "x".repeat(UNIT_BYTES_MAX);
        outbox.push(1, half.clone()).expect("one always passes");
        assert!(outbox.push(2, half).expect_err("full").starts_with("is full"));
        assert!(outbox.push(3, "x".repeat(UNIT_BYTES_MAX + 1)).expect_err("long").contains("unit"));
    }
}
