//! Where two traces differ.

use std::collections::BTreeSet;

use ocap_types::crank::Syscall;
use ocap_types::refs::VRef;
use serde_json::Value;

use crate::here::Played;
use crate::renaming::is_renamed;
use crate::script::Step;
use crate::{Crank, Trace, differences, error_ids, script};

/// The first difference between our trace and that of Liveslots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The delivery it shows at; after the last one if the stores differ.
    pub step: usize,
    /// In a few words, the same for differences of the same kind.
    pub kind: String,
    /// Both sides.
    pub detail: String,
}

/// What a comparison came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Both did the same.
    Same,
    /// They did up to this delivery; what follows cannot be compared, for a reason that
    /// `fixtures/oracle/DIFFERENCES.md` gives.
    Until(usize),
    /// They did not.
    Differs(Difference),
}

impl Verdict {
    /// The difference, if there is one.
    pub fn difference(self) -> Option<Difference> {
        match self {
            Verdict::Differs(difference) => Some(difference),
            Verdict::Same | Verdict::Until(_) => None,
        }
    }
}

/// Applies `change` to all bodies of a syscall.
pub fn bodies(syscall: &mut Syscall, mut change: impl FnMut(&mut String)) {
    match syscall {
        Syscall::Send { methargs: data, .. } | Syscall::Exit { info: data, .. } => {
            change(&mut data.body);
        }
        Syscall::Resolve { resolutions } => {
            for resolution in resolutions {
                change(&mut resolution.data.body);
            }
        }
        _ => {}
    }
}

fn name(syscall: Option<&Syscall>) -> &'static str {
    match syscall {
        None => "nothing",
        Some(Syscall::Send { .. }) => "send",
        Some(Syscall::Subscribe { .. }) => "subscribe",
        Some(Syscall::Resolve { .. }) => "resolve",
        Some(Syscall::Exit { .. }) => "exit",
        Some(Syscall::DropImports { .. }) => "dropImports",
        Some(Syscall::RetireImports { .. }) => "retireImports",
        Some(Syscall::RetireExports { .. }) => "retireExports",
        Some(Syscall::AbandonExports { .. }) => "abandonExports",
        Some(Syscall::Ask { .. }) => "ask",
        Some(Syscall::Withdraw { .. }) => "withdraw",
    }
}

fn show(crank: Option<&Crank>) -> String {
    let Some(crank) = crank else { return "    (not reached)\n".into() };
    let mut text = String::new();
    for syscall in &crank.syscalls {
        let line = serde_json::to_string(syscall).unwrap_or_default();
        text.extend(["    ", &line, "\n"]);
    }
    if let Some(error) = &crank.error {
        text.extend(["    error: ", error, "\n"]);
    }
    text
}

