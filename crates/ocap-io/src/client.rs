//! One connected peer: reading what it sends into units, writing what it is to get.

use std::future::pending;
use std::io;

use tokio::time::Instant;

use crate::channel::Channel;
use crate::door::Stream;
use crate::framing::{Flow, Inbound};
use crate::limits::WRITES_PER_TURN;
use crate::outbox::{Link, Outgoing};

/// A client, and how far its two directions have come.
pub(crate) struct Client {
    pub(crate) stream: Stream,
    pub(crate) inbound: Inbound,
    pub(crate) flow: Flow,
    /// Its end has been reported.
    pub(crate) finished: bool,
    pub(crate) outgoing: Option<Outgoing>,
    /// Whether writes can still reach it.
    pub(crate) takes_writes: bool,
    /// When it is given up, once it is only written to.
    pub(crate) linger: Option<Instant>,
}

impl Client {
    pub(crate) fn new(stream: Stream, channel: &Channel) -> Self {
        Client {
            stream,
            inbound: Inbound::new(channel.unit, channel.bounds.unit_bytes),
            flow: Flow::Input,
            finished: false,
            outgoing: None,
            takes_writes: true,
            linger: None,
        }
    }

    /// Reads once. An error of the connection is its end: what arrived before it counts.
    pub(crate) fn read(&mut self, channel: &Channel, buffer: &mut [u8]) {
        let count = match self.stream.try_read(buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => {
                tracing::debug!("{}: reading failed: {error}", channel.key);
                0
            }
        };
        // Nobody reads what arrives at a channel that only writes.
        if count == 0 || channel.reads() {
            self.inbound.push(buffer.get(..count).unwrap_or_default());
        }
    }

    /// Writes what the peer takes now. False when the peer takes nothing any more.
    pub(crate) fn write(&mut self, channel: &Channel) -> bool {
        for _ in 0..WRITES_PER_TURN {
            if self.outgoing.is_none() {
                self.outgoing = channel.outbox().pop();
            }
            let Some(outgoing) = &mut self.outgoing else { return true };
            let rest = outgoing.data.get(outgoing.written..).unwrap_or_default();
            match self.stream.try_write(rest) {
                Ok(0) => return false,
                Ok(count) => {
                    outgoing.written += count;
                    self.linger = None;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(error) => {
                    tracing::debug!("{}: writing failed: {error}", channel.key);
                    return false;
                }
            }
            if outgoing.written >= outgoing.data.len()
                && let Some(outgoing) = self.outgoing.take()
            {
                channel.settle(&outgoing, Ok(()));
            }
        }
        true
    }

    /// Nothing can be written to it any more.
    pub(crate) fn refuse_writes(&mut self, channel: &Channel) {
        self.takes_writes = false;
        channel.set_link(Link::Absent);
        if let Some(outgoing) = self.outgoing.take() {
            channel.settle_undeliverable(outgoing);
        }
    }

    pub(crate) fn has_writes(&self, channel: &Channel) -> bool {
        self.takes_writes && (self.outgoing.is_some() || !channel.outbox().is_empty())
    }
}

/// Resolves when the client can be read; never, if there is none.
pub(crate) async fn readable(client: Option<&Client>) -> io::Result<()> {
    match client {
        Some(client) => client.stream.readable().await,
        None => pending().await,
    }
}

/// Resolves when the client can be written to; never, if there is none.
pub(crate) async fn writable(client: Option<&Client>) -> io::Result<()> {
    match client {
        Some(client) => client.stream.writable().await,
        None => pending().await,
    }
}
