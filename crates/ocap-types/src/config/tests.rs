//! What is accepted, and the exact words for what is not.

use serde_json::json;

use super::*;

fn parse(value: &Value) -> Result<ClusterConfig, String> {
    ClusterConfig::from_json(value, "config").map_err(|e| e.to_string())
}

fn with_vat(vat: &Value) -> Value {
    json!({"bootstrap": "alice", "vats": {"alice": vat}})
}

fn with_io(io: &Value) -> Value {
    let vats = json!({"a": {"bundleSpec": "b"}});
    json!({"bootstrap": "a", "vats": vats, "io": {"repl": io}})
}

#[test]
fn a_full_config_is_read_in_its_order_and_stored_as_it_is() {
    let text = r#"{
        "name": "guestbook", "bootstrap": "zoe", "forceReset": false,
        "services": ["ocapURLIssuerService"],
        "io": {
            "repl": {"type": "socket", "path": "repl.sock", "direction": "inout", "unit": "line"},
            "con": {"type": "console"},
            "c": {"type": "listen", "hostport": "localhost:1"},
            "b": {"type": "network", "hostport": "localhost:2", "unit": "bytes"},
            "a": {"type": "file", "path": "/x", "direction": "in"}
        },
        "vats": {
            "zoe": {
                "sourceSpec": "zoe.js",
                "creationOptions": {"limits": {"crankTicks": 5, "heapBytes": 16777216}},
                "parameters": {"x": [1, null]},
                "platformConfig": {"fs": {"rootDir": "/", "promises": {"readFile": true}}},
                "globals": ["fetch", "Date"],
                "network": {"allowedHosts": ["example.org"]}
            },
            "bob": {"bundleName": "shared"},
            "alice": {"bundleSpec": "file:///a.bundle", "parameters": null}
        },
        "bundles": {"shared": {"bundleSpec": "s.bundle"}}
    }"#;
    let value: Value = serde_json::from_str(text).unwrap();
    let config = parse(&value).unwrap();
    assert_eq!(config.vats.keys().collect::<Vec<_>>(), ["zoe", "bob", "alice"]);
    assert_eq!(
        config.io.as_ref().unwrap().keys().collect::<Vec<_>>(),
        ["repl", "con", "c", "b", "a"]
    );
    assert_eq!(config.code_spec("zoe"), Some(CodeSpec::Source("zoe.js")));
    assert_eq!(config.code_spec("bob"), Some(CodeSpec::Bundle("s.bundle")));
    assert_eq!(config.code_spec("alice"), Some(CodeSpec::Bundle("file:///a.bundle")));
    assert_eq!(config.code_spec("nobody"), None);
    let limits = config.vats["zoe"].limits().unwrap();
    let expected =
        VatLimits { crank_ticks: Some(5), heap_bytes: Some(1 << 24), ..VatLimits::default() };
    assert_eq!(limits, expected);
    assert_eq!(config.vats["bob"].limits(), Ok(VatLimits::default()));
    assert_eq!(config.vats["alice"].parameters, Some(Value::Null));
    // What is stored reads back as the same, and is what was given.
    assert_eq!(serde_json::to_value(&config).unwrap(), value);
    let stored = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<ClusterConfig>(&stored).unwrap(), config);
}

#[test]
fn falsy_options_are_as_good_as_absent() {
    for falsy in [json!(null), json!(false), json!(0), json!(0.0), json!("")] {
        let vat = json!({
            "bundleSpec": "b", "creationOptions": falsy, "platformConfig": falsy,
            "globals": falsy, "network": falsy, "parameters": falsy,
        });
        let config = parse(&with_vat(&vat)).unwrap();
        let expected = VatConfig {
            bundle_spec: Some("b".into()),
            parameters: Some(falsy),
            ..VatConfig::default()
        };
        assert_eq!(config.vats["alice"], expected);
    }
}

