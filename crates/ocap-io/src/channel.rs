//! What a channel's task and the host share: its name, its room, its writes, its end.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ocap_types::SubclusterId;
use ocap_types::config::{IoConfig, IoDirection, IoUnit, WhenDisconnected};
use tokio::sync::{Notify, watch};

use crate::bounds::{self, Bounds};
use crate::framing::Piece;
use crate::lobby::Lobby;
use crate::outbox::{Accepted, Link, Outbox, Outgoing};

/// A channel: its subcluster and its key in the config's `io`; or one connection of a channel with
/// many clients.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelKey {
    /// Whose it is.
    pub subcluster: SubclusterId,
    /// Its key in `io`.
    pub name: String,
    /// Which connection of it, by the number of its object.
    pub connection: Option<u64>,
}

impl ChannelKey {
    /// A channel itself.
    pub fn new(subcluster: SubclusterId, name: impl Into<String>) -> ChannelKey {
        ChannelKey { subcluster, name: name.into(), connection: None }
    }

    /// The channel of a connection.
    pub(crate) fn listening(&self) -> ChannelKey {
        ChannelKey { connection: None, ..self.clone() }
    }
}

/// As errors and services name it: `io:s1:repl`, or `io:s1:chat/ko9`.
impl fmt::Display for ChannelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "io:{}:{}", self.subcluster, self.name)?;
        match self.connection {
            Some(number) => write!(f, "/ko{number}"),
            None => Ok(()),
        }
    }
}

/// What happened to a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelEvent {
    /// It is open and waits for a peer. Ends `Unavailable` and `Connected`.
    Listening,
    /// It works, but nobody is at the other end yet, or any more; it is tried again. Ends
    /// `Unavailable` and `Connected`.
    Connecting {
        /// What the last attempt came to, if there was one.
        reason: Option<String>,
        /// Milliseconds until the next.
        retry_ms: u64,
    },
    /// A peer is there. Ends `Unavailable`, `Listening` and `Connecting`.
    Connected,
    /// A unit arrived. Its room, one unit and its length in bytes, is to be given back by
    /// [`IoHost::consumed`](crate::IoHost::consumed).
    Unit(String),
    /// Something arrived that is no unit, for this reason; it stands in the place of one. Its room,
    /// one unit of no bytes, is to be given back likewise.
    Bad(String),
    /// Somebody has connected to a channel with many clients, and waits for
    /// [`IoHost::accept`](crate::IoHost::accept) with this number.
    Arrived(u64),
    /// A connection of a channel with many clients is over, by itself: nothing is said of one that was
    /// [closed](crate::IoHost::close). Nothing follows.
    Gone,
    /// The peer's input ended; its units have all been delivered. Takes no room. The peer may
    /// still be there to be written to until the next `Listening` or `Connected`.
    End,
    /// It cannot serve; this crate goes on trying unless `retry_ms` is absent.
    Unavailable {
        /// For a person: what is wrong, what to do.
        reason: String,
        /// Milliseconds until it is tried again. Absent if nothing short of another config or
        /// another start of the kernel can help.
        retry_ms: Option<u64>,
    },
    /// A write has been handed to the operating system as a whole, or will never be.
    WriteDone {
        /// As given to [`IoHost::write`](crate::IoHost::write).
        call: u64,
        /// The error names the channel and says what is wrong, for the vat.
        result: Result<(), String>,
    },
}

/// Takes events. Called from tokio tasks, in order per channel, so it must return soon: it must
/// not block, nor wait for room in a bounded queue. It may call the host.
pub type EventSink = Arc<dyn Fn(ChannelKey, ChannelEvent) + Send + Sync>;

/// Units handed out and not yet consumed.
#[derive(Debug, Default)]
struct Load {
    units: u64,
    bytes: u64,
}

/// One channel, from `open` to `close`.
pub(crate) struct Channel {
    pub(crate) key: ChannelKey,
    pub(crate) direction: IoDirection,
    pub(crate) unit: IoUnit,
    pub(crate) bounds: Bounds,
    /// Who waits to be accepted, if it has many clients.
    pub(crate) lobby: Option<Lobby>,
    sink: EventSink,
    load: Mutex<Load>,
    outbox: Mutex<Outbox>,
    close: watch::Sender<bool>,
    /// Signalled when units have been consumed.
    pub(crate) consumed: Notify,
    /// Signalled when a write has been accepted.
    pub(crate) written: Notify,
}

