//! What outlives a vat's incarnation and the daemon's, and what does not.

use std::collections::BTreeMap;

use ocap_store::sqlite;
use serde_json::{Value, json};

use super::{ask, daemon, launch};
use crate::rig::{Home, eventually};

/// Two vats that keep things, each with the other in its baggage: `ko4` is a's root, `ko5` b's.
fn keepers(home: &Home) {
    let named = |name| (name, "keeper", json!({"parameters": {"name": name}}));
    let (root, answer) = launch(home, &[named("a"), named("b")]);
    assert_eq!((root.as_str(), answer.as_str()), ("ko4", "#\"a is up\""));
}

fn restart_vat(home: &Home, vat: &str) {
    home.rpc("restartVat", json!({"id": vat})).unwrap();
}

#[test]
fn counts_in_baggage_go_on_and_bootstrap_is_not_run_again() {
    let Some(home) = daemon() else { return };
    keepers(&home);
    let roots = || -> Value {
        let status = home.status();
        json!([status["vats"], status["subclusters"]])
    };
    let before = roots();
    let mut starts = 0;
    let mut next = |how: &str| {
        starts += 1;
        for (root, name) in [("ko4", "a"), ("ko5", "b")] {
            assert_eq!(ask(&home, root, "whoAmI"), format!("#\"{name}\""), "{how}");
            assert_eq!(ask(&home, root, "starts"), format!("#{starts}"), "{name}, {how}");
            let again = 1 + usize::from(name == "b");
            for n in 0..again {
                let count = (starts - 1) * again + n + 1;
                assert_eq!(ask(&home, root, "increment"), format!("#{count}"), "{name}, {how}");
            }
        }
        // Only the first vat was ever asked to bootstrap, and once.
        assert_eq!(ask(&home, "ko4", "bootstraps"), "#1", "{how}");
    };
    next("as launched");
    home.stop();
    home.start();
    next("stopped and started");
    home.kill();
    home.start();
    next("killed and started");
    restart_vat(&home, "v1");
    restart_vat(&home, "v2");
    next("each restarted");
    assert_eq!(roots()[0][0]["config"], before[0][0]["config"]);
    home.stop();
    home.assert_sound();
}

#[test]
fn what_is_in_baggage_works_after_restarts_of_vats_and_daemon() {
    let Some(home) = daemon() else { return };
    keepers(&home);
    let refused = "Error: value is not durable";
    let kept = ask(&home, "ko4", "tryToKeep");
    assert_eq!(kept.matches(refused).count(), 4, "{kept}");
    assert!(kept.ends_with(",false]"), "{kept}");
    let others = || {
        // The root of the other vat, kept at bootstrap.
        assert_eq!(home.ask("ko4", "ask", json!(["b", "whoAmI"])), "#\"b\"");
    };
    others();
    restart_vat(&home, "v1");
    others();
    restart_vat(&home, "v2");
    others();
    home.stop();
    home.start();
    others();
    home.kill();
    home.start();
    others();
    home.stop();
    home.assert_sound();
}

#[test]
fn what_a_restarted_vat_did_not_keep_is_deleted_for_its_holders() {
    let Some(home) = daemon() else { return };
    keepers(&home);
    let deleted = "[KERNEL:OBJECT_DELETED]";
    assert_eq!(home.ask("ko4", "borrow", json!(["b"])), "#\"lent by b\"");
    restart_vat(&home, "v2");
    for method in ["use", "useKept"] {
        let said = ask(&home, "ko4", method);
        assert!(said.starts_with(deleted), "{method}: {said}");
    }
    // Its lender goes on, and what is dead stays dead.
    assert_eq!(home.ask("ko4", "ask", json!(["b", "starts"])), "#2");
    home.stop();
    home.start();
    let said = ask(&home, "ko4", "useKept");
    assert!(said.starts_with(deleted), "{said}");
    assert_eq!(home.ask("ko4", "ask", json!(["b", "starts"])), "#3");
    home.stop();
    home.assert_sound();
}

