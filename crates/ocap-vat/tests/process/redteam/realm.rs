//! Poisoned prototypes, replaced globals, stacks, clocks and shared memory.

use super::{Attack, Says, Throws, attack, none_succeeds};

pub(super) const ATTACKS: &[Attack] = &[
    attack(
        "a property on everybody's prototype",
        "() => { Object.prototype.polluted = 1; }",
        Throws("extensible"),
    ),
    attack(
        "pollution by merging parsed JSON",
        r#"() => {
             const merge = (to, from) => { for (const k of Object.keys(from)) {
               if (typeof from[k] === 'object') merge(to[k] ??= {}, from[k]); else to[k] = from[k]; } };
             merge({}, JSON.parse('{ "__proto__": { "polluted": 1 } }'));
           }"#,
        Throws("extensible"),
    ),
    attack(
        "a setter on an array's index",
        "() => Object.defineProperty(Array.prototype, '0', { set(v) { globalThis.stolen = v; } })",
        Throws("extensible"),
    ),
    attack(
        "a getter for then on every object",
        "() => Object.prototype.__defineGetter__('then', () => (r) => r('loot'))",
        Throws("extensible"),
    ),
    attack(
        "another prototype for arrays",
        "() => Object.setPrototypeOf(Array.prototype, { map() { return 'loot'; } })",
        Throws("extensible"),
    ),
    attack(
        "another prototype for all objects",
        "() => { Object.prototype.__proto__ = { loot: 1 }; }",
        Throws(""),
    ),
    attack(
        "replacing Promise.prototype.then",
        "() => { Promise.prototype.then = function () { return 'loot'; }; }",
        Throws("read only"),
    ),
    attack(
        "defining Promise.prototype.then",
        "() => Object.defineProperty(Promise.prototype, 'then', { value: () => 'loot' })",
        Throws("configurable"),
    ),
    attack(
        "replacing an array's iterator",
        "() => { Array.prototype[Symbol.iterator] = function* () { yield 'loot'; }; }",
        Throws("read only"),
    ),
    attack(
        "replacing methods the supervisor calls",
        "() => {
           const tries = [[Array.prototype, 'join'], [Array.prototype, 'push'], [Map.prototype, 'get'],
             [WeakMap.prototype, 'get'], [WeakSet.prototype, 'has'], [Set.prototype, 'add'], [JSON, 'stringify'],
             [JSON, 'parse'], [String.prototype, 'charCodeAt'], [String.prototype, 'toWellFormed'],
             [RegExp.prototype, 'exec'], [Reflect, 'apply'], [Reflect, 'ownKeys'], [Object, 'freeze'],
             [Object, 'isFrozen'], [Number, 'isFinite'], [Symbol, 'for'], [Promise, 'resolve'],
             [Function.prototype, 'call'], [Function.prototype, Symbol.hasInstance], [Error, Symbol.hasInstance],
             [HandledPromise, 'applyMethod'], [E, 'sendOnly'], [console, 'log'], [globalThis, 'Promise'],
             [globalThis, 'harden'], [globalThis, Symbol.for('@endo passStyleOf')], [Object, Symbol.for('harden')]];
           return tries.filter(([object, key]) => {
             const evil = () => 'loot';
             try { Reflect.set(object, key, evil); } catch {}
             Reflect.defineProperty(object, key, { value: evil });
             Reflect.deleteProperty(object, key);
             return object[key] === evil || !(key in object) && key !== Symbol.hasInstance;
           }).map(([, key]) => String(key));
         }",
        Says("[]"),
    ),
    attack(
        "the override accessors, aimed at an intrinsic",
        "() => [Reflect.set({}, 'toString', 1, Object.prototype)]",
        Throws("read only"),
    ),
    attack(
        "the override accessors, aimed at another intrinsic",
        "() => Reflect.set({}, 'hasOwnProperty', () => true, Array.prototype)",
        Throws("extensible"),
    ),
    attack(
        "the override accessors, aimed at a presence",
        "({ remote }) => Reflect.set({}, 'toString', () => 'mine', remote)",
        Throws("extensible"),
    ),
    attack(
        "the override accessors, aimed at a proxy that lies",
        "() => {
           const set = Object.getOwnPropertyDescriptor(Object.prototype, 'toString').set;
           const seen = [];
           const proxy = new Proxy({}, { defineProperty: (_, key) => { seen.push(key); return true; } });
           Reflect.apply(set, proxy, ['x']);
           return [seen, String({})];
         }",
        Says(r#"[["toString"],"[object Object]"]"#),
    ),
    attack(
        "Error.prepareStackTrace",
        "() => { Error.prepareStackTrace = (_, sites) => sites; const e = new Error('x'); return typeof e.stack; }",
        Says("\"string\""),
    ),
    attack(
        "prepareStackTrace on a class of one's own",
        "() => { class Mine extends Error {} Object.defineProperty(Mine, 'prepareStackTrace', { value: (_, s) => s });
                 return typeof new Mine('x').stack; }",
        Says("\"string\""),
    ),
    attack(
        "captureStackTrace into an error that is frozen",
        "() => Error.captureStackTrace(harden(Error('x')))",
        Throws("frozen"),
    ),
    attack(
        "captureStackTrace into a proxy",
        "() => {
           const sites = [];
           const proxy = new Proxy({}, { defineProperty: (_, key, d) => { sites.push(typeof d.value); return true; },
                                         set: (_, key, value) => { sites.push(typeof value); return true; } });
           try { Error.captureStackTrace(proxy); } catch {}
           return sites.filter((type) => type === 'object');
         }",
        Says("[]"),
    ),
    attack(
        "the host's paths in a stack",
        "({ E, remote }) => {
           let stack;
           try { E(remote).m(new Proxy([], { ownKeys() { throw Error('x'); } })); } catch (e) { stack = e.stack; }
           stack ??= new Error('x').stack;
           return /[/](home|root|tmp|usr|work)[/]|crates|target/.test(stack);
         }",
        Says("false"),
    ),
    attack(
        "stacks that grow without end",
        "() => { Error.stackTraceLimit = Infinity; const f = (n) => (n ? f(n - 1) : new Error('x').stack.length < 5000);
                 return f(500); }",
        Says("true"),
    ),
    attack(
        "what regular expressions remember",
        "() => { /(secret)/.exec('secret'); return [RegExp.$1, RegExp.input, RegExp['$&'], RegExp.lastMatch]; }",
        Says(r##"["#undefined","#undefined","#undefined","#undefined"]"##),
    ),
    attack(
        "compiling a frozen regular expression anew",
        "() => { const r = harden(/a/); r.compile('b'); return r.test('b'); }",
        Throws("not a function"),
    ),
    attack(
        "weak references, to watch the collector",
        "() => ['WeakRef', 'FinalizationRegistry'].filter((name) => name in globalThis || name in Object)",
        Says("[]"),
    ),
    attack(
        "shared memory and Atomics, as a clock",
        "() => ['SharedArrayBuffer', 'Atomics', 'WebAssembly'].filter((name) => name in globalThis)",
        Says("[]"),
    ),
    attack("the wall clock", "() => Date.now()", Throws("secure mode")),
    attack(
        "the wall clock by other ways into Date",
        "() => {
           const ways = [() => Date(), () => new Date(), () => Reflect.construct(Date, []), () => new Date(undefined, 0),
             () => Reflect.construct(Object, [], Date), () => new (class extends Date {})(), () => Date.prototype.constructor(),
             () => new Date(new Date(0).constructor.now()), () => Date.bind(null)(), () => new Date(NaN),
             () => Date.parse('now')];
           return ways.filter((way) => { try { return +way() > 1e12; } catch { return false; } }).length;
         }",
        Says("0"),
    ),
    attack("randomness", "() => Math.random()", Throws("secure mode")),
    attack(
        "a clock in the console",
        "() => [console.time('t'), console.timeLog('t'), console.timeEnd('t'), typeof console.timeStamp]",
        Says(r##"["#undefined","#undefined","#undefined","undefined"]"##),
    ),
    attack(
        "the host's time zone and locale",
        "() => [new Date(0).getTimezoneOffset(), new Date(0).toString().includes('GMT+0000'), typeof Intl]",
        Says(r#"[0,true,"undefined"]"#),
    ),
    attack(
        "a prototype of the global that hears what the supervisor looks for",
        "({ E, remote, makeExo }) => {
           const heard = [];
           Object.setPrototypeOf(globalThis, new Proxy(Object.prototype, {
             get: (t, k) => { heard.push(String(k)); return t[k]; }, has: (t, k) => { heard.push(String(k)); return k in t; } }));
           E(remote).m(harden([1, {}, Promise.resolve(2), Error('x')]));
           console.log('x', Error('y'), {});
           makeExo('X', undefined, { m() {} }).m();
           try { makeExo('X', undefined, { m() {} }).m.call(1); } catch {}
           return [...heard];
         }",
        Says("[]"),
    ),
    attack(
        "taking the powers of another part of the vat",
        "({ powers }) => { powers.exitVat = () => 'mine'; }",
        Throws("read-only"),
    ),
    attack(
        "replacing VatData for others",
        "() => { VatData.defineKind = () => 'mine'; }",
        Throws("read-only"),
    ),
];

#[test]
fn what_everybody_relies_on_cannot_be_changed() {
    none_succeeds(ATTACKS);
}
