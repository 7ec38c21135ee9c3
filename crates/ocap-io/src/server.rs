//! The task of a channel with a stream: serves one peer at a time, or lets many in, and recovers.

use std::future::pending;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::channel::{Channel, ChannelEvent};
use crate::claims::Claims;
use crate::client::{Client, readable, writable};
use crate::door::{Address, Door, Stream};
use crate::framing::Flow;
use crate::limits::{
    ACCEPT_PAUSE_MS, CHECK_MS, EMPTY_CLIENT_PAUSE_MS, LINGER_MS, READ_CHUNK_BYTES,
};
use crate::outbox::Link;
use crate::reception;
use crate::retry::{Backoff, Retry};
use crate::socket::{Presence, presence};

/// Runs until the channel is closed.
pub(crate) async fn run(
    channel: Arc<Channel>,
    claims: Arc<Claims>,
    home: PathBuf,
    address: Address,
) {
    let mut retry = Retry::new(&claims);
    while !channel.is_closed() {
        retry.begin();
        let refusal = match Door::open(&channel, &claims, &home, &address).await {
            Ok((door, claim)) => {
                retry.succeeded();
                let verb = if door.dials() { "connects to" } else { "listens at" };
                tracing::info!("{} {verb} {}", channel.key, door.place());
                match &channel.lobby {
                    Some(lobby) => reception::serve(&channel, lobby, door).await,
                    None => Server::new(&channel, door).serve().await,
                }
                drop(claim);
                continue;
            }
            Err(refusal) => refusal,
        };
        retry.report_and_wait(&channel, refusal).await;
    }
}

/// One channel while its door is open.
struct Server<'a> {
    channel: &'a Channel,
    /// Absent while the file could not be made anew and a client is still served.
    door: Option<Door>,
    client: Option<Client>,
    /// Arrived when the client was already leaving; its turn comes after the client's last unit.
    next: Option<Stream>,
    /// Nobody is accepted before.
    accept_after: Option<Instant>,
    /// For connections that the kernel makes.
    backoff: Backoff,
    buffer: Vec<u8>,
}

impl<'a> Server<'a> {
    fn new(channel: &'a Channel, door: Door) -> Self {
        Server {
            channel,
            door: Some(door),
            client: None,
            next: None,
            accept_after: None,
            backoff: Backoff::new(),
            buffer: vec![0; READ_CHUNK_BYTES],
        }
    }

