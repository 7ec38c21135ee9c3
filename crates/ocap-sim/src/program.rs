//! What a model vat does in a crank: anything it may do, in any order, with whatever it knows. All
//! of it is legal, so the kernel has no reason to end the vat for it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ocap_types::crank::{CrankReport, Delivery, Request, Resolution, Syscall};
use ocap_types::refs::Reference;
use ocap_types::{CapData, VCapData, VRef};

use crate::coverage::State;
use crate::model::{Sender, Sent, Target, View, hold_key, tag_in};
use crate::rng::Rng;

/// A crank as the vat makes it.
pub(crate) struct Program<'a> {
    rng: &'a mut Rng,
    /// What the vat knows, as the crank goes on.
    pub(crate) view: View,
    sender: Sender,
    next_tag: &'a mut u64,
    pub(crate) syscalls: Vec<Syscall>,
    pub(crate) vatstore: BTreeMap<String, Option<String>>,
    /// Messages sent, and to what.
    pub(crate) sent: Vec<(u64, VRef, Sent)>,
    /// Promises this delivery tells about, which are forgotten after it.
    ending: Vec<VRef>,
    /// What the vat would rather do than anything else.
    pub(crate) leaning: Option<Leaning>,
    /// URLs there are, some of them void.
    pub(crate) urls: Vec<String>,
}

/// What a hunt needs of vats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaning {
    /// Promises that become references.
    References,
    /// Imports that are dropped and not forgotten, and exports that are.
    Drops,
}

/// A message's or value's body and slots: a word, then the references.
fn data(word: &str, slots: &[VRef]) -> VCapData {
    CapData { body: format!("#[\"{word}\"{}]", listed(slots)), slots: slots.to_vec() }
}

/// Methods that are called: those of channels, of the timer and of the services for URLs, and one
/// that none of them has.
pub(crate) const METHODS: &[&str] = &[
    "m",
    "m",
    "m",
    "read",
    "read",
    "write",
    "accept",
    "accept",
    "ready",
    "readMany",
    "writeMany",
    "status",
    "close",
    "wakeAfter",
    "wakeAfter",
    "cancel",
    "issue",
    "issue",
    "redeem",
    "redeem",
    "revoke",
];

/// The body of a message: a method, what the method of that name wants of a channel or a service, the
/// message's tag, and references.
pub(crate) fn message<R: Reference>(
    method: &str,
    tag: u64,
    slots: &[R],
    url: Option<&String>,
) -> String {
    let own = format!("\"t{tag}\"");
    let listed = listed(slots);
    let args = match (method, slots.first(), url) {
        ("readMany", ..) => format!("3,{own}{listed}"),
        ("writeMany", ..) => format!("[\"a\",\"b\"],{own}{listed}"),
        // Handlers come before the tag.
        ("wakeAfter", Some(_), _) => format!("{}{listed},{own}", 1_000 * (tag % 30)),
        ("cancel", Some(_), _) => format!("{},{own}", listed.trim_start_matches(',')),
        ("issue", Some(first), _) => {
            let terms = match tag % 4 {
                0 => format!(",\"expiresMs\":{}", 500 * (1 + tag % 97)),
                1 => format!(",\"uses\":{}", 1 + tag % 3),
                _ => String::new(),
            };
            format!("\"{}0\",{{\"label\":{own}{terms}}}{listed}", sign(first))
        }
        ("redeem" | "revoke", _, Some(url)) => format!("\"{url}\",{own}{listed}"),
        _ => format!("{own}{listed}"),
    };
    format!("#[\"{method}\",[{args}]]")
}

/// What a body names a reference with.
fn sign<R: Reference>(slot: &R) -> char {
    if slot.is_promise() { '&' } else { '$' }
}

/// References as further items of a list in a body.
fn listed<R: Reference>(slots: &[R]) -> String {
    let mut items = String::new();
    for (n, slot) in slots.iter().enumerate() {
        let _ = write!(items, ",\"{}{n}\"", sign(slot));
    }
    items
}

