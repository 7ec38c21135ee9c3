//! What ECMAScript says about the built-ins that the realm replaces, takes parts off or freezes: that
//! it still holds, and where it does not, how. Ordered like the folders of test262.

use super::{all_throw, all_true};

#[test]
fn functions_and_their_constructors_have_the_standard_shape() {
    all_true(
        "Function.length === 1 && Function.name === 'Function' && typeof Function === 'function'
         Object.getPrototypeOf(Function) === Function.prototype
         (() => {}) instanceof Function && (async () => {}) instanceof Function && class {} instanceof Function
         Function.prototype.constructor === Function && (() => {}).constructor === Function
         Object.getPrototypeOf(Object.getPrototypeOf(async () => {}).constructor) === Function
         Object.getPrototypeOf(Object.getPrototypeOf(function* () {}).constructor) === Function
         Object.getPrototypeOf(Object.getPrototypeOf(async function* () {}).constructor) === Function
         Object.getPrototypeOf(async () => {}).constructor.name === 'AsyncFunction'
         Object.getPrototypeOf(function* () {}).constructor.name === 'GeneratorFunction'
         Object.getPrototypeOf(async function* () {}).constructor.name === 'AsyncGeneratorFunction'
         (function* () {}) instanceof Object.getPrototypeOf(function* () {}).constructor
         Object.getPrototypeOf(async () => {})[Symbol.toStringTag] === 'AsyncFunction'
         Object.getPrototypeOf(function* () {})[Symbol.toStringTag] === 'GeneratorFunction'
         (() => { const d = Object.getOwnPropertyDescriptor(Function, 'prototype'); return d.writable === false && d.enumerable === false && d.configurable === false; })()
         Function.prototype() === undefined && Function.prototype.length === 0 && Function.prototype.name === ''
         (function (a, b = 1, ...c) {}).length === 1 && ((a, b) => {}).length === 2
         (() => { const f = () => {}; return f.name === 'f'; })() && (class A {}).name === 'A' && ({ m() {} }).m.name === 'm'
         Object.getOwnPropertyDescriptor({ get x() { return 1; } }, 'x').get.name === 'get x'
         (function () { 'use strict'; return this; }).call(5) === 5 && (function () { 'use strict'; return this; })() === undefined
         (function (a, b) { return this.x + a + b; }).bind({ x: 1 }, 2)(3) === 6
         (function f(a, b) {}).bind(null, 1).length === 1 && (function f() {}).bind().name === 'bound f'
         Math.max.apply(null, { length: 2, 0: 1, 1: 7 }) === 7
         (function () {}).toString().startsWith('function')
         Function.prototype[Symbol.hasInstance].call(Array, []) === true
         (() => { function F() {} F.prototype.x = 1; return new F().x === 1 && new F().constructor === F; })()
         Reflect.construct(function () { return new.target; }, [], Map) !== undefined
         (() => { 'use strict'; return (function () { try { arguments.callee; } catch (e) { return e instanceof TypeError; } })(); })()
         (() => { const f = function () {}; return !Object.hasOwn(f, 'caller') && !Object.hasOwn(f, 'arguments'); })()",
    );
    all_throw(
        "Function('return 1') // Function() is disabled
         new Function('return 1') // Function() is disabled
         Reflect.construct(Function, ['']) // Function() is disabled
         Object.getPrototypeOf(async () => {}).constructor('') // AsyncFunction() is disabled
         new (Object.getPrototypeOf(function* () {}).constructor)('') // GeneratorFunction() is disabled
         (0, eval)('1') // eval() is disabled
         new (() => {})() // not a constructor
         (class {})() // new
         Function.prototype.toString.call({}) // function",
    );
}

