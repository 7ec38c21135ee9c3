//! What is printed of a kernel at work: its log, its trace, promises, and vats that do not work.

use std::io::Write;

use ocap_daemon::client::{Session, Terms};
use serde_json::json;

use crate::picture::Picture;
use crate::rig::{Home, Line, PATIENCE, eventually, vat};

/// After so many a vat is given up: `FAULTS_MAX` of the core.
const FAULTS_MAX: usize = 5;

/// Columns are as wide as what stands in them, which is different each time.
fn loosely(home: &Home) -> Picture<'_> {
    Picture::of(home).with(r"(\S) {2,}", "$1  ")
}

#[test]
fn the_log_is_shown_in_parts() {
    let home = Home::new();
    home.files.prepare().unwrap();
    let log = home.files.log();
    // As a kernel writes it.
    std::fs::write(
        &log,
        "2026-01-01T00:00:00.000001Z  INFO ocap_daemon: Daemon started. Socket: x\n\
         2026-01-01T00:00:00.000002Z  INFO ocap::vat: I say vat=v2 vat=v1\n\
         2026-01-01T00:00:00.000003Z  WARN ocap_kernel::driver: vat fault vat=v1 kind=Crash\n    \
         at line 5\u{1b}[2J\n\
         2026-01-01T00:00:00.000004Z ERROR ocap_daemon: all is lost\n\
         2026-01-01T00:00:00.000005Z DEBUG ocap_daemon: little is\n",
    )
    .unwrap();
    let mut picture = Picture::of(&home);
    picture.ocap(&["logs"]);
    picture.ocap(&["logs", "-n", "1"]);
    picture.ocap(&["logs", "--level", "warn"]);
    picture.ocap(&["logs", "--vat", "v1"]);
    picture.ocap(&["logs", "--vat", "v2"]);
    picture.ocap(&["logs", "--vat", "front"]);
    picture.seen(&["logs"]);
    std::fs::write(
        &log,
        "{\"timestamp\":\"2026-01-01T00:00:00.000001Z\",\"level\":\"INFO\",\"fields\":{\"message\":\
         \"I say\",\"vat\":\"v1\"},\"target\":\"ocap::vat\"}\n\
         {\"timestamp\":\"2026-01-01T00:00:00.000002Z\",\"level\":\"ERROR\",\"fields\":{\"message\":\
         \"all is lost\"},\"target\":\"ocap_daemon\"}\n",
    )
    .unwrap();
    picture.then("a log of JSON");
    picture.ocap(&["logs"]);
    picture.ocap(&["logs", "--level", "error"]);
    picture.ocap(&["logs", "--vat", "v1"]);
    picture.going(&["logs", "-n", "1", "--follow"], |going| {
        going.prints("all is lost");
        let mut log = std::fs::OpenOptions::new().append(true).open(&log).unwrap();
        writeln!(log, "2026-01-01T00:00:00.000006Z  INFO ocap_daemon: all is well").unwrap();
        going.prints("all is well");
    });
    picture.then("a log with nothing in it, and none");
    std::fs::write(&log, "").unwrap();
    picture.ocap(&["logs"]);
    std::fs::remove_file(&log).unwrap();
    picture.ocap(&["logs"]);
    picture.is("logs");
}

