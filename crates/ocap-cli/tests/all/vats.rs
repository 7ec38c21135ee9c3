//! Vats that misbehave, and their processes.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::rig::{Home, eventually, vat};

/// Workers of a killed kernel are gone after this long: an invariant of the kernel.
const WORKERS_GONE: Duration = Duration::from_secs(2);

#[test]
fn an_endless_loop_costs_its_caller_an_error_and_others_nothing() {
    let home = Home::new();
    home.start();
    let (looper, other) = (home.launch_counter(), home.launch_counter());
    assert_eq!(home.ask(&looper, "bump", json!([])), "#1");
    std::thread::scope(|scope| {
        let spinning = scope.spawn(|| home.ask(&looper, "spin", json!([])));
        let mut answered = 0;
        while !spinning.is_finished() {
            assert_eq!(home.ask(&other, "ping", json!([])), "#\"pong\"");
            answered += 1;
        }
        assert!(answered > 5, "only {answered} answers during the loop");
        let outcome = spinning.join().unwrap();
        assert!(outcome.starts_with("[KERNEL:VAT_FATAL:OVERRUN]"), "{outcome}");
    });
    // Its data is there, and neither a restart of the vat nor of the kernel brings the loop back.
    assert_eq!(home.ask(&looper, "bump", json!([])), "#2");
    let shown = home.ok(&["daemon", "status"]);
    assert!(shown.contains("1 fault"), "{shown}");
    home.rpc("restartVat", json!({"id": "v1"})).unwrap();
    assert_eq!(home.ask(&looper, "bump", json!([])), "#3");
    home.stop();
    home.start();
    assert_eq!(home.ask(&looper, "bump", json!([])), "#4");
    home.stop();
    home.assert_sound();
}

/// A process that may not be confused with a later one of the same number.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Process {
    pid: u32,
    parent: u32,
    started: String,
}

fn processes() -> Vec<Process> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(process).collect()
}

fn process(pid: u32) -> Option<Process> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may contain anything.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    // A zombie is dead.
    let alive = !matches!(*fields.first()?, "Z" | "X");
    let parent = fields.get(1)?.parse().ok()?;
    alive.then_some(Process { pid, parent, started: (*fields.get(19)?).to_owned() })
}

/// All that a process started, directly or not.
fn descendants(of: u32) -> Vec<Process> {
    let all = processes();
    let mut found = vec![of];
    let mut known: Vec<Process> = Vec::new();
    while let Some(parent) = found.pop() {
        for child in all.iter().filter(|process| process.parent == parent) {
            known.push(child.clone());
            found.push(child.pid);
        }
    }
    known
}

/// A cluster of one vat that may spin for longer than a test waits.
fn looper() -> serde_json::Value {
    let limits = json!({"crankCpuMs": 60_000, "crankTicks": 1_000_000_000_000_u64});
    let vat = json!({"sourceSpec": vat("counter.js"), "creationOptions": {"limits": limits}});
    json!({"bootstrap": "a", "vats": {"a": vat}})
}

