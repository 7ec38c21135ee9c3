//! What a vat can reach, against what SES permits, in a real vat with every global there is.

use std::fmt::Write as _;
use std::path::PathBuf;

use ocap_vat::engine::{Limits, Module, ModuleGraph, VatCode, WorkerInit};
use serde_json::Value;

use crate::client::{Client, limits, vat, zygote};

/// Modules that vats may import without bringing them.
const MODULES: [&str; 10] = [
    "@endo/errors",
    "@endo/eventual-send",
    "@endo/exo",
    "@endo/far",
    "@endo/harden",
    "@endo/pass-style",
    "@endo/patterns",
    "@endo/promise-kit",
    "@metamask/kernel-utils",
    "@metamask/kernel-utils/exo",
];

/// Globals that vats may ask for.
const GLOBALS: [&str; 8] = [
    "TextDecoder",
    "TextEncoder",
    "atob",
    "btoa",
    "clearInterval",
    "clearTimeout",
    "setInterval",
    "setTimeout",
];

/// What `npm run build` in `fixtures/ses` makes; `None` if that was not done.
fn permits() -> Option<Value> {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/ses/dist/permits.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        assert!(
            std::env::var("OCAP_REQUIRE_FIXTURES").as_deref() != Ok("1"),
            "{} is missing: run `npm ci && npm run build` in fixtures/ses",
            path.display()
        );
        eprintln!("skipped: {} is missing (npm ci && npm run build)", path.display());
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

/// The differences that are meant, with their reasons.
fn ours() -> Value {
    serde_json::from_str(include_str!("ses/ours.json")).unwrap()
}

/// A vat that walks when asked to. `before` runs first.
fn walker(ses: &Value, ours: &Value, before: &str) -> WorkerInit {
    let mut source = String::new();
    let mut given = String::new();
    for (n, module) in MODULES.iter().enumerate() {
        writeln!(source, "import * as m{n} from '{module}';").unwrap();
        write!(given, "'{module}': Object.freeze({{ ...m{n} }}), ").unwrap();
    }
    let walk = include_str!("ses/walk.js");
    write!(
        source,
        "import {{ Far }} from '@endo/far';
         const walk = {walk};
         {before};
         export const buildRootObject = (vatPowers, _parameters, baggage) => Far('walker', {{
           walk: () => walk({ses}, {ours}, {{ vatPowers, baggage, {given} }}, {GLOBALS:?}),
         }});"
    )
    .unwrap();
    let module = Module { source, ..Module::default() };
    let code = VatCode::Modules(ModuleGraph {
        entry: "main.js".into(),
        modules: [("main.js".into(), module)].into(),
    });
    let limits = Limits { heap_bytes_max: 128 << 20, ..limits() };
    WorkerInit { code, globals: GLOBALS.map(String::from).into(), ..vat(limits) }
}

fn differences(ses: &Value, ours: &Value, before: &str) -> Vec<String> {
    let zygote = zygote();
    let mut client = Client::new(zygote.spawn().unwrap());
    client.start(walker(ses, ours, before));
    let answer = client.call("walk", "[]");
    let text: String = serde_json::from_str(&answer[1..]).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_vat_reaches_nothing_that_ses_does_not_permit() {
    let Some(ses) = permits() else { return };
    let found = differences(&ses, &ours(), "");
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}

#[test]
fn the_walk_notices_what_is_not_permitted() {
    let Some(mut ses) = permits() else { return };
    let permitted = ses["permitted"].as_object_mut().unwrap();
    permitted["%ArrayPrototype%"].as_object_mut().unwrap().remove("map");
    permitted["%MapIteratorPrototype%"]["[[Proto]]"] = "%ObjectPrototype%".into();
    permitted["Reflect"]["get"] = false.into();
    permitted["%RegExpPrototype%"]["flags"] = "string".into();
    let mut ours = ours();
    ours["a global: gone"] = "no reason".into();
    let found = differences(
        &ses,
        &ours,
        "Object.defineProperty(globalThis, 'loose', { value: { deep: Object.freeze({}) } });
         Object.defineProperty(globalThis, 'hidden', { get: harden(() => Object.freeze([{}])) })",
    );
    let expected = [
        "a global: hidden",
        "a global: loose",
        "an accessor: %RegExpPrototype%.flags",
        "does not inherit from %ObjectPrototype%: %MapIteratorPrototype%",
        "listed, but not so: a global: gone",
        "not frozen: globalThis.hidden.0",
        "not frozen: globalThis.loose",
        "not permitted: %ArrayPrototype%.map",
        "not permitted: Reflect.get",
    ];
    let missed: Vec<&&str> = expected.iter().filter(|e| !found.iter().any(|f| f == **e)).collect();
    assert!(missed.is_empty(), "missed {missed:?} in {found:#?}");
}
