//! Exos, kits and stores, in the heap and durable, and generators that other vats iterate over.

use serde_json::{Value, json};

use super::{ask, daemon, launch, plain, slots};
use crate::rig::{Home, eventually};

/// Answers one after the other: method, arguments, answer.
#[track_caller]
fn answers(home: &Home, kref: &str, calls: &[(&str, Value, &str)]) {
    for (method, args, answer) in calls {
        assert_eq!(home.ask(kref, method, args.clone()), *answer, "{method} {args}");
    }
}

#[test]
fn exo_classes_kits_and_stores_work_within_a_vat() {
    let Some(home) = daemon() else { return };
    let (root, answer) = launch(&home, &[("exos", "exos", json!({}))]);
    assert_eq!(answer, "#\"exos are up\"");
    // Sums, and then what guards say of arguments: method, class, and which argument.
    assert_eq!(
        plain(&ask(&home, &root, "tallies")),
        json!([
            10,
            15,
            12,
            0,
            "sum: 12 pieces (five,none)",
            4.5,
            r#"Error: In "add" method of (Tally): arg 0: string (a string) - Must be a number"#,
            r#"Error: In "add" method of (Tally): arg 1?: number (a number) - Must be a string"#,
            r#"Error: In "add" method of (Tally): Expected at least 1 arguments: (an object)"#,
            r#"Error: In "describe" method of (Tally): arg 1: (an object) - Must have missing properties ["unit"]"#,
            r#"Error: In "half" method of (Lone): arg 0: bigint (a bigint) - Must be a number"#,
        ])
    );
    // Facets share a state and have their own methods only.
    assert_eq!(
        plain(&ask(&home, &root, "lengths")),
        json!([80, 8, true, "TypeError: not a function", "TypeError: not a function", false])
    );
    assert_eq!(
        plain(&ask(&home, &root, "stores")),
        json!([
            3,
            true,
            false,
            27,
            true,
            ["ann", "ben", "zoe"],
            ["ann"],
            2,
            true,
            false,
            r#"Error: "people" already registered: (a string)"#,
            r#"Error: "people" not found: (a string)"#,
            r#"Error: A "copyArray" cannot be a scalar key: (an object)"#,
            2,
            ["ann", "ben"],
            ["ben"],
        ])
    );
    assert_eq!(
        plain(&ask(&home, &root, "weakStores")),
        json!([
            6,
            false,
            true,
            false,
            "Error: Only remotables can be keys of scalar WeakMapStores: (a string)",
        ])
    );
}

