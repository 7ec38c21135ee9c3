//! Keys, collections of them, and patterns: what the built-in `@endo/patterns` says of what it is
//! given, as facts about the package of that name say it should.

use super::{all_throw, all_true};

/// Expressions that use everything the module exports.
fn with_patterns(cases: &str) -> String {
    let cases = cases.lines().map(str::trim).filter(|line| !line.is_empty());
    let cases = cases.map(|line| {
        let (expression, wanted) = line.split_once(" // ").unwrap_or((line, ""));
        let wanted = if wanted.is_empty() { String::new() } else { format!(" // {wanted}") };
        format!(
            "(() => {{ const p = ocap.patterns; const {{ makeCopySet: set, makeCopyBag: bag, makeCopyMap: map, matches, M, kindOf }} = p; \
             const [mustMatch, compareKeys, isKey, isPattern, containerHasSplit] = ['mustMatch', 'compareKeys', 'isKey', 'isPattern', 'containerHasSplit'].map(n => (...all) => p[n](...harden(all))); \
             const {{ Far, makeTagged: tagged }} = ocap; const [r, s] = [Far('r', {{}}), Far('s', {{}})]; \
             const is = (a, b) => JSON.stringify(a, (_, v) => typeof v === 'bigint' ? `${{v}}n` : v) === JSON.stringify(b, (_, v) => typeof v === 'bigint' ? `${{v}}n` : v); \
             return {expression}; }})(){wanted}"
        )
    });
    cases.collect::<Vec<_>>().join("\n")
}

#[test]
fn collections_hold_keys_in_falling_rank() {
    all_true(&with_patterns(
        "is(set([1, 'foo', 2, 'bar']).payload, ['foo', 'bar', 2, 1])
         is(p.getCopySetKeys(set([undefined, Symbol.for('y'), null, 's', r, 1n, 1, true, [1], {}])).map(k => ocap.passStyleOf(k)), ['undefined', 'symbol', 'null', 'string', 'remotable', 'bigint', 'number', 'boolean', 'copyArray', 'copyRecord'])
         is(set([NaN, Infinity, -1, -Infinity]).payload.map(String), ['NaN', 'Infinity', '-1', '-Infinity'])
         is(set([[1], [], [1, 2], [2]]).payload, [[2], [1, 2], [1], []])
         is(set([{ b: 1 }, { a: 9 }, { a: 1, b: 0 }, { a: 2, b: 0 }]).payload, [{ a: 2, b: 0 }, { a: 1, b: 0 }, { b: 1 }, { a: 9 }])
         is(p.getCopyBagEntries(bag([['a', 1n], ['z', 26n], ['c', 3n]])), [['z', 26n], ['c', 3n], ['a', 1n]])
         is(p.makeCopyBagFromElements(['z', 'b', 'z', 'a', 'b', 'b']).payload, [['z', 2n], ['b', 3n], ['a', 1n]])
         is(p.getCopyMapEntries(map([['x', 8], ['y', 7]])), [['y', 7], ['x', 8]])
         is(map([['a', null], ['z', true]]).payload, { keys: ['z', 'a'], values: [true, null] })
         Object.isFrozen(set([1])) && ocap.passStyleOf(set([1])) === 'tagged' && ocap.getTag(map([])) === 'copyMap'
         p.isCopySet(tagged('copySet', [2, 1])) && !p.isCopySet(tagged('copySet', [1, 2])) && !p.isCopySet(bag([])) && !p.isCopySet('x')
         p.isCopyBag(bag([])) && !p.isCopyBag(tagged('copyBag', [['a', 0n]])) && !p.isCopyBag(tagged('copyBag', [['a', 1]]))
         p.isCopyMap(map([])) && !p.isCopyMap(tagged('copyMap', { keys: [1], values: [] })) && !p.isCopyMap(tagged('copyMap', { keys: [] }))
         isKey(set([r, s])) && isKey([1, { a: r }]) && isKey(map([[1, 2]])) && !isKey(map([[1, Promise.resolve()]])) && !isKey(Error('x')) && !isKey(M.any()) && !isKey(tagged('x', 1))
         (() => { let n = 0; const hundred = Array.from({ length: 2000 }, () => Far('x', {})); return set(hundred).payload.length === 2000; })()",
    ));
    all_throw(&with_patterns(
        "set(['a', 'a']) // value has duplicate keys
         set([r, s, r]) // value has duplicate keys
         set([[r, 1], [s, 1], [r, 1]]) // value has duplicate keys
         bag([['a', 1n], ['a', 1n]]) // value has duplicate keys
         map([['a', 1], ['a', 2]]) // value has duplicate keys
         bag([['a', 0n]]) // must have a positive count
         bag([['a', 1]]) // must be pair of a key and a bigint
         set([Promise.resolve()]) // A \"promise\" cannot be a key
         set([M.string()]) // A passable tagged \"match:string\" is not a key
         p.getCopySetKeys(bag([])) // Not a copySet
         p.assertCopySet(tagged('copySet', [1, 2])) // must be sorted in reverse rank order
         p.assertCopySet(tagged('copySet', [1, 1])) // value has duplicate keys
         p.assertCopyMap(tagged('copyMap', 1)) // payload must be a record
         p.assertScalarKey(harden([])) // A \"copyArray\" cannot be a scalar key
         p.assertKey(harden(Error('x'))) // A \"error\" cannot be a key",
    ));
}

