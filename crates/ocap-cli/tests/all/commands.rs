//! What the commands show of a kernel at work. Pictures of it are in `snapshots`; times, sizes and
//! process ids in them are written as what they are.

mod authoring;
mod help;
mod keeping;
mod looking;
mod naming;
mod running;
mod screens;
mod steering;

use std::io::Write;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::rig::{Home, Running, Said, vat};

/// A picture of what a command prints that succeeds.
macro_rules! picture {
    ($home:expr, $name:literal, $args:expr) => {{
        let said = $home.ocap(&$args);
        let code = said.code;
        let shown = format!("$ ocap {}\n{}{}", $args.join(" "), said.stdout, said.stderr);
        steady($home).bind(|| insta::assert_snapshot!($name, format!("{shown}[exit {code:?}]")));
        said
    }};
}

/// What is different each time under names that are not.
fn steady(home: &Home) -> insta::Settings {
    let mut settings = crate::picture::steady(home);
    // Columns are as wide as what stands in them.
    settings.add_filter(r"(\S) {2,}", "$1  ");
    // When vats collect their garbage is up to them.
    settings.add_filter(r"running  \d+", "running  [cranks]");
    settings
}

/// Two vats that pass numbers on to each other, and a channel.
fn books(home: &Home) {
    home.start();
    let ledger = vat("ledger.js");
    let config = json!({
        "name": "books",
        "bootstrap": "front",
        "io": {"line": {"type": "socket", "path": "line.sock"}},
        "vats": {"front": {"sourceSpec": ledger}, "back": {"sourceSpec": ledger}},
    });
    home.launch(&config);
}

#[test]
fn a_kernel_at_work_is_shown() {
    let home = Home::new();
    books(&home);
    picture!(&home, "ls", ["ls"]);
    picture!(&home, "vats", ["vats"]);
    picture!(&home, "io", ["io"]);
    picture!(&home, "status", ["daemon", "status"]);
    picture!(&home, "put", ["send", "books", "put", "[\"c\",1]"]);
    picture!(&home, "trace", ["trace", "-n", "1"]);
    let top = home.ok(&["top", "--once"]);
    assert!(top.starts_with("2 vats in 1 cluster: ") && top.contains(" front "), "{top}");
    let one: Value = serde_json::from_str(&home.ok(&["vats", "back", "--json"])).unwrap();
    assert_eq!((one[0]["id"].as_str(), one.as_array().unwrap().len()), (Some("v2"), 1));
    let channels: Value = serde_json::from_str(&home.ok(&["io", "--json"])).unwrap();
    assert_eq!(channels[0]["name"], "line");
    let logged = home.ok(&["logs", "--level", "info"]);
    assert!(logged.contains(" INFO ocap_daemon") && logged.contains("Daemon started"), "{logged}");
    assert_eq!(home.ok(&["logs", "--vat", "back"]), "");
}

#[test]
fn an_empty_kernel_is_shown() {
    let home = Home::new();
    picture!(&home, "nobody", ["vats"]);
    picture!(&home, "no_log", ["logs"]);
    home.start();
    picture!(&home, "no_vats", ["vats"]);
    picture!(&home, "no_io", ["io"]);
    picture!(&home, "no_refs", ["refs"]);
    picture!(&home, "no_trace", ["trace"]);
    picture!(&home, "top_without_terminal", ["top"]);
}

#[test]
fn references_are_inspected_passed_on_and_released() {
    let home = Home::new();
    home.start();
    let root = home.launch_counter();
    assert_eq!(root, "ko4");
    picture!(&home, "inspect_root", ["inspect", "ko4"]);
    let made = home.ok(&["send", "ko4", "make", "--raw"]);
    let made: Value = serde_json::from_str(&made).unwrap();
    assert_eq!(made["slots"], json!(["ko5"]));
    picture!(&home, "inspect_held", ["inspect", "ko5"]);
    picture!(&home, "inspect_quietly", ["inspect", "@ko5", "--no-methods"]);
    picture!(&home, "refs", ["refs"]);
    assert_eq!(home.ok(&["refs", "--json"]), "[\"ko5\"]\n");
    // What the vat is passed is the object itself.
    assert_eq!(home.ok(&["send", "ko4", "pingOther", "[\"@ko4\"]"]), "\"pong\"\n");
    picture!(&home, "passed_on", ["send", "ko4", "echo", "[[\"@ko5\",\"@ko4\",\"@@ko5\"]]"]);
    let inspected: Value = serde_json::from_str(&home.ok(&["inspect", "ko5", "--json"])).unwrap();
    assert!(inspected["methods"].as_array().unwrap().contains(&json!("hello")), "{inspected}");
    picture!(&home, "inspect_service", ["inspect", "ko1"]);
    picture!(&home, "release", ["refs", "release", "ko5"]);
    picture!(&home, "release_again", ["refs", "release", "ko5"]);
    home.ok(&["send", "ko4", "make"]);
    let released = home.ocap(&["refs", "release", "--all"]);
    assert!(released.stderr.contains("Released ko"), "{released:?}");
    assert_eq!(home.ok(&["refs", "--json"]), "[]\n");
    home.stop();
    home.assert_sound();
}