#[test]
fn dates_lack_a_clock_and_nothing_else() {
    all_true(
        "Date.length === 7 && Date.name === 'Date' && Date.prototype.constructor === Date
         new Date(0) instanceof Date && Object.prototype.toString.call(new Date(0)) === '[object Date]'
         new Date(0).toISOString() === '1970-01-01T00:00:00.000Z' && new Date(0).toJSON() === new Date(0).toISOString()
         JSON.stringify({ d: new Date(5) }) === '{\"d\":\"1970-01-01T00:00:00.005Z\"}'
         new Date(2020, 1, 29, 1, 2, 3, 4).getTime() === Date.UTC(2020, 1, 29, 1, 2, 3, 4)
         Date.UTC(1970) === 0 && Date.UTC(70, 0) === 0 && Date.UTC.length === 7
         Date.parse('1970-01-01T00:00:00.001Z') === 1 && Date.parse.length === 1 && Number.isNaN(Date.parse('x'))
         Date.parse('2000-01-01') === Date.parse('2000-01-01T00:00:00Z')
         Number.isNaN(new Date(NaN).getTime()) && String(new Date(NaN)) === 'Invalid Date'
         Number.isNaN(new Date(8.64e15 + 1).getTime()) && new Date(8.64e15).getTime() === 8.64e15
         new Date(new Date(7)).getTime() === 7 && new Date('1970-01-02').getTime() === 864e5
         new Date(1.9).getTime() === 1 && Object.is(new Date(-0).getTime(), 0)
         new Date(0)[Symbol.toPrimitive]('number') === 0 && typeof new Date(0)[Symbol.toPrimitive]('default') === 'string'
         new Date(5) - new Date(3) === 2 && typeof (new Date(0) + 1) === 'string'
         (() => { const d = new Date(0); d.setUTCFullYear(2024, 1, 29); return d.toISOString().startsWith('2024-02-29'); })()
         (() => { class D extends Date { x() { return this.getTime(); } } return new D(3).x() === 3 && new D(3) instanceof D; })()
         Reflect.construct(Date, [9], Object).getTime === undefined && Date.prototype.getTime.call(Reflect.construct(Date, [9], Object)) === 9
         new Date(0).getTimezoneOffset() === 0
         ['now', 'parse', 'UTC'].every(n => { const d = Object.getOwnPropertyDescriptor(Date, n); return typeof d.value === 'function' && !d.enumerable; })
         Date.now.name === 'now' && Date.now.length === 0",
    );
    all_throw(
        "Date.now() // secure mode
         new Date() // secure mode
         Date() // secure mode
         new Date(Symbol()) // ymbol
         new Date(NaN).toISOString() // NaN
         Date.prototype.getTime.call({}) // Date
         new Date(0)[Symbol.toPrimitive]('x') // hint",
    );
}

#[test]
fn math_lacks_randomness_and_nothing_else() {
    all_true(
        "Object.prototype.toString.call(Math) === '[object Math]' && Math[Symbol.toStringTag] === 'Math'
         Math.random.name === 'random' && Math.random.length === 0
         Object.is(Math.max(), -Infinity) && Object.is(Math.min(), Infinity) && Object.is(Math.max(-0, 0), 0) && Object.is(Math.min(0, -0), -0)
         Object.is(Math.round(-0.5), -0) && Math.round(0.49999999999999994) === 0 && Math.round(2.5) === 3 && Math.round(-2.5) === -2
         Object.is(Math.sign(-0), -0) && Object.is(Math.trunc(-0.9), -0) && Object.is(Math.ceil(-0.5), -0)
         Math.hypot() === 0 && Math.hypot(3, 4) === 5 && Math.hypot(NaN, Infinity) === Infinity
         Math.fround(5.5) === 5.5 && Math.fround(5.05) !== 5.05 && Math.clz32(1) === 31 && Math.imul(0xffffffff, 5) === -5
         Number.isNaN(Math.pow(1, Infinity)) && Math.pow(NaN, 0) === 1 && 2 ** -1074 === Number.MIN_VALUE
         ['E', 'LN10', 'LN2', 'LOG10E', 'LOG2E', 'PI', 'SQRT1_2', 'SQRT2'].every(n => { const d = Object.getOwnPropertyDescriptor(Math, n); return !d.writable && !d.enumerable && !d.configurable; })
         Math.cbrt(27) === 3 && Math.log2(8) === 3 && Math.log10(1000) === 3 && Math.expm1(0) === 0 && Math.log1p(0) === 0
         Math.atan2(0, -0) === Math.PI && Object.is(Math.atan2(-0, 0), -0)",
    );
    all_throw(
        "Math.random() // secure mode
         Math.max(1n) // igInt
         new Math() // not a constructor
         Math() // not a function",
    );
}

