//! The owner of every channel of one kernel.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ocap_types::config::{IoConfig, IoKind, IoMode};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::channel::{Channel, ChannelEvent, ChannelKey, EventSink, lock};
use crate::claims::Claims;
use crate::connection;
use crate::console::{self, Console, ConsoleSlot};
use crate::door::Address;
use crate::file;
use crate::limits::CLOSE_ALL_MS;
use crate::lobby::{House, Lobby};
use crate::outbox::Accepted;
use crate::server;

/// Opens, feeds and closes channels. Cheap to clone; all clones are the same host.
///
/// No method blocks, and all may be called from any thread; what comes of them is told to the
/// sink. Dropping every clone closes nothing: [`close_all`](IoHost::close_all) does, and so does
/// the end of the runtime.
#[derive(Clone)]
pub struct IoHost {
    inner: Arc<Inner>,
}

struct Inner {
    runtime: Handle,
    home: PathBuf,
    sink: EventSink,
    claims: Arc<Claims>,
    console: Arc<ConsoleSlot>,
    channels: Mutex<Channels>,
    /// Where clients of channels with many have their seats.
    house: Arc<House>,
    /// Answers to writes that no task will see, told to the sink from a task all the same.
    refusals: mpsc::UnboundedSender<(ChannelKey, ChannelEvent)>,
}

#[derive(Default)]
struct Channels {
    open: HashMap<ChannelKey, (Arc<Channel>, JoinHandle<()>)>,
    closing: Vec<JoinHandle<()>>,
}

impl Channels {
    fn close(&mut self, key: &ChannelKey) {
        self.closing.retain(|task| !task.is_finished());
        if let Some((channel, task)) = self.open.remove(key) {
            channel.close();
            self.closing.push(task);
        }
    }

    /// A connection is over.
    fn forget(&mut self, over: &Arc<Channel>) {
        if self.open.get(&over.key).is_some_and(|(channel, _)| Arc::ptr_eq(channel, over)) {
            self.open.remove(&over.key);
        }
    }
}

impl IoHost {
    /// A host without channels. Relative paths lie under `home`, which must exist by the
    /// time one is opened.
    pub fn new(runtime: Handle, home: PathBuf, console: Console, sink: EventSink) -> IoHost {
        let (refusals, mut refused) = mpsc::unbounded_channel();
        let refusal_sink = Arc::clone(&sink);
        runtime.spawn(async move {
            while let Some((key, event)) = refused.recv().await {
                refusal_sink(key, event);
            }
        });
        let inner = Inner {
            runtime,
            home,
            sink,
            claims: Arc::new(Claims::new()),
            console: Arc::new(ConsoleSlot::new(console)),
            channels: Mutex::default(),
            house: Arc::new(House::new()),
            refusals,
        };
        IoHost { inner: Arc::new(inner) }
    }

    /// Opens a channel; leads to [`ChannelEvent::Listening`] or [`ChannelEvent::Unavailable`], and
    /// from then on the channel looks after itself until it is closed. A channel of that key that
    /// is open is closed first.
    pub fn open(&self, key: ChannelKey, config: &IoConfig) {
        let inner = &self.inner;
        let mut channel = Channel::new(key.clone(), config, Arc::clone(&inner.sink));
        if config.has_many_clients() {
            channel.lobby = Some(Lobby::new(Arc::clone(&inner.house)));
        }
        let channel = Arc::new(channel);
        let mut channels = lock(&inner.channels);
        channels.close(&key);
        let task = inner.runtime.spawn({
            let (channel, claims) = (Arc::clone(&channel), Arc::clone(&inner.claims));
            let (home, config) = (inner.home.clone(), config.clone());
            let console = Arc::clone(&inner.console);
            async move {
                let address = match config.kind {
                    IoKind::Console => return console::run(channel, claims, console).await,
                    IoKind::File { path } => return file::run(channel, claims, home, path).await,
                    IoKind::Listen { hostport } => Address::Port(hostport),
                    IoKind::Network { hostport } => Address::DialPort(hostport),
                    IoKind::Socket { path } if config.mode == Some(IoMode::Connect) => {
                        Address::DialSocket(path)
                    }
                    IoKind::Socket { path } => Address::Socket(path),
                };
                server::run(channel, claims, home, address).await;
            }
        });
        channels.open.insert(key, (channel, task));
    }

