//! Time, memory, stack and syscalls, used up.

use ocap_types::crank::FaultKind;

use super::{Attack, Ends, Held, Says, Throws, attack, none_succeeds};

const OVERRUN: Held = Ends(FaultKind::Overrun);
const OUT_OF_MEMORY: Held = Ends(FaultKind::OutOfMemory);

pub(super) const ATTACKS: &[Attack] = &[
    attack("a loop", "() => { for (;;); }", OVERRUN),
    attack(
        "a loop that catches its own end",
        "() => { for (;;) { try { for (;;); } catch {} finally { continue; } } }",
        OVERRUN,
    ),
    attack("a generator that yields for ever", "() => [...(function* () { for (;;) yield; })()]", OUT_OF_MEMORY),
    attack(
        "a regular expression that backtracks for ever",
        "() => /^(a+)+$/.test(`${'a'.repeat(50)}b`)",
        OVERRUN,
    ),
    attack(
        "a sort with a comparison that never settles",
        "() => { let n = 0; const a = Array.from({ length: 1e5 }, () => 0);
                 for (;;) a.sort(() => (n += 1) % 3 - 1); }",
        OVERRUN,
    ),
    attack("text that doubles", "() => { let s = 'x'; for (;;) s += s; }", Throws("string too long")),
    attack("text repeated", "() => 'x'.repeat(2 ** 29)", OUT_OF_MEMORY),
    attack("text padded", "() => 'x'.padEnd(2 ** 29, 'ab')", OUT_OF_MEMORY),
    attack("text replaced", "() => 'x'.repeat(1e6).replaceAll('x', '$&$&$&$&$&$&$&$&$&$&$&$&$&$&$&$&$&$&$&$&$&$&$&$&$&$&$&$&$&$&')", OUT_OF_MEMORY),
    attack("a buffer", "() => new ArrayBuffer(2 ** 31 - 1)", OUT_OF_MEMORY),
    attack(
        "a buffer that is allowed to grow",
        "() => new ArrayBuffer(1, { maxByteLength: 2 ** 31 }).resize(2 ** 31)",
        Throws(""),
    ),
    attack("an array filled", "() => new Array(2 ** 31).fill(0)", OUT_OF_MEMORY),
    attack(
        "a map that grows",
        "() => { const m = new Map(); for (let i = 0; ; i += 1) m.set(i, [i]); }",
        OUT_OF_MEMORY,
    ),
    attack(
        "memory that is caught and asked for again",
        "() => { const kept = []; for (;;) { try { kept.push(new Uint8Array(1 << 20)); } catch {} } }",
        OUT_OF_MEMORY,
    ),
    attack("a number of a million digits, again and again", "() => { let n = 10n; for (;;) n *= n; }", Throws("BigInt")),
    attack("a recursion", "() => { const f = () => f() + 1; return f(); }", Throws("stack")),
    attack(
        "a recursion through a getter, a proxy and a sort",
        "() => {
           const o = { get x() { return [1, 2].sort(() => new Proxy({}, { get: () => o.x }).y).length; } };
           return o.x;
         }",
        Throws("stack"),
    ),
    attack(
        "an array nested a hundred thousand deep",
        "() => { let a = []; for (let i = 0; i < 50000; i += 1) a = [a]; return a; }",
        Throws("levels deep"),
    ),
    attack(
        "JSON nested a hundred thousand deep",
        "() => JSON.parse('['.repeat(100000) + ']'.repeat(100000))",
        Throws("stack"),
    ),
    attack(
        "text made of a nested array",
        "() => { let a = ['x']; for (let i = 0; i < 50000; i += 1) a = [a]; return String(a); }",
        Throws("stack"),
    ),
    attack(
        "a regular expression nested too deep",
        "() => new RegExp('('.repeat(100000) + ')'.repeat(100000)).test('x')",
        Throws(""),
    ),
    attack(
        "more references than one message may hold",
        "({ E, remote, Far }) => E(remote).m(Array.from({ length: 10001 }, () => Far('x', {})))",
        Throws("syscall capdata too large"),
    ),
    attack(
        "an answer with more references than it may hold",
        "({ Far }) => Array.from({ length: 10001 }, () => Far('x', {}))",
        Throws("syscall capdata too large"),
    ),
    attack(
        "a message of more characters than it may have",
        "({ E, remote }) => E(remote).m('x'.repeat(10_000_001))",
        Throws("syscall capdata too large"),
    ),
    attack(
        "messages without end",
        "({ E, remote }) => { for (let i = 0; i < 5000; i += 1) E(remote).m(); }",
        OVERRUN,
    ),
    attack(
        "promises exported without end",
        "({ E, remote }) => { for (let i = 0; i < 5000; i += 1) E.sendOnly(remote).m(new Promise(() => {})); }",
        OVERRUN,
    ),
    attack(
        "a store that grows without end",
        "({ baggage }) => { for (let i = 0; ; i += 1) baggage.init(`k${i}`, 'x'.repeat(10000)); }",
        OVERRUN,
    ),
    attack(
        "reads of the store without end",
        "({ baggage }) => { for (let i = 0; i < 3000; i += 1) baggage.has(`k${i}`); return 'done'; }",
        Says("\"done\""),
    ),
    attack(
        "a getter that loops while an answer is made",
        "() => new Proxy({}, { ownKeys() { for (;;); } })",
        OVERRUN,
    ),
    attack(
        "symbols registered without end",
        "() => { const kept = []; for (let i = 0; ; i += 1) kept.push(Symbol.for(`s${i}${'x'.repeat(1000)}`)); }",
        OUT_OF_MEMORY,
    ),
];

#[test]
fn nothing_is_used_up_but_the_vats_own() {
    none_succeeds(ATTACKS);
}
