//! Bridges that are slow, silent, wrong, or gone, and what the matcher tells those that come.

use serde_json::{Value, json};

use crate::discovery::{Place, Player, parsed};
use crate::rig::eventually;

const RANKED: &str = "No language model is connected";

/// `echo` and `dice`, registered without a bridge.
fn register_two(place: &Place) {
    for name in ["echo", "dice"] {
        place.make(name, json!({}));
        assert_eq!(place.register(name), "#\"registered\"");
    }
}

fn ids(services: &Value) -> Vec<&str> {
    services.as_array().unwrap().iter().map(|service| service["id"].as_str().unwrap()).collect()
}

#[test]
fn a_bridge_that_comes_is_told_the_registry_and_then_the_difference() {
    let place = Place::new();
    register_two(&place);
    let mut bridge = place.connect();
    let registry = bridge.hello["registry"].as_str().unwrap().to_owned();
    bridge.greet(None, &[]);
    let sync = bridge.hears("sync");
    assert_eq!((&sync["clear"], &sync["registry"]), (&json!(true), &json!(registry)));
    assert_eq!(ids(&sync["services"]), ["svc:0", "svc:1"]);
    assert_eq!(place.bridge_state(), "telling");
    bridge.answer(&sync, json!({"kind": "synced"}));
    place.bridge_is_ready();
    drop(bridge);
    eventually("the matcher notices", || place.bridge_state() == "none");

    // While it is away one service goes and another comes.
    assert_eq!(place.home.ask(&place.matcher, "unregister", json!(["svc:0"])), "#true");
    place.make("weather", json!({}));
    assert_eq!(place.register("weather"), "#\"registered\"");
    let mut bridge = place.connect();
    assert_eq!(bridge.hello["registry"], json!(registry));
    bridge.greet(Some(&registry), &["svc:0", "svc:1"]);
    let sync = bridge.hears("sync");
    assert_eq!((&sync["clear"], &sync["forget"]), (&json!(false), &json!(["svc:0"])));
    assert_eq!(ids(&sync["services"]), ["svc:2"]);
    bridge.answer(&sync, json!({"kind": "synced"}));
    place.bridge_is_ready();
    drop(bridge);

    // One that knows everything is told nothing; one that comes from another matcher, everything.
    let mut bridge = place.connect();
    bridge.greet(Some(&registry), &["svc:1", "svc:2"]);
    place.bridge_is_ready();
    drop(bridge);
    let mut bridge = place.connect();
    bridge.greet(Some("another"), &["svc:1", "svc:2"]);
    let sync = bridge.hears("sync");
    assert_eq!((&sync["clear"], ids(&sync["services"])), (&json!(true), vec!["svc:1", "svc:2"]));
}

#[test]
fn a_bridge_without_ids_is_told_the_registry_one_by_one() {
    let place = Place::new();
    register_two(&place);
    let mut bridge = place.plain_bridge();
    for id in ["svc:0", "svc:1"] {
        let ingest = bridge.hears("ingest");
        assert_eq!((ingest.get("id"), &ingest["service"]["id"]), (None, &json!(id)));
        bridge.say(&json!({"kind": "ingested"}));
    }
    place.bridge_is_ready();
}

#[test]
fn what_registers_while_a_bridge_is_being_told_is_told_too() {
    let place = Place::new();
    register_two(&place);
    let mut bridge = place.connect();
    bridge.greet(None, &[]);
    let sync = bridge.hears("sync");
    place.make("weather", json!({}));
    assert_eq!(place.register("weather"), "#\"registered\"");
    bridge.answer(&sync, json!({"kind": "synced"}));
    let sync = bridge.hears("sync");
    assert_eq!((&sync["clear"], ids(&sync["services"])), (&json!(false), vec!["svc:2"]));
    bridge.answer(&sync, json!({"kind": "synced"}));
    place.bridge_is_ready();
}

#[test]
fn without_ids_one_exchange_is_under_way_and_a_failed_one_harms_none_after_it() {
    let place = Place::new();
    let mut bridge = place.plain_bridge();
    place.bridge_is_ready();
    let first = place.asking("find", json!(["first"]));
    assert_eq!(bridge.hears("query")["query"], "first");
    let second = place.asking("find", json!(["second"]));
    // Nothing more is asked before the first is answered: what comes next on the line is the second.
    bridge.say(&json!({"kind": "error", "message": "no"}));
    assert!(first.join().unwrap().contains("bridge query error: no"));
    assert_eq!(bridge.hears("query")["query"], "second");
    bridge.say(&json!({"kind": "matches", "matches": []}));
    assert_eq!(second.join().unwrap(), "#[]");
}

