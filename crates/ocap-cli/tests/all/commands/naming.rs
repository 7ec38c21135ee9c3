//! What is printed of names: OCAP URLs, the identity, the matcher and its bridge.

use crate::picture::Picture;
use crate::rig::{Home, eventually};

#[test]
fn urls_are_issued_listed_redeemed_and_revoked() {
    let home = Home::new();
    let mut picture = Picture::of(&home);
    picture.ocap(&["url", "ls"]);
    picture.then("a counter is launched");
    home.start();
    home.launch_counter();
    picture.ocap(&["url", "ls"]);
    let url = picture.ocap(&["url", "issue", "ko4", "--label", "for Bob"]).stdout;
    let url = url.trim();
    let once = picture.ocap(&["url", "issue", "ko4", "--uses", "1", "--expires", "99"]).stdout;
    picture = picture.with(r"\b[0-9a-f]{12}\b", "[12 letters]").with(r"\b\d{13}\b", "[ms]");
    picture = picture.with(r"\b[0-9a-f]{64}\b", "[id]");
    assert_eq!(home.ok(&["url", "ls", "--json"]).lines().count(), 2);
    picture.ocap(&["url", "redeem", once.trim()]);
    picture.ocap(&["url", "redeem", once.trim()]);
    picture.ocap(&["url", "ls"]);
    picture.ocap(&["url", "ls", "--json"]);
    picture.ocap(&["daemon", "redeem-url", url]);
    picture.ocap(&["url", "revoke", url]);
    picture.ocap(&["url", "revoke", url]);
    picture.ocap(&["url", "redeem", url]);
    home.ok(&["url", "issue", "ko4"]);
    picture.then("another is issued");
    picture.ocap(&["inspect", "ko4"]);
    picture.then("what is no URL, and no object");
    picture.ocap(&["url", "redeem", "ocap:nonsense"]);
    picture.ocap(&["url", "redeem", "https://example.org/"]);
    picture.ocap(&["url", "revoke", "ffff"]);
    picture.ocap(&["url", "issue", "ko999"]);
    picture.ocap(&["url", "issue", "kp1"]);
    picture.ocap(&["url", "issue", "s1"]);
    picture.ocap(&["url", "issue", "mine"]);
    picture.is("url");
}

#[test]
fn an_identity_is_shown_made_and_taken_over() {
    let home = Home::new();
    let mut picture = Picture::of(&home)
        .with(r"(?m)^([a-z]+ ){23}[a-z]+$", "[24 words]")
        .with(r"(?m)^[0-9a-f]{64}$", "[seed]");
    picture.ocap(&["identity"]);
    picture.ocap(&["identity", "export", "--force"]);
    let words = picture.ocap(&["identity", "new"]).stdout;
    picture.ocap(&["identity", "new"]);
    picture.ocap(&["identity"]);
    picture.ocap(&["identity", "export"]);
    let exported = picture.ocap(&["identity", "export", "--force"]).stdout;
    assert_eq!(exported, words);
    let seed = picture.ocap(&["identity", "export", "--force", "--seed"]).stdout;
    picture.then("a kernel runs");
    home.start();
    picture.ocap(&["identity", "show"]);
    picture.ocap(&["identity", "new"]);
    picture.ocap(&["identity", "export", "--force"]);
    home.stop();
    picture.then("other homes");
    picture.fed(&["--home", "other", "identity", "import"], &words);
    picture.fed(&["--home", "other", "identity", "import"], &words);
    picture.fed(&["--home", "third", "identity", "import"], &seed);
    picture.ocap(&["--home", "third", "identity", "export", "--force"]);
    picture.fed(&["--home", "fourth", "identity", "import"], "twelve words are not these\n");
    picture.fed(&["--home", "fourth", "identity", "import"], "");
    picture.ocap(&["--home", "fourth", "identity", "import", "none.txt"]);
    picture.is("identity");
}

fn connected(home: &Home) {
    eventually("the matcher has a bridge", || {
        home.ok(&["matcher", "status"]).contains("\nbridge    connected\n")
    });
}

#[test]
fn the_matcher_and_its_bridge_say_how_they_are() {
    let home = Home::new();
    let mut picture = Picture::of(&home);
    picture.ocap(&["matcher", "status"]);
    picture.ocap(&["matcher", "start"]);
    picture.ocap(&["matcher", "start"]);
    picture.ocap(&["matcher", "status"]);
    picture.ocap(&["matcher", "status", "--json"]);
    std::fs::write(home.beside("tape"), "").unwrap();
    picture.going(&["llm-bridge", "--replay", "tape"], |going| {
        going.tells("connected to", 1);
        connected(&home);
    });
    picture.then("a bridge that stays");
    let bridge = home.foreground(&["llm-bridge", "--replay", "tape"]);
    connected(&home);
    picture.ocap(&["matcher", "status"]);
    picture.ocap(&["io"]);
    drop(bridge);
    picture.then("bridges that cannot be");
    for args in [
        &["llm-bridge", "--base-url", "nowhere"][..],
        &["llm-bridge", "--key-file", "none"],
        &["llm-bridge", "--replay", "none"],
        &["llm-bridge", "--record", "none/tape"],
    ] {
        picture.ocap(args);
    }
    picture.then("it may not have any more what it asks for");
    home.stop();
    std::fs::write(home.files.config(), "[vats]\nallowed_globals = [\"URL\"]\n").unwrap();
    home.start();
    picture.ocap(&["matcher", "start"]);
    picture.ocap(&["matcher", "status"]);
    picture.then("how it ends");
    picture.ocap(&["matcher", "stop"]);
    picture.ocap(&["matcher", "stop", "--force"]);
    picture.ocap(&["matcher", "stop", "--force"]);
    picture.ocap(&["matcher", "status"]);
    picture.then("the kernel ends");
    home.stop();
    picture.going(&["llm-bridge", "--replay", "tape"], |going| going.tells("[llm-bridge]", 1));
    picture.is("matcher");
}
