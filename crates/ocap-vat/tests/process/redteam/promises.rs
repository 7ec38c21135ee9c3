//! Thenables, handled promises with handlers of one's own, and rejections nobody handles.

use ocap_types::crank::FaultKind;

use super::{Attack, Ends, Says, Throws, attack, none_succeeds};

pub(super) const ATTACKS: &[Attack] = &[
    attack(
        "a thenable among the arguments",
        "({ E, remote }) => E(remote).m({ then: (resolve) => resolve('loot') })",
        Throws("non-promise thenables"),
    ),
    attack(
        "a thenable that is no function's",
        "() => [Object.create({ then() {} })]",
        Throws("thenable"),
    ),
    attack(
        "a result whose then is a getter that changes",
        "() => { let n = 0; return { get then() { n += 1; if (n > 1) throw Error('asked twice'); return (r) => r(n); } }; }",
        Says("1"),
    ),
    attack(
        "a thenable that settles twice and throws",
        "() => ({ then(resolve, reject) { resolve(1); resolve(2); reject(Error('x')); throw Error('y'); } })",
        Says("1"),
    ),
    attack(
        "a promise with a then of its own",
        "() => [Object.assign(Promise.resolve(1), { then: () => 'loot' })]",
        Throws("own properties"),
    ),
    attack(
        "a promise of a class of its own",
        "() => [new (class extends Promise { then() { return 'loot'; } })(() => {})]",
        Throws("Must inherit from Promise.prototype"),
    ),
    attack(
        "a promise whose constructor is poisoned",
        "({ E }) => {
           const p = Promise.resolve(1);
           Object.defineProperty(p, 'constructor', { get() { throw Error('constructor'); } });
           return E.when(p, (v) => v);
         }",
        Throws("constructor"),
    ),
    attack(
        "a promise that becomes itself",
        "() => { let resolve; const p = new Promise((r) => { resolve = r; }); resolve(p); return p; }",
        Throws("self resolution"),
    ),
    attack(
        "handled promises that become each other",
        "async ({ E }) => {
           let a; let b;
           const pa = new HandledPromise((r) => { a = r; }); const pb = new HandledPromise((r) => { b = r; });
           a(pb); b(pa);
           E(pa).m().catch(() => {}); E(pb).m().catch(() => {});
           return 'done';
         }",
        Says("\"done\""),
    ),
    attack(
        "a handler in place of another's presence",
        "({ E, remote }) => {
           new HandledPromise((_r, _j, resolveWithPresence) => resolveWithPresence(
             { applyMethod: () => 'loot' }, { proxy: { target: remote, handler: {} } }));
           return E(remote).m === E(remote).m ? 'loot' : 'none';
         }",
        Says("\"none\""),
    ),
    attack(
        "HandledPromise.resolve with a constructor that lies",
        "async ({ remote }) => {
           const fake = Object.freeze({ __proto__: Promise.prototype, then: undefined });
           return typeof (await HandledPromise.resolve([fake])[Symbol.iterator]);
         }",
        Says("\"undefined\""),
    ),
    attack(
        "a handler that throws, answers late, and answers with proxies",
        "async ({ E }) => {
           const make = (applyMethod) => { let p; new HandledPromise((_r, _j, w) => { p = w({ applyMethod }); }); return p; };
           const got = await Promise.allSettled([
             E(make(() => { throw Error('a'); })).m(),
             E(make(() => new Promise(() => {}).then)).m(),
             E(make(() => new Proxy({}, { get() { throw Error('b'); } }))).m(),
             E(make(() => ({ then() { throw Error('c'); } }))).m(),
           ]);
           return got.map((g) => g.status);
         }",
        Says(r#"["rejected","fulfilled","rejected","rejected"]"#),
    ),
    attack(
        "a handler that is a proxy",
        "async ({ E }) => {
           let p;
           const asked = [];
           const handler = new Proxy({}, { get: (_, key) => { asked.push(String(key)); return (...args) => args; },
                                           has: () => true });
           new HandledPromise((_r, _j, w) => { p = w(handler); });
           await E(p).m();
           return asked.length < 10;
         }",
        Says("true"),
    ),
    attack(
        "the returned promise in a handler, settled by the handler",
        "async ({ E, remote }) => {
           let seen;
           const p = new HandledPromise(() => {}, { applyMethod: (_p, _m, _a, returned) => { seen = returned; return 1; } });
           const answer = E(p).m();
           const value = await answer;
           return [value, seen === answer, typeof seen?.resolve];
         }",
        Says(r#"[1,true,"undefined"]"#),
    ),
    attack(
        "a rejection whose reason runs code when it is described",
        "({ E, remote }) => {
           const reason = { get stack() { globalThis.stolen = this; throw this; }, get message() { throw this; },
                            get name() { E(remote).late(); throw this; } };
           Promise.reject(reason);
           return 'done';
         }",
        Says("\"done\""),
    ),
    attack(
        "a rejection whose reason is a proxy",
        "() => {
           Promise.reject(new Proxy(Error('x'), { get() { throw Error('get'); }, getPrototypeOf() { throw Error('p'); } }));
           return 'done';
         }",
        Says("\"done\""),
    ),
    attack(
        "a rejection whose reason never comes to an end",
        "() => { Promise.reject({ get message() { for (;;); } }); return 'done'; }",
        Ends(FaultKind::Overrun),
    ),
    attack(
        "a flood of rejections",
        "() => { for (let i = 0; i < 20000; i += 1) Promise.reject(Error(`${i}`)); return 'done'; }",
        Says("\"done\""),
    ),
    attack(
        "a rejection handled much later",
        "async () => {
           const p = Promise.reject(Error('x'));
           for (let i = 0; i < 100; i += 1) await null;
           return p.catch(() => 'handled');
         }",
        Says("\"handled\""),
    ),
    attack(
        "microtasks that never end",
        "() => { const again = () => { Promise.resolve().then(again); }; again(); return 'done'; }",
        Ends(FaultKind::Overrun),
    ),
    attack(
        "a chain of a hundred thousand promises",
        "() => { let p = Promise.resolve(1); for (let i = 0; i < 20000; i += 1) p = p.then((v) => v); return p; }",
        Says("1"),
    ),
    attack(
        "a promise of another vat, decided here",
        "({ promise }) => [typeof promise.resolve, Object.isFrozen(promise), Reflect.ownKeys(promise).length]",
        Says(r#"["undefined",true,0]"#),
    ),
];

#[test]
fn no_promise_lets_anybody_in() {
    none_succeeds(ATTACKS);
}
