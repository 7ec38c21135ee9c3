//! What the commands say of themselves, and of command lines that they do not understand.

use std::collections::BTreeSet;

use crate::picture::Picture;
use crate::rig::Home;

/// All that are listed, with those below them.
const COMMANDS: &[&str] = &[
    "",
    "run",
    "launch",
    "daemon",
    "daemon start",
    "daemon stop",
    "daemon status",
    "daemon exec",
    "daemon queueMessage",
    "daemon redeem-url",
    "daemon purge",
    "matcher",
    "matcher start",
    "matcher status",
    "matcher stop",
    "llm-bridge",
    "send",
    "repl",
    "url",
    "url issue",
    "url redeem",
    "url ls",
    "url revoke",
    "ls",
    "vats",
    "io",
    "logs",
    "top",
    "inspect",
    "refs",
    "refs release",
    "trace",
    "new",
    "check",
    "bundle",
    "watch",
    "serve",
    "start",
    "doctor",
    "backup",
    "restore",
    "export",
    "import",
    "identity",
    "identity show",
    "identity new",
    "identity import",
    "identity export",
    "relay",
    "relay start",
    "relay status",
    "relay stop",
    "completions",
    "man",
];

#[test]
fn every_command_tells_what_it_does_and_takes() {
    let home = Home::new();
    let mut picture = Picture::of(&home);
    for command in COMMANDS {
        let words: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        picture.ocap(&words);
    }
    picture.is("help");
    // There are no others.
    let pages = home.beside("man");
    home.ok(&["man", "--dir", pages.to_str().unwrap()]);
    let pages = std::fs::read_dir(pages).unwrap();
    let pages = pages.map(|page| page.unwrap().file_name().into_string().unwrap());
    let shown = COMMANDS.iter().map(|command| {
        let words: Vec<&str> = std::iter::once("ocap").chain(command.split_whitespace()).collect();
        format!("{}.1", words.join("-"))
    });
    assert_eq!(pages.collect::<BTreeSet<_>>(), shown.collect::<BTreeSet<_>>());
}

#[test]
fn manual_pages_and_completions_are_printed() {
    let home = Home::new();
    let version = env!("CARGO_PKG_VERSION").replace('.', r"\.");
    let mut picture = Picture::of(&home).with(&version, "[version]");
    picture.ocap(&["--version"]);
    picture.ocap(&["man"]);
    picture.ocap(&["man", "refs", "release"]);
    picture.ocap(&["man", "--dir", "man"]);
    picture.ocap(&["man", "refs", "list"]);
    picture.ocap(&["completions"]);
    picture.ocap(&["completions", "tcsh"]);
    picture.is("man");
}

#[test]
fn command_lines_that_are_not_understood_are_answered_with_how_they_could_be() {
    let home = Home::new();
    let mut picture = Picture::of(&home);
    for line in [
        &["lunch", "cluster.json"][..],
        &["daemon", "strat"],
        &["run"],
        &["run", "cluster.json", "--wach"],
        &["run", "cluster.json", "--watch", "--replace"],
        &["run", "cluster.json", "--cage", "open"],
        &["send", "ko4"],
        &["send", "ko4", "ping", "[]", "more"],
        &["send", "ko4", "ping", "--timeout", "soon"],
        &["top", "--interval", "0"],
        &["logs", "--level", "loud"],
        &["logs", "-n", "-1"],
        &["refs", "release"],
        &["refs", "release", "ko5", "--all"],
        &["trace", "--on", "--off"],
        &["trace", "--follow", "-n", "5"],
        &["serve", "bundles", "-p", "70000"],
        &["url"],
        &["url", "issue", "ko4", "--uses", "many"],
        &["matcher"],
        &["llm-bridge", "--record", "a", "--replay", "b"],
        &["man", "run", "--dir", "man"],
    ] {
        picture.ocap(line);
    }
    picture.is("usage");
    assert!(!home.files.root().exists());
}