#[test]
fn errors_have_the_standard_shape() {
    all_true(
        "[Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError].every(E => E.length === 1 && E.prototype.name === E.name && E.prototype.message === '')
         [TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError, AggregateError].every(E => Object.getPrototypeOf(E) === Error && Object.getPrototypeOf(E.prototype) === Error.prototype)
         Error('m') instanceof Error && new Error('m').message === 'm' && !Object.hasOwn(Error(), 'message')
         (() => { const d = Object.getOwnPropertyDescriptor(Error('m'), 'message'); return d.value === 'm' && d.writable && !d.enumerable && d.configurable; })()
         (() => { const d = Object.getOwnPropertyDescriptor(Error('m', { cause: 0 }), 'cause'); return d.value === 0 && d.writable && !d.enumerable && d.configurable; })()
         !Object.hasOwn(Error('m'), 'cause') && Object.hasOwn(Error('m', { cause: undefined }), 'cause')
         AggregateError.length === 2 && AggregateError([1, 2], 'm').errors.length === 2 && AggregateError(new Set([1])).errors[0] === 1
         String(Error('m')) === 'Error: m' && String(Error()) === 'Error' && String(Object.assign(Error('m'), { name: '' })) === 'm'
         Error.prototype.toString.call({ name: 'N', message: 'M' }) === 'N: M' && Error.prototype.toString.call({}) === 'Error'
         (() => { class Mine extends RangeError { get name() { return 'Mine'; } } const e = new Mine('m'); return e instanceof RangeError && String(e) === 'Mine: m'; })()
         (() => { class Mine extends Error { constructor(m) { super(m); this.name = 'Mine'; } } return String(new Mine('m')) === 'Mine: m'; })()
         Reflect.construct(Error, ['m'], Map) instanceof Map && Object.prototype.toString.call(Error()) === '[object Error]'
         Error.isError === undefined || (Error.isError(Error()) && !Error.isError({ __proto__: Error.prototype }))
         typeof Error('m').stack === 'string'
         (() => { const e = Error('m'); e.message = 'n'; e.stack = 's'; return e.message === 'n' && e.stack === 's'; })()
         (() => { try { null.x; } catch (e) { return e instanceof TypeError && e.constructor === TypeError; } })()
         (() => { try { undefined_name; } catch (e) { return e instanceof ReferenceError; } })()
         (() => { try { JSON.parse('{'); } catch (e) { return e instanceof SyntaxError; } })()
         (() => { try { decodeURI('%'); } catch (e) { return e instanceof URIError; } })()
         (() => { try { new Array(-1); } catch (e) { return e instanceof RangeError; } })()",
    );
    all_throw(
        "Error(Symbol()) // ymbol
         Error.prototype.toString.call(1) // object
         AggregateError(1) // iterable",
    );
}

