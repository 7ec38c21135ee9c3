//! Taking in services, and who may take whose place.

use serde_json::json;

use crate::discovery::{Place, matcher_config, parsed};
use crate::rig::{Home, eventually};

#[test]
fn the_matcher_says_which_service_it_lacks() {
    let home = Home::new();
    home.start();
    for (left_out, problem) in [
        ("ocapURLIssuerService", "ocapURLIssuerService is required"),
        ("ocapURLRedemptionService", "ocapURLRedemptionService is required"),
        ("llm", "llm IOService is required"),
    ] {
        let mut config = matcher_config(&json!({}));
        if left_out == "llm" {
            config.as_object_mut().unwrap().remove("io");
        }
        config["services"].as_array_mut().unwrap().retain(|name| name != left_out);
        let refused = home.rpc("launchSubcluster", json!({ "config": config })).unwrap_err();
        assert!(refused.to_string().contains(problem), "{refused}");
    }
}

#[test]
fn the_matchers_url_is_issued_once_and_leads_to_its_facet() {
    let place = Place::new();
    for _ in 0..2 {
        let url = place.home.ask(&place.matcher, "getMatcherUrl", json!([]));
        assert_eq!(parsed(&url), json!(place.url));
    }
    let facet = place.home.ask(&place.matcher, "getPublicFacet", json!([]));
    assert!(facet.contains("ServiceMatcher"), "{facet}");
    let redeemed = place.home.rpc("redeemOcapURL", json!({"url": place.url})).unwrap();
    let found =
        place.home.ask(redeemed.as_str().unwrap(), "findServices", json!([{"description": "x"}]));
    assert_eq!(parsed(&found), json!([]));
}

#[test]
fn a_service_registers_by_reference_with_one_request_to_the_bridge() {
    let place = Place::new();
    let mut bridge = place.plain_bridge();
    place.bridge_is_ready();
    place.make("echo", json!({}));
    let registering = place.registering("registerByRef", "echo");
    let request = bridge.hears("ingest");
    let wanted = json!({"kind": "ingest", "service": {
        "id": "svc:0",
        "description": "The service echo",
        "methods": [{"name": "echo", "description": "does echo"}],
    }});
    assert_eq!(request, wanted);
    bridge.say(&json!({"kind": "ingested"}));
    assert_eq!(registering.join().unwrap(), "#\"registered\"");
    assert_eq!(place.registry(), [("svc:0".into(), "echo".into())]);
    // Confirmed before anything else was asked.
    assert_eq!(
        parsed(&place.scout("heard", json!([]))),
        json!(["echo: confirm t", "echo: describe"])
    );
}

#[test]
fn what_is_not_confirmed_is_not_done() {
    let place = Place::new();
    let mut bridge = place.plain_bridge();
    place.bridge_is_ready();
    place.make("echo", json!({}));
    for how in ["registerByRef", "registerByUrl", "registerByDescription"] {
        let said = place.scout(how, json!(["echo", "guessed"]));
        assert!(said.contains("token does not match"), "{how}: {said}");
        assert_eq!(parsed(&place.scout("heard", json!([]))), json!(["echo: confirm guessed"]));
        assert_eq!(place.registry(), []);
    }
    for bad in [json!(5), json!(""), json!("x".repeat(1_000))] {
        let said = place.scout("registerByRef", json!(["echo", bad]));
        assert!(said.contains("token must"), "{said}");
    }
    assert_eq!(parsed(&place.scout("heard", json!([]))), json!([]));
    // The bridge was not told of any of it.
    let registering = place.registering("registerByRef", "echo");
    assert_eq!(bridge.hears("ingest")["service"]["id"], "svc:0");
    bridge.say(&json!({"kind": "ingested"}));
    assert_eq!(registering.join().unwrap(), "#\"registered\"");
}

