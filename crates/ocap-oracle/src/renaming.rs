//! Cranks that are the same but for names. What a vat allocates is called by the order in which its
//! syscalls mention it, so where that order is open (`compare.rs`) the names are open too.

use std::collections::BTreeMap;

use ocap_types::crank::Syscall;
use ocap_types::refs::VRef;

use crate::Crank;
use crate::compare::may_swap;

/// Whether Liveslots did what we did, in an order that is open, and therefore under other names.
pub fn is_renamed(ours: &Crank, theirs: &Crank) -> bool {
    if ours.error != theirs.error || ours.syscalls.len() != theirs.syscalls.len() {
        return false;
    }
    let mut left = theirs.syscalls.clone();
    let mut names = Names::default();
    for wanted in &ours.syscalls {
        let found = (0..left.len()).find_map(|place| {
            let is_open = left[..place].iter().all(|ahead| may_swap(ahead, &left[place]));
            let extended = is_open.then(|| names.with(wanted, &left[place])).flatten()?;
            Some((place, extended))
        });
        let Some((place, extended)) = found else { return false };
        left.remove(place);
        names = extended;
    }
    true
}

/// Our names for theirs, and theirs for ours.
#[derive(Clone, Default)]
struct Names {
    ours: BTreeMap<VRef, VRef>,
    theirs: BTreeMap<VRef, VRef>,
}

impl Names {
    /// With what makes the two syscalls the same, if anything does.
    fn with(&self, ours: &Syscall, theirs: &Syscall) -> Option<Names> {
        let (shape, refs) = apart(ours);
        let (their_shape, their_refs) = apart(theirs);
        if shape != their_shape || refs.len() != their_refs.len() {
            return None;
        }
        let mut names = self.clone();
        for (our, their) in refs.into_iter().zip(their_refs) {
            if !(is_allocated(our) && is_allocated(their)) {
                if our != their {
                    return None;
                }
                continue;
            }
            let (known, known_back) =
                (names.theirs.insert(our, their), names.ours.insert(their, our));
            if known.is_some_and(|known| known != their) || known_back.is_some_and(|k| k != our) {
                return None;
            }
        }
        Some(names)
    }
}

fn is_allocated(vref: VRef) -> bool {
    vref != VRef::ROOT && matches!(vref, VRef::Export(_) | VRef::ExportPromise(_))
}

/// A syscall with all its references taken out, and these in their order.
fn apart(syscall: &Syscall) -> (Syscall, Vec<VRef>) {
    let mut syscall = syscall.clone();
    let mut refs = Vec::new();
    let mut take = |vref: &mut VRef| refs.push(std::mem::replace(vref, VRef::ROOT));
    match &mut syscall {
        Syscall::Send { target, methargs, result } => {
            take(target);
            methargs.slots.iter_mut().for_each(&mut take);
            result.iter_mut().for_each(&mut take);
        }
        Syscall::Subscribe { promise } => take(promise),
        Syscall::Resolve { resolutions } => {
            for resolution in resolutions {
                take(&mut resolution.promise);
                resolution.data.slots.iter_mut().for_each(&mut take);
            }
        }
        Syscall::Exit { info, .. } => info.slots.iter_mut().for_each(&mut take),
        Syscall::DropImports { vrefs }
        | Syscall::RetireImports { vrefs }
        | Syscall::RetireExports { vrefs }
        | Syscall::AbandonExports { vrefs } => vrefs.iter_mut().for_each(&mut take),
        // Of ours alone: there is nothing to compare them with.
        Syscall::Ask { .. } | Syscall::Withdraw { .. } => {}
    }
    (syscall, refs)
}
