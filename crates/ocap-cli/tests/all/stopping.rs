//! The end comes within a bound and is clean, whatever vats, clients and peers do.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read, Write};
use std::thread;

use rustix::process::Signal;
use serde_json::json;

use crate::rig::{Home, connect, eventually, vat};

/// The processes below one: its children, and theirs.
fn processes_of(ancestor: u32) -> BTreeSet<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parent = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // After the name, which may hold anything: state and parent.
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse::<u32>().ok()
    };
    let parents: BTreeMap<u32, u32> = pids.filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut found = BTreeSet::new();
    let mut ancestors = vec![ancestor];
    while let Some(ancestor) = ancestors.pop() {
        for (&pid, &parent) in &parents {
            if parent == ancestor && found.insert(pid) {
                ancestors.push(pid);
            }
        }
    }
    found
}

#[test]
fn nobody_delays_a_clean_end() {
    for signal in [None, Some(Signal::TERM), Some(Signal::INT)] {
        let home = Home::new();
        home.start();
        let busy = home.launch_counter();
        let waiting = home.launch_counter();
        let socket = home.beside("line.sock");
        let vats = json!({"line": {"sourceSpec": vat("line.js")}});
        let io = json!({"line": {"type": "socket", "path": socket}});
        let line = home.launch(&json!({"bootstrap": "line", "vats": vats, "io": io}));
        // A peer that takes nothing, a client that sends half a request, one that sends nothing.
        let peer = connect(&socket);
        let mut half = connect(&home.files.socket());
        half.write_all(b"{\"method\":\"getSt").unwrap();
        let idle = connect(&home.files.socket());
        let pid = home.files.running_pid().unwrap();
        let processes = processes_of(pid);
        assert!(processes.len() >= 4, "the zygote and three workers: {processes:?}");
        let large = "x".repeat(1024 * 1024);
        // A vat that loops for ever, a client that waits for ever, writes that go nowhere.
        let mut calls = vec![json!([busy, "spin", []]), json!([waiting, "never", []])];
        calls.extend((0..4).map(|_| json!([line, "write", [large]])));
        let asked: Vec<_> = calls
            .iter()
            .map(|params| {
                let mut stream = connect(&home.files.socket());
                let request = json!({"id": 1, "method": "queueMessage", "params": params});
                writeln!(stream, "{request}").unwrap();
                stream
            })
            .collect();
        eventually("the vat loops", || home.status()["vats"][0]["queued"].as_u64() > Some(0));
        match signal {
            Some(signal) => assert!(home.files.signal(signal).unwrap()),
            None => home.stop(),
        }
        eventually("the kernel ends", || !home.files.is_held());
        for mut stream in asked {
            // An answer or none, but an end.
            let mut answer = Vec::new();
            let read = stream.read_to_end(&mut answer);
            let kind = read.err().map(|error| error.kind());
            assert!(matches!(kind, None | Some(ErrorKind::ConnectionReset)), "{kind:?}");
        }
        let log = home.log();
        assert!(log.contains("Stopped.") && !log.contains("ERROR"), "{log}");
        assert!(!home.files.socket().exists() && !home.files.pid_file().exists());
        assert!(!socket.exists());
        let gone = |pid: &u32| !std::path::Path::new(&format!("/proc/{pid}")).exists();
        eventually("no process is left", || processes.iter().all(gone));
        drop((peer, half, idle));
        home.assert_sound();
    }
}

#[test]
fn a_killed_kernel_leaves_no_process() {
    let home = Home::new();
    home.start();
    let root = home.launch_counter();
    let pid = home.files.running_pid().unwrap();
    let processes = processes_of(pid);
    assert!(processes.len() >= 2, "{processes:?}");
    thread::scope(|scope| {
        scope.spawn(|| home.ask_or_break(&root, "never"));
        home.kill();
    });
    let gone = |pid: &u32| !std::path::Path::new(&format!("/proc/{pid}")).exists();
    eventually("no process is left", || processes.iter().all(gone));
}
