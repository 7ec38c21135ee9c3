//! The driver: one thread that owns the core, hands deliveries to workers, feeds the core what comes
//! back, and releases effects once the batch that holds them is durable.
//!
//! Everything reaches it as a value in its inbox or a readable worker socket. It never waits for a
//! vat, a disk or a peer; the one thing it waits for is the next event.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token, Waker};
use ocap_core::Core;
use ocap_core::api::{
    Answer, CallId, ChannelCondition, ChannelEvent, ChannelId, Command, CoreError, Dispatch, Effect,
    Incarnation, Launch, Sealed, Status, Ticket, VatCondition,
};
use ocap_io::{ChannelKey, IoHost};
use ocap_store::StoreError;
use ocap_types::crank::{Fault, FaultKind, Outcome};
use ocap_types::{KCapData, KRef, SubclusterId, VatId};
use ocap_vat::engine::{LogLevel, WorkerInit};
use ocap_vat::frame::{FromWorker, ToWorker};
use tokio::sync::oneshot;

use crate::api::{ErrorKind, KernelError};
use crate::committer::Committer;
use crate::failpoint::{Failpoint, Point};
use crate::services::Services;
use crate::workers::{Heard, Workers};
use crate::{code, limits, settings};

/// Where an answer goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, KernelError>>;

/// What a host asks.
pub(crate) enum Request {
    /// Launch a subcluster whose code has been loaded.
    Launch(Box<Launch>, Reply<Answer>),
    /// Send a message.
    Send(KRef, KCapData, Reply<Answer>),
    /// Start a new incarnation.
    RestartVat(VatId, Reply<Answer>),
    /// End a vat for good.
    TerminateVat(VatId, Reply<()>),
    /// End a subcluster for good.
    TerminateSubcluster(SubclusterId, Reply<()>),
    /// Is a vat's worker there and listening?
    PingVat(VatId, Reply<()>),
    /// The whole kernel at a glance.
    Status(Reply<Status>),
    /// Answer once every channel has been tried and every vat has started or failed.
    Settled(Reply<()>),
    /// Walk over the store and recompute every count.
    Check(Reply<Vec<ocap_core::api::Finding>>),
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
    /// From a kernel service.
    ServiceDone(CallId, Result<KCapData, String>),
}

/// Puts inputs where the driver finds them. Any thread may.
#[derive(Clone)]
pub(crate) struct Inbox {
    sender: mpsc::Sender<Input>,
    waker: Arc<Waker>,
    /// Inputs sent and not yet taken; the waker is only needed when it was zero.
    waiting: Arc<AtomicUsize>,
}

impl Inbox {
    /// Fails if the driver is gone.
    pub(crate) fn put(&self, input: Input) -> Result<(), ()> {
        self.sender.send(input).map_err(|_| ())?;
        if self.waiting.fetch_add(1, Ordering::AcqRel) == 0 {
            let _ = self.waker.wake();
        }
        Ok(())
    }
}

const WAKE: Token = Token(0);
/// Tokens from here on are workers'.
pub(crate) const FIRST_WORKER: usize = 1;

/// What a host is told once a batch is durable.
type AfterCommit = Box<dyn FnOnce(Result<(), KernelError>) + Send>;

/// The poll, and both ends of the inbox.
pub(crate) struct Mailbox {
    poll: Poll,
    receiver: mpsc::Receiver<Input>,
    inbox: Inbox,
}

impl Mailbox {
    /// An empty one.
    pub(crate) fn new() -> std::io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let (sender, receiver) = mpsc::channel();
        let inbox = Inbox { sender, waker, waiting: Arc::new(AtomicUsize::new(0)) };
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
}

/// See the module.
pub(crate) struct Driver {
    core: Core,
    mailbox: Mailbox,
    workers: Workers,
    io: Option<IoHost>,
    services: Services,
    committer: Committer,
    runtime: tokio::runtime::Handle,
    failpoint: Failpoint,
    next_ticket: u64,
    answers: BTreeMap<Ticket, Reply<Answer>>,
    /// To be told when the open batch is durable.
    after_commit: Vec<AfterCommit>,
    /// The batch on its way to the disk, and what follows it.
    committing: Option<(Sealed, Vec<AfterCommit>)>,
    /// Workers whose socket may hold more than was read.
    unread: BTreeSet<VatId>,
    settled_waiters: Vec<Reply<()>>,
    stopping: Vec<Reply<()>>,
    last_watch: Instant,
    last_commit: Instant,
}

