//! The loop with a stub engine, in a thread: who answers what, in which order.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use ocap_types::crank::{CrankReport, Delivery, FaultKind};
use ocap_types::{VCapData, VRef};

use crate::codec::{FrameReader, write_frame};
use crate::engine::{Compiled, Limits, LogLevel, Platform, VatCode, WorkerInit};
use crate::exit::{EXIT_DONE, EXIT_PROTOCOL, ExitReason};
use crate::frame::{FromWorker, ToWorker};
use crate::limits::{
    CRANK_LOG_LINES_MAX, DELIVERIES_QUEUED_MAX, FRAME_FROM_WORKER_BYTES_MAX,
    FRAME_TO_WORKER_BYTES_MAX,
};
use crate::stub;
use crate::thread::spawn_with;
use crate::worker::WorkerControl;

const PATIENCE: Duration = Duration::from_mins(1);

struct Client {
    stream: UnixStream,
    reader: FrameReader,
    control: WorkerControl,
}

impl Client {
    fn new() -> Self {
        let worker = spawn_with(|| Ok(Box::new(stub::Prepared))).unwrap();
        worker.stream.set_nonblocking(false).unwrap();
        worker.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let reader = FrameReader::new(FRAME_FROM_WORKER_BYTES_MAX);
        Client { stream: worker.stream, reader, control: worker.control }
    }

    fn started() -> Self {
        let mut client = Client::new();
        client.send(&ToWorker::Init(Box::new(init())));
        client
    }

    fn send(&mut self, message: &ToWorker) {
        write_frame(&mut self.stream, message, FRAME_TO_WORKER_BYTES_MAX).unwrap();
    }

    fn deliver(&mut self, body: &str) {
        self.send(&deliver(body));
    }

    fn receive(&mut self) -> Option<FromWorker> {
        self.reader.read(&mut self.stream).unwrap()
    }

    fn done(&mut self) -> CrankReport {
        match self.receive() {
            Some(FromWorker::Done(report)) => report,
            other => panic!("{other:?}"),
        }
    }

    fn exit(&self) -> Option<ExitReason> {
        self.control.wait_exit(PATIENCE)
    }
}