#[test]
fn mistakes_are_answered_with_what_was_meant() {
    let home = Home::new();
    books(&home);
    picture!(&home, "wrong_cluster", ["send", "boks", "put"]);
    picture!(&home, "wrong_method", ["send", "books", "reprot"]);
    picture!(&home, "wrong_vat", ["vats", "frnot"]);
    picture!(&home, "wrong_reference", ["send", "books", "echo", "[\"@me\"]"]);
    picture!(&home, "not_held", ["send", "books", "put", "[\"@ko1\"]"]);
    picture!(&home, "not_there", ["inspect", "ko999"]);
    picture!(&home, "no_reference", ["refs", "release", "books"]);
    picture!(&home, "wrong_page", ["man", "sned"]);
    picture!(&home, "wrong_command", ["insepct", "ko4"]);
    picture!(&home, "relay", ["relay"]);
    picture!(&home, "relay_status", ["relay", "status"]);
    picture!(&home, "local_relay", ["daemon", "start", "--local-relay"]);
}

#[test]
fn clients_pass_on_only_what_they_were_given() {
    let home = Home::new();
    home.start();
    let root = home.launch_counter();
    let send = |args: Value| {
        let params = json!({"target": root, "method": "echo", "args": args});
        home.rpc("sendMessage", params).map_err(|error| error.to_string())
    };
    let fine = send(json!({"body": "#[\"$0\"]", "slots": [root]})).unwrap();
    assert_eq!(fine["slots"], json!([root]));
    for (args, says) in [
        (json!({"body": "#[\"$0\"]", "slots": ["ko3"]}), "ko3 is not held by the host"),
        (json!({"body": "#[\"&0\"]", "slots": ["kp1"]}), "kp1 is not held by the host"),
        (json!({"body": "#[\"$1\"]", "slots": [root]}), "Invalid params: At path: args"),
        (json!({"body": "#[\"$0\"]", "slots": ["x"]}), "Invalid params: At path: args"),
        (json!({"body": "#{}", "slots": []}), "Expected the CapData of an array"),
        (json!({"body": "#[", "slots": []}), "Invalid params: At path: args"),
        (json!({"body": format!("#{}", "[".repeat(9_000)), "slots": []}), "Invalid params"),
        (json!([1]), "Invalid params: At path: args"),
        (json!(null), "Invalid params: At path: args"),
    ] {
        let refused = send(args.clone()).unwrap_err();
        assert!(refused.contains(says), "{args:.100}: {refused}");
    }
    for params in [json!([]), json!({"target": "x"}), json!({"target": "ko4", "x": 1})] {
        assert!(home.rpc("sendMessage", params).is_err());
    }
    assert_eq!(home.ask(&root, "ping", json!([])), "#\"pong\"");
    for (method, params) in [
        ("inspect", json!({"kref": "ko"})),
        ("trace", json!({"after": -1})),
        ("trace", json!({"limit": "x"})),
        ("setTracing", json!({"on": 1})),
        ("releaseRef", json!({})),
    ] {
        let refused = home.rpc(method, params).unwrap_err().to_string();
        assert!(refused.contains("Invalid params"), "{method}: {refused}");
    }
}

