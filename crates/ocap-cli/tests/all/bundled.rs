//! Bundles made with npm packages, in the real daemon: vats as authors for the reference write
//! them, with their own copies of the @endo and @agoric packages. They are made in
//! `fixtures/bundles`; without them these tests say so and pass, unless `OCAP_REQUIRE_FIXTURES=1`.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::rig::{Home, repository};

mod endowments;
mod exos;
mod persistence;
mod powers;
mod promises;

/// The bundles' folder, if they have been made.
fn folder() -> Option<PathBuf> {
    let folder = repository().join("fixtures/bundles/dist");
    // The last one that is made.
    if folder.join("zone.bundle").exists() {
        return Some(folder);
    }
    let required = std::env::var("OCAP_REQUIRE_FIXTURES").is_ok_and(|value| value == "1");
    assert!(!required, "run `npm ci && npm run build` in fixtures/bundles");
    eprintln!("skipped: there are no bundles (npm ci && npm run build in fixtures/bundles)");
    None
}

/// A home with a running daemon, if there are bundles.
fn daemon() -> Option<Home> {
    folder()?;
    let home = Home::new();
    home.start();
    Some(home)
}

/// A cluster of bundles, each with what else its vat's config says; the first one bootstraps.
fn cluster(vats: &[(&str, &str, Value)]) -> Value {
    let folder = folder().unwrap();
    let configs: Map<_, _> = vats
        .iter()
        .map(|(name, bundle, more)| {
            let mut config = more.clone();
            config["bundleSpec"] = json!(folder.join(format!("{bundle}.bundle")));
            ((*name).to_owned(), config)
        })
        .collect();
    json!({"bootstrap": vats[0].0, "vats": configs})
}

/// Launches it; the root of the first vat and what its bootstrap answered.
#[track_caller]
fn launch(home: &Home, vats: &[(&str, &str, Value)]) -> (String, String) {
    let params = json!({"config": cluster(vats)});
    let launched = home.rpc("launchSubcluster", params);
    let launched = launched.unwrap_or_else(|error| panic!("{error}\n{}", home.log()));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&launched["rootKref"]), text(&launched["bootstrapResult"]["body"]))
}

/// The answer to a message without arguments.
#[track_caller]
fn ask(home: &Home, kref: &str, method: &str) -> String {
    home.ask(kref, method, json!([]))
}

/// The references in the answer to a message.
#[track_caller]
#[allow(clippy::needless_pass_by_value, reason = "tests write the value at the call")]
fn slots(home: &Home, kref: &str, method: &str, args: Value) -> Vec<String> {
    let answer = home.rpc("queueMessage", json!([kref, method, args]));
    let answer = answer.unwrap_or_else(|error| panic!("{method}: {error}\n{}", home.log()));
    serde_json::from_value(answer["slots"].clone()).unwrap()
}

/// What the body of an answer says, as far as it is plain JSON.
#[track_caller]
fn plain(body: &str) -> Value {
    let text = body.strip_prefix('#').unwrap_or_else(|| panic!("{body}"));
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{body}: {error}"))
}
