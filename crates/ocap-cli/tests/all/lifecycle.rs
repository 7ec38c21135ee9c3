//! Starting, stopping, and who may.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::process::Signal;
use serde_json::json;

use crate::rig::{Home, eventually, guestbook};

#[test]
fn everything_in_a_home_is_private() {
    let home = Home::new();
    home.start();
    home.launch_counter();
    let mode = |path: &Path| std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(home.files.root()), 0o700);
    let mut files = 0;
    for entry in std::fs::read_dir(home.files.root()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path) & 0o077, 0, "{}", path.display());
        files += 1;
    }
    for name in ["daemon.sock", "daemon.pid", "daemon.log", "kernel.sqlite"] {
        assert!(home.path(name).exists(), "{name}");
    }
    assert!(files >= 4);
    let pid = std::fs::read_to_string(home.files.pid_file()).unwrap();
    assert_eq!(pid, home.files.running_pid().unwrap().to_string());
    home.stop();
    assert!(!home.files.socket().exists());
    assert!(!home.files.pid_file().exists());
}

#[test]
fn of_twenty_starters_one_runs_and_all_are_content() {
    let home = Home::new();
    let starters: Vec<_> = (0..20)
        .map(|_| home.command(&["daemon", "start"]).stderr(std::process::Stdio::null()).spawn())
        .collect();
    for starter in starters {
        assert!(starter.unwrap().wait().unwrap().success(), "{}", home.log());
    }
    assert_eq!(home.log().matches("Daemon started.").count(), 1, "{}", home.log());
    // A second one in the foreground is refused at once, and says by whom and what to do.
    let said = home.ocap(&["run", guestbook().to_str().unwrap()]);
    assert_eq!(said.code, Some(1));
    let pid = home.files.running_pid().unwrap().to_string();
    assert!(said.stderr.contains(&pid) && said.stderr.contains("ocap daemon stop"), "{said:?}");
    assert_eq!(home.rpc("getStatus", json!([])).unwrap()["vats"], json!([]));
}

#[test]
fn of_twenty_kernels_at_once_one_stays_and_the_others_say_why_not() {
    let home = Home::new();
    home.files.prepare().unwrap();
    let mut kernels: Vec<_> = (0..20).map(|_| home.serve(&[])).collect();
    let mut refused = 0;
    eventually("all but one have ended", || {
        kernels.retain_mut(|kernel| {
            if kernel.ended().is_none() {
                return true;
            }
            let (status, said) = kernel.ends();
            assert_eq!(status.code(), Some(1), "{said}");
            assert!(said.contains("already running"), "{said}");
            refused += 1;
            false
        });
        kernels.len() == 1
    });
    assert_eq!(refused, 19);
    eventually("the one answers", || home.rpc("getStatus", json!([])).is_ok());
    let pid = home.files.running_pid().unwrap();
    home.stop();
    let (status, said) = kernels.remove(0).ends();
    assert!(status.success(), "process {pid}: {said}\n{}", home.log());
}

#[test]
fn who_is_refused_leaves_the_log_to_the_kernel_that_runs() {
    let home = Home::new();
    home.files.prepare().unwrap();
    std::fs::write(home.files.config(), "[log]\nbytes_per_file = 65536\n").unwrap();
    home.start();
    // As good as full.
    let mut log = std::fs::OpenOptions::new().append(true).open(home.files.log()).unwrap();
    log.write_all(&vec![b'\n'; 65536]).unwrap();
    let (status, said) = home.serve(&[]).ends();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(!home.path("daemon.log.1").exists(), "it has begun a new file");
    assert!(home.log().contains("already running"));
    home.stop();
    assert!(home.log().contains("Stopped."));
}

#[test]
fn a_kernel_that_loses_its_store_ends_with_a_line_and_loses_nothing() {
    let home = Home::new();
    let mut kernel = home.serve(&[]);
    eventually("it runs", || home.rpc("getStatus", json!([])).is_ok());
    let root = home.launch_counter();
    assert_eq!(home.ask(&root, "bump", json!([])), "#1");
    // Somebody removes the lock and opens the store.
    std::fs::remove_file(home.path("kernel.sqlite.lock")).unwrap();
    drop(ocap_store::sqlite::open(home.files.database()).unwrap());
    home.ask_or_break(&root, "bump");
    let (status, said) = kernel.ends();
    assert_eq!(status.code(), Some(1), "{said}");
    let log = home.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(" ERROR ")).collect();
    assert!(lines.iter().any(|line| line.contains("has taken this store over")), "{log}");
    assert!(said.contains("has taken this store over"), "{said}");
    assert!(!home.files.pid_file().exists() && !home.files.socket().exists());
    home.start();
    assert_eq!(home.ask(&root, "bump", json!([])), "#2");
}

