//! Finding services, with a bridge and without.

use serde_json::{Value, json};

use crate::discovery::{Place, parsed};

/// A place where `echo` and `dice` are registered, without a bridge.
fn with_services() -> Place {
    let place = Place::new();
    for name in ["echo", "dice"] {
        place.make(name, json!({}));
        assert_eq!(place.register(name), "#\"registered\"");
    }
    place
}

#[test]
fn the_bridges_matches_come_back_with_their_reasons() {
    let place = with_services();
    let mut bridge = place.new_bridge();
    place.bridge_is_ready();
    let mut find = |matches: Value| {
        let finding = place.asking("find", json!(["what I need"]));
        let query = bridge.hears("query");
        assert_eq!(query["query"], "what I need");
        bridge.answer(&query, json!({"kind": "matches", "matches": matches}));
        finding.join().unwrap()
    };
    let cited = |id: &str| json!({"id": id, "rationale": format!("because of {id}")});
    // In the bridge's order.
    let found = find(json!([cited("svc:1"), cited("svc:0")]));
    let wanted = json!([
        {"tag": "dice", "rationale": "because of svc:1"},
        {"tag": "echo", "rationale": "because of svc:0"},
    ]);
    assert_eq!(parsed(&found), wanted);
    assert_eq!(parsed(&find(json!([]))), json!([]));
    // What the registry does not have is left out,
    let found = find(json!([cited("svc:7"), cited("svc:0")]));
    assert_eq!(parsed(&found), json!([{"tag": "echo", "rationale": "because of svc:0"}]));
    // unless there is nothing else.
    let said = find(json!([cited("svc:7"), cited("svc:8")]));
    assert!(said.contains("cited only unknown ids (2/2)"), "{said}");
    let said = find(json!([{"id": 5}]));
    assert!(said.contains("unexpected reply to query: matches"), "{said}");
    let said = find(json!("all"));
    assert!(said.contains("unexpected reply to query"), "{said}");
}

#[test]
fn the_bridges_error_is_the_querys_and_it_is_asked_once() {
    let place = with_services();
    let mut bridge = place.new_bridge();
    place.bridge_is_ready();
    let finding = place.asking("find", json!(["first"]));
    let query = bridge.hears("query");
    bridge.answer(&query, json!({"kind": "error", "message": "the model is ill"}));
    let said = finding.join().unwrap();
    assert!(said.contains("bridge query error: the model is ill"), "{said}");
    let finding = place.asking("find", json!(["second"]));
    let query = bridge.hears("query");
    assert_eq!(query["query"], "second");
    bridge.answer(&query, json!({"kind": "matches", "matches": []}));
    assert_eq!(finding.join().unwrap(), "#[]");
}

#[test]
fn without_a_bridge_words_are_compared_and_the_reason_says_so() {
    let place = with_services();
    let found = parsed(&place.scout("find", json!(["does anybody throw dice?"])));
    assert_eq!(found[0]["tag"], "dice", "{found}");
    let rationale = found[0]["rationale"].as_str().unwrap();
    assert!(rationale.starts_with("No language model is connected"), "{rationale}");
    assert!(rationale.contains("dice"), "{rationale}");
    let found = parsed(&place.scout("find", json!(["I need a throw of the dice"])));
    let rationale = found[0]["rationale"].as_str().unwrap();
    let common = rationale.split_once("In common: ").unwrap().1.trim_end_matches('.');
    assert!(common.split(", ").all(|word| word == "throw" || word == "dice"), "{common}");
    assert_eq!(parsed(&place.scout("find", json!(["zebra"]))), json!([]));
    let redeemed = place.home.rpc("redeemOcapURL", json!({"url": place.url})).unwrap();
    let said =
        place.home.ask(redeemed.as_str().unwrap(), "findServices", json!([{"description": 5}]));
    assert!(said.contains("query.description must be a string"), "{said}");
}

#[test]
fn the_way_from_a_need_to_a_call_works() {
    let place = with_services();
    let done = place.scout("employ", json!(["I need an echo", "echo", "echo", []]));
    assert_eq!(done, "#\"echo was done\"");
}
