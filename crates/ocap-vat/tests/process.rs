//! Worker processes, for real: zygote, cage, connection, and every way in which one of them can go
//! away.

use std::path::Path;
use std::time::{Duration, Instant};

use ocap_types::VCapData;
use ocap_types::crank::{CrankReport, Delivery};
use ocap_vat::codec::{FrameBuffer, encode};
use ocap_vat::engine::{Limits, VatCode, WorkerInit};
use ocap_vat::frame::{FromWorker, ToWorker};
use ocap_vat::limits::FRAME_TO_WORKER_BYTES_MAX;
use ocap_vat::{WorkerHandle, Zygote};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Nothing here takes long; this is for machines that are very busy.
const PATIENCE: Duration = Duration::from_secs(60);

fn zygote() -> Zygote {
    Zygote::start(Path::new(env!("CARGO_BIN_EXE_ocap-vat-worker")), false).unwrap()
}

/// The kernel's side of a connection, waiting.
struct Client {
    worker: WorkerHandle,
    frames: FrameBuffer,
}

impl Client {
    fn new(worker: WorkerHandle) -> Self {
        Client { worker, frames: FrameBuffer::default() }
    }

    fn send(&self, message: &ToWorker) {
        let bytes = encode(message, FRAME_TO_WORKER_BYTES_MAX).unwrap();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            wait(&self.worker, PollFlags::OUT);
            rest = &rest[rustix::io::write(&self.worker.stream, rest).unwrap()..];
        }
    }

    /// The next frame; `None` at the end of the stream.
    fn receive(&mut self) -> Option<FromWorker> {
        let mut chunk = [0; 4096];
        loop {
            if let Some(message) = self.frames.next().unwrap() {
                return Some(message);
            }
            wait(&self.worker, PollFlags::IN);
            match rustix::io::read(&self.worker.stream, &mut chunk) {
                Ok(0) | Err(rustix::io::Errno::CONNRESET) => return None,
                Ok(n) => self.frames.fill(&chunk[..n]),
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn deliver(&mut self, body: &str) -> CrankReport {
        self.send(&message(body));
        match self.receive() {
            Some(FromWorker::Done(report)) => report,
            other => panic!("{other:?}"),
        }
    }
}

fn wait(worker: &WorkerHandle, flags: PollFlags) {
    let timeout = Timespec::try_from(PATIENCE).unwrap();
    let ready = poll(&mut [PollFd::new(&worker.stream, flags)], Some(&timeout));
    assert_eq!(ready, Ok(1), "the worker is silent");
}

fn init() -> ToWorker {
    ToWorker::Init(Box::new(WorkerInit {
        vat: "v1".into(),
        name: "alice".into(),
        code: VatCode::Bundle(String::new()),
        globals: Vec::new(),
        limits: Limits {
            crank_ticks_max: 1_000_000,
            crank_cpu_ms_max: 10_000,
            heap_bytes_max: 64 << 20,
            stack_bytes_max: 1 << 20,
            crank_syscalls_max: 1000,
            crank_bytes_max: 16 << 20,
        },
    }))
}

fn message(body: &str) -> ToWorker {
    ToWorker::Deliver(Delivery::Message {
        target: ocap_types::VRef::ROOT,
        methargs: VCapData { body: body.into(), slots: Vec::new() },
        result: None,
    })
}

fn started(zygote: &Zygote) -> Client {
    let client = Client::new(zygote.spawn().unwrap());
    client.send(&init());
    client
}

#[test]
fn a_worker_answers_deliveries() {
    let zygote = zygote();
    assert!(zygote.cage().missing.is_empty(), "{}", zygote.cage());
    let mut client = started(&zygote);
    assert_eq!(client.deliver("echo").error.as_deref(), Some("echo"));
    let begin = Instant::now();
    for _ in 0..1000 {
        client.deliver("echo");
    }
    eprintln!("1000 deliveries {:?}", begin.elapsed());
    let begin = Instant::now();
    let workers: Vec<Client> = (0..100).map(|_| started(&zygote)).collect();
    eprintln!("100 spawned {:?}", begin.elapsed());
    drop(workers);
}