/// Everything a driver is made of.
pub(crate) struct Parts {
    pub(crate) core: Core,
    pub(crate) mailbox: Mailbox,
    pub(crate) workers: Workers,
    pub(crate) io: Option<IoHost>,
    pub(crate) services: Services,
    pub(crate) committer: Committer,
    pub(crate) runtime: tokio::runtime::Handle,
}

impl Driver {
    /// A driver for an opened core, whose boot has been done but not yet committed.
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { core, mailbox, workers, io, services, committer, runtime } = parts;
        Driver {
            core,
            mailbox,
            workers,
            io,
            services,
            committer,
            runtime,
            failpoint: Failpoint::from_env(),
            next_ticket: 1,
            answers: BTreeMap::new(),
            after_commit: Vec::new(),
            committing: None,
            unread: BTreeSet::new(),
            settled_waiters: Vec::new(),
            stopping: Vec::new(),
            last_watch: Instant::now(),
            last_commit: Instant::now(),
        }
    }

    /// Runs until somebody asks to stop, or the store fails. Everything is closed when it returns.
    pub(crate) fn run(mut self) -> Result<(), KernelError> {
        let result = self.turn_until_stopped();
        // What has been done and not yet written is written; cranks in flight are simply not done.
        let result = result.and_then(|()| self.drain_commits());
        self.workers.stop_all();
        if let Some(io) = &self.io {
            self.runtime.block_on(io.close_all());
        }
        let stopped = || KernelError::new(ErrorKind::Stopped, "the kernel has stopped");
        for reply in std::mem::take(&mut self.answers).into_values() {
            let _ = reply.send(Err(stopped()));
        }
        for reply in std::mem::take(&mut self.settled_waiters) {
            let _ = reply.send(Err(stopped()));
        }
        // The store is closed and its lock free before anybody hears that the kernel has stopped.
        let waiting = std::mem::take(&mut self.stopping);
        drop(self);
        for reply in waiting {
            let _ = reply.send(result.clone());
        }
        result
    }

    fn turn_until_stopped(&mut self) -> Result<(), KernelError> {
        let mut events = Events::with_capacity(1024);
        self.advance()?;
        while self.stopping.is_empty() {
            let timeout = self.timeout();
            if let Err(error) = self.mailbox.poll.poll(&mut events, timeout) {
                if error.kind() != std::io::ErrorKind::Interrupted {
                    return Err(KernelError::new(ErrorKind::Failed, error.to_string()));
                }
            }
            for event in &events {
                if let Some(vat) = self.workers.vat_of(event.token()) {
                    if event.is_writable() {
                        self.workers.flush(vat);
                    }
                    self.unread.insert(vat);
                }
            }
            self.take_inputs()?;
            self.read_workers()?;
            self.watch()?;
            self.advance()?;
        }
        Ok(())
    }

    /// How long there is nothing to do unless an event comes.
    fn timeout(&self) -> Option<Duration> {
        if !self.unread.is_empty() || self.mailbox.inbox.waiting.load(Ordering::Acquire) > 0 {
            return Some(Duration::ZERO);
        }
        let watch = self.workers.busy().then_some(limits::WATCH_INTERVAL_MS);
        let quiet = self.core.has_unsealed().then_some(limits::QUIET_COMMIT_MS);
        watch.into_iter().chain(quiet).min().map(Duration::from_millis)
    }

    fn take_inputs(&mut self) -> Result<(), KernelError> {
        for _ in 0..limits::INBOX_BATCH {
            let Ok(input) = self.mailbox.receiver.try_recv() else { break };
            self.mailbox.inbox.waiting.fetch_sub(1, Ordering::AcqRel);
            match input {
                Input::Request(request) => self.request(request)?,
                Input::Channel(key, event) => self.channel(key, event)?,
                Input::Committed(seq, result) => self.committed(seq, result)?,
                Input::ServiceDone(call, result) => {
                    self.core.service_done(call, result).map_err(fatal)?;
                }
            }
        }
        Ok(())
    }

    fn request(&mut self, request: Request) -> Result<(), KernelError> {
        match request {
            Request::Launch(launch, reply) => {
                self.ticketed(reply, |core, ticket| core.launch(ticket, *launch).map(|_| ()))
            }
            Request::Send(target, methargs, reply) => {
                self.ticketed(reply, |core, ticket| core.send(ticket, target, methargs))
            }
            Request::RestartVat(vat, reply) => {
                self.ticketed(reply, |core, ticket| core.restart_vat(ticket, vat))
            }
            Request::TerminateVat(vat, reply) => {
                self.durable(reply, |core| core.terminate_vat(vat))
            }
            Request::TerminateSubcluster(id, reply) => {
                self.durable(reply, |core| core.terminate_subcluster(id))
            }
            Request::PingVat(vat, reply) => {
                let result = self.ping(vat)?;
                let _ = reply.send(result);
                Ok(())
            }
            Request::Status(reply) => {
                let status = self.core.status().map_err(fatal)?;
                let _ = reply.send(Ok(status));
                Ok(())
            }
            Request::Settled(reply) => {
                self.settled_waiters.push(reply);
                Ok(())
            }
            Request::Check(reply) => {
                let findings = self.core.check().map_err(fatal)?;
                let _ = reply.send(Ok(findings));
                Ok(())
            }
            Request::Stop(reply) => {
                self.stopping.push(reply);
                Ok(())
            }
        }
    }

    /// A turn whose answer the core gives later, as an effect.
    fn ticketed(
        &mut self,
        reply: Reply<Answer>,
        turn: impl FnOnce(&mut Core, Ticket) -> Result<(), CoreError>,
    ) -> Result<(), KernelError> {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        match turn(&mut self.core, ticket) {
            Ok(()) => {
                self.answers.insert(ticket, reply);
                Ok(())
            }
            Err(error) => refuse(error, reply),
        }
    }

    /// A turn that is answered once it is durable.
    fn durable(
        &mut self,
        reply: Reply<()>,
        turn: impl FnOnce(&mut Core) -> Result<(), CoreError>,
    ) -> Result<(), KernelError> {
        match turn(&mut self.core) {
            Ok(()) => {
                self.after_commit.push(Box::new(move |result| {
                    let _ = reply.send(result);
                }));
                Ok(())
            }
            Err(error) => refuse(error, reply),
        }
    }

    fn ping(&mut self, vat: VatId) -> Result<Result<(), KernelError>, KernelError> {
        let status = self.core.status().map_err(fatal)?;
        let Some(found) = status.vats.iter().find(|v| v.id == vat) else {
            return Ok(Err(KernelError::new(ErrorKind::NotFound, "Vat does not exist.")));
        };
        Ok(match &found.condition {
            VatCondition::Running if self.workers.has(vat, found.incarnation) => Ok(()),
            VatCondition::Running | VatCondition::Starting => {
                Err(KernelError::new(ErrorKind::Rejected, format!("vat {vat} is starting")))
            }
            VatCondition::Failed { reason } | VatCondition::Suspended { reason } => {
                let message = format!("vat {vat} does not run: {reason}");
                Err(KernelError::new(ErrorKind::Rejected, message))
            }
        })
    }

    fn channel(&mut self, key: ChannelKey, event: ocap_io::ChannelEvent) -> Result<(), KernelError> {
        let channel = ChannelId { subcluster: key.subcluster, name: key.name };
        let event = match event {
            ocap_io::ChannelEvent::Listening => ChannelEvent::Listening,
            ocap_io::ChannelEvent::Connected => ChannelEvent::Connected,
            ocap_io::ChannelEvent::Unit(unit) => ChannelEvent::Unit(unit),
            ocap_io::ChannelEvent::End => ChannelEvent::End,
            ocap_io::ChannelEvent::Unavailable { reason, retry_ms } => {
                tracing::warn!(%channel, %reason, "channel unavailable");
                ChannelEvent::Unavailable { reason, retry_ms }
            }
            ocap_io::ChannelEvent::WriteDone { call, result } => {
                let result = result.map(|()| KCapData::without_slots("#\"#undefined\""));
                return self.core.service_done(CallId(call), result).map_err(fatal);
            }
        };
        self.core.channel_event(&channel, event).map_err(fatal)
    }

    fn read_workers(&mut self) -> Result<(), KernelError> {
        for vat in std::mem::take(&mut self.unread) {
            let (heard, more) = self.workers.read(vat);
            let incarnation = self.workers.incarnation(vat);
            for item in heard {
                // Settling one frame may end this worker; what else it said is then void.
                if self.workers.incarnation(vat) != incarnation {
                    break;
                }
                match item {
                    Heard::Frame(frame) => self.frame(vat, frame)?,
                    Heard::Lost(fault) => self.lost(vat, fault)?,
                }
            }
            if more && self.workers.incarnation(vat) == incarnation {
                self.unread.insert(vat);
            }
        }
        Ok(())
    }

    fn frame(&mut self, vat: VatId, frame: FromWorker) -> Result<(), KernelError> {
        match frame {
            FromWorker::Done(report) => match self.workers.end(vat) {
                Some(crank) => self.settle(crank, Outcome::Done(report)),
                None => self.protocol_broken(vat, "an outcome of no delivery"),
            },
            FromWorker::Fault(fault) => self.lost(vat, fault),
            FromWorker::Get { key } => {
                let value = self.core.vatstore_get(vat, &key).map_err(fatal)?;
                self.tell(vat, &ToWorker::Got(value))
            }
            FromWorker::NextKey { prior } => {
                let next = self.core.vatstore_next_key(vat, &prior).map_err(fatal)?;
                self.tell(vat, &ToWorker::Got(next))
            }
            FromWorker::Log { level, message } => {
                log_line(vat, level, &message);
                Ok(())
            }
            FromWorker::LoadModule { .. } | FromWorker::Collected(_) => {
                self.protocol_broken(vat, "a loader's frame from a vat")
            }
        }
    }

    /// Sends a frame; a worker that cannot be sent it has faulted.
    fn tell(&mut self, vat: VatId, frame: &ToWorker) -> Result<(), KernelError> {
        match self.workers.send(vat, frame) {
            Ok(()) => Ok(()),
            Err(fault) => self.lost(vat, fault),
        }
    }

    fn protocol_broken(&mut self, vat: VatId, what: &str) -> Result<(), KernelError> {
        let detail = format!("the worker broke the protocol: {what}");
        self.lost(vat, Fault { kind: FaultKind::Protocol, detail })
    }

    fn settle(
        &mut self,
        crank: ocap_core::api::CrankId,
        outcome: Outcome,
    ) -> Result<(), KernelError> {
        self.core.settle(crank, outcome).map_err(fatal)?;
        self.obey();
        Ok(())
    }

    /// A worker is gone or must go. Its first crank in flight failed; those behind it are not done.
    fn lost(&mut self, vat: VatId, fault: Fault) -> Result<(), KernelError> {
        let Some(incarnation) = self.workers.incarnation(vat) else { return Ok(()) };
        tracing::warn!(%vat, kind = ?fault.kind, detail = %fault.detail, "vat fault");
        let cranks = self.workers.stop(vat, Some(incarnation));
        match cranks.first() {
            Some(crank) => self.core.settle(*crank, Outcome::Fault(fault)).map_err(fatal)?,
            None => self.core.worker_lost(vat, incarnation, &fault).map_err(fatal)?,
        }
        self.obey();
        Ok(())
    }

    /// Does what the core wants done at once.
    fn obey(&mut self) {
        for command in self.core.take_commands() {
            match command {
                Command::StopWorker { vat, incarnation } => {
                    self.workers.stop(vat, Some(incarnation));
                }
            }
        }
    }

    fn watch(&mut self) -> Result<(), KernelError> {
        if self.last_watch.elapsed() < Duration::from_millis(limits::WATCH_INTERVAL_MS) {
            return Ok(());
        }
        self.last_watch = Instant::now();
        for (vat, fault) in self.workers.overrun() {
            self.lost(vat, fault)?;
        }
        Ok(())
    }

    /// Hands out what can be handed out, and commits what should be committed.
    fn advance(&mut self) -> Result<(), KernelError> {
        self.obey();
        let mut idle = false;
        for _ in 0..limits::DISPATCH_BATCH {
            let Some(dispatch) = self.core.dispatch().map_err(fatal)? else {
                idle = true;
                break;
            };
            self.deliver(dispatch)?;
            self.obey();
        }
        if !idle {
            // More to hand out: come back at once, after the inbox has had its turn.
            let _ = self.mailbox.inbox.waker.wake();
        }
        self.commit_if_due()?;
        self.answer_settled()
    }

    fn deliver(&mut self, dispatch: Dispatch) -> Result<(), KernelError> {
        let Dispatch { crank, vat, incarnation, delivery, start } = dispatch;
        if let Some(info) = start {
            if let Err(fault) = self.start_worker(vat, incarnation, &info)? {
                return self.settle(crank, Outcome::Fault(fault));
            }
        } else if !self.workers.has(vat, incarnation) {
            let detail = "the worker is gone".to_owned();
            return self.settle(crank, Outcome::Fault(Fault { kind: FaultKind::Crash, detail }));
        }
        self.workers.begin(vat, crank);
        self.tell(vat, &ToWorker::Deliver(delivery))
    }

    fn start_worker(
        &mut self,
        vat: VatId,
        incarnation: Incarnation,
        info: &ocap_core::api::StartInfo,
    ) -> Result<Result<(), Fault>, KernelError> {
        let crash = |detail: String| Ok(Err(Fault { kind: FaultKind::Crash, detail }));
        let Some(text) = self.core.code(&info.code).map_err(fatal)? else {
            return crash("its code is missing from the store".into());
        };
        let code = match code::decode(&text) {
            Ok(code) => code,
            Err(problem) => return crash(problem),
        };
        let limits = settings::limits_of(&info.config);
        if let Err(error) = self.workers.start(vat, incarnation, limits) {
            return crash(format!("no worker could be started: {error}"));
        }
        let globals = info.config.globals.clone().unwrap_or_default();
        let name = info.name.clone();
        let init = WorkerInit { vat: vat.to_string(), name, code, globals, limits };
        Ok(self.workers.send(vat, &ToWorker::Init(Box::new(init))))
    }

    /// One batch is on its way to the disk at a time; the next is taken when somebody waits for it,
    /// or when nothing else is left to do.
    fn commit_if_due(&mut self) -> Result<(), KernelError> {
        if self.committing.is_some() {
            return Ok(());
        }
        let awaited = self.core.has_unsealed_effects() || !self.after_commit.is_empty();
        let quiet = self.last_commit.elapsed() >= Duration::from_millis(limits::QUIET_COMMIT_MS);
        if awaited || (self.core.has_unsealed() && quiet) {
            self.commit()?;
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), KernelError> {
        self.last_commit = Instant::now();
        let after = std::mem::take(&mut self.after_commit);
        let Some(sealed) = self.core.seal() else {
            for tell in after {
                tell(Ok(()));
            }
            return Ok(());
        };
        if sealed.batch.writes.is_empty() {
            self.core.committed(sealed.batch.seq);
            return self.release(sealed, after);
        }
        self.committer.commit(Arc::clone(&sealed.batch));
        self.committing = Some((sealed, after));
        Ok(())
    }

    fn committed(&mut self, seq: u64, result: Result<(), StoreError>) -> Result<(), KernelError> {
        let Some((sealed, after)) = self.committing.take() else { return Ok(()) };
        match result {
            Ok(()) => {
                debug_assert_eq!(seq, sealed.batch.seq, "commits end in the order they began");
                self.core.committed(seq);
                self.release(sealed, after)
            }
            Err(error) => {
                // Its outcome is unknown until the store is opened again: release nothing, stop.
                // The next boot goes on from whatever is on the disk.
                let error = fatal(CoreError::Store(error));
                for tell in after {
                    tell(Err(error.clone()));
                }
                Err(error)
            }
        }
    }

    /// The batch is durable: what it holds may leave.
    fn release(&mut self, sealed: Sealed, after: Vec<AfterCommit>) -> Result<(), KernelError> {
        for effect in sealed.effects {
            self.effect(effect);
        }
        for tell in after {
            tell(Ok(()));
        }
        self.failpoint.pass(Point::AfterRelease);
        Ok(())
    }

    fn effect(&mut self, effect: Effect) {
        let key = |channel: ChannelId| ChannelKey {
            subcluster: channel.subcluster,
            name: channel.name,
        };
        match effect {
            Effect::Answer { ticket, answer } => {
                if let Some(reply) = self.answers.remove(&ticket) {
                    let _ = reply.send(Ok(answer));
                }
            }
            Effect::ServiceCall { call, service, methargs, caller } => {
                self.services.call(call, &service, methargs, caller, &self.mailbox.inbox);
            }
            Effect::OpenChannel { channel, config } => {
                if let Some(io) = &self.io {
                    io.open(key(channel), &config);
                }
            }
            Effect::WriteChannel { call, channel, data } => {
                if let Some(io) = &self.io {
                    io.write(&key(channel), call.0, data);
                }
            }
            Effect::ChannelConsumed { channel, units, bytes } => {
                if let Some(io) = &self.io {
                    io.consumed(&key(channel), units, bytes);
                }
            }
            Effect::CloseChannel { channel } => {
                if let Some(io) = &self.io {
                    io.close(&key(channel));
                }
            }
        }
    }

    /// At the end: writes what is left and releases it.
    fn drain_commits(&mut self) -> Result<(), KernelError> {
        loop {
            while self.committing.is_some() {
                match self.mailbox.receiver.recv() {
                    Ok(Input::Committed(seq, result)) => self.committed(seq, result)?,
                    Ok(Input::Request(request)) => refuse_request(request),
                    Ok(_) => {}
                    Err(_) => {
                        let message = "the commit thread is gone";
                        return Err(KernelError::new(ErrorKind::Failed, message));
                    }
                }
            }
            if !self.core.has_unsealed() && !self.core.has_unsealed_effects() && self.after_commit.is_empty() {
                return Ok(());
            }
            self.commit()?;
        }
    }

    fn answer_settled(&mut self) -> Result<(), KernelError> {
        if self.settled_waiters.is_empty() {
            return Ok(());
        }
        let status = self.core.status().map_err(fatal)?;
        let starting = status.vats.iter().any(|v| v.condition == VatCondition::Starting);
        let opening = status.channels.iter().any(|c| c.condition == ChannelCondition::Opening);
        if !starting && !opening {
            for reply in self.settled_waiters.drain(..) {
                let _ = reply.send(Ok(()));
            }
        }
        Ok(())
    }
}