#[test]
fn what_a_vat_returns_is_a_reference_and_what_looks_like_one_is_a_text() {
    let Some(home) = daemon() else { return };
    let (root, _) = launch(&home, &[("exos", "exos", json!({}))]);
    let tally = slots(&home, &root, "makeTally", json!([3]));
    let [tally] = &tally[..] else { panic!("{tally:?}") };
    assert_eq!((root.as_str(), tally.as_str()), ("ko4", "ko5"));
    let other = slots(&home, &root, "makeTally", json!([]));
    assert_eq!(other, ["ko6"]);
    answers(
        &home,
        tally,
        &[
            ("add", json!([4]), "#7"),
            (
                "add",
                json!(["4"]),
                "In \"add\" method of (Tally): arg 0: string (a string) - Must be a number",
            ),
            ("add", json!([1, "memo"]), "#8"),
            ("total", json!([]), "#8"),
        ],
    );
    answers(&home, "ko6", &[("total", json!([]), "#0")]);
    // Two facets, two references.
    let kit = home.rpc("queueMessage", json!([root, "makeLength", [5]])).unwrap();
    assert_eq!(
        kit["body"],
        r#"#{"feet":"$0.Alleged: Length feet","metres":"$1.Alleged: Length metres"}"#
    );
    assert_eq!(kit["slots"], json!(["ko7", "ko8"]));
    answers(
        &home,
        "ko7",
        &[
            ("getFeet", json!([]), "#20"),
            ("setFeet", json!([40]), "#\"#undefined\""),
            (
                "getMetres",
                json!([]),
                r#"target has no method "getMetres", has ["__getInterfaceGuard__","__getMethodNames__","getFeet","setFeet"]"#,
            ),
        ],
    );
    answers(&home, "ko8", &[("getMetres", json!([]), "#10")]);
    assert_eq!(slots(&home, "ko8", "twin", json!([])), ["ko7"]);
    for text in ["ko8", "$0.Alleged: Length feet", "o+0", "&0"] {
        let answer = home.ask(&root, "kindOf", json!([text]));
        assert_eq!(plain(&answer), json!(format!("string {text}")), "{text}");
    }
    answers(
        &home,
        &root,
        &[("kindsWithin", json!([{"list": ["ko8", "$1", 8]}]), r#"#["string","string","number"]"#)],
    );
    home.stop();
    home.assert_sound();
}

#[test]
fn durable_exos_kits_and_stores_outlive_their_vat_and_the_daemon() {
    let Some(home) = daemon() else { return };
    let friend = ("friend", "promises-friend", json!({"parameters": {"name": "friend"}}));
    let (root, answer) = launch(&home, &[("zone", "zone", json!({})), friend]);
    assert_eq!(answer, "#\"zones are up\"");
    let made = |name| slots(&home, &root, "counter", json!([name])).remove(0);
    let (ben, ann) = (made("ben"), made("ann"));
    let first = slots(&home, &root, "first", json!([])).remove(0);
    let kit = home.rpc("queueMessage", json!([root, "openPurse", ["one"]])).unwrap();
    assert_eq!(
        kit["body"],
        r#"#{"purse":"$0.Alleged: Purse purse","sink":"$1.Alleged: Purse sink"}"#
    );
    let purses: Vec<String> = serde_json::from_value(kit["slots"].clone()).unwrap();
    let [purse, sink] = &purses[..] else { panic!("{purses:?}") };
    answers(
        &home,
        &root,
        &[
            ("openPurse", json!(["two"]), kit["body"].as_str().unwrap()),
            ("deposit", json!(["one", 10]), "#\"+10\""),
            ("storable", json!([]), "#[true,false,true]"),
            ("watch", json!(["early"]), "#\"#undefined\""),
            ("watch", json!(["later"]), "#\"#undefined\""),
            ("watch", json!(["never"]), "#\"#undefined\""),
            ("settle", json!(["early", 1]), "#\"#undefined\""),
        ],
    );
    for life in 1..=4 {
        answers(
            &home,
            &root,
            &[
                ("starts", json!([]), &format!("#{life}")),
                ("summary", json!([]), r#"#[2,["ann","ben"],["ann","ben"],["ann","ben"],false]"#),
                ("note", json!(["ben"]), "#\"a note on ben\""),
                ("move", json!(["one", "two", 1]), &format!("#\"+{life}\"")),
                ("move", json!(["one", "two", 50]), &format!("only {} left", 10 - life)),
                ("heard", json!(["early"]), "#1"),
            ],
        );
        // References from before the restart, and still the same ones.
        answers(
            &home,
            &ben,
            &[
                ("increment", json!([]), &format!("#{life}")),
                (
                    "increment",
                    json!(["x"]),
                    "In \"increment\" method of (Counter): arg 0?: string (a string) - Must be a number",
                ),
                ("getName", json!([]), "#\"ben\""),
            ],
        );
        answers(&home, &first, &[("increment", json!([2]), &format!("#{}", 2 * life))]);
        answers(&home, purse, &[("balance", json!([]), &format!("#\"+{}\"", 10 - life))]);
        let refused = home.ask(sink, "balance", json!([]));
        assert!(refused.contains("target has no method \"balance\", has ["), "{refused}");
        assert_eq!((made("ben"), made("ann")), (ben.clone(), ann.clone()));
        assert_eq!(slots(&home, &root, "first", json!([])), [first.as_str()]);
        match life {
            1 => {
                home.rpc("restartVat", json!({"id": "v1"})).unwrap();
                // A watcher of an earlier life hears of what is settled in a later one.
                let settled = home.ask(&root, "settle", json!(["later", 2]));
                assert_eq!(settled, "#\"#undefined\"");
                assert_eq!(home.ask(&root, "heard", json!(["later"])), "#2");
                assert_eq!(home.ask(&root, "heard", json!(["never"])), "#null");
            }
            2 => {
                home.stop();
                home.start();
            }
            _ => {
                home.kill();
                home.start();
            }
        }
    }
    // Its decider lost it to a restart.
    eventually("the watcher hears of what nobody is left to settle", || {
        home.ask(&root, "heard", json!(["never"])).contains("VAT_RESTARTED")
    });
    home.stop();
    home.assert_sound();
}

#[test]
fn a_generator_is_iterated_from_another_vat_step_by_step() {
    let Some(home) = daemon() else { return };
    let vats =
        [("consumer", "stream-consumer", json!({})), ("producer", "stream-producer", json!({}))];
    let (consumer, _) = launch(&home, &vats);
    // What is told of a value comes before the next one is made.
    answers(
        &home,
        &consumer,
        &[
            ("consume", json!([1, 3]), "#[1,2,3]"),
            (
                "trace",
                json!([]),
                r#"#["yields 1","is told of 1","yields 2","is told of 2","yields 3","is told of 3","is done"]"#,
            ),
            ("consume", json!([5, 4]), "#[]"),
            ("trace", json!([]), r#"#["is done"]"#),
            // One that is left early is ended.
            ("consume", json!([1, 9, 2]), "#[1,2]"),
            (
                "trace",
                json!([]),
                r#"#["yields 1","is told of 1","yields 2","is told of 2","is done"]"#,
            ),
        ],
    );
    home.stop();
    home.assert_sound();
}
