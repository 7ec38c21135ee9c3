//! The worker that is ready before anybody needs it, and what can happen to it meanwhile.

use std::collections::BTreeSet;

use ocap_vat::engine::Limits;
use ocap_vat::{ExitReason, Zygote};
use rustix::process::{Signal, test_kill_process};

use crate::client::{
    Client, PATIENCE, await_gone, descriptors, eventually, is_alive, limits, pid_of, signal, vat,
    zygote,
};

/// Whether there is nothing left of a process of ours, not even an exit status.
fn is_buried(pid: u32) -> bool {
    test_kill_process(pid_of(pid)).is_err()
}

/// The value of a line of `/proc/<pid>/<file>`; `None` if that may not be seen.
fn proc_value(pid: u32, file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    Some(line.unwrap_or_default().split_whitespace().next().unwrap_or_default().to_owned())
}

/// Whether a worker is behind its filter, the last layer of the cage.
fn is_caged(pid: u32) -> bool {
    proc_value(pid, "status", "Seccomp:").is_some_and(|mode| mode == "2")
}

/// The most data a process may have, in bytes.
fn data_bytes_max(pid: u32) -> Option<u64> {
    proc_value(pid, "limits", "Max data size").map(|bytes| bytes.parse().unwrap())
}

/// The zygote's spare, made if there was none.
fn spare_of(zygote: &Zygote) -> u32 {
    zygote.replenish();
    zygote.spare_pid().unwrap()
}

fn worker(zygote: &Zygote) -> Client {
    let mut client = Client::new(zygote.spawn().unwrap());
    client.start(vat(limits()));
    client
}

#[test]
fn a_spare_waits_in_its_cage_with_nothing_of_anybody() {
    let zygote = zygote();
    assert_eq!(zygote.spare_pid(), None, "nobody has asked for one");
    let first = spare_of(&zygote);
    assert_eq!(spare_of(&zygote), first, "one is enough");
    let client = worker(&zygote);
    assert_eq!(client.worker.pid(), Some(first));
    let spare = spare_of(&zygote);
    assert_ne!(spare, first);
    eventually("it is caged", || is_caged(spare));
    assert_eq!(proc_value(spare, "status", "NoNewPrivs:").unwrap(), "1");
    assert_eq!(proc_value(spare, "status", "CapEff:").unwrap(), "0000000000000000");
    // Also not the connection of the one before.
    if let (Some(open), Some(other)) = (descriptors(spare), descriptors(first)) {
        assert_eq!(open.len(), 4, "{open:?}");
        assert!(open[3].starts_with("socket:") && open[3] != other[3], "{open:?} {other:?}");
    }
}

#[test]
fn limits_of_a_vat_are_tightened_when_a_spare_becomes_its_worker() {
    let zygote = zygote();
    let spare = spare_of(&zygote);
    let mut client = Client::new(zygote.spawn().unwrap());
    assert_eq!(client.worker.pid(), Some(spare));
    eventually("it is caged", || is_caged(spare));
    let Some(widest) = data_bytes_max(spare) else { return };
    client.start(vat(Limits { heap_bytes_max: 8 << 20, ..limits() }));
    let tightened = data_bytes_max(spare).unwrap();
    assert!(tightened < widest, "{tightened} of {widest}");
    client.send_call("hog", "[]");
    client.fault();
}

#[test]
fn a_spare_that_died_is_replaced_when_somebody_wants_it() {
    let zygote = zygote();
    for how in [Signal::KILL, Signal::SEGV] {
        let spare = spare_of(&zygote);
        signal(spare, how);
        await_gone(&[spare]);
        let mut client = worker(&zygote);
        assert_ne!(client.worker.pid(), Some(spare));
        assert_eq!(client.call("echo", "[1]"), "#1");
        assert!(is_buried(spare));
    }
    let spare = spare_of(&zygote);
    signal(spare, Signal::KILL);
    await_gone(&[spare]);
    assert_eq!(zygote.spare_pid(), None);
    assert!(is_buried(spare));
    assert_eq!(worker(&zygote).call("echo", "[2]"), "#2");
    assert!(is_alive(spare_of(&zygote)));
}

#[test]
fn a_killed_zygote_leaves_a_spare_that_is_of_use_once() {
    let zygote = zygote();
    let spare = spare_of(&zygote);
    signal(zygote.pid(), Signal::KILL);
    await_gone(&[zygote.pid()]);
    let mut client = worker(&zygote);
    assert_eq!(client.worker.pid(), Some(spare));
    assert_eq!(client.call("echo", "[1]"), "#1");
    assert_eq!(zygote.spare_pid(), None);
    assert_eq!(zygote.spawn().unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
    drop(zygote);
    assert_eq!(client.call("echo", "[2]"), "#2");
}

#[test]
fn a_spare_ends_with_its_zygote() {
    // One that has been heard of, and one that is only just being forked.
    for heard in [true, false] {
        let zygote = zygote();
        let mut client = worker(&zygote);
        zygote.replenish();
        let spare = if heard { zygote.spare_pid() } else { None };
        let parent = zygote.pid();
        drop(zygote);
        eventually("the zygote is buried", || is_buried(parent));
        if let Some(spare) = spare {
            eventually("the spare is buried", || is_buried(spare));
        }
        assert_eq!(client.call("echo", "[1]"), "#1");
        client.worker.kill();
        assert_eq!(client.worker.wait_exit(PATIENCE), Some(ExitReason::Signaled(9)));
    }
}

#[test]
fn a_killed_zygote_with_a_spare_is_buried_with_it() {
    let zygote = zygote();
    let spare = spare_of(&zygote);
    signal(zygote.pid(), Signal::KILL);
    await_gone(&[zygote.pid()]);
    assert!(is_alive(spare));
    drop(zygote);
    eventually("the spare is buried", || is_buried(spare));
}

#[test]
fn many_that_want_a_worker_at_once_get_one_each() {
    const THREADS: usize = 8;
    const EACH: usize = 6;
    let zygote = zygote();
    let start = || {
        let start = |n: usize| {
            zygote.replenish();
            let mut client = worker(&zygote);
            assert_eq!(client.call("echo", &format!("[{n}]")), format!("#{n}"));
            client
        };
        (0..EACH).map(start).collect::<Vec<_>>()
    };
    let clients: Vec<Client> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(start)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let pids: BTreeSet<u32> = clients.iter().filter_map(|client| client.worker.pid()).collect();
    assert_eq!(pids.len(), THREADS * EACH);
    assert!(!pids.contains(&spare_of(&zygote)));
    assert!(pids.iter().all(|pid| is_alive(*pid)));
}