    /// Begins to serve a client that has [`Arrived`](ChannelEvent::Arrived) at the channel which
    /// `key` is to be a connection of. Leads to [`ChannelEvent::Gone`] when it is over, unless it
    /// is closed before; at once if the client does not wait any more.
    pub fn accept(&self, key: ChannelKey, arrival: u64) {
        let inner = &self.inner;
        let mut channels = lock(&inner.channels);
        let listening = channels.open.get(&key.listening()).map(|(channel, _)| Arc::clone(channel));
        let guest = listening.as_ref().and_then(|at| at.lobby.as_ref()?.take(arrival));
        let (Some(listening), Some(guest)) = (listening, guest) else {
            let _ = inner.refusals.send((key, ChannelEvent::Gone));
            return;
        };
        let channel = Arc::new(listening.connection(key.clone()));
        let task = inner.runtime.spawn({
            let (channel, inner) = (Arc::clone(&channel), Arc::clone(inner));
            async move {
                connection::run(&channel, guest).await;
                lock(&inner.channels).forget(&channel);
            }
        });
        channels.open.insert(key, (channel, task));
    }

    /// Writes units, all or none of them; leads to [`ChannelEvent::WriteDone`] with `call`. A line is
    /// written as it is, newlines inside it included, and a newline is added.
    pub fn write(&self, key: &ChannelKey, call: u64, units: Vec<String>) {
        let channel = lock(&self.inner.channels).open.get(key).map(|(channel, _)| channel.clone());
        let accepted = match channel {
            Some(channel) => channel.write(call, units),
            None => Err(format!("IO channel \"{key}\" is closed")),
        };
        let result = match accepted {
            Ok(Accepted::Queued) => None,
            Ok(Accepted::Dropped) => Some(Ok(())),
            Err(why) => Some(Err(why)),
        };
        if let Some(result) = result {
            let event = ChannelEvent::WriteDone { call, result };
            // Fails only when the runtime has ended, and then nobody listens.
            let _ = self.inner.refusals.send((key.clone(), event));
        }
    }

    /// Units have been read for good: this many, with this many bytes in total (each unit counts
    /// as it was delivered). Their room is free again.
    pub fn consumed(&self, key: &ChannelKey, units: u64, bytes: u64) {
        if let Some((channel, _)) = lock(&self.inner.channels).open.get(key) {
            channel.give_room(units, bytes);
        }
    }

    /// Closes a channel for good: its client sees the end, its socket file is removed. Events that
    /// are already under way may still arrive. Nothing happens if it is not open.
    pub fn close(&self, key: &ChannelKey) {
        lock(&self.inner.channels).close(key);
    }

    /// Closes every channel and waits until each is gone, files included (at most
    /// [`CLOSE_ALL_MS`]).
    pub async fn close_all(&self) {
        let tasks = {
            let mut channels = lock(&self.inner.channels);
            let keys: Vec<ChannelKey> = channels.open.keys().cloned().collect();
            for key in &keys {
                channels.close(key);
            }
            std::mem::take(&mut channels.closing)
        };
        let all = async {
            for task in tasks {
                if let Err(error) = task.await {
                    tracing::error!("a channel ended badly: {error}");
                }
            }
        };
        if tokio::time::timeout(Duration::from_millis(CLOSE_ALL_MS), all).await.is_err() {
            tracing::error!("channels were still closing after {CLOSE_ALL_MS} ms");
        }
    }
}