impl Channel {
    pub(crate) fn new(key: ChannelKey, config: &IoConfig, sink: EventSink) -> Self {
        let unit = config.unit.unwrap_or(IoUnit::Line);
        let policy = config.when_disconnected.unwrap_or(WhenDisconnected::Reject);
        let direction = config.direction.unwrap_or(IoDirection::Inout);
        Channel::with(key, direction, unit, policy, bounds::CHANNEL, sink)
    }

    /// One connection of this channel, which can be written to at once.
    pub(crate) fn connection(&self, key: ChannelKey) -> Channel {
        let (policy, sink) = (WhenDisconnected::Reject, Arc::clone(&self.sink));
        let connection =
            Channel::with(key, self.direction, self.unit, policy, bounds::CONNECTION, sink);
        connection.set_link(Link::Connected);
        connection
    }

    fn with(
        key: ChannelKey,
        direction: IoDirection,
        unit: IoUnit,
        policy: WhenDisconnected,
        bounds: Bounds,
        sink: EventSink,
    ) -> Self {
        Channel {
            key,
            direction,
            unit,
            bounds,
            lobby: None,
            sink,
            load: Mutex::default(),
            outbox: Mutex::new(Outbox::new(unit, policy, bounds)),
            close: watch::Sender::new(false),
            consumed: Notify::new(),
            written: Notify::new(),
        }
    }

    /// Whether anybody ever reads from it.
    pub(crate) fn reads(&self) -> bool {
        self.direction != IoDirection::Out
    }

    /// Reports an event.
    pub(crate) fn emit(&self, event: ChannelEvent) {
        (self.sink)(self.key.clone(), event);
    }

    /// Reports a piece for which room has been taken.
    pub(crate) fn emit_piece(&self, piece: Piece) {
        self.emit(match piece {
            Piece::Unit(unit) => ChannelEvent::Unit(unit),
            Piece::Bad(why) => ChannelEvent::Bad(format!("IO channel \"{}\" {why}", self.key)),
        });
    }

    /// Takes room for one unit, if there is some.
    pub(crate) fn take_room(&self, bytes: usize) -> bool {
        let mut load = lock(&self.load);
        let (units_after, bytes_after) = (load.units + 1, load.bytes.saturating_add(bytes as u64));
        let fits =
            units_after <= self.bounds.inbound_units && bytes_after <= self.bounds.inbound_bytes;
        let fits = fits || load.units == 0;
        if fits {
            *load = Load { units: units_after, bytes: bytes_after };
        }
        fits
    }

    /// Gives room back.
    pub(crate) fn give_room(&self, units: u64, bytes: u64) {
        let mut load = lock(&self.load);
        load.units = load.units.saturating_sub(units);
        load.bytes = load.bytes.saturating_sub(bytes);
        drop(load);
        self.consumed.notify_one();
    }

    /// Whether every unit handed out has been consumed.
    pub(crate) fn is_consumed(&self) -> bool {
        lock(&self.load).units == 0
    }

