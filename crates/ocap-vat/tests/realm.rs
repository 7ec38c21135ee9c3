//! The hardened realm, probed from inside by JavaScript: what vat code finds, what it cannot reach, and
//! that bundles made of real npm packages run in it.
//!
//! Each test evaluates a function body as vat code would be: after `__ocap` was taken off the global.
//! The body finds it as `ocap`. What it returns, awaited, comes back as text.

#![allow(clippy::unwrap_used, clippy::panic)] // what tests do

#[path = "realm/bundles.rs"]
mod bundles;
#[path = "realm/language.rs"]
mod language;
#[path = "realm/patterns.rs"]
mod patterns;

use std::fmt::Write as _;

use ocap_vat::realm;
use rquickjs::context::EvalOptions;
use rquickjs::{CatchResultExt, Context, Ctx, Function, Object, Promise, Runtime, Value};

/// A little under what workers give.
const STACK_BYTES: usize = 512 * 1024;

/// Runs `body` in a fresh realm; `Err` is what it threw.
fn run_with(file: &str, body: &str, bundle: Option<&str>) -> Result<String, String> {
    let runtime = Runtime::new().unwrap();
    runtime.set_max_stack_size(STACK_BYTES);
    let context = Context::full(&runtime).unwrap();
    context.with(|ctx| {
        let feral: Value = eval(&ctx, "feral", "[Function, eval, Function.prototype.constructor]").unwrap();
        realm::install(&ctx).catch(&ctx).unwrap();
        let globals = ctx.globals();
        let ocap: Object = globals.get("__ocap").unwrap();
        globals.remove("__ocap").unwrap();
        let bundle = match bundle {
            Some(code) => eval(&ctx, "bundle", &format!("(function(){{{code}\n;return __vatExports__}})()"))?,
            None => Value::new_undefined(ctx.clone()),
        };
        let main: Function = eval(&ctx, file, &format!("(async (ocap, feral, exports) => {{{body}\n}})"))?;
        let show: Function = eval(
            &ctx,
            "show",
            "(p => p.then(v => typeof v === 'string' ? v : JSON.stringify(v) ?? String(v), e => { throw String(e) + '\\n' + e?.stack }))",
        )?;
        let promise: Promise = main.call((ocap, feral, bundle)).catch(&ctx).map_err(|e| e.to_string())?;
        let shown: Promise = show.call((promise,)).catch(&ctx).map_err(|e| e.to_string())?;
        shown.finish::<String>().catch(&ctx).map_err(|e| e.to_string())
    })
}

fn eval<'js, V: rquickjs::FromJs<'js>>(
    ctx: &Ctx<'js>,
    name: &str,
    source: &str,
) -> Result<V, String> {
    let mut options = EvalOptions::default();
    options.strict = false;
    options.filename = Some(name.to_owned());
    ctx.eval_with_options(source, options).catch(ctx).map_err(|e| e.to_string())
}

#[track_caller]
fn run(body: &str) -> String {
    run_with("test", body, None).unwrap_or_else(|error| panic!("{error}"))
}

/// Every line of `cases` is an expression that must throw; its message must contain what follows `//`.
#[track_caller]
fn all_throw(cases: &str) {
    let cases: Vec<(&str, &str)> =
        lines_of(cases).map(|line| line.split_once(" // ").unwrap()).collect();
    let body = saying(cases.iter().map(|(expression, _)| *expression));
    for ((expression, wanted), got) in cases.iter().zip(run_saying(&body, cases.len())) {
        assert!(got.starts_with("threw ") && got.contains(wanted), "{expression}: {got}");
    }
}

/// Every line of `cases` is an expression that must be `true`.
#[track_caller]
fn all_true(cases: &str) {
    let cases: Vec<&str> = lines_of(cases).collect();
    let body = saying(cases.iter().copied());
    for (expression, got) in cases.iter().zip(run_saying(&body, cases.len())) {
        assert_eq!(got, "returned true", "{expression}");
    }
}

/// Statements that evaluate each expression and say what came of it.
fn saying<'a>(expressions: impl Iterator<Item = &'a str>) -> String {
    let mut body = String::new();
    for expression in expressions {
        writeln!(
            body,
            "try {{ say('returned', {expression}); }} catch (error) {{ say('threw', error.message); }}"
        )
        .unwrap();
    }
    body
}

fn lines_of(cases: &str) -> impl Iterator<Item = &str> {
    cases.lines().map(str::trim).filter(|line| !line.is_empty())
}

/// Runs `body`, which calls `say` exactly `count` times, in one realm. Returns what it said.
#[track_caller]
fn run_saying(body: &str, count: usize) -> Vec<String> {
    let said = run(&format!(
        "const said = []; const say = (how, what) => said.push(`${{how}} ${{String(what)}}`);\n{body}\nreturn JSON.stringify(said);"
    ));
    let said: Vec<String> = serde_json::from_str(&said).unwrap();
    assert_eq!(said.len(), count);
    said
}

