//! Values that are code: proxies, getters, thenables and what looks like a reference.

use super::{Attack, Says, Throws, attack, none_succeeds};

pub(super) const ATTACKS: &[Attack] = &[
    attack(
        "text that looks like references and constants",
        "() => ['$0', '&0', '$0.Alleged: x', 'o+0', 'o-50', 'ko1', '#undefined', '+1', '-1', '%x', '!', '', '#', '*']",
        Says(
            r#"["!$0","!&0","!$0.Alleged: x","o+0","o-50","ko1","!#undefined","!+1","!-1","!%x","!!","","!#","!*"]"#,
        ),
    ),
    attack(
        "keys that look like tags and errors",
        "() => ({ '#tag': 'x', payload: 1, '#error': 'y', $0: 1 })",
        Says(r#"{"!#error":"y","!#tag":"x","!$0":1,"payload":1}"#),
    ),
    attack(
        "an own __proto__",
        r#"() => JSON.parse('{ "__proto__": { "a": 1 } }')"#,
        Says(r#"{"__proto__":{"a":1}}"#),
    ),
    attack(
        "an interface that closes the string it is in",
        r#"({ Far }) => Far('x"],"slots":["o+0","o-50"],"y":["', {})"#,
        Says(r#""$0.Alleged: x\"],\"slots\":[\"o+0\",\"o-50\"],\"y\":[\"""#),
    ),
    attack(
        "a symbol that names what is reserved",
        "() => Symbol.for('@@iterator')",
        Says("\"%@@@@iterator\""),
    ),
    attack("a symbol of one's own", "() => Symbol('private')", Throws("registered symbols")),
    attack(
        "toJSON, which stringify would call",
        "() => ({ a: 1, toJSON: () => ({ slots: ['o-50'] }) })",
        Throws("Remotables with non-methods"),
    ),
    attack(
        "toJSON on strings' and numbers' own objects",
        "() => [Object.assign(new String('x'), { toJSON: () => 'loot' })]",
        Throws(""),
    ),
    attack(
        "a getter that sends while the value is read",
        "({ E, remote }) => ({ get a() { E(remote).loot(); return 1; } })",
        Throws("accessor"),
    ),
    attack(
        "a hidden property",
        "() => Object.defineProperty({ a: 1 }, 'b', { value: 2 })",
        Throws("enumerable"),
    ),
    attack(
        "a proxy whose traps throw",
        "() => new Proxy({}, { ownKeys() { throw Error('trapped'); } })",
        Throws("trapped"),
    ),
    attack(
        "a proxy that shows another value each time",
        "() => {
           let n = 0;
           const target = { a: 1 };
           return new Proxy(target, {
             isExtensible: () => false, preventExtensions: (t) => Reflect.preventExtensions(t),
             get: () => { n += 1; return n; },
             getOwnPropertyDescriptor: (t, k) => { n += 1; const d = Reflect.getOwnPropertyDescriptor(t, k);
               return d && { ...d, value: n }; } });
         }",
        Throws("proxy"),
    ),
    attack(
        "a proxy that describes another value than it has",
        "({ passStyleOf }) => {
           const loot = { changed: 0 };
           const liar = harden(new Proxy({ a: loot }, {
             getOwnPropertyDescriptor: (t, k) => ({ ...Reflect.getOwnPropertyDescriptor(t, k), value: 1 }) }));
           try { passStyleOf(liar); } catch { return Object.isFrozen(loot); }
           return liar;
         }",
        Says("true"),
    ),
    attack(
        "a proxy of a frozen record, with every trap sending",
        "({ E, remote }) => {
           const traps = {};
           for (const name of Object.getOwnPropertyNames(Reflect)) {
             traps[name] = (...args) => { E(remote).trap(name); return Reflect[name](...args); };
           }
           return new Proxy(harden({ a: [1] }), traps);
         }",
        Says(r#"{"a":[1]}"#),
    ),
    attack(
        "a proxy of a presence",
        "({ remote }) => new Proxy(remote, {})",
        Says("\"$0.Alleged: remote\""),
    ),
    attack(
        "an object that inherits from a presence",
        "({ remote, passStyleOf }) => {
           const child = Object.freeze(Object.create(remote));
           return [passStyleOf(child), child];
         }",
        Says(r#"["remotable","$0.Alleged: remote"]"#),
    ),
    attack(
        "an array that is a proxy with a length of its own",
        "() => new Proxy([], { get: (t, k) => (k === 'length' ? 1e9 : t[k]) })",
        Throws(""),
    ),
    attack(
        "an array with holes and a vast length",
        "() => { const a = []; a.length = 2 ** 32 - 1; return a; }",
        Throws(""),
    ),
    attack(
        "an array with more than elements",
        "() => Object.assign([1], { extra: 1 })",
        Throws("non-indexes"),
    ),
    attack(
        "an array of a class of its own, with Symbol.species",
        "() => { class Mine extends Array { static get [Symbol.species]() { throw Error('species'); } }
                 return Mine.of(1, 2); }",
        Throws("Malformed array"),
    ),
    attack("the arguments object", "() => (function () { return arguments; })(1)", Throws("")),
    attack("bytes that can be changed later", "() => new Uint8Array([1, 2])", Throws("typed arrays")),
    attack("a function", "() => () => 'loot'", Throws("Remotables must be explicitly declared")),
    attack(
        "an error whose message is an object",
        "() => [Object.defineProperty(Error(), 'message', { value: { toString: () => 'loot' } })]",
        Throws("must be a string"),
    ),
    attack(
        "an error whose name is a getter",
        "() => { const e = TypeError('m'); Object.defineProperty(e, 'name', { get: () => 'Loot' }); return [e]; }",
        Throws("must be a data property"),
    ),
    attack(
        "an error of a class of its own",
        "() => { class Mine extends Error { get message() { return 'loot'; } } return [new Mine()]; }",
        Throws("error class"),
    ),
    attack(
        "an error that claims to be something else",
        "() => { throw Object.create(Error.prototype, { message: { get() { throw Error('nested'); } } }); }",
        Throws(""),
    ),
    attack(
        "a thrown proxy",
        "() => { throw new Proxy({}, { get() { throw Error('get'); }, getPrototypeOf() { throw Error('proto'); } }); }",
        Throws(""),
    ),
    attack(
        "a tagged value with an accessor for its payload",
        "() => Object.create(Object.prototype, {
           [Symbol.for('passStyle')]: { value: 'tagged' }, [Symbol.toStringTag]: { value: 't' },
           payload: { get: () => 'loot', enumerable: true } })",
        Throws("accessor"),
    ),
    attack(
        "a remotable whose mark is an accessor",
        "() => Object.create(Object.create(Object.prototype, {
           [Symbol.for('passStyle')]: { get: () => 'remotable' }, [Symbol.toStringTag]: { value: 'Alleged: x' } }))",
        Throws("accessor"),
    ),
    attack(
        "a value that has a style only the first time",
        "() => {
           let n = 0;
           const style = Symbol.for('passStyle');
           return new Proxy(Object.freeze({}), { get: (t, k) => (k === style && n++ ? 'remotable' : t[k]) });
         }",
        Says("{}"),
    ),
    attack(
        "text with half a character",
        r"() => '\ud800'",
        Says(r#""\ud800""#),
    ),
    attack(
        "valueOf and toString of what is sent as a method name",
        "({ E, remote }) => E(remote)[{ toString: () => 'loot', valueOf: () => 1 }]().then(() => 1) && 'sent'",
        Says("\"sent\""),
    ),
    attack(
        "marshalling that starts marshalling",
        "({ E, remote }) => {
           const nested = () => new Proxy(harden({}), { ownKeys: () => { E(remote).inner(harden([1, 2])); return []; } });
           E(remote).outer(nested(), nested());
           return 'done';
         }",
        Says("\"done\""),
    ),
];

#[test]
fn no_value_is_more_than_it_says() {
    none_succeeds(ATTACKS);
}
