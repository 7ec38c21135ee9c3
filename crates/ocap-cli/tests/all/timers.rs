//! Timers in a daemon that is killed again and again.
//!
//! Each round sets timers that fire within it, or in the rounds after, and ends with SIGKILL at a
//! seeded moment: at the N-th failpoint before a commit, after it, or after the release of its
//! effects, or from outside. What must hold: a timer whose name was told fires once, and no timer
//! fires twice.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;

use ocap_daemon::client::ClientError;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::rig::{Home, eventually, vat};

const ROUNDS: u64 = 24;
const POINTS: [&str; 4] = ["before-commit", "after-commit", "after-release", "outside"];

/// Timers set in a round, if nothing ends it before.
const TIMERS: u64 = 20;

/// What was told of the timers set.
#[derive(Default)]
struct Told {
    set: BTreeSet<String>,
    acknowledged: BTreeSet<String>,
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "failpoints need a build with debug assertions")]
fn no_timer_is_lost_or_fires_twice_whenever_the_daemon_is_killed() {
    let home = Home::new();
    home.start();
    let root = home.launch(&json!({
        "bootstrap": "a",
        "services": ["timer"],
        "vats": {"a": {"sourceSpec": vat("alarms.js")}},
    }));
    home.kill();
    let mut told = Told::default();
    for round in 0..ROUNDS {
        round_of(&home, &root, round, &mut told);
    }
    home.start();
    eventually("no timer is left", || home.ask(&root, "list", json!([])) == "#[]");
    let body = home.ask(&root, "fired", json!([]));
    let fired: Vec<(String, Vec<f64>)> =
        serde_json::from_str(body.strip_prefix('#').unwrap()).unwrap();
    let fired: BTreeMap<_, _> = fired.into_iter().collect();
    for (name, late) in &fired {
        assert_eq!(late.len(), 1, "{name} has fired more than once: {late:?}");
        assert!(late[0] >= 0.0, "{name} was early: {late:?}");
        assert!(told.set.contains(name), "nobody has set {name}");
    }
    let lost: Vec<_> = told.acknowledged.iter().filter(|name| !fired.contains_key(*name)).collect();
    assert!(lost.is_empty(), "{lost:?} are lost");
    assert!(told.acknowledged.len() as u64 > ROUNDS, "that was no load");
    home.stop();
    home.assert_sound();
}

fn round_of(home: &Home, root: &str, round: u64, told: &mut Told) {
    let point = POINTS[usize::try_from(round % 4).unwrap()];
    let armed = format!("{point}:{}", 1 + round * 11 % 37);
    let env: &[(&str, &str)] = if point == "outside" { &[] } else { &[("OCAP_FAILPOINT", &armed)] };
    let mut daemon = home.serve(env);
    eventually("it listens or ends", || {
        daemon.ended().is_some() || home.rpc("getStatus", json!([])).is_ok()
    });
    for n in 0..TIMERS {
        let name = format!("r{round}n{n}");
        // Some in this round, some in those after it.
        let ms = [0, 1, 5, 40, 900][usize::try_from((round + n) % 5).unwrap()];
        match home.rpc("queueMessage", json!([root, "set", [name, ms]])) {
            Ok(Value::Object(answer)) => {
                assert!(answer["body"].as_str().unwrap().starts_with("#\"t"), "{answer:?}");
                told.set.insert(name.clone());
                told.acknowledged.insert(name);
            }
            Err(ClientError::Broken(_)) => {
                told.set.insert(name);
                break;
            }
            Err(ClientError::Absent { .. }) => break,
            other => panic!("{other:?}\n{}", home.log()),
        }
    }
    // Without timers to fire nothing more may come to be committed.
    if daemon.ended().is_none() {
        daemon.signal(Signal::KILL);
    }
    let (status, said) = daemon.ends();
    assert_eq!(status.signal(), Some(9), "{armed}: {said}\n{}", home.log());
}
