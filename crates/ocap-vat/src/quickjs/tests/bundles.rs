//! Bundles of real npm packages. They are built from `fixtures/bundles`; where that was not done
//! these tests are skipped, unless `OCAP_REQUIRE_FIXTURES=1`.

use std::path::Path;

use super::*;

/// A bundle's code.
fn bundle(name: &str) -> Option<VatCode> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/bundles/dist");
    match std::fs::read_to_string(folder.join(format!("{name}.bundle"))) {
        Ok(text) => {
            let file: serde_json::Value = serde_json::from_str(&text).unwrap();
            Some(VatCode::Bundle(file["code"].as_str().unwrap().to_owned()))
        }
        Err(error) => {
            let required = std::env::var("OCAP_REQUIRE_FIXTURES").is_ok_and(|v| v == "1");
            assert!(!required, "{name}: {error}");
            println!("skipped: the bundle {name} is not built");
            None
        }
    }
}

#[test]
fn a_counter_counts_across_incarnations() {
    let Some(code) = bundle("counter") else { return };
    let (mut bench, report) =
        Bench::start_with(Rc::default(), code.clone(), data(r#"{"start":5}"#, &[]));
    assert_eq!(report.error, None);
    assert_eq!(bench.send(r#"["increment",[]]"#, &[], "p-60"), [fulfil("p-60", "6", &[])]);
    let (mut bench, _) = Bench::start_with(bench.kernel, code, data(r#"{"start":5}"#, &[]));
    assert_eq!(bench.send(r#"["increment",[2]]"#, &[], "p-60"), [fulfil("p-60", "8", &[])]);
    let unknown = bench.send(r#"["nope",[]]"#, &[], "p-61");
    let [Syscall::Resolve { resolutions }] = &unknown[..] else { panic!("{unknown:?}") };
    let text = r#"target has no method \"nope\", has [\"__getInterfaceGuard__\",\"__getMethodNames__\",\"bootstrap\",\"getCount\",\"increment\"]"#;
    assert!(resolutions[0].data.body.contains(text), "{resolutions:?}");
}

#[test]
fn guards_hold_and_promises_are_awaited_by_them() {
    let Some(code) = bundle("guarded") else { return };
    let mut bench = Bench::new(code);
    let made = bench.send(r#"["makePurse",["+10"]]"#, &[], "p-60");
    assert_eq!(made, [fulfil("p-60", "\"$0.Alleged: Purse\"", &["o+10"])]);
    let refused = bench.send(r#"["makePurse",[10]]"#, &[], "p-61");
    let [Syscall::Resolve { resolutions }] = &refused[..] else { panic!("{refused:?}") };
    assert!(resolutions[0].rejected && resolutions[0].data.body.contains("Must be a bigint"));
    bench.send(r#"["makePurse",["+1"]]"#, &[], "p-62");
    let sent = bench.send(r#"["transfer",["&0","$1","+4"]]"#, &["p-70", "o+11"], "p-63");
    assert_eq!(sent, [subscribe("p-70")]);
    let after = bench.notify(vec![resolution("p-70", false, "\"$0.Alleged: Purse\"", &["o+10"])]);
    assert_eq!(after, [fulfil("p-63", r#"{"moved":"+4"}"#, &[])]);
}

#[test]
fn vats_of_bundles_talk_to_presences() {
    let Some(code) = bundle("alice") else { return };
    let mut bench = Bench::new(code);
    let text = bench.send(r#"["bootstrap",[{"bob":"$0.Alleged: vatRoot"},{}]]"#, &["o-50"], "p-60");
    assert_eq!(text, [fulfil("p-60", "\"Alice has a bob\"", &[])]);
    let sent = bench.send(r#"["pipeline",[]]"#, &[], "p-61");
    let expected = [
        send("o-50", r#"["makeGreeter",["Hi"]]"#, &[], "p+5"),
        subscribe("p+5"),
        send("p+5", r#"["greet",["one"]]"#, &[], "p+6"),
        subscribe("p+6"),
        send("p+5", r#"["again",["two"]]"#, &[], "p+7"),
        subscribe("p+7"),
        send("p+7", r#"["greet",["three"]]"#, &[], "p+8"),
        subscribe("p+8"),
    ];
    assert_eq!(sent, expected);
    let answers = vec![
        resolution("p+6", false, "\"one!\"", &[]),
        resolution("p+8", false, "\"three!\"", &[]),
    ];
    assert_eq!(bench.notify(answers), [fulfil("p-61", r#"["one!","three!"]"#, &[])]);
    let sent = bench.send(r#"["callback",[]]"#, &[], "p-62");
    let tell = r#"["tell",["$0.Alleged: Listener",["x","y","z"]]]"#;
    assert_eq!(sent, [send("o-50", tell, &["o+10"], "p+9"), subscribe("p+9")]);
    let sent = bench.send(r#"["passPromise",[]]"#, &[], "p-63");
    let expected = [
        send("o-50", r#"["waitFor",["&0"]]"#, &["p+10"], "p+11"),
        subscribe("p+11"),
        fulfil("p+10", r#"{"late":true}"#, &[]),
    ];
    assert_eq!(sent, expected);
    let sent = bench.send(r#"["failAtBob",[]]"#, &[], "p-64");
    assert_eq!(sent[1], subscribe("p+12"));
    let error = r##"{"#error":"as asked","name":"RangeError"}"##;
    let after = bench.notify(vec![resolution("p+12", true, error, &[])]);
    assert_eq!(after, [fulfil("p-64", "\"caught RangeError: as asked\"", &[])]);
}

#[test]
fn passables_go_through_the_packages_own_marshalling() {
    let Some(code) = bundle("passables") else { return };
    let mut bench = Bench::new(code);
    for (value, style) in [
        ("[1]", "copyArray"),
        ("{}", "copyRecord"),
        ("\"$0.Alleged: x\"", "remotable"),
        ("\"&1\"", "promise"),
        (r##"{"#tag":"t","payload":1}"##, "tagged"),
        (r##"{"#error":"e","name":"Error"}"##, "error"),
    ] {
        let answer = bench.send(&format!("[\"style\",[{value}]]"), &["o-50", "p-50"], "p-60");
        let expected = fulfil("p-60", &format!("\"{style}\""), &[]);
        assert_eq!(answer.last(), Some(&expected), "{value}");
    }
    let made = bench.send(r#"["makeTagged",["t",["$0"]]]"#, &["o-51"], "p-61");
    let body = r##"{"#tag":"t","payload":["$0.Alleged: presence"]}"##;
    assert_eq!(made, [fulfil("p-61", body, &["o-51"])]);
}

#[test]
fn failures_of_bundles_are_told() {
    for (name, text) in [
        ("error-in-build", "TypeError: buildRootObject failed on purpose"),
        ("error-in-module", "module evaluation failed on purpose"),
        ("error-no-root", "vat source bundle lacks buildRootObject() function"),
    ] {
        let Some(code) = bundle(name) else { return };
        let (_, report) = Bench::start_with(Rc::default(), code, data("\"#undefined\"", &[]));
        assert_eq!(report.error.as_deref(), Some(text));
    }
}

#[test]
fn functions_of_a_bundle_keep_no_texts() {
    let code = "var __vatExports__ = (() => {
        const buildRootObject = ({}, {}, baggage) => {
            const root = { tell() { return `${root.tell}${globalThis.harden}`; } };
            return harden(Object.setPrototypeOf(root, __remotable));
        };
        return { buildRootObject };
    })();";
    let remotable = "const __remotable = Object.create(Object.prototype, {
        [Symbol.for('passStyle')]: { value: 'remotable' },
        [Symbol.toStringTag]: { value: 'Alleged: root' },
    });";
    let code = VatCode::Bundle(format!("{remotable}{code}"));
    let (mut bench, report) = Bench::start_with(Rc::default(), code, data("{}", &[]));
    assert_eq!(report.error, None);
    let said = bench.send(r#"["tell",[]]"#, &[], "p-60");
    let [Syscall::Resolve { resolutions }] = &said[..] else { panic!("{said:?}") };
    let body = &resolutions[0].data.body;
    assert!(body.contains("function tell() {\\n    [native code]"), "{body}");
    // What is ours does: that is how one sees that it is not the engine's own.
    assert!(body.contains("harden(root) {\\n      if"), "{body}");
}
