//! Who dies with whom.

use ocap_types::crank::FaultKind;
use ocap_vat::{ExitReason, Zygote, fault_of_exit};
use rustix::process::Signal;
use std::path::Path;

use crate::client::{
    Client, PATIENCE, await_gone, is_alive, limits, no_limits, signal, started, vat, zygote,
};
use crate::helper::{Helper, WORKERS};

#[test]
fn a_crash_ends_the_stream_and_says_how() {
    let zygote = zygote();
    for (how, number) in [(Signal::SEGV, 11), (Signal::ABORT, 6), (Signal::SYS, 31)] {
        let mut client = started(&zygote);
        signal(client.worker.pid().unwrap(), how);
        assert_eq!(client.receive(), None);
        let reason = client.worker.wait_exit(PATIENCE);
        assert_eq!(reason, Some(ExitReason::Signaled(number)));
        // And it can be asked again.
        assert_eq!(client.worker.exit_reason(), reason);
        assert_eq!(client.worker.cpu_time_ms(), None);
        let kind = fault_of_exit(reason).kind;
        let forbidden = how == Signal::SYS;
        assert_eq!(kind == FaultKind::CageViolation, forbidden, "{kind:?}");
    }
}

#[test]
fn an_endless_loop_is_killed_and_nobody_else_notices() {
    let zygote = zygote();
    let mut busy = Client::new(zygote.spawn().unwrap());
    busy.start(vat(no_limits()));
    busy.send_call("spin", "[]");
    let mut other = started(&zygote);
    assert_eq!(other.call("echo", "[1]"), "#1");
    while busy.worker.cpu_time_ms().unwrap() < 20 {
        assert_eq!(other.call("echo", "[2]"), "#2");
    }
    busy.worker.kill();
    assert_eq!(busy.receive(), None);
    assert_eq!(busy.worker.wait_exit(PATIENCE), Some(ExitReason::Signaled(9)));
    assert_eq!(other.call("echo", "[3]"), "#3");
}

#[test]
fn a_dropped_handle_ends_its_worker() {
    let zygote = zygote();
    let client = started(&zygote);
    client.send_call("spin", "[]");
    let pid = client.worker.pid().unwrap();
    assert!(is_alive(pid));
    drop(client);
    await_gone(&[pid]);
}

#[test]
fn a_killed_kernel_takes_its_workers_along() {
    let mut kernel = Helper::start("spin");
    let pids: Vec<u32> = (0..WORKERS + 2).map(|_| kernel.line().parse().unwrap()).collect();
    assert!(pids.iter().all(|pid| is_alive(*pid)), "zygote, spare and workers: {pids:?}");
    kernel.kill();
    await_gone(&pids);
}

#[test]
fn a_killed_zygote_takes_no_worker_along() {
    let zygote = zygote();
    let mut client = started(&zygote);
    signal(zygote.pid(), Signal::KILL);
    await_gone(&[zygote.pid()]);
    assert!(!zygote.is_alive());
    assert_eq!(client.call("echo", "[1]"), "#1");
    let error = zygote.spawn().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    drop(zygote);
    assert_eq!(client.call("echo", "[2]"), "#2");
    let successor = crate::client::zygote();
    assert_eq!(started(&successor).call("echo", "[3]"), "#3");
    client.worker.kill();
    assert_eq!(client.worker.wait_exit(PATIENCE), Some(ExitReason::Signaled(9)));
}

#[test]
fn a_dropped_zygote_is_gone() {
    let zygote = zygote();
    let pid = zygote.pid();
    drop(zygote);
    await_gone(&[pid]);
}

#[test]
fn a_thread_that_starts_a_zygote_may_end() {
    let (zygote, mut client) = std::thread::spawn(|| {
        let zygote = zygote();
        let mut client = Client::new(zygote.spawn().unwrap());
        client.start(vat(limits()));
        (zygote, client)
    })
    .join()
    .unwrap();
    assert_eq!(client.call("echo", "[1]"), "#1");
    assert!(zygote.is_alive());
}

#[test]
fn a_program_that_is_no_zygote_is_an_error() {
    let error = Zygote::start(Path::new("/bin/true"), false).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    let error = Zygote::start(Path::new("/no/such/program"), false).unwrap_err();
    assert!(error.to_string().starts_with("cannot start /no/such/program: "), "{error}");
}