#[test]
fn everything_reachable_is_frozen_and_nothing_forbidden_is_reachable() {
    let audit = include_str!("realm/audit.js");
    let wrong = run(&format!(
        "const {{ Date: date, dateNow, mathRandom, WeakRef, FinalizationRegistry, SharedArrayBuffer, Atomics,
                  performance, queueMicrotask }} = ocap.originals;
         const forbidden = new Set([date, dateNow, mathRandom, WeakRef, FinalizationRegistry, SharedArrayBuffer,
                  Atomics, performance, queueMicrotask, ocap, ocap.originals, ...feral]);
         if (forbidden.has(undefined) || forbidden.size < 13) throw Error('the test forbids too little');
         // As the supervisor does, in whose place the vat's own weak collections come.
         ocap.sealGlobal();
         return ({audit})(forbidden).join('\\n');"
    ));
    assert_eq!(wrong, "");
}

#[test]
fn the_audit_notices_a_mutable_intrinsic() {
    let audit = include_str!("realm/audit.js");
    let wrong = run(&format!(
        "const loose = {{}}; Object.defineProperty(globalThis, 'loose', {{ value: loose }});
         return ({audit})(new Set([Map.prototype.get])).join('\\n');"
    ));
    assert!(wrong.contains("not frozen: globalThis.loose"), "{wrong}");
    assert!(wrong.contains("reachable: ") && wrong.contains("Map.prototype"), "{wrong}");
}

#[test]
fn the_global_has_the_expected_names_only() {
    let names = run("return Reflect.ownKeys(globalThis).map(String).sort().join(' ');");
    assert_eq!(
        names,
        "AggregateError Array ArrayBuffer BigInt BigInt64Array BigUint64Array Boolean DataView Date Error \
         EvalError Float16Array Float32Array Float64Array Function HandledPromise Infinity Int16Array \
         Int32Array Int8Array Iterator JSON Map Math NaN Number Object Promise Proxy RangeError \
         ReferenceError Reflect RegExp Set String Symbol Symbol(@endo passStyleOf) SyntaxError TypeError \
         URIError Uint16Array Uint32Array Uint8Array Uint8ClampedArray WeakMap WeakSet assert console \
         decodeURI decodeURIComponent encodeURI encodeURIComponent escape eval global globalThis harden \
         isFinite isNaN parseFloat parseInt undefined unescape"
    );
}

#[test]
fn code_cannot_be_made_from_strings() {
    all_throw(
        "eval('1') // eval() is disabled
         (0, eval)('1') // eval() is disabled
         globalThis.eval('1') // eval() is disabled
         Function('return 1') // Function() is disabled
         new Function('return 1') // Function() is disabled
         (() => {}).constructor('return 1') // Function() is disabled
         (class {}).constructor('return 1') // Function() is disabled
         Object.constructor('return 1') // Function() is disabled
         Object.getPrototypeOf(async () => {}).constructor('1') // AsyncFunction() is disabled
         (function* () {}).constructor('1') // GeneratorFunction() is disabled
         (async function* () {}).constructor('1') // AsyncGeneratorFunction() is disabled
         Reflect.construct(Function, ['return 1'], class {}) // Function() is disabled
         Reflect.construct(Object, [], Function).constructor('1') // Function() is disabled
         new (class extends Function {})('1') // Function() is disabled
         ''.sub.constructor.constructor('1') // Function() is disabled",
    );
}

#[test]
fn there_is_no_clock_and_no_randomness() {
    all_throw(
        "Date.now() // secure mode Calling %SharedDate%.now() throws
         new Date() // secure mode Calling new %SharedDate%() with no arguments throws
         Date() // secure mode Calling %SharedDate% constructor as a function throws
         new (new Date(0).constructor)() // secure mode
         Reflect.construct(Date, []) // secure mode
         new (class extends Date {})() // secure mode
         Math.random() // secure mode Calling %SharedMath%.random() throws
         performance.now() // performance is not defined",
    );
    all_true(
        "new Date(0).toISOString() === '1970-01-01T00:00:00.000Z'
         new Date(0) instanceof Date && new Date(0).constructor === Date
         Date.UTC(2000, 0) === 946684800000 && Date.parse('2000-01-01T00:00:00Z') === 946684800000
         new (class D extends Date {})(5).getTime() === 5
         Math.max(1, 2) === 2",
    );
}

#[test]
fn intrinsics_cannot_be_changed() {
    all_throw(
        "(() => { 'use strict'; Object.prototype.x = 1; })() // extensible
         (() => { 'use strict'; Array.prototype.map = 1; })() // read-only
         (() => { 'use strict'; Object.prototype.toString = 1; })() // read only
         (() => { 'use strict'; globalThis.Array = 1; })() // read-only
         (() => { 'use strict'; delete globalThis.harden; })() // delete
         Object.defineProperty(Promise.prototype, 'then', { value: 1 }) // configurable
         Object.setPrototypeOf(Array.prototype, {}) // extensible
         /x/.compile('y') // not a function
         Error.captureStackTrace(Object.freeze(new Error('x'))) // frozen",
    );
    all_true(
        "(Error.prepareStackTrace = () => 'mine', Error.prepareStackTrace === undefined)
         (Error.prepareStackTrace = () => 'mine', typeof new Error('x').stack === 'string')
         (Error.stackTraceLimit = 0, new Error('x').stack.length > 0)
         (class E extends Error {}, (class E extends Error {}).prepareStackTrace = () => 1, new Error('x').stack !== 1)
         (() => { /(x)/.exec('x'); return RegExp.$1 === undefined && RegExp.lastMatch === undefined; })()
         [Map, Set, Promise, Array].every(c => Object.isFrozen(c) && Object.isFrozen(c.prototype))
         (() => {}).fileName === undefined && !('caller' in (() => {})) && !('arguments' in Function.prototype)
         !('chunks' in Iterator.prototype) && !(Symbol.dispose in Iterator.prototype)",
    );
}