#[test]
fn a_service_that_the_bridge_refuses_is_not_registered() {
    let place = Place::new();
    let mut bridge = place.plain_bridge();
    place.bridge_is_ready();
    place.make("echo", json!({}));
    let registering = place.registering("registerByRef", "echo");
    bridge.hears("ingest");
    bridge.say(&json!({"kind": "error", "message": "not that one"}));
    let said = registering.join().unwrap();
    assert!(said.contains("matcher vat: bridge ingest error: not that one"), "{said}");
    assert_eq!(place.registry(), []);
    // A refused one does not harm the one that was there.
    let registering = place.registering("registerByRef", "echo");
    assert_eq!(bridge.hears("ingest")["service"]["id"], "svc:1");
    bridge.say(&json!({"kind": "ingested"}));
    assert_eq!(registering.join().unwrap(), "#\"registered\"");
    let registering = place.registering("registerByRef", "echo");
    bridge.hears("ingest");
    bridge.say(&json!({"kind": "dance"}));
    let said = registering.join().unwrap();
    assert!(said.contains("unexpected reply to ingest: dance"), "{said}");
    assert_eq!(place.registry(), [("svc:1".into(), "echo".into())]);
}

#[test]
fn a_service_registers_by_url_and_by_description() {
    let place = Place::new();
    place.make("echo", json!({}));
    let heard = |wanted: &[&str]| {
        assert_eq!(parsed(&place.scout("heard", json!([]))), json!(wanted));
    };
    assert_eq!(place.scout("registerByUrl", json!(["echo", "t"])), "#\"registered\"");
    heard(&["echo: confirm t", "echo: describe"]);
    assert_eq!(place.registry(), [("svc:0".into(), "echo".into())]);
    place.make("dice", json!({}));
    assert_eq!(place.scout("registerByDescription", json!(["dice", "t"])), "#\"registered\"");
    heard(&["dice: confirm t"]);
    assert_eq!(place.registry()[1], ("svc:1".into(), "dice".into()));

    place.make("hermit", json!({"change": {"contact": []}}));
    for how in ["registerByRef", "registerByUrl", "registerByDescription"] {
        let said = place.scout(how, json!(["hermit", "t"]));
        assert!(said.contains("ServiceDescription has no contact info"), "{how}: {said}");
    }
    assert_eq!(place.registry().len(), 2);
}

#[test]
fn what_is_no_description_is_refused_with_the_place_of_what_is_wrong() {
    let place = Place::new();
    for (change, problem) in [
        (json!({"providerTag": 5}), "description.providerTag must be a string"),
        (json!({"apiSpec": {}}), "description.apiSpec.properties is missing"),
        (json!({"extra": 1}), "description.extra is unknown here"),
        (json!({"description": "x".repeat(5_000)}), "description.description must have at most"),
    ] {
        place.make("odd", json!({"change": change}));
        let said = place.register("odd");
        assert!(said.contains(problem), "{change}: {said}");
    }
    assert_eq!(place.registry(), []);
    let no_contact = place.home.rpc("redeemOcapURL", json!({"url": place.url})).unwrap();
    let facet = no_contact.as_str().unwrap();
    let said = place.home.ask(facet, "registerServiceByRef", json!(["me", "t"]));
    assert!(said.contains("the contact must be an object"), "{said}");
    let said = place.home.ask(facet, "registerServiceByUrl", json!(["nonsense", "t"]));
    assert!(!said.starts_with('#'), "{said}");
}

#[test]
fn a_provider_that_comes_again_takes_its_own_place() {
    let place = Place::new();
    place.make("echo", json!({}));
    assert_eq!(place.register("echo"), "#\"registered\"");
    assert_eq!(place.register("echo"), "#\"registered\"");
    assert_eq!(place.registry(), [("svc:1".into(), "echo".into())]);
    // Another tag is another service.
    place.make("dice", json!({}));
    assert_eq!(place.register("dice"), "#\"registered\"");
    let both = [("svc:1".into(), "echo".into()), ("svc:2".into(), "dice".into())];
    assert_eq!(place.registry(), both);
}

