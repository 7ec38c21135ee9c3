//! C-lists: which kernel references a vat knows, and by what name.
//!
//! Invariants: the two rows of an entry are there together or not at all; an import entry holds
//! its object; an entry of either direction holds its promise; no other row gives a vat a name.

use ocap_types::{KRef, VRef, VatId};

use crate::api::CoreError;
use crate::core::{Core, InFlightWork};
use crate::keys;
use crate::limits;
use crate::rows::{ClistEntry, Imports, Object, Party, corrupt};
use crate::settle::Abort;

impl Core {
    /// What a vat calls a reference.
    pub(crate) fn entry(&self, vat: VatId, kref: KRef) -> Result<Option<ClistEntry>, CoreError> {
        self.space.row(&keys::by_kref(vat, kref))
    }

    /// What a vat's name stands for.
    pub(crate) fn named(&self, vat: VatId, vref: VRef) -> Result<Option<KRef>, CoreError> {
        self.space.row(&keys::by_vref(vat, vref))
    }

    /// What a vat's name stands for, if the present incarnation may use it.
    pub(crate) fn present(&mut self, vat: VatId, vref: VRef) -> Result<Option<KRef>, CoreError> {
        let Some(kref) = self.named(vat, vref)? else { return Ok(None) };
        if self.is_stale(vat, kref, vref)? {
            let entry = self.space.required(&keys::by_kref(vat, kref))?;
            self.forget_stale(vat, kref, entry)?;
            return Ok(None);
        }
        Ok(Some(kref))
    }

    /// Adds an entry; the caller counts it.
    pub(crate) fn add_entry(&mut self, vat: VatId, kref: KRef, vref: VRef) {
        let entry = ClistEntry { reachable: true, vref };
        self.space.write_new(keys::by_kref(vat, kref), &entry);
        self.space.write_new(keys::by_vref(vat, vref), &kref);
    }

    fn write_entry(&mut self, vat: VatId, kref: KRef, entry: ClistEntry) {
        self.space.write(keys::by_kref(vat, kref), &entry);
    }

    /// Kernel to vat: the vat's name for a reference, new if it has none.
    pub(crate) fn give(&mut self, vat: VatId, kref: KRef) -> Result<VRef, CoreError> {
        if let Some(mut entry) = self.entry(vat, kref)?
            && !self.forget_stale(vat, kref, entry)?
        {
            if self.is_remembered(vat, entry.vref)? {
                self.keep(vat, entry.vref);
            }
            if !entry.reachable {
                entry.reachable = true;
                self.write_entry(vat, kref, entry);
                if let (KRef::Object(number), false) = (kref, entry.vref.is_export()) {
                    self.count_object(number, 1, 0)?;
                }
            }
            return Ok(entry.vref);
        }
        let key = keys::imports(vat);
        let mut imports: Imports = self.space.required(&key)?;
        let vref = match kref {
            KRef::Object(number) => {
                imports.object += 1;
                self.runtime.entry(vat).or_default().imported += 1;
                self.space.put_new(keys::importer(number, vat), String::new());
                VRef::Import(imports.object - 1)
            }
            KRef::Promise(_) => {
                imports.promise += 1;
                VRef::ImportPromise(imports.promise - 1)
            }
        };
        imports.entries += 1;
        self.space.write(key, &imports);
        self.hold(kref)?;
        self.add_entry(vat, kref, vref);
        Ok(vref)
    }

    /// Vat to kernel: what a vat's name stands for; an export it names for the first time becomes a
    /// new object or promise.
    pub(crate) fn take(&mut self, vat: VatId, vref: VRef) -> Result<KRef, Abort> {
        if let Some(kref) = self.present(vat, vref)? {
            if !kref.is_promise() {
                let mut entry: ClistEntry = self.space.required(&keys::by_kref(vat, kref))?;
                if !entry.reachable {
                    if !vref.is_export() {
                        return Err(Abort::Illegal(format!("{vref} was dropped by the vat")));
                    }
                    entry.reachable = true;
                    self.write_entry(vat, kref, entry);
                }
            }
            return Ok(kref);
        }
        if !vref.is_export() {
            return Err(Abort::Illegal(format!("{vref} was never given to the vat")));
        }
        let key = keys::imports(vat);
        let mut imports: Imports = self.space.required(&key)?;
        while imports.entries >= limits::CLIST_ENTRIES_MAX && self.sweeps.contains_key(&vat) {
            self.sweep(vat, limits::CHORE_ROWS)?;
            imports = self.space.required(&key)?;
        }
        if imports.entries >= limits::CLIST_ENTRIES_MAX {
            return Err(Abort::Overload("the vat shares too many references".to_owned()));
        }
        imports.entries += 1;
        self.space.write(key, &imports);
        let kref = if vref.is_promise() {
            let kref = KRef::Promise(self.new_promise(Some(Party::Vat(vat)))?);
            self.hold(kref)?;
            kref
        } else {
            let number = self.new_object(Party::Vat(vat))?;
            // Unless the crank puts it somewhere that holds it, it is to be dropped at once.
            self.maybe_free.push(KRef::Object(number));
            KRef::Object(number)
        };
        self.add_entry(vat, kref, vref);
        Ok(kref)
    }