#[test]
fn what_real_code_overrides_by_assignment_can_be_overridden() {
    all_true(
        "(() => { 'use strict'; const o = {}; o.toString = () => 'mine'; return String(o) === 'mine'; })()
         (() => { 'use strict'; const o = {}; o.constructor = 1; o.hasOwnProperty = 2; return o.constructor === 1; })()
         (() => { 'use strict'; const f = () => {}; f.toString = () => 'f'; f.bind = 1; return `${f}` === 'f'; })()
         (() => { 'use strict'; const e = new Error('a'); e.message = 'b'; e.name = 'N'; return String(e) === 'N: b'; })()
         (() => { 'use strict'; const e = new TypeError('a'); e.name = 'N'; e.toString = () => 'S'; return `${e}` === 'S'; })()
         (() => { 'use strict'; class E extends RangeError {} E.prototype.name = 'E'; return `${new E('x')}` === 'E: x'; })()
         (() => { 'use strict'; function Old() {} Old.prototype = Object.create(Error.prototype); Old.prototype.constructor = Old; Old.prototype.name = 'Old'; Old.prototype.message = 'm'; return `${new Old()}` === 'Old: m'; })()
         (() => { 'use strict'; const a = Object.create(Array.prototype); a.push = 1; a.concat = 2; return a.push === 1 && a.concat === 2; })()
         (() => { 'use strict'; function P() {} P.prototype = Object.create(Promise.prototype); P.prototype.then = 1; P.prototype.constructor = P; return P.prototype.then === 1; })()
         (() => { 'use strict'; const m = new Map(); m.get = 1; const s = new Set(); s.has = 2; return m.get + s.has === 3; })()
         (() => { 'use strict'; const i = Object.create(Iterator.prototype); i[Symbol.iterator] = 1; i[Symbol.toStringTag] = 'T'; return i[Symbol.iterator] === 1; })()
         (() => { 'use strict'; const g = Object.create(Object.getPrototypeOf(function* () {}).prototype); g.next = 1; g.constructor = 2; return g.next === 1; })()
         (() => { 'use strict'; const o = Object.create({ toString: undefined }); o.valueOf = () => 7; return +o === 7; })()
         (() => { 'use strict'; try { harden({}).toString = 1; return false; } catch (e) { return e instanceof TypeError; } })()
         Object.keys((() => { const o = {}; o.toString = 1; return o; })()).join() === 'toString'",
    );
}

#[test]
fn harden_freezes_graphs_of_any_depth() {
    all_true(
        "Object.isFrozen(harden({ a: { b: [{ c: 1 }] } }).a.b[0])
         (() => { const a = {}; a.a = a; return Object.isFrozen(harden(a)); })()
         (() => { let deep = null; for (let i = 0; i < 300000; i += 1) deep = { deep }; return Object.isFrozen(harden(deep).deep.deep); })()
         (() => { class K { m() {} } const k = harden(new K()); return Object.isFrozen(K.prototype) && Object.isFrozen(K.prototype.m) && Object.isFrozen(k); })()
         (() => { const get = () => 1; const o = harden(Object.defineProperty({}, 'x', { get })); return Object.isFrozen(get) && Object.isFrozen(o); })()
         (() => { const s = Symbol(); const inner = {}; harden({ [s]: inner }); return Object.isFrozen(inner); })()
         (() => { const t = new Uint8Array(2); t.extra = {}; harden(t); t[0] = 7; return t[0] === 7 && Object.isFrozen(t.extra) && !Object.isExtensible(t); })()
         harden(5) === 5 && harden(null) === null && harden('x') === 'x'
         (() => { const o = {}; return harden(o) === o; })()
         Object[Symbol.for('harden')] === harden
         (() => { const inner = {}; const bad = new Proxy({}, { preventExtensions() { throw Error('no'); } }); try { harden([bad, inner]); } catch (_) {} const outer = harden({ inner }); return Object.isFrozen(outer.inner); })()",
    );
}

