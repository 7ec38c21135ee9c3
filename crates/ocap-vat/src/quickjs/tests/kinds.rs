//! Virtual and durable kinds: records, contexts, restarts, and what definitions may change.

use super::*;

fn store(bench: &Bench, key: &str) -> Option<String> {
    bench.kernel.store.borrow().get(key).cloned()
}

/// A vat with a durable counter kind, kept in baggage, and a kit of two facets.
fn counters() -> VatCode {
    modules(
        "import { Far } from '@endo/far';
         const { defineDurableKind, defineDurableKindMulti, makeKindHandle } = VatData;
         export const buildRootObject = (_powers, _parameters, baggage) => {
           const provide = tag => {
             if (!baggage.has(tag)) baggage.init(tag, makeKindHandle(tag));
             return baggage.get(tag);
           };
           const makeCounter = defineDurableKind(
             provide('counter'),
             (count, friend) => ({ count, friend }),
             {
               add: ({ state }, n) => { state.count += n; return state.count; },
               get: ({ state }) => state.count,
               friend: ({ state }) => state.friend,
               self: ({ self }) => self,
               both: ({ state }) => [Object.keys(state), state.count === state.count],
             },
           );
           const makeKit = defineDurableKindMulti(
             provide('kit'),
             text => ({ text }),
             {
               writer: { write: ({ state, facets }, text) => { state.text = text; return facets.reader; } },
               reader: { read: ({ state }) => state.text },
             },
           );
           let kept;
           return Far('root', {
             make: (count, friend) => makeCounter(count, friend),
             kit: text => makeKit(text),
             keep: (name, value) => baggage.init(name, value),
             kept: name => baggage.get(name),
             forget: name => baggage.delete(name),
             call: (name, method, ...args) => baggage.get(name)[method](...args),
           });
         };",
    )
}

fn answer(syscalls: &[Syscall]) -> (String, Vec<String>) {
    match syscalls.last() {
        Some(Syscall::Resolve { resolutions }) => {
            let slots = resolutions[0].data.slots.iter().map(ToString::to_string).collect();
            (resolutions[0].data.body[1..].to_owned(), slots)
        }
        other => panic!("{other:?}"),
    }
}

fn body(bench: &mut Bench, methargs: &str, slots: &[&str]) -> String {
    answer(&bench.send(methargs, slots, "p-60")).0
}

/// Sends a message to an object; the body of the answer.
fn send_to(bench: &mut Bench, target: &str, methargs: &str) -> String {
    let delivery = Delivery::Message {
        target: vref(target),
        methargs: data(methargs, &[]),
        result: Some(vref("p-61")),
    };
    let report = bench.deliver(delivery).unwrap();
    assert_eq!(report.error, None);
    answer(&report.syscalls).0
}

fn restart(bench: Bench, code: VatCode) -> Bench {
    let kernel = bench.kernel.clone();
    drop(bench);
    let (bench, report) = Bench::start_with(kernel, code, data("\"#undefined\"", &[]));
    assert_eq!(report.error, None);
    bench
}

/// What a start says is wrong.
fn refusal(bench: &Bench, code: VatCode) -> String {
    let kernel = Rc::new(Kernel { store: bench.kernel.store.clone(), ..Kernel::default() });
    let (_, report) = Bench::start_with(kernel, code, data("\"#undefined\"", &[]));
    report.error.unwrap_or_default()
}

fn dead(bench: &mut Bench) -> Vec<Syscall> {
    let report = bench.deliver(Delivery::BringOutYourDead).unwrap();
    assert_eq!(report.error, None);
    report.syscalls
}

/// All records about these instances.
fn records(bench: &Bench, part: &str) -> Vec<String> {
    let store = bench.kernel.store.borrow();
    store.iter().filter(|(k, _)| k.contains(part)).map(|(k, v)| format!("{k}={v}")).collect()
}

