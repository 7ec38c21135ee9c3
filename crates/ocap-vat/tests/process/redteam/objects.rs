//! `harden`, exos, guards, baggage, the console and the vat's end.

use super::{Attack, Says, Throws, attack, none_succeeds};

pub(super) const ATTACKS: &[Attack] = &[
    attack(
        "harden of a proxy that refuses",
        "() => harden(new Proxy({}, { preventExtensions: () => false }))",
        Throws(""),
    ),
    attack(
        "harden of a proxy that pretends",
        "() => harden(new Proxy({}, { preventExtensions: () => true }))",
        Throws("proxy"),
    ),
    attack(
        "harden runs no getters",
        "() => { let ran = 0; harden({ get a() { ran += 1; return {}; } }); return ran; }",
        Says("0"),
    ),
    attack(
        "harden of a proxy that grows while it is walked",
        "() => {
           let n = 0;
           const proxy = new Proxy({}, { ownKeys: (t) => { n += 1; return [...Reflect.ownKeys(t), `k${n}`]; } });
           harden(proxy);
         }",
        Throws(""),
    ),
    attack(
        "an exo's method on another object",
        "({ makeExo }) => { const x = makeExo('X', undefined, { m() { return this; } }); return x.m.call({}); }",
        Throws("valid instance"),
    ),
    attack(
        "an exo's method on another exo",
        "({ makeExo }) => {
           const a = makeExo('A', undefined, { secret() { return 'loot'; } });
           const b = makeExo('B', undefined, { secret() { return 'mine'; } });
           return a.secret.call(b);
         }",
        Throws("valid instance"),
    ),
    attack(
        "a guard that is a proxy",
        "({ makeExo, M }) => {
           const guard = new Proxy(M.interface('X', { m: M.call().returns() }), { get() { throw Error('trapped'); } });
           makeExo('X', guard, { m() {} });
         }",
        Throws("trapped"),
    ),
    attack(
        "a guard made by hand",
        "({ makeExo }) => makeExo('X', harden({ interfaceName: 'X', methodGuards: { m: { argGuards: [] } } }), { m() {} })",
        Throws("guard"),
    ),
    attack(
        "methods of an exo that are getters",
        "({ makeExo }) => {
           let n = 0;
           const x = makeExo('X', undefined, { get m() { n += 1; const k = n; return () => k; } });
           return x.m() === x.m();
         }",
        Says("true"),
    ),
    attack(
        "a method named __proto__",
        "({ makeExo }) => makeExo('X', undefined, { ['__proto__']() { return 1; } })",
        Throws("cannot inherit from anything unusual"),
    ),
    attack(
        "a pattern whose payload is a proxy",
        "({ matches }) => matches(1, new Proxy({}, { getPrototypeOf() { throw Error('trapped'); } }))",
        Throws("trapped"),
    ),
    attack(
        "a pattern nested too deep",
        "({ matches, M }) => {
           let p = M.any();
           for (let i = 0; i < 20000; i += 1) p = M.and(p);
           return matches(1, p);
         }",
        Says("false"),
    ),
    attack(
        "baggage with keys that are the store's own",
        "({ baggage }) => {
           for (const key of ['|entryCount', '|nextOrdinal', '|schemata', '', '\\0', '__proto__', 'constructor', 'vc.1.|entryCount'])
             baggage.init(key, 1);
           baggage.delete('|entryCount');
           return [baggage.getSize(), [...baggage.keys()].length, baggage.has('|entryCount'), baggage.get('__proto__')];
         }",
        Says("[7,7,false,1]"),
    ),
    attack(
        "baggage with a key that changes",
        "({ baggage }) => { let n = 0; baggage.init({ toString: () => `k${n++}` }, 1); }",
        Throws("explicitly declared"),
    ),
    attack(
        "baggage with a key that is no text",
        r"({ baggage }) => baggage.init('\ud800', 1)",
        Throws("well-formed"),
    ),
    attack(
        "baggage with a key of a megabyte",
        "({ baggage }) => baggage.init('k'.repeat(1 << 20), 1)",
        Throws("must not be bigger than 100000"),
    ),
    attack(
        "baggage that is changed while a value is encoded",
        "({ baggage }) => {
           baggage.init('a', 1);
           const evil = new Proxy(harden({ x: 1 }), { ownKeys: (t) => { if (baggage.has('a')) baggage.delete('a'); return Reflect.ownKeys(t); } });
           let failed = 0;
           try { baggage.set('a', evil); } catch { failed = 1; }
           return [failed, baggage.getSize(), [...baggage.keys()].length];
         }",
        Says("[1,0,0]"),
    ),
    attack(
        "baggage that grows while it is walked",
        "({ baggage }) => { baggage.init('a', 1); for (const key of baggage.keys()) baggage.init(`${key}a`, 1); }",
        Throws("cannot be added to during iteration"),
    ),
    attack(
        "baggage as a place for what does not last",
        "({ baggage, Far, promise }) => {
           const values = [promise, Promise.resolve(1), Far('x', {}), () => {}, [Far('y', {})]];
           return values.filter((value) => { try { baggage.init('k', value); return true; } catch { return false; } }).length;
         }",
        Says("0"),
    ),
    attack(
        "baggage with a record made by hand",
        r##"({ baggage }) => {
           baggage.init('k', '{"body":"#\"$0\"","slots":["o-7"]}');
           baggage.init('l', { body: '#"$0"', slots: ['o-7'] });
           return [typeof baggage.get('k'), baggage.get('l').slots];
         }"##,
        Says(r#"["string",["o-7"]]"#),
    ),
    attack(
        "a method of a kind on an instance of another kind",
        "() => {
           const a = VatData.defineKind('a', () => ({ secret: 'loot' }), { read: ({ state }) => state.secret })();
           const b = VatData.defineKind('b', () => ({}), { read: () => 'mine' })();
           return a.read.call(b);
         }",
        Throws("valid instance"),
    ),
    attack(
        "a method of a kind with a context made by hand",
        "() => {
           const a = VatData.defineKind('a', () => ({ secret: 'loot' }), { read: ({ state }) => state?.secret })();
           return a.read.call({ state: { secret: 'mine' }, self: a });
         }",
        Throws("valid instance"),
    ),
    attack(
        "state that is given code, more fields or another prototype",
        "() => {
           let got;
           const make = VatData.defineKind('a', () => ({ n: 1 }), { take: ({ state }) => { got = state; } });
           make().take();
           const tries = [() => { got.n = () => 1; }, () => { got.extra = 1; }, () => Object.setPrototypeOf(got, { n: 2 }),
             () => Object.defineProperty(got, 'n', { value: 3 }), () => { delete got.n; }, () => { got.n = new Proxy({}, { ownKeys() { throw Error('x'); } }); }];
           const done = tries.filter((t) => { try { t(); return true; } catch { return false; } }).length;
           return [done, got.n];
         }",
        Says("[0,1]"),
    ),
    attack(
        "a kind's state of one instance seen by another",
        "() => {
           const seen = [];
           const make = VatData.defineKind('a', (n) => ({ n }), { keep: ({ state }) => { seen.push(state); } });
           make(1).keep(); make(2).keep();
           seen[0].n = 7;
           return [seen[0].n, seen[1].n];
         }",
        Says("[7,2]"),
    ),
    attack(
        "a store whose keys and values change while they are taken",
        "() => {
           const store = VatData.makeScalarBigMapStore('s');
           const evil = (act) => new Proxy(harden({ x: 1 }), { ownKeys: (t) => { act(); return Reflect.ownKeys(t); } });
           try { store.init('a', evil(() => { if (!store.has('a')) store.init('a', 1); })); } catch {}
           try { store.set('a', evil(() => { if (store.has('a')) store.delete('a'); })); } catch {}
           return [store.getSize(), [...store.keys()].length];
         }",
        Says("[0,0]"),
    ),
    attack(
        "a store's label and schema as records of another",
        r#"() => {
           VatData.makeScalarBigMapStore('x","slots":["o-7"],"y":"');
           const store = VatData.makeScalarBigMapStore('vc.1.|entryCount');
           store.init('|entryCount', 9);
           store.init('|schemata', 9);
           return [store.getSize(), [...store.keys()]];
         }"#,
        Says(r#"[2,["|entryCount","|schemata"]]"#),
    ),
    attack(
        "a weak map with the supervisor's own as its receiver",
        "({ remote }) => { const m = new WeakMap([[remote, 1]]); return WeakMap.prototype.get.call(new WeakSet(), remote); }",
        Throws(""),
    ),
    attack(
        "the console with objects that fight back",
        "() => {
           const evil = new Proxy({}, { get() { throw Error('get'); }, ownKeys() { throw Error('keys'); },
                                        getPrototypeOf() { throw Error('proto'); } });
           const cyclic = {}; cyclic.cyclic = cyclic;
           console.log(evil, cyclic, { toJSON() { throw Error('json'); } }, { get x() { throw Error('x'); } });
           console.error('%s %d %o', evil, evil, evil, Symbol('s'), 1n);
           console.log(Object.create(Error.prototype, { message: { get() { throw 1; } } }));
           console.log({ __proto__: null, [Symbol.toPrimitive]() { throw 2; } });
           console.count(evil === 1 ? evil : 'label');
           console.group({ toString() { throw 3; } });
           return 'done';
         }",
        Says("\"done\""),
    ),
    attack(
        "a flood of lines in the log",
        "() => { for (let i = 0; i < 5000; i += 1) console.log('line', i); return 'done'; }",
        Says("\"done\""),
    ),
    attack(
        "a line of many megabytes in the log",
        "() => { console.log('x'.repeat(4 << 20)); console.log(new Array(1e5).fill('y')); return 'done'; }",
        Says("\"done\""),
    ),
    attack(
        "control characters in the log",
        r"() => { console.log('\x1b[2J\x00\r\n[fake] kernel: all is well \ud800'); return 'done'; }",
        Says("\"done\""),
    ),
    attack(
        "the vat's end with a reason that cannot be sent",
        "({ powers }) => { powers.exitVatWithFailure({ get reason() { return 1; } }); }",
        Throws("accessor"),
    ),
    attack(
        "assert with details that fight back",
        "() => {
           const evil = { toString() { throw Error('loot'); }, toJSON() { throw Error('loot'); }, get name() { throw Error('loot'); } };
           assert.fail(assert.details`${assert.quote(evil)} ${evil}`);
         }",
        Throws("an object"),
    ),
    attack(
        "passStyleOf of what changes after it was asked",
        "({ passStyleOf }) => { const o = { a: 1 }; try { passStyleOf(o); } catch {} o.a = () => 1; return passStyleOf(harden(o)); }",
        Throws("explicitly declared"),
    ),
];

#[test]
fn no_object_is_turned_against_its_owner() {
    none_succeeds(ATTACKS);
}
