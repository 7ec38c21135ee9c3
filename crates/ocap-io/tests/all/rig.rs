//! A host whose events can be awaited, and clients of its sockets.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ocap_io::{ChannelEvent, ChannelKey, Console, IoHost};
use ocap_types::SubclusterId;
use ocap_types::config::{IoConfig, IoDirection, IoKind};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// Far longer than anything here takes; only a hang reaches it.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) async fn patiently<T>(what: &str, future: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(PATIENCE, future).await;
    ended.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

pub(crate) fn key(name: &str) -> ChannelKey {
    ChannelKey::new(SubclusterId(1), name)
}

pub(crate) fn socket(path: &str) -> IoConfig {
    IoConfig::new(IoKind::Socket { path: path.to_owned() })
}

pub(crate) fn console() -> IoConfig {
    IoConfig::new(IoKind::Console)
}

pub(crate) fn directed(config: IoConfig, direction: IoDirection) -> IoConfig {
    IoConfig { direction: Some(direction), ..config }
}

pub(crate) fn unit(text: &str) -> ChannelEvent {
    ChannelEvent::Unit(text.to_owned())
}

pub(crate) fn done(call: u64) -> ChannelEvent {
    ChannelEvent::WriteDone { call, result: Ok(()) }
}

pub(crate) struct Rig {
    pub(crate) host: IoHost,
    pub(crate) home: PathBuf,
    _folder: Option<TempDir>,
    events: mpsc::UnboundedReceiver<(ChannelKey, ChannelEvent)>,
    seen: HashMap<ChannelKey, VecDeque<ChannelEvent>>,
}

impl Rig {
    pub(crate) fn new() -> Rig {
        Rig::with_console(Console::Unavailable("no console in this test".to_owned()))
    }

    pub(crate) fn with_console(console: Console) -> Rig {
        let folder = tempfile::Builder::new().prefix("io").tempdir().expect("a folder");
        let home = folder.path().to_owned();
        Rig { _folder: Some(folder), ..Rig::at(&home, console) }
    }

    /// A second kernel in the same home.
    pub(crate) fn at(home: &Path, console: Console) -> Rig {
        let (sender, events) = mpsc::unbounded_channel();
        let sink = Arc::new(move |key, event| {
            let _ = sender.send((key, event));
        });
        let host = IoHost::new(Handle::current(), home.to_owned(), console, sink);
        Rig { host, home: home.to_owned(), _folder: None, events, seen: HashMap::new() }
    }

    /// A host that listens at `x.sock` as channel "x".
    pub(crate) async fn listening() -> Rig {
        let mut rig = Rig::new();
        rig.host.open(key("x"), &socket("x.sock"));
        rig.expect("x", ChannelEvent::Listening).await;
        rig
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    /// The next event of a channel, nothing consumed.
    pub(crate) async fn event(&mut self, name: &str) -> ChannelEvent {
        self.event_of(&key(name)).await
    }

    /// The same, also of connections.
    pub(crate) async fn event_of(&mut self, wanted: &ChannelKey) -> ChannelEvent {
        loop {
            if let Some(event) = self.seen.entry(wanted.clone()).or_default().pop_front() {
                return event;
            }
            let (key, event) =
                patiently("an event", self.events.recv()).await.expect("the sink lives");
            self.seen.entry(key).or_default().push_back(event);
        }
    }

    pub(crate) async fn expect(&mut self, name: &str, wanted: ChannelEvent) {
        assert_eq!(self.event(name).await, wanted);
    }

    pub(crate) async fn expect_of(&mut self, key: &ChannelKey, wanted: ChannelEvent) {
        assert_eq!(self.event_of(key).await, wanted, "{key}");
    }

    /// The next event is a unit, which is consumed.
    pub(crate) async fn read(&mut self, name: &str) -> String {
        self.read_of(&key(name)).await
    }

    /// The same, also of connections.
    pub(crate) async fn read_of(&mut self, key: &ChannelKey) -> String {
        match self.event_of(key).await {
            ChannelEvent::Unit(unit) => {
                self.host.consumed(key, 1, unit.len() as u64);
                unit
            }
            other => panic!("expected a unit of {key}, got {other:?}"),
        }
    }

    /// The next event is something that is no unit, which is consumed.
    pub(crate) async fn bad(&mut self, name: &str) -> String {
        match self.event(name).await {
            ChannelEvent::Bad(why) => {
                self.host.consumed(&key(name), 1, 0);
                why
            }
            other => panic!("expected what is no unit, got {other:?}"),
        }
    }

    /// The next event that is not about retries (whose number depends on the clock).
    pub(crate) async fn recovered(&mut self, name: &str) -> ChannelEvent {
        loop {
            match self.event(name).await {
                ChannelEvent::Unavailable { .. } | ChannelEvent::Connecting { .. } => {}
                other => return other,
            }
        }
    }

    /// The next event is that nobody is at the other end; what the last attempt came to.
    pub(crate) async fn connecting(&mut self, name: &str) -> Option<String> {
        match self.event(name).await {
            ChannelEvent::Connecting { reason, .. } => reason,
            other => panic!("expected an absent peer, got {other:?}"),
        }
    }

    /// The next event is that it cannot serve, and will try again.
    pub(crate) async fn unavailable(&mut self, name: &str) -> String {
        match self.event(name).await {
            ChannelEvent::Unavailable { reason, retry_ms: Some(_) } => reason,
            other => panic!("expected a passing obstacle, got {other:?}"),
        }
    }

    pub(crate) fn write(&self, name: &str, call: u64, data: &str) {
        self.host.write(&key(name), call, vec![data.to_owned()]);
    }

    /// The next event is the refusal of a write.
    pub(crate) async fn refusal(&mut self, name: &str, wanted: u64) -> String {
        match self.event(name).await {
            ChannelEvent::WriteDone { call, result: Err(why) } if call == wanted => why,
            other => panic!("expected the refusal of {wanted}, got {other:?}"),
        }
    }

    pub(crate) async fn connect(&mut self, name: &str) -> Client {
        let client = Client::connect(&self.path(&format!("{name}.sock"))).await;
        self.expect(name, ChannelEvent::Connected).await;
        client
    }

    /// Events that have arrived by now and were not asked for.
    pub(crate) fn leftovers(&mut self) -> Vec<ChannelEvent> {
        let mut all: Vec<ChannelEvent> = self.seen.drain().flat_map(|(_, events)| events).collect();
        while let Ok((_, event)) = self.events.try_recv() {
            all.push(event);
        }
        all
    }
}

pub(crate) struct Client {
    pub(crate) stream: UnixStream,
}

impl Client {
    pub(crate) async fn connect(path: &Path) -> Client {
        Client { stream: UnixStream::connect(path).await.expect("somebody listens") }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        patiently("the host to take bytes", self.stream.write_all(bytes.as_ref()))
            .await
            .expect("connected");
    }

    pub(crate) async fn receive(&mut self, count: usize) -> String {
        let mut bytes = vec![0; count];
        patiently("bytes from the host", self.stream.read_exact(&mut bytes))
            .await
            .expect("connected");
        String::from_utf8(bytes).expect("UTF-8")
    }

    /// Everything up to the end; a reset counts as one.
    pub(crate) async fn rest(mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = patiently("the end", self.stream.read_to_end(&mut bytes)).await;
        bytes
    }
}
