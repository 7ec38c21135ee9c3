//! The workers that run now, one per vat, and the bytes to and from them.
//!
//! Nothing here blocks: a worker that does not read keeps its frames here, which is bounded because
//! only a few deliveries are handed to one worker at a time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use ocap_core::api::{CodeHash, CrankId, Incarnation};
use ocap_types::VatId;
use ocap_types::crank::{Fault, FaultKind};
use ocap_vat::codec::{self, FrameBuffer};
use ocap_vat::engine::Limits;
use ocap_vat::frame::{FromWorker, ToWorker};
use ocap_vat::limits::{FRAME_FROM_WORKER_BYTES_MAX, FRAME_TO_WORKER_BYTES_MAX};
use ocap_vat::{StartingZygote, WorkerHandle, Zygote, fault_of_exit};

use crate::api::WorkerMode;
use crate::limits;
use crate::reach::Reach;

/// Makes workers. Shared by the driver, for vats, and by whoever loads code.
#[derive(Clone)]
pub(crate) struct Nursery {
    kind: Arc<NurseryKind>,
    /// Whether the spare may have been handed out.
    taken: Arc<AtomicBool>,
}

enum NurseryKind {
    Process { executable: PathBuf, best_effort: bool, zygote: Mutex<Zygote> },
    Thread,
}

/// A nursery whose zygote prepares itself.
pub(crate) enum StartingNursery {
    Process { executable: PathBuf, best_effort: bool, zygote: StartingZygote },
    Thread,
}

impl StartingNursery {
    /// Waits until workers can be had.
    pub(crate) fn ready(self) -> std::io::Result<Nursery> {
        let kind = match self {
            StartingNursery::Thread => NurseryKind::Thread,
            StartingNursery::Process { executable, best_effort, zygote } => {
                let zygote = zygote.ready()?;
                // For the operator: what "best effort" has come to on this machine.
                let cage = zygote.cage();
                if cage.missing.is_empty() {
                    tracing::info!("The cage of vats: {cage}");
                } else {
                    tracing::warn!("The cage of vats: {cage}");
                }
                NurseryKind::Process { executable, best_effort, zygote: Mutex::new(zygote) }
            }
        };
        Ok(Nursery { kind: Arc::new(kind), taken: Arc::new(AtomicBool::new(true)) })
    }
}

impl Nursery {
    /// Starts the zygote, if vats are to run in processes. Call it before the store is opened, from
    /// a thread that lives as long as the kernel.
    pub(crate) fn begin(mode: &WorkerMode) -> std::io::Result<StartingNursery> {
        let WorkerMode::Process { executable, best_effort } = mode else {
            return Ok(StartingNursery::Thread);
        };
        // Unless told otherwise: what names the running program also after its file was replaced.
        let executable = executable.clone().unwrap_or_else(|| PathBuf::from("/proc/self/exe"));
        let best_effort = *best_effort;
        let zygote = Zygote::begin(&executable, best_effort)?;
        Ok(StartingNursery::Process { executable, best_effort, zygote })
    }

    /// Sees to it that the next worker is ready before it is wanted. For when nothing else is to be
    /// done: on a machine with few processors it would be in the way of what is. Waits for nothing.
    pub(crate) fn replenish(&self) {
        let NurseryKind::Process { zygote, .. } = &*self.kind else { return };
        if self.taken.load(Ordering::Relaxed)
            && let Ok(zygote) = zygote.try_lock()
        {
            self.taken.store(false, Ordering::Relaxed);
            zygote.replenish();
        }
    }

    /// A fresh worker that waits for its first frame. A zygote that has died is replaced once.
    pub(crate) fn spawn(&self) -> std::io::Result<WorkerHandle> {
        self.taken.store(true, Ordering::Relaxed);
        match &*self.kind {
            NurseryKind::Thread => ocap_vat::thread::spawn_worker(),
            NurseryKind::Process { executable, best_effort, zygote } => {
                let mut zygote = zygote.lock().unwrap_or_else(PoisonError::into_inner);
                zygote.spawn().or_else(|error| {
                    tracing::warn!(%error, "the zygote does not answer; starting another");
                    *zygote = Zygote::start(executable, *best_effort)?;
                    zygote.spawn()
                })
            }
        }
    }
}

/// A crank a worker has been given.
struct InFlight {
    crank: CrankId,
    started: Instant,
    /// CPU time of the worker when the watch first saw this crank, in milliseconds.
    cpu_ms_seen: Option<u64>,
}

