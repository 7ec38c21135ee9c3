//! The kernel's side: what the vat exports, imports and decides, hence what may be delivered next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ocap_types::capdata::VCapData;
use ocap_types::crank::Syscall;
use ocap_types::refs::VRef;

use crate::script::{Arg, Step};

/// Who settles a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decider {
    /// The vat.
    Vat,
    /// The kernel, for somebody else.
    Kernel,
}

/// A promise both sides know.
#[derive(Clone, Copy, Debug)]
pub struct Promise {
    /// Who settles it.
    pub decider: Decider,
    /// Whether the vat wants to know.
    pub subscribed: bool,
    /// Whether this incarnation of the vat has met it.
    pub known: bool,
}

/// What the kernel knows of the vat.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// The vat's objects, and whether anybody can reach them. The root is not among them.
    pub exports: BTreeMap<VRef, bool>,
    /// Others' objects, and whether the vat can reach them.
    pub imports: BTreeMap<VRef, bool>,
    /// Unsettled promises.
    pub promises: BTreeMap<VRef, Promise>,
    /// Imports that were given out, so that none means two things.
    used: BTreeSet<VRef>,
    /// Messages of the vat's that wait for a promise.
    waiting: BTreeMap<VRef, Vec<(VCapData, Option<VRef>)>>,
    /// Messages that come back: their promise became an object of the vat's.
    pub returning: VecDeque<Step>,
    /// Whether the vat has exited.
    pub ended: bool,
    started: bool,
    /// Exports that were dropped in an earlier incarnation, and not mentioned since.
    orphans: BTreeSet<VRef>,
}

fn slots_of(args: &[Arg]) -> impl Iterator<Item = VRef> {
    args.iter().filter_map(|arg| if let Arg::Ref(vref) = arg { Some(*vref) } else { None })
}

impl Model {
    /// A number for an import or a promise that was never used.
    pub fn fresh(&self) -> u64 {
        let number = |vref: &VRef| match *vref {
            VRef::Import(n) | VRef::ImportPromise(n) => n,
            _ => 0,
        };
        self.used.iter().map(number).max().unwrap_or(50) + 1
    }

    fn is_mentionable(&self, vref: VRef) -> bool {
        match vref {
            VRef::Export(_) | VRef::Kinded { .. } => self.is_reachable(vref),
            VRef::Import(_) => self.imports.contains_key(&vref) || !self.used.contains(&vref),
            VRef::ImportPromise(_) => {
                self.promises.contains_key(&vref) || !self.used.contains(&vref)
            }
            VRef::ExportPromise(_) => self.promises.contains_key(&vref),
        }
    }

    fn is_reachable(&self, vref: VRef) -> bool {
        vref == VRef::ROOT || self.exports.get(&vref) == Some(&true)
    }

    /// The kernel tells the vat of something.
    fn mention(&mut self, vref: VRef) {
        match vref {
            VRef::Import(_) => {
                self.used.insert(vref);
                self.imports.insert(vref, true);
            }
            VRef::ImportPromise(_) | VRef::ExportPromise(_) => {
                if matches!(vref, VRef::ImportPromise(_)) {
                    self.used.insert(vref);
                }
                let promise = Promise { decider: Decider::Kernel, subscribed: false, known: true };
                self.promises.entry(vref).or_insert(promise).known = true;
            }
            VRef::Export(_) | VRef::Kinded { .. } => {}
        }
    }

    fn may_decide(&self, result: VRef) -> bool {
        match self.promises.get(&result) {
            Some(promise) => promise.decider == Decider::Kernel,
            None => self.is_mentionable(result),
        }
    }

    /// Whether a queued message holds a reference.
    fn is_queued(&self, vref: VRef) -> bool {
        let in_step = |step: &Step| match step {
            Step::Message { target, methargs, .. } => {
                *target == vref || methargs.slots.contains(&vref)
            }
            _ => false,
        };
        self.waiting.values().flatten().any(|(data, _)| data.slots.contains(&vref))
            || self.returning.iter().any(in_step)
    }

