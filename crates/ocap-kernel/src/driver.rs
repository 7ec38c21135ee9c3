//! The driver: one thread that owns the core, hands deliveries to workers, feeds the core what comes
//! back, and releases effects once the batch that holds them is durable.
//!
//! Everything reaches it as a value in its inbox or a readable worker socket. It never waits for a
//! vat's code, a disk or a peer; besides the next event it waits, within limits, only for the zygote
//! to fork and for a worker that has closed its socket to say how it ended, and for the store to be
//! opened again when a commit has failed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use mio::Events;
use ocap_core::Core;
use ocap_core::api::{
    Answer, CallId, ChannelCondition, ChannelEvent, ChannelId, Command, CoreError, CrankId,
    Dispatch, Incarnation, Sealed, StartInfo, Ticket, VatCondition,
};
use ocap_io::{ChannelKey, IoHost};
use ocap_types::crank::{Fault, FaultKind, Outcome};
use ocap_types::{KCapData, VatId, smallcaps};
use ocap_vat::engine::{Compiled, LogLevel, VatCode, WorkerInit};
use ocap_vat::frame::{FromWorker, ToWorker};

use crate::api::{ErrorKind, KernelError};
use crate::asks::Asks;
use crate::bytecode::BytecodeCache;
use crate::collection::Collection;
use crate::committer::Committer;
use crate::failpoint::Failpoint;
use crate::inbox::{Input, Mailbox, Reply};
use crate::reach::Reach;
use crate::services::Services;
use crate::store::Store;
use crate::trace::{Cause, End, Trace};
use crate::workers::{Heard, Workers};
use crate::{code, files, limits, settings};

/// Tokens from here on are workers'.
pub(crate) const FIRST_WORKER: usize = 1;

/// What a host is told once a batch is durable.
pub(crate) type AfterCommit = Box<dyn FnOnce(Result<(), KernelError>) + Send>;

/// See the module.
pub(crate) struct Driver {
    pub(crate) core: Core,
    pub(crate) mailbox: Mailbox,
    pub(crate) workers: Workers,
    pub(crate) io: Option<IoHost>,
    pub(crate) store: Store,
    pub(crate) committer: Committer,
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) failpoint: Failpoint,
    pub(crate) next_ticket: u64,
    pub(crate) answers: BTreeMap<Ticket, Reply<Answer>>,
    /// To be told when the open batch is durable.
    pub(crate) after_commit: Vec<AfterCommit>,
    /// The batch on its way to the disk, and what follows it.
    pub(crate) committing: Option<(Sealed, Vec<AfterCommit>)>,
    /// Whether this turn of the loop found anything new.
    pub(crate) eventful: bool,
    /// Turns of the loop for which effects have waited for others to be committed with.
    pub(crate) gathered: u32,
    /// Workers whose socket may hold more than was read.
    pub(crate) unread: BTreeSet<VatId>,
    pub(crate) settled_waiters: Vec<Reply<()>>,
    pub(crate) cleared_waiters: Vec<Reply<()>>,
    pub(crate) services: Services,
    pub(crate) asks: Asks,
    /// Globals vats may have; all if `None`.
    pub(crate) allowed_globals: Option<Vec<String>>,
    /// What relative folders of vats lie under.
    pub(crate) home: PathBuf,
    pub(crate) bytecode: BytecodeCache,
    pub(crate) collection: Option<Collection>,
    pub(crate) stopping: Vec<Reply<()>>,
    pub(crate) last_watch: Instant,
    pub(crate) last_commit: Instant,
    /// When the batch on its way last found the disk full, if it did.
    pub(crate) full_since: Option<Instant>,
    /// When something was delivered, or asked of vats at rest.
    pub(crate) last_delivery: Instant,
    pub(crate) trace: Trace,
}

/// Everything a driver is made of.
pub(crate) struct Parts {
    pub(crate) core: Core,
    pub(crate) mailbox: Mailbox,
    pub(crate) workers: Workers,
    pub(crate) io: Option<IoHost>,
    pub(crate) store: Store,
    pub(crate) committer: Committer,
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) services: Services,
    pub(crate) allowed_globals: Option<Vec<String>>,
    pub(crate) home: PathBuf,
    pub(crate) bytecode: BytecodeCache,
}

