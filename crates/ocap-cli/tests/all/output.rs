//! What the commands print: results to standard output, everything else to standard error.

use serde_json::{Value, json};

use crate::rig::{Home, vat};

#[track_caller]
fn assert_says(home: &Home, args: &[&str], code: i32, stdout: &str, stderr: &str) {
    let said = home.ocap(args);
    // The home of the test under a name that does not change.
    let stable = |text: &str| text.replace(home.files.root().to_str().unwrap(), "HOME");
    assert_eq!(stable(&said.stdout), stdout, "{args:?}: {}", said.stderr);
    assert_eq!(stable(&said.stderr), stderr, "{args:?}");
    assert_eq!(said.code, Some(code), "{args:?}");
}

#[test]
fn the_words_of_the_daemon_commands() {
    let home = Home::new();
    let socket = "Daemon running. Socket: HOME/daemon.sock\n";
    assert_says(&home, &["daemon", "stop"], 0, "", "Daemon is not running.\n");
    let nobody = "Error: no kernel runs on HOME; start one with `ocap daemon start` or \
                  `ocap run FILE`\n";
    assert_says(&home, &["ls"], 1, "", nobody);
    assert_says(&home, &["daemon", "status"], 1, "", nobody);
    let started = format!("Starting daemon...\nDaemon ready.\n{socket}");
    assert_says(&home, &["daemon", "start"], 0, "", &started);
    assert_says(&home, &["daemon"], 0, "", socket);
    let none = "No clusters. `ocap launch FILE` or `ocap run FILE` brings one.\n";
    assert_says(&home, &["ls"], 0, none, "");
    let said = home.ok(&["daemon", "exec"]);
    let status: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(status["remoteComms"]["state"], "identity-only");
    assert_eq!(said.lines().count(), 1);
    let unknown = "Error: The method does not exist / is not available. (code -32601)\n";
    assert_says(&home, &["daemon", "exec", "frobnicate"], 1, "", unknown);
    assert_says(&home, &["daemon", "stop"], 0, "", "Stopping daemon...\nDaemon stopped.\n");
}

#[test]
fn messages_and_answers() {
    let home = Home::new();
    let file = home.beside("cluster.json");
    let relative = std::path::Path::new("counter.js");
    std::fs::copy(vat("counter.js"), home.beside("counter.js")).unwrap();
    let config = json!({"bootstrap": "a", "vats": {"a": {"sourceSpec": relative}}});
    std::fs::write(&file, config.to_string()).unwrap();
    let launched = home.ocap(&["launch", "cluster.json", "--name", "mine"]);
    assert_eq!(launched.code, Some(0), "{launched:?}");
    // It started what it needed.
    assert!(launched.stderr.contains("Daemon ready.\nLaunched as s1, root ko4.\n"), "{launched:?}");
    let root = "ko4";
    assert_says(&home, &["ls"], 0, "ID  NAME  ROOT  VATS\ns1  mine  ko4   v1 a\n", "");
    assert_says(&home, &["send", root, "ping"], 0, "\"pong\"\n", "");
    assert_says(&home, &["send", root, "echo", "[\"+5\"]"], 0, "\"+5\"\n", "");
    let raw = "{\"body\":\"#\\\"!+5\\\"\",\"slots\":[]}\n";
    assert_says(&home, &["send", root, "echo", "[\"+5\"]", "--raw"], 0, raw, "");
    assert_says(&home, &["daemon", "queueMessage", root, "echo"], 0, "\"[undefined]\"\n", "");
    // There nothing is a reference; here a sign makes one.
    let text = ["daemon", "queueMessage", root, "echo", "[\"@ko4\"]"];
    assert_says(&home, &text, 0, "\"@ko4\"\n", "");
    let echoed = "\"<ko4> (Alleged: counter)\"\n";
    assert_says(&home, &["send", "mine", "echo", "[\"@ko4\"]"], 0, echoed, "");
    assert_says(&home, &["send", "s1", "echo", "[\"@@ko4\"]"], 0, "\"@ko4\"\n", "");
    let made = home.ok(&["send", root, "make"]);
    assert!(made.starts_with("\"<ko") && made.contains("> (Alleged: made)\""), "{made}");
    assert_says(&home, &["send", root, "boom"], 1, "", "Error: boom (code -32603)\n");
    let array = "Error: the arguments must be a JSON array, e.g. '[\"Alice\", 3]'\n";
    assert_says(&home, &["send", root, "echo", "{}"], 1, "", array);
    let bad = "Error: Invalid params: At path: 0 -- Expected a value of type `KRef`, but \
               received: `\"banana\"` (code -32603)\n";
    assert_says(&home, &["daemon", "queueMessage", "banana", "ping"], 1, "", bad);
    let bad = "Error: banana is neither a reference, such as ko4, nor the name of a cluster \
               (`ocap ls` lists clusters and their roots)\n";
    assert_says(&home, &["send", "banana", "ping"], 1, "", bad);
    let said = home.ocap(&["send", root, "echo", "[", "--timeout", "5"]);
    assert!(said.code == Some(1) && said.stderr.contains("not JSON"), "{said:?}");
    let said = home.ocap(&["send", root, "ping", "--timeout", "0"]);
    assert!(said.code == Some(1) && said.stderr.contains("positive whole number"), "{said:?}");
    // A relative specification is taken from the current folder.
    let params = json!({ "config": config }).to_string();
    let launched = home.ok(&["daemon", "exec", "launchSubcluster", &params]);
    let launched: Value = serde_json::from_str(&launched).unwrap();
    assert_eq!(launched["subclusterId"], "s2");
    let shown = home.ok(&["daemon", "status"]);
    for part in ["Daemon running (process ", "Cluster s1 mine, root ko4", "vat  v1  a  running"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn a_wrong_command_line_is_an_error() {
    let home = Home::new();
    for args in [&["frobnicate"][..], &[], &["daemon", "start", "--bogus"], &["run"], &["send"]] {
        let said = home.ocap(args);
        assert_eq!(said.code, Some(1), "{args:?}: {said:?}");
        assert!(said.stdout.is_empty() && !said.stderr.is_empty(), "{args:?}: {said:?}");
    }
    for args in [&["--help"][..], &["help"], &["run", "--help"], &["--version"]] {
        let said = home.ocap(args);
        assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{args:?}");
    }
    assert!(!home.files.root().exists());
}