    /// Whether the kernel could deliver this now.
    pub fn is_legal(&self, step: &Step) -> bool {
        let message = |target: VRef, slots: &[VRef], result: Option<VRef>| {
            self.is_reachable(target)
                && result.is_none_or(|result| self.may_decide(result))
                && slots.iter().all(|&slot| self.is_mentionable(slot) && Some(slot) != result)
        };
        let started = self.started || matches!(step, Step::Start { .. });
        started
            && match step {
                Step::Start { args, .. } => slots_of(args)
                    .all(|slot| self.is_mentionable(slot) && (!slot.is_export() || !self.started)),
                Step::Do { target, args, result, .. } => {
                    message(*target, &slots_of(args).collect::<Vec<_>>(), *result)
                }
                Step::Message { target, methargs, result } => {
                    message(*target, &methargs.slots, *result)
                }
                Step::Notify { resolutions } => {
                    let mentioned: BTreeSet<VRef> =
                        resolutions.iter().flat_map(|r| r.data.slots.iter().copied()).collect();
                    let is_told = |vref: VRef| match self.promises.get(&vref) {
                        Some(promise) => promise.decider == Decider::Kernel && promise.subscribed,
                        None => mentioned.contains(&vref) && self.is_mentionable(vref),
                    };
                    resolutions.iter().any(|r| self.promises.contains_key(&r.promise))
                        && resolutions.iter().all(|r| {
                            let known = self.promises.get(&r.promise).is_none_or(|p| p.known);
                            // DIFFERENCES.md: news of promises of an earlier incarnation.
                            let is_plain =
                                r.data.slots.is_empty() && !mentioned.contains(&r.promise);
                            is_told(r.promise) && (known || is_plain)
                        })
                        && mentioned.iter().all(|slot| self.is_mentionable(*slot))
                }
                Step::DropExports(vrefs) => vrefs
                    .iter()
                    .all(|vref| self.exports.get(vref) == Some(&true) && !self.is_queued(*vref)),
                Step::RetireExports(vrefs) => vrefs.iter().all(|vref| {
                    // DIFFERENCES.md: orphans.
                    self.exports.get(vref) == Some(&false) && !self.orphans.contains(vref)
                }),
                Step::RetireImports(vrefs) => {
                    vrefs.iter().all(|vref| self.imports.get(vref) == Some(&false))
                }
                Step::BringOutYourDead => true,
            }
    }

    /// Notes what a legal delivery changes. `is_held` tells of an import whether durable data of the
    /// vat's holds it, or (`false`) only knows it as the key of a weak collection.
    pub fn deliver(&mut self, step: &Step, is_held: impl Fn(VRef) -> Option<bool>) {
        match step {
            Step::Start { args, .. } => {
                if self.started {
                    self.restart(is_held);
                }
                self.started = true;
                slots_of(args).for_each(|slot| self.mention(slot));
            }
            Step::Do { args, result, .. } => {
                slots_of(args).for_each(|slot| self.mention(slot));
                self.decide(*result);
            }
            Step::Message { methargs, result, .. } => {
                methargs.slots.iter().for_each(|slot| self.mention(*slot));
                self.decide(*result);
            }
            Step::Notify { resolutions } => {
                for resolution in resolutions {
                    resolution.data.slots.iter().for_each(|slot| self.mention(*slot));
                }
                for resolution in resolutions {
                    self.settle(resolution.promise, resolution.rejected, &resolution.data);
                }
            }
            Step::DropExports(vrefs) => {
                self.exports.extend(vrefs.iter().map(|vref| (*vref, false)));
            }
            Step::RetireExports(vrefs) => self.exports.retain(|vref, _| !vrefs.contains(vref)),
            Step::RetireImports(vrefs) => self.imports.retain(|vref, _| !vrefs.contains(vref)),
            Step::BringOutYourDead => {}
        }
    }

    fn restart(&mut self, is_held: impl Fn(VRef) -> Option<bool>) {
        self.exports.retain(|vref, _| vref.is_durable_export());
        let dropped = self.exports.iter().filter(|(_, is_reachable)| !**is_reachable);
        self.orphans.extend(dropped.map(|(vref, _)| *vref));
        self.imports = std::mem::take(&mut self.imports)
            .into_keys()
            .filter_map(|vref| Some((vref, is_held(vref)?)))
            .collect();
        // What the vat was deciding is rejected; it hears of it if it wanted to know.
        self.promises.retain(|_, promise| promise.decider == Decider::Kernel || promise.subscribed);
        for promise in self.promises.values_mut() {
            *promise = Promise { decider: Decider::Kernel, known: false, ..*promise };
        }
    }

