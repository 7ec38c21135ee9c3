//! Pulling the plug of a daemon under load.
//!
//! Two vats pass the numbers of several clients to one another; every number takes three cranks and
//! is acknowledged after the last. Each round ends with SIGKILL at a seeded moment: at the N-th
//! failpoint before a commit, after it, or after the release of its effects, or from outside. Each
//! time `ocap doctor` must find nothing. What must hold in the end, in each of the three places
//! where a number is noted: every acknowledged number is there, none is there twice, and whatever
//! one place has the other two have as well, acknowledged or not.
//!
//! `OCAP_CRASH_ROUNDS=500 cargo test -p ocap-cli --test all crash_load -- --nocapture` is the long
//! form.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use ocap_daemon::client::{self, ClientError};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::rig::{Home, PATIENCE, eventually, vat};

const ROUNDS: u64 = 40;

const CLIENTS: usize = 4;

const POINTS: [&str; 4] = ["before-commit", "after-commit", "after-release", "outside"];

/// The first failpoints of a round are those of the boot and of what the round before has left.
const HITS_MAX: u64 = 60;

/// What one client has sent, and what of it was acknowledged.
#[derive(Default)]
struct Account {
    sent: u64,
    acknowledged: BTreeSet<u64>,
}

/// What a ledger has noted of one client.
#[derive(Debug, PartialEq)]
struct Noted {
    last: u64,
    gaps: BTreeSet<u64>,
    again: Vec<u64>,
    count: u64,
}

struct Load {
    home: Home,
    front: String,
    back: String,
    accounts: Vec<Mutex<Account>>,
}

fn rounds() -> u64 {
    let asked = std::env::var("OCAP_CRASH_ROUNDS").ok();
    asked.map_or(ROUNDS, |text| text.parse().expect("OCAP_CRASH_ROUNDS is a number"))
}

/// A number that looks random, always the same for the same round.
fn seeded(round: u64, below: u64) -> u64 {
    let mut x = round.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ (x >> 31)) % below
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "failpoints need a build with debug assertions")]
fn no_acknowledged_message_is_lost_or_doubled_under_load() {
    let home = Home::new();
    home.start();
    let front = home.launch(&json!({
        "bootstrap": "front",
        "vats": {
            "front": {"sourceSpec": vat("ledger.js")},
            "back": {"sourceSpec": vat("ledger.js")},
        },
    }));
    let number: u64 = front.strip_prefix("ko").unwrap().parse().unwrap();
    let back = format!("ko{}", number + 1);
    home.kill();
    let accounts = (0..CLIENTS).map(|_| Mutex::default()).collect();
    let load = Load { home, front, back, accounts };
    let mut died: BTreeMap<&str, u64> = BTreeMap::new();
    for round in 0..rounds() {
        let point = POINTS[usize::try_from(round % 4).unwrap()];
        load.round(round, point);
        *died.entry(point).or_default() += 1;
        let said = load.home.ocap(&["doctor"]);
        assert_eq!(said.code, Some(0), "round {round}, {point}: {said:?}");
    }
    let (sent, acknowledged) = load.settle();
    println!("{died:?}: {acknowledged} acknowledged of {sent} sent");
    assert!(acknowledged >= rounds(), "that was no load");
}

impl Load {
    /// Runs the daemon under load until it dies where it is to die.
    fn round(&self, round: u64, point: &str) {
        let hit = 1 + seeded(round, HITS_MAX);
        let armed = format!("{point}:{hit}");
        let outside = point == "outside";
        let env: &[(&str, &str)] = if outside { &[] } else { &[("OCAP_FAILPOINT", &armed)] };
        let mut daemon = self.home.serve(env);
        let (dead, acknowledged) = (AtomicBool::new(false), AtomicU64::new(0));
        thread::scope(|scope| {
            for (client, account) in self.accounts.iter().enumerate() {
                let (dead, acknowledged) = (&dead, &acknowledged);
                scope.spawn(move || self.client(client, account, dead, acknowledged));
            }
            let enough = || outside && acknowledged.load(Ordering::Relaxed) >= hit / 2;
            eventually("the round ends", || enough() || daemon.ended().is_some());
            if outside {
                thread::sleep(Duration::from_micros(seeded(round, 4_000)));
                daemon.signal(Signal::KILL);
                eventually("a killed daemon ends", || daemon.ended().is_some());
            }
            dead.store(true, Ordering::Relaxed);
        });
        let (status, said) = daemon.ends();
        let killed = std::os::unix::process::ExitStatusExt::signal(&status);
        assert_eq!(killed, Some(9), "round {round}, {armed}: {said}\n{}", self.home.log());
    }