#[test]
fn keys_have_a_partial_order() {
    all_true(&with_patterns(
        "compareKeys(3, 3) === 0 && compareKeys(1, 2) === -1 && compareKeys('b', 'a') === 1 && compareKeys(0, -0) === 0
         Number.isNaN(compareKeys(3, 'three')) && Number.isNaN(compareKeys(null, undefined)) && Number.isNaN(compareKeys(r, s)) && compareKeys(r, r) === 0
         compareKeys(NaN, NaN) === 0 && Number.isNaN(compareKeys(NaN, 42)) && Number.isNaN(compareKeys(42, NaN))
         compareKeys([1, 2], [1, 3]) === -1 && compareKeys([1], [1, 0]) === -1 && Number.isNaN(compareKeys([r], [s]))
         compareKeys({ a: 1, b: 2 }, { b: 3, a: 1 }) === -1 && Number.isNaN(compareKeys({ a: 1, b: 2 }, { a: 2, b: 1 })) && Number.isNaN(compareKeys({ a: 1 }, { a: 1, b: 1 }))
         compareKeys(set([1, 2]), set([2, 1])) === 0 && compareKeys(set([1]), set([1, 2])) === -1 && Number.isNaN(compareKeys(set([1]), set([2])))
         compareKeys(set([r, s]), set([s, r])) === 0 && compareKeys(bag([[r, 2n], [s, 1n]]), bag([[s, 1n], [r, 2n]])) === 0
         compareKeys(bag([['a', 2n]]), bag([['a', 2n], ['b', 3n]])) === -1 && compareKeys(bag([['a', 2n]]), bag([['a', 1n]])) === 1 && Number.isNaN(compareKeys(bag([['a', 1n]]), bag([['b', 1n]])))
         Number.isNaN(compareKeys(set([1]), bag([[1, 1n]]))) && p.keyEQ(map([[r, 1], [s, 2]]), map([[s, 2], [r, 1]])) && !p.keyEQ(map([[r, 1]]), map([[r, 2]]))
         p.keyLT(1, 2) && !p.keyLT(1, 1) && p.keyLTE(1, 1) && p.keyGT(2, 1) && p.keyGTE(1, 1) && !p.keyGTE(1, 2) && !p.keyGTE(1, 'a')
         is(p.setUnion(set([1, 2]), set([2, 3])).payload, [3, 2, 1]) && is(p.setIntersection(set([1, 2]), set([2, 3])).payload, [2]) && is(p.setDisjointSubtract(set([1, 2]), set([2])).payload, [1])
         p.setIsSuperset(set([1, 2]), set([2])) && !p.setIsSuperset(set([1]), set([2])) && p.setIsDisjoint(set([1]), set([2])) && p.setCompare(set([]), set([1])) === -1
         is(p.elementsUnion([2, 1], [3, 1]), [3, 2, 1]) && p.elementsIsSuperset([2, 1], [1]) && p.elementsIsDisjoint([1], [2])
         is(p.bagUnion(bag([['a', 1n]]), bag([['a', 2n], ['b', 1n]])).payload, [['b', 1n], ['a', 3n]]) && is(p.bagIntersection(bag([['a', 1n], ['c', 1n]]), bag([['a', 2n], ['b', 1n]])).payload, [['a', 1n]])
         is(p.bagDisjointSubtract(bag([['a', 3n], ['b', 1n]]), bag([['a', 1n], ['b', 1n]])).payload, [['a', 2n]]) && p.bagIsSuperbag(bag([['a', 2n]]), bag([['a', 1n]]))",
    ));
    all_throw(&with_patterns(
        "p.setDisjointUnion(set([1, 2]), set([2])) // must not have common elements
         p.setDisjointSubtract(set([1]), set([2])) // was not in left
         p.bagDisjointSubtract(bag([['a', 1n]]), bag([['a', 2n]])) // was not in left
         compareKeys(M.any(), 1) // is not a key",
    ));
}

