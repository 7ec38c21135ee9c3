//! Worker processes, for real: zygote, cage, connection, and every way in which one of them can go
//! away.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // what tests do

mod cage;
mod client;
mod death;
mod helper;
mod redteam;
mod ses;
mod spare;

use ocap_vat::engine::Limits;
use ocap_vat::exit::EXIT_PROTOCOL;
use ocap_vat::frame::{FromWorker, ToWorker};
use ocap_vat::{ExitReason, thread};

use client::{Client, PATIENCE, descriptors, is_alive, limits, started, vat, zygote};
use ocap_types::crank::FaultKind;

#[test]
fn a_worker_answers_deliveries() {
    let zygote = zygote();
    let mut client = started(&zygote);
    assert_eq!(client.call("echo", "[7]"), "#7");
    assert_eq!(client.call("count", "[]"), "#1");
    assert_eq!(client.call("count", "[]"), "#2");
    assert!(client.worker.exit_reason().is_none());
    assert!(client.worker.cpu_time_ms().is_some());
}

#[test]
fn up_calls_are_answered_within_a_crank() {
    let zygote = zygote();
    let mut client = started(&zygote);
    let key = "vc.1.sk".to_owned();
    client.store.insert(key, r##"{"body":"#\"kept\"","slots":[]}"##.into());
    assert_eq!(client.call("recall", "[\"k\"]"), "#\"kept\"");
}

#[test]
fn a_thread_is_a_worker_too() {
    let mut client = Client::new(thread::spawn_worker().unwrap());
    client.start(vat(limits()));
    assert_eq!(client.call("echo", "[7]"), "#7");
    assert_eq!(client.worker.pid(), None);
    client.worker.kill();
    assert!(client.worker.wait_exit(PATIENCE).is_some());
}

#[test]
fn a_hundred_workers_live_side_by_side() {
    let zygote = zygote();
    let mut clients: Vec<Client> = (0..100).map(|_| Client::new(zygote.spawn().unwrap())).collect();
    for client in &mut clients {
        client.start(vat(limits()));
    }
    for (n, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.call("echo", &format!("[{n}]")), format!("#{n}"));
    }
    let mut pids: Vec<u32> = clients.iter().filter_map(|client| client.worker.pid()).collect();
    pids.sort_unstable();
    pids.dedup();
    assert_eq!(pids.len(), 100);
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    drop(clients);
    client::await_gone(&pids);
}

#[test]
fn a_worker_has_nothing_open_but_its_connection() {
    let zygote = zygote();
    let (first, second) = (started(&zygote), started(&zygote));
    for client in [&first, &second] {
        // Unreadable without privileges: the worker is not dumpable.
        let Some(open) = descriptors(client.worker.pid().unwrap()) else { return };
        let null = "/dev/null".to_owned();
        assert_eq!(open[..3], [null.clone(), null.clone(), null]);
        assert!(open.len() == 4 && open[3].starts_with("socket:"), "{open:?}");
    }
}

#[test]
fn a_zygote_is_told_nothing_of_the_environment() {
    let zygote = zygote();
    let environment = std::fs::read(format!("/proc/{}/environ", zygote.pid())).unwrap();
    assert_eq!(environment, b"TZ=UTC0\0");
}

#[test]
fn what_vat_code_makes_libc_do_is_allowed_in_the_cage() {
    let zygote = zygote();
    let mut client = started(&zygote);
    for code in ["time zone", "stack", "pattern", "numbers", "log"] {
        let answer = client.call("exercise", &format!("[\"{code}\"]"));
        assert_eq!(answer, "#\"done\"", "{code}");
    }
}

#[test]
fn the_deepest_stack_is_there() {
    let limits = Limits { stack_bytes_max: 16 << 20, ..limits() };
    let zygote = zygote();
    for worker in [zygote.spawn().unwrap(), thread::spawn_worker().unwrap()] {
        let mut client = Client::new(worker);
        client.start(vat(limits));
        assert_eq!(client.call("exercise", "[\"stack\"]"), "#\"done\"");
    }
}

#[test]
fn an_endless_loop_is_a_fault() {
    let zygote = zygote();
    let mut client = Client::new(zygote.spawn().unwrap());
    client.start(vat(Limits { crank_ticks_max: 100, ..limits() }));
    client.send_call("spin", "[]");
    let fault = client.fault();
    assert_eq!(fault.kind, FaultKind::Overrun, "{fault:?}");
    assert_eq!(client.worker.wait_exit(PATIENCE), Some(ExitReason::Exited(0)));
}

#[test]
fn a_full_heap_is_a_fault_that_cannot_be_caught() {
    let zygote = zygote();
    let mut client = started(&zygote);
    client.send_call("hog", "[]");
    let fault = client.fault();
    assert_eq!(fault.kind, FaultKind::OutOfMemory, "{fault:?}");
}

#[test]
fn a_malformed_frame_ends_the_worker() {
    let zygote = zygote();
    for bytes in [&[255; 64][..], &[1, 0, 0, 0, 250], &[0, 0, 0, 0]] {
        let mut client = Client::new(zygote.spawn().unwrap());
        client.write(bytes);
        assert_eq!(client.receive(), None);
        assert_eq!(client.worker.wait_exit(PATIENCE), Some(ExitReason::Exited(EXIT_PROTOCOL)));
    }
}

#[test]
fn a_module_graph_is_collected_in_a_worker_of_its_own() {
    let zygote = zygote();
    let mut client = Client::new(zygote.spawn().unwrap());
    client.send(&ToWorker::Collect { entry: "main.js".into() });
    let graph = loop {
        match client.receive() {
            Some(FromWorker::LoadModule { specifier, .. }) => {
                let file = (specifier == "main.js")
                    .then(|| ("main.js".to_owned(), "export const a = 1;".to_owned()));
                client.send(&ToWorker::Module(Ok(file)));
            }
            Some(FromWorker::Collected(graph)) => break graph.unwrap(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(graph.entry, "main.js");
    assert_eq!(client.worker.wait_exit(PATIENCE), Some(ExitReason::Exited(0)));
}
