//! Renumbering: what a vat allocates is called by the order in which its syscalls mention it.

use std::collections::BTreeMap;

use ocap_types::capdata::{CapData, VCapData};
use ocap_types::crank::{Delivery, Resolution, Syscall};
use ocap_types::refs::VRef;

/// The vat's references on one side, ours on the other.
#[derive(Debug, Default)]
pub struct Numbers {
    outside: BTreeMap<VRef, VRef>,
    inside: BTreeMap<VRef, VRef>,
    objects: u64,
    promises: u64,
    kinds: BTreeMap<u64, u64>,
}

/// The number of the first virtual kind on the outside.
const FIRST_KIND: u64 = 1000;
/// Kinds below are those of collections, with fixed numbers.
const FIRST_OF_VATS: u64 = 10;

impl Numbers {
    /// All the vat has mentioned.
    pub fn into_map(self) -> BTreeMap<VRef, VRef> {
        self.outside
    }

    fn exported(&mut self, vref: VRef) -> VRef {
        if let Some(found) = self.outside.get(&vref) {
            return *found;
        }
        let ours = match vref {
            VRef::Export(n) if n > 0 => {
                self.objects += 1;
                VRef::Export(self.objects)
            }
            VRef::ExportPromise(_) => {
                self.promises += 1;
                VRef::ExportPromise(self.promises)
            }
            // Each incarnation defines its virtual kinds anew; durable kinds are of the first.
            VRef::Kinded { durable: false, kind, instance, facet } if kind >= FIRST_OF_VATS => {
                let next = FIRST_KIND + self.kinds.len() as u64;
                let kind = *self.kinds.entry(kind).or_insert(next);
                VRef::Kinded { durable: false, kind, instance, facet }
            }
            other => return other,
        };
        self.outside.insert(vref, ours);
        self.inside.insert(ours, vref);
        ours
    }

    fn imported(&self, ours: VRef) -> Option<VRef> {
        match ours {
            VRef::Export(n) if n > 0 => self.inside.get(&ours).copied(),
            VRef::ExportPromise(_) => self.inside.get(&ours).copied(),
            VRef::Kinded { durable: false, kind, .. } if kind >= FIRST_KIND => {
                self.inside.get(&ours).copied()
            }
            other => Some(other),
        }
    }

    fn data_out(&mut self, data: &VCapData) -> VCapData {
        let slots = data.slots.iter().map(|slot| self.exported(*slot)).collect();
        CapData { body: data.body.clone(), slots }
    }

    fn data_in(&self, data: &VCapData) -> Option<VCapData> {
        Some(CapData { body: data.body.clone(), slots: self.list_in(&data.slots)? })
    }

    fn list_in(&self, vrefs: &[VRef]) -> Option<Vec<VRef>> {
        vrefs.iter().map(|vref| self.imported(*vref)).collect()
    }

    /// A syscall of the vat's, renumbered.
    pub fn syscall(&mut self, syscall: &Syscall) -> Syscall {
        let mut list =
            |vrefs: &[VRef]| vrefs.iter().map(|v| self.exported(*v)).collect::<Vec<VRef>>();
        match syscall {
            Syscall::Send { target, methargs, result } => Syscall::Send {
                target: self.exported(*target),
                methargs: self.data_out(methargs),
                result: result.map(|result| self.exported(result)),
            },
            Syscall::Subscribe { promise } => {
                Syscall::Subscribe { promise: self.exported(*promise) }
            }
            Syscall::Resolve { resolutions } => Syscall::Resolve {
                resolutions: resolutions
                    .iter()
                    .map(|Resolution { promise, rejected, data }| Resolution {
                        promise: self.exported(*promise),
                        rejected: *rejected,
                        data: self.data_out(data),
                    })
                    .collect(),
            },
            // Liveslots has nothing of the kind; the vat has no use for it.
            Syscall::Ask { .. } | Syscall::Withdraw { .. } => syscall.clone(),
            Syscall::Exit { failure, info } => {
                Syscall::Exit { failure: *failure, info: self.data_out(info) }
            }
            Syscall::DropImports { vrefs } => Syscall::DropImports { vrefs: list(vrefs) },
            Syscall::RetireImports { vrefs } => Syscall::RetireImports { vrefs: list(vrefs) },
            Syscall::RetireExports { vrefs } => Syscall::RetireExports { vrefs: list(vrefs) },
            Syscall::AbandonExports { vrefs } => Syscall::AbandonExports { vrefs: list(vrefs) },
        }
    }

    /// A delivery in the vat's numbers; `None` if it mentions what the vat never did.
    pub fn delivery(&self, delivery: &Delivery) -> Option<Delivery> {
        Some(match delivery {
            Delivery::Start { parameters } => {
                Delivery::Start { parameters: self.data_in(parameters)? }
            }
            Delivery::Message { target, methargs, result } => Delivery::Message {
                target: self.imported(*target)?,
                methargs: self.data_in(methargs)?,
                result: match result {
                    Some(result) => Some(self.imported(*result)?),
                    None => None,
                },
            },
            Delivery::Notify { resolutions } => Delivery::Notify {
                resolutions: resolutions
                    .iter()
                    .map(|Resolution { promise, rejected, data }| {
                        let promise = self.imported(*promise)?;
                        Some(Resolution { promise, rejected: *rejected, data: self.data_in(data)? })
                    })
                    .collect::<Option<_>>()?,
            },
            Delivery::DropExports { vrefs } => {
                Delivery::DropExports { vrefs: self.list_in(vrefs)? }
            }
            Delivery::RetireExports { vrefs } => {
                Delivery::RetireExports { vrefs: self.list_in(vrefs)? }
            }
            Delivery::RetireImports { vrefs } => {
                Delivery::RetireImports { vrefs: self.list_in(vrefs)? }
            }
            Delivery::BringOutYourDead => Delivery::BringOutYourDead,
        })
    }
}