#[test]
fn proxies_of_frozen_objects_tell_the_truth() {
    // `describe` makes a proxy that describes the frozen `a` of its target as it likes.
    let with_liar = |expression: &str| {
        format!(
            "(() => {{ const describe = told => new Proxy(Object.freeze({{ a: 1 }}), {{ getOwnPropertyDescriptor: (t, k) => (k === 'a' ? told : Reflect.getOwnPropertyDescriptor(t, k)) }}); \
             const liar = describe({{ value: 2, writable: false, enumerable: true, configurable: false }}); return {expression}; }})()"
        )
    };
    let cases = [
        "Object.getOwnPropertyDescriptor(liar, 'a')",
        "Reflect.getOwnPropertyDescriptor(liar, 'a')",
        "Object.getOwnPropertyDescriptor(liar, { toString: () => 'a' })",
        "Object.getOwnPropertyDescriptors(liar)",
        "Reflect.getOwnPropertyDescriptor(new Proxy(liar, {}), 'a')",
        "ocap.passStyleOf(harden(liar))",
        "ocap.passStyleOf(harden(new Proxy({ a: () => 1 }, { getOwnPropertyDescriptor: (t, k) => ({ ...Reflect.getOwnPropertyDescriptor(t, k), value: 1 }) })))",
        "(() => { const t = Object.freeze({ get a() { return 1; } }); return Object.getOwnPropertyDescriptor(new Proxy(t, { getOwnPropertyDescriptor: (t, k) => ({ get: () => 2, set: undefined, enumerable: true, configurable: false }) }), 'a'); })()",
    ];
    let mut lines = String::new();
    for case in cases {
        writeln!(lines, "{} // proxy: inconsistent", with_liar(case)).unwrap();
    }
    all_throw(&lines);
    all_true(
        "Object.getOwnPropertyDescriptor(new Proxy(Object.freeze({ a: NaN }), {}), 'a').value !== 0
         Object.getOwnPropertyDescriptor(new Proxy({ a: 1 }, { getOwnPropertyDescriptor: () => ({ value: 2, configurable: true }) }), 'a').value === 2
         Object.getOwnPropertyDescriptor('abc', 0).value === 'a' && Object.getOwnPropertyDescriptor(5, 'x') === undefined
         Object.getOwnPropertyDescriptor({ [Symbol.iterator]: 1 }, { [Symbol.toPrimitive]: () => Symbol.iterator }).value === 1
         Object.getOwnPropertyDescriptors(Object.freeze([1])).length.value === 1
         Object.keys(Object.getOwnPropertyDescriptors({ ['__proto__']: 1 })).join() === '__proto__'
         (() => { const inner = {}; harden(new Proxy({ inner }, { getOwnPropertyDescriptor: (t, k) => ({ ...Reflect.getOwnPropertyDescriptor(t, k), value: 1 }) })); return Object.isFrozen(inner); })()
         (() => { const get = () => 1; harden(new Proxy(Object.defineProperty({}, 'x', { get }), { getOwnPropertyDescriptor: (t, k) => ({ ...Reflect.getOwnPropertyDescriptor(t, k), get: () => 2 }) })); return Object.isFrozen(get); })()
         ocap.passStyleOf(harden(new Proxy({ a: [1] }, {}))) === 'copyRecord'",
    );
    all_throw(
        "Reflect.getOwnPropertyDescriptor(5, 'x') // not an object
         Object.getOwnPropertyDescriptor(undefined, 'x') // object
         Object.getOwnPropertyDescriptors(null) // not an object",
    );
}

#[test]
fn assert_has_the_ses_shape() {
    all_true(
        "['typeof', 'fail', 'equal', 'string', 'note', 'details', 'Fail', 'quote', 'bare', 'makeError', 'makeAssert', 'error'].every(n => typeof assert[n] === 'function')
         Object.isFrozen(assert) && assert(true) === true
         Object.isFrozen(assert.makeError('x')) && assert.makeError('x').message === 'x'
         assert.makeError(assert.details`a`, RangeError, { cause: Error('c') }).cause.message === 'c'
         assert.makeError(assert.details`a`, AggregateError, { errors: [Error('e')] }).errors.length === 1
         `${assert.quote([1, 2n, undefined, Symbol.iterator, NaN, () => {}])}` === '[1,\"[2n]\",\"[undefined]\",\"[Symbol(Symbol.iterator)]\",\"[NaN]\",\"[Function <anon>]\"]'
         (() => { const a = []; a.push(a); return `${assert.quote(a)}` === '[\"[Seen]\"]'; })()
         `${assert.quote('x'.repeat(20000))}`.length < 11000
         `${assert.bare('two words')}` === 'two words' && `${assert.bare('a+b')}` === '\"a+b\"'
         String(assert.details`x`) === '[DetailsToken]'",
    );
    all_throw(
        "assert(false) // Assert failed
         assert(0, 'plain') // plain
         assert(false, assert.details`bad ${1} ${assert.quote('x')} ${new TypeError('k')} ${null}`) // bad (a number) \"x\" (a TypeError) null
         assert.Fail`value ${[]} of ${assert.quote(3)}` // value (an object) of 3
         assert.equal(1, 2) // Expected (a number) is same as (a number)
         assert.typeof(1, 'string') // (a number) must be a string
         assert.string(undefined) // (an undefined) must be a string
         assert.fail(assert.details`gone`, SyntaxError) // gone",
    );
}

