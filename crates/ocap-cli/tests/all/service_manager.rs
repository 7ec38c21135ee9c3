//! The daemon under a service manager. The test plays systemd: it holds the socket, passes it on, and
//! receives what the daemon reports.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::{Command, Stdio};
use std::time::Instant;

use rustix::process::Signal;
use serde_json::json;

use crate::rig::{Home, PATIENCE, Running, connect, eventually, repository};

/// What a service manager has for one service.
struct Manager {
    home: Home,
    listener: UnixListener,
    reports: UnixDatagram,
}

impl Manager {
    fn new() -> Manager {
        let home = Home::new();
        home.files.prepare().unwrap();
        let listener = UnixListener::bind(home.files.socket()).unwrap();
        let reports = UnixDatagram::bind(home.beside("notify")).unwrap();
        reports.set_read_timeout(Some(PATIENCE)).unwrap();
        Manager { home, listener, reports }
    }

    /// Starts the daemon as systemd does: the socket is descriptor 3, and the variables name the
    /// process.
    fn start(&self) -> Running {
        let script =
            "export LISTEN_PID=$$ WATCHDOG_PID=$$; exec 3<&0 </dev/null; exec \"$0\" \"$@\"";
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script, env!("CARGO_BIN_EXE_ocap"), "daemon", "serve"]);
        command.env("OCAP_HOME", self.home.files.root()).env_remove("OCAP_LOG");
        command.env("LISTEN_FDS", "1").env("WATCHDOG_USEC", "200000");
        command.env("NOTIFY_SOCKET", self.home.beside("notify"));
        let listener = OwnedFd::from(self.listener.try_clone().unwrap());
        Running::start_with(command, Stdio::from(listener))
    }

    /// The next report that contains a text.
    #[track_caller]
    fn hears(&self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut buffer = [0; 4096];
        let mut heard = Vec::new();
        while Instant::now() < deadline {
            let Ok(length) = self.reports.recv(&mut buffer) else { break };
            let report = String::from_utf8(buffer[..length].to_vec()).unwrap();
            if report.contains(text) {
                return report;
            }
            heard.push(report);
        }
        panic!("no report with {text:?}: {heard:?}\n{}", self.home.log());
    }
}

#[test]
fn the_socket_comes_from_outside_and_stays() {
    let manager = Manager::new();
    let home = &manager.home;
    // Whoever comes before the daemon waits for it.
    let mut early = connect(&home.files.socket());
    early.write_all(b"{\"id\":1,\"method\":\"getStatus\"}\n").unwrap();
    let mut daemon = manager.start();
    let mut answer = String::new();
    early.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("\"result\""), "{answer}");
    let root = home.launch_counter();
    assert_eq!(home.ask(&root, "bump", json!([])), "#1");
    home.ok(&["daemon", "stop"]);
    assert!(daemon.ends().0.success());
    assert!(home.files.socket().exists() && !home.files.pid_file().exists());
    // The next client's request waits in the socket for the next daemon.
    let mut next = connect(&home.files.socket());
    let request = json!({"id": 2, "method": "queueMessage", "params": [root, "bump", []]});
    writeln!(next, "{request}").unwrap();
    let mut daemon = manager.start();
    let mut answer = String::new();
    next.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("#2"), "{answer}");
    // Killed, it leaves the socket as it is too; and to say that it is stopped starts nothing.
    home.kill();
    daemon.ends();
    let said = home.ocap(&["daemon", "stop"]);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), "Daemon is not running.\n"));
    assert!(home.files.socket().exists());
    let mut daemon = manager.start();
    manager.hears("READY=1");
    assert_eq!(home.ask(&root, "bump", json!([])), "#3");
    daemon.signal(Signal::TERM);
    assert!(daemon.ends().0.success());
}