    /// Sends one number after the other until the daemon is dead.
    fn client(&self, client: usize, account: &Mutex<Account>, dead: &AtomicBool, all: &AtomicU64) {
        let mut account = account.lock().unwrap();
        let name = format!("c{client}");
        loop {
            // A number that may have arrived is not sent again.
            let number = account.sent + 1;
            let params = json!([self.front, "put", [name, number]]);
            match client::call(&self.home.files.socket(), "queueMessage", &params, Some(PATIENCE)) {
                Ok(answer) => {
                    assert!(answer["body"].as_str().unwrap().starts_with('#'), "{answer}");
                    account.sent = number;
                    account.acknowledged.insert(number);
                    all.fetch_add(1, Ordering::Relaxed);
                }
                Err(ClientError::Broken(_)) => account.sent = number,
                // Certainly not sent. Either it does not listen yet or it never will again.
                Err(ClientError::Absent { .. }) => {
                    if dead.load(Ordering::Relaxed) {
                        return;
                    }
                    thread::sleep(Duration::from_millis(2));
                }
                Err(error) => panic!("{name} {number}: {error}\n{}", self.home.log()),
            }
        }
    }

    /// Compares, in an undisturbed daemon, what is noted with what was sent and acknowledged.
    fn settle(&self) -> (u64, u64) {
        self.home.start();
        let (mut all_sent, mut all_acknowledged) = (0, 0);
        for (client, account) in self.accounts.iter().enumerate() {
            let account = account.lock().unwrap();
            let name = format!("c{client}");
            // What the last round has left may still be on its way.
            eventually("all places agree", || {
                let put = self.noted(&self.front, "put", &name);
                put == self.noted(&self.back, "pass", &name)
                    && put == self.noted(&self.front, "confirm", &name)
            });
            let noted = self.noted(&self.front, "put", &name);
            assert_eq!(noted.again, [0; 0], "{name}: delivered twice");
            let lost: Vec<_> = noted.gaps.intersection(&account.acknowledged).collect();
            assert!(lost.is_empty(), "{name}: {lost:?} were acknowledged and are lost");
            let highest = account.acknowledged.last().copied().unwrap_or(0);
            assert!(noted.last >= highest, "{name}: {highest} was acknowledged, {noted:?}");
            assert!(noted.last <= account.sent, "{name}: {noted:?} of {} sent", account.sent);
            assert_eq!(noted.count + noted.gaps.len() as u64, noted.last, "{name}");
            all_sent += account.sent;
            all_acknowledged += account.acknowledged.len() as u64;
        }
        self.home.stop();
        let said = self.home.ocap(&["doctor"]);
        assert_eq!(said.code, Some(0), "at the end: {said:?}");
        (all_sent, all_acknowledged)
    }

    fn noted(&self, root: &str, table: &str, client: &str) -> Noted {
        let body = self.home.ask(root, "report", json!([table, client]));
        let report: Value = serde_json::from_str(body.strip_prefix('#').unwrap()).unwrap();
        let numbers = |key: &str| -> Vec<u64> {
            let list = report[key].as_array().map_or(&[][..], Vec::as_slice);
            list.iter().map(|number| number.as_u64().unwrap()).collect()
        };
        Noted {
            last: report["last"].as_u64().unwrap_or(0),
            gaps: numbers("gaps").into_iter().collect(),
            again: numbers("again"),
            count: report["count"].as_u64().unwrap_or(0),
        }
    }
}
