//! What an earlier incarnation knew and the present one does not: ephemeral exports, and imports
//! that no durable data mentions. What it has only as the key of a weak collection is remembered, but
//! not held. There may be any number of such c-list entries, so a new incarnation
//! only notes where its own begin; older ones are removed in bounded steps while nothing else is to
//! be done, or when something comes across them first.
//!
//! Invariants: a stale entry is never given to the vat, taken from it, or routed to. What is noted
//! is lost with this run of the kernel, whose successor notes it anew for every vat.

use std::collections::BTreeSet;

use ocap_types::{KRef, VRef, VatId};

use crate::api::CoreError;
use crate::core::{Core, Undo};
use crate::keys;
use crate::limits;
use crate::rows::{ClistEntry, Imports, corrupt};

/// Row of a vat's store that is there as long as its durable data holds an import.
const DURABLE_COUNT: &str = "vom.rc.";

/// Before the name of an import that a weak collection has as a key, which `|` and the collection
/// follow.
const DURABLE_KEY: &str = "vom.ir.";

/// Where an incarnation's own entries begin, and how far the removal of older ones has got.
#[derive(Clone, Debug)]
pub(crate) struct Sweep {
    /// Objects from this number on are exports of this incarnation.
    objects: u64,
    /// Imports from this number on were given to this incarnation.
    imports: u64,
    /// Older imports that are this incarnation's now: durable data mentioned them when it began, and
    /// does no longer, or they were given again.
    kept: BTreeSet<u64>,
    /// Key of the entry looked at last.
    after: String,
}

impl Core {
    /// From now on what the vat was given and gave before is stale.
    pub(crate) fn begin_sweep(&mut self, vat: VatId) -> Result<(), CoreError> {
        let imports: Imports = self.space.required(&keys::imports(vat))?;
        let objects = self.space.required(keys::NEXT_OBJECT)?;
        let (kept, after) = (BTreeSet::new(), String::new());
        self.set_sweep(vat, Some(Sweep { objects, imports: imports.object, kept, after }));
        Ok(())
    }

    pub(crate) fn end_sweep(&mut self, vat: VatId) {
        self.set_sweep(vat, None);
    }

    fn set_sweep(&mut self, vat: VatId, sweep: Option<Sweep>) {
        let before = match sweep {
            Some(sweep) => self.sweeps.insert(vat, sweep),
            None => self.sweeps.remove(&vat),
        };
        self.remember(Undo::Sweep(vat, before.map(Box::new)));
    }

    /// Whether there is work that [`Core::dispatch`] does bit by bit while there is nothing else to
    /// do. Call it again soon.
    pub fn has_chores(&self) -> bool {
        !self.sweeps.is_empty() || self.has_remains()
    }

    /// Whether an entry is of an earlier incarnation, and means nothing to the present one, if there
    /// is one.
    pub(crate) fn is_stale(&self, vat: VatId, kref: KRef, vref: VRef) -> Result<bool, CoreError> {
        if self.has_left(vat) {
            return Ok(true);
        }
        let Some(sweep) = self.sweeps.get(&vat) else { return Ok(false) };
        match (vref, kref) {
            (VRef::Import(number), _) => {
                if number >= sweep.imports || sweep.kept.contains(&number) {
                    return Ok(false);
                }
                Ok(!self.is_counted(vat, vref)? && !self.is_weak_key(vat, vref)?)
            }
            (_, KRef::Object(number)) if !vref.is_durable_export() => Ok(number < sweep.objects),
            _ => Ok(false),
        }
    }

    /// Removes an entry if it is stale, and says whether it was.
    pub(crate) fn forget_stale(
        &mut self,
        vat: VatId,
        kref: KRef,
        entry: ClistEntry,
    ) -> Result<bool, CoreError> {
        if !self.is_stale(vat, kref, entry.vref)? {
            return Ok(false);
        }
        match kref {
            KRef::Object(number) if entry.vref.is_export() => self.orphan(vat, number, entry)?,
            _ => self.remove_entry(vat, kref, entry)?,
        }
        Ok(true)
    }

    /// Whether durable data mentions an import.
    fn is_counted(&self, vat: VatId, import: VRef) -> Result<bool, CoreError> {
        self.space.contains(&keys::vatstore(vat, &format!("{DURABLE_COUNT}{import}")))
    }