/// One running worker.
struct Worker {
    incarnation: Incarnation,
    handle: WorkerHandle,
    token: Token,
    limits: Limits,
    reach: Arc<Reach>,
    inbound: FrameBuffer,
    outbound: Vec<u8>,
    /// Of `outbound`, what comes up to the end of the last answer to a question.
    answers_bytes: usize,
    /// Whether the answer to its last question is still being looked for.
    asked: bool,
    writable_wanted: bool,
    /// The other end has closed the connection: it is to be read to its end.
    closing: bool,
    in_flight: VecDeque<InFlight>,
    log_since: Instant,
    log_lines: u32,
    /// The code it was asked to tell the compiled form of.
    compiling: Option<CodeHash>,
}

/// What came from a worker.
pub(crate) enum Heard {
    /// A frame.
    Frame(FromWorker),
    /// It is gone, or must go, for this reason.
    Lost(Fault),
}

/// All of them.
pub(crate) struct Workers {
    nursery: Nursery,
    registry: Registry,
    by_vat: BTreeMap<VatId, Worker>,
    by_token: BTreeMap<Token, VatId>,
    next_token: usize,
    /// Cranks in flight.
    cranks: usize,
    /// Those with frames that have not been given to their socket.
    unsent: BTreeSet<VatId>,
    buffer: Vec<u8>,
}

impl Workers {
    /// No workers yet. Tokens below `first_token` are the caller's.
    pub(crate) fn new(nursery: Nursery, registry: Registry, first_token: usize) -> Self {
        Workers {
            nursery,
            registry,
            by_vat: BTreeMap::new(),
            by_token: BTreeMap::new(),
            next_token: first_token,
            cranks: 0,
            unsent: BTreeSet::new(),
            buffer: vec![0; 64 * 1024],
        }
    }

    /// Whose socket a poll event is about.
    pub(crate) fn vat_of(&self, token: Token) -> Option<VatId> {
        self.by_token.get(&token).copied()
    }

    /// Whether a worker of this incarnation runs.
    pub(crate) fn has(&self, vat: VatId, incarnation: Incarnation) -> bool {
        self.by_vat.get(&vat).is_some_and(|w| w.incarnation == incarnation)
    }

    /// Starts a worker for a vat and ends an older one.
    pub(crate) fn start(
        &mut self,
        vat: VatId,
        incarnation: Incarnation,
        limits: Limits,
        reach: Arc<Reach>,
    ) -> std::io::Result<()> {
        self.stop(vat, None);
        let handle = self.nursery.spawn()?;
        handle.stream.set_nonblocking(true)?;
        let token = Token(self.next_token);
        self.next_token += 1;
        let fd = handle.stream.as_raw_fd();
        self.registry.register(&mut SourceFd(&fd), token, Interest::READABLE)?;
        self.by_token.insert(token, vat);
        let worker = Worker {
            incarnation,
            handle,
            token,
            limits,
            reach,
            inbound: FrameBuffer::new(FRAME_FROM_WORKER_BYTES_MAX),
            outbound: Vec::new(),
            answers_bytes: 0,
            asked: false,
            writable_wanted: false,
            closing: false,
            in_flight: VecDeque::new(),
            log_since: Instant::now(),
            log_lines: 0,
            compiling: None,
        };
        self.by_vat.insert(vat, worker);
        Ok(())
    }

    /// Ends a vat's worker (only if it is of `incarnation`, when given). Returns the cranks it had.
    pub(crate) fn stop(&mut self, vat: VatId, incarnation: Option<Incarnation>) -> Vec<CrankId> {
        let matches = self
            .by_vat
            .get(&vat)
            .is_some_and(|w| incarnation.is_none_or(|wanted| w.incarnation == wanted));
        if !matches {
            return Vec::new();
        }
        let Some(worker) = self.by_vat.remove(&vat) else { return Vec::new() };
        self.by_token.remove(&worker.token);
        let fd = worker.handle.stream.as_raw_fd();
        let _ = self.registry.deregister(&mut SourceFd(&fd));
        worker.handle.kill();
        self.cranks -= worker.in_flight.len();
        worker.in_flight.iter().map(|f| f.crank).collect()
    }

    /// Ends all of them.
    pub(crate) fn stop_all(&mut self) {
        let vats: Vec<VatId> = self.by_vat.keys().copied().collect();
        for vat in vats {
            self.stop(vat, None);
        }
    }