#[test]
fn a_service_manager_hears_how_it_goes() {
    let manager = Manager::new();
    let mut daemon = manager.start();
    manager.hears("READY=1");
    manager.hears("STATUS=0 clusters, 0 vats, 0 channels");
    for _ in 0..3 {
        manager.hears("WATCHDOG=1");
    }
    manager.home.launch_counter();
    manager.hears("STATUS=1 cluster, 1 vat, 0 channels");
    daemon.signal(Signal::TERM);
    let last = manager.hears("STOPPING=1");
    assert!(last.contains("STATUS=Stopping (SIGTERM)"), "{last}");
    assert!(daemon.ends().0.success());
    // A kernel that cannot start says so where the manager keeps what its services say.
    std::fs::write(manager.home.files.database(), "a poem").unwrap();
    for left in ["kernel.sqlite-wal", "kernel.sqlite-shm"] {
        let _ = std::fs::remove_file(manager.home.path(left));
    }
    let mut daemon = manager.start();
    let (status, said) = daemon.ends();
    assert_eq!(status.code(), Some(1));
    assert!(said.contains("is not a store of ocap"), "{said}");
}

#[test]
fn a_service_manager_that_reads_nothing_holds_nobody_up() {
    let manager = Manager::new();
    // As many reports as the socket holds, and then some.
    let other = UnixDatagram::unbound().unwrap();
    other.connect(manager.home.beside("notify")).unwrap();
    other.set_nonblocking(true).unwrap();
    while other.send(b"STATUS=full\n").is_ok() {}
    let mut daemon = manager.start();
    let root = manager.home.launch_counter();
    assert_eq!(manager.home.ask(&root, "bump", json!([])), "#1");
    // Once there is room, it hears what matters.
    manager.hears("READY=1");
    while other.send(b"STATUS=full\n").is_ok() {}
    daemon.signal(Signal::TERM);
    assert!(daemon.ends().0.success());
    assert!(manager.home.log().contains("Stopped."));
}

#[test]
fn what_is_no_listening_socket_is_refused() {
    let manager = Manager::new();
    let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    let script = "export LISTEN_PID=$$; exec 3<&0 </dev/null; exec \"$0\" \"$@\"";
    for (fds, stdin, told) in [
        ("1", Stdio::from(OwnedFd::from(one)), "does not listen"),
        ("1", Stdio::null(), "not a socket"),
        ("2", Stdio::null(), "pass one"),
    ] {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script, env!("CARGO_BIN_EXE_ocap"), "daemon", "serve"]);
        command.env("OCAP_HOME", manager.home.files.root()).env("LISTEN_FDS", fds);
        let (status, said) = Running::start_with(command, stdin).ends();
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(said.contains(told), "{said}");
    }
    // Somebody else's: as if there were none.
    let mut command = manager.home.command(&["daemon", "serve"]);
    command.env("LISTEN_FDS", "1").env("LISTEN_PID", "1");
    let other = Home::new();
    command.env("OCAP_HOME", other.files.root());
    let daemon = Running::start_with(command, Stdio::null());
    eventually("it runs", || other.rpc("getStatus", json!([])).is_ok());
    drop(daemon);
}

#[test]
fn the_units_name_what_there_is() {
    let unit = |name: &str| {
        std::fs::read_to_string(repository().join("contrib/systemd").join(name)).unwrap()
    };
    let value = |text: &str, key: &str| {
        let lines = text.lines().filter_map(|line| line.strip_prefix(key));
        lines.map(str::to_owned).next().unwrap()
    };
    let home = Home::new();
    let service = unit("ocap.service");
    let start =
        value(&service, "ExecStart=").replace("%h/.ocap", home.files.root().to_str().unwrap());
    let mut words: Vec<&str> = start.split(' ').collect();
    assert_eq!(words.remove(0), "%h/.cargo/bin/ocap");
    words.push("--help");
    home.ok(&words);
    let stop: u64 = value(&service, "TimeoutStopSec=").parse().unwrap();
    let limits = [ocap_daemon::limits::KERNEL_STOP_MAX, ocap_daemon::limits::CONNECTIONS_STOP_MAX];
    assert!(limits.iter().sum::<std::time::Duration>().as_secs() < stop);
    let watchdog: u64 = value(&service, "WatchdogSec=").parse().unwrap();
    assert!(ocap_daemon::limits::REPORT_PERIOD.as_secs() * 2 < watchdog);
    let socket = value(&unit("ocap.socket"), "ListenStream=");
    let name = home.files.socket().file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(socket, format!("%h/.ocap/{name}"));
}