/// Runs a command with this on its standard input.
fn fed(home: &Home, args: &[&str], input: &str) -> Said {
    let mut command = home.command(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { stdout: text(output.stdout), stderr: text(output.stderr), code: output.status.code() }
}

#[test]
fn a_conversation_names_its_answers() {
    let home = Home::new();
    home.start();
    home.ok(&["launch", vat_file(&home).as_str()]);
    let lines = "ping\n\
                 echo(5n, 6)\n\
                 .methods\n\
                 make\n\
                 $3.hello()\n\
                 echo [$1, $2, $3, '+x']\n\
                 .use $3\n\
                 hello\n\
                 $2\n\
                 .use mine\n\
                 echo\n\
                 name x\n\
                 exit\n\
                 never read\n";
    let said = fed(&home, &["repl", "mine", "--timeout", "60"], lines);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{said:?}");
    steady(&home).bind(|| insta::assert_snapshot!("repl", said.stdout));
    for (line, says) in [
        ("pnig", "did you mean ping?"),
        ("$1", "there are no results yet"),
        ("boom", "boom"),
        (".mehtods", "did you mean .methods?"),
    ] {
        let said = fed(&home, &["repl", "mine", "--timeout", "60"], &format!("{line}\nping\n"));
        assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""), "{said:?}");
        assert!(said.stderr.contains(says), "{said:?}");
    }
}

/// A cluster `mine` of one counter, in a file.
fn vat_file(home: &Home) -> String {
    let file = home.beside("mine.json");
    let config = json!({
        "name": "mine", "bootstrap": "a", "vats": {"a": {"sourceSpec": vat("counter.js")}},
    });
    std::fs::write(&file, config.to_string()).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn what_happens_is_followed() {
    let home = Home::new();
    home.start();
    let root = home.launch_counter();
    let mut command = home.command(&["trace", "--follow"]);
    command.stdin(Stdio::null());
    let mut following = Running::start(command);
    // It may begin to look a moment later: until then nothing is there for it to see.
    crate::rig::eventually("a message is seen", || {
        home.ask(&root, "ping", json!([]));
        following.heard("sends ping to ko4")
    });
    let told =
        [following.says("v1 a gets kp"), following.says("fulfils kp"), following.says("done")];
    let mut settings = steady(&home);
    settings.add_filter(r"\b(kp|d)\d+", "$1[n]");
    settings.bind(|| insta::assert_snapshot!("followed", told.join("\n")));
    following.signal(Signal::TERM);
    following.ends();
    home.ok(&["trace", "--off"]);
    let before = home.rpc("trace", json!({})).unwrap();
    assert_eq!(before["on"], false);
    home.ask(&root, "ping", json!([]));
    assert_eq!(home.rpc("trace", json!({})).unwrap()["last"], before["last"]);
    let said = home.ocap(&["trace", "-n", "1", "--json"]);
    assert!(said.stderr.contains("ocap trace --on"), "{said:?}");
    home.ok(&["trace", "--on"]);
    home.ask(&root, "bump", json!([]));
    let told = home.ok(&["trace", "ko4", "-n", "1"]);
    assert!(told.contains("bump to ko4") && told.contains("fulfilled after"), "{told}");
    let page = home.rpc("trace", json!({"after": 3, "limit": 2})).unwrap();
    assert_eq!(page["events"].as_array().unwrap().len(), 2);
    assert_eq!(page["events"][0]["number"], 4);
}

#[test]
fn shells_and_man_get_what_they_need() {
    let home = Home::new();
    let file = home.beside("ocap.bash");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = home.ok(&["completions", shell]);
        assert!(script.contains("inspect") && script.contains("queueMessage"), "{shell}");
        if shell == "bash" {
            std::fs::write(&file, script).unwrap();
        }
    }
    let checked = std::process::Command::new("bash").arg("-n").arg(&file).status().unwrap();
    assert!(checked.success());
    let page = home.ok(&["man", "daemon", "exec"]);
    assert!(page.contains(".TH ocap-daemon-exec 1"), "{page}");
    let dir = home.beside("man");
    let said = home.ocap(&["man", "--dir", dir.to_str().unwrap()]);
    assert_eq!(said.code, Some(0), "{said:?}");
    for page in ["ocap.1", "ocap-send.1", "ocap-refs-release.1", "ocap-daemon-start.1"] {
        assert!(dir.join(page).exists(), "{page}");
    }
    assert!(!dir.join("ocap-daemon-serve.1").exists());
}