#[test]
fn what_is_inherited_can_be_assigned_as_if_it_were_not_frozen() {
    all_true(
        "['toString', 'valueOf', 'constructor', 'hasOwnProperty', 'toLocaleString', 'isPrototypeOf', 'propertyIsEnumerable'].every(k => { const o = {}; o[k] = 1; const d = Object.getOwnPropertyDescriptor(o, k); return d.value === 1 && d.writable && d.enumerable && d.configurable; })
         (() => { function F() {} F.prototype.toString = () => 'F'; return String(new F()) === 'F'; })()
         (() => { function F() {} F.prototype = Object.create(Error.prototype); F.prototype.constructor = F; F.prototype.name = 'F'; return new F().name === 'F'; })()
         (() => { const f = () => {}; f.toString = 1; f.bind = 2; return f.toString === 1 && f.bind === 2; })()
         (() => { const a = []; a.toString = 1; a.push = 2; a.concat = 3; return a.toString === 1 && a.length === 0; })()
         (() => { const p = Promise.resolve(); p.then = 1; p.constructor = 2; return p.then === 1; })()
         (() => { const m = new Map(); m.get = () => 'mine'; return m.get() === 'mine' && Map.prototype.get.call(m) === undefined; })()
         (() => { const o = Object.create({ x: 1 }); o.x = 2; return o.x === 2 && Object.hasOwn(o, 'x'); })()
         (() => { 'use strict'; const o = Object.freeze({ toString: 1 }); try { o.toString = 2; } catch (e) { return e instanceof TypeError; } })()
         (() => { class A { toString = () => 'a'; constructor() { this.valueOf = () => 1; } } return `${new A()}` === 'a' && +{ __proto__: new A(), toString: undefined } === 1; })()
         Reflect.set({}, 'toString', 1) && !Reflect.set(Object.prototype, 'zzz', 1)
         (() => { const o = {}; return Reflect.set({}, 'toString', 1, o) && o.toString === 1; })()
         Object.keys({ toString: 1 }).join() === 'toString' && (() => { const o = {}; o.toString = 1; return Object.keys(o).join() === 'toString'; })()
         (() => { for (const k in {}) return k; return true; })()
         (() => { for (const k in []) return k; return true; })()
         JSON.stringify(Object.assign({}, { toString: 1, constructor: 2 })) === '{\"toString\":1,\"constructor\":2}'
         ({ ...{ toString: 1 } }).toString === 1
         JSON.parse('{\"__proto__\":1,\"toString\":2}').toString === 2 && Object.hasOwn(JSON.parse('{\"__proto__\":1}'), '__proto__')
         ({ __proto__: null }) instanceof Object === false && Object.getPrototypeOf({ ['__proto__']: 1 }) === Object.prototype
         (() => { const o = { __proto__: { a: 1 } }; return o.a === 1 && o.__proto__.a === 1; })()",
    );
    all_throw(
        "(() => { 'use strict'; Object.prototype.toString = 1; })() // Cannot assign to read only
         (() => { 'use strict'; Object.prototype.zzz = 1; })() // extensible
         (() => { 'use strict'; Array.prototype[0] = 1; })() // extensible
         (() => { 'use strict'; [].length.toString = 1; })() // read-only
         Object.defineProperty(Object.prototype, 'zzz', { value: 1 }) // extensible
         Object.setPrototypeOf(Array.prototype, null) // extensible
         (() => { 'use strict'; delete Array.prototype.map; })() // delete",
    );
}

#[test]
fn descriptors_are_told_as_the_standard_says() {
    all_true(
        "Object.getOwnPropertyDescriptor.length === 2 && Reflect.getOwnPropertyDescriptor.length === 2 && Object.getOwnPropertyDescriptors.length === 1
         Object.getOwnPropertyDescriptor.name === 'getOwnPropertyDescriptor' && Object.getOwnPropertyDescriptors.name === 'getOwnPropertyDescriptors'
         Object.getOwnPropertyDescriptor({}, 'x') === undefined && Object.getOwnPropertyDescriptor('ab', 1).value === 'b'
         Object.getOwnPropertyDescriptor([1], 'length').value === 1 && Object.getOwnPropertyDescriptor({ undefined: 3 }).value === 3
         (() => { let n = 0; const k = { toString() { n += 1; return 'x'; } }; return Object.getOwnPropertyDescriptor({ x: 5 }, k).value === 5 && n === 1; })()
         (() => { const k = { [Symbol.toPrimitive]: () => Symbol.iterator }; return typeof Object.getOwnPropertyDescriptor(Array.prototype, k) === 'object'; })()
         Object.keys(Object.getOwnPropertyDescriptor({ x: 1 }, 'x')).join() === 'value,writable,enumerable,configurable'
         Object.keys(Object.getOwnPropertyDescriptor({ get x() { return 1; } }, 'x')).join() === 'get,set,enumerable,configurable'
         (() => { const s = Symbol(); const d = Object.getOwnPropertyDescriptors({ a: 1, [s]: 2 }); return d.a.value === 1 && d[s].value === 2 && Reflect.ownKeys(d).length === 2; })()
         Object.hasOwn(Object.getOwnPropertyDescriptors({ ['__proto__']: 1 }), '__proto__')
         Object.getOwnPropertyDescriptor(new Proxy({}, { getOwnPropertyDescriptor: () => ({ value: 1, configurable: true }) }), 'x').value === 1
         (() => { const p = new Proxy({ a: 1 }, {}); return Object.getOwnPropertyDescriptor(p, 'a').writable; })()",
    );
    all_throw(
        "Object.getOwnPropertyDescriptor(null, 'x') // object
         Object.getOwnPropertyDescriptor(undefined, 'x') // object
         Reflect.getOwnPropertyDescriptor(1, 'x') // object
         Object.getOwnPropertyDescriptors(undefined) // object
         Object.getOwnPropertyDescriptor({}, { toString() { throw Error('key'); } }) // key
         Object.getOwnPropertyDescriptor(new Proxy({}, { getOwnPropertyDescriptor: () => 1 }), 'x') // proxy
         Object.getOwnPropertyDescriptor(new Proxy({}, { getOwnPropertyDescriptor: () => ({ value: 1, configurable: false }) }), 'x') // proxy",
    );
}