#[test]
fn pass_styles_follow_the_conventions() {
    all_true(
        "ocap.passStyleOf(undefined) === 'undefined' && ocap.passStyleOf(null) === 'null'
         ['boolean', 'number', 'bigint', 'string'].every((s, i) => ocap.passStyleOf([true, 1, 1n, ''][i]) === s)
         ocap.passStyleOf(Symbol.for('x')) === 'symbol' && ocap.passStyleOf(Symbol.iterator) === 'symbol'
         ocap.passStyleOf(harden([1, [2]])) === 'copyArray'
         ocap.passStyleOf(harden({ a: { b: 1 } })) === 'copyRecord'
         ocap.passStyleOf(harden({})) === 'copyRecord'
         ocap.passStyleOf(harden(Error('x'))) === 'error'
         ocap.passStyleOf(harden(TypeError('x', { cause: Error('y') }))) === 'error'
         ocap.passStyleOf(harden(AggregateError([Error('y')], 'x'))) === 'error'
         ocap.passStyleOf(harden(Promise.resolve(1))) === 'promise'
         ocap.passStyleOf(ocap.makeTagged('t', { a: 1 })) === 'tagged' && ocap.getTag(ocap.makeTagged('t', 1)) === 't'
         ocap.passStyleOf(ocap.Far('F', { m() {} })) === 'remotable'
         ocap.passStyleOf(ocap.Far('F', () => {})) === 'remotable' && ocap.getInterfaceOf(ocap.Far('F', () => {})) === 'Alleged: F'
         ocap.passStyleOf(ocap.makeExo('X', undefined, {})) === 'remotable'
         ocap.getInterfaceOf(ocap.makeExo('X', undefined, {})) === 'Alleged: X' && ocap.getInterfaceOf({}) === undefined
         ocap.getInterfaceOf(ocap.Remotable('Alleged: R', undefined, Object.create(null))) === 'Alleged: R'
         String(ocap.Far('F', {})) === '[object Alleged: F]'
         ocap.Far('F', { b() {}, a() {} }).__getMethodNames__().join() === '__getMethodNames__,a,b'
         ocap.passStyleOf === globalThis[Symbol.for('@endo passStyleOf')]
         ocap.nameForPassableSymbol(Symbol.asyncIterator) === '@@asyncIterator' && ocap.passableSymbolForName('@@asyncIterator') === Symbol.asyncIterator
         ocap.nameForPassableSymbol(Symbol.for('@@x')) === '@@@@x' && ocap.passableSymbolForName('@@@@x') === Symbol.for('@@x')
         ocap.passStyleOf(ocap.toPassableError(Object.assign(Error('x'), { extra: 1 }))) === 'error'
         ocap.toPassableError(Object.assign(RangeError('x', { cause: TypeError('c') }), { extra: 1 })).cause.message === 'c'
         ocap.toPassableError(Object.assign(RangeError('x', { cause: new Map() }), { extra: 1 })).cause === undefined
         ocap.toPassableError(new (class Mine extends TypeError {})('m')).message === 'm'
         ocap.passStyleOf(ocap.toPassableError(new Proxy(Error('x'), { preventExtensions() { throw 1; } }))) === 'error'
         ocap.passStyleOf(ocap.toPassableError(Object.defineProperty(Error('x'), 'message', { get() { throw 1; } }))) === 'error'
         (() => { const shared = harden({}); return ocap.passStyleOf(harden([shared, shared])) === 'copyArray'; })()",
    );
    all_throw(
        "ocap.passStyleOf({}) // Cannot pass non-frozen objects like (an object). Use harden()
         ocap.passStyleOf([]) // Cannot pass non-frozen objects
         ocap.passStyleOf(harden(() => {})) // Remotables must be explicitly declared
         ocap.passStyleOf(harden({ m() {} })) // Remotables must be explicitly declared
         ocap.passStyleOf(harden(new Map())) // property expected: (an object)
         ocap.passStyleOf(harden(new Date(0))) // property expected: (an object)
         ocap.passStyleOf(harden(new Uint8Array(1))) // Cannot pass mutable typed arrays
         ocap.passStyleOf(Symbol('x')) // Only registered symbols or well-known symbols are passable
         ocap.passStyleOf(harden({ [Symbol.for('x')]: 1 })) // cannot serialize Remotables with non-methods
         ocap.passStyleOf(harden([1, , 3])) // 1 property expected
         ocap.passStyleOf(harden(Object.assign([], { x: 1 }))) // Arrays must not have non-indexes
         ocap.passStyleOf(harden({ get x() { return 1; } })) // must not be an accessor property
         ocap.passStyleOf(harden((() => { const a = []; a.push(a); return a; })())) // Pass-by-copy data cannot be cyclic
         ocap.passStyleOf(harden({ then() {} })) // Cannot pass non-promise thenables
         ocap.passStyleOf(harden(Object.assign(Error('x'), { extra: 1 }))) // own property must not be enumerable
         ocap.passStyleOf(harden({ [Symbol.for('passStyle')]: 'odd' })) // Unrecognized PassStyle
         ocap.passStyleOf(harden(Object.defineProperty(Promise.resolve(), 'x', { value: 1 }))) // Must not have any own properties
         ocap.Far('F', ocap.Far('F', {})) // is already marked
         ocap.Far('F', { x: 1 }) // cannot serialize Remotables with non-methods like \"x\"
         ocap.Far('F', harden({})) // extensible
         ocap.Remotable('F') // must be \"Remotable\" or begin with
         ocap.passStyleOf(harden(Object.create({ [Symbol.for('passStyle')]: 'remotable' }))) // must not be an enumerable",
    );
}

#[test]
fn deep_data_is_refused_without_a_crash() {
    let got = run(
        "let deep = null; for (let i = 0; i < 300000; i += 1) deep = [deep]; harden(deep);
         try { return ocap.passStyleOf(deep); } catch (error) { return `threw ${error instanceof Error} ${error.name}`; }",
    );
    assert!(got.starts_with("threw "), "{got}");
    let quoted = run(
        "let deep = null; for (let i = 0; i < 300000; i += 1) deep = [deep]; return `${assert.quote(deep)}`;",
    );
    assert_eq!(quoted, "[Something that failed to stringify]");
}