fn init() -> WorkerInit {
    let limits = Limits {
        crank_ticks_max: 1,
        crank_cpu_ms_max: 1,
        heap_bytes_max: 1,
        stack_bytes_max: 1,
        crank_syscalls_max: 1,
        crank_bytes_max: 1,
    };
    let code = VatCode::Bundle(String::new());
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

fn deliver(body: &str) -> ToWorker {
    let methargs = VCapData { body: body.into(), slots: Vec::new() };
    ToWorker::Deliver(Delivery::Message { target: VRef::ROOT, methargs, result: None })
}

#[test]
fn deliveries_are_answered_in_order() {
    let mut client = Client::started();
    for body in ["a", "b", "c"] {
        client.deliver(body);
    }
    for (n, body) in (1..).zip(["a", "b", "c"]) {
        let report = client.done();
        assert_eq!((report.error.as_deref(), report.usage.ticks), (Some(body), n));
    }
    assert!(client.control.exit_reason().is_none());
    assert!(client.control.cpu_time_ms().is_some());
}

#[test]
fn deliveries_that_come_before_an_answer_wait() {
    let mut client = Client::started();
    client.deliver("get k");
    client.deliver("later");
    client.deliver("next k");
    assert_eq!(client.receive(), Some(FromWorker::Get { key: "k".into() }));
    client.send(&ToWorker::Got(Some("value".into())));
    assert_eq!(client.done().error.as_deref(), Some("value"));
    assert_eq!(client.done().error.as_deref(), Some("later"));
    assert_eq!(client.receive(), Some(FromWorker::NextKey { prior: "k".into() }));
    client.send(&ToWorker::Got(None));
    assert_eq!(client.done().error, None);
}

#[test]
fn too_many_waiting_deliveries_end_the_worker() {
    let mut client = Client::started();
    client.deliver("get k");
    assert!(matches!(client.receive(), Some(FromWorker::Get { .. })));
    for _ in 0..DELIVERIES_QUEUED_MAX {
        client.deliver("later");
    }
    // The worker may be gone before all of it is written.
    let _ = client.stream.write_all(
        &crate::codec::encode(&deliver("one too many"), FRAME_TO_WORKER_BYTES_MAX).unwrap(),
    );
    assert_eq!(client.exit(), Some(ExitReason::Exited(EXIT_PROTOCOL)));
}

#[test]
fn a_fault_is_the_last_frame() {
    let mut client = Client::started();
    client.deliver("fault");
    client.deliver("never");
    let Some(FromWorker::Fault(fault)) = client.receive() else { panic!() };
    assert_eq!((fault.kind, fault.detail.as_str()), (FaultKind::Overrun, "asked to"));
    assert_eq!(client.exit(), Some(ExitReason::Exited(EXIT_DONE)));
}

#[test]
fn a_panic_is_a_fault() {
    let mut client = Client::started();
    client.deliver("panic");
    let Some(FromWorker::Fault(fault)) = client.receive() else { panic!() };
    assert_eq!(fault.kind, FaultKind::Crash);
    assert_eq!(fault.detail, "the worker panicked: asked to");
    assert_eq!(client.receive(), None);
}

#[test]
fn a_crank_that_logs_without_end_is_cut_short() {
    let mut client = Client::started();
    client.deliver("log 100000");
    let mut lines = Vec::new();
    while let Some(FromWorker::Log { level, message }) = client.receive() {
        lines.push((level, message));
    }
    let last = lines.pop();
    assert_eq!(lines.len(), CRANK_LOG_LINES_MAX as usize);
    let dropped = format!("{} more lines in this crank", 100_000 - CRANK_LOG_LINES_MAX);
    assert_eq!(last, Some((LogLevel::Warn, dropped)));
    // The budget is per crank.
    client.deliver("log 1");
    assert!(matches!(client.receive(), Some(FromWorker::Log { .. })));
}

#[test]
fn a_long_line_is_cut_at_a_character() {
    let line = "ä".repeat(crate::limits::LOG_LINE_BYTES_MAX);
    let cut = super::cut(&line, crate::limits::LOG_LINE_BYTES_MAX - 1);
    assert_eq!(cut.len(), crate::limits::LOG_LINE_BYTES_MAX - 2);
}

#[test]
fn collecting_asks_for_modules() {
    let mut client = Client::new();
    client.send(&ToWorker::Collect { entry: "main.js".into() });
    let asked = FromWorker::LoadModule { referrer: String::new(), specifier: "main.js".into() };
    assert_eq!(client.receive(), Some(asked));
    client.send(&ToWorker::Module(Ok(Some(("main.js".into(), "text".into())))));
    let Some(FromWorker::Collected(Ok(graph))) = client.receive() else { panic!() };
    assert_eq!(graph.modules["main.js"].source, "text");
    assert_eq!(client.exit(), Some(ExitReason::Exited(EXIT_DONE)));
}

#[test]
fn what_is_out_of_order_ends_the_worker() {
    for first in [deliver("early"), ToWorker::Got(None), ToWorker::Module(Ok(None))] {
        let mut client = Client::new();
        client.send(&first);
        assert_eq!(client.exit(), Some(ExitReason::Exited(EXIT_PROTOCOL)), "{first:?}");
    }
    let mut client = Client::started();
    client.send(&ToWorker::Init(Box::new(init())));
    assert_eq!(client.exit(), Some(ExitReason::Exited(EXIT_PROTOCOL)));
}

#[test]
fn a_killed_thread_gets_empty_answers_and_ends() {
    let mut client = Client::started();
    client.deliver("get k");
    assert!(matches!(client.receive(), Some(FromWorker::Get { .. })));
    client.control.kill();
    assert!(matches!(client.exit(), Some(ExitReason::Exited(_))));
    assert_eq!(client.control.cpu_time_ms(), None);
}

#[test]
fn a_closed_connection_is_the_normal_end() {
    let client = Client::started();
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(client.exit(), Some(ExitReason::Exited(EXIT_DONE)));
}