#[test]
fn iterators_and_regular_expressions_lack_only_what_was_taken() {
    all_true(
        "['drop', 'every', 'filter', 'find', 'flatMap', 'forEach', 'map', 'reduce', 'some', 'take', 'toArray'].every(n => typeof Iterator.prototype[n] === 'function')
         Iterator.from([1, 2, 3]).map(x => x * 2).filter(x => x > 2).toArray().join() === '4,6'
         [1, 2][Symbol.iterator]() instanceof Iterator && (function* () {})() instanceof Iterator
         Iterator.prototype[Symbol.toStringTag] === 'Iterator' && Iterator.prototype.constructor === Iterator
         (() => { class I extends Iterator { next() { return { done: true }; } } return new I().toArray().length === 0; })()
         (() => { const g = (function* () { try { yield 1; } finally { g.ended = true; } })(); for (const x of g) break; return g.ended; })()
         [...(function* () { const x = yield 1; yield* [x, 3]; })()].join() === '1,,3'
         RegExp.prototype.compile === undefined && /a/ instanceof RegExp && RegExp('a', 'g').flags === 'g'
         RegExp.length === 2 && RegExp(/a/) !== /a/ && (() => { const r = /a/; return RegExp(r) === r && new RegExp(r) !== r; })()
         (() => { const r = /a/g; r.lastIndex = 1; return r.test('ba') && r.lastIndex === 2 && !r.test('ba') && r.lastIndex === 0; })()
         (() => { const r = Object.freeze(/a/g); try { r.test('a'); } catch (e) { return e instanceof TypeError; } })()
         /(?<y>\\d{4})/.exec('in 2024').groups.y === '2024' && 'aXbX'.replaceAll(/X/g, m => m.toLowerCase()) === 'axbx'
         /\\u{1F600}/u.test('\\u{1F600}') && /^.$/su.test('\\n') && /(?<=a)b/.test('ab') && /\\p{L}/u.test('\\u00e9')
         [...'a1b2'.matchAll(/[a-z](\\d)/g)].map(m => m[1]).join() === '1,2' && 'a-b'.split(/(-)/).join() === 'a,-,b'
         (() => { class R extends RegExp { exec(s) { const m = super.exec(s); if (m) m[0] = 'x'; return m; } } return 'ab'.match(new R('b'))[0] === 'x'; })()
         Object.getOwnPropertyDescriptor(RegExp, '$1') === undefined && RegExp.lastMatch === undefined && RegExp.input === undefined
         ['dotAll', 'flags', 'global', 'hasIndices', 'ignoreCase', 'multiline', 'source', 'sticky', 'unicode'].every(n => typeof Object.getOwnPropertyDescriptor(RegExp.prototype, n).get === 'function')
         RegExp.prototype.source === '(?:)' && RegExp.prototype.global === undefined && RegExp[Symbol.species] === RegExp",
    );
    all_throw(
        "Iterator() // onstructor
         new Iterator() // bstract
         RegExp('(') // expecting
         RegExp('a', 'gg') // flags
         RegExp.prototype.exec.call({}, 'a') // RegExp",
    );
}

