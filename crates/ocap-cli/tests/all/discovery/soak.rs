//! Every process of discovery is stopped or killed in turn, at seeded moments, while it is in use.
//!
//! The daemon, the real bridge, and the workers of the vats (the matcher, two shipped providers, a
//! consumer) run; consumers find services and call them all the time. Each round one process goes: by
//! `daemon stop`, or by SIGKILL. What must hold after each: the matcher's URL is what it was, the
//! registry is whole, the bridge is there again without anybody's help, the first registration
//! succeeds, and every call that was under way was answered or rejected with a code.
//!
//! `OCAP_DISCOVERY_ROUNDS=100 cargo test -p ocap-cli --test all soak -- --nocapture` is the long form.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

use ocap_daemon::client::{self, ClientError};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::discovery::model_server::ModelServer;
use crate::discovery::{Process, launch_scout, parsed, shipped};
use crate::rig::{Home, PATIENCE, eventually};

const ROUNDS: u64 = 6;

const CLIENTS: u64 = 3;

/// How long a round is left alone before something goes, at most.
const CALM_MS: u64 = 80;

const VICTIMS: [&str; 4] = ["daemon stop", "daemon kill", "bridge", "worker"];

fn rounds() -> u64 {
    let asked = std::env::var("OCAP_DISCOVERY_ROUNDS").ok();
    asked.map_or(ROUNDS, |text| text.parse().expect("OCAP_DISCOVERY_ROUNDS is a number"))
}

/// A number that looks random, always the same for the same round.
fn seeded(round: u64, below: u64) -> u64 {
    let mut x = round.wrapping_add(7).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ (x >> 31)) % below
}

fn launch_provider(home: &Home, name: &str, url: &str) {
    let file = format!("{name}/{name}.js");
    home.launch(&json!({
        "name": name,
        "bootstrap": "service",
        "services": ["ocapURLIssuerService", "ocapURLRedemptionService"],
        "vats": {"service": {
            "sourceSpec": shipped(&file),
            "globals": ["crypto", "setTimeout"],
            "parameters": {"matcherUrl": url},
        }},
    }));
}

/// Uses services until told to stop; every outcome has to be one that callers can understand.
fn consumer(
    home: &Home,
    scout: &str,
    over: &Arc<AtomicBool>,
    done: &Arc<AtomicU64>,
) -> JoinHandle<()> {
    let (socket, scout) = (home.files.socket(), scout.to_owned());
    let (over, done) = (Arc::clone(over), Arc::clone(done));
    spawn(move || {
        while !over.load(Ordering::Acquire) {
            let args = json!(["echo message", "echo", "echo", ["hello"]]);
            let params = json!([scout, "employ", args]);
            match client::call(&socket, "queueMessage", &params, Some(PATIENCE)) {
                Ok(answer) => {
                    assert_eq!(answer["body"], "#\"hello\"");
                    done.fetch_add(1, Ordering::AcqRel);
                }
                Err(ClientError::Rpc(error)) => {
                    assert!(
                        error.message.contains("[KERNEL:") || is_known(&error.message),
                        "{error}"
                    );
                }
                // The daemon ends, or is not there.
                Err(ClientError::Broken(_) | ClientError::Absent { .. }) => {
                    sleep(Duration::from_millis(5));
                }
                Err(error) => panic!("a call hangs: {error}"),
            }
        }
    })
}

/// What is no code of the kernel's and yet no riddle.
fn is_known(message: &str) -> bool {
    // A kernel that is about to end says so to whom it still talks.
    message.contains("stopped") || message.contains("stopping") || message.contains("starting")
}

