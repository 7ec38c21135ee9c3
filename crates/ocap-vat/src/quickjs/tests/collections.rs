//! Collections in the store, weak ones, and the vat's own `WeakMap` and `WeakSet`.

use super::*;

fn store(bench: &Bench, key: &str) -> Option<String> {
    bench.kernel.store.borrow().get(key).cloned()
}

fn rows(bench: &Bench, part: &str) -> Vec<String> {
    let store = bench.kernel.store.borrow();
    store.keys().filter(|key| key.contains(part)).cloned().collect()
}

/// A vat that keeps things by name.
fn keeper() -> VatCode {
    modules(
        "import { Far } from '@endo/far';
         import { M } from '@endo/patterns';
         const makers = {
           map: VatData.makeScalarBigMapStore, set: VatData.makeScalarBigSetStore,
           weakMap: VatData.makeScalarBigWeakMapStore, weakSet: VatData.makeScalarBigWeakSetStore,
         };
         export const buildRootObject = (_powers, _parameters, baggage) => {
           const kept = new Map();
           const weak = { map: new WeakMap(), set: new WeakSet() };
           const makeThing = VatData.defineKind('thing', () => ({}), {});
           const makeKit = VatData.defineKindMulti('kit', () => ({}), { a: {}, b: {} });
           const list = it => typeof it?.next === 'function' ? [...it] : it;
           return Far('root', {
             make: (sort, name, options = {}) => { kept.set(name, makers[sort]('label', options)); },
             shaped: (name, shape) => { kept.set(name, makers.map('shaped', { keyShape: M.string(), valueShape: M[shape]() })); },
             thing: name => { kept.set(name, makeThing()); },
             far: name => { kept.set(name, Far('far', {})); },
             kit: name => { kept.set(name, makeKit()); },
             keep: (name, value) => { kept.set(name, value); },
             bag: name => { baggage.init(name, kept.get(name)); },
             unbag: name => { kept.set(name, baggage.get(name)); },
             forget: name => { kept.delete(name); },
             on: (name, method, ...args) => list(kept.get(name)[method](...args)),
             onKey: (name, method, key, ...args) => list(kept.get(name)[method](kept.get(key), ...args)),
             like: (name, method, pattern, ...args) => list(kept.get(name)[method](M[pattern](...args))),
             weak: (sort, method, key, value) => { const r = weak[sort][method](kept.get(key), value); return r === weak[sort] || r; },
             fresh: () => { weak.map = new WeakMap(); weak.set = new WeakSet(); },
             odd: () => [new WeakMap([[weak, 1]]).get(weak), new WeakSet([weak]).has(weak), `${new WeakMap()}`, WeakMap.name, Object.isFrozen(WeakMap.prototype), weak.map instanceof WeakMap],
             grow: name => { const it = kept.get(name); for (const k of it.keys()) it.init(`${k}x`, 1); },
             canBe: value => VatData.canBeDurable(value),
             canBeKept: name => VatData.canBeDurable(kept.get(name)),
           });
         };",
    )
}

/// The body of the answer, or the error's text.
fn ask(bench: &mut Bench, method: &str, args: &str, slots: &[&str]) -> String {
    let answer = bench.send(&format!("[\"{method}\",[{args}]]"), slots, "p-60");
    match answer.last() {
        Some(Syscall::Resolve { resolutions }) => resolutions[0].data.body[1..].to_owned(),
        other => panic!("{method}: {other:?}"),
    }
}

fn dead(bench: &mut Bench) -> Vec<Syscall> {
    let report = bench.deliver(Delivery::BringOutYourDead).unwrap();
    assert_eq!(report.error, None);
    report.syscalls
}

fn gone(list: &[&str]) -> Vec<Syscall> {
    let vrefs: Vec<VRef> = list.iter().map(|v| vref(v)).collect();
    vec![Syscall::DropImports { vrefs: vrefs.clone() }, Syscall::RetireImports { vrefs }]
}