/// What our side has let go of and Liveslots not yet: it keeps the arguments of a message until the
/// promise that the message was for settles.
#[derive(Default)]
struct Late {
    /// It has to follow.
    due: BTreeSet<(&'static str, VRef)>,
    /// It may: the kernel, going by our side, retired an import Liveslots had not dropped.
    excused: BTreeSet<(&'static str, VRef)>,
}

impl Late {
    /// Takes out of both cranks what Liveslots is late with.
    fn reconcile(&mut self, ours: &mut Crank, theirs: &mut Crank) {
        let (now, then) = (let_go(ours), let_go(theirs));
        let is_late =
            |one: &(&'static str, VRef)| self.due.contains(one) || self.excused.contains(one);
        let caught_up: Vec<_> =
            then.iter().filter(|one| !now.contains(one) && is_late(one)).copied().collect();
        remove(theirs, |one| caught_up.contains(one));
        remove(ours, |one| !then.contains(one));
        self.due.retain(|one| !caught_up.contains(one));
        self.due.extend(now.into_iter().filter(|one| !then.contains(one)));
    }

    /// Follows a delivery that tells of what Liveslots may be late with.
    fn note(&mut self, step: &Step) {
        match step {
            Step::Start { .. } => *self = Late::default(),
            Step::RetireImports(vrefs) => {
                let late = vrefs.iter().filter(|vref| self.due.contains(&("dropImports", **vref)));
                self.excused.extend(late.map(|vref| ("retireImports", *vref)));
            }
            // What comes again need not be let go of.
            _ => {
                let slots = script::slots(step);
                self.due.retain(|(_, vref)| !slots.contains(vref));
            }
        }
    }
}

fn garbage(syscall: &Syscall) -> Option<(&'static str, &Vec<VRef>)> {
    match syscall {
        Syscall::DropImports { vrefs }
        | Syscall::RetireImports { vrefs }
        | Syscall::RetireExports { vrefs } => Some((name(Some(syscall)), vrefs)),
        _ => None,
    }
}

fn let_go(crank: &Crank) -> Vec<(&'static str, VRef)> {
    let lists = crank.syscalls.iter().filter_map(garbage);
    lists.flat_map(|(kind, vrefs)| vrefs.iter().map(move |vref| (kind, *vref))).collect()
}

fn remove(crank: &mut Crank, is_out: impl Fn(&(&'static str, VRef)) -> bool) {
    crank.syscalls.retain_mut(|syscall| {
        let kind = name(Some(syscall));
        match syscall {
            Syscall::DropImports { vrefs }
            | Syscall::RetireImports { vrefs }
            | Syscall::RetireExports { vrefs } => {
                vrefs.retain(|vref| !is_out(&(kind, *vref)));
                !vrefs.is_empty()
            }
            _ => true,
        }
    });
}

/// Whether the order of two syscalls of one delivery is a matter of how many turns promises take: one
/// settles promises that the other does not mention.
pub fn may_swap(a: &Syscall, b: &Syscall) -> bool {
    let is_apart = |a: &Syscall, b: &Syscall| match a {
        Syscall::Resolve { resolutions } => resolutions.iter().all(|resolution| match b {
            Syscall::Send { target, methargs, result } => {
                let promise = resolution.promise;
                *target != promise && *result != Some(promise) && !methargs.slots.contains(&promise)
            }
            Syscall::Subscribe { promise } => *promise != resolution.promise,
            Syscall::Resolve { .. } => true,
            _ => false,
        }),
        _ => false,
    };
    is_apart(a, b) || is_apart(b, a)
}

/// Puts results into our order, as far as that is open.
fn reorder(ours: &Crank, theirs: &mut Crank) {
    for at in 0..theirs.syscalls.len() {
        let Some(wanted) = ours.syscalls.get(at) else { return };
        let is_wanted = |one: &Syscall| error_ids::is_same_without(one, wanted);
        let is_ahead = |one: &&Syscall| !is_wanted(one) && may_swap(one, wanted);
        let ahead = theirs.syscalls[at..].iter().take_while(is_ahead).count();
        let place = at + ahead;
        if theirs.syscalls.get(place).is_some_and(is_wanted) {
            theirs.syscalls[at..=place].rotate_right(1);
        }
    }
}

/// Compares.
pub fn compare(played: &Played, theirs: &Trace) -> Verdict {
    let ours = &played.trace;
    let (mut our, mut their) =
        (differences::ours(ours, &played.open), differences::theirs(theirs, &played.open));
    let mut late = Late::default();
    for step in 0..our.cranks.len().max(their.cranks.len()) {
        if let (Some(a), Some(b)) = (our.cranks.get_mut(step), their.cranks.get_mut(step)) {
            late.reconcile(a, b);
            reorder(a, b);
            error_ids::align(a, b);
        }
        if let Some(step) = played.steps.get(step) {
            late.note(step);
        }
        if theirs.cranks.get(step).is_some_and(differences::is_broken) {
            return Verdict::Until(step);
        }
        let (a, b) = (our.cranks.get(step), their.cranks.get(step));
        if a == b {
            continue;
        }
        if let (Some(a), Some(b)) = (a, b)
            && is_renamed(a, b)
        {
            return Verdict::Until(step);
        }
        let once = differences::without_repeats(&their, step);
        if once.is_some() && once.as_ref() == a {
            return Verdict::Until(step);
        }
        let at = |crank: Option<&Crank>, i: usize| crank.and_then(|c| c.syscalls.get(i)).cloned();
        let count = |crank: Option<&Crank>| crank.map_or(0, |crank| crank.syscalls.len());
        let first = (0..count(a).max(count(b))).find(|i| at(a, *i) != at(b, *i));
        let kind = match first {
            Some(i) => format!(
                "{} here, {} in liveslots",
                name(at(a, i).as_ref()),
                name(at(b, i).as_ref())
            ),
            None => "one delivery fails".to_owned(),
        };
        let (a, b) = (ours.cranks.get(step), theirs.cranks.get(step));
        let detail = format!("  here:\n{}  liveslots:\n{}", show(a), show(b));
        return Verdict::Differs(Difference { step, kind, detail });
    }
    if played.open.is_empty() && !late.due.is_empty() {
        let step = our.cranks.len();
        let detail = format!("  liveslots never lets go of {:?}\n", late.due);
        return Verdict::Differs(Difference { step, kind: "liveslots keeps more".into(), detail });
    }
    if our.cranks.last().is_some_and(|crank| crank.error.is_some()) {
        return Verdict::Same; // what a failed delivery wrote is undone
    }
    let keys: BTreeSet<&String> = our.store.keys().chain(their.store.keys()).collect();
    for key in keys {
        let (a, b) = (our.store.get(key), their.store.get(key));
        if a.map(|text| meaning(text)) != b.map(|text| meaning(text)) {
            let show = |value: Option<&String>| value.map_or("(nothing)".into(), Clone::clone);
            let letters: String = key.chars().filter(|c| !c.is_ascii_digit()).collect();
            let detail = format!("  here:      {}\n  liveslots: {}\n", show(a), show(b));
            let kind = format!("vatstore {letters}");
            return Verdict::Differs(Difference {
                step: our.cranks.len(),
                kind,
                detail: format!("  key: {key}\n{detail}"),
            });
        }
    }
    Verdict::Same
}

/// A record of the vatstore, with JSON and smallcaps in it parsed.
fn meaning(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value) => inner(value),
        Err(_) => Value::String(text.to_owned()),
    }
}

fn inner(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| match value {
                Value::String(text) if key == "body" => {
                    let parsed = text.strip_prefix('#').map(serde_json::from_str::<Value>);
                    (key, parsed.and_then(Result::ok).unwrap_or(Value::String(text)))
                }
                other => (key, inner(other)),
            })
            .collect(),
        other => other,
    }
}