#[test]
fn eventual_sends_run_later_and_in_order() {
    all_true(
        "await (async () => { const log = []; const t = ocap.Far('T', { m(x) { log.push(x); return x + 1; } }); const p = ocap.E(t).m(1); log.push('after'); return (await p) === 2 && log.join() === 'after,1'; })()
         (await ocap.E(Promise.resolve({ m: () => 5 })).m()) === 5
         (await ocap.E({ f: { g: () => 6 } }).f?.constructor) !== 6
         (await ocap.E.get({ f: 6 }).f) === 6
         (await ocap.E((a, b) => a + b)(2, 3)) === 5
         (await ocap.E.when(Promise.resolve(1), v => v + 1)) === 2
         (await ocap.E.when(Promise.reject(Error('x')), undefined, e => e.message)) === 'x'
         (await ocap.E.resolve(4)) === 4 && Object.isFrozen(ocap.E.resolve(4))
         (await ocap.E({ name: () => 'n', length: () => 'l', then2: () => 't' }).name()) === 'n'
         (await ocap.E({ length: () => 'l' }).length()) === 'l'
         (await (async () => { let n = 0; const r = ocap.E.sendOnly({ m() { n += 1; throw Error('unseen'); } }).m(); await null; await null; return n === 1 && r === undefined; })())
         (await (async () => { const f = ocap.E({ m: () => 1 }).m; try { await f(); return false; } catch (e) { return e.message.startsWith('Unexpected receiver'); } })())
         (await (async () => { const log = []; const k = ocap.makePromiseKit(); for (const i of [1, 2, 3]) ocap.E(k.promise).m(i); k.resolve({ m: i => log.push(i) }); ocap.E(k.promise).m(4); await null; ocap.E(k.promise).m(5); for (let i = 0; i < 20; i += 1) await null; return log.join() === '1,2,3,4,5'; })())
         (await (async () => { const log = []; const a = ocap.makePromiseKit(); const b = ocap.makePromiseKit(); ocap.E(a.promise).m(1); await null; await null; a.resolve(b.promise); ocap.E(a.promise).m(2); await null; ocap.E(a.promise).m(3); b.resolve({ m: i => log.push(i) }); ocap.E(a.promise).m(4); for (let i = 0; i < 30; i += 1) await null; return log.join() === '1,2,3,4'; })())
         (await (async () => { const a = ocap.makePromiseKit(); const b = ocap.makePromiseKit(); a.resolve(b.promise); b.resolve(a.promise); ocap.E(a.promise).m(); ocap.E(b.promise).m(); for (let i = 0; i < 20; i += 1) await null; return true; })())
         (await (async () => { const k = ocap.makePromiseKit(); k.resolve(k.promise); try { await k.promise; return false; } catch (e) { return e instanceof TypeError; } })())
         Object.isFrozen(await ocap.E({ m: () => ({ a: {} }) }).m())
         (await (async () => { const arg = {}; const p = ocap.E({ m: x => x }).m(arg); return Object.isFrozen(arg) && (await p) === arg; })())
         (await (async () => { let p = Promise.resolve({ m() { return this; } }); for (let i = 0; i < 5000; i += 1) p = ocap.E(p).m(); return typeof (await p).m === 'function'; })())",
    );
    for (expression, wanted) in [
        (
            "ocap.E({ a() {}, [Symbol.for('s')]() {} }).nope()",
            "TypeError: target has no method \"nope\", has [\"[Symbol(s)]\",\"a\"]",
        ),
        (
            "ocap.E({ a: 1 }).a()",
            "Error: invoked method \"a\" is not a function; it is a \"number\"",
        ),
        (
            "ocap.E(undefined).a()",
            "TypeError: Cannot deliver \"a\" to target; typeof target is \"undefined\"",
        ),
        (
            "ocap.E({})()",
            "TypeError: Cannot invoke target as a function; typeof target is \"object\"",
        ),
        ("ocap.E(Promise.reject(RangeError('r'))).a()", "RangeError: r"),
        (
            "ocap.E({ m() { throw harden({ odd: true }); } }).m().catch(e => { throw Error(`odd ${e.odd}`); })",
            "Error: odd true",
        ),
    ] {
        let got =
            run(&format!("return await ({expression}).then(() => 'fulfilled', e => String(e));"));
        assert_eq!(got, wanted, "{expression}");
    }
}