    /// Whether a weak collection has an import as a key.
    fn is_weak_key(&self, vat: VatId, import: VRef) -> Result<bool, CoreError> {
        let prefix = format!("{}{DURABLE_KEY}{import}|", keys::vatstore_prefix(vat));
        Ok(self.space.next(&prefix, "")?.is_some())
    }

    /// Whether all that is left of an older import is that a weak collection knows it. If its entry
    /// says that the vat can reach it, that was so in an earlier incarnation.
    pub(crate) fn is_remembered(&self, vat: VatId, import: VRef) -> Result<bool, CoreError> {
        let (Some(sweep), VRef::Import(number)) = (self.sweeps.get(&vat), import) else {
            return Ok(false);
        };
        Ok(number < sweep.imports
            && !sweep.kept.contains(&number)
            && !self.is_counted(vat, import)?)
    }

    /// From now on an older import is this incarnation's own.
    pub(crate) fn keep(&mut self, vat: VatId, import: VRef) {
        let (Some(sweep), VRef::Import(number)) = (self.sweeps.get_mut(&vat), import) else {
            return;
        };
        if number < sweep.imports {
            sweep.kept.insert(number);
            if sweep.kept.len() > limits::SWEEP_KEPT_MAX {
                // What is left stays until the next incarnation.
                self.end_sweep(vat);
            }
        }
    }

    /// The vat deletes a row of its store. An import that only that row kept from being stale may
    /// be in its heap, or is about to be retired.
    pub(crate) fn keep_import(&mut self, vat: VatId, key: &str) -> Result<(), CoreError> {
        if !self.sweeps.contains_key(&vat) {
            return Ok(());
        }
        let counted = key.strip_prefix(DURABLE_COUNT);
        let known = key.strip_prefix(DURABLE_KEY).and_then(|rest| rest.split('|').next());
        let Some(Ok(import)) = counted.or(known).map(str::parse) else { return Ok(()) };
        if self.space.contains(&keys::vatstore(vat, key))? {
            if known.is_some() {
                self.let_go(vat, import)?;
            }
            self.keep(vat, import);
        }
        Ok(())
    }

    /// What is only remembered is not held.
    fn let_go(&mut self, vat: VatId, import: VRef) -> Result<(), CoreError> {
        if self.is_remembered(vat, import)?
            && let Some(kref @ KRef::Object(number)) = self.named(vat, import)?
            && let Some(entry) = self.entry(vat, kref)?
            && entry.reachable
        {
            self.space.write(keys::by_kref(vat, kref), &ClistEntry { reachable: false, ..entry });
            self.count_object(number, -1, 0)?;
        }
        Ok(())
    }

    /// Looks at no more than the next `max` entries of a vat that is being swept, and removes those
    /// that are stale. Answers with how many more might have been looked at.
    pub(crate) fn sweep(&mut self, vat: VatId, max: usize) -> Result<usize, CoreError> {
        let Some(sweep) = self.sweeps.get(&vat) else { return Ok(max) };
        let prefix = keys::by_vref_prefix(vat, "o");
        let mut after = sweep.after.clone();
        for seen in 0..max {
            let Some((key, kref)) = self.space.next(&prefix, &after)? else {
                self.end_sweep(vat);
                return Ok(max - seen);
            };
            let kref: KRef = kref.parse().map_err(|_| corrupt(&key, "no reference"))?;
            let vref: Option<VRef> =
                key.strip_prefix(&prefix).and_then(|rest| format!("o{rest}").parse().ok());
            let vref = vref.ok_or_else(|| corrupt(&key, "no reference"))?;
            if matches!(vref, VRef::Kinded { durable: true, .. }) {
                // They stand together, however many there are: on to what follows them.
                after = format!("{prefix}{AFTER_DURABLE}");
                continue;
            }
            if self.is_stale(vat, kref, vref)? {
                let entry = self.space.required(&keys::by_kref(vat, kref))?;
                self.forget_stale(vat, kref, entry)?;
            } else {
                self.let_go(vat, vref)?;
            }
            after = key;
        }
        if let Some(sweep) = self.sweeps.get(&vat) {
            let sweep = Sweep { after, ..sweep.clone() };
            self.set_sweep(vat, Some(sweep));
        }
        Ok(0)
    }
}

/// What follows `o` in a key greater than those of durable exports (`o+d7/1`), and less than those
/// of other exports with a kind (`o+v7/1`).
const AFTER_DURABLE: &str = "+e";
