//! When a vat is asked to bring out its dead: to say what it does not reach or remember any more.
//! By deliveries, by what it was given meanwhile or has stored, and at rest; never if it knows nothing
//! that could be given up.

use ocap_types::VatId;

use crate::api::{CoreError, VatCondition};
use crate::core::Core;
use crate::keys;
use crate::limits;
use crate::rows::{Imports, Party, Vat, Work};

impl Core {
    /// A vat has had a delivery that may have left garbage behind.
    pub(crate) fn count_delivery(&mut self, vat: VatId) -> Result<(), CoreError> {
        let imports: Option<Imports> = self.space.row(&keys::imports(vat))?;
        let runtime = self.runtime.entry(vat).or_default();
        // The root alone cannot be given up.
        if imports.is_none_or(|imports| imports.entries <= 1) && runtime.records == 0 {
            self.rested(vat);
            return Ok(());
        }
        runtime.since_reap += 1;
        let due = runtime.since_reap >= limits::REAP_INTERVAL_DELIVERIES
            || runtime.imported >= limits::REAP_INTERVAL_IMPORTS
            || runtime.records >= limits::REAP_INTERVAL_RECORDS;
        self.unreaped.insert(vat);
        if due { self.schedule_reap(vat) } else { Ok(()) }
    }

    /// A vat has brought out its dead. Where that has removed records, there may be more of them: what
    /// they mentioned, and what was too much for one crank.
    pub(crate) fn reaped(&mut self, vat: VatId) {
        if self.runtime.get(&vat).is_some_and(|runtime| runtime.records > 0) {
            self.unreaped.insert(vat);
        }
    }

    pub(crate) fn schedule_reap(&mut self, vat: VatId) -> Result<(), CoreError> {
        self.rested(vat);
        let work = self.work(Party::Vat(vat))?;
        self.write_work(Party::Vat(vat), &Work { reap: true, ..work })
    }

    /// There is nothing a vat could be asked to give up, or it is going to be asked.
    pub(crate) fn rested(&mut self, vat: VatId) {
        self.unreaped.remove(&vat);
        if let Some(runtime) = self.runtime.get_mut(&vat) {
            (runtime.since_reap, runtime.imported, runtime.records) = (0, 0, 0);
        }
    }

    /// Whether some vat may hold garbage that no schedule will ask for unless it has more to do.
    pub fn has_unreaped(&self) -> bool {
        !self.unreaped.is_empty()
    }

    /// Nothing has happened for a while: has some of the vats that may hold garbage bring it out.
    /// Call it again, after another while, for as long as [`Core::has_unreaped`] says so.
    ///
    /// # Errors
    /// Only those that end the kernel.
    pub fn reap_at_rest(&mut self) -> Result<(), CoreError> {
        let vats: Vec<VatId> =
            self.unreaped.iter().copied().take(limits::REAP_AT_REST_VATS).collect();
        self.turn(|core| {
            for vat in vats {
                core.rested(vat);
                let row: Option<Vat> = core.space.row(&keys::vat(vat))?;
                if row.is_some_and(|row| row.condition == VatCondition::Running) {
                    core.schedule_reap(vat)?;
                }
            }
            Ok(())
        })
    }
}

/// Whether a write to a vat's store says that an object has come, or that something may need it no more
/// (the layout is that of Liveslots): not so new values for the state of an object or in a collection.
pub(crate) fn is_about_objects(key: &str, replaces: bool) -> bool {
    match key.strip_prefix("vom.") {
        Some(record) => !(replaces && record.starts_with("o+")),
        None => !replaces && key.ends_with(".|schemata"),
    }
}