#[test]
fn a_pid_of_somebody_else_stops_nobody_from_starting() {
    let home = Home::new();
    home.files.prepare().unwrap();
    std::fs::write(home.files.pid_file(), "1").unwrap();
    home.start();
    home.kill();
    // Now the pid is that of a dead process; and then of a live one that is none of ours.
    home.start();
    home.kill();
    std::fs::write(home.files.pid_file(), std::process::id().to_string()).unwrap();
    let said = home.ocap(&["daemon", "stop"]);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), "Daemon is not running.\n"));
    home.start();
    home.stop();
}

#[test]
fn what_a_killed_kernel_leaves_is_no_obstacle() {
    let home = Home::new();
    home.start();
    let root = home.launch_counter();
    assert_eq!(home.ask(&root, "bump", json!([])), "#1");
    home.kill();
    assert!(home.files.socket().exists());
    home.start();
    assert_eq!(home.ask(&root, "bump", json!([])), "#2");
}

#[test]
fn a_path_that_is_not_ours_is_left_alone_and_the_reason_logged() {
    let home = Home::new();
    home.files.prepare().unwrap();
    std::fs::write(home.files.socket(), "precious").unwrap();
    let said = home.ocap(&["daemon", "start"]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("is not a socket"), "{said:?}");
    assert!(home.log().contains("ERROR"), "{}", home.log());
    assert_eq!(std::fs::read(home.files.socket()).unwrap(), b"precious");
    std::fs::remove_file(home.files.socket()).unwrap();
    let listener = UnixListener::bind(home.files.socket()).unwrap();
    // Something that accepts and says nothing.
    let said = home.ocap(&["daemon", "start"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    drop(listener);
    home.start();
}

#[test]
fn a_database_of_nonsense_is_refused_with_a_line_in_the_log() {
    let home = Home::new();
    home.files.prepare().unwrap();
    std::fs::write(home.files.database(), "this is not a database, it is a poem").unwrap();
    let said = home.ocap(&["daemon", "start"]);
    assert_eq!(said.code, Some(1));
    assert!(home.log().contains("ERROR"), "{}", home.log());
    assert!(said.stderr.contains("the daemon did not start"), "{said:?}");
    assert!(!home.files.pid_file().exists());
}

#[test]
fn every_way_to_stop_is_clean() {
    for signal in [Signal::TERM, Signal::INT] {
        let home = Home::new();
        home.start();
        let root = home.launch_counter();
        home.files.signal(Signal::HUP).unwrap();
        assert_eq!(home.ask(&root, "bump", json!([])), "#1");
        home.files.signal(signal).unwrap();
        eventually("the kernel ends", || !home.files.is_held());
        assert!(!home.files.socket().exists());
        assert!(!home.files.pid_file().exists());
        assert!(home.log().contains("Stopped."), "{}", home.log());
        home.start();
        assert_eq!(home.ask(&root, "bump", json!([])), "#2");
    }
}

#[test]
fn stopping_says_what_it_did() {
    let home = Home::new();
    home.start();
    let said = home.ocap(&["daemon", "stop"]);
    assert_eq!(
        (said.code, said.stderr.as_str()),
        (Some(0), "Stopping daemon...\nDaemon stopped.\n")
    );
    let said = home.ocap(&["daemon", "stop"]);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), "Daemon is not running.\n"));
}

#[test]
fn purge_takes_everything_of_the_kernel_and_nothing_else() {
    let home = Home::new();
    home.start();
    home.launch_counter();
    std::fs::write(home.path("mine.txt"), "mine").unwrap();
    let said = home.ocap(&["daemon", "purge"]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("--force"), "{said:?}");
    home.ok(&["daemon", "begone", "--force"]);
    let mut left: Vec<_> = std::fs::read_dir(home.files.root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.contains("lock"))
        .collect();
    left.sort();
    assert_eq!(left, ["mine.txt"]);
    home.start();
    assert_eq!(home.status()["vats"], json!([]));
}