    /// The writes; not to be held across anything that waits.
    pub(crate) fn outbox(&self) -> MutexGuard<'_, Outbox> {
        lock(&self.outbox)
    }

    /// Accepts a write for the task to do, or says why not.
    pub(crate) fn write(&self, call: u64, units: Vec<String>) -> Result<Accepted, String> {
        if self.direction == IoDirection::In {
            return Err(format!("IO channel \"{}\" is read-only", self.key));
        }
        let accepted = self.outbox().push(call, units);
        match accepted {
            Ok(accepted) => {
                self.written.notify_one();
                Ok(accepted)
            }
            Err(why) => Err(format!("IO channel \"{}\" {why}", self.key)),
        }
    }

    /// Changes who can be written to; what cannot be written any more is rejected.
    pub(crate) fn set_link(&self, link: Link) {
        let drained = self.outbox().set_link(link);
        self.reject(drained);
    }

    /// Rejects everything not yet written.
    pub(crate) fn reject_queued(&self) {
        let drained = self.outbox().drain();
        self.reject(drained);
    }

    fn reject(&self, drained: Vec<Outgoing>) {
        for outgoing in drained {
            let result = self.undelivered();
            self.emit(ChannelEvent::WriteDone { call: outgoing.call, result });
        }
    }

    /// A write that was taken from the outbox has been handed over, or has failed; the reason is
    /// the end of a sentence that begins with the channel.
    pub(crate) fn settle(&self, outgoing: &Outgoing, result: Result<(), String>) {
        self.outbox().settled(outgoing.bytes);
        let result = result.map_err(|why| format!("IO channel \"{}\" {why}", self.key));
        self.emit(ChannelEvent::WriteDone { call: outgoing.call, result });
    }

    /// What becomes of a write that has nobody to go to.
    fn undelivered(&self) -> Result<(), String> {
        let outbox = self.outbox();
        match outbox.policy() {
            WhenDisconnected::Drop => Ok(()),
            WhenDisconnected::Reject | WhenDisconnected::Wait => {
                Err(format!("IO channel \"{}\" {}", self.key, outbox.complaint()))
            }
        }
    }

    /// A write that was taken from the outbox has nobody to go to. If it may wait and nothing of it
    /// is written, it goes to whoever comes next.
    pub(crate) fn settle_undeliverable(&self, outgoing: Outgoing) {
        let mut outbox = self.outbox();
        let waits = outbox.policy() == WhenDisconnected::Wait && !self.is_closed();
        if waits && outgoing.written == 0 {
            return outbox.put_back(outgoing);
        }
        outbox.settled(outgoing.bytes);
        drop(outbox);
        let mut result = self.undelivered();
        if waits && let Err(why) = &mut result {
            let (written, bytes) = (outgoing.written, outgoing.bytes);
            *why = format!(
                "IO channel \"{}\" lost its client after {written} of {bytes} bytes",
                self.key
            );
        }
        self.emit(ChannelEvent::WriteDone { call: outgoing.call, result });
    }

    /// Reports that nobody is at the other end.
    pub(crate) fn connecting(&self, reason: Option<String>, retry: Duration) {
        self.set_link(reason.clone().map_or(Link::Absent, Link::Unavailable));
        let retry_ms = retry.as_millis() as u64;
        self.emit(ChannelEvent::Connecting { reason, retry_ms });
    }

    /// Reports that the channel cannot serve.
    pub(crate) fn unavailable(&self, reason: String, retry: Option<Duration>) {
        let link = if retry.is_some() { Link::Unavailable } else { Link::Never };
        self.set_link(link(reason.clone()));
        let retry_ms = retry.map(|delay| delay.as_millis() as u64);
        self.emit(ChannelEvent::Unavailable { reason, retry_ms });
    }

    /// From now on writes are refused and the task ends.
    pub(crate) fn close(&self) {
        self.set_link(Link::Closed);
        self.close.send_replace(true);
    }

    /// Whether it was closed.
    pub(crate) fn is_closed(&self) -> bool {
        *self.close.borrow()
    }

    /// Resolves once it is closed.
    pub(crate) async fn closed(&self) {
        let mut close = self.close.subscribe();
        // The sender is in `self`, so waiting cannot fail.
        let _ = close.wait_for(|closed| *closed).await;
    }
}

/// A lock whose data is valid after every statement, so a panic elsewhere does not spoil it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use ocap_types::config::IoKind;

    use super::*;
    use crate::limits::{INBOUND_BYTES_MAX, INBOUND_UNITS_MAX, UNIT_BYTES_MAX};

    fn channel() -> Channel {
        let key = ChannelKey::new(SubclusterId(1), "x");
        let config = IoConfig::new(IoKind::Console);
        Channel::new(key, &config, Arc::new(|_, _| {}))
    }

    #[test]
    fn room_is_bounded_by_units_even_if_they_are_empty() {
        let channel = channel();
        let taken = (0..INBOUND_UNITS_MAX * 2).filter(|_| channel.take_room(0)).count();
        assert_eq!(taken as u64, INBOUND_UNITS_MAX);
        channel.give_room(1, 0);
        assert!(channel.take_room(0));
        assert!(!channel.take_room(0));
    }

    #[test]
    fn room_is_bounded_by_bytes_and_a_single_unit_always_passes() {
        let channel = channel();
        assert!(channel.take_room(INBOUND_BYTES_MAX as usize + 1));
        assert!(!channel.take_room(0));
        channel.give_room(1, INBOUND_BYTES_MAX + 1);
        let taken = (0..9).filter(|_| channel.take_room(UNIT_BYTES_MAX)).count();
        assert_eq!(taken, 2);
        channel.give_room(u64::MAX, u64::MAX);
        assert!(channel.is_consumed());
    }
}