impl Driver {
    /// A driver for an opened core, whose boot has been done but not yet committed.
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts {
            core,
            mailbox,
            workers,
            io,
            store,
            committer,
            runtime,
            services,
            allowed_globals,
            bytecode,
            home,
        } = parts;
        let asks = Asks::new(runtime.clone(), mailbox.inbox());
        Driver {
            core,
            mailbox,
            workers,
            io,
            store,
            committer,
            runtime,
            failpoint: Failpoint::from_env(),
            next_ticket: 1,
            answers: BTreeMap::new(),
            after_commit: Vec::new(),
            committing: None,
            eventful: false,
            gathered: 0,
            unread: BTreeSet::new(),
            settled_waiters: Vec::new(),
            cleared_waiters: Vec::new(),
            services,
            asks,
            home,
            allowed_globals,
            bytecode,
            collection: None,
            stopping: Vec::new(),
            last_watch: Instant::now(),
            last_commit: Instant::now(),
            full_since: None,
            last_delivery: Instant::now(),
            trace: Trace::new(),
        }
    }

    /// Runs until somebody asks to stop, or the store fails. Everything is closed when it returns.
    pub(crate) fn run(mut self) -> Result<(), KernelError> {
        let result = self.turn_until_stopped();
        // What has been done and not yet written is written; cranks in flight are simply not done.
        let result = result.and_then(|()| self.drain_commits());
        self.workers.stop_all();
        self.bytecode.finish();
        if let Some(io) = &self.io {
            self.runtime.block_on(io.close_all());
        }
        let stopped = || KernelError::new(ErrorKind::Stopped, "the kernel has stopped");
        for reply in std::mem::take(&mut self.answers).into_values() {
            let _ = reply.send(Err(stopped()));
        }
        let waiters = [&mut self.settled_waiters, &mut self.cleared_waiters];
        for reply in waiters.into_iter().flat_map(std::mem::take) {
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
        self.core.set_observed(true);
        self.core.set_time(wall_ms());
        self.advance()?;
        self.publish();
        while self.stopping.is_empty() {
            let timeout = self.timeout();
            if timeout != Some(Duration::ZERO) {
                self.workers.rest();
            }
            let slept = self.mailbox.sleep(&mut events, timeout);
            slept.map_err(|error| KernelError::new(ErrorKind::Failed, error.to_string()))?;
            for event in &events {
                if let Some(vat) = self.workers.vat_of(event.token()) {
                    if event.is_writable() {
                        self.workers.flush(vat);
                    }
                    if event.is_read_closed() || event.is_error() {
                        self.workers.closes(vat);
                    }
                    self.unread.insert(vat);
                }
            }
            let inputs = self.take_inputs()?;
            self.eventful = inputs || !self.unread.is_empty();
            self.read_workers()?;
            self.watch()?;
            self.ring()?;
            if self.core.has_unreaped() && self.until_rest().is_zero() {
                self.core.reap_at_rest().map_err(fatal)?;
                self.last_delivery = Instant::now();
            }
            self.advance()?;
            self.publish();
        }
        Ok(())
    }

    /// Says that the core may be another than before, before anybody can know from elsewhere.
    pub(crate) fn publish(&self) {
        self.mailbox.inbox.publish(self.core.version());
    }

    /// How long there is nothing to do unless an event comes.
    fn timeout(&self) -> Option<Duration> {
        if !self.unread.is_empty() || self.gathered > 0 || self.core.has_chores() {
            return Some(Duration::ZERO);
        }
        let watch = self.workers.busy().then_some(limits::WATCH_INTERVAL_MS);
        let quiet = self.core.has_unsealed().then_some(limits::QUIET_COMMIT_MS);
        let full = self.full_since.map(|_| limits::FULL_RETRY_MS);
        let timers = watch.into_iter().chain(quiet).chain(full).map(Duration::from_millis);
        let due = self.core.first_due().map(|due| due.saturating_sub(wall_ms()));
        let due = due.map(|ms| Duration::from_millis(ms.min(limits::CLOCK_LOOK_MS)));
        let timers = timers.chain(self.asks.until_due()).chain(due);
        timers.chain(self.core.has_unreaped().then(|| self.until_rest())).min()
    }

    /// How long until vats that may hold garbage are to be asked for it.
    fn until_rest(&self) -> Duration {
        Duration::from_millis(limits::REST_MS).saturating_sub(self.last_delivery.elapsed())
    }

    /// Answers with whether there was any.
    fn take_inputs(&mut self) -> Result<bool, KernelError> {
        for taken in 0..limits::INBOX_BATCH {
            let Some(input) = self.mailbox.take() else { return Ok(taken > 0) };
            match input {
                Input::Request(request) => {
                    self.request(request)?;
                    self.observe(Cause::Host);
                }
                Input::Channel(key, event) => {
                    self.channel(key, event)?;
                    self.observe(Cause::Kernel);
                }
                Input::Looked(vat, incarnation, found) => {
                    if self.workers.has(vat, incarnation) {
                        self.answer(vat, found.then(String::new))?;
                    }
                }
                Input::Committed(seq, result) => self.committed(seq, result)?,
                Input::ServiceDone(call, result) => {
                    self.asks.done(call);
                    self.core.service_done(call, result).map_err(fatal)?;
                    self.observe(Cause::Kernel);
                }
            }
        }
        Ok(true)
    }

    fn channel(
        &mut self,
        key: ChannelKey,
        event: ocap_io::ChannelEvent,
    ) -> Result<(), KernelError> {
        let ChannelKey { subcluster, name, connection } = key;
        let channel = ChannelId { subcluster, name, connection };
        let event = match event {
            ocap_io::ChannelEvent::Listening => ChannelEvent::Listening,
            ocap_io::ChannelEvent::Connected => ChannelEvent::Connected,
            ocap_io::ChannelEvent::Connecting { reason, retry_ms } => {
                ChannelEvent::Connecting { reason, retry_ms }
            }
            ocap_io::ChannelEvent::Unit(unit) => ChannelEvent::Unit(unit),
            ocap_io::ChannelEvent::Bad(why) => ChannelEvent::Bad(why),
            ocap_io::ChannelEvent::End => ChannelEvent::End,
            ocap_io::ChannelEvent::Arrived(arrival) => ChannelEvent::Arrived(arrival),
            ocap_io::ChannelEvent::Gone => ChannelEvent::Gone,
            ocap_io::ChannelEvent::Unavailable { reason, retry_ms } => {
                tracing::warn!(%channel, %reason, "channel unavailable");
                ChannelEvent::Unavailable { reason, retry_ms }
            }
            ocap_io::ChannelEvent::WriteDone { call, result } => {
                let result = result.map(|()| smallcaps::undefined());
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
            FromWorker::Get { .. } | FromWorker::NextKey { .. } | FromWorker::Exists { .. }
                if !self.workers.may_ask(vat) =>
            {
                self.protocol_broken(vat, "a question out of turn")
            }
            FromWorker::Get { key } => {
                let value = self.core.vatstore_get(vat, &key).map_err(fatal)?;
                self.answer(vat, value)
            }
            FromWorker::NextKey { prior } => {
                let next = self.core.vatstore_next_key(vat, &prior).map_err(fatal)?;
                self.answer(vat, next)
            }
            FromWorker::Exists { path } => {
                self.look_for(vat, path);
                Ok(())
            }
            FromWorker::Log { level, message } => {
                if self.workers.may_log(vat) {
                    log_line(vat, level, &message);
                }
                Ok(())
            }
            FromWorker::Compiled(bytecode) => match self.workers.compiles(vat) {
                Some(code) => {
                    self.bytecode.put(&code, bytecode);
                    Ok(())
                }
                None => self.protocol_broken(vat, "compiled code nobody asked for"),
            },
            FromWorker::LoadModule { .. }
            | FromWorker::Collected(_)
            | FromWorker::Bundled(_)
            | FromWorker::Parsed(_) => self.protocol_broken(vat, "a loader's frame from a vat"),
        }
    }

    /// Answers a vat whether it has a file, without waiting for the file system here.
    fn look_for(&mut self, vat: VatId, path: String) {
        let (Some(reach), Some(incarnation)) =
            (self.workers.reach(vat), self.workers.incarnation(vat))
        else {
            return;
        };
        self.workers.wait_for_answer(vat);
        let inbox = self.mailbox.inbox();
        let look = move || {
            let found = reach.files.as_ref().is_some_and(|files| files::exists(files, &path));
            let _ = inbox.put(Input::Looked(vat, incarnation, found));
        };
        if std::thread::Builder::new().name("ocap-errand".into()).spawn(look).is_err() {
            let _ = self.mailbox.inbox().put(Input::Looked(vat, incarnation, false));
        }
    }

    /// Sends a frame; a worker that cannot be sent it has faulted.
    fn tell(&mut self, vat: VatId, frame: &ToWorker) -> Result<(), KernelError> {
        match self.workers.send(vat, frame) {
            Ok(()) => Ok(()),
            Err(fault) => self.lost(vat, fault),
        }
    }

    fn answer(&mut self, vat: VatId, answer: Option<String>) -> Result<(), KernelError> {
        match self.workers.answer(vat, answer) {
            Ok(()) => Ok(()),
            Err(fault) => self.lost(vat, fault),
        }
    }

    fn protocol_broken(&mut self, vat: VatId, what: &str) -> Result<(), KernelError> {
        let detail = format!("the worker broke the protocol: {what}");
        self.lost(vat, Fault { kind: FaultKind::Protocol, detail })
    }

    fn settle(&mut self, crank: CrankId, outcome: Outcome) -> Result<(), KernelError> {
        let end = End::of(&outcome);
        self.core.settle(crank, outcome).map_err(fatal)?;
        self.trace_end(crank, end);
        self.obey();
        Ok(())
    }

    /// A worker is gone or must go. Its first crank in flight failed; those behind it are not done.
    fn lost(&mut self, vat: VatId, fault: Fault) -> Result<(), KernelError> {
        let Some(incarnation) = self.workers.incarnation(vat) else { return Ok(()) };
        tracing::warn!(%vat, kind = ?fault.kind, detail = %fault.detail, "vat fault");
        let cranks = self.workers.stop(vat, Some(incarnation));
        match cranks.first() {
            Some(crank) => return self.settle(*crank, Outcome::Fault(fault)),
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

    /// Tells the vats whose timers are due.
    fn ring(&mut self) -> Result<(), KernelError> {
        self.core.set_time(wall_ms());
        self.core.ring().map_err(fatal)?;
        for _ in 0..limits::TIMERS_BATCH {
            let Some((call, due_ms)) = self.asks.take_due() else { break };
            self.core.service_done(call, Ok(moment(due_ms))).map_err(fatal)?;
        }
        self.observe(Cause::Kernel);
        Ok(())
    }

    /// Hands out what can be handed out, and commits what should be committed.
    fn advance(&mut self) -> Result<(), KernelError> {
        self.obey();
        // While the disk is full nothing is begun.
        let mut idle = self.full_since.is_some();
        for _ in 0..limits::DISPATCH_BATCH {
            if idle {
                break;
            }
            let dispatch = self.core.dispatch().map_err(fatal)?;
            self.observe(Cause::Kernel);
            let Some(dispatch) = dispatch else {
                idle = true;
                continue;
            };
            self.deliver(dispatch)?;
            self.obey();
        }
        if !idle {
            // More to hand out: come back at once, after the inbox has had its turn.
            self.mailbox.inbox.wake();
        }
        self.workers.flush_all();
        self.advance_collection()?;
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
        if let Some(collection) = &mut self.collection {
            collection.hands_out(&delivery);
        }
        self.last_delivery = Instant::now();
        self.workers.begin(vat, crank, self.last_delivery);
        self.trace_begin(crank, vat, self.last_delivery);
        self.tell(vat, &ToWorker::Deliver(delivery))
    }

    fn start_worker(
        &mut self,
        vat: VatId,
        incarnation: Incarnation,
        info: &StartInfo,
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
        let reach = Arc::new(Reach::of(&info.config, &self.home));
        if let Err(error) = self.workers.start(vat, incarnation, limits, reach) {
            return crash(format!("no worker could be started: {error}"));
        }
        let globals = info.config.globals.clone().unwrap_or_default();
        let name = info.name.clone();
        let compiled = match (&code, self.bytecode.get(&info.code)) {
            (VatCode::Modules(_), _) => Compiled::Unknown,
            (VatCode::Bundle(_), Some(bytecode)) => Compiled::Known(bytecode),
            (VatCode::Bundle(_), None) => {
                self.workers.want_compiled(vat, info.code.clone());
                Compiled::Wanted
            }
        };
        let allowed_globals = self.allowed_globals.clone();
        let platform = settings::platform_of(&info.config);
        let vat_name = vat.to_string();
        let init = WorkerInit {
            vat: vat_name,
            name,
            code,
            compiled,
            globals,
            allowed_globals,
            platform,
            limits,
        };
        Ok(self.workers.send(vat, &ToWorker::Init(Box::new(init))))
    }

    fn answer_settled(&mut self) -> Result<(), KernelError> {
        if !self.core.has_remains() {
            for reply in self.cleared_waiters.drain(..) {
                let _ = reply.send(Ok(()));
            }
        }
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
#[allow(clippy::needless_pass_by_value, reason = "the shape `map_err` wants")]
pub(crate) fn fatal(error: CoreError) -> KernelError {
    KernelError::new(ErrorKind::Failed, error.to_string())
}

/// What the wall clock says, in milliseconds since 1970.
fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds as a value for a vat; exact for more years than anything lasts.
fn moment(ms: u64) -> KCapData {
    KCapData { body: format!("#{ms}"), slots: Vec::new() }
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