#[test]
fn collections_symbols_and_promises_work_on_frozen_prototypes() {
    all_true(
        "(() => { class A extends Array {} const a = A.from([1, 2]).map(x => x); return a instanceof A && a.length === 2 && A[Symbol.species] === A; })()
         (() => { class M extends Map { get(k) { return super.get(k) ?? 0; } } return new M([[1, 2]]).get(3) === 0; })()
         (() => { class P extends Promise {} const p = P.resolve(1).then(x => x); return p instanceof P; })()
         Promise.length === 1 && Promise.resolve.length === 1 && Promise.all.length === 1 && Promise.prototype.then.length === 2
         (() => { const p = Promise.resolve(1); return Promise.resolve(p) === p; })()
         (() => { const { promise, resolve } = Promise.withResolvers(); resolve(1); return promise instanceof Promise; })()
         new Map([[NaN, 1]]).get(NaN) === 1 && Object.is([...new Map([[-0, 1]]).keys()][0], 0) && new Set([1, 1]).size === 1
         Object.groupBy([1, 2, 3], x => (x % 2 ? 'odd' : 'even')).odd.join() === '1,3'
         new Set([1, 2]).union(new Set([3])).size === 3 && new Set([1]).isSubsetOf(new Set([1, 2]))
         (() => { const w = new WeakMap(); const k = {}; return w.set(k, 1) === w && w.get(k) === 1 && w.delete(k) && !w.has(k); })()
         Symbol.for('a') === Symbol.for('a') && Symbol.keyFor(Symbol.for('a')) === 'a' && Symbol.keyFor(Symbol.iterator) === undefined
         Symbol('d').description === 'd' && Symbol().description === undefined && Object(Symbol.iterator).valueOf() === Symbol.iterator
         [3, 1, 2].toSorted().join() === '1,2,3' && [1, 2].with(0, 9).join() === '9,2' && [1, [2, [3]]].flat(Infinity).join() === '1,2,3'
         [1, 2, 3].at(-1) === 3 && [, 1].includes(undefined) && [NaN].includes(NaN) && [NaN].indexOf(NaN) === -1
         Array.from({ length: 2 }, (_, i) => i).join() === '0,1' && Array.of(7).length === 1 && Array.isArray(new Proxy([], {}))
         [...'\\u{1F600}a'].length === 2
         new Uint8Array([1, 2, 3]).subarray(1)[0] === 2 && new Float64Array(1).fill(NaN)[0] !== 0 && new DataView(new ArrayBuffer(8)).getBigInt64(0) === 0n
         (5n ** 20n) === 95367431640625n && BigInt.asUintN(8, 257n) === 1n && typeof Object(1n) === 'object'
         (() => { label: for (const a of [1, 2]) { for (;;) continue label; } return true; })()
         (() => { const { a = 1, ...rest } = { b: 2, c: 3 }; const [x, , y = 4] = [1, 2]; return a + rest.b + rest.c + x + y === 11; })()
         (() => { class A { #x = 1; static #n = 0; static has(o) { return #x in o; } get x() { return this.#x; } static { A.#n += 1; } } return A.has(new A()) && !A.has({}) && new A().x === 1; })()
         (() => { const o = { a: { b: null } }; return o?.a?.b?.c === undefined && (o.a.b ??= 5) === 5; })()
         ((s, ...v) => s.raw[0] === '\\\\n' && Object.isFrozen(s) && v[0] === 1)`\\n${1}`",
    );
    all_throw(
        "new Symbol() // constructor
         Symbol() + '' // ymbol
         new WeakMap([[1, 1]]) // key
         Promise() // new
         new Promise() // function
         1n + 1 // igInt
         new Proxy({}, null) // object
         new Map([1]) // object
         [].reduce((a, b) => a) // empty",
    );
}

#[test]
fn the_global_object_is_as_the_standard_says() {
    all_true(
        "typeof globalThis === 'object' && globalThis.globalThis === globalThis
         ['NaN', 'Infinity', 'undefined'].every(n => { const d = Object.getOwnPropertyDescriptor(globalThis, n); return !d.writable && !d.enumerable && !d.configurable; })
         ['parseInt', 'parseFloat', 'isNaN', 'isFinite', 'decodeURI', 'decodeURIComponent', 'encodeURI', 'encodeURIComponent'].every(n => typeof globalThis[n] === 'function')
         parseInt === Number.parseInt && parseFloat === Number.parseFloat && parseInt('0x1f') === 31 && parseInt('12px') === 12
         encodeURIComponent('\\u00e9 &') === '%C3%A9%20%26' && decodeURIComponent('%F0%9F%98%80') === '\\u{1F600}' && escape('\\u00e9') === '%E9'
         typeof eval === 'function' && eval.length === 1 && eval.name === 'eval'
         typeof undeclared_anywhere === 'undefined'
         (() => { 'use strict'; try { undeclared_anywhere = 1; } catch (e) { return e instanceof ReferenceError; } })()",
    );
}
