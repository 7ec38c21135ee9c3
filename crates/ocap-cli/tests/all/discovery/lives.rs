//! Restarts: of the kernel, of the matcher's vat, and of providers.

use serde_json::json;

use crate::discovery::{Place, parsed, shipped};
use crate::rig::eventually;

#[test]
fn url_registry_and_ids_outlive_the_kernel() {
    let place = Place::new();
    for name in ["echo", "dice"] {
        place.make(name, json!({}));
        assert_eq!(place.register(name), "#\"registered\"");
    }
    assert_eq!(place.home.ask(&place.matcher, "unregister", json!(["svc:1"])), "#true");
    for stop in [true, false] {
        if stop {
            place.home.stop();
        } else {
            place.home.kill();
        }
        place.home.start();
        let url = parsed(&place.home.ask(&place.matcher, "getMatcherUrl", json!([])));
        assert_eq!(url, json!(place.url));
        assert_eq!(place.registry()[0], ("svc:0".into(), "echo".into()));
    }
    // Ids go on where they were, and the first registration works.
    place.make("weather", json!({}));
    assert_eq!(place.register("weather"), "#\"registered\"");
    assert_eq!(place.registry()[1], ("svc:2".into(), "weather".into()));
    place.home.stop();
    place.home.assert_sound();
}

#[test]
fn a_matcher_whose_vat_restarts_begins_with_a_clean_slate() {
    let place = Place::new();
    let mut bridge = place.new_bridge();
    place.bridge_is_ready();
    let finding = place.asking("find", json!(["echo"]));
    let query = bridge.hears("query");
    let status = place.home.status();
    let vats = status["vats"].as_array().unwrap();
    let vat = vats.iter().find(|vat| vat["name"] == "matcher").unwrap()["id"].clone();
    place.home.rpc("restartVat", json!({ "id": vat })).unwrap();
    let said = finding.join().unwrap();
    assert!(said.contains("[KERNEL:VAT_RESTARTED]"), "{said}");
    // What the old life was answered is not taken for an answer to the new one.
    let late = json!({"id": query["id"], "kind": "matches", "matches": []});
    bridge.line.send_all(&format!("{late}\n"));
    assert_eq!(bridge.line.next(), None);
    let _bridge = place.new_bridge();
    place.bridge_is_ready();
}

#[test]
fn shipped_services_register_again_in_each_life() {
    let place = Place::new();
    for (name, file) in
        [("echo", "echo/echo.js"), ("random-number", "random-number/random-number.js")]
    {
        let launched = place.home.rpc(
            "launchSubcluster",
            json!({"config": {
                "name": name,
                "bootstrap": "service",
                "services": ["ocapURLIssuerService", "ocapURLRedemptionService"],
                "vats": {"service": {
                    "sourceSpec": shipped(file),
                    "globals": ["crypto", "setTimeout"],
                    "parameters": {"matcherUrl": place.url},
                }},
            }}),
        );
        let body = launched.unwrap()["bootstrapResult"]["body"].as_str().unwrap().to_owned();
        assert_eq!(parsed(&body)["name"], name);
        assert!(parsed(&body)["contactUrl"].as_str().unwrap().starts_with("ocap:"), "{body}");
    }
    let employ = |text: &str, tag: &str, method: &str, args: serde_json::Value| {
        place.scout("employ", json!([text, tag, method, args]))
    };
    let works = || {
        assert_eq!(employ("repeat a message", "echo", "echo", json!(["añb", true])), "#\"bña\"");
        let number = employ("random numbers", "random-number", "randomInt", json!([3, 5]));
        assert!(["#3", "#4", "#5"].contains(&&*number), "{number}");
        let fraction = employ("random numbers", "random-number", "randomFloat", json!([]));
        let fraction = parsed(&fraction).as_f64().unwrap();
        assert!((0.0..1.0).contains(&fraction), "{fraction}");
        let said = employ("random numbers", "random-number", "randomInt", json!([5, 3]));
        assert!(said.contains("no whole number"), "{said}");
    };
    works();
    let first = [("svc:0".to_owned(), "echo".to_owned()), ("svc:1".into(), "random-number".into())];
    assert_eq!(place.registry(), first);
    place.home.kill();
    place.home.start();
    // Each took its own place, with a token of its new life.
    eventually("both have registered again", || {
        let registry = place.registry();
        registry.len() == 2 && registry.iter().all(|entry| !first.contains(entry))
    });
    works();
}
