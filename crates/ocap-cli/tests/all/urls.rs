//! OCAP URLs and the identity, with the real daemon and the commands people use.

use serde_json::{Value, json};

use crate::rig::{Home, eventually, vat};

fn launch(home: &Home) -> String {
    let services = ["ocapURLIssuerService", "ocapURLRedemptionService"];
    home.launch(&json!({
        "bootstrap": "door",
        "services": services,
        "vats": {"door": {"sourceSpec": vat("door.js")}},
    }))
}

/// What a vat answers, if it is a string.
fn told(home: &Home, root: &str, method: &str, args: Value) -> String {
    let body = home.ask(root, method, args);
    let text: Value = serde_json::from_str(body.strip_prefix('#').unwrap_or(&body)).unwrap();
    text.as_str().map_or(body, str::to_owned)
}

#[test]
fn urls_and_the_identity_outlast_a_kill() {
    let home = Home::new();
    home.start();
    let peer_id = home.ok(&["identity", "show"]);
    let root = launch(&home);
    let one = told(&home, &root, "issue", json!([]));
    let other = home.ok(&["url", "issue", &root, "--label", "root", "--uses", "3"]);
    let (one, other) = (one.trim(), other.trim());
    assert!(one.ends_with(peer_id.trim()) && other.ends_with(peer_id.trim()), "{one} {other}");
    assert_eq!(told(&home, &root, "open", json!([one])), "#1");
    home.kill();
    home.start();
    assert_eq!(home.ok(&["identity", "show"]), peer_id);
    assert_eq!(told(&home, &root, "open", json!([one])), "#2");
    assert_eq!(home.ok(&["url", "redeem", other]).trim(), root);
    assert_eq!(home.ok(&["daemon", "redeem-url", other]).trim(), json!(root).to_string());

    let listed = home.ok(&["url", "ls"]);
    let row = listed.lines().find(|line| line.ends_with("root")).unwrap();
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(cells[1..], [root.as_str(), "host", "1", "-", "root"], "{listed}");
    assert!(!listed.contains("ocap:"), "{listed}");
    assert_eq!(home.ok(&["url", "ls", "--json"]).lines().count(), 2);
    home.ok(&["url", "revoke", cells[0]]);
    assert_eq!(home.ocap(&["url", "revoke", cells[0]]).code, Some(1));
    home.ok(&["url", "revoke", one]);
    // What has been revoked is so at once, and after a kill.
    home.kill();
    home.start();
    for url in [one, other] {
        let said = home.ocap(&["url", "redeem", url]);
        assert!(said.stderr.contains("[KERNEL:URL_VOID]"), "{said:?}");
    }
    home.stop();
    let log = home.log();
    for secret in [one, other] {
        assert!(!log.contains(secret), "{log}");
    }
    home.ok(&["doctor"]);
}

#[test]
fn a_url_that_was_answered_is_there_after_a_kill_at_any_moment() {
    let home = Home::new();
    home.start();
    let root = launch(&home);
    let mut urls: Vec<String> = Vec::new();
    for _ in 0..4 {
        let issued = told(&home, &root, "issue", json!([{"uses": 4}]));
        home.kill();
        home.start();
        urls.push(issued);
        for (place, url) in urls.iter().enumerate() {
            let opened = urls.len() - place;
            assert_eq!(told(&home, &root, "open", json!([url])), format!("#{opened}"));
        }
        if urls.len() == 4 {
            // Used up by the last of these, not by one that a crash cut short.
            let refused = home.ask(&root, "open", json!([urls[0]]));
            assert!(refused.contains("URL_VOID"), "{refused}");
        }
    }
    home.stop();
    home.ok(&["doctor"]);
}

#[test]
fn a_url_expires_while_nothing_else_happens() {
    let home = Home::new();
    home.start();
    let root = launch(&home);
    let url = home.ok(&["url", "issue", &root, "--expires", "1"]);
    eventually("the URL expires", || home.ocap(&["url", "redeem", url.trim()]).code == Some(1));
    assert_eq!(home.rpc("listOcapURLs", json!([])).unwrap(), json!([]));
    home.stop();
    home.ok(&["doctor"]);
}

#[test]
fn an_identity_is_taken_over_from_its_words() {
    let home = Home::new();
    let missing = home.ocap(&["identity", "show"]);
    assert!(missing.stderr.contains("has no identity yet"), "{missing:?}");
    let words = home.ok(&["identity", "new"]);
    assert_eq!(words.split_whitespace().count(), 24, "{words}");
    let peer_id = home.ok(&["identity", "show"]);
    home.start();
    assert_eq!(home.status()["remoteComms"]["peerId"], peer_id.trim());
    home.launch_counter();
    for command in ["new", "import"] {
        let refused = home.ocap(&["identity", command]);
        assert_eq!(refused.code, Some(1), "{refused:?}");
    }
    home.stop();
    let refused = home.ocap(&["identity", "new"]);
    assert!(refused.stderr.contains("kernel identity already exists"), "{refused:?}");
    let refused = home.ocap(&["identity", "export"]);
    assert!(refused.code == Some(1) && refused.stdout.is_empty(), "{refused:?}");
    assert_eq!(home.ok(&["identity", "export", "--force"]), words);
    // One of the words may well be in the log, as "system" is. Two in a row are not there by chance.
    let (log, list) = (home.log(), words.split_whitespace().collect::<Vec<_>>());
    assert!(list.windows(2).all(|pair| !log.contains(&pair.join(" "))), "{log}");

    let seed = home.ok(&["identity", "export", "--force", "--seed"]);
    for text in [&words, &seed] {
        let elsewhere = Home::new();
        let file = elsewhere.beside("words");
        std::fs::write(&file, text).unwrap();
        elsewhere.ok(&["identity", "import", file.to_str().unwrap()]);
        assert_eq!(elsewhere.ok(&["identity", "show"]), peer_id);
        elsewhere.start();
        assert_eq!(elsewhere.status()["remoteComms"]["peerId"], peer_id.trim());
        // As on any fresh store.
        assert_eq!(elsewhere.launch_counter(), "ko4");
        elsewhere.stop();
        elsewhere.ok(&["doctor"]);
    }
    let wrong = Home::new();
    let file = wrong.beside("words");
    std::fs::write(&file, words.replacen(' ', "  ", 1)).unwrap();
    let refused = wrong.ocap(&["identity", "import", file.to_str().unwrap()]);
    assert!(refused.stderr.contains("not the words of an identity"), "{refused:?}");
}

#[test]
fn clearing_the_state_keeps_the_identity_and_ends_every_url() {
    let home = Home::new();
    home.start();
    let peer_id = home.ok(&["identity", "show"]);
    let root = launch(&home);
    let url = home.ok(&["url", "issue", &root]);
    home.rpc("clearState", json!([])).unwrap();
    assert_eq!(home.ok(&["identity", "show"]), peer_id);
    assert_eq!(home.ocap(&["url", "redeem", url.trim()]).code, Some(1));
    home.stop();
    assert_eq!(home.ok(&["identity", "show"]), peer_id);
    home.ok(&["doctor"]);
}