#[test]
fn a_provider_that_is_gone_makes_room_and_one_that_lives_does_not() {
    let place = Place::new();
    place.make("first", json!({"tag": "echo"}));
    assert_eq!(place.register("first"), "#\"registered\"");
    // Vats of one kernel need not trust each other: this one may not take the other's place.
    place.make("second", json!({"tag": "echo"}));
    assert_eq!(place.register("second"), "#\"registered\"");
    assert_eq!(place.registry().len(), 2);
    let contact =
        place.home.rpc("queueMessage", json!([place.scout, "contact", ["first"]])).unwrap();
    place.home.rpc("revoke", json!({"kref": contact["slots"][0]})).unwrap();
    place.make("third", json!({"tag": "echo"}));
    assert_eq!(place.register("third"), "#\"registered\"");
    let left: Vec<String> = place.registry().into_iter().map(|(id, _)| id).collect();
    assert_eq!(left, ["svc:1", "svc:2"]);
}

#[test]
fn nobody_registers_under_the_contact_of_another() {
    let place = Place::new();
    place.make("honest", json!({"tag": "echo"}));
    assert_eq!(place.register("honest"), "#\"registered\"");
    let url = parsed(&place.home.ask(&place.matcher, "listAll", json!([])));
    let url = &url[0]["description"]["contact"][0]["contactUrl"];
    place.make("thief", json!({"tag": "echo", "url": url}));
    let said = place.register("thief");
    assert!(said.contains("leads to another object"), "{said}");
    assert_eq!(place.registry(), [("svc:0".into(), "echo".into())]);
    // Nor by describing it: the contact there would have to confirm.
    let said = place.scout("registerByDescription", json!(["thief", "wrong"]));
    assert!(said.contains("token does not match"), "{said}");
}

#[test]
fn a_contact_that_says_nothing_keeps_nobody_waiting_for_ever() {
    let place = Place::with(&json!({"confirmMs": 200}));
    place.make("mute", json!({"silent": true}));
    let said = place.register("mute");
    assert!(said.contains("did not answer within 200 ms"), "{said}");
    assert_eq!(place.registry(), []);
}

#[test]
fn services_are_unregistered_and_the_bridge_is_told() {
    let place = Place::new();
    let mut bridge = place.new_bridge();
    place.bridge_is_ready();
    place.make("echo", json!({}));
    let registering = place.registering("registerByRef", "echo");
    let ingest = bridge.hears("ingest");
    bridge.answer(&ingest, json!({"kind": "ingested"}));
    assert_eq!(registering.join().unwrap(), "#\"registered\"");
    assert_eq!(place.home.ask(&place.matcher, "unregister", json!(["svc:9"])), "#false");
    let socket = place.home.files.socket();
    let params = json!([place.matcher, "unregister", ["svc:0"]]);
    let unregistering = std::thread::spawn(move || crate::discovery::answer_of(&socket, &params));
    let forget = bridge.hears("forget");
    assert_eq!(forget["ids"], json!(["svc:0"]));
    bridge.answer(&forget, json!({"kind": "forgotten"}));
    assert_eq!(unregistering.join().unwrap(), "#true");
    assert_eq!(place.registry(), []);
}

#[test]
fn providers_that_are_gone_are_retired() {
    let place = Place::with(&json!({"livenessMs": 50}));
    place.make("echo", json!({}));
    place.make("dice", json!({}));
    for name in ["echo", "dice"] {
        assert_eq!(place.register(name), "#\"registered\"");
    }
    let contact =
        place.home.rpc("queueMessage", json!([place.scout, "contact", ["echo"]])).unwrap();
    place.home.rpc("revoke", json!({"kref": contact["slots"][0]})).unwrap();
    eventually("the one that is gone is retired", || {
        place.registry() == [("svc:1".into(), "dice".into())]
    });
    // Also after a restart of the kernel. The contacts of the scout end with each of its lives.
    place.home.kill();
    place.home.start();
    eventually("the other one is gone, too", || place.registry().is_empty());
}
