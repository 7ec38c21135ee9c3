//! A second kernel process, to be killed or to live in a poorer world: this test program again,
//! running nothing but [`run`].

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

use ocap_vat::Zygote;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter_all_threads};

use crate::client::{Client, executable, no_limits, vat, zygote};

const ROLE: &str = "OCAP_TEST_HELPER";

/// How many workers the helper has.
pub(crate) const WORKERS: usize = 5;

/// A running helper. Ended and waited for when dropped.
pub(crate) struct Helper {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Helper {
    pub(crate) fn start(role: &str) -> Helper {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "helper::run", "--ignored", "--nocapture"])
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Helper { child, output }
    }

    /// The next line it says to us (the test harness it is made of prints some too).
    pub(crate) fn line(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "the helper has ended");
            if let Some((_, said)) = line.split_once("says: ") {
                return said.trim_end().to_owned();
            }
        }
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn say(line: impl std::fmt::Display) {
    println!("says: {line}");
}

/// What the helper does. As a test it does nothing.
#[test]
#[ignore = "not a test: the program that other tests start"]
fn run() {
    let Ok(role) = std::env::var(ROLE) else { return };
    match role.as_str() {
        "spin" => spin(),
        "no-landlock" => start_without(libc::SYS_landlock_create_ruleset),
        "no-seccomp" => start_without(libc::SYS_seccomp),
        _ => panic!("{role}?"),
    }
}

/// Workers in endless loops, until killed.
fn spin() {
    let zygote = zygote();
    say(zygote.pid());
    let clients: Vec<Client> = (0..WORKERS)
        .map(|_| {
            let mut client = Client::new(zygote.spawn().unwrap());
            client.start(vat(no_limits()));
            client.send_call("spin", "[]");
            client
        })
        .collect();
    for client in &clients {
        say(client.worker.pid().unwrap());
    }
    zygote.replenish();
    say(zygote.spare_pid().unwrap());
    let _ = std::io::stdin().read(&mut [0]);
}

/// Says what happens where a system call does not exist.
fn start_without(call: i64) {
    let rules = BTreeMap::from([(call, Vec::new())]);
    let missing = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, missing, arch).unwrap();
    let program: BpfProgram = filter.try_into().unwrap();
    apply_filter_all_threads(&program).unwrap();
    say(Zygote::start(executable(), false).unwrap_err());
    let zygote = Zygote::start(executable(), true).unwrap();
    say(zygote.cage());
    let mut client = crate::client::started(&zygote);
    say(client.call("echo", "[1]"));
}