    fn decide(&mut self, result: Option<VRef>) {
        if let Some(result) = result {
            self.mention(result);
            if let Some(promise) = self.promises.get_mut(&result) {
                promise.decider = Decider::Vat;
            }
        }
    }

    /// A promise is no more; messages that waited for it come back if it became the vat's own.
    fn settle(&mut self, promise: VRef, rejected: bool, data: &VCapData) {
        self.promises.remove(&promise);
        let messages = self.waiting.remove(&promise).unwrap_or_default();
        if rejected || !data.body.starts_with("#\"$0") {
            return;
        }
        if let Some(target) = data.slots.first().filter(|target| target.is_export()) {
            let steps = messages.into_iter().map(|(methargs, result)| Step::Message {
                target: *target,
                methargs,
                result,
            });
            self.returning.extend(steps);
        }
    }

    /// The vat tells the kernel of something.
    fn hear(&mut self, vref: VRef) -> Result<(), String> {
        match vref {
            VRef::ROOT => {}
            VRef::Export(_) | VRef::Kinded { .. } => {
                self.exports.insert(vref, true);
                self.orphans.remove(&vref);
            }
            VRef::Import(_) if self.imports.get(&vref) == Some(&true) => {}
            VRef::ExportPromise(_) => {
                let promise = Promise { decider: Decider::Vat, subscribed: false, known: true };
                self.promises.entry(vref).or_insert(promise);
            }
            VRef::ImportPromise(_) if self.promises.contains_key(&vref) => {}
            _ => return Err(format!("it mentions {vref}, which it does not have")),
        }
        Ok(())
    }

    /// Notes what the vat did; an error if it may not.
    pub fn syscall(&mut self, syscall: &Syscall) -> Result<(), String> {
        match syscall {
            Syscall::Send { target, methargs, result } => {
                match target {
                    VRef::Import(_) => self.hear(*target)?,
                    _ if self.promises.contains_key(target) => {}
                    _ => return Err(format!("it sends to {target}")),
                }
                methargs.slots.iter().try_for_each(|slot| self.hear(*slot))?;
                if target.is_promise() {
                    let message = (methargs.clone(), *result);
                    self.waiting.entry(*target).or_default().push(message);
                }
                if let Some(result) = result {
                    let promise =
                        Promise { decider: Decider::Kernel, subscribed: false, known: true };
                    if self.promises.insert(*result, promise).is_some() {
                        return Err(format!("it wants the answer in {result}, which is in use"));
                    }
                }
            }
            Syscall::Subscribe { promise } => match self.promises.get_mut(promise) {
                Some(promise) => {
                    promise.subscribed = true;
                    promise.known = true;
                }
                // One of its own that it watches.
                None if matches!(promise, VRef::ExportPromise(_)) => {
                    let decider = Decider::Vat;
                    let news = Promise { decider, subscribed: true, known: true };
                    self.promises.insert(*promise, news);
                }
                None => return Err(format!("it subscribes to {promise}")),
            },
            Syscall::Resolve { resolutions } => {
                for resolution in resolutions {
                    resolution.data.slots.iter().try_for_each(|slot| self.hear(*slot))?;
                }
                for resolution in resolutions {
                    let decider = self.promises.get(&resolution.promise).map(|p| p.decider);
                    if decider != Some(Decider::Vat) {
                        return Err(format!("it settles {}", resolution.promise));
                    }
                    self.settle(resolution.promise, resolution.rejected, &resolution.data);
                }
            }
            Syscall::Exit { .. } => self.ended = true,
            Syscall::Ask { .. } | Syscall::Withdraw { .. } => {
                return Err("it asks for what it was not given".into());
            }
            Syscall::DropImports { vrefs } => {
                for vref in vrefs {
                    if self.imports.insert(*vref, false) != Some(true) {
                        return Err(format!("it drops {vref}"));
                    }
                }
            }
            Syscall::RetireImports { vrefs } => {
                for vref in vrefs {
                    if self.imports.remove(vref) != Some(false) {
                        return Err(format!("it retires {vref}"));
                    }
                }
            }
            Syscall::RetireExports { vrefs } | Syscall::AbandonExports { vrefs } => {
                for vref in vrefs {
                    if self.exports.remove(vref) != Some(false) {
                        return Err(format!("it retires {vref}"));
                    }
                }
            }
        }
        Ok(())
    }
}
