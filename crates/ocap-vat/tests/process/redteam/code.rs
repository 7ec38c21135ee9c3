//! Code made from strings, code of others, and code outside of the vat.

use super::{Attack, Held, NeverStarts, Says, Throws, attack, none_succeeds, none_succeeds_in};

const NO_FUNCTION: Held = Throws("Function() is disabled");

pub(super) const MODULES: &[Attack] = &[
    attack(
        "constructor.constructor",
        "() => (() => {}).constructor('return globalThis')()",
        NO_FUNCTION,
    ),
    attack(
        "the constructor of async functions",
        "() => Object.getPrototypeOf(async () => {}).constructor('return 1')()",
        Throws("AsyncFunction() is disabled"),
    ),
    attack(
        "the constructor of generators",
        "() => (function* () {}).constructor('yield 1')().next()",
        Throws("GeneratorFunction() is disabled"),
    ),
    attack(
        "the constructor of async generators",
        "() => Object.getPrototypeOf(async function* () {}).constructor('yield 1')",
        Throws("AsyncGeneratorFunction() is disabled"),
    ),
    attack(
        "the constructor by way of a native method's error",
        "() => { try { null.x; } catch (e) { return e.constructor.constructor('return 1')(); } }",
        NO_FUNCTION,
    ),
    attack(
        "the constructor by way of a stack overflow",
        "() => { const f = () => f() + 1; try { f(); } catch (e) { return e.constructor.constructor('1'); } }",
        NO_FUNCTION,
    ),
    attack(
        "Reflect.construct with another new.target",
        "() => Reflect.construct(Function, ['return 1'], class extends Object {})()",
        NO_FUNCTION,
    ),
    attack(
        "a class that extends Function",
        "() => new (class extends Function { constructor() { super('return 1'); } })()",
        NO_FUNCTION,
    ),
    attack(
        "a bound Function behind a proxy",
        "() => new (new Proxy(Function.bind(null), {}))('return 1')()",
        NO_FUNCTION,
    ),
    attack("eval, indirectly", "() => (0, eval)('globalThis')", Throws("eval() is disabled")),
    attack(
        "eval as a callback",
        "() => ['1 + 1'].map(eval)",
        Throws("eval() is disabled"),
    ),
    attack(
        "a timer that takes text",
        "() => [typeof setTimeout, typeof setInterval, typeof setImmediate]",
        Says(r#"["undefined","undefined","undefined"]"#),
    ),
    attack(
        "other realms and compartments",
        "() => ['Compartment', 'ShadowRealm', 'Realm', 'Worker', 'WebAssembly', 'ModuleSource', 'lockdown']
           .filter((name) => name in globalThis)",
        Says("[]"),
    ),
    attack(
        "the engine's own host objects",
        "() => ['std', 'os', 'bjson', 'scriptArgs', 'print', 'gc', 'navigator', 'load', 'require', 'process',
                'Deno', 'Bun', 'module', '__ocap', 'Intl', 'queueMicrotask', 'performance']
           .filter((name) => name in globalThis)",
        Says("[]"),
    ),
    attack(
        "importing a file by its path",
        "() => import('/etc/passwd')",
        Throws("/etc/passwd"),
    ),
    attack(
        "importing by other schemes",
        "async () => {
           const names = ['file:///etc/passwd', 'data:text/javascript,1', 'https://example.com/x.js', 'node:fs',
                          'fs', 'std', 'os', 'qjs:std', '../../x.js', './main.js/../x.js', '', '\\0', 'main.js\\0'];
           const got = await Promise.allSettled(names.map((name) => import(name)));
           return names.filter((_, i) => got[i].status === 'fulfilled');
         }",
        Says("[]"),
    ),
    attack(
        "importing with a specifier that changes",
        "() => { let n = 0; return import({ toString: () => (n++ ? '/etc/passwd' : '@endo/nothing') }); }",
        Throws("@endo/nothing"),
    ),
    attack(
        "importing as another type",
        "async () => {
           const kinds = ['json', 'text', 'bytes'];
           const got = await Promise.allSettled(kinds.map((type) => import('/etc/passwd', { with: { type } })));
           return kinds.filter((_, i) => got[i].status === 'fulfilled');
         }",
        Says("[]"),
    ),
    attack(
        "import.meta tells where code lies",
        "() => Object.keys(import.meta).filter((key) => /[/]|file|home/.test(String(import.meta[key])))",
        Says("[]"),
    ),
    attack(
        "changing what a built-in module exports",
        "async () => { const far = await import('@endo/far'); far.E = () => 'mine'; }",
        Throws("read-only"),
    ),
    attack(
        "the caller's frame by arguments.callee",
        "() => (function () { return arguments.callee.caller; })()",
        Throws("invalid property access"),
    ),
    attack(
        "the caller's frame by Function.prototype",
        "() => { const f = function () { return [f.caller, f.arguments]; }; return f(1); }",
        Says(r##"["#undefined","#undefined"]"##),
    ),
    attack(
        "the global by a call without this",
        "() => [typeof (function () { return this; })(), typeof (0, function () { return this; })()]",
        Says(r#"["undefined","undefined"]"#),
    ),
];

#[test]
fn no_code_comes_from_strings_or_outside() {
    none_succeeds(MODULES);
}

pub(super) const BUNDLES: &[Attack] = &[
    attack(
        "a bundle that closes its wrapper to declare what the realm relies on",
        "}); let Promise = class { then() {} }; (function () { var __vatExports__ = {};",
        NeverStarts("SyntaxError"),
    ),
    attack(
        "a bundle that closes its wrapper to replace a global function",
        "}); function harden(x) { return x; } (function () { var __vatExports__ = {};",
        NeverStarts("TypeError"),
    ),
    attack(
        "a bundle that closes its wrapper to redeclare with var",
        "}); var assert = 1; if (assert !== 1) throw Error('held'); (function () { var __vatExports__ = {};",
        NeverStarts(""),
    ),
    attack(
        "with, to put an object into scope",
        "var __vatExports__ = (function () { with ({ E: 1 }) { return E; } })({});",
        NeverStarts("SyntaxError"),
    ),
    attack(
        "the global by a sloppy this",
        "var __vatExports__ = { buildRootObject() {
           const root = { attack: () => typeof (function () { return this; })() };
           return HandledPromise.resolve(0).then(() => makeRoot(root)); } };
         const makeRoot = (methods) => Object.freeze(Object.setPrototypeOf(Object.freeze === 0 ? 1 : methods,
           Object.freeze(Object.create(Object.prototype, {
             [Symbol.for('passStyle')]: { value: 'remotable' }, [Symbol.toStringTag]: { value: 'Alleged: root' } }))));",
        Says("\"undefined\""),
    ),
    attack(
        "assigning to a name that nobody declared",
        "var __vatExports__ = {}; undeclared = 1;",
        NeverStarts("undeclared"),
    ),
    attack("import() in a bundle", "var __vatExports__ = { buildRootObject: () => import('/etc/passwd') };",
        NeverStarts("/etc/passwd")),
    attack("an import declaration in a bundle", "import * as std from 'std'; var __vatExports__ = {};",
        NeverStarts("SyntaxError")),
    attack(
        "a bundle whose exports are a proxy",
        "var __vatExports__ = new Proxy({}, { get: (_, key) => { throw Error(`asked for ${String(key)}`); } });",
        NeverStarts(""),
    ),
];

#[test]
fn no_bundle_gets_out_of_its_wrapper() {
    none_succeeds_in(BUNDLES, true);
}