#[test]
fn every_matcher_matches_what_it_says() {
    all_true(&with_patterns(
        "matches(set([3, 4]), M.set()) && matches(set([3]), M.setOf(M.number())) && !matches(set(['x', 1]), M.setOf(M.number())) && !matches(bag([]), M.set())
         matches(bag([['a', 2n]]), M.bag()) && matches(bag([['a', 2n]]), M.bagOf(M.string(), M.gte(2n))) && !matches(bag([['a', 1n]]), M.bagOf(M.string(), M.gte(2n))) && !matches(bag([[1, 1n]]), M.bagOf(M.string()))
         matches(map([[{}, 'a'], [{ foo: 3 }, 'b']]), M.mapOf(M.record(), M.string())) && matches(map([]), M.map()) && !matches(map([[1, 'a']]), M.mapOf(M.string(), M.string())) && !matches(map([[1, 'a']]), M.mapOf(M.number(), M.number()))
         matches([3, 4], M.containerHas(3)) && matches([3, 4], M.containerHas(M.number(), 2n)) && !matches([3, 4], M.containerHas('c')) && matches(set([3, 4]), M.containerHas(M.number(), 2n))
         matches(bag([['a', 2n], ['b', 3n]]), M.containerHas(M.string(), 5n)) && !matches(bag([['a', 2n], ['b', 3n]]), M.containerHas(M.string(), 6n)) && !matches('x', M.containerHas('x'))
         is(containerHasSplit([1, 'foo', 2, 'bar'], M.string(), 1n, false, true, true), [['foo'], [1, 2, 'bar']]) && containerHasSplit([1], M.string(), 1n, false) === false
         is(containerHasSplit(set([1, 'foo', 2, 'bar']), M.string(), 1n, false, true, true).map(c => c.payload), [['bar'], ['foo', 2, 1]])
         is(containerHasSplit(bag([['bar', 2n], ['foo', 2n], [1, 2n]]), M.string(), 3n, false, true, true).map(c => c.payload), [[['foo', 1n], ['bar', 2n]], [['foo', 1n], [1, 2n]]])
         matches(set([r, s]), set([s, r])) && matches(bag([[r, 2n], [s, 2n]]), bag([[s, 2n], [r, 2n]])) && !matches(set([r]), set([s]))
         matches(map([[r, 1], [s, 2]]), map([[s, M.gte(2)], [r, M.lte(1)]])) && !matches(map([[r, 1]]), map([[r, M.gte(2)]])) && !matches(map([[r, 1]]), map([[s, M.any()]]))
         matches(set([1]), M.gte(set([]))) && matches(set([1]), M.lte(set([1, 2]))) && !matches(set([1]), M.lte(set([]))) && matches([3, 4], M.gte([3])) && !matches({ a: 1 }, M.gte({ b: 1 })) && !matches(Promise.resolve(), M.gte(1))
         matches({ a: 3 }, M.eq({ a: 3 })) && matches([1], M.neq([2])) && matches(undefined, M.eq(undefined)) && matches(r, M.eq(r)) && !matches(s, r)
         matches({ type: 'a', x: 1 }, M.discriminated('type', { a: { x: M.number() }, b: {} })) && !matches({ type: 'b', x: 1 }, M.discriminated('type', { a: { x: M.number() }, b: {} })) && !matches({ x: 1 }, M.discriminated('type', { a: {} }))
         matches(tagged('Vow', { v: r }), M.tagged('Vow', { v: M.remotable('V') })) && matches(tagged('Vow', 1), M.tagged()) && !matches(tagged('Vow', 1), M.record()) && !matches(1, M.tagged())
         matches([3, 4], M.split([3])) && matches([3, 4], M.split([3], [4])) && matches([3, 4], M.partial([3, 4, 5])) && matches([3], M.splitArray([3], [M.string()])) && !matches([3, 4], M.split([3], 'x'))
         matches({ foo: 3, bar: 4 }, M.split({ foo: 3 }, { bar: 4 })) && matches({ foo: 3 }, M.partial({ foo: 3, zip: 5 })) && !matches({ foo: 3 }, M.splitRecord({ foo: 3, z: 4 })) && matches({ a: undefined }, M.splitRecord({}, { a: M.string() }))
         matches(Promise.resolve(), M.promise('Answer')) && matches(r, M.remotable('R')) && !matches(1, M.byteArray()) && matches(null, M.null()) && matches(undefined, M.undefined()) && !matches(1, M.or())
         kindOf(set([])) === 'copySet' && kindOf(tagged('x', 1)) === undefined && kindOf(M.any()) === 'match:any' && kindOf(tagged('match:any', 88)) === undefined && kindOf(1) === 'number'
         isPattern([M.string(), { a: set([1]) }]) && !isPattern(Promise.resolve()) && !isPattern([Error('x')]) && !isPattern(tagged('match:remotable', { label: 88 })) && !isPattern(M.call().returns())
         matches(M.string(), M.pattern()) && !matches(tagged('match:recordOf', [M.string(), Promise.resolve()]), M.pattern()) && !matches(M.any(), M.key()) && matches(set([1]), M.key()) && !matches([], M.scalar())
         (() => { const deep = n => n === 0 ? M.number() : M.arrayOf(deep(n - 1)); let v = 1; for (let i = 0; i < 50; i += 1) v = [v]; return matches(v, deep(50)) && !matches([v], deep(50)); })()
         p.getInterfaceMethodKeys(M.interface('I', { a: M.call().returns(), [Symbol.for('b')]: M.call().returns() })).length === 2
         (() => { const y = Symbol.for('y'); const x = ocap.makeExo('X', M.interface('X', { [y]: M.call(M.number()).returns(M.number()) }), { [y]: n => n + 1 }); let no = 0; try { x[y]('a'); } catch { no = 1; } return x[y](1) === 2 && no === 1; })()
         (() => { const x = ocap.makeExo('X', M.interface('X', { m: M.call(M.number()).returns(M.number()) }), { m: (...all) => all.length }); return x.m(1, 2, 3) === 1; })()
         is(p.listDifference(['a', 'b'], ['b']), ['a']) && is(p.objectMap({ a: 1 }, v => v + 1), { a: 2 })",
    ));
}

