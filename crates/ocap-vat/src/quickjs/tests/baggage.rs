//! The durable map and the records behind it.

use super::*;

fn store(bench: &Bench, key: &str) -> Option<String> {
    bench.kernel.store.borrow().get(key).cloned()
}

/// A vat whose root runs `method` of baggage with the arguments of its message.
fn baggage_vat() -> VatCode {
    with_methods(
        "call: (name, ...args) => { const r = baggage[name](...args); return r && r[Symbol.iterator] && typeof r !== 'string' ? [...r] : r; },
         local: () => baggage.init('local', Far('local', {})),
         promise: () => baggage.init('promise', [Promise.resolve()]),
         grow: () => { for (const k of baggage.keys()) baggage.init(`${k}x`, 1); },
         forever: () => { const t = []; for (const k of baggage.keys()) { t.push(k); baggage.delete(k); } return t; }",
    )
}

/// What the call answers, or the error's text.
fn call(bench: &mut Bench, call: &str, slots: &[&str]) -> String {
    let answer = bench.send(&format!("[\"call\",[{call}]]"), slots, "p-60");
    match answer.last() {
        Some(Syscall::Resolve { resolutions }) => resolutions[0].data.body.clone(),
        other => panic!("{call}: {other:?}"),
    }
}

#[test]
fn a_new_vat_writes_its_first_records() {
    let (_, report) = Bench::start_with(Rc::default(), baggage_vat(), data("\"#undefined\"", &[]));
    let keys: Vec<&str> = report.vatstore.iter().map(|(key, _)| key.as_str()).collect();
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    assert_eq!(keys, sorted);
    let get = |key: &str| {
        report.vatstore.iter().find(|(k, _)| k == key).and_then(|(_, v)| v.clone()).unwrap()
    };
    assert_eq!(get("baggageID"), "o+d6/1");
    assert_eq!(get("idCounters"), r#"{"exportID":10,"collectionID":4,"promiseID":5}"#);
    assert_eq!(get("vc.1.|entryCount"), "0");
    assert_eq!(get("vom.rc.o+d6/1"), "1");
    assert_eq!(
        get("vc.1.|schemata"),
        r##"{"body":"#{\"keyShape\":{\"#tag\":\"match:string\",\"payload\":[]},\"label\":\"baggage\"}","slots":[]}"##
    );
}

#[test]
fn entries_outlive_the_incarnation() {
    let mut bench = Bench::new(baggage_vat());
    assert_eq!(call(&mut bench, r#""init","k",{"a":["+5"]}"#, &[]), "#\"#undefined\"");
    assert_eq!(store(&bench, "vc.1.sk").unwrap(), r##"{"body":"#{\"a\":[\"+5\"]}","slots":[]}"##);
    assert_eq!(store(&bench, "vc.1.|entryCount").unwrap(), "1");
    let kernel = bench.kernel.clone();
    let (mut bench, _) = Bench::start_with(kernel, baggage_vat(), data("1", &[]));
    assert_eq!(call(&mut bench, r#""get","k""#, &[]), r#"#{"a":["+5"]}"#);
    assert_eq!(call(&mut bench, r#""has","k""#, &[]), "#true");
    assert_eq!(call(&mut bench, r#""has","j""#, &[]), "#false");
    assert_eq!(call(&mut bench, r#""getSize""#, &[]), "#1");
    assert_eq!(call(&mut bench, r#""delete","k""#, &[]), "#\"#undefined\"");
    assert_eq!(store(&bench, "vc.1.sk"), None);
    assert_eq!(store(&bench, "vc.1.|entryCount").unwrap(), "0");
}

#[test]
fn misuse_is_refused() {
    let mut bench = Bench::new(baggage_vat());
    call(&mut bench, r#""init","k",1"#, &[]);
    let cases = [
        (r#""init","k",2"#, r#"key \"k\" already registered in collection \"baggage\""#),
        (r#""get","j""#, r#"key \"j\" not found in collection \"baggage\""#),
        (r#""set","j",1"#, r#"key \"j\" not found in collection \"baggage\""#),
        (r#""delete","j""#, r#"key \"j\" not found in collection \"baggage\""#),
        (r#""get",7"#, r#"invalid key type for collection \"baggage\""#),
        (r#""init","\ud800",1"#, "not well-formed"),
        (r#""init","p",["&0"]"#, "value is not durable"),
    ];
    let long = format!("\"init\",\"{}\",1", "k".repeat(1001));
    for (args, text) in cases.into_iter().chain([(&*long, "longer than 1000")]) {
        let slots: &[&str] = if args.contains('&') { &["p-70"] } else { &[] };
        let answer = call(&mut bench, args, slots);
        assert!(answer.contains(text), "{args}: {answer}");
    }
    for method in ["local", "promise"] {
        let answer = bench.send(&format!("[\"{method}\",[]]"), &[], "p-60");
        let [Syscall::Resolve { resolutions }] = &answer[..] else { panic!("{answer:?}") };
        assert!(resolutions[0].data.body.contains("value is not durable"), "{resolutions:?}");
    }
    assert_eq!(call(&mut bench, r#""getSize""#, &[]), "#1");
    assert_eq!(call(&mut bench, r#""get","k""#, &[]), "#1");
}

#[test]
fn imports_are_counted_and_kept() {
    let mut bench = Bench::new(baggage_vat());
    let rc = |bench: &Bench| store(bench, "vom.rc.o-50");
    call(&mut bench, r#""init","a",["$0","$0"]"#, &["o-50"]);
    assert_eq!(rc(&bench).as_deref(), Some("1"));
    call(&mut bench, r#""init","b","$0""#, &["o-50"]);
    assert_eq!(rc(&bench).as_deref(), Some("2"));
    call(&mut bench, r#""set","b","$0""#, &["o-50"]);
    assert_eq!(rc(&bench).as_deref(), Some("2"));
    call(&mut bench, r#""set","b",1"#, &[]);
    assert_eq!(rc(&bench).as_deref(), Some("1"));
    let report = bench.deliver(Delivery::BringOutYourDead).unwrap();
    assert_eq!(report.syscalls, []);

    // The next incarnation finds it again.
    let kernel = bench.kernel.clone();
    drop(bench);
    let (mut bench, _) = Bench::start_with(kernel, baggage_vat(), data("1", &[]));
    let answer = bench.send(r#"["call",["get","a"]]"#, &[], "p-60");
    let body = r#"["$0.Alleged: presence","$0"]"#;
    assert_eq!(answer, [fulfil("p-60", body, &["o-50"])]);

    // Deleted without ever having been looked at, it is let go.
    call(&mut bench, r#""delete","a""#, &[]);
    assert_eq!(rc(&bench), None);
    let report = bench.deliver(Delivery::BringOutYourDead).unwrap();
    let vrefs = vec![vref("o-50")];
    let gone = [Syscall::DropImports { vrefs: vrefs.clone() }, Syscall::RetireImports { vrefs }];
    assert_eq!(report.syscalls, gone);
}

#[test]
fn counts_hold_while_encoding_meddles() {
    let mut bench = Bench::new(with_methods(
        "m: x => { baggage.init('k', x);
           baggage.set('k', new Proxy([x], { ownKeys: t => { baggage.set('k', 1); return Reflect.ownKeys(t); } })); },
         n: () => { baggage.init('n', new Proxy([1], { ownKeys: t => { baggage.init('n', 2); return Reflect.ownKeys(t); } })); }",
    ));
    let count = |bench: &Bench| store(bench, "vom.rc.o-50");
    bench.send(r#"["m",["$0"]]"#, &["o-50"], "");
    assert_eq!(count(&bench).as_deref(), Some("1"));
    bench.send(r#"["n",[]]"#, &[], "");
    assert_eq!(store(&bench, "vc.1.|entryCount").as_deref(), Some("2"));
    assert!(store(&bench, "vc.1.sn").unwrap().contains("#2"));
}

#[test]
fn keys_come_in_order_over_store_and_overlay() {
    let mut bench = Bench::new(baggage_vat());
    for key in ["b", "a", "\u{e9}", "c"] {
        call(&mut bench, &format!("\"init\",\"{key}\",\"{key}!\""), &[]);
    }
    assert_eq!(call(&mut bench, r#""keys""#, &[]), "#[\"a\",\"b\",\"c\",\"\u{e9}\"]");
    assert_eq!(call(&mut bench, r#""values""#, &[]), "#[\"a!\",\"b!\",\"c!\",\"\u{e9}!\"]");
    assert!(call(&mut bench, r#""entries""#, &[]).starts_with(r#"#[["a","a!"],"#));
    let answer = bench.send(r#"["grow",[]]"#, &[], "p-60");
    let [Syscall::Resolve { resolutions }] = &answer[..] else { panic!("{answer:?}") };
    assert!(resolutions[0].data.body.contains("cannot be added to"), "{resolutions:?}");
    let answer = bench.send(r#"["forever",[]]"#, &[], "p-60");
    let [Syscall::Resolve { resolutions }] = &answer[..] else { panic!("{answer:?}") };
    assert!(!resolutions[0].rejected, "{resolutions:?}");
    assert_eq!(call(&mut bench, r#""getSize""#, &[]), "#0");
    assert_eq!(call(&mut bench, r#""keys""#, &[]), "#[]");
}

#[test]
fn what_changes_nothing_is_not_written() {
    let mut bench = Bench::new(baggage_vat());
    call(&mut bench, r#""init","k",1"#, &[]);
    let delivery = Delivery::Message {
        target: VRef::ROOT,
        methargs: data(r#"["call",["set","k",1]]"#, &[]),
        result: None,
    };
    assert_eq!(bench.deliver(delivery).unwrap().vatstore, []);
}

#[test]
fn baggage_can_be_passed_on() {
    let mut bench = Bench::new(with_methods("give: () => baggage"));
    let given = bench.send(r#"["give",[]]"#, &[], "p-60");
    assert_eq!(given, [fulfil("p-60", "\"$0.Alleged: mapStore\"", &["o+d6/1"])]);
}
