//! What the commands say that have a kernel do something: `daemon ...`, `send`, `repl`.

use rustix::process::Signal;

use crate::picture::Picture;
use crate::rig::Home;

#[test]
fn the_background_kernel_is_started_and_stopped() {
    let home = Home::new();
    let mut picture = Picture::of(&home);
    picture.ocap(&["daemon", "status"]);
    picture.ocap(&["daemon", "stop"]);
    picture.ocap(&["daemon", "start"]);
    picture.ocap(&["daemon", "start"]);
    picture.ocap(&["daemon"]);
    picture.ocap(&["daemon", "status"]);
    picture.then("it has come to a stand");
    home.files.signal(Signal::STOP).unwrap();
    picture.ocap(&["ls"]);
    picture.then("and goes on");
    home.files.signal(Signal::CONT).unwrap();
    picture.ocap(&["daemon", "stop"]);
    picture.then("settings that cannot be used");
    std::fs::write(home.files.config(), "[log]\nlevel = 5\n").unwrap();
    picture.ocap(&["daemon", "start"]);
    picture.ocap(&["send", "mine", "ping"]);
    std::fs::remove_file(home.files.config()).unwrap();
    picture.then("a store that is none");
    std::fs::write(home.files.database(), "a poem").unwrap();
    picture.ocap(&["daemon", "start"]);
    picture.then("a home that cannot be one");
    std::fs::write(home.beside("file"), "").unwrap();
    picture.ocap(&["--home", "file", "daemon", "start"]);
    picture.ocap(&["--home", "file", "ls"]);
    let long = "x".repeat(120);
    picture.ocap(&["--home", &long, "daemon", "start"]);
    picture.then("relays");
    picture.ocap(&["relay", "start"]);
    picture.ocap(&["relay", "stop"]);
    picture.is("daemon");
}

#[test]
fn methods_are_called() {
    let home = Home::new();
    home.start();
    home.launch_counter();
    home.launch_counter();
    let mut picture = Picture::of(&home);
    for args in [
        &["vats", "a"][..],
        &["daemon", "exec", "terminateSubcluster", r#"{"id":"s2"}"#],
        &["daemon", "exec", "listRefs"],
        &["daemon", "exec", "frobnicate"],
        &["daemon", "exec", "restartVat", "{"],
        &["daemon", "exec", "restartVat", "{}"],
        &["daemon", "exec", "restartVat", r#"{"id":"v9"}"#],
        &["daemon", "exec", "restartVat", r#"{"id":"v1"}"#],
        &["daemon", "exec", "terminateVat", r#"{"id":"v9"}"#],
        &["daemon", "exec", "terminateSubcluster", r#"{"id":"s9"}"#],
        &["daemon", "exec", "launchSubcluster", r#"{"config":{"bootstrap":"a","vats":{}}}"#],
        &["daemon", "exec", "executeDBQuery", r#"{"sql":"SELECT 1 AS one"}"#],
        &["daemon", "exec", "executeDBQuery", r#"{"sql":"DELETE FROM kv"}"#],
        &["daemon", "queueMessage", "ko4", "echo", r#"["@ko4"]"#],
        &["daemon", "queueMessage", "ko4", "ping", "--raw"],
        &["daemon", "queueMessage", "ko4", "boom"],
        &["daemon", "queueMessage", "ko4", "echo", "5"],
        &["daemon", "queueMessage", "mine", "ping"],
        &["daemon", "queueMessage", "ko99", "ping"],
        &["send", "ko4", "make"],
        &["send", "ko4", "make", "--raw"],
        &["send", "s1", "echo", r#"[{"a":[1,null,"x"]}]"#],
        &["send", "ko4", "echo", "[1"],
        &["send", "ko4", "echo", "5"],
        &["send", "ko4", "boom"],
        &["send", "ko4", "pnig"],
        &["send", "ko99", "ping"],
        &["send", "mine", "ping"],
        &["send", "ko4", "never", "--timeout", "1"],
        &["daemon", "exec", "terminateVat", r#"{"id":"v1"}"#],
        &["send", "ko4", "ping"],
        &["inspect", "ko6"],
        &["daemon", "exec", "terminateSubcluster", r#"{"id":"s1"}"#],
        &["ls"],
    ] {
        picture.ocap(args);
    }
    picture.is("methods");
}

#[test]
fn conversations_with_programs_end_at_the_first_mistake() {
    let home = Home::new();
    home.start();
    home.launch_counter();
    let mut picture = Picture::of(&home);
    for input in [
        "ping\n",
        ".help\n",
        "pnig\nping\n",
        "$1\n",
        "echo(\n",
        ".mehtods\n",
        ".use nobody\n",
        "boom\n",
        "echo(hello)\n",
        "echo(1 2)\n",
        "echo {a 1}\n",
        "echo 'x\n",
        "5\n",
        "ping\n$5\n",
        ".use ko1\n.methods\n",
        "",
    ] {
        picture.then(&format!("{input:?} is typed"));
        picture.fed(&["repl", "ko4"], input);
    }
    picture.ocap(&["repl", "nobody"]);
    picture.ocap(&["repl", "ko99"]);
    picture.is("repl_of_programs");
}