#[test]
fn no_worker_outlives_a_killed_kernel_and_the_next_one_starts_at_once() {
    let home = Home::new();
    home.start();
    let root = home.launch(&looper());
    assert_eq!(home.ask(&root, "bump", json!([])), "#1");
    let workers = descendants(home.files.running_pid().unwrap());
    assert!(workers.len() >= 2, "a zygote and a worker: {workers:?}");
    std::thread::scope(|scope| {
        let spinning = scope.spawn(|| home.ask_or_break(&root, "spin"));
        eventually("the worker spins", || home.status()["vats"][0]["queued"] == 1);
        home.kill();
        let killed = Instant::now();
        let mut left = workers.clone();
        while !left.is_empty() && killed.elapsed() < WORKERS_GONE {
            left.retain(|worker| {
                process(worker.pid).as_ref().is_some_and(|p| p.started == worker.started)
            });
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(left.is_empty(), "still alive after {WORKERS_GONE:?}: {left:?}");
        spinning.join().unwrap();
    });
    home.start();
    assert_eq!(home.ask(&root, "ping", json!([])), "#\"pong\"");
}

fn is_named(process: &Process, name: &str) -> bool {
    let known = std::fs::read_to_string(format!("/proc/{}/comm", process.pid));
    known.is_ok_and(|known| known.trim_end() == name)
}

/// SIGKILL, and waits until it has had its effect.
fn kill(victim: &Process) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(victim.pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    eventually("the process is gone", || process(victim.pid).as_ref() != Some(victim));
}

#[test]
fn a_kernel_at_rest_has_a_worker_ready_whose_death_harms_nobody() {
    let home = Home::new();
    home.start();
    let kernel = home.files.running_pid().unwrap();
    let workers = || -> Vec<Process> {
        let all = descendants(kernel).into_iter();
        all.filter(|process| is_named(process, "ocap-worker")).collect()
    };
    for launched in 1..=2 {
        eventually("one is ready for the next vat", || workers().len() == launched);
        let before = workers();
        if launched == 1 {
            kill(&before[0]);
        }
        let root = home.launch_counter();
        assert_eq!(home.ask(&root, "bump", json!([])), "#1");
        eventually("one is ready again", || workers().len() == launched + 1);
        // It was killed, or parsed the vat's modules.
        assert_eq!(workers().iter().filter(|worker| before.contains(worker)).count(), launched - 1);
    }
    home.stop();
    home.assert_sound();
}

#[test]
fn fifty_vats_that_were_launched_at_once_are_all_back_after_a_kill() {
    const AT_ONCE: usize = 5;
    const EACH: usize = 10;
    let home = Home::new();
    home.start();
    let launch = || (0..EACH).map(|_| home.launch_counter()).collect::<Vec<_>>();
    let roots: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(launch)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    for root in &roots {
        assert_eq!(home.ask(root, "bump", json!([])), "#1");
    }
    home.kill();
    home.start();
    for root in &roots {
        assert_eq!(home.ask(root, "bump", json!([])), "#2");
    }
    home.stop();
    home.assert_sound();
}

#[test]
fn a_killed_zygote_harms_nobody() {
    let home = Home::new();
    home.start();
    let root = home.launch_counter();
    assert_eq!(home.ask(&root, "bump", json!([])), "#1");
    let kernel = home.files.running_pid().unwrap();
    let is_zygote = |process: &Process| is_named(process, "ocap-zygote");
    let zygote = descendants(kernel).into_iter().find(is_zygote).unwrap();
    kill(&zygote);
    // What runs goes on, with what it has in memory, and the next vat starts.
    assert_eq!(home.ask(&root, "bump", json!([])), "#2");
    let other = home.launch_counter();
    assert_eq!(home.ask(&other, "bump", json!([])), "#1");
    assert_eq!(home.ask(&root, "bump", json!([])), "#3");
    let zygotes = descendants(kernel).into_iter().filter(is_zygote).count();
    assert_eq!(zygotes, 1, "another one");
    home.stop();
    home.assert_sound();
}

#[test]
fn a_looping_vat_does_not_delay_the_end() {
    let home = Home::new();
    home.start();
    let root = home.launch(&looper());
    std::thread::scope(|scope| {
        let spinning = scope.spawn(|| home.ask_or_break(&root, "spin"));
        eventually("the worker spins", || home.status()["vats"][0]["queued"] == 1);
        // By request, not by one of the harder ways.
        home.rpc("shutdown", json!([])).unwrap();
        eventually("the kernel ends", || !home.files.is_held());
        spinning.join().unwrap();
    });
    assert!(home.log().contains("Stopped."), "{}", home.log());
    // The message was never answered; whether it is delivered again, the vat is not lost.
    home.start();
    assert_eq!(home.status()["vats"][0]["state"], "running");
}

#[test]
fn references_that_answers_hand_out_can_be_used() {
    let home = Home::new();
    home.start();
    let root = home.launch_counter();
    let made = home.rpc("queueMessage", json!([root, "make", []])).unwrap();
    let kref = made["slots"][0].as_str().unwrap();
    assert_eq!(home.ask(kref, "hello", json!([])), "#\"hello\"");
}

#[test]
fn a_failed_launch_says_which_vat_and_why_and_leaves_nothing() {
    let home = Home::new();
    home.start();
    let source = home.beside("bad.js");
    std::fs::write(&source, "export const buildRootObject = () => { throw Error('no way'); };")
        .unwrap();
    let config = json!({"bootstrap": "good", "vats": {
        "good": {"sourceSpec": vat("counter.js")},
        "bad": {"sourceSpec": source},
    }});
    let refused = home.rpc("launchSubcluster", json!({ "config": config })).unwrap_err();
    let refused = refused.to_string();
    assert!(refused.contains("Failed to launch vat v"), "{refused}");
    assert!(refused.contains("(bad)") && refused.contains("no way"), "{refused}");
    assert_eq!(home.status()["subclusters"], json!([]));
    assert_eq!(home.status()["vats"], json!([]));
    home.stop();
    home.assert_sound();
}
