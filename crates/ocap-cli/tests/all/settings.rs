//! `config.toml`: what it sets, and what it cannot.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::rig::{Home, connect, eventually, vat};

fn home_with(config: &str) -> Home {
    let home = Home::new();
    home.files.prepare().unwrap();
    std::fs::write(home.files.config(), config).unwrap();
    home
}

/// A launch of a vat that asks for these globals.
fn launch(home: &Home, globals: &[&str]) -> Result<Value, String> {
    let vats = json!({"a": {"sourceSpec": vat("counter.js"), "globals": globals}});
    let config = json!({"bootstrap": "a", "vats": vats});
    home.rpc("launchSubcluster", json!({"config": config})).map_err(|error| error.to_string())
}

#[test]
fn globals_are_narrowed_over_restarts_too() {
    let home = home_with("[vats]\nallowed_globals = [\"TextEncoder\", \"URL\"]\n");
    home.start();
    let shown = home.files.config().display().to_string();
    assert_eq!(home.status()["daemon"]["settings"], shown);
    assert!(home.ok(&["daemon", "status"]).contains(&format!("Settings: {shown}\n")));
    let root = launch(&home, &["TextEncoder", "URL"]).unwrap()["rootKref"].clone();
    let root = root.as_str().unwrap();
    assert_eq!(home.ask(root, "bump", json!([])), "#1");
    let refused = launch(&home, &["Date"]).unwrap_err();
    assert!(refused.contains("requested unknown global \"Date\""), "{refused}");
    home.stop();
    // What is not allowed any more does not start, and says why; what it keeps is kept.
    std::fs::write(home.files.config(), "[vats]\nallowed_globals = [\"URL\"]\n").unwrap();
    home.start();
    let status = home.status();
    let (state, reason) = (&status["vats"][0]["state"], &status["vats"][0]["reason"]);
    assert_eq!(state, "failed", "{status}");
    assert!(reason.as_str().unwrap().contains("requested unknown global"), "{status}");
    home.stop();
    std::fs::remove_file(home.files.config()).unwrap();
    home.start();
    assert_eq!(home.status()["daemon"]["settings"], Value::Null);
    let id = status["vats"][0]["id"].clone();
    home.rpc("restartVat", json!({"id": id})).unwrap();
    assert_eq!(home.ask(root, "bump", json!([])), "#2");
}

#[test]
fn an_empty_list_allows_no_global_and_no_list_all() {
    let home = home_with("[vats]\nallowed_globals = []\n");
    home.start();
    assert!(launch(&home, &["TextEncoder"]).unwrap_err().contains("TextEncoder"));
    launch(&home, &[]).unwrap();
    home.stop();
    std::fs::write(home.files.config(), "[vats]\n").unwrap();
    home.start();
    launch(&home, &["TextEncoder", "Date", "Math"]).unwrap();
}

#[test]
fn a_file_that_cannot_be_used_stops_the_start_and_says_where_and_why() {
    for (config, told) in [
        ("[vats]\nallowed_globals = [\"Clock\"]\n", "structuredClone"),
        ("[log]\nlevel = 5\n", "expected a string"),
        ("[log]\n\nlevels = { \"x y\" = \"info\" }\n", "ocap::vat"),
    ] {
        let home = home_with(config);
        let said = home.ocap(&["daemon", "start"]);
        assert_eq!(said.code, Some(1), "{said:?}");
        let place = format!("{}, line ", home.files.config().display());
        assert!(said.stderr.contains(&place) && said.stderr.contains(told), "{said:?}");
        assert!(home.log().contains(&place), "{}", home.log());
        assert!(!home.files.database().exists());
        std::fs::remove_file(home.files.config()).unwrap();
        home.start();
        assert!(home.log().contains("Settings: the defaults"), "{}", home.log());
    }
}