/// The workers of the daemon, by pid.
fn workers(home: &Home) -> Vec<Pid> {
    let daemon = home.files.running_pid().unwrap().to_string();
    let stat = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let parent = |pid: &str| {
        let stat = stat(pid);
        let rest = stat.rsplit_once(") ").map(|(_, rest)| rest.to_owned()).unwrap_or_default();
        rest.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    let pids: Vec<String> = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        .collect();
    let ours = |pid: &String| parent(pid) == daemon || parent(&parent(pid)) == daemon;
    let is_worker = |pid: &&String| stat(pid).contains("(ocap-worker)");
    let found = pids.iter().filter(|pid| ours(pid)).filter(is_worker);
    found.filter_map(|pid| Pid::from_raw(pid.parse().unwrap())).collect()
}

#[test]
fn discovery_outlives_whatever_is_killed() {
    let home = Home::new();
    let server = ModelServer::matching();
    let url = home.ok(&["matcher", "start"]).trim_end().to_owned();
    let mut bridge = Process::bridge(&home, &server.base());
    for name in ["echo", "random-number"] {
        launch_provider(&home, name, &url);
    }
    let scout = launch_scout(&home, &url);
    let status = |home: &Home| -> Value {
        let said = home.ocap(&["matcher", "status", "--json"]);
        serde_json::from_str(&said.stdout).unwrap_or_default()
    };
    eventually("the bridge is ready", || status(&home)["bridge"] == "ready");

    let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let consumers: Vec<_> = (0..CLIENTS).map(|_| consumer(&home, &scout, &over, &done)).collect();
    let rounds = rounds();
    for round in 0..rounds {
        let victim = VICTIMS[usize::try_from(round % 4).unwrap()];
        sleep(Duration::from_millis(seeded(round, CALM_MS)));
        match victim {
            "daemon stop" => home.stop(),
            "daemon kill" => home.kill(),
            "bridge" => {
                drop(bridge);
                sleep(Duration::from_millis(seeded(round + 1_000, CALM_MS)));
                bridge = Process::bridge(&home, &server.base());
            }
            _ => {
                let all = workers(&home);
                assert!(all.len() >= 4, "matcher, two providers and a consumer: {all:?}");
                let place = usize::try_from(seeded(round + 2_000, all.len() as u64)).unwrap();
                kill_process(all[place], Signal::KILL).unwrap();
            }
        }
        let what = format!("round {round}, {victim}");
        println!("{what}");
        // The daemon is started by whoever needs it; nobody touches the bridge.
        assert_eq!(home.ok(&["matcher", "start"]).trim_end(), url, "{what}");
        // A vat whose worker was killed again and again waits for its operator.
        for vat in home.status()["vats"].as_array().unwrap() {
            if vat["state"] == "suspended" {
                home.rpc("restartVat", json!({"id": vat["id"]})).unwrap();
            }
        }
        // The first registration of all after it. The consumer plays a new provider.
        let name = format!("extra{round}");
        let registered = || {
            let made = home.ask(&scout, "make", json!([name, {"token": "t"}]));
            assert!(made.starts_with('#') || made.contains("[KERNEL:"), "{what}: {made}");
            home.ask(&scout, "registerByRef", json!([name, "t"]))
        };
        if victim == "worker" {
            // The worker of one of the two may be the one that was killed.
            eventually("a registration succeeds", || registered() == "#\"registered\"");
        } else {
            assert_eq!(registered(), "#\"registered\"", "{what}\n{}", home.log());
        }
        let tags = || -> Vec<String> {
            let root = status(&home)["rootKref"].as_str().unwrap_or_default().to_owned();
            let all = home.ask(&root, "listAll", json!([]));
            if !all.starts_with('#') {
                return Vec::new();
            }
            let all = parsed(&all);
            let tag =
                |entry: &Value| entry["description"]["providerTag"].as_str().unwrap().to_owned();
            let mut tags: Vec<String> = all.as_array().unwrap().iter().map(tag).collect();
            tags.retain(|tag| !tag.starts_with("extra") || *tag == name);
            tags
        };
        eventually(&format!("the registry is whole: {what}"), || {
            let tags = tags();
            ["echo", "random-number", &name]
                .iter()
                .all(|wanted| tags.iter().filter(|tag| tag == wanted).count() == 1)
        });
        eventually(&format!("the bridge is ready again: {what}"), || {
            status(&home)["bridge"] == "ready"
        });
        // And it answers, by the model.
        let found = home.ask(&scout, "find", json!(["repeats"]));
        assert_eq!(
            parsed(&found),
            json!([{"tag": "echo", "rationale": "the model says so"}]),
            "{what}"
        );
        let before = done.load(Ordering::Acquire);
        eventually("consumers are served again", || done.load(Ordering::Acquire) > before);
    }
    over.store(true, Ordering::Release);
    for consumer in consumers {
        consumer.join().unwrap();
    }
    println!("{rounds} rounds, {} services employed", done.load(Ordering::Acquire));
    home.stop();
    home.assert_sound();
}