    /// Queues a frame; [`Workers::flush_all`] sends it.
    ///
    /// # Errors
    /// What is wrong with the frame: it is too large.
    pub(crate) fn send(&mut self, vat: VatId, frame: &ToWorker) -> Result<(), Fault> {
        let Some(worker) = self.by_vat.get_mut(&vat) else { return Ok(()) };
        let bytes = codec::encode(frame, FRAME_TO_WORKER_BYTES_MAX).map_err(|error| Fault {
            kind: FaultKind::OutOfMemory,
            detail: format!("what it should get cannot be sent: {error}"),
        })?;
        worker.outbound.extend_from_slice(&bytes);
        self.unsent.insert(vat);
        Ok(())
    }

    /// Whether a vat's worker may ask something now: within a crank, and not before it can have had
    /// the answer to its last question. So one that asks without reading piles up nothing here.
    pub(crate) fn may_ask(&self, vat: VatId) -> bool {
        let worker = self.by_vat.get(&vat);
        worker.is_some_and(|w| !w.in_flight.is_empty() && !w.asked && w.answers_bytes == 0)
    }

    /// A question of a vat's worker is answered later.
    pub(crate) fn wait_for_answer(&mut self, vat: VatId) {
        if let Some(worker) = self.by_vat.get_mut(&vat) {
            worker.asked = true;
        }
    }

    /// Queues the answer to a question; like [`Workers::send`].
    pub(crate) fn answer(&mut self, vat: VatId, answer: Option<String>) -> Result<(), Fault> {
        self.send(vat, &ToWorker::Got(answer))?;
        if let Some(worker) = self.by_vat.get_mut(&vat) {
            worker.asked = false;
            worker.answers_bytes = worker.outbound.len();
        }
        Ok(())
    }

    /// Notes that a crank has been handed to a vat's worker.
    pub(crate) fn begin(&mut self, vat: VatId, crank: CrankId, started: Instant) {
        if let Some(worker) = self.by_vat.get_mut(&vat) {
            self.cranks += 1;
            worker.in_flight.push_back(InFlight { crank, started, cpu_ms_seen: None });
        }
    }

    /// The oldest crank of a vat's worker has ended: which it was.
    pub(crate) fn end(&mut self, vat: VatId) -> Option<CrankId> {
        let worker = self.by_vat.get_mut(&vat)?;
        let ended = worker.in_flight.pop_front()?;
        self.cranks -= 1;
        worker.compiling = None;
        if let Some(next) = worker.in_flight.front_mut() {
            next.started = Instant::now();
        }
        Some(ended.crank)
    }

    /// A vat's worker has been asked to tell how this code looks compiled.
    pub(crate) fn want_compiled(&mut self, vat: VatId, code: CodeHash) {
        if let Some(worker) = self.by_vat.get_mut(&vat) {
            worker.compiling = Some(code);
        }
    }

    /// Which code a vat's worker may tell the compiled form of: once, and before any of it has run.
    pub(crate) fn compiles(&mut self, vat: VatId) -> Option<CodeHash> {
        self.by_vat.get_mut(&vat)?.compiling.take()
    }

    /// Whether another log line of a vat is to be written. The worker limits itself per crank; this
    /// holds whatever the worker does.
    pub(crate) fn may_log(&mut self, vat: VatId) -> bool {
        let Some(worker) = self.by_vat.get_mut(&vat) else { return false };
        if worker.log_since.elapsed() >= Duration::from_secs(1) {
            let dropped = worker.log_lines.saturating_sub(limits::LOG_LINES_PER_SECOND_MAX);
            if dropped > 0 {
                tracing::warn!(target: "ocap::vat", %vat, dropped, "too many log lines");
            }
            worker.log_since = Instant::now();
            worker.log_lines = 0;
        }
        worker.log_lines = worker.log_lines.saturating_add(1);
        worker.log_lines <= limits::LOG_LINES_PER_SECOND_MAX
    }

    /// What the vat of a worker can reach.
    pub(crate) fn reach(&self, vat: VatId) -> Option<Arc<Reach>> {
        self.by_vat.get(&vat).map(|w| Arc::clone(&w.reach))
    }

    /// The incarnation of a vat's worker.
    pub(crate) fn incarnation(&self, vat: VatId) -> Option<Incarnation> {
        self.by_vat.get(&vat).map(|w| w.incarnation)
    }

    /// Sends what has been queued, a worker's frames in one go.
    pub(crate) fn flush_all(&mut self) {
        while let Some(vat) = self.unsent.pop_first() {
            self.flush(vat);
        }
    }