#[test]
fn an_instance_is_one_record_and_keeps_its_reference() {
    let mut bench = Bench::new(counters());
    assert_eq!(store(&bench, "vom.dkind.10.nextID").as_deref(), Some("1"));
    assert_eq!(
        store(&bench, "vom.dkind.10.descriptor").unwrap(),
        r##"{"kindID":"10","tag":"counter","unfaceted":true,"stateShapeCapData":{"body":"#\"#undefined\"","slots":[]}}"##
    );
    let made = answer(&bench.send(r#"["make",[5,"$0"]]"#, &["o-50"], "p-60"));
    assert_eq!(made, ("\"$0.Alleged: counter\"".into(), vec!["o+d10/1".into()]));
    assert_eq!(
        store(&bench, "vom.o+d10/1").unwrap(),
        r##"{"count":{"body":"#5","slots":[]},"friend":{"body":"#\"$0.Alleged: presence\"","slots":["o-50"]}}"##
    );
    assert_eq!(store(&bench, "vom.dkind.10.nextID").as_deref(), Some("2"));
    assert_eq!(store(&bench, "vom.rc.o-50").as_deref(), Some("1"));
    assert_eq!(store(&bench, "vom.es.o+d10/1").as_deref(), Some("r"));
    assert_eq!(send_to(&mut bench, "o+d10/1", r#"["add",[2]]"#), "7");

    let mut bench = restart(bench, counters());
    assert_eq!(send_to(&mut bench, "o+d10/1", r#"["add",[1]]"#), "8");
    assert_eq!(send_to(&mut bench, "o+d10/1", r#"["friend",[]]"#), "\"$0.Alleged: presence\"");
    assert_eq!(send_to(&mut bench, "o+d10/1", r#"["both",[]]"#), r#"[["count","friend"],true]"#);
    let made = answer(&bench.send(r#"["make",[0]]"#, &[], "p-60"));
    assert_eq!(made.1, ["o+d10/2"]);
}

#[test]
fn facets_share_state_and_have_references_of_their_own() {
    let mut bench = Bench::new(counters());
    let made = answer(&bench.send(r#"["kit",["hi"]]"#, &[], "p-60"));
    let body = r#"{"reader":"$0.Alleged: kit reader","writer":"$1.Alleged: kit writer"}"#;
    assert_eq!(made, (body.into(), vec!["o+d11/1:0".into(), "o+d11/1:1".into()]));
    assert_eq!(store(&bench, "vom.es.o+d11/1").as_deref(), Some("rr"));
    let mut bench = restart(bench, counters());
    assert_eq!(
        send_to(&mut bench, "o+d11/1:1", r#"["write",["ho"]]"#),
        "\"$0.Alleged: kit reader\""
    );
    assert_eq!(send_to(&mut bench, "o+d11/1:0", r#"["read",[]]"#), "\"ho\"");
    let refused = send_to(&mut bench, "o+d11/1:0", r#"["write",[1]]"#);
    assert!(refused.contains("has no method"), "{refused}");
}

#[test]
fn a_crank_reads_and_writes_a_record_once() {
    let mut bench = Bench::new(counters());
    bench.send(r#"["keep",["c","$0"]]"#, &[], "");
    bench.send(r#"["make",[5]]"#, &[], "p-60");
    let delivery = Delivery::Message {
        target: vref("o+d10/1"),
        methargs: data(r#"["add",[0]]"#, &[]),
        result: None,
    };
    // Unchanged, it is not written.
    assert_eq!(bench.deliver(delivery).unwrap().vatstore, []);
}

#[test]
fn what_nobody_reaches_is_removed() {
    let mut bench = Bench::new(counters());
    let made = answer(&bench.send(r#"["make",[5,"$0"]]"#, &["o-50"], "p-60"));
    assert_eq!(made.1, ["o+d10/1"]);
    bench.send(r#"["keep",["a","$0"]]"#, &["o+d10/1"], "");
    assert_eq!(store(&bench, "vom.rc.o+d10/1").as_deref(), Some("1"));
    assert_eq!(dead(&mut bench), []);
    bench.send(r#"["forget",["a"]]"#, &[], "");
    // The kernel still reaches it.
    assert_eq!(dead(&mut bench), []);
    bench.deliver(Delivery::DropExports { vrefs: vec![vref("o+d10/1")] }).unwrap();
    assert_eq!(store(&bench, "vom.es.o+d10/1").as_deref(), Some("s"));
    let import = vec![vref("o-50")];
    assert_eq!(
        dead(&mut bench),
        [
            Syscall::DropImports { vrefs: import.clone() },
            Syscall::RetireImports { vrefs: import },
            Syscall::RetireExports { vrefs: vec![vref("o+d10/1")] },
        ]
    );
    assert_eq!(records(&bench, "o+d10/1"), Vec::<String>::new());
    assert_eq!(records(&bench, "o-50"), Vec::<String>::new());
}

#[test]
fn a_chain_of_instances_goes_as_a_whole() {
    let mut bench = Bench::new(counters());
    for i in 1..=3 {
        let before = format!("o+d10/{}", i - 1);
        let (args, slots) = if i == 1 { ("[1]", vec![]) } else { ("[1,\"$0\"]", vec![&*before]) };
        bench.send(&format!("[\"make\",{args}]"), &slots, "p-60");
    }
    let all = ["o+d10/1", "o+d10/2", "o+d10/3"].map(vref).to_vec();
    // Another incarnation knows none of them by heart.
    let mut bench = restart(bench, counters());
    let (rest, last) = all.split_at(2);
    bench.deliver(Delivery::DropExports { vrefs: rest.to_vec() }).unwrap();
    assert_eq!(dead(&mut bench), []);
    bench.deliver(Delivery::DropExports { vrefs: last.to_vec() }).unwrap();
    assert_eq!(dead(&mut bench), [Syscall::RetireExports { vrefs: all }]);
    assert_eq!(records(&bench, "o+d10/"), Vec::<String>::new());
}

#[test]
fn every_durable_kind_must_be_defined_again() {
    let bench = Bench::new(counters());
    let code = |body: &str| {
        modules(&format!(
            "import {{ Far }} from '@endo/far';
             const {{ defineDurableKind, defineDurableKindMulti, makeKindHandle }} = VatData;
             export const buildRootObject = (_powers, _parameters, baggage) => {{
               const counter = baggage.get('counter'), kit = baggage.get('kit');
               const init = () => ({{}});
               {body}
               return Far('root', {{}});
             }};"
        ))
    };
    let cases = [
        ("", "defineDurableKind not called for tags: [counter,kit]"),
        (
            "defineDurableKindMulti(kit, init, { reader: {}, writer: {} });",
            "defineDurableKind not called for tags: [counter]",
        ),
        (
            "defineDurableKind(counter, init, {}); defineDurableKind(counter, init, {});",
            "redefinition of durable kind \"counter\"",
        ),
        (
            "defineDurableKind(kit, init, {});",
            "defineDurableKind called for faceted KindHandle \"kit\"",
        ),
        (
            "defineDurableKindMulti(counter, init, { a: {}, b: {} });",
            "defineDurableKindMulti called for unfaceted KindHandle \"counter\"",
        ),
        (
            "defineDurableKindMulti(kit, init, { reader: {}, another: {} });",
            "durable kind \"kit\" facets (\"another,reader\") is missing \"writer\" from original definition (\"reader,writer\")",
        ),
        ("defineDurableKind(Far('kind', {}), init, {});", "unknown handle"),
        (
            "defineDurableKind(counter, init, {}, { stateShape: { count: 1 } });",
            "durable Kind stateShape mismatch",
        ),
        (
            "defineDurableKind(counter, init, { a: 1 });",
            "invalid behavior specifier for \"counter\"",
        ),
        (
            "makeKindHandle('unused'); defineDurableKind(counter, init, {}); defineDurableKindMulti(kit, init, { reader: {}, writer: {} });",
            "defineDurableKind not called for tags: [unused]",
        ),
    ];
    for (text, wanted) in cases {
        let error = refusal(&bench, code(text));
        assert!(error.contains(wanted), "{text}: {error}");
    }
    let more = "defineDurableKind(counter, init, {});
        defineDurableKindMulti(kit, init, { writer: {}, alpha: {}, reader: {} });";
    let bench = restart(bench, code(more));
    let descriptor = store(&bench, "vom.dkind.11.descriptor").unwrap();
    assert!(descriptor.contains(r#""facets":["reader","writer","alpha"]"#), "{descriptor}");
}

#[test]
fn state_is_durable_and_of_its_shape() {
    let mut bench = Bench::new(modules(
        "import { Far } from '@endo/far';
         import { M } from '@endo/patterns';
         const { defineDurableKind, defineKind, makeKindHandle } = VatData;
         export const buildRootObject = (_powers, _parameters, baggage) => {
           const handle = makeKindHandle('shaped');
           baggage.init('handle', handle);
           const methods = {
             get: ({ state }) => state.x,
             set: ({ state }, x) => { state.x = x; },
             local: ({ state }) => { state.x = Far('local', {}); },
             names: ({ state }) => [Object.keys(state), state.y],
             grow: ({ state }) => { state.z = 1; },
           };
           const makeShaped = defineDurableKind(handle, x => ({ x }), methods, {
             stateShape: { x: M.or(M.string(), M.remotable()), y: M.or(M.undefined(), M.number()) },
           });
           const makeVirtual = defineKind('virtual', x => ({ x }), methods);
           const makeOdd = defineKind('odd', x => x, {});
           let it;
           return Far('root', {
             shaped: x => { it = makeShaped(x); },
             virtual: x => { it = makeVirtual(x); return it; },
             odd: x => makeOdd(x),
             it: (method, ...args) => it[method](...args),
             promise: () => { makeVirtual(Promise.resolve(1)); },
           });
         };",
    ));
    let cases = [
        (r#"["shaped",["a"]]"#, "\"#undefined\""),
        (r#"["it",["get"]]"#, "\"a\""),
        (r#"["it",["set",5]]"#, "Must match one of"),
        (r#"["it",["names"]]"#, r##"[[],"#undefined"]"##),
        (r#"["it",["local"]]"#, "value for \\\"x\\\" is not durable"),
        (r#"["it",["grow"]]"#, "not extensible"),
        (r#"["it",["get"]]"#, "\"a\""),
        (r#"["shaped",[7]]"#, "Must match one of"),
        (r#"["odd",[7]]"#, "initial data must be object, not 7"),
        (r#"["virtual",["a"]]"#, "\"$0.Alleged: virtual\""),
        (r#"["it",["local"]]"#, "\"#undefined\""),
        (r#"["it",["get"]]"#, "\"$0.Alleged: local\""),
        (r#"["promise",[]]"#, "\"#undefined\""),
    ];
    for (methargs, wanted) in cases {
        let found = body(&mut bench, methargs, &[]);
        assert!(found.contains(wanted), "{methargs}: {found}");
    }
    // What virtual data mentions is kept: the heap has no other reference to it.
    assert_eq!(dead(&mut bench), []);
    assert_eq!(body(&mut bench, r#"["it",["get"]]"#, &[]), "\"$0.Alleged: local\"");
}

#[test]
fn guards_amplifiers_and_testers() {
    let mut bench = Bench::new(modules(
        "import { Far } from '@endo/far';
         import { M } from '@endo/patterns';
         const { defineDurableKind, defineDurableKindMulti, makeKindHandle } = VatData;
         export const buildRootObject = (_powers, _parameters, baggage) => {
           let amplify, isOne, isKit;
           const one = defineDurableKind(makeKindHandle('one'), n => ({ n }), {
             plus(m) { this.state.n += m; return this.self; },
             get() { return this.state.n; },
           }, {
             thisfulMethods: true,
             interfaceGuard: M.interface('One', {
               plus: M.call(M.number()).returns(M.remotable()),
               get: M.call().returns(M.number()),
             }),
             receiveInstanceTester: it => { isOne = it; },
             finish: ({ state }) => { state.n += 100; },
           });
           const kit = defineDurableKindMulti(makeKindHandle('kit'), () => ({}), {
             a: { peer() { return this.facets.b; } },
             b: { x() { return this.facets.a.peer() === this.facets.b; } },
           }, {
             thisfulMethods: true,
             interfaceGuardKit: { a: M.interface('A', { peer: M.call().returns(M.any()) }), b: M.interface('B', {}, { defaultGuards: 'passable' }) },
             receiveAmplifier: it => { amplify = it; },
             receiveInstanceTester: it => { isKit = it; },
           });
           const it = one(1);
           return Far('root', {
             plus: m => it.plus(m).get(),
             kit: () => { const { a, b } = kit(); return [b.x(), amplify(a).b === b, isKit(a), isKit(b, 'a'), isKit(b, 'b'), isKit(it), isOne(it), isOne(a), isOne(7)]; },
             stolen: () => { const [k, l] = [kit(), kit()]; return k.a.peer.call(l.b); },
             other: () => it.get.call(kit().a),
             amplify: () => amplify(it),
           });
         };",
    ));
    assert_eq!(body(&mut bench, r#"["plus",[2]]"#, &[]), "103");
    let refused = body(&mut bench, r#"["plus",["x"]]"#, &[]);
    let text = r#"In \"plus\" method of (one): arg 0: string (a string) - Must be a number"#;
    assert!(refused.contains(text), "{refused}");
    let found = body(&mut bench, r#"["kit",[]]"#, &[]);
    assert_eq!(found, "[true,true,true,false,true,false,true,false,false]");
    for method in ["stolen", "other"] {
        let refused = body(&mut bench, &format!("[\"{method}\",[]]"), &[]);
        assert!(refused.contains("may only be applied to a valid instance"), "{refused}");
    }
    let refused = body(&mut bench, r#"["amplify",[]]"#, &[]);
    assert!(refused.contains("Must be a facet of \\\"kit\\\""), "{refused}");
}

#[test]
fn a_context_lasts_for_one_crank() {
    let mut bench = Bench::new(modules(
        "import { Far } from '@endo/far';
         export const buildRootObject = () => {
           const make = VatData.defineKind('thing', () => ({ a: 1 }), { me: context => context });
           const thing = make();
           let first;
           return Far('root', {
             m: () => { const now = thing.me(); const same = first === now; const twice = now === thing.me(); first = now;
               return [same, twice, now.self === thing, Object.isFrozen(now), Object.isFrozen(now.state)]; },
           });
         };",
    ));
    assert_eq!(body(&mut bench, r#"["m",[]]"#, &[]), "[false,true,true,true,true]");
    assert_eq!(body(&mut bench, r#"["m",[]]"#, &[]), "[false,true,true,true,true]");
}

#[test]
fn instances_throw_data_and_errors_only() {
    let code = modules(
        "import { Far } from '@endo/far';
         export const buildRootObject = () => {
           const make = VatData.defineKind('thrower', () => ({}), {
             toss: (_context, what) => { throw what; },
           });
           return Far('root', { make });
         };",
    );
    let mut bench = Bench::new(code);
    let (_, slots) = answer(&bench.send(r#"["make",[]]"#, &[], "p-60"));
    let mut toss = |what: &str, slot: &[&str]| {
        let methargs = data(&format!(r#"["toss",[{what}]]"#), slot);
        let result = Some(vref("p-61"));
        let report = bench.deliver(Delivery::Message { target: vref(&slots[0]), methargs, result });
        answer(&report.unwrap().syscalls)
    };
    assert_eq!(toss(r#"["a",{"b":7}]"#, &[]), (r#"["a",{"b":7}]"#.to_owned(), Vec::new()));
    let (body, slots) = toss(r#"["a",{"b":"$0.Alleged: key"}]"#, &["o-50"]);
    assert!(body.contains("is not throwable"), "{body}");
    assert!(slots.is_empty(), "{slots:?}");
}