#[test]
fn handled_promises_hand_messages_to_their_handlers() {
    // The handler of an unresolved promise, then the one of the presence, messages in order throughout.
    let calls = run(
        "const calls = [];
         const later = async n => { for (let i = 0; i < n; i += 1) await null; };
         const inner = { applyMethod(o, m) { calls.push(`inner.${m}`); return m; } };
         const pending = {
           applyMethod(p, m, args, returned) {
             calls.push(`pending.${m}(${args}) ${p === promise} ${ocap.isPromise(returned)}`);
             return new HandledPromise(() => {}, inner);
           },
           applyMethodSendOnly(p, m) { calls.push(`pending.only.${m}`); },
           get(p, name) { calls.push(`pending.get.${name}`); return 1; },
         };
         let resolvers;
         const promise = new HandledPromise((...r) => { resolvers = r; }, pending);
         const first = ocap.E(promise).a(1, 2);
         ocap.E(first).x();
         ocap.E(ocap.E(promise).b()).y();
         ocap.E.sendOnly(promise).so();
         ocap.E.get(promise).prop;
         calls.push('sent');
         await later(5);
         const presence = resolvers[2]({
           applyMethod(o, m, args, returned) { calls.push(`presence.${m} ${o === presence}`); return `did ${m}`; },
           applyFunction(o, args) { calls.push(`presence(${args})`); },
         });
         ocap.E(promise).c();
         ocap.E(presence).d();
         ocap.E(presence)(7);
         ocap.E.sendOnly(presence).e();
         await later(5);
         if (ocap.E.resolve(presence) !== promise || (await promise) !== presence) throw Error('not the same');
         if ((await ocap.E(presence).f()) !== 'did f') throw Error('no answer');
         try { await ocap.E.get(presence).g; throw Error('got'); } catch (e) { calls.push(e.message); }
         return calls;",
    );
    assert_eq!(
        calls,
        "[\"sent\",\"pending.a(1,2) true true\",\"inner.x\",\"pending.b() true true\",\"inner.y\",\
         \"pending.only.so\",\"pending.get.prop\",\"presence.c true\",\"presence.d true\",\"presence(7)\",\"presence.e true\",\"presence.f true\",\
         \"handler has no methods needed for \\\"get\\\" (has [\\\"applyFunction\\\",\\\"applyMethod\\\"])\"]"
    );
    all_true(
        "(await (async () => { const p = new HandledPromise(r => r({ m: () => 3 }), { applyMethod: () => 'handler' }); return (await ocap.E(p).m()) === 3; })())
         (await (async () => { const p = new HandledPromise((_, rej) => rej(Error('no')), { applyMethod: () => 'handler' }); try { await ocap.E(p).m(); return false; } catch (e) { return e.message === 'no'; } })())
         (await (async () => { try { await new HandledPromise(() => { throw Error('in executor'); }); return false; } catch (e) { return e.message === 'in executor'; } })())
         (await (async () => { let revoke; const p = new HandledPromise((_r, _j, rwp) => rwp({ applyMethod: () => 1 }, { proxy: { target: {}, handler: { get: (_t, k) => k === 'then' ? undefined : k }, revokerCallback: r => { revoke = r; } } })); return (await p).abc === 'abc' && typeof revoke === 'function'; })())
         (await HandledPromise.all([HandledPromise.resolve(1), 2])).join() === '1,2'
         new HandledPromise(() => {}) instanceof Promise && Object.isFrozen(new HandledPromise(() => {}))
         ocap.passStyleOf(new HandledPromise(() => {})) === 'promise' && ocap.passStyleOf(ocap.E({}).m().catch(() => {}) && ocap.makePromiseKit().promise) === 'promise'
         (await (async () => { const applied = new HandledPromise(() => {}, { get: (_p, n) => (...a) => `${n}:${a}` }); return (await ocap.E(applied).m(1, 2)) === 'm:1,2'; })())",
    );
    all_throw(
        "HandledPromise(() => {}) // must be invoked with \"new\"
         new HandledPromise(1) // executor must be a function
         new HandledPromise(() => {}, 1) // cannot be a primitive",
    );
}

