//! What a vat leaves that has ended for good: references, calls, queued items, rows of its store.
//! There may be any number of them, so only a first step is part of the turn that ends the vat;
//! the others are chores, which a row of the store makes outlast this run of the kernel.
//!
//! Invariants: a vat has a row of its own, or one among the remains, or nothing at all. What remains
//! holds what it held; but nothing is routed to it, given to it, or told to it, and what it exports
//! has no owner as soon as anything comes across it.

use ocap_types::{KRef, VatId};

use crate::api::CoreError;
use crate::core::{Core, Undo};
use crate::errors::Code;
use crate::keys;
use crate::limits;
use crate::rows::{ClistEntry, Item, Party, Promise, Row, corrupt};

/// How far the removal of what a vat left has got.
#[derive(Clone, Debug)]
pub(crate) struct Remains {
    /// Why it ended; what those are told who waited for it.
    why: String,
    stage: Stage,
    /// Key of the row looked at last.
    after: String,
}

/// What is removed, in this order.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Promises,
    Calls,
    Timers,
    Exports,
    Imports,
    Queue,
    Collection,
    Store,
    Nothing,
}

impl Stage {
    fn next(self) -> Stage {
        match self {
            Stage::Promises => Stage::Calls,
            Stage::Calls => Stage::Timers,
            Stage::Timers => Stage::Exports,
            Stage::Exports => Stage::Imports,
            Stage::Imports => Stage::Queue,
            Stage::Queue => Stage::Collection,
            Stage::Collection => Stage::Store,
            Stage::Store | Stage::Nothing => Stage::Nothing,
        }
    }

    /// The prefix of its rows.
    fn rows(self, vat: VatId) -> Option<String> {
        Some(match self {
            Stage::Promises => keys::by_vref_prefix(vat, "p"),
            Stage::Calls => keys::calls_of(vat),
            Stage::Timers => keys::timers_of(vat),
            Stage::Exports => keys::by_vref_prefix(vat, "o+"),
            Stage::Imports => keys::by_vref_prefix(vat, "o-"),
            Stage::Queue => keys::queue(Party::Vat(vat)),
            Stage::Collection => keys::gc_actions(vat),
            Stage::Store => keys::vatstore_prefix(vat),
            Stage::Nothing => return None,
        })
    }
}

impl Core {
    /// From now on everything a vat has is what it left.
    pub(crate) fn leave(&mut self, vat: VatId, why: &str) {
        self.space.put_new(keys::gone(vat), why.to_owned());
        self.set_remains(vat, Some(Remains::new(why)));
        self.ended = true;
    }

    /// At boot: what vats left that ended in an earlier run, and is still there.
    pub(crate) fn find_remains(&mut self) -> Result<(), CoreError> {
        for (key, why) in self.space.scan(keys::GONE)? {
            let vat = key.strip_prefix(keys::GONE).and_then(|vat| vat.parse().ok());
            let vat: VatId = vat.ok_or_else(|| corrupt(&key, "no vat id"))?;
            self.set_remains(vat, Some(Remains::new(&why)));
        }
        Ok(())
    }

    /// Somebody else has removed everything.
    pub(crate) fn forget_remains(&mut self) {
        for vat in self.remains.keys().copied().collect::<Vec<_>>() {
            self.set_remains(vat, None);
        }
    }

    fn set_remains(&mut self, vat: VatId, remains: Option<Remains>) {
        let before = match remains {
            Some(remains) => self.remains.insert(vat, remains),
            None => self.remains.remove(&vat),
        };
        self.remember(Undo::Remains(vat, before.map(Box::new)));
    }

    /// Whether a vat has ended and not all it left is gone.
    pub(crate) fn has_left(&self, vat: VatId) -> bool {
        self.remains.contains_key(&vat)
    }

    /// Whether something is left of vats that have ended, or of objects that are gone.
    /// [`Core::dispatch`] removes it bit by bit.
    pub fn has_remains(&self) -> bool {
        !self.remains.is_empty() || self.url_end.is_some()
    }

    /// Has no step of a chore touch more than this many rows of what it removes. For tests of what
    /// is in between.
    pub fn limit_chores(&mut self, rows: usize) {
        self.chore_rows = rows.max(1);
    }