/// Errors that end the kernel; anything else is a mistake in the driver, and ends it too.
fn fatal(error: CoreError) -> KernelError {
    KernelError::new(ErrorKind::Failed, error.to_string())
}

/// Answers a refused turn. Only a failing store ends the kernel.
fn refuse<T>(error: CoreError, reply: Reply<T>) -> Result<(), KernelError> {
    let kind = match &error {
        CoreError::VatNotFound(_) | CoreError::SubclusterNotFound(_) => ErrorKind::NotFound,
        CoreError::Limit(_) => ErrorKind::Limit,
        CoreError::Store(_) | CoreError::Corrupt { .. } => {
            let error = fatal(error);
            let _ = reply.send(Err(error.clone()));
            return Err(error);
        }
        _ => ErrorKind::Invalid,
    };
    let _ = reply.send(Err(KernelError::new(kind, error.to_string())));
    Ok(())
}

/// Requests that arrive while the kernel stops.
fn refuse_request(request: Request) {
    // Dropping the reply tells the caller that the kernel has stopped.
    drop(request);
}

fn log_line(vat: VatId, level: LogLevel, message: &str) {
    let mut end = message.len().min(limits::LOG_LINE_BYTES_MAX);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    let message = &message[..end];
    match level {
        LogLevel::Debug => tracing::debug!(target: "ocap::vat", %vat, "{message}"),
        LogLevel::Info => tracing::info!(target: "ocap::vat", %vat, "{message}"),
        LogLevel::Warn => tracing::warn!(target: "ocap::vat", %vat, "{message}"),
        LogLevel::Error => tracing::error!(target: "ocap::vat", %vat, "{message}"),
    }
}