#[test]
fn exos_check_what_goes_in_and_out() {
    all_true(
        "ocap.makeExo('X', undefined, { m() { return this.self; } }).m().__getMethodNames__().join() === '__getInterfaceGuard__,__getMethodNames__,m'
         ocap.makeExo('X', undefined, { m() {} }).__getInterfaceGuard__() === undefined
         ocap.getTag(ocap.makeDefaultExo('X', {}).__getInterfaceGuard__()) === 'guard:interfaceGuard'
         ocap.makeDefaultExo('X', { add: (a, b) => a + b }).add(1, 2) === 3
         Object.isFrozen(ocap.makeDefaultExo('X', { m: () => ({}) }).m())
         (() => { const { defineExoClass, defineExoClassKit } = ocap.exo; const make = defineExoClass('C', undefined, n => ({ n }), { inc() { this.state.n += 1; return this.state.n; } }); const c = make(4); return c.inc() === 5 && c.inc() === 6 && make(0).inc() === 1; })()
         (() => { const kit = ocap.exo.defineExoClassKit('K', undefined, () => ({ n: 0 }), { up: { go() { this.state.n += 1; return this.facets.down; } }, down: { read() { return this.state.n; } } })(); return kit.up.go().read() === 1; })()
         (await (async () => { const { M } = ocap.patterns; const x = ocap.makeExo('X', M.interface('X', { m: M.callWhen(M.await(M.string())).returns(M.string()) }), { m: s => s + '!' }); return (await x.m(Promise.resolve('a'))) === 'a!'; })())
         (() => { const { M } = ocap.patterns; const raw = M.interface('X', { m: M.call(M.raw()).returns(M.raw()) }); const o = {}; const x = ocap.makeExo('X', raw, { m: a => a }); return x.m(o) === o && !Object.isFrozen(o); })()
         (() => { const { matches, M } = ocap.patterns; return matches({ a: 1 }, harden({ a: M.number() })) && !matches({ a: 1, b: 2 }, harden({ a: M.number() })) && matches({ a: 1, b: 2 }, M.splitRecord({ a: 1 })) && matches([1, 2], M.arrayOf(M.number())) && matches(3n, M.and(M.nat(), M.gte(2n))) && !matches(-3n, M.nat()) && matches(undefined, M.opt(M.string())) && matches(Promise.resolve(), M.eref(M.any())); })()
         Object.values(ocap.builtinModules).every(m => Object.isFrozen(m) && Object.values(m).every(v => v !== undefined && Object.isFrozen(v)))
         ['@endo/far', '@endo/eventual-send', '@endo/exo', '@endo/promise-kit', '@endo/errors', '@endo/patterns', '@endo/pass-style', '@metamask/kernel-utils', '@metamask/kernel-utils/exo'].every(n => n in ocap.builtinModules)",
    );
    let guarded = |call: &str| {
        format!(
            "(() => {{ const {{ M }} = ocap.patterns; const x = ocap.makeExo('X', M.interface('X', {{
               m: M.call(M.number()).optional(M.string()).returns(M.number()) }}), {{ m: (a, b) => b ?? a }}); return {call}; }})()"
        )
        .replace('\n', " ")
    };
    all_throw(&format!(
        "{} // In \"m\" method of (X): arg 0: string (a string) - Must be a number
         {} // In \"m\" method of (X): Expected at least 1 arguments
         {} // In \"m\" method of (X): result: string (a string) - Must be a number
         ocap.makeExo('X', ocap.patterns.M.interface('I', {{ m: ocap.patterns.M.call().returns() }}), {{}}) // methods [\"m\"] not implemented by \"X\"
         ocap.makeExo('X', ocap.patterns.M.interface('I', {{}}), {{ m() {{}} }}) // methods [\"m\"] not guarded by \"I\"
         ocap.makeDefaultExo('X', {{ m: x => x }}).m(() => {{}}) // Remotables must be explicitly declared
         ocap.makeDefaultExo('X', {{ m: () => new Map() }}).m() // property expected: (an object)
         ocap.makeDefaultExo('X', {{ m() {{}} }}).m.call({{}}) // may only be applied to a valid instance
         ocap.patterns.M.containerHas('c', 0n) // M.containerHas payload: [1]: ",
        guarded("x.m('x')"),
        guarded("x.m()"),
        guarded("x.m(1, 's')"),
    ));
}

#[test]
fn console_writes_bounded_text_to_the_log() {
    let lines = run(
        "const lines = []; ocap.log = (level, text) => lines.push(`${level} ${text}`);
         console.log('a', 1, { b: [2n] }); console.warn('%s is %d', 'x', 5, 'rest'); console.debug();
         console.group('g'); console.info('in'); console.groupEnd(); console.count(); console.count();
         console.assert(1, 'no'); console.assert(0, 'yes');
         console.error({ get x() { throw Error('mean'); } });
         console.log('y'.repeat(100000));
         lines.push(String(lines.pop().length < 20000));
         for (let i = 0; i < 1000; i += 1) console.group();
         lines.length -= 1000;
         console.log('deep'); lines.push(String(lines.pop().length < 60));
         console.error(new TypeError('t'));
         return lines.join('|').split('\\n')[0];",
    );
    assert_eq!(
        lines,
        "info a 1 {\"b\":[\"[2n]\"]}|warn x is 5 rest|debug |info g|info   in|info default: 1|info default: 2|\
         error Assertion failed: yes|error [Something that failed to stringify]|true|true|error TypeError: t"
            .replace("|error TypeError: t", &format!("|error {}TypeError: t", "  ".repeat(16)))
    );
    assert_eq!(run("console.log('nobody listens'); return 'ok';"), "ok");
}

#[test]
fn vat_code_may_add_globals_until_sealed() {
    all_true(
        "(() => { 'use strict'; globalThis.mine = 1; return mine === 1 && delete globalThis.mine; })()
         (() => { ocap.defineGlobal('VatData', harden({ a: 1 })); ocap.sealGlobal(); try { (() => { 'use strict'; VatData = 1; })(); return false; } catch (e) { return VatData.a === 1; } })()
         global === globalThis && !('__ocap' in globalThis)",
    );
}

#[test]
fn a_map_entry_does_not_keep_its_key_alive() {
    // Presences and exo contexts are weak map entries whose values lead back to their keys.
    let runtime = Runtime::new().unwrap();
    let context = Context::full(&runtime).unwrap();
    context.with(|ctx| {
        realm::install(&ctx).catch(&ctx).unwrap();
        let before: i32 = eval(
            &ctx,
            "test",
            "const { WeakRef, makeExo, E } = __ocap; globalThis.refs = [];
             (() => { for (let i = 0; i < 50; i += 1) {
               refs.push(new WeakRef(makeExo('X', undefined, { m() {} })));
               new HandledPromise((_r, _j, rwp) => refs.push(new WeakRef(rwp({}))));
             } })();
             refs.length",
        )
        .unwrap();
        assert_eq!(before, 100);
        while ctx.execute_pending_job() {}
        ctx.run_gc();
        let alive: i32 =
            eval(&ctx, "test", "refs.filter(r => r.deref() !== undefined).length").unwrap();
        assert_eq!(alive, 0);
    });
}
