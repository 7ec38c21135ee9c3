//! What a reference, or a vat, is at some moment: one side of the coverage table.

use ocap_core::WatchedVat;
use ocap_core::api::VatCondition;
use ocap_types::refs::Reference;
use ocap_types::{CapData, KRef, VRef, VatId, smallcaps};

use crate::coverage::State;
use crate::world::World;

/// What a vat is.
fn state_of_life(vat: &WatchedVat<'_>) -> State {
    match vat.condition {
        VatCondition::Failed { .. } | VatCondition::Suspended { .. } => State::Suspended,
        _ if vat.incarnation.0 > 1 => State::Restarted,
        _ => State::Live,
    }
}

/// What a promise is that became this.
pub(crate) fn state_of_value<R: Reference>(rejected: bool, data: &CapData<R>) -> State {
    if rejected {
        return State::Rejected;
    }
    match smallcaps::single_reference(data) {
        Some(slot) if slot.is_promise() => State::ToPromise,
        Some(_) => State::ToObject,
        None => State::ToData,
    }
}

impl World {
    /// What a vat is at present.
    pub(crate) fn state_of_vat(&self, vat: VatId) -> State {
        self.watch.vat(vat).map_or(State::Terminated, |vat| state_of_life(&vat))
    }

    /// What a reference is at present, and the vat whose root it is.
    pub(crate) fn state_of(&self, kref: KRef) -> (State, Option<VatId>) {
        if kref.is_promise() {
            return (self.state_of_promise(kref), None);
        }
        let Some(row) = self.watch.row(&format!("o.{kref}")) else { return (State::Deleted, None) };
        if row.ends_with(" revoked") {
            return (State::Revoked, None);
        }
        let state = match row.split(' ').next() {
            Some("kernel") => State::Live,
            Some("-") => {
                let ended =
                    self.watch.last_owner(kref).is_some_and(|vat| self.watch.vat(vat).is_none());
                if ended { State::Terminated } else { State::Deleted }
            }
            Some(vat) => vat.parse().map_or(State::Deleted, |vat| self.state_of_vat(vat)),
            None => State::Deleted,
        };
        (state, self.watch.vat_of_root(kref).map(|vat| vat.id))
    }

    fn state_of_promise(&self, kref: KRef) -> State {
        let Some(row) = self.watch.row(&format!("p.{kref}")) else { return State::Deleted };
        let Some(value) = self.watch.row(&format!("pv.{kref}")) else { return State::Unresolved };
        // A value is a text within a text there; what a lone reference looks like is known.
        let object = value.contains("\"#\\\"$0\\\"\"") || value.contains("\"#\\\"$0.");
        let promise = value.contains("\"#\\\"&0\\\"\"") || value.contains("\"#\\\"&0.");
        match (row.starts_with('r'), object, promise) {
            (true, ..) => State::Rejected,
            (_, true, _) => State::ToObject,
            (_, _, true) => State::ToPromise,
            _ => State::ToData,
        }
    }

    /// What something is that a vat names.
    pub(crate) fn state_of_named(&self, vat: VatId, vref: VRef) -> Option<State> {
        let kref = self.watch.row(&format!("c.{vat}.v.{vref}"))?.parse().ok()?;
        Some(self.state_of(kref).0)
    }
}