#[test]
fn every_problem_is_named_with_its_path() {
    let vat = |entries: Value| {
        let mut vat = json!({"bundleSpec": "b"});
        vat.as_object_mut().unwrap().extend(entries.as_object().unwrap().clone());
        with_vat(&vat)
    };
    let table = [
        // As the reference says it.
        (json!({"bootstrap": "a"}), "vats -- Expected an object, but received: undefined"),
        (json!({"vats": {}}), "bootstrap -- Expected a string, but received: undefined"),
        (json!({"bootstrap": 1, "vats": {}}), "bootstrap -- Expected a string, but received: 1"),
        (
            json!({"bootstrap": "a", "vats": []}),
            "vats -- Expected an object, but received: an array",
        ),
        (json!({"bootstrap": "a", "vats": "x"}), "vats -- Expected an object, but received: \"x\""),
        (
            json!({"bootstrap": "a", "vats": {}, "services": "x"}),
            "services -- Expected an array value, but received: \"x\"",
        ),
        (
            json!({"bootstrap": "a", "vats": {}, "services": ["x", 1]}),
            "services.1 -- Expected a string, but received: 1",
        ),
        (
            json!({"bootstrap": "a", "vats": {}, "services": null}),
            "services -- Expected an array value, but received: null",
        ),
        (
            json!({"bootstrap": "a", "vats": {}, "forceReset": 1}),
            "forceReset -- Expected a boolean, but received: 1",
        ),
        // Misspelt and unknown keys.
        (json!({"bootsrap": "a"}), "bootsrap -- unknown key; did you mean bootstrap?"),
        (
            with_vat(&json!({"bundelSpec": "b"})),
            "vats.alice.bundelSpec -- unknown key; did you mean bundleSpec?",
        ),
        (
            with_vat(&json!({"bundlespec": "b"})),
            "vats.alice.bundlespec -- unknown key; did you mean bundleSpec?",
        ),
        (
            vat(json!({"network": {"hosts": []}})),
            "vats.alice.network.hosts -- unknown key; known are allowedHosts",
        ),
        // Specs.
        (
            with_vat(&json!({})),
            "vats.alice -- Expected exactly one of sourceSpec, bundleSpec and bundleName, \
             but received: none",
        ),
        (
            vat(json!({"sourceSpec": "s"})),
            "vats.alice -- Expected exactly one of sourceSpec, bundleSpec and bundleName, \
             but received: sourceSpec and bundleSpec",
        ),
        (
            with_vat(&json!({"bundleSpec": ""})),
            "vats.alice.bundleSpec -- Expected a non-empty string, but received: \"\"",
        ),
        (
            with_vat(&json!({"sourceSpec": null})),
            "vats.alice.sourceSpec -- Expected a non-empty string, but received: null",
        ),
        (with_vat(&json!({"bundleName": "x"})), "vats.alice.bundleName -- bundles has no \"x\""),
        (
            json!({"bootstrap": "a", "vats": {}, "bundles": {"x": {"bundleName": "x"}}}),
            "bundles.x.bundleName -- a bundle is given by bundleSpec or sourceSpec, \
             not by another bundle",
        ),
        // Options.
        (
            vat(json!({"globals": ["Date", "fetsh"]})),
            "vats.alice.globals.1 -- unknown global \"fetsh\"; did you mean fetch?",
        ),
        (
            vat(json!({"network": {}})),
            "vats.alice.network.allowedHosts -- Expected an array value, but received: undefined",
        ),
        (
            vat(json!({"network": {"allowedHosts": [{}]}})),
            "vats.alice.network.allowedHosts.0 -- Expected a string, \
             but received: [object Object]",
        ),
        (
            vat(json!({"platformConfig": {"fs": {}}})),
            "vats.alice.platformConfig.fs.rootDir -- Expected a string, but received: undefined",
        ),
        (
            vat(json!({"platformConfig": {"fs": {"rootDir": "/", "promises": {"open": true}}}})),
            "vats.alice.platformConfig.fs.promises.open -- unknown key; \
             known are readFile, access",
        ),
        (
            vat(json!({"creationOptions": true})),
            "vats.alice.creationOptions -- Expected an object, but received: true",
        ),
        (
            vat(json!({"creationOptions": {"managerType": "x"}})),
            "vats.alice.creationOptions.managerType -- unknown key; known are limits",
        ),
        (
            vat(json!({"creationOptions": {"limits": {"crankTick": 1}}})),
            "vats.alice.creationOptions.limits.crankTick -- unknown key; \
             did you mean crankTicks?",
        ),
        (
            vat(json!({"creationOptions": {"limits": {"crankCpuMs": 0}}})),
            "vats.alice.creationOptions.limits.crankCpuMs -- Expected a whole number \
             from 1 to 600000, but received: 0",
        ),
        // Names.
        (
            json!({"name": "a/b", "bootstrap": "a", "vats": {}}),
            "name -- a name begins with a letter, a digit, _ or $, and goes on with these, \
             '-', '.' and '@'",
        ),
        (
            json!({"bootstrap": "a", "vats": {"__proto__": {"bundleSpec": "b"}}}),
            "vats.__proto__ -- __proto__ cannot be a name",
        ),
        (
            json!({"bootstrap": "a", "vats": {"a\n": {"bundleSpec": "b"}}}),
            "vats.a\\n -- a name begins with a letter, a digit, _ or $, and goes on with these, \
             '-', '.' and '@'",
        ),
        // Channels.
        (
            with_io(&json!({"path": "x"})),
            "io.repl.type -- Expected one of console, listen, network, file, socket, \
             but received: undefined",
        ),
        (
            with_io(&json!({"type": "socket"})),
            "io.repl.path -- Expected a string, but received: undefined",
        ),
        (with_io(&json!({"type": "socket", "path": ""})), "io.repl.path -- must not be empty"),
        (
            with_io(&json!({"type": "socket", "path": "a\0b"})),
            "io.repl.path -- must not contain NUL",
        ),
        (
            with_io(&json!({"type": "console", "path": "x"})),
            "io.repl.path -- unknown key; known are type, direction, unit",
        ),
        (
            with_io(&json!({"type": "socket", "path": "x", "hostport": "y"})),
            "io.repl.hostport -- unknown key; known are type, direction, unit, path, mode, \
             whenDisconnected, clients",
        ),
        (
            with_io(&json!({"type": "socket", "path": "x", "mode": "dial"})),
            "io.repl.mode -- Expected one of listen, connect, but received: \"dial\"",
        ),
        (
            with_io(&json!({"type": "socket", "path": "x", "whenDisconnected": "keep"})),
            "io.repl.whenDisconnected -- Expected one of reject, wait, drop, \
             but received: \"keep\"",
        ),
        (
            with_io(&json!({"type": "socket", "path": "x", "clients": 2})),
            "io.repl.clients -- Expected one of one, many, but received: 2",
        ),
        (
            with_io(&json!({"type": "socket", "path": "x", "mode": "connect", "clients": "many"})),
            "io.repl.clients -- must be left out where the kernel connects",
        ),
        (
            with_io(&json!({
                "type": "listen",
                "hostport": "[::1]:80",
                "clients": "many",
                "whenDisconnected": "wait",
            })),
            "io.repl.whenDisconnected -- must be left out with many clients: a connection that has \
             ended does not come back",
        ),
        (
            with_io(&json!({"type": "file", "path": "x"})),
            "io.repl.direction -- must be \"in\" (the vat reads the file) or \"out\" (it appends to \
             it)",
        ),
        (
            with_io(&json!({"type": "listen", "hostport": ":80"})),
            "io.repl.hostport -- \":80\" is no host and port such as 127.0.0.1:9000",
        ),
        (
            with_io(&json!({"type": "listen", "hostport": "::1:80"})),
            "io.repl.hostport -- \"::1:80\" is no host and port such as 127.0.0.1:9000",
        ),
        (
            with_io(&json!({"type": "network", "hostport": "localhost:http"})),
            "io.repl.hostport -- \"localhost:http\" is no host and port such as 127.0.0.1:9000",
        ),
        (
            with_io(&json!({"type": "listen", "hostport": "[::1]:0"})),
            "io.repl.hostport -- \"[::1]:0\": port 0 would be another one at each start",
        ),
        (
            with_io(&json!({"type": "console", "unit": "lines"})),
            "io.repl.unit -- Expected one of line, string, chars, bytes, but received: \"lines\"",
        ),
        (
            with_io(&json!({"type": "console", "direction": 1})),
            "io.repl.direction -- Expected one of in, out, inout, but received: 1",
        ),
    ];
    for (value, problem) in table {
        assert_eq!(parse(&value), Err(format!("At path: config.{problem}")), "{value}");
    }
}

