//! What vats are given as they start, and what becomes of what they log.

use serde_json::{Value, json};

use super::{ask, daemon, launch, plain};
use crate::rig::Home;

/// What a vat logged, in order: level and text.
fn logged(home: &Home, vat: &str) -> Vec<(String, String)> {
    let id = format!(" vat={vat}");
    let log = home.log();
    let lines = log.lines().filter_map(|line| {
        let (head, text) = line.strip_suffix(&id)?.split_once(" ocap::vat: ")?;
        Some((head.rsplit(' ').next()?.to_owned(), text.to_owned()))
    });
    lines.collect()
}

#[test]
fn parameters_and_powers_reach_the_vat() {
    let Some(home) = daemon() else { return };
    let parameters = json!({"list": [1, "ko4", null], "text": "$0", "deep": {"yes": true}});
    let given = json!({"parameters": parameters});
    let (root, answer) = launch(&home, &[("a", "powers", given), ("b", "powers", json!({}))]);
    assert_eq!(answer, "#\"powers are there\"");
    let body = ask(&home, &root, "parameters");
    assert_eq!(plain(&body.replace("!$0", "$0")), parameters);
    assert_eq!(ask(&home, "ko5", "parameters"), "#\"#undefined\"");
    assert_eq!(ask(&home, &root, "frozen"), "#[true,true,true,true]");
    assert_eq!(
        plain(&ask(&home, &root, "powers")),
        json!([
            "D: function",
            "VatData: object",
            "WeakMap: function",
            "WeakSet: function",
            "exitVat: function",
            "exitVatWithFailure: function",
            "logger: object",
        ])
    );
    assert_eq!(ask(&home, &root, "sameData"), "#true");
    assert_eq!(ask(&home, &root, "itself"), "#[true,true]");
    assert_eq!(
        plain(&ask(&home, &root, "globals")),
        json!([
            "harden: function",
            "HandledPromise: function",
            "console: object",
            "assert: function",
            "VatData: object",
            "exports: object",
            "global: object",
        ])
    );
}

#[test]
fn a_vat_leaves_with_what_it_did_or_without() {
    let Some(home) = daemon() else { return };
    for (vat, well, outcome) in [("v1", true, "#\"gone\""), ("v2", false, "fed up")] {
        let (root, _) = launch(&home, &[("only", "powers", json!({}))]);
        let said = home.ask(&root, "leave", json!([well]));
        assert!(said.contains(outcome), "{said}");
        let status = home.status();
        assert_eq!((&status["vats"], &status["subclusters"]), (&json!([]), &json!([])), "{vat}");
        let said = home.ask(&root, "sameData", json!([]));
        assert!(said.starts_with("[KERNEL:OBJECT_DELETED]"), "{said}");
    }
    home.stop();
    home.assert_sound();
}

#[test]
fn what_vats_log_is_in_the_log_under_their_ids() {
    let Some(home) = daemon() else { return };
    let (root, _) = launch(&home, &[("a", "powers", json!({})), ("b", "powers", json!({}))]);
    ask(&home, &root, "sameData");
    assert_eq!(home.ask("ko5", "speak", json!(["up"])), "#\"#undefined\"");
    assert_eq!(home.ask(&root, "speak", json!(["50% %s"])), "#\"#undefined\"");
    home.stop();
    let expected = |lines: &[(&str, &str)]| -> Vec<(String, String)> {
        lines.iter().map(|&(level, text)| (level.to_owned(), text.to_owned())).collect()
    };
    // Lines before the module threw, or before the end, are as good as any other.
    let start =
        [("INFO", "the module is evaluated"), ("INFO", r#"buildRootObject {"of":"powers"}"#)];
    let speech = [
        ("INFO", "log up"),
        ("INFO", "plain up"),
        ("INFO", "[test] tagged up"),
        ("WARN", "[test] tagged 50% up"),
        ("ERROR", r#"[test, deep] deeper up [1,"up"]"#),
    ];
    let b = [&start[..], &speech].concat();
    assert_eq!(logged(&home, "v2"), expected(&b));
    let speech = [
        ("WARN", "bootstrap"),
        ("INFO", "log 50% %s"),
        ("INFO", "plain 50% %s"),
        ("INFO", "[test] tagged 50% %s"),
        ("WARN", "[test] tagged 50% 50% %s"),
        ("ERROR", r#"[test, deep] deeper 50% [1,"50% %s"]"#),
    ];
    let a = [&start[..], &speech].concat();
    assert_eq!(logged(&home, "v1"), expected(&a));
    // Errors come with their stacks, so on lines of their own.
    let log = home.log();
    assert!(
        log.contains("ERROR ocap::vat: Error: error up\n        at speak (bundle.js:"),
        "{log}"
    );
    assert!(!log.contains("debug up"), "{log}");
}

#[test]
fn a_failed_launch_tells_the_authors_error_and_keeps_what_was_logged() {
    let Some(home) = daemon() else { return };
    let fails = |bundle: &str| -> String {
        let vats = [("main", bundle, json!({}))];
        let params = json!({"config": super::cluster(&vats)});
        let refused = home.rpc("launchSubcluster", params).unwrap_err().to_string();
        let status: Value = home.status();
        assert_eq!((&status["vats"], &status["subclusters"]), (&json!([]), &json!([])));
        refused
    };
    let wrapped = |vat: &str, why: &str| format!("Failed to launch vat {vat} (main): {why}");
    for (bundle, wanted) in [
        ("error-in-module", wrapped("v1", "module evaluation failed on purpose")),
        ("error-in-build", wrapped("v2", "TypeError: buildRootObject failed on purpose")),
        ("error-no-root", wrapped("v3", "")),
    ] {
        let refused = fails(bundle);
        assert!(refused.contains(&wanted), "{bundle}: {refused}");
    }
    assert!(fails("error-no-root").contains("lacks buildRootObject() function"));
    let refused = fails("error-in-bootstrap");
    assert!(refused.contains("bootstrap failed on purpose"), "{refused}");
    assert!(!refused.contains("Failed to launch"), "{refused}");
    assert_eq!(logged(&home, "v1"), [("INFO".to_owned(), "about to fail".to_owned())]);
    home.stop();
    home.assert_sound();
}