#[test]
fn what_happened_is_traced() {
    let home = Home::new();
    home.start();
    home.launch_counter();
    home.ask("ko4", "ping", json!([]));
    let mut picture = loosely(&home)
        .with(r#""atUs":\d+"#, "\"atUs\":[us]")
        .with(r#""(cpuUs|tookUs|wallUs|ticks|number|delivery|cause)":\d+"#, "\"$1\":[n]");
    picture.ocap(&["trace"]);
    picture.ocap(&["trace", "ko4", "-n", "1"]);
    picture.ocap(&["trace", "ko99"]);
    picture.ocap(&["trace", "nobody"]);
    picture.ocap(&["trace", "ko4", "--json"]);
    picture.ocap(&["trace", "--off"]);
    picture.ocap(&["trace", "-n", "1"]);
    picture.ocap(&["trace", "--on"]);
    picture.is("traced");
}

#[test]
fn vats_that_do_not_work_and_channels_that_do_not_open_say_why() {
    let home = Home::new();
    home.start();
    std::fs::create_dir(home.beside("folder")).unwrap();
    let options = json!({"limits": {"crankTicks": 1000}});
    home.launch(&json!({
        "name": "shop", "bootstrap": "till",
        "vats": {"till": {"sourceSpec": vat("counter.js"), "globals": ["Date"]},
                 "shelf": {"sourceSpec": vat("counter.js"), "creationOptions": options},
                 "lamp": {"sourceSpec": vat("counter.js"), "creationOptions": options}},
        "io": {"line": {"type": "socket", "path": home.beside("folder/line.sock")}},
    }));
    home.launch_counter();
    home.stop();
    std::fs::remove_dir(home.beside("folder")).unwrap();
    std::fs::write(home.files.config(), "[vats]\nallowed_globals = [\"URL\"]\n").unwrap();
    home.start();
    let mut picture = loosely(&home)
        .with(r"(running|failed|suspended)(›?)  \d+  ", "$1$2  [cranks]  ")
        .with(r#""(cpuUs|heapBytes|vatstoreBytes|ticks|cranks)":\d+"#, "\"$1\":[n]")
        // Where a cell is cut depends on how wide the others are.
        .with(r"/tmp/oc-\w*…", "[place]…")
        .with(r"(Vat|1 fault|\[KERNEL)[^\n]*…", "$1…")
        .with(r#""retryMs":\d+"#, "\"retryMs\":[ms]");
    picture.then("a vat does not come to an end; another does not again and again");
    picture.ocap(&["send", "ko7", "spin"]);
    for _ in 0..FAULTS_MAX {
        assert!(home.ask("ko6", "spin", json!([])).contains("OVERRUN"));
    }
    let state = |vat: usize| home.status()["vats"][vat]["state"].clone();
    eventually("one is back, and the other given up", || {
        state(1) == "suspended" && state(2) == "running"
    });
    picture.ocap(&["ls"]);
    picture.ocap(&["ls", "--json"]);
    picture.ocap(&["vats"]);
    picture.ocap(&["vats", "till", "--json"]);
    picture.ocap(&["io"]);
    picture.ocap(&["io", "--json"]);
    picture.ocap(&["daemon", "status"]);
    picture.ocap(&["send", "shop", "ping"]);
    picture.ocap(&["send", "ko6", "ping"]);
    picture.ocap(&["inspect", "ko5"]);
    picture.ocap(&["vats", "nobody"]);
    picture.ocap(&["daemon", "exec", "restartVat", r#"{"id":"v1"}"#]);
    picture.seen(&["vats"]);
    picture.seen(&["daemon", "status"]);
    picture.is("trouble");
}

#[test]
fn channels_tell_who_is_there_and_what_waits() {
    let home = Home::new();
    home.start();
    let (line, door) = (home.beside("line.sock"), home.beside("door.sock"));
    home.launch(&json!({
        "name": "shop", "bootstrap": "till", "vats": {"till": {"sourceSpec": vat("counter.js")}},
        "io": {"line": {"type": "socket", "path": line},
               "door": {"type": "socket", "path": door, "clients": "many"}},
    }));
    let mut client = Line::connect(&line);
    client.send("nobody reads this");
    client.send("nor this");
    let _visitors = [Line::connect(&door), Line::connect(&door)];
    eventually("all is there", || {
        home.channel(&line)["bufferedUnits"] == 2 && home.channel(&door)["waiting"] == 2
    });
    let mut picture = Picture::of(&home);
    picture.ocap(&["io"]);
    picture.ocap(&["daemon", "status"]);
    picture.is("channels");
}

#[test]
fn references_are_told_apart() {
    let home = Home::new();
    home.start();
    home.launch_counter();
    home.ok(&["send", "ko4", "make"]);
    let mut picture = Picture::of(&home);
    picture.ocap(&["refs"]);
    picture.ocap(&["refs", "--json"]);
    picture.ocap(&["inspect", "mine"]);
    picture.ocap(&["inspect", "kp2"]);
    // Nobody answers this one.
    let mut session = Session::open(&home.files.socket(), Some(PATIENCE)).unwrap();
    session.ask("queueMessage", &json!(["ko4", "never", []]), Terms::default()).unwrap();
    eventually("the message is there", || home.rpc("inspect", json!({"kref": "kp3"})).is_ok());
    picture.ocap(&["inspect", "kp3"]);
    picture.ocap(&["inspect", "ko5", "--json", "--no-methods"]);
    picture.ocap(&["inspect", "ko9999"]);
    picture.ocap(&["daemon", "exec", "revoke", r#"{"kref":"ko5"}"#]);
    picture.ocap(&["inspect", "ko5"]);
    picture.ocap(&["send", "ko5", "hello"]);
    picture.ocap(&["refs", "release", "--all"]);
    picture.ocap(&["refs", "release", "--all"]);
    picture.ocap(&["send", "ko4", "never", "--timeout", "1"]);
    picture.is("references");
}

#[test]
fn nothing_to_show_is_said() {
    let home = Home::new();
    home.start();
    let version = format!("\"{}\"", env!("CARGO_PKG_VERSION").replace('.', r"\."));
    let mut picture = loosely(&home).with(&version, "[version]");
    for args in [
        &["ls"][..],
        &["ls", "--json"],
        &["vats"],
        &["vats", "--json"],
        &["io"],
        &["io", "--json"],
        &["refs"],
        &["refs", "--json"],
        &["trace"],
        &["trace", "--json"],
        &["top", "--once"],
        &["daemon", "status"],
        &["daemon", "status", "--json"],
        &["url", "ls", "--json"],
    ] {
        picture.ocap(args);
    }
    home.launch_counter();
    picture.then("a counter is launched");
    picture = picture.with(r"\d+ cranks/s", "[n] cranks/s");
    picture = picture.with(r"(running  )\d+(  \[share\]  \[size\])  \d+  \d+  \d+", "$1[n]$2  ...");
    picture.ocap(&["top", "--once"]);
    picture.is("nothing");
}