/// A value that is nothing but a reference.
fn lone(vref: VRef) -> VCapData {
    CapData { body: format!("#\"{}0\"", sign(&vref)), slots: vec![vref] }
}

impl<'a> Program<'a> {
    pub(crate) fn new(
        rng: &'a mut Rng,
        view: View,
        sender: Sender,
        next_tag: &'a mut u64,
    ) -> Program<'a> {
        Program {
            rng,
            view,
            sender,
            next_tag,
            syscalls: Vec::new(),
            vatstore: BTreeMap::new(),
            sent: Vec::new(),
            ending: Vec::new(),
            leaning: None,
            urls: Vec::new(),
        }
    }

    /// Reacts to a delivery; `calm` vats answer and do nothing else.
    pub(crate) fn react(&mut self, delivery: &Delivery, calm: bool) {
        if let Delivery::Notify { resolutions } = delivery {
            self.ending = resolutions.iter().map(|one| one.promise).collect();
        }
        let result = match delivery {
            Delivery::Message { result, methargs, .. } => {
                if let Some(result) = *result {
                    self.view.promises.insert(result, true);
                }
                result.map(|result| {
                    let bootstrap = methargs.body.contains("\"bootstrap\"");
                    let word = match tag_in(&methargs.body, "\"t") {
                        Some(tag) => format!("done t{tag}"),
                        None => "done".to_owned(),
                    };
                    (result, bootstrap, word)
                })
            }
            _ => None,
        };
        if calm {
            if let Some((result, _, word)) = result {
                self.resolve(&[(result, false, data(&word, &[]))]);
            }
            return;
        }
        let start = matches!(delivery, Delivery::Start { .. });
        if *delivery == Delivery::BringOutYourDead {
            for _ in 0..3 {
                self.drop_import();
                if self.leaning != Some(Leaning::Drops) {
                    self.retire_import();
                }
            }
            self.retire_export();
        }
        for _ in 0..self.rng.below(5) {
            self.act(start);
        }
        if let Some((result, bootstrap, word)) = result
            && self.view.promises.get(&result) == Some(&true)
            && (bootstrap || !self.rng.one_in(4))
        {
            let rejected = self.rng.one_in(if bootstrap { 12 } else { 5 });
            let value = if self.rng.one_in(2) { data(&word, &[]) } else { self.value(result) };
            self.resolve(&[(result, rejected, value)]);
        }
    }

    /// At its start a vat has not heard what the kernel told its last life at the end: it gives up
    /// no exports before that.
    fn act(&mut self, start: bool) {
        match self.rng.below(19) {
            12 | 13 if start => {}
            3..=5 | 11 if self.leaning == Some(Leaning::Drops) => self.drop_import(),
            2 if self.leaning == Some(Leaning::Drops) && !start => self.retire_export(),
            0..=5 => self.send(),
            6 | 7 => self.subscribe(),
            8 | 9 => self.settle_some(),
            10 | 16 | 17 => self.drop_import(),
            11 => self.retire_import(),
            12 => self.retire_export(),
            13 => self.abandon(),
            14 => self.hold_or_let_go(),
            18 => self.ask(),
            _ => self.write(),
        }
    }

    /// An object the vat may name.
    fn object(&mut self) -> VRef {
        let kinded = |durable, instance| VRef::Kinded { durable, kind: 7, instance, facet: None };
        let reachable: Vec<VRef> = self.imports(true);
        match self.rng.below(10) {
            0 => VRef::ROOT,
            1 | 2 => VRef::Export(1 + self.rng.below(4) as u64),
            3 => kinded(true, 1 + self.rng.below(3) as u64),
            4 => kinded(false, 1 + self.rng.below(2) as u64),
            _ => self.rng.pick(&reachable).unwrap_or(VRef::ROOT),
        }
    }

    fn imports(&self, reachable: bool) -> Vec<VRef> {
        let those = self.view.imports.iter().filter(|(_, flag)| **flag == reachable);
        those.map(|(&n, _)| VRef::Import(n)).collect()
    }

    fn promises(&self, decided: Option<bool>) -> Vec<VRef> {
        let known = self.view.promises.iter();
        let known = known.filter(|(vref, flag)| {
            !self.ending.contains(vref) && decided.is_none_or(|wanted| **flag == wanted)
        });
        known.map(|(&vref, _)| vref).collect()
    }

    fn new_promise(&mut self, decided: bool) -> VRef {
        let vref = VRef::ExportPromise(self.view.next_promise);
        self.view.next_promise += 1;
        self.view.promises.insert(vref, decided);
        vref
    }

    fn promise(&mut self) -> VRef {
        let known = self.promises(None);
        match self.rng.pick(&known) {
            Some(vref) if !self.rng.one_in(5) => vref,
            _ => self.new_promise(true),
        }
    }

    /// References to pass on.
    fn slots(&mut self) -> Vec<VRef> {
        let mut slots = Vec::new();
        for _ in 0..self.rng.below(4) {
            let vref = if self.rng.one_in(3) { self.promise() } else { self.object() };
            if !slots.contains(&vref) {
                slots.push(vref);
            }
        }
        self.named(&slots);
        slots
    }

    /// The vat names these to the kernel.
    fn named(&mut self, vrefs: &[VRef]) {
        for &vref in vrefs {
            if vref.is_export() && !vref.is_promise() {
                self.view.exports.insert(vref, true);
            }
        }
    }

    fn send(&mut self) {
        let target = if self.rng.one_in(3) { self.promise() } else { self.object() };
        self.named(&[target]);
        let method = self.rng.pick(METHODS).unwrap_or("m");
        let mut slots = self.slots();
        if matches!(method, "wakeAfter" | "cancel") {
            // What can be woken.
            let handler = if self.rng.one_in(2) {
                VRef::ROOT
            } else {
                VRef::Kinded { durable: true, kind: 7, instance: 1, facet: None }
            };
            slots.retain(|slot| *slot != handler);
            slots.insert(0, handler);
            self.named(&slots);
        }
        let decided = self.promises(Some(true));
        let result = match self.rng.below(8) {
            0 => None,
            1 => self.rng.pick(&decided).filter(|&vref| vref != target),
            _ => Some(self.new_promise(false)),
        };
        if let Some(result) = result {
            self.view.promises.insert(result, false);
        }
        let tag = *self.next_tag;
        *self.next_tag += 1;
        let mut methargs = data(method, &[]);
        let url = self.rng.pick(&self.urls);
        methargs.body = message(method, tag, &slots, url.as_ref());
        methargs.slots = slots;
        let to = if target.is_promise() { Target::Promise(target) } else { Target::Object };
        let (sender, state) = (self.sender, State::Live);
        self.sent.push((tag, target, Sent { sender, target: to, bound_for: None, state }));
        self.syscalls.push(Syscall::Send { target, methargs, result });
        if let Some(promise) = result
            && !self.rng.one_in(4)
        {
            self.syscalls.push(Syscall::Subscribe { promise });
        }
    }

    /// Asks the host for something, and sometimes thinks better of it.
    fn ask(&mut self) {
        let result = self.new_promise(false);
        let request = Request::Timer { delay_ms: 10, since_ms: None };
        self.syscalls.push(Syscall::Ask { request, result });
        if self.rng.one_in(4) {
            self.view.promises.remove(&result);
            self.syscalls.push(Syscall::Withdraw { result });
        }
    }

    fn subscribe(&mut self) {
        let known = self.promises(None);
        if let Some(promise) = self.rng.pick(&known) {
            self.syscalls.push(Syscall::Subscribe { promise });
        }
    }

    /// What a promise may become, itself among it.
    fn value(&mut self, promise: VRef) -> VCapData {
        let kinds = if self.leaning == Some(Leaning::References) { 4 } else { 8 };
        match self.rng.below(kinds) {
            0 | 1 => {
                let object = self.object();
                self.named(&[object]);
                lone(object)
            }
            2 | 3 => lone(self.promise()),
            4 => lone(promise),
            5 => data("plain", &[]),
            6 => {
                let mut slots = self.slots();
                if !slots.contains(&promise) {
                    slots.push(promise);
                }
                data("knot", &slots)
            }
            _ => {
                let slots = self.slots();
                data("value", &slots)
            }
        }
    }

    fn settle_some(&mut self) {
        let mut group: Vec<(VRef, bool, VCapData)> = Vec::new();
        for _ in 0..=self.rng.below(3) {
            let decided = self.promises(Some(true));
            let Some(promise) = self.rng.pick(&decided) else { break };
            if group.iter().any(|(other, ..)| *other == promise) {
                continue;
            }
            let rejected = self.rng.one_in(4);
            let value = self.value(promise);
            group.push((promise, rejected, value));
        }
        self.resolve(&group);
    }

    fn resolve(&mut self, group: &[(VRef, bool, VCapData)]) {
        if group.is_empty() {
            return;
        }
        let resolutions = group
            .iter()
            .map(|(promise, rejected, data)| Resolution {
                promise: *promise,
                rejected: *rejected,
                data: data.clone(),
            })
            .collect();
        self.syscalls.push(Syscall::Resolve { resolutions });
        for (promise, ..) in group {
            self.view.promises.remove(promise);
        }
    }

    fn drop_import(&mut self) {
        let mut vrefs = self.imports(true);
        vrefs.retain(|vref| !self.view.store.contains_key(&format!("vom.rc.{vref}")));
        let Some(vref) = self.rng.pick(&vrefs) else { return };
        if let VRef::Import(n) = vref {
            self.view.imports.insert(n, false);
        }
        self.syscalls.push(Syscall::DropImports { vrefs: vec![vref] });
    }

    fn retire_import(&mut self) {
        let vrefs = self.imports(false);
        let Some(vref) = self.rng.pick(&vrefs) else { return };
        if let VRef::Import(n) = vref {
            self.view.imports.remove(&n);
        }
        self.syscalls.push(Syscall::RetireImports { vrefs: vec![vref] });
    }

    fn exports(&self, dropped_only: bool) -> Vec<VRef> {
        let exports = self.view.exports.iter();
        let exports = exports
            .filter(|(vref, reachable)| **vref != VRef::ROOT && !(dropped_only && **reachable));
        exports.map(|(&vref, _)| vref).collect()
    }

    fn retire_export(&mut self) {
        let vrefs = self.exports(true);
        let Some(vref) = self.rng.pick(&vrefs) else { return };
        self.view.exports.remove(&vref);
        self.syscalls.push(Syscall::RetireExports { vrefs: vec![vref] });
    }

    fn abandon(&mut self) {
        let vrefs = self.exports(false);
        let Some(vref) = self.rng.pick(&vrefs) else { return };
        self.view.exports.remove(&vref);
        self.view.abandoned.insert(vref);
        self.syscalls.push(Syscall::AbandonExports { vrefs: vec![vref] });
    }

    /// Durable data begins or ends to hold an import.
    fn hold_or_let_go(&mut self) {
        let vrefs = self.imports(true);
        let Some(VRef::Import(n)) = self.rng.pick(&vrefs) else { return };
        let key = hold_key(n);
        let value = if self.view.store.remove(&key).is_some() {
            None
        } else {
            self.view.store.insert(key.clone(), "1".to_owned());
            Some("1".to_owned())
        };
        self.vatstore.insert(key, value);
    }

    fn write(&mut self) {
        let key = format!("key{}", self.rng.below(4));
        let value = (!self.rng.one_in(3)).then(|| format!("{:x}", self.rng.number()));
        match &value {
            Some(value) => self.view.store.insert(key.clone(), value.clone()),
            None => self.view.store.remove(&key),
        };
        self.vatstore.insert(key, value);
    }

    /// What the worker reports.
    pub(crate) fn report(&mut self) -> CrankReport {
        for promise in std::mem::take(&mut self.ending) {
            self.view.promises.remove(&promise);
        }
        CrankReport {
            syscalls: std::mem::take(&mut self.syscalls),
            vatstore: std::mem::take(&mut self.vatstore).into_iter().collect(),
            ..CrankReport::default()
        }
    }
}