fn restart(bench: Bench) -> Bench {
    let kernel = bench.kernel.clone();
    drop(bench);
    let (bench, report) = Bench::start_with(kernel, keeper(), data("\"#undefined\"", &[]));
    assert_eq!(report.error, None);
    bench
}

#[test]
fn keys_of_all_kinds_are_ordered() {
    let mut bench = Bench::new(keeper());
    ask(&mut bench, "make", r#""map","m""#, &[]);
    let keys = [
        "\"b\"",
        "\"a\"",
        "3",
        "-3.5",
        "0",
        "\"#NaN\"",
        "\"#Infinity\"",
        "\"#-Infinity\"",
        "1e-9",
        "\"+0\"",
        "\"+12\"",
        "\"-7\"",
        "\"-1234567890123\"",
        "\"+1234567890123\"",
        "true",
        "false",
        "null",
        "\"#undefined\"",
        "\"%s\"",
        "\"$0\"",
        "\"\u{e9}\"",
    ];
    for key in keys {
        let slots: &[&str] = if key.contains('$') { &["o-50"] } else { &[] };
        assert_eq!(
            ask(&mut bench, "on", &format!("\"m\",\"init\",{key},1"), slots),
            "\"#undefined\""
        );
    }
    let sorted = "[false,true,\"#-Infinity\",-3.5,0,1e-9,3,\"#Infinity\",\"#NaN\",\"-1234567890123\",\"-7\",\"+0\",\"+12\",\"+1234567890123\",\"$0.Alleged: presence\",\"a\",\"b\",\"\u{e9}\",null,\"%s\",\"#undefined\"]";
    assert_eq!(ask(&mut bench, "on", r#""m","keys""#, &[]), sorted);
    assert_eq!(ask(&mut bench, "on", r#""m","getSize""#, &[]), keys.len().to_string());
    for (pattern, wanted) in [
        (r#""number""#, "[\"#-Infinity\",-3.5,0,1e-9,3,\"#Infinity\",\"#NaN\"]"),
        (r#""gte",0"#, "[0,1e-9,3,\"#Infinity\"]"),
        (r#""lt",0"#, "[\"#-Infinity\",-3.5]"),
        (r#""gt","+0""#, "[\"+12\",\"+1234567890123\"]"),
        (r#""lte","a""#, "[\"a\"]"),
        (r#""remotable""#, "[\"$0.Alleged: presence\"]"),
        (r#""eq","b""#, "[\"b\"]"),
        (r#""string""#, "[\"a\",\"b\",\"\u{e9}\"]"),
        (r#""or",true,3"#, "[true,3]"),
    ] {
        assert_eq!(ask(&mut bench, "like", &format!("\"m\",\"keys\",{pattern}"), &[]), wanted);
    }
    assert_eq!(ask(&mut bench, "like", r#""m","getSize","bigint""#, &[]), "5");
    let snapshot = ask(&mut bench, "on", r#""m","snapshot""#, &[]);
    assert!(
        snapshot.starts_with(r##"{"#tag":"copyMap","payload":{"keys":["#undefined","%s",null,"##),
        "{snapshot}"
    );
    assert_eq!(ask(&mut bench, "like", r#""m","clear","number""#, &[]), "\"#undefined\"");
    assert_eq!(ask(&mut bench, "on", r#""m","getSize""#, &[]), "14");
    assert_eq!(ask(&mut bench, "on", r#""m","clear""#, &[]), "\"#undefined\"");
    assert_eq!(ask(&mut bench, "on", r#""m","getSize""#, &[]), "0");
    // All but what is about the whole.
    assert_eq!(rows(&bench, "vc.4."), ["vc.4.|entryCount", "vc.4.|nextOrdinal", "vc.4.|schemata"]);
    assert_eq!(store(&bench, "vom.rc.o-50"), None);
}

#[test]
fn shapes_and_misuse() {
    let mut bench = Bench::new(keeper());
    ask(&mut bench, "make", r#""map","m""#, &[]);
    ask(&mut bench, "make", r#""set","s",{"durable":true}"#, &[]);
    ask(&mut bench, "shaped", r#""t","number""#, &[]);
    ask(&mut bench, "far", r#""f""#, &[]);
    let long = format!("\"m\",\"init\",\"{}\",1", "k".repeat(1001));
    for (method, args, wanted) in [
        ("on", r#""m","init",["a"],1"#, r#"invalid key type for collection \"label\""#),
        ("on", r#""m","has",["a"]"#, "false"),
        ("on", r#""t","init",5,5"#, r#"invalid key type for collection \"shaped\""#),
        ("on", r#""t","init","k","v""#, r#"invalid value type for collection \"shaped\""#),
        ("on", r#""t","init","k",5"#, "undefined"),
        ("on", r#""t","init","k",6"#, r#"key \"k\" already registered in collection \"shaped\""#),
        ("on", r#""t","get","j""#, r#"key \"j\" not found in collection \"shaped\""#),
        ("on", r#""s","addAll",7"#, "provided data source is not iterable"),
        ("onKey", r#""s","add","f""#, "is not durable"),
        ("onKey", r#""m","init","f",1"#, "undefined"),
        ("onKey", r#""m","has","f""#, "true"),
        ("on", &long, "key too large"),
        ("on", r#""m","init","\ud800",1"#, "not well-formed"),
        ("grow", r#""t""#, "keys in store cannot be added to during iteration"),
        ("canBe", r#"[1,{"a":"$0"}]"#, "true"),
        ("canBe", r#"["&0"]"#, "false"),
        ("canBeKept", r#""f""#, "false"),
        ("canBeKept", r#""m""#, "false"),
        ("canBeKept", r#""s""#, "true"),
    ] {
        let slots: &[&str] = match args {
            _ if args.contains('$') => &["o-50"],
            _ if args.contains('&') => &["p-70"],
            _ => &[],
        };
        let found = ask(&mut bench, method, args, slots);
        assert!(found.contains(wanted), "{method} {args}: {found}");
    }
}

#[test]
fn sets_and_their_copies() {
    let mut bench = Bench::new(keeper());
    ask(&mut bench, "make", r#""set","s",{"durable":true}"#, &[]);
    ask(&mut bench, "on", r#""s","addAll",["b","a","b"]"#, &[]);
    ask(&mut bench, "on", r#""s","add","a""#, &[]);
    assert_eq!(store(&bench, "vc.4.sa").unwrap(), r##"{"body":"#null","slots":[]}"##);
    assert_eq!(ask(&mut bench, "on", r#""s","values""#, &[]), r#"["a","b"]"#);
    let copy = r##"{"#tag":"copySet","payload":["b","a"]}"##;
    assert_eq!(ask(&mut bench, "on", r#""s","snapshot""#, &[]), copy);
    ask(&mut bench, "on", r#""s","delete","a""#, &[]);
    ask(&mut bench, "on", &format!("\"s\",\"addAll\",{copy}"), &[]);
    assert_eq!(ask(&mut bench, "on", r#""s","getSize""#, &[]), "2");
}

#[test]
fn a_collection_holds_what_it_mentions_and_is_removed_with_it() {
    let mut bench = Bench::new(keeper());
    ask(&mut bench, "make", r#""map","outer",{"durable":true}"#, &[]);
    ask(&mut bench, "bag", r#""outer""#, &[]);
    ask(&mut bench, "make", r#""map","inner",{"durable":true}"#, &[]);
    ask(&mut bench, "on", r#""inner","init","$0","$1""#, &["o-50", "o-51"]);
    ask(&mut bench, "unbag", r#""outer""#, &[]);
    ask(&mut bench, "keep", r#""inner2","$0""#, &["o-52"]);
    let given = bench.send(r#"["on",["outer","getSize"]]"#, &[], "p-60");
    assert_eq!(given, [fulfil("p-60", "0", &[])]);
    ask(&mut bench, "onKey", r#""outer","init","inner",1"#, &[]);
    ask(&mut bench, "forget", r#""inner""#, &[]);
    ask(&mut bench, "forget", r#""inner2""#, &[]);
    assert_eq!(dead(&mut bench), gone(&["o-52"]));
    let mut bench = restart(bench);
    ask(&mut bench, "unbag", r#""outer""#, &[]);
    assert_eq!(ask(&mut bench, "on", r#""outer","getSize""#, &[]), "1");
    ask(&mut bench, "on", r#""outer","clear""#, &[]);
    assert_eq!(dead(&mut bench), gone(&["o-50", "o-51"]));
    assert_eq!(rows(&bench, "vc.5."), Vec::<String>::new());
    assert_eq!(rows(&bench, "vom.rc.o-5"), Vec::<String>::new());
}

#[test]
fn weak_collections_know_keys_without_holding_them() {
    let mut bench = Bench::new(keeper());
    ask(&mut bench, "make", r#""weakMap","w",{"durable":true}"#, &[]);
    ask(&mut bench, "bag", r#""w""#, &[]);
    ask(&mut bench, "on", r#""w","init","$0",["$1"]"#, &["o-50", "o-51"]);
    assert_eq!(store(&bench, "vom.ir.o-50|4").as_deref(), Some("1"));
    // The key is dropped, not retired: it would be known.
    assert_eq!(dead(&mut bench), [Syscall::DropImports { vrefs: vec![vref("o-50")] }]);
    let mut bench = restart(bench);
    ask(&mut bench, "unbag", r#""w""#, &[]);
    assert_eq!(ask(&mut bench, "on", r#""w","has","$0""#, &["o-50"]), "true");
    assert_eq!(ask(&mut bench, "on", r#""w","has","$0""#, &["o-51"]), "false");
    dead(&mut bench);
    // Its owner has deleted it.
    bench.deliver(Delivery::RetireImports { vrefs: vec![vref("o-50")] }).unwrap();
    assert_eq!(rows(&bench, "o-50"), Vec::<String>::new());
    assert_eq!(dead(&mut bench), gone(&["o-51"]));
    // Deleted here, the key is of no interest any more.
    ask(&mut bench, "on", r#""w","init","$0",1"#, &["o-53"]);
    assert_eq!(dead(&mut bench), [Syscall::DropImports { vrefs: vec![vref("o-53")] }]);
    ask(&mut bench, "on", r#""w","delete","$0""#, &["o-53"]);
    assert_eq!(dead(&mut bench), gone(&["o-53"]));
}

#[test]
fn weak_maps_of_the_heap_know_what_comes_back() {
    let mut bench = Bench::new(keeper());
    ask(&mut bench, "keep", r#""i","$0""#, &["o-50"]);
    ask(&mut bench, "weak", r#""map","set","i",5"#, &[]);
    ask(&mut bench, "weak", r#""set","add","i""#, &[]);
    ask(&mut bench, "forget", r#""i""#, &[]);
    assert_eq!(dead(&mut bench), [Syscall::DropImports { vrefs: vec![vref("o-50")] }]);
    // Another presence for the same object.
    ask(&mut bench, "keep", r#""i","$0""#, &["o-50"]);
    assert_eq!(ask(&mut bench, "weak", r#""map","get","i""#, &[]), "5");
    assert_eq!(ask(&mut bench, "weak", r#""set","has","i""#, &[]), "true");
    assert_eq!(ask(&mut bench, "weak", r#""set","delete","i""#, &[]), "true");
    assert_eq!(ask(&mut bench, "weak", r#""set","delete","i""#, &[]), "false");
    ask(&mut bench, "forget", r#""i""#, &[]);
    assert_eq!(dead(&mut bench), [Syscall::DropImports { vrefs: vec![vref("o-50")] }]);
    // The map is gone, and nobody knows it any more.
    ask(&mut bench, "fresh", "", &[]);
    let retired = Syscall::RetireImports { vrefs: vec![vref("o-50")] };
    assert_eq!(dead(&mut bench), [retired]);
    let odd = r#"[1,true,"[object WeakMap]","WeakMap",true,true]"#;
    assert_eq!(ask(&mut bench, "odd", "", &[]), odd);
    // A record of facets is held by the map: it could not be known again.
    ask(&mut bench, "kit", r#""k""#, &[]);
    ask(&mut bench, "weak", r#""map","set","k",7"#, &[]);
    assert_eq!(ask(&mut bench, "weak", r#""map","get","k""#, &[]), "7");
    let records = rows(&bench, "vom.o+v11/1");
    ask(&mut bench, "forget", r#""k""#, &[]);
    assert_eq!(dead(&mut bench), []);
    assert_eq!(rows(&bench, "vom.o+v11/1"), records);
    ask(&mut bench, "fresh", "", &[]);
    assert_eq!(dead(&mut bench), []);
    assert_eq!(rows(&bench, "vom.o+v11/1"), Vec::<String>::new());
}

#[test]
fn many_records_go_in_bounded_cranks() {
    let mut bench = Bench::new(keeper());
    ask(&mut bench, "make", r#""set","s",{"durable":true}"#, &[]);
    for part in 0..3 {
        let keys: Vec<String> = (0..5_000).map(|n| (part * 5_000 + n).to_string()).collect();
        ask(&mut bench, "on", &format!("\"s\",\"addAll\",[{}]", keys.join(",")), &[]);
    }
    ask(&mut bench, "forget", r#""s""#, &[]);
    let report = bench.deliver(Delivery::BringOutYourDead).unwrap();
    assert!((9_000..11_000).contains(&report.vatstore.len()), "{}", report.vatstore.len());
    assert_eq!(rows(&bench, "vom.dead."), ["vom.dead.o+d8/4"]);
    // Even if another incarnation has to go on.
    let mut bench = restart(bench);
    dead(&mut bench);
    assert_eq!(rows(&bench, "vc.4."), Vec::<String>::new());
    assert_eq!(rows(&bench, "vom.dead."), Vec::<String>::new());
}

#[test]
fn a_large_store_costs_no_heap() {
    let mut bench = Bench::new(keeper());
    ask(&mut bench, "make", r#""map","m",{"durable":true}"#, &[]);
    ask(&mut bench, "bag", r#""m""#, &[]);
    {
        // As a vat would have written them in many cranks.
        let mut store = bench.kernel.store.borrow_mut();
        let text = format!(r##"{{"body":"#\"{}\"","slots":[]}}"##, "v".repeat(200));
        for n in 0..200_000 {
            store.insert(format!("vc.4.sk{n:06}"), text.clone());
        }
        store.insert("vc.4.|entryCount".into(), "200000".into());
    }
    let mut bench = restart(bench);
    let heap =
        |bench: &mut Bench| bench.deliver(Delivery::BringOutYourDead).unwrap().usage.heap_bytes;
    ask(&mut bench, "unbag", r#""m""#, &[]);
    let before = heap(&mut bench);
    assert_eq!(ask(&mut bench, "on", r#""m","getSize""#, &[]), "200000");
    assert_eq!(
        ask(&mut bench, "like", r#""m","keys","gte","k199998""#, &[]),
        r#"["k199998","k199999"]"#
    );
    assert_eq!(ask(&mut bench, "like", r#""m","getSize","lt","k100000""#, &[]), "100000");
    let after = heap(&mut bench);
    assert!(after < before + (1 << 20), "{before} {after}");
}
