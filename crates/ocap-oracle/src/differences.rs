//! Differences that are ours on purpose: undone before the two sides are compared. Each has its
//! reason in `fixtures/oracle/DIFFERENCES.md`.

use std::collections::{BTreeMap, BTreeSet};

use ocap_types::crank::Syscall;
use ocap_types::refs::VRef;
use serde_json::Value;

use crate::compare::bodies;
use crate::{Crank, Trace};

/// Our trace without what may differ. `open` are the promises that have not settled.
pub fn ours(trace: &Trace, open: &BTreeSet<VRef>) -> Trace {
    common(trace, open)
}

/// The same of the trace of Liveslots.
pub fn theirs(trace: &Trace, open: &BTreeSet<VRef>) -> Trace {
    let mut trace = common(trace, open);
    for syscall in trace.cranks.iter_mut().flat_map(|crank| &mut crank.syscalls) {
        if let Syscall::Send { target, methargs, .. } = syscall
            && target.is_promise()
        {
            unwrap_arguments(&mut methargs.body);
        }
    }
    trace
}

/// Whether Liveslots fails over a promise of an earlier incarnation in what that has left.
pub fn is_broken(crank: &Crank) -> bool {
    crank.error.as_ref().is_some_and(|error| error.contains("no value for \"p+"))
}

/// A crank of Liveslots without what it tells twice: promises of its own that it settles although it has
/// not mentioned them, which are those it has settled before and a watch had made it follow again.
/// `None` if there are none.
pub fn without_repeats(theirs: &Trace, step: usize) -> Option<Crank> {
    let earlier = theirs.cranks.get(..step)?.iter().flat_map(|crank| &crank.syscalls);
    let mut known: BTreeSet<VRef> = BTreeSet::new();
    earlier.for_each(|syscall| mention(syscall, &mut known));
    let mut crank = theirs.cranks.get(step)?.clone();
    let told = crank.syscalls.len();
    crank.syscalls.retain(|syscall| {
        if let Syscall::Resolve { resolutions } = syscall
            && resolutions.iter().all(|one| {
                matches!(one.promise, VRef::ExportPromise(_)) && !known.contains(&one.promise)
            })
        {
            return false;
        }
        mention(syscall, &mut known);
        true
    });
    (crank.syscalls.len() < told).then_some(crank)
}

fn mention(syscall: &Syscall, known: &mut BTreeSet<VRef>) {
    match syscall {
        Syscall::Send { methargs, result, .. } => {
            known.extend(methargs.slots.iter().chain(result));
        }
        Syscall::Subscribe { promise } => {
            known.insert(*promise);
        }
        Syscall::Resolve { resolutions } => {
            known.extend(resolutions.iter().flat_map(|one| &one.data.slots));
        }
        Syscall::Exit { info, .. } => known.extend(&info.slots),
        _ => {}
    }
}

fn common(trace: &Trace, open: &BTreeSet<VRef>) -> Trace {
    let mut trace = trace.clone();
    for crank in &mut trace.cranks {
        // The texts of failed deliveries are for people.
        crank.error = crank.error.as_ref().map(|_| "failed".to_owned());
        for syscall in &mut crank.syscalls {
            bodies(syscall, |body| {
                *body = name_of_presences(body);
                errors(body);
            });
        }
    }
    trace.store.remove("idCounters");
    trace.store = virtual_kinds(&trace.store);
    promises(&mut trace, open);
    trace.store = trace.store.iter().map(|(k, v)| (k.clone(), name_of_presences(v))).collect();
    trace
}

/// Presences that came without a name: Liveslots calls them by their reference.
fn name_of_presences(body: &str) -> String {
    let mut parts = body.split("Alleged: presence o-");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str("Alleged: presence");
        text.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    text
}

/// Calls of promises as functions: Liveslots sends `[undefined, [args]]`.
fn unwrap_arguments(body: &mut String) {
    if let Some(rest) = body.strip_prefix("#[\"#undefined\",[[")
        && let Some(rest) = rest.strip_suffix("]]]")
    {
        *body = format!("#[\"#undefined\",[{rest}]]");
    }
}

/// What texts of errors contain that say the same in other words, and what stands for them.
const WORDS: [(&str, &str); 6] = [
    ("is not durable", "not durable"),
    ("invalid key type for collection", "invalid key"),
    ("is not throwable", "not throwable"),
    ("Must match one of", "no match"),
    // Of the engines.
    ("promise self resolution", "a promise is resolved to itself"),
    ("Chaining cycle detected for promise", "a promise is resolved to itself"),
];

fn errors(body: &mut String) {
    if !WORDS.iter().any(|(words, _)| body.contains(words)) {
        return;
    }
    if let Some(Ok(mut value)) = body.strip_prefix('#').map(serde_json::from_str::<Value>) {
        plain(&mut value);
        *body = format!("#{value}");
    }
}

fn plain(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(plain),
        Value::Object(fields) => {
            let text = fields.get("#error").and_then(Value::as_str).unwrap_or_default();
            if let Some((_, meaning)) = WORDS.iter().find(|(words, _)| text.contains(words)) {
                fields.insert("#error".into(), Value::from(*meaning));
                fields.insert("name".into(), Value::from("Error"));
            }
            fields.values_mut().for_each(plain);
        }
        _ => {}
    }
}

/// Promises in virtual data: those that have settled are called by the order in which they come.
fn promises(trace: &mut Trace, open: &BTreeSet<VRef>) {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for value in trace.store.values_mut() {
        let Ok(mut data) = serde_json::from_str::<Value>(value) else { continue };
        rename_slots(&mut data, &mut |slot| {
            let Ok(vref) = slot.parse::<VRef>() else { return };
            if !vref.is_promise() {
                return;
            }
            let outside = trace.numbers.get(&vref).unwrap_or(&vref);
            if open.contains(outside) {
                *slot = outside.to_string();
            } else {
                let next = places.len();
                *slot = format!("promise #{}", places.entry(slot.clone()).or_insert(next));
            }
        });
        *value = data.to_string();
    }
}

fn rename_slots(value: &mut Value, rename: &mut impl FnMut(&mut String)) {
    let Value::Object(fields) = value else { return };
    for (name, value) in fields {
        match value {
            Value::Array(slots) if name == "slots" => {
                for slot in slots {
                    if let Value::String(slot) = slot {
                        rename(slot);
                    }
                }
            }
            other => rename_slots(other, rename),
        }
    }
}

/// Numbers virtual kinds by their place among those that were ever defined.
fn virtual_kinds(store: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    const KINDS: &str = "vom.vkind.";
    let mut kinds: Vec<u64> = store
        .keys()
        .filter_map(|key| key.strip_prefix(KINDS)?.split('.').next()?.parse().ok())
        .collect();
    kinds.sort_unstable();
    let rename = |text: &str| {
        let mut parts = text.split("o+v");
        let mut renamed = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (kind, rest) = part.split_once('/').unwrap_or((part, ""));
            let place = kind.parse().ok().and_then(|kind| kinds.binary_search(&kind).ok());
            let kind = place.map_or_else(|| kind.to_owned(), |place| format!("#{place}"));
            renamed.extend(["o+v", &kind, "/", rest]);
        }
        renamed
    };
    let entry = |(key, value): (&String, &String)| {
        if key.starts_with(KINDS) {
            return None; // their number is in `kinds`
        }
        Some((rename(key), rename(value)))
    };
    let mut renamed: BTreeMap<String, String> = store.iter().filter_map(entry).collect();
    renamed.insert(KINDS.to_owned(), kinds.len().to_string());
    renamed
}