    /// Removes no more than `max` rows that vats left, and URLs of objects that are gone. Answers
    /// with how many more might have been removed.
    pub(crate) fn clear_remains(&mut self, max: usize) -> Result<usize, CoreError> {
        let mut left = max;
        while left > 0 {
            let Some((&vat, remains)) = self.remains.first_key_value() else { break };
            let Remains { why, mut stage, mut after } = remains.clone();
            let Some(prefix) = stage.rows(vat) else {
                self.space.delete(keys::imports(vat))?;
                self.space.delete(keys::gone(vat))?;
                self.set_remains(vat, None);
                continue;
            };
            let rows = self.some_rows(&prefix, &after, left)?;
            if let Some((last, _)) = rows.last() {
                after.clone_from(last);
                left = left.saturating_sub(self.clear_rows(vat, stage, rows, &why)?);
            } else {
                (stage, after) = (stage.next(), String::new());
            }
            self.set_remains(vat, Some(Remains { why, stage, after }));
        }
        self.clear_urls(left)
    }

    fn some_rows(
        &self,
        prefix: &str,
        after: &str,
        max: usize,
    ) -> Result<Vec<(String, String)>, CoreError> {
        let mut after = after.to_owned();
        let mut rows = Vec::new();
        while rows.len() < max.min(limits::CHORE_ROWS)
            && let Some((key, value)) = self.space.next(prefix, &after)?
        {
            rows.push((key.clone(), value.into_owned()));
            after = key;
        }
        Ok(rows)
    }

    /// Removes rows of one kind. Answers with about how many were touched.
    fn clear_rows(
        &mut self,
        vat: VatId,
        stage: Stage,
        rows: Vec<(String, String)>,
        why: &str,
    ) -> Result<usize, CoreError> {
        let mut touched = rows.len();
        match stage {
            Stage::Promises => {
                let entries = self.entries_of(vat, rows)?;
                touched += self.give_up_promises(vat, entries, None, Code::VatTerminated, why)?;
            }
            Stage::Calls => {
                for (key, _) in rows {
                    let id = keys::padded_number(&key).ok_or_else(|| corrupt(&key, "no number"))?;
                    self.cancel_call(id, Code::VatTerminated, why)?;
                }
            }
            Stage::Timers => {
                for (key, at) in rows {
                    self.clear_timer(&key, &at)?;
                }
            }
            Stage::Exports => {
                for (kref, entry) in self.entries_of(vat, rows)? {
                    self.abandon(vat, kref, entry)?;
                }
            }
            Stage::Imports => {
                for (kref, entry) in self.entries_of(vat, rows)? {
                    self.remove_entry(vat, kref, entry)?;
                }
            }
            // What still waits for it is rejected by the kernel, in its order.
            Stage::Queue => {
                for (key, text) in rows {
                    match Item::read(&text).ok_or_else(|| corrupt(&key, "no queue item"))? {
                        Item::Notify(promise) => self.release(promise)?,
                        send @ Item::Send(_) => self.enqueue(Party::Kernel, send)?,
                    }
                    self.space.delete(key)?;
                }
            }
            Stage::Collection | Stage::Store => {
                for (key, _) in rows {
                    self.space.delete(key)?;
                }
            }
            Stage::Nothing => {}
        }
        Ok(touched)
    }

    /// The c-list entries of vat-side rows.
    pub(crate) fn entries_of(
        &self,
        vat: VatId,
        rows: Vec<(String, String)>,
    ) -> Result<Vec<(KRef, ClistEntry)>, CoreError> {
        rows.into_iter()
            .map(|(key, kref)| {
                let kref: KRef = kref.parse().map_err(|_| corrupt(&key, "no reference"))?;
                Ok((kref, self.space.required(&keys::by_kref(vat, kref))?))
            })
            .collect()
    }

    /// Takes an export away from a vat that has ended, and from the host.
    pub(crate) fn abandon(
        &mut self,
        vat: VatId,
        kref: KRef,
        entry: ClistEntry,
    ) -> Result<(), CoreError> {
        let KRef::Object(number) = kref else { return Ok(()) };
        self.orphan(vat, number, entry)?;
        self.unpin(number)?;
        self.host_release(kref).map(|_| ())
    }

    /// How much comes with settling a promise.
    pub(crate) fn followers(row: &Promise) -> usize {
        usize::try_from(row.parked).unwrap_or(usize::MAX).saturating_add(row.subscribers.len())
    }
}

impl Remains {
    fn new(why: &str) -> Remains {
        Remains { why: why.to_owned(), stage: Stage::Promises, after: String::new() }
    }
}
