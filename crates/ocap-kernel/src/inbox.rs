//! How everything reaches the driver: one inbox, which any thread may put values into.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use mio::{Events, Poll, Token, Waker};
use ocap_core::api::{Answer, CallId, CodeHash, Finding, Incarnation, Launch, Once, Status};
use ocap_io::ChannelKey;
use ocap_store::StoreError;
use ocap_types::{KCapData, KRef, VatId};
use tokio::sync::oneshot;

use crate::api::KernelError;
use crate::driver::Driver;

/// The poll token of the inbox.
const WAKE: Token = Token(0);

/// Where an answer goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, KernelError>>;

/// Something done by the driver.
pub(crate) type Turn = Box<dyn FnOnce(&mut Driver) -> Result<(), KernelError> + Send>;

/// What a host asks.
pub(crate) enum Request {
    /// Launch a subcluster whose code has been loaded.
    Launch(Box<Launch>, Option<Once>, Reply<Answer>),
    /// Send a message.
    Send(KRef, KCapData, Option<Once>, Reply<Answer>),
    /// Wait for a request that may have been accepted.
    Join(Once, Reply<Answer>),
    /// Wait for a promise.
    When(KRef, Reply<Answer>),
    /// Start a new incarnation.
    RestartVat(VatId, Reply<Answer>),
    /// Start a new incarnation with other code.
    ReplaceCode(VatId, CodeHash, Arc<str>, Reply<Answer>),
    /// Do something to the core and answer, both as the sender of this knows.
    Turn(Turn),
    /// Have all vats collect garbage until there is none.
    CollectGarbage(Reply<()>),
    /// Is a vat's worker there and listening?
    PingVat(VatId, Reply<()>),
    /// The whole kernel at a glance.
    Status(Reply<Status>),
    /// Answer once every channel has been tried and every vat has started or failed.
    Settled(Reply<()>),
    /// Answer once nothing is left of vats that have ended.
    Cleared(Reply<()>),
    /// Walk over the store and recompute every count.
    Check(Reply<Vec<Finding>>),
    /// Stop.
    Stop(Reply<()>),
}

/// What reaches the driver.
pub(crate) enum Input {
    /// From a host.
    Request(Request),
    /// From a channel.
    Channel(ChannelKey, ocap_io::ChannelEvent),
    /// From the committer.
    Committed(u64, Result<(), StoreError>),
    /// Whether a vat's worker of this incarnation has the file it asked for.
    Looked(VatId, Incarnation, bool),
    /// From a kernel service.
    ServiceDone(CallId, Result<KCapData, String>),
}

/// Puts inputs where the driver finds them. Any thread may.
#[derive(Clone)]
pub(crate) struct Inbox {
    sender: mpsc::Sender<Input>,
    waker: Arc<Waker>,
    /// Inputs sent and not yet taken.
    waiting: Arc<AtomicUsize>,
    /// Whether the driver may be in its poll, or about to be, without having seen what is sent now:
    /// only then the waker is needed, which is a call of the system.
    asleep: Arc<AtomicBool>,
    /// See [`Inbox::publish`].
    version: Arc<AtomicU64>,
}

impl Inbox {
    /// Says which version of the core is the present one. Before anybody hears of something the
    /// core did, this says a version that has it.
    pub(crate) fn publish(&self, version: u64) {
        self.version.store(version, Ordering::Release);
    }

    /// What was published last.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Fails if the driver is gone.
    pub(crate) fn put(&self, input: Input) -> Result<(), ()> {
        self.sender.send(input).map_err(|_| ())?;
        // In one order for all: either the driver sees the count before it sleeps, or this sees
        // that it does.
        self.waiting.fetch_add(1, Ordering::SeqCst);
        if self.asleep.swap(false, Ordering::SeqCst) {
            let _ = self.waker.wake();
        }
        Ok(())
    }

    /// Makes the driver come back even if nothing is put.
    pub(crate) fn wake(&self) {
        let _ = self.waker.wake();
    }
}

/// The poll, and both ends of the inbox.
pub(crate) struct Mailbox {
    poll: Poll,
    receiver: mpsc::Receiver<Input>,
    pub(crate) inbox: Inbox,
}

impl Mailbox {
    /// An empty one.
    pub(crate) fn new() -> std::io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let (sender, receiver) = mpsc::channel();
        let (waiting, asleep, version) = (Arc::default(), Arc::default(), Arc::default());
        let inbox = Inbox { sender, waker, waiting, asleep, version };
        Ok(Mailbox { poll, receiver, inbox })
    }

    /// For everybody who has something to say to the driver.
    pub(crate) fn inbox(&self) -> Inbox {
        self.inbox.clone()
    }

    /// For the workers' sockets.
    pub(crate) fn registry(&self) -> std::io::Result<mio::Registry> {
        self.poll.registry().try_clone()
    }

    /// Waits for events, at most so long (`None`: for ever), and not at all if an input is waiting.
    pub(crate) fn sleep(
        &mut self,
        events: &mut Events,
        timeout: Option<Duration>,
    ) -> std::io::Result<()> {
        self.inbox.asleep.store(true, Ordering::SeqCst);
        let waiting = self.inbox.waiting.load(Ordering::SeqCst) > 0;
        let timeout = if waiting { Some(Duration::ZERO) } else { timeout };
        let result = self.poll.poll(events, timeout);
        self.inbox.asleep.store(false, Ordering::SeqCst);
        match result {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Ok(()),
            result => result,
        }
    }

    /// The next input, if one is waiting.
    pub(crate) fn take(&self) -> Option<Input> {
        let input = self.receiver.try_recv().ok()?;
        self.inbox.waiting.fetch_sub(1, Ordering::AcqRel);
        Some(input)
    }

    /// The next input. Only for what is certain to come.
    pub(crate) fn wait(&self) -> Option<Input> {
        let input = self.receiver.recv().ok()?;
        self.inbox.waiting.fetch_sub(1, Ordering::AcqRel);
        Some(input)
    }
}
