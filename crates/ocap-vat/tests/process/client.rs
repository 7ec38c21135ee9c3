//! The kernel's side of a connection, waiting; and a vat to talk to.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;
use std::time::{Duration, Instant};

use ocap_types::crank::{CrankReport, Delivery, Fault, Syscall};
use ocap_types::{VCapData, VRef};
use ocap_vat::codec::{FrameBuffer, encode};
use ocap_vat::engine::{Compiled, Limits, Module, ModuleGraph, Platform, VatCode, WorkerInit};
use ocap_vat::frame::{FromWorker, ToWorker};
use ocap_vat::limits::FRAME_TO_WORKER_BYTES_MAX;
use ocap_vat::{WorkerHandle, Zygote};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};

/// Nothing here takes long; this is for machines that are very busy.
pub(crate) const PATIENCE: Duration = Duration::from_mins(3);

const SOURCE: &str = r"
import { Far } from '@endo/far';
const exercises = {
  'time zone': () => new Date(0).getTimezoneOffset() + new Date(0).toString().length,
  stack: () => { const deeper = () => 1 + deeper(); try { deeper(); } catch {} },
  pattern: () => /(a+)+b/.test('aaaaaaaaaaaaaaaac'),
  numbers: () => [1.5, 1e300, 1n << 5000n].map(n => `${n}`).sort(),
  log: () => console.log('line'),
};
export const buildRootObject = (vatPowers, parameters, baggage) => {
  let counted = 0;
  return Far('root', {
    echo: x => x,
    count: () => { counted += 1; return counted; },
    recall: key => baggage.get(key),
    exercise: name => { exercises[name](); return 'done'; },
    spin: () => { for (;;) ; },
    hog: () => {
      const kept = [];
      for (;;) { try { kept.push(new Array(1000).fill(kept.length)); } catch {} }
    },
  });
};
";

pub(crate) fn executable() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_ocap-vat-worker"))
}

pub(crate) fn zygote() -> Zygote {
    let zygote = Zygote::start(executable(), false).unwrap();
    assert!(zygote.cage().missing.is_empty(), "{}", zygote.cage());
    zygote
}

/// A worker whose vat has started.
pub(crate) fn started(zygote: &Zygote) -> Client {
    let mut client = Client::new(zygote.spawn().unwrap());
    client.start(vat(limits()));
    client
}

pub(crate) fn limits() -> Limits {
    Limits {
        crank_ticks_max: 1_000_000,
        crank_cpu_ms_max: 60_000,
        heap_bytes_max: 32 << 20,
        stack_bytes_max: 1 << 20,
        crank_syscalls_max: 1000,
        crank_bytes_max: 16 << 20,
    }
}

/// Limits that leave ending a crank to the kernel.
pub(crate) fn no_limits() -> Limits {
    Limits { crank_ticks_max: u64::MAX, crank_cpu_ms_max: 1 << 40, ..limits() }
}

pub(crate) fn vat(limits: Limits) -> WorkerInit {
    let module = Module { source: SOURCE.into(), imports: BTreeMap::new() };
    let code = VatCode::Modules(ModuleGraph {
        entry: "main.js".into(),
        modules: [("main.js".into(), module)].into(),
    });
    WorkerInit {
        vat: "v1".into(),
        name: "alice".into(),
        code,
        compiled: Compiled::Unknown,
        globals: Vec::new(),
        allowed_globals: None,
        platform: Platform::default(),
        limits,
    }
}

pub(crate) struct Client {
    pub(crate) worker: WorkerHandle,
    /// The vat's committed store.
    pub(crate) store: BTreeMap<String, String>,
    /// How many lines it has logged.
    pub(crate) logged: usize,
    frames: FrameBuffer,
}

impl Client {
    pub(crate) fn new(worker: WorkerHandle) -> Self {
        Client { worker, store: BTreeMap::new(), logged: 0, frames: FrameBuffer::default() }
    }