    /// Whether a delivery that the vat has been handed, and not yet got to, mentions a reference. It
    /// has it again then, whatever it gives up before that.
    fn is_on_its_way(&self, vat: VatId, kref: KRef) -> Result<bool, CoreError> {
        let Some(flights) = self.in_flight.get(&vat) else { return Ok(false) };
        for flight in flights {
            match &flight.work {
                InFlightWork::Message { slots, .. } if slots.contains(&kref) => return Ok(true),
                InFlightWork::Notify { batch, .. } => {
                    for promise in batch {
                        let KRef::Promise(number) = *promise else { continue };
                        if self.promise_value(number)?.slots.contains(&kref) {
                            return Ok(true);
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(false)
    }

    /// The vat cannot reach an import any more.
    pub(crate) fn drop_import(&mut self, vat: VatId, vref: VRef) -> Result<(), Abort> {
        let (kref, mut entry) = self.collectable(vat, vref, false)?;
        if entry.reachable && !self.is_on_its_way(vat, KRef::Object(kref))? {
            entry.reachable = false;
            self.write_entry(vat, KRef::Object(kref), entry);
            self.count_object(kref, -1, 0)?;
        }
        Ok(())
    }

    /// The vat does not remember an import any more.
    pub(crate) fn retire_import(&mut self, vat: VatId, vref: VRef) -> Result<(), Abort> {
        let (number, entry) = self.collectable(vat, vref, false)?;
        if self.is_on_its_way(vat, KRef::Object(number))? {
            return Ok(());
        }
        if entry.reachable && !self.is_remembered(vat, vref)? {
            return Err(Abort::Illegal(format!("{vref} is retired but was not dropped")));
        }
        Ok(self.remove_entry(vat, KRef::Object(number), entry)?)
    }

    /// The vat does not remember an export any more; nobody can reach it (`abandon`: or may).
    pub(crate) fn retire_export(
        &mut self,
        vat: VatId,
        vref: VRef,
        abandon: bool,
    ) -> Result<(), Abort> {
        let (number, entry) = self.collectable(vat, vref, true)?;
        if vref == VRef::ROOT {
            return Err(Abort::Illegal("the root cannot be retired".to_owned()));
        }
        if entry.reachable && !abandon {
            return Err(Abort::Illegal(format!("{vref} is retired but can be reached")));
        }
        Ok(self.orphan(vat, number, entry)?)
    }

    /// The object and entry a collection syscall is about.
    fn collectable(
        &mut self,
        vat: VatId,
        vref: VRef,
        export: bool,
    ) -> Result<(u64, ClistEntry), Abort> {
        if vref.is_promise() || vref.is_export() != export {
            return Err(Abort::Illegal(format!("{vref} cannot be collected this way")));
        }
        match self.present(vat, vref)? {
            Some(kref @ KRef::Object(number)) => {
                Ok((number, self.space.required(&keys::by_kref(vat, kref))?))
            }
            _ => Err(Abort::Illegal(format!("{vref} is not known to the kernel"))),
        }
    }

    /// Removes an entry, and what it holds.
    pub(crate) fn remove_entry(
        &mut self,
        vat: VatId,
        kref: KRef,
        entry: ClistEntry,
    ) -> Result<(), CoreError> {
        self.space.delete(keys::by_kref(vat, kref))?;
        self.space.delete(keys::by_vref(vat, entry.vref))?;
        let key = keys::imports(vat);
        let mut imports: Imports = self.space.required(&key)?;
        let entries = imports.entries.checked_sub(1);
        imports.entries = entries.ok_or_else(|| corrupt(&key, "counts too few entries"))?;
        self.space.write(key, &imports);
        match kref {
            KRef::Promise(_) => self.release(kref),
            KRef::Object(number) if !entry.vref.is_export() => {
                self.space.delete(keys::importer(number, vat))?;
                self.count_object(number, -i64::from(entry.reachable), -1)
            }
            KRef::Object(_) => Ok(()),
        }
    }

    /// Takes an export away from its vat: the object has no owner from now on.
    pub(crate) fn orphan(
        &mut self,
        vat: VatId,
        number: u64,
        entry: ClistEntry,
    ) -> Result<(), CoreError> {
        self.remove_entry(vat, KRef::Object(number), entry)?;
        let key = keys::object(number);
        let mut row: Object = self.space.required(&key)?;
        row.owner = None;
        self.space.write(key, &row);
        self.maybe_free.push(KRef::Object(number));
        self.void_urls_of(number)
    }

    /// Removes a promise from a vat's c-list, if it is there.
    pub(crate) fn retire_promise(&mut self, vat: VatId, kref: KRef) -> Result<(), CoreError> {
        match self.entry(vat, kref)? {
            Some(entry) => self.remove_entry(vat, kref, entry),
            None => Ok(()),
        }
    }
}
