//! Counts of holders.
//!
//! An object has two counts. *Recognizable* counts everything that holds it: import c-list
//! entries, queued items and parked messages (target and slots), values of settled promises,
//! pending calls, the host's c-list, a pin. *Reachable* counts the same less the import entries
//! whose vat has dropped it. The owner's own c-list entry holds nothing. A promise has one count:
//! all of the above, c-list entries of either direction, a result that a message or call is to
//! settle, and whoever outside waits for it.
//!
//! Invariant: the counts equal what [`crate::check`] finds by walking over all holders.

use std::collections::{BTreeMap, BTreeSet};

use ocap_types::KRef;

use crate::api::CoreError;
use crate::core::Core;
use crate::keys;
use crate::limits;
use crate::rows::{Object, Party, Promise, State, corrupt};

impl Core {
    pub(crate) fn object(&self, number: u64) -> Result<Option<Object>, CoreError> {
        self.space.row(&keys::object(number))
    }

    pub(crate) fn promise(&self, number: u64) -> Result<Promise, CoreError> {
        self.space.required(&keys::promise(number))
    }

    pub(crate) fn write_promise(&mut self, number: u64, row: &Promise) {
        self.space.write(keys::promise(number), row);
    }

    /// A new object without holders.
    pub(crate) fn new_object(&mut self, owner: Party) -> Result<u64, CoreError> {
        let number = self.take_number(keys::NEXT_OBJECT)?;
        let row = Object { owner: Some(owner), reachable: 0, recognizable: 0, revoked: false };
        self.space.write_new(keys::object(number), &row);
        Ok(number)
    }

    /// A new unresolved promise without holders.
    pub(crate) fn new_promise(&mut self, decider: Option<Party>) -> Result<u64, CoreError> {
        let number = self.take_number(keys::NEXT_PROMISE)?;
        let row = Promise::unresolved(decider);
        self.space.write_new(keys::promise(number), &row);
        Ok(number)
    }

    /// Changes an object's counts.
    pub(crate) fn count_object(
        &mut self,
        number: u64,
        reachable: i64,
        recognizable: i64,
    ) -> Result<(), CoreError> {
        let key = keys::object(number);
        let mut row: Object = self.space.required(&key)?;
        let wrong = || corrupt(&key, "its counts leave their range");
        row.reachable = row.reachable.checked_add_signed(reachable).ok_or_else(wrong)?;
        row.recognizable = row.recognizable.checked_add_signed(recognizable).ok_or_else(wrong)?;
        if row.reachable > row.recognizable {
            return Err(wrong());
        }
        if row.reachable == 0 {
            self.maybe_free.push(KRef::Object(number));
        }
        self.space.write(key, &row);
        Ok(())
    }

    /// One more holder.
    pub(crate) fn hold(&mut self, kref: KRef) -> Result<(), CoreError> {
        match kref {
            KRef::Object(number) => self.count_object(number, 1, 1),
            KRef::Promise(number) => {
                let mut row = self.promise(number)?;
                let refs = row.refs.checked_add(1);
                row.refs = refs.ok_or_else(|| corrupt(&keys::promise(number), "count too high"))?;
                self.write_promise(number, &row);
                Ok(())
            }
        }
    }

    /// One holder less.
    pub(crate) fn release(&mut self, kref: KRef) -> Result<(), CoreError> {
        match kref {
            KRef::Object(number) => self.count_object(number, -1, -1),
            KRef::Promise(number) => {
                let mut row = self.promise(number)?;
                let refs = row.refs.checked_sub(1);
                row.refs = refs.ok_or_else(|| corrupt(&keys::promise(number), "count below 0"))?;
                if row.refs == 0 {
                    self.maybe_free.push(kref);
                } else if row.nested {
                    self.maybe_cyclic.insert(number);
                }
                self.write_promise(number, &row);
                Ok(())
            }
        }
    }

    pub(crate) fn hold_all(&mut self, krefs: &[KRef]) -> Result<(), CoreError> {
        krefs.iter().try_for_each(|&kref| self.hold(kref))
    }

    pub(crate) fn release_all(&mut self, krefs: &[KRef]) -> Result<(), CoreError> {
        krefs.iter().try_for_each(|&kref| self.release(kref))
    }

    /// Deletes promises nobody holds, and arranges for objects nobody reaches or recognises.
    pub(crate) fn collect(&mut self) -> Result<(), CoreError> {
        loop {
            while let Some(kref) = self.maybe_free.pop() {
                match kref {
                    KRef::Promise(number) => self.collect_promise(number)?,
                    KRef::Object(number) => self.collect_object(number)?,
                }
            }
            if self.maybe_cyclic.is_empty() {
                return Ok(());
            }
            let starts = std::mem::take(&mut self.maybe_cyclic);
            self.collect_knots(starts, limits::KNOT_PROMISES_MAX)?;
        }
    }

    /// Deletes settled promises, among those reachable from some, that are held by nobody but each
    /// other. Gives up if more than `max` are reachable.
    pub(crate) fn collect_knots(
        &mut self,
        starts: BTreeSet<u64>,
        max: usize,
    ) -> Result<(), CoreError> {
        // Holders that are not among these promises' values, and what each value holds.
        let mut knot: BTreeMap<u64, (u64, Vec<KRef>)> = BTreeMap::new();
        let mut rest: Vec<u64> = starts.into_iter().collect();
        while let Some(number) = rest.pop() {
            let Some(row) = self.space.row::<Promise>(&keys::promise(number))? else { continue };
            if row.state == State::Unresolved || knot.contains_key(&number) {
                continue;
            }
            if knot.len() >= max {
                return Ok(());
            }
            let slots =
                if row.nested { self.promise_value(number)?.slots.clone() } else { Vec::new() };
            rest.extend(promises(&slots));
            knot.insert(number, (row.refs, slots));
        }
        let inner: Vec<u64> = knot.values().flat_map(|(_, slots)| promises(slots)).collect();
        for number in inner {
            if let Some((refs, _)) = knot.get_mut(&number) {
                *refs = refs.saturating_sub(1);
            }
        }
        let held = knot.iter().filter(|(_, (refs, _))| *refs > 0);
        let mut live: Vec<u64> = held.map(|(&number, _)| number).collect();
        while let Some(number) = live.pop() {
            if let Some((_, slots)) = knot.remove(&number) {
                live.extend(promises(&slots));
            }
        }
        for &number in knot.keys() {
            let value = self.promise_value(number)?;
            for &slot in &value.slots {
                if !matches!(slot, KRef::Promise(inner) if knot.contains_key(&inner)) {
                    self.release(slot)?;
                }
            }
            self.space.delete(keys::promise_value(number))?;
            self.space.delete(keys::promise(number))?;
        }
        Ok(())
    }

    fn collect_promise(&mut self, number: u64) -> Result<(), CoreError> {
        let key = keys::promise(number);
        let Some(row) = self.space.row::<Promise>(&key)? else { return Ok(()) };
        if row.refs > 0 {
            return Ok(());
        }
        if row.state != State::Unresolved {
            let value = self.promise_value(number)?;
            self.space.delete(keys::promise_value(number))?;
            self.release_all(&value.slots)?;
        }
        self.space.delete(key)
    }
}

/// The promises among references, as often as they occur.
fn promises(krefs: &[KRef]) -> impl Iterator<Item = u64> {
    krefs.iter().filter_map(|kref| match kref {
        KRef::Promise(number) => Some(*number),
        KRef::Object(_) => None,
    })
}