#[test]
fn a_late_reply_of_a_bridge_without_ids_is_nobodys() {
    let place = Place::with(&json!({"queryMs": 6_000}));
    register_two(&place);
    let mut bridge = place.plain_bridge();
    for _ in 0..2 {
        bridge.hears("ingest");
        bridge.say(&json!({"kind": "ingested"}));
    }
    place.bridge_is_ready();
    let finding = place.asking("find", json!(["an echo please"]));
    bridge.hears("query");
    // It does not answer in time: words are compared, and the connection is ended.
    let found = parsed(&finding.join().unwrap());
    assert!(found[0]["rationale"].as_str().unwrap().starts_with(RANKED), "{found}");
    let late = json!({"kind": "matches", "matches": [{"id": "svc:1", "rationale": "late"}]});
    bridge.line.send_all(&format!("{late}\n"));
    assert_eq!(bridge.line.next(), None, "hung up on");
    // The next one is asked, and its reply is the one that counts.
    let mut bridge = place.plain_bridge();
    for _ in 0..2 {
        bridge.hears("ingest");
        bridge.say(&json!({"kind": "ingested"}));
    }
    place.bridge_is_ready();
    let finding = place.asking("find", json!(["again"]));
    bridge.hears("query");
    bridge.say(&json!({"kind": "matches", "matches": [{"id": "svc:0", "rationale": "now"}]}));
    assert_eq!(parsed(&finding.join().unwrap()), json!([{"tag": "echo", "rationale": "now"}]));
}

#[test]
fn with_ids_replies_find_their_requests_in_any_order_and_late_ones_nobody() {
    let place = Place::with(&json!({"queryMs": 6_000}));
    register_two(&place);
    let mut bridge = place.new_bridge();
    place.bridge_is_ready();
    let matches =
        |id: &str, why: &str| json!({"kind": "matches", "matches": [{"id": id, "rationale": why}]});
    let slow = place.asking("find", json!(["echo"]));
    let late = bridge.hears("query");
    let found = parsed(&slow.join().unwrap());
    assert!(found[0]["rationale"].as_str().unwrap().starts_with(RANKED), "{found}");

    let first = place.asking("find", json!(["first"]));
    let one = bridge.hears("query");
    let second = place.asking("find", json!(["second"]));
    let two = bridge.hears("query");
    bridge.answer(&late, matches("svc:0", "late"));
    bridge.answer(&two, matches("svc:1", "two"));
    bridge.answer(&one, matches("svc:0", "one"));
    assert_eq!(parsed(&first.join().unwrap()), json!([{"tag": "echo", "rationale": "one"}]));
    assert_eq!(parsed(&second.join().unwrap()), json!([{"tag": "dice", "rationale": "two"}]));
}

#[test]
fn a_bridge_that_goes_while_it_is_asked_leaves_nobody_waiting() {
    let place = Place::new();
    let mut bridge = place.new_bridge();
    place.bridge_is_ready();
    place.make("echo", json!({}));
    let registering = place.registering("registerByRef", "echo");
    bridge.hears("ingest");
    let finding = place.asking("find", json!(["echo"]));
    bridge.hears("query");
    drop(bridge);
    assert_eq!(registering.join().unwrap(), "#\"registered\"");
    // The query was asked before the service was there.
    assert!(finding.join().unwrap().starts_with("#["));
    let found = parsed(&place.scout("find", json!(["echo"])));
    assert!(found[0]["rationale"].as_str().unwrap().starts_with(RANKED), "{found}");
}

#[test]
fn a_bridge_that_talks_nonsense_is_hung_up_on() {
    let place = Place::with(&json!({"helloMs": 6_000}));
    let hung_up_after = |mut bridge: Player, line: &str| {
        bridge.line.send(line);
        assert_eq!(bridge.line.next(), None, "{line}");
    };
    for nonsense in ["nonsense", "5", "null", "{\"kind\":\"matches\",\"matches\":[]}"] {
        hung_up_after(place.connect(), nonsense);
    }
    // One that says nothing at all, too.
    let mut silent = place.connect();
    assert_eq!(silent.line.next(), None);
    let bridge = place.plain_bridge();
    place.bridge_is_ready();
    hung_up_after(bridge, "{\"kind\":\"matches\",\"matches\":[]}");
    place.new_bridge();
    // In the end it is all the same to a provider.
    place.make("echo", json!({}));
    assert_eq!(place.register("echo"), "#\"registered\"");
}