#[test]
fn the_log_is_written_as_the_file_says() {
    let home = home_with("[log]\nformat = \"json\"\nlevels = { \"ocap_daemon\" = \"error\" }\n");
    home.start();
    home.stop();
    assert!(!home.log().contains("Stopped."), "{}", home.log());
    std::fs::write(home.files.config(), "[log]\nformat = \"json\"\n").unwrap();
    home.start();
    home.stop();
    let log = home.log();
    let events: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said = |event: &Value| event["fields"]["message"].as_str().unwrap_or_default().to_owned();
    let settings = format!("Settings: {}", home.files.config().display());
    assert!(events.iter().any(|event| said(event) == settings), "{log}");
    assert_eq!(said(events.last().unwrap()), "Stopped.");
    assert!(events.iter().all(|event| event["level"] == "INFO" && event["timestamp"].is_string()));
    // The command that started it finds the reason in such a log too.
    std::fs::write(home.files.database(), "a poem").unwrap();
    let said = home.ocap(&["daemon", "start"]);
    assert!(said.stderr.contains("is not a store of ocap"), "{said:?}");
}

#[test]
fn a_hangup_opens_the_log_again_and_reads_its_level() {
    let home = Home::new();
    home.start();
    let root = home.launch_counter();
    let moved = home.path("moved");
    std::fs::rename(home.files.log(), &moved).unwrap();
    std::fs::write(home.files.config(), "[log]\nlevel = \"warn\"\n").unwrap();
    home.files.signal(Signal::HUP).unwrap();
    eventually("there is a log again", || home.files.log().exists());
    std::fs::write(home.files.config(), "[log]\nlevel = \"loud\"\n").unwrap();
    home.files.signal(Signal::HUP).unwrap();
    eventually("what is wrong is told", || home.log().contains("the settings stay as they were"));
    assert_eq!(home.ask(&root, "bump", json!([])), "#1");
    home.stop();
    // The level was still the last good one.
    assert!(!home.log().contains("Stopped."), "{}", home.log());
    assert!(std::fs::read_to_string(moved).unwrap().contains("Daemon started."));
}

#[test]
fn clients_are_as_many_as_the_file_says() {
    let home = home_with("[rpc]\nconnections = 3\n");
    home.start();
    let mut held = Vec::new();
    let told = "too many clients at once (at most 3)";
    // The command's own last connection may still be open for a moment.
    eventually("the next one is told so", || {
        held.push(connect(&home.files.socket()));
        held.len() >= 3 && home.raw(b"{\"method\":\"getStatus\"}\n").contains(told)
    });
    assert!(held.len() <= 4, "{}", held.len());
    drop(held);
    eventually("there is room again", || home.rpc("getStatus", json!([])).is_ok());
}

#[test]
fn the_log_is_as_long_as_the_file_says_and_purge_takes_all_of_it() {
    let home = home_with("[log]\nbytes_per_file = 65536\nfiles_kept = 2\n");
    home.start();
    let source = home.beside("talker.js");
    let text = "import { Far } from '@endo/far';
        export function buildRootObject({ logger }) {
          const line = 'x'.repeat(1000);
          return Far('talker', {
            bootstrap() {},
            talk() { for (let n = 0; n < 100; n += 1) logger.info(n, line); },
          });
        }";
    std::fs::write(&source, text).unwrap();
    let vats = json!({"a": {"sourceSpec": source}});
    let root = home.launch(&json!({"bootstrap": "a", "vats": vats}));
    let older = |number: u32| home.path(&format!("daemon.log.{number}"));
    eventually("a second one is kept", || {
        home.ask(&root, "talk", json!([]));
        older(2).exists()
    });
    for _ in 0..3 {
        home.ask(&root, "talk", json!([]));
    }
    for path in [home.files.log(), older(1), older(2)] {
        let length = std::fs::metadata(&path).unwrap().len();
        assert!((1..=65536).contains(&length), "{}: {length}", path.display());
    }
    assert!(!older(3).exists());
    // Also those that were kept under other settings.
    std::fs::write(older(17), "old").unwrap();
    std::fs::write(home.path("daemon.log.mine"), "mine").unwrap();
    home.ok(&["daemon", "purge", "--force"]);
    let left = std::fs::read_dir(home.files.root()).unwrap();
    let mut left: Vec<_> =
        left.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    left.retain(|name| !name.contains("lock"));
    left.sort();
    assert_eq!(left, ["config.toml", "daemon.log.mine"]);
}