    /// Returns when the channel is closed, or when it cannot listen any more.
    async fn serve(mut self) {
        let channel = self.channel;
        channel.set_link(Link::Absent);
        if !self.dials() {
            channel.emit(ChannelEvent::Listening);
        }
        let mut check = interval(Duration::from_millis(CHECK_MS));
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.advance();
            if channel.is_closed() {
                return self.finish();
            }
            if self.door.is_none() && self.client.is_none() {
                return;
            }
            let client = self.client.as_ref();
            let reads = client.is_some_and(|client| client.flow == Flow::Input);
            let writes = client.is_some_and(|client| client.has_writes(channel));
            let linger = client.and_then(|client| client.linger);
            let free = client.is_none() || !self.dials();
            let accepts = free && self.next.is_none() && self.accept_after.is_none();
            tokio::select! {
                () = channel.closed() => {}
                accepted = next_peer(self.door.as_mut()), if accepts => self.arrive(accepted),
                _ = readable(client), if reads => {
                    if let Some(client) = &mut self.client {
                        client.read(channel, &mut self.buffer);
                    }
                }
                _ = writable(client), if writes => {
                    if let Some(client) = &mut self.client && !client.write(channel) {
                        client.refuse_writes(channel);
                    }
                }
                () = channel.written.notified() => {}
                () = channel.consumed.notified() => {}
                () = until(linger) => {
                    // What the peer does not take in all that time is not going to be taken.
                    self.leave();
                }
                () = until(self.accept_after) => self.accept_after = None,
                _ = check.tick() => self.check().await,
            }
        }
    }

    /// Does everything that can be done without waiting.
    fn advance(&mut self) {
        let channel = self.channel;
        loop {
            let Some(client) = &mut self.client else {
                match self.next.take() {
                    Some(stream) => self.adopt(stream),
                    None => return,
                }
                continue;
            };
            if !client.finished {
                client.flow = client.inbound.deliver(channel);
                match client.flow {
                    Flow::Input | Flow::Room => return,
                    Flow::Ended => {}
                }
                client.finished = true;
                if channel.reads() {
                    channel.emit(ChannelEvent::End);
                }
            }
            let gone = !client.takes_writes || presence(&client.stream) == Presence::Gone;
            if gone || self.next.is_some() {
                self.leave();
                continue;
            }
            if client.linger.is_none() && channel.reads() && channel.is_consumed() {
                client.linger = Some(Instant::now() + Duration::from_millis(LINGER_MS));
            }
            return;
        }
    }

    /// Whether the kernel makes the connections.
    fn dials(&self) -> bool {
        self.door.as_ref().is_some_and(Door::dials)
    }

    fn adopt(&mut self, stream: Stream) {
        self.client = Some(Client::new(stream, self.channel));
        self.channel.set_link(Link::Connected);
        self.channel.emit(ChannelEvent::Connected);
    }

    /// The client goes, and with it what was written for it.
    fn leave(&mut self) {
        let Some(mut client) = self.client.take() else { return };
        client.refuse_writes(self.channel);
        if self.dials() {
            return self.dial_later(client.inbound.any_bytes());
        }
        if !client.inbound.any_bytes() {
            self.accept_after = Some(Instant::now() + Duration::from_millis(EMPTY_CLIENT_PAUSE_MS));
        }
        if self.next.is_none() && self.door.is_some() {
            self.channel.emit(ChannelEvent::Listening);
        }
    }

    /// A connection has ended. One that was of use is made anew soon, others less and less so.
    fn dial_later(&mut self, was_of_use: bool) {
        if was_of_use {
            self.backoff.reset();
        }
        let delay = self.backoff.next();
        self.accept_after = Some(Instant::now() + delay);
        self.channel.connecting(None, delay);
    }

    fn arrive(&mut self, accepted: io::Result<Stream>) {
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) if self.dials() => {
                let place = self.door.as_ref().map(Door::place).unwrap_or_default();
                let delay = self.backoff.next();
                let reason = format!("cannot connect to {place}: {error}");
                tracing::debug!("{}: {reason}", self.channel.key);
                self.channel.connecting(Some(reason), delay);
                self.accept_after = Some(Instant::now() + delay);
                return;
            }
            Err(error) => {
                tracing::warn!("{}: cannot accept a client: {error}", self.channel.key);
                self.accept_after = Some(Instant::now() + Duration::from_millis(ACCEPT_PAUSE_MS));
                return;
            }
        };
        // A client that has ended may still have units to be read; the new one waits for them.
        let busy = self
            .client
            .as_ref()
            .is_some_and(|client| !client.finished && presence(&client.stream) == Presence::Full);
        if busy {
            tracing::debug!("{}: a second client is turned away", self.channel.key);
        } else {
            self.next = Some(stream);
        }
    }

    /// Makes the socket file anew if somebody removed it, and notices a client that left silently.
    async fn check(&mut self) {
        if let Some(client) = &mut self.client
            && client.takes_writes
            && presence(&client.stream) == Presence::Gone
        {
            client.refuse_writes(self.channel);
        }
        if let Some(door) = self.door.take() {
            self.door = door.renewed(&self.channel.key).await;
        }
    }

    /// The channel is closed: hands over what needs no waiting.
    fn finish(&mut self) {
        if let Some(client) = &mut self.client {
            while client.takes_writes && client.has_writes(self.channel) {
                let before = client.outgoing.as_ref().map(|out| (out.call, out.written));
                if !client.write(self.channel) {
                    break;
                }
                let after = client.outgoing.as_ref().map(|out| (out.call, out.written));
                if after.is_some() && before == after {
                    break;
                }
            }
            client.refuse_writes(self.channel);
        }
        self.channel.reject_queued();
    }
}

async fn next_peer(door: Option<&mut Door>) -> io::Result<Stream> {
    match door {
        Some(door) => door.next_peer().await,
        None => pending().await,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}