    pub(crate) fn write(&self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.wait(PollFlags::OUT);
            bytes = &bytes[rustix::io::write(&self.worker.stream, bytes).unwrap()..];
        }
    }

    pub(crate) fn send(&self, message: &ToWorker) {
        self.write(&encode(message, FRAME_TO_WORKER_BYTES_MAX).unwrap());
    }

    fn wait(&self, flags: PollFlags) {
        let timeout = Timespec::try_from(PATIENCE).unwrap();
        let ready = poll(&mut [PollFd::new(&self.worker.stream, flags)], Some(&timeout));
        assert_eq!(ready, Ok(1), "the worker is silent");
    }

    /// The next frame that is not about the store or the log; `None` at the end of the stream.
    pub(crate) fn receive(&mut self) -> Option<FromWorker> {
        let mut chunk = [0; 4096];
        loop {
            match self.frames.next().unwrap() {
                Some(FromWorker::Get { key }) => {
                    self.send(&ToWorker::Got(self.store.get(&key).cloned()));
                }
                Some(FromWorker::NextKey { prior }) => {
                    let after = (Bound::Excluded(prior.as_str()), Bound::Unbounded);
                    let next = self.store.range::<str, _>(after).next();
                    self.send(&ToWorker::Got(next.map(|(key, _)| key.clone())));
                }
                Some(FromWorker::Log { .. }) => self.logged += 1,
                Some(message) => return Some(message),
                None => {
                    self.wait(PollFlags::IN);
                    match rustix::io::read(&self.worker.stream, &mut chunk) {
                        Ok(0) | Err(rustix::io::Errno::CONNRESET) => return None,
                        Ok(n) => self.frames.fill(&chunk[..n]),
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        }
    }

    fn done(&mut self) -> CrankReport {
        let report = self.outcome().unwrap();
        assert_eq!(report.error, None);
        report
    }

    /// What became of a delivery.
    pub(crate) fn outcome(&mut self) -> Result<CrankReport, Fault> {
        let report = match self.receive() {
            Some(FromWorker::Done(report)) => report,
            Some(FromWorker::Fault(fault)) => return Err(fault),
            None => panic!("the stream ended: {:?}", self.worker.wait_exit(PATIENCE)),
            other => panic!("{other:?}"),
        };
        for (key, value) in &report.vatstore {
            match value {
                Some(value) => self.store.insert(key.clone(), value.clone()),
                None => self.store.remove(key),
            };
        }
        Ok(report)
    }

    pub(crate) fn start(&mut self, init: WorkerInit) {
        assert_eq!(self.begin(init).error, None);
    }

    /// Starts a vat, which may fail.
    pub(crate) fn begin(&mut self, init: WorkerInit) -> CrankReport {
        self.send(&ToWorker::Init(Box::new(init)));
        let parameters = VCapData { body: "#\"#undefined\"".into(), slots: Vec::new() };
        self.send(&ToWorker::Deliver(Delivery::Start { parameters }));
        self.outcome().unwrap()
    }

    pub(crate) fn send_call(&self, method: &str, args: &str) {
        self.send_message(format!("#[\"{method}\",{args}]"), Vec::new(), VRef::ImportPromise(60));
    }

    /// Sends a message to the root.
    pub(crate) fn send_message(&self, body: String, slots: Vec<VRef>, result: VRef) {
        let methargs = VCapData { body, slots };
        let result = Some(result);
        self.send(&ToWorker::Deliver(Delivery::Message { target: VRef::ROOT, methargs, result }));
    }

    /// Calls a method of the root and returns the body of what its result became.
    pub(crate) fn call(&mut self, method: &str, args: &str) -> String {
        self.send_call(method, args);
        let mut report = self.done();
        match report.syscalls.pop() {
            Some(Syscall::Resolve { mut resolutions }) => resolutions.remove(0).data.body,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn fault(&mut self) -> Fault {
        match self.receive() {
            Some(FromWorker::Fault(fault)) => fault,
            other => panic!("{other:?}"),
        }
    }
}

/// Whether a process runs (a zombie does not).
pub(crate) fn is_alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        let state = stat.rsplit(')').next().and_then(|rest| rest.trim_start().chars().next());
        state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
    })
}

pub(crate) fn pid_of(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    kill_process(pid_of(pid), signal).unwrap();
}

/// Waits for what cannot be waited for but by looking again.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not yet: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until none of these processes runs. That takes a moment at most; two seconds is what is
/// promised.
pub(crate) fn await_gone(pids: &[u32]) {
    let deadline = Instant::now() + Duration::from_secs(2);
    loop {
        let left: Vec<&u32> = pids.iter().filter(|pid| is_alive(**pid)).collect();
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "still alive: {left:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What a process has open, by descriptor; `None` if that may not be seen.
pub(crate) fn descriptors(pid: u32) -> Option<Vec<String>> {
    let mut open: Vec<(u32, String)> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .ok()?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let number = entry.file_name().to_str()?.parse().ok()?;
            let target = std::fs::read_link(entry.path()).ok()?;
            Some((number, target.to_string_lossy().into_owned()))
        })
        .collect();
    open.sort_unstable();
    Some(open.into_iter().map(|(_, target)| target).collect())
}