    /// Sends what is queued for one worker, as far as its socket takes it.
    pub(crate) fn flush(&mut self, vat: VatId) {
        let Some(worker) = self.by_vat.get_mut(&vat) else { return };
        let mut sent = 0;
        while sent < worker.outbound.len() {
            match (&worker.handle.stream).write(&worker.outbound[sent..]) {
                Ok(0) => break,
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // A broken socket is noticed when it is read.
                Err(_) => break,
            }
        }
        worker.outbound.drain(..sent);
        worker.answers_bytes = worker.answers_bytes.saturating_sub(sent);
        if worker.outbound.is_empty() && worker.outbound.capacity() > limits::IDLE_BUFFER_BYTES_MAX
        {
            // What the code of a vat needed is not kept for its life.
            worker.outbound = Vec::new();
        }
        let wanted = !worker.outbound.is_empty();
        if wanted != worker.writable_wanted {
            worker.writable_wanted = wanted;
            let interest =
                if wanted { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
            let fd = worker.handle.stream.as_raw_fd();
            let _ = self.registry.reregister(&mut SourceFd(&fd), worker.token, interest);
        }
    }

    /// A vat's worker sends nothing after what has arrived.
    pub(crate) fn closes(&mut self, vat: VatId) {
        if let Some(worker) = self.by_vat.get_mut(&vat) {
            worker.closing = true;
        }
    }

    /// Reads what has arrived and hands on each frame, up to the first loss. `true` means that there
    /// may be more: poll events are edges, so the caller must come back without one.
    pub(crate) fn read(&mut self, vat: VatId) -> (Vec<Heard>, bool) {
        let mut heard = Vec::new();
        let Some(worker) = self.by_vat.get_mut(&vat) else { return (heard, false) };
        let (mut read_bytes, mut drained) = (0, false);
        while !drained && read_bytes < limits::WORKER_READ_BYTES {
            match (&worker.handle.stream).read(&mut self.buffer) {
                Ok(0) => {
                    heard.push(Heard::Lost(how_it_ended(&worker.handle)));
                    return (heard, false);
                }
                Ok(count) => {
                    read_bytes += count;
                    // What comes after a short read is another event, unless it is the end that
                    // has come already.
                    drained = count < self.buffer.len() && !worker.closing;
                    worker.inbound.fill(&self.buffer[..count]);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return (heard, false),
                Err(_) => {
                    heard.push(Heard::Lost(how_it_ended(&worker.handle)));
                    return (heard, false);
                }
            }
            loop {
                match worker.inbound.next::<FromWorker>() {
                    Ok(Some(frame)) => heard.push(Heard::Frame(frame)),
                    Ok(None) => break,
                    Err(error) => {
                        let detail = format!("the worker broke the protocol: {error}");
                        heard.push(Heard::Lost(Fault { kind: FaultKind::Protocol, detail }));
                        return (heard, false);
                    }
                }
            }
        }
        (heard, !drained)
    }

    /// Nothing is to be done for now: has a worker made ready for the next vat.
    pub(crate) fn rest(&self) {
        if self.cranks == 0 {
            self.nursery.replenish();
        }
    }

    /// Whether any crank is in flight, so that deadlines must be watched.
    pub(crate) fn busy(&self) -> bool {
        self.cranks > 0
    }

    /// Vats whose crank has run past its deadline, with what to say. The first call that sees a crank
    /// notes the worker's CPU time, so a crank is never charged for what ran before it.
    pub(crate) fn overrun(&mut self) -> Vec<(VatId, Fault)> {
        let mut late = Vec::new();
        for (vat, worker) in &mut self.by_vat {
            let Some(crank) = worker.in_flight.front_mut() else { continue };
            let limit_ms = worker.limits.crank_cpu_ms_max;
            let wall_ms_max = limit_ms.saturating_mul(limits::WALL_FACTOR);
            let cpu_ms = worker.handle.cpu_time_ms().unwrap_or(0);
            let seen = *crank.cpu_ms_seen.get_or_insert(cpu_ms);
            let detail = if cpu_ms.saturating_sub(seen) > limit_ms + limits::CPU_SLACK_MS {
                format!("the crank took more than {limit_ms} ms of CPU time")
            } else if crank.started.elapsed() > Duration::from_millis(wall_ms_max) {
                format!("the crank took more than {wall_ms_max} ms")
            } else {
                continue;
            };
            late.push((*vat, Fault { kind: FaultKind::Overrun, detail }));
        }
        late
    }
}

/// Why a worker's stream has ended. Its process follows within moments, and then says how.
fn how_it_ended(handle: &WorkerHandle) -> Fault {
    fault_of_exit(handle.wait_exit(Duration::from_millis(limits::EXIT_WAIT_MS)))
}

#[cfg(test)]
mod tests;
