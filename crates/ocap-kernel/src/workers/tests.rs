//! A worker that somebody else has taken over: the other end of its connection is the test's.

#![allow(clippy::unwrap_used, clippy::panic)] // what tests do

use std::os::unix::net::UnixStream;

use mio::Poll;
use ocap_core::api::Incarnation;
use ocap_vat::codec::encode;
use ocap_vat::engine::LogLevel;
use tokio::sync::Semaphore;

use super::*;

const LIMITS: Limits = Limits {
    crank_ticks_max: 1,
    crank_cpu_ms_max: 1,
    heap_bytes_max: 1,
    stack_bytes_max: 1,
    crank_syscalls_max: 1,
    crank_bytes_max: 1,
};

/// The kernel's side of one worker, and that worker's side.
struct Captured {
    workers: Workers,
    theirs: UnixStream,
    vat: VatId,
    _poll: Poll,
}

impl Captured {
    fn new() -> Captured {
        let poll = Poll::new().unwrap();
        let nursery = Nursery::begin(&WorkerMode::Thread).unwrap().ready().unwrap();
        let mut workers = Workers::new(nursery, poll.registry().try_clone().unwrap(), 0);
        let vat: VatId = "v1".parse().unwrap();
        let files = None;
        let reach = Arc::new(Reach { hosts: None, files, gate: Arc::new(Semaphore::new(1)) });
        workers.start(vat, Incarnation(1), LIMITS, reach).unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        theirs.set_nonblocking(true).unwrap();
        workers.by_vat.get_mut(&vat).unwrap().handle.stream = ours;
        Captured { workers, theirs, vat, _poll: poll }
    }

    /// Writes until the kernel's side takes no more for now, and reads nothing. What the kernel heard.
    fn flood(&mut self, bytes: &[u8]) -> Vec<Heard> {
        let mut heard = Vec::new();
        while let Ok(count) = (&self.theirs).write(bytes)
            && count == bytes.len()
        {}
        loop {
            let (more, again) = self.workers.read(self.vat);
            heard.extend(more);
            if !again {
                return heard;
            }
        }
    }

    fn begin(&mut self) {
        self.workers.begin(self.vat, CrankId(1), Instant::now());
    }

    fn queued_bytes(&self) -> usize {
        self.workers.by_vat[&self.vat].outbound.len()
    }
}

#[test]
fn one_question_at_a_time_is_answered() {
    let mut captured = Captured::new();
    let vat = captured.vat;
    assert!(!captured.workers.may_ask(vat), "no crank");
    captured.begin();
    for _ in 0..3 {
        assert!(captured.workers.may_ask(vat));
        captured.workers.answer(vat, Some("value".into())).unwrap();
        assert!(!captured.workers.may_ask(vat), "it has not been answered");
        captured.workers.flush_all();
    }
    // One that reads nothing: the socket is full at some point, and then nothing is answered.
    let value = "x".repeat(1 << 20);
    let mut answered = 0;
    while captured.workers.may_ask(vat) {
        captured.workers.answer(vat, Some(value.clone())).unwrap();
        captured.workers.flush_all();
        answered += 1;
        assert!(answered < 100, "an answer that is not read is waited for");
    }
    assert!(captured.queued_bytes() <= value.len() + 64, "{}", captured.queued_bytes());
    // What is not an answer does not count.
    captured.workers.stop(vat, None);
    assert!(!captured.workers.may_ask(vat));
}

#[test]
fn a_delivery_that_waits_stops_no_question() {
    let mut captured = Captured::new();
    let vat = captured.vat;
    captured.begin();
    captured.workers.send(vat, &ToWorker::Module(Ok(None))).unwrap();
    assert!(captured.workers.may_ask(vat));
    captured.workers.answer(vat, None).unwrap();
    captured.workers.send(vat, &ToWorker::Module(Ok(None))).unwrap();
    assert!(!captured.workers.may_ask(vat));
    captured.workers.flush_all();
    assert!(captured.workers.may_ask(vat));
}

#[test]
fn bytes_that_are_no_frames_end_it_at_once() {
    for bytes in [&[0xff; 4096][..], &[1, 0, 0, 0, 250], &[0, 0, 0, 0, 0, 0, 0, 0]] {
        let mut captured = Captured::new();
        let heard = captured.flood(bytes);
        let Some(Heard::Lost(fault)) = heard.last() else { panic!("{} heard", heard.len()) };
        assert_eq!(fault.kind, FaultKind::Protocol);
    }
}

#[test]
fn a_frame_that_never_ends_is_held_no_further_than_its_limit() {
    let mut captured = Captured::new();
    let length = u32::try_from(FRAME_FROM_WORKER_BYTES_MAX).unwrap();
    (&captured.theirs).write_all(&length.to_le_bytes()).unwrap();
    let piece = vec![0; 64 << 10];
    let mut sent = 0;
    let fault = loop {
        sent += piece.len();
        match captured.flood(&piece).pop() {
            Some(Heard::Lost(fault)) => break fault,
            Some(Heard::Frame(frame)) => panic!("{frame:?}"),
            None => assert!(sent <= 8 * FRAME_FROM_WORKER_BYTES_MAX, "it is still taken"),
        }
    };
    assert_eq!(fault.kind, FaultKind::Protocol, "{fault:?}");
}

#[test]
fn lines_beyond_the_rate_are_not_written() {
    let mut captured = Captured::new();
    let line = FromWorker::Log { level: LogLevel::Info, message: "line".into() };
    let heard = captured.flood(&encode(&line, FRAME_FROM_WORKER_BYTES_MAX).unwrap().repeat(2_000));
    assert!(heard.len() > 1_000, "{}", heard.len());
    let vat = captured.vat;
    captured.workers.by_vat.get_mut(&vat).unwrap().log_since = Instant::now();
    let written = (0..10_000).filter(|_| captured.workers.may_log(vat)).count();
    // Ten thousand take milliseconds; on a machine that stands still a second or two may pass.
    let max = limits::LOG_LINES_PER_SECOND_MAX as usize;
    assert!(written >= max && written < 10_000, "{written}");
}