#[test]
fn what_does_not_match_is_told_precisely() {
    all_throw(&with_patterns(
        "mustMatch(3, 4) // (a number) - Must be: 4
         mustMatch([3, 4], [3]) // Must be: [3]
         mustMatch([3, 4], [M.string(), M.any()]) // [0]: number (a number) - Must be a string
         mustMatch([3], [M.number(), M.any()]) // Must be as long as copyArray pattern
         mustMatch(3, [M.any()]) // Must be a copyArray to match a copyArray pattern: [\"[match:any]\"]
         mustMatch({ bar: 4 }, { foo: M.any(), bar: 4 }) // Must have missing properties [\"foo\"]
         mustMatch({ bar: 4 }, { foo: M.any() }, 'it') // it: (an object) - Must have missing properties [\"foo\"]
         mustMatch({ foo: 3, bar: 4 }, { foo: M.any() }) // Must not have unexpected properties: [\"bar\"]
         mustMatch(3, M.gte(7)) // Must be >= 7
         mustMatch(3, M.or(4, 5)) // Must match one of [4,5]
         mustMatch(3, M.or()) // Must fail negated pattern: \"[match:any]\"
         mustMatch(3, M.opt(M.string())) // number (a number) - Must be a string
         mustMatch(-1n, M.nat()) // Must be non-negative
         mustMatch(3, M.nat()) // number (a number) - Must be a bigint
         mustMatch([3], M.scalar()) // A \"copyArray\" cannot be a scalar key
         mustMatch([3, 4], M.split([3, 4, 5, 6])) // Expected at least 4 arguments
         mustMatch([3], M.split([5])) // arg 0: (a number) - Must be: 5
         mustMatch([3], M.partial([5])) // arg 0?: (a number) - Must be: 5
         mustMatch([3, 4], M.split([3], 'x')) // ...rest: (an object) - Must be: \"x\"
         mustMatch({ foo: 3 }, M.split({ foo: 3, z: 4 })) // Must be: {\"foo\":3,\"z\":4}
         mustMatch({ foo: 3 }, M.partial({ foo: 7 })) // foo?: (a number) - Must be: 7
         mustMatch({ foo: 3 }, M.recordOf(M.number(), M.number())) // foo: [0]: string (a string) - Must be a number
         mustMatch({ foo: 3 }, M.recordOf(M.string(), M.string())) // foo: [1]: number (a number) - Must be a string
         mustMatch(set([3, 4]), M.setOf(M.string())) // set elements[0]: number (a number) - Must be a string
         mustMatch(bag([['b', 1n], ['a', 1n]]), M.bagOf('b')) // bag keys[1]: (a string) - Must be: \"b\"
         mustMatch(map([[{}, 'a']]), M.mapOf(M.string(), M.string())) // map keys[0]: copyRecord (an object) - Must be a string
         mustMatch(map([['b', 'a']]), M.mapOf(M.string(), M.number())) // map values[0]: string (a string) - Must be a number
         mustMatch([3], M.containerHas('c')) // Has only \"[0n]\" matches, but needs \"[1n]\"
         mustMatch(3, M.tagged()) // Expected tagged object, not \"number\"
         mustMatch(tagged('Vow', 1), M.tagged('Vowoid')) // tag: (a string) - Must be: \"Vowoid\"
         mustMatch(tagged('x', 1), M.string()) // cannot check unrecognized tag \"x\"
         mustMatch(tagged('match:any', 88), M.string()) // match:any payload: (a number) - Must be undefined
         mustMatch(tagged('copySet', [M.string()]), M.set()) // A passable tagged \"match:string\" is not a key
         mustMatch(tagged('match:recordOf', [M.string(), Promise.resolve()]), M.pattern()) // match:recordOf payload: [1]: A \"promise\" cannot be a pattern
         matches(1, tagged('copySet', [1, 2])) // must be sorted in reverse rank order
         mustMatch(1, tagged('match:nonsense', 1)) // cannot check unrecognized tag
         M.remotable(88) // match:remotable payload: label: number (a number) - Must be a string
         M.containerHas('c', M.nat()) // M.containerHas payload: [1]: A passable tagged \"match:nat\" is not a key
         M.arrayOf(Promise.resolve()) // M.arrayOf payload: [0]: A \"promise\" cannot be a pattern
         M.gt(M.any()) // M.gt payload: A passable tagged \"match:any\" is not a key
         M.string({ stringLengthLimit: 'x' }) // M.string payload: [0]: stringLengthLimit: string (a string) - Must be a number
         M.eq(Promise.resolve()) // A \"promise\" cannot be a key",
    ));
}