#[test]
fn what_was_queued_at_a_kill_is_delivered_before_anything_new() {
    let Some(home) = daemon() else { return };
    // It may spin for longer than this test waits.
    let limits = json!({"crankCpuMs": 60_000, "crankTicks": 1_000_000_000_000_u64});
    let config = json!({"creationOptions": {"limits": limits}});
    let (root, _) = launch(&home, &[("keeper", "keeper", config), ("b", "keeper", json!({}))]);
    let queued = || home.status()["vats"][0]["queued"].clone();
    std::thread::scope(|scope| {
        let mut waiting = Vec::new();
        for (n, method) in ["noteOnceRestarted", "note", "note"].into_iter().enumerate() {
            let (home, root) = (&home, &root);
            waiting.push(scope.spawn(move || {
                let message = json!([root, method, [format!("word {n}")]]);
                home.rpc("queueMessage", message).unwrap_err()
            }));
            eventually("the message waits", || queued() == n + 1);
        }
        // What is answered is durable, and all that came before it.
        assert_eq!(ask(&home, "ko5", "starts"), "#1");
        home.kill();
        for waiter in waiting {
            waiter.join().unwrap();
        }
    });
    home.start();
    assert_eq!(home.ask(&root, "note", json!(["new"])), "#\"new\"");
    assert_eq!(ask(&home, &root, "notes"), r#"#["word 0","word 1","word 2","new"]"#);
    assert_eq!(ask(&home, &root, "turns"), "#0");
    assert_eq!(ask(&home, &root, "starts"), "#2");
    eventually("nothing is queued", || queued() == 0);
    // Nor does any of it come again.
    home.stop();
    home.start();
    assert_eq!(ask(&home, &root, "notes"), r#"#["word 0","word 1","word 2","new"]"#);
    home.stop();
    home.assert_sound();
}

#[test]
fn a_daemon_that_was_reset_starts_from_scratch() {
    let Some(home) = daemon() else { return };
    keepers(&home);
    assert_eq!(ask(&home, "ko4", "increment"), "#1");
    home.rpc("clearState", json!([])).unwrap();
    let nothing = || {
        let status = home.status();
        assert_eq!((&status["vats"], &status["subclusters"]), (&json!([]), &json!([])));
        let said = ask(&home, "ko4", "increment");
        assert!(said.starts_with("[KERNEL:OBJECT_DELETED]"), "{said}");
    };
    nothing();
    home.stop();
    home.start();
    nothing();
    // The same numbers again, and nothing of the former lives.
    keepers(&home);
    assert_eq!(home.status()["vats"][0]["id"], "v1");
    for (method, answer) in [("starts", "#1"), ("bootstraps", "#1"), ("increment", "#1")] {
        assert_eq!(ask(&home, "ko4", method), answer);
    }
    home.stop();
    home.assert_sound();
}

/// The records of the first vat's own store; no daemon may run.
fn records(home: &Home) -> BTreeMap<String, String> {
    let inspection = sqlite::inspect(home.files.database()).unwrap();
    let mut records = BTreeMap::new();
    let mut at = String::new();
    while let Some((key, value)) = inspection.reader.next("vs.v1.", &at).unwrap() {
        records.insert(key["vs.v1.".len()..].to_owned(), value);
        at = key;
    }
    records
}

#[test]
fn a_vat_begins_with_the_records_that_the_reference_writes() {
    let Some(home) = daemon() else { return };
    launch(&home, &[("counter", "counter", json!({"parameters": {"start": 7}}))]);
    home.stop();
    let schema = |shape: &str, label: &str| {
        let body = format!(r#"#{{"keyShape":{shape},"label":"{label}"}}"#);
        json!({"body": body, "slots": []}).to_string()
    };
    let text = r##"{"#tag":"match:string","payload":[]}"##;
    let scalar = r##"{"#tag":"match:scalar","payload":"#undefined"}"##;
    let both = format!(r##"{{"#tag":"match:and","payload":[{scalar},{text}]}}"##);
    let expected = [
        ("baggageID", "o+d6/1".to_owned()),
        ("idCounters", r#"{"exportID":10,"collectionID":4,"promiseID":5}"#.to_owned()),
        ("kindIDID", "1".to_owned()),
        (
            "storeKindIDTable",
            concat!(
                r#"{"scalarMapStore":2,"scalarWeakMapStore":3,"scalarSetStore":4,"#,
                r#""scalarWeakSetStore":5,"scalarDurableMapStore":6,"#,
                r#""scalarDurableWeakMapStore":7,"scalarDurableSetStore":8,"#,
                r#""scalarDurableWeakSetStore":9}"#
            )
            .to_owned(),
        ),
        ("vc.1.scount", r##"{"body":"#7","slots":[]}"##.to_owned()),
        ("vc.1.|entryCount", "1".to_owned()),
        ("vc.1.|nextOrdinal", "1".to_owned()),
        ("vc.1.|schemata", schema(text, "baggage")),
        ("vc.2.|entryCount", "0".to_owned()),
        ("vc.2.|nextOrdinal", "1".to_owned()),
        ("vc.2.|schemata", schema(scalar, "promiseWatcherByKind")),
        ("vc.3.|entryCount", "0".to_owned()),
        ("vc.3.|nextOrdinal", "1".to_owned()),
        ("vc.3.|schemata", schema(&both, "watchedPromises")),
        ("vom.rc.o+d6/1", "1".to_owned()),
        ("vom.rc.o+d6/2", "1".to_owned()),
        ("vom.rc.o+d6/3", "1".to_owned()),
        ("watchedPromiseTableID", "o+d6/3".to_owned()),
        ("watcherTableID", "o+d6/2".to_owned()),
    ];
    let expected: BTreeMap<_, _> = expected.map(|(key, value)| (key.to_owned(), value)).into();
    assert_eq!(records(&home), expected);
}

#[test]
fn each_delivery_writes_what_it_changes() {
    let Some(home) = daemon() else { return };
    let (root, _) = launch(&home, &[("records", "records", json!({}))]);
    home.stop();
    let mut before = records(&home);
    let data = |value: &str| Some(format!(r##"{{"body":"#{value}","slots":[]}}"##));
    let some = |value: &str| Some(value.to_owned());
    let content = |value: &str| format!(r##"{{"content":{{"body":"#{value}","slots":[]}}}}"##);
    let steps = [
        ("look", json!(["k"]), vec![]),
        ("init", json!(["k", 1]), vec![("vc.1.sk", data("1")), ("vc.1.|entryCount", some("2"))]),
        ("set", json!(["k", [2]]), vec![("vc.1.sk", data("[2]"))]),
        ("set", json!(["k", [2]]), vec![]),
        ("set", json!(["j", 1]), vec![]),
        ("passing", json!(["p"]), vec![]),
        ("delete", json!(["k"]), vec![("vc.1.sk", None), ("vc.1.|entryCount", some("1"))]),
        (
            "box",
            json!(["b", 1]),
            vec![
                ("vc.1.sb", some(r##"{"body":"#\"$0.Alleged: Box\"","slots":["o+d10/1"]}"##)),
                ("vc.1.|entryCount", some("2")),
                ("vom.dkind.10.nextID", some("2")),
                ("vom.o+d10/1", some(&content("1"))),
                ("vom.rc.o+d10/1", some("1")),
            ],
        ),
        ("fill", json!(["b", "x"]), vec![("vom.o+d10/1", some(&content(r#"\"x\""#)))]),
        ("content", json!(["b"]), vec![]),
        (
            "delete",
            json!(["b"]),
            vec![
                ("vc.1.sb", None),
                ("vc.1.|entryCount", some("1")),
                ("vom.o+d10/1", None),
                ("vom.rc.o+d10/1", None),
            ],
        ),
    ];
    for (method, args, delta) in steps {
        home.start();
        home.ask(&root, method, args.clone());
        // What a delivery leaves unreachable is removed by a later one.
        home.rpc("collectGarbage", json!([])).unwrap();
        home.stop();
        let after = records(&home);
        let mut changes = BTreeMap::new();
        for key in before.keys().chain(after.keys()) {
            if before.get(key) != after.get(key) {
                changes.insert(key.as_str(), after.get(key).cloned());
            }
        }
        assert_eq!(changes, delta.into_iter().collect(), "{method} {args}");
        before = after;
    }
    home.assert_sound();
}