#[test]
fn problems_of_the_whole_have_no_inner_path() {
    let bad = parse(&json!({"bootstrap": "zz", "vats": {"a": {"bundleSpec": "b"}}}));
    assert_eq!(bad, Err("invalid bootstrap vat name \"zz\"".to_owned()));
    let whole = ClusterConfig::from_json(&json!(1), "").unwrap_err().to_string();
    assert_eq!(whole, "Expected an object, but received: 1");
    let key = ClusterConfig::from_json(&json!({"vat": 1}), "").unwrap_err().to_string();
    assert_eq!(key, "At path: vat -- unknown key; did you mean vats?");
}

#[test]
fn names() {
    for name in ["a", "A-1", "0", "_x", "$", "my.vat", "agoric@home", "Zoë", &"x".repeat(64)] {
        assert_eq!(check_name(name), Ok(()), "{name}");
    }
    for name in ["", "-a", ".", "..", "a b", "a/b", "a:b", "a,b", "a|b", "a\0", &"x".repeat(65)] {
        assert!(check_name(name).is_err(), "{name}");
    }
}

#[test]
fn numbers_of_limits_are_whole_and_in_range() {
    let limits = |value: Value| {
        let vat = json!({"bundleSpec": "b", "creationOptions": {"limits": {"crankTicks": value}}});
        VatConfig::from_json(&vat, "vat").and_then(|vat| vat.limits()).map(|l| l.crank_ticks)
    };
    assert_eq!(limits(json!(1e6)), Ok(Some(1_000_000)));
    for bad in
        [json!(-1), json!(0), json!(1.5), json!(1e300), json!(u64::MAX), json!("1"), json!(null)]
    {
        assert!(limits(bad.clone()).is_err(), "{bad}");
    }
}

#[test]
fn sizes_are_limited_and_messages_stay_short() {
    let many = |count: usize| -> Value {
        let vats = (0..count).map(|i| (format!("v{i}"), json!({"bundleSpec": "b"})));
        json!({"bootstrap": "v0", "vats": Value::Object(vats.collect())})
    };
    assert!(parse(&many(crate::limits::CLUSTER_VATS_MAX)).is_ok());
    assert!(parse(&many(crate::limits::CLUSTER_VATS_MAX + 1)).is_err());
    let long = "x".repeat(100_000);
    for value in [
        json!({"bootstrap": "a", &long: 1}),
        json!({"bootstrap": &long, "vats": {}}),
        json!({"bootstrap": "a", "vats": {&long: {}}}),
        with_io(&json!({"type": "socket", "path": &long})),
        with_io(&json!({"type": &long})),
        with_vat(&json!({"bundleSpec": "b", "globals": [&long]})),
    ] {
        assert!(parse(&value).unwrap_err().len() < 700);
    }
}
