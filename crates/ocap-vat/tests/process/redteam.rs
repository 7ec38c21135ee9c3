//! Tricks by which code has escaped from sandboxes like this one, tried by a vat: each is one named
//! row, run in a caged process and in a thread.
//!
//! A row's code is a function that tries something and answers with its loot, and what must come
//! of it instead. Whatever happens, the vat may mention only references that it was given or made
//! itself, nothing else may have changed for code that shares its realm, and no more than the
//! allowed lines may reach the log.

mod code;
mod exhaustion;
mod objects;
mod promises;
mod realm;
mod values;

use std::collections::BTreeMap;

use ocap_types::crank::{CrankReport, FaultKind, Resolution, Syscall};
use ocap_types::{VCapData, VRef};
use ocap_vat::engine::{Limits, Module, ModuleGraph, VatCode, WorkerInit};
use ocap_vat::limits::CRANK_LOG_LINES_MAX;
use ocap_vat::{WorkerHandle, Zygote, thread};

use crate::client::{Client, limits, vat, zygote};

/// What must come of an attack.
#[derive(Clone, Copy)]
enum Held {
    /// It answers with this body (without the leading `#`): it came to its end and got nothing.
    Says(&'static str),
    /// It throws, or the answer cannot be sent: the rejection contains this text.
    Throws(&'static str),
    /// The vat is ended in the middle of it.
    Ends(FaultKind),
    /// The vat does not start: its error contains this text.
    NeverStarts(&'static str),
}

use Held::{Ends, NeverStarts, Says, Throws};

/// One trick.
struct Attack {
    name: &'static str,
    /// A function of what a vat's code finds around itself, as [`MODULE`] says.
    code: &'static str,
    held: Held,
}

const fn attack(name: &'static str, code: &'static str, held: Held) -> Attack {
    Attack { name, code, held }
}

/// The vat. Its attack is called with a presence and a promise of another vat. `sound` tells whether
/// what all code in the realm relies on is as it was when the vat started.
const MODULE: &str = r"
import { E, Far, passStyleOf } from '@endo/far';
import { makeExo } from '@endo/exo';
import { M, matches, mustMatch } from '@endo/patterns';
const { ownKeys, getOwnPropertyDescriptor, apply } = Reflect;
const shared = [
  Object, Object.prototype, Function.prototype, Array, Array.prototype, String.prototype, Promise,
  Promise.prototype, Map.prototype, Set.prototype, WeakMap.prototype, RegExp, RegExp.prototype, JSON,
  Reflect, Error, Error.prototype, Symbol, Symbol.prototype, Proxy, HandledPromise, harden, E, assert,
  console, Date, Math, BigInt.prototype, Iterator.prototype, Uint8Array.prototype,
];
const picture = () =>
  shared.map((object) =>
    ownKeys(object).map((key) => [key, getOwnPropertyDescriptor(object, key)]));
const before = picture();
const isSame = (a, b) =>
  ['value', 'get', 'set', 'writable', 'configurable'].every((part) => Object.is(a[part], b[part]));
const sound = () => {
  const after = picture();
  const unchanged = after.every((keys, i) =>
    keys.length === before[i].length &&
    keys.every(([key, descriptor], j) =>
      key === before[i][j][0] && isSame(descriptor, before[i][j][1])));
  const works =
    [1, 2].map((x) => x + 1).join() === '2,3' &&
    JSON.stringify({ a: [1] }) === '{\u0022a\u0022:[1]}' &&
    passStyleOf(harden({ a: [] })) === 'copyRecord' &&
    Object.isFrozen(harden({ a: {} }).a) &&
    /a(b)/.exec('ab')[1] === 'b' &&
    new Map([[1, 2]]).get(1) === 2;
  return unchanged && works && !('__ocap' in globalThis);
};
const attack = ATTACK;
export const buildRootObject = (powers, parameters, baggage) => {
  const root = Far('root', {
    attack: (remote, promise) =>
      attack({ remote, promise, powers, baggage, root, E, Far, makeExo, M, matches, mustMatch, passStyleOf }),
    sound,
    echo: (x) => x,
  });
  return root;
};
";

const REMOTE: VRef = VRef::Import(50);
const PROMISE: VRef = VRef::ImportPromise(50);
const RESULT: VRef = VRef::ImportPromise(60);

fn init(code: &str, is_bundle: bool) -> WorkerInit {
    let code = if is_bundle {
        VatCode::Bundle(code.into())
    } else {
        let module = Module { source: MODULE.replace("ATTACK", code), imports: BTreeMap::new() };
        VatCode::Modules(ModuleGraph {
            entry: "main.js".into(),
            modules: [("main.js".into(), module)].into(),
        })
    };
    let limits = Limits { crank_ticks_max: 3_000, heap_bytes_max: 64 << 20, ..limits() };
    WorkerInit { code, ..vat(limits) }
}

/// Whether a vat may mention this: it was given it, or makes such numbers itself.
fn may_mention(vref: VRef) -> bool {
    match vref {
        VRef::Export(_) | VRef::ExportPromise(_) | VRef::Kinded { .. } => true,
        _ => [REMOTE, PROMISE, RESULT].contains(&vref),
    }
}

fn mentioned(syscall: &Syscall) -> Vec<VRef> {
    let of = |data: &VCapData| data.slots.clone();
    match syscall {
        Syscall::Send { target, methargs, result } => {
            [vec![*target], of(methargs), result.iter().copied().collect()].concat()
        }
        Syscall::Subscribe { promise } => vec![*promise],
        Syscall::Resolve { resolutions } => {
            resolutions.iter().flat_map(|r| [vec![r.promise], of(&r.data)].concat()).collect()
        }
        Syscall::Exit { info, .. } => of(info),
        other => panic!("{other:?}"),
    }
}

/// What became of the answer.
fn answer(report: &CrankReport) -> Option<&Resolution<VRef>> {
    report.syscalls.iter().find_map(|syscall| match syscall {
        Syscall::Resolve { resolutions } => resolutions.iter().find(|r| r.promise == RESULT),
        _ => None,
    })
}

/// What is wrong with a report, if anything.
fn complaint(report: &CrankReport, held: Held) -> Option<String> {
    let forged: Vec<VRef> =
        report.syscalls.iter().flat_map(mentioned).filter(|v| !may_mention(*v)).collect();
    if !forged.is_empty() {
        return Some(format!("it mentions {forged:?}"));
    }
    if let Some(error) = &report.error {
        return Some(format!("the crank failed: {error}"));
    }
    let Some(answer) = answer(report) else { return Some(format!("no answer: {report:?}")) };
    let body = answer.data.body.strip_prefix('#')?;
    let is_right = match held {
        Says(expected) => !answer.rejected && body == expected,
        Throws(text) => answer.rejected && body.contains(text),
        Ends(_) | NeverStarts(_) => false,
    };
    (!is_right).then(|| format!("rejected: {}, {body}", answer.rejected))
}

/// Tries one row in a fresh worker.
fn try_one(worker: WorkerHandle, attack: &Attack, is_bundle: bool) -> Result<(), String> {
    // Shown if the worker never answers.
    println!("{}", attack.name);
    let mut client = Client::new(worker);
    let begun = client.begin(init(attack.code, is_bundle));
    if let NeverStarts(text) = attack.held {
        return match begun.error {
            Some(error) if error.contains(text) => Ok(()),
            other => Err(format!("started: {other:?}")),
        };
    }
    if let Some(error) = begun.error {
        return Err(format!("not started: {error}"));
    }
    let body = r#"#["attack",["$0.Alleged: remote","&1"]]"#;
    client.send_message(body.into(), vec![REMOTE, PROMISE], RESULT);
    let outcome = client.outcome();
    if client.logged > CRANK_LOG_LINES_MAX as usize + 1 {
        return Err(format!("{} lines in the log", client.logged));
    }
    match (outcome, attack.held) {
        (Err(fault), Ends(kind)) if fault.kind == kind => return Ok(()),
        (Err(fault), _) => return Err(format!("{fault:?}")),
        (Ok(report), held) => {
            if let Some(complaint) = complaint(&report, held) {
                return Err(complaint);
            }
        }
    }
    if is_bundle {
        return Ok(());
    }
    match client.call("sound", "[]").as_str() {
        "#true" => Ok(()),
        other => Err(format!("the realm was changed: {other}")),
    }
}

/// Tries all rows both ways, and complains about all that do not hold.
fn none_succeeds(attacks: &[Attack]) {
    none_succeeds_in(attacks, false);
}

fn none_succeeds_in(attacks: &[Attack], is_bundle: bool) {
    let zygote: Zygote = zygote();
    let mut succeeded = Vec::new();
    for attack in attacks {
        let workers =
            [("process", zygote.spawn().unwrap()), ("thread", thread::spawn_worker().unwrap())];
        for (kind, worker) in workers {
            if let Err(how) = try_one(worker, attack, is_bundle) {
                succeeded.push(format!("{} ({kind}): {how}", attack.name));
            }
        }
    }
    assert!(succeeded.is_empty(), "{}", succeeded.join("\n"));
}

#[test]
fn the_suite_notices_an_attack_that_succeeds() {
    let zygote = zygote();
    let cases = [
        ("() => 'loot'", Says("\"nothing\""), "loot"),
        ("() => 'loot'", Throws("no"), "loot"),
        ("() => { throw Error('other'); }", Throws("expected"), "other"),
        ("() => 1", Ends(FaultKind::Overrun), "false, 1"),
        ("() => { for (;;); }", Says("1"), "Overrun"),
        ("() => { globalThis.__ocap = 1; return 1; }", Says("1"), "the realm was changed"),
        ("() => 1", NeverStarts("x"), "started"),
        ("(", Says("1"), "not started"),
    ];
    for (code, held, how) in cases {
        let attack = Attack { name: "test", code, held };
        let told = try_one(zygote.spawn().unwrap(), &attack, false).unwrap_err();
        assert!(told.contains(how), "{code}: {told}");
    }
    let report = CrankReport {
        syscalls: vec![Syscall::Subscribe { promise: VRef::ImportPromise(7) }],
        ..CrankReport::default()
    };
    assert!(complaint(&report, Says("1")).unwrap().contains("it mentions"));
}

#[test]
fn there_are_as_many_tricks_as_we_know() {
    let tables = [
        code::MODULES,
        code::BUNDLES,
        realm::ATTACKS,
        values::ATTACKS,
        promises::ATTACKS,
        objects::ATTACKS,
        exhaustion::ATTACKS,
    ];
    let mut names: Vec<&str> = tables.into_iter().flatten().map(|attack| attack.name).collect();
    let count = names.len();
    assert!(count >= 60, "{count}");
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "each has a name of its own");
}

#[test]
fn other_peoples_messages_find_only_what_the_root_has() {
    let zygote = zygote();
    let mut client = Client::new(zygote.spawn().unwrap());
    assert_eq!(client.begin(init("() => 1", false)).error, None);
    for method in [
        "\"constructor\"",
        "\"__proto__\"",
        "\"hasOwnProperty\"",
        "\"__defineGetter__\"",
        "\"__lookupGetter__\"",
        "\"toString\"",
        "\"valueOf\"",
        "\"isPrototypeOf\"",
        "\"then\"",
        "\"%@@toPrimitive\"",
        "\"%@@toStringTag\"",
        "\"%passStyle\"",
        "\"__ocap\"",
        "\"#undefined\"",
        "\"$0\"",
        "\"+1\"",
        "[]",
        "{}",
        "null",
    ] {
        client.send_message(format!("#[{method},[\"get\",\"$0\"]]"), vec![REMOTE], RESULT);
        let report = client.outcome().unwrap();
        let answer = answer(&report).unwrap();
        assert!(answer.rejected, "{method}: {answer:?}");
    }
    assert_eq!(client.call("sound", "[]"), "#true");
}