#[test]
fn matchers_have_limits() {
    all_true(&with_patterns(
        "matches(379n, M.bigint({ decimalDigitsLimit: 3 })) && !matches(379n, M.nat({ decimalDigitsLimit: 2 })) && !matches(-379n, M.bigint({ decimalDigitsLimit: 2 }))
         !matches(10n ** 100n, M.bigint()) && matches(10n ** 100n, M.bigint({ decimalDigitsLimit: Infinity })) && matches(10n ** 99n, M.nat())
         !matches('x'.repeat(100001), M.string()) && matches('x'.repeat(100000), M.string()) && matches('x'.repeat(100001), M.string({ stringLengthLimit: Infinity }))
         !matches(Symbol.for('x'.repeat(101)), M.symbol()) && matches(Symbol.for('x'.repeat(100)), M.symbol())
         !matches(Array(10001).fill(1), M.array()) && matches(Array(10001).fill(1), M.array({ arrayLengthLimit: Infinity })) && matches(Array(10000).fill(1), M.array())
         !matches({ a: 1, b: 1, c: 1 }, M.record({ numPropertiesLimit: 2 })) && !matches({ abcdef: 1 }, M.record({ propertyNameLengthLimit: 5 })) && matches({ abcde: 1 }, M.record({ propertyNameLengthLimit: 5 }))
         !matches(set([1, 2]), M.set({ numSetElementsLimit: 1 })) && !matches(bag([[1, 1n], [2, 1n]]), M.bag({ numUniqueBagElementsLimit: 1 })) && !matches(map([[1, 1], [2, 1]]), M.map({ numMapEntriesLimit: 1 }))",
    ));
    all_throw(&with_patterns(
        "mustMatch(379n, M.bigint({ decimalDigitsLimit: 2 })) // must not have more than 2 digits
         mustMatch('abc', M.string({ stringLengthLimit: 2 })) // must not be bigger than 2
         mustMatch(Symbol.for('abc'), M.symbol({ symbolNameLengthLimit: 2 })) // Symbol name \"abc\" must not be bigger than 2
         mustMatch({ a: 1, b: 1 }, M.record({ numPropertiesLimit: 1 })) // Must not have more than 1 properties
         mustMatch({ abc: 1 }, M.record({ propertyNameLengthLimit: 2 })) // abc: Property name must not be longer than 2
         mustMatch([1, 2], M.arrayOf(M.string(), { arrayLengthLimit: 1 })) // Array length 2 must be <= limit 1
         mustMatch(set([1, 2]), M.set({ numSetElementsLimit: 1 })) // Set must not have more than 1 elements: 2
         mustMatch(bag([['z', 1n], ['x', 379n]]), M.bag({ decimalDigitsLimit: 2 })) // bag counts[1]: bigint (a bigint) must not have more than 2 digits
         mustMatch(bag([[1, 1n], [2, 1n]]), M.bag({ numUniqueBagElementsLimit: 1 })) // Bag must not have more than 1 unique elements
         mustMatch(map([[1, 1], [2, 1]]), M.map({ numMapEntriesLimit: 1 })) // CopyMap must have no more than 1 entries",
    ));
}
