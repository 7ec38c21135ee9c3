//! Collection across vats: telling exporters what nobody reaches or recognises, and importers what
//! no longer exists. The kernel's own side of an action is done when it is dispatched. Until the
//! delivery is settled a *sent* row says what the vat is being told, so that an incarnation that
//! ends before can be told again what still concerns its successor.

use ocap_types::crank::Delivery;
use ocap_types::{KRef, VRef, VatId};
use serde::{Deserialize, Serialize};

use crate::api::CoreError;
use crate::core::Core;
use crate::keys;
use crate::limits;
use crate::rows::{ClistEntry, Object, Party, Row, corrupt, write_json};

/// Names of the actions, as in their keys. Key order is the order they are delivered in.
pub(crate) const DROP_EXPORT: &str = "dropExport";
pub(crate) const RETIRE_EXPORT: &str = "retireExport";
pub(crate) const RETIRE_IMPORT: &str = "retireImport";

/// Instead of an action: what a delivery under way says. First in key order.
pub(crate) const SENT: &str = "0sent";

/// What a vat is being told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sent {
    kind: String,
    vrefs: Vec<VRef>,
    /// A vat has faulted over it once.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    faulted: bool,
}

impl Core {
    /// Notes that an action is due.
    pub(crate) fn schedule(
        &mut self,
        vat: VatId,
        kind: &str,
        number: u64,
    ) -> Result<(), CoreError> {
        let key = keys::gc_action(vat, kind, number);
        if self.has_left(vat) || self.space.contains(&key)? {
            return Ok(());
        }
        self.space.put_new(key, String::new());
        let mut work = self.work(Party::Vat(vat))?;
        work.gc += 1;
        self.write_work(Party::Vat(vat), &work)
    }

    /// An object whose reachable count is 0, or that has just lost its owner.
    pub(crate) fn collect_object(&mut self, number: u64) -> Result<(), CoreError> {
        let Some(row) = self.object(number)? else { return Ok(()) };
        match row.owner {
            _ if row.reachable > 0 => Ok(()),
            // What is not pinned is a connection.
            Some(Party::Kernel) => self.drop_connection(number),
            Some(Party::Vat(vat)) => {
                let kref = KRef::Object(number);
                let entry: ClistEntry = self.space.required(&keys::by_kref(vat, kref))?;
                if self.forget_stale(vat, kref, entry)? {
                    return Ok(());
                }
                if entry.reachable {
                    self.schedule(vat, DROP_EXPORT, number)?;
                }
                if row.recognizable == 0 {
                    self.schedule(vat, RETIRE_EXPORT, number)?;
                }
                Ok(())
            }
            None if row.recognizable == 0 => self.space.delete(keys::object(number)),
            None => {
                let prefix = keys::importers(number);
                for (key, _) in self.space.scan(&prefix)? {
                    let vat = key.strip_prefix(&prefix).and_then(|vat| vat.parse().ok());
                    let vat = vat.ok_or_else(|| corrupt(&key, "no vat id"))?;
                    self.schedule(vat, RETIRE_IMPORT, number)?;
                }
                Ok(())
            }
        }
    }

    /// Takes the next group of actions that are still valid, does the kernel's part, and says what
    /// to tell the vat. `None` if none of the group was valid.
    pub(crate) fn next_collection(&mut self, vat: VatId) -> Result<Option<Delivery>, CoreError> {
        if let Some(sent) = self.space.row(&keys::gc_sent(vat))? {
            return self.tell_again(vat, sent);
        }
        let prefix = keys::gc_actions(vat);
        let mut group: Option<String> = None;
        let mut numbers = Vec::new();
        let mut after = String::new();
        while numbers.len() < limits::GC_BATCH_MAX {
            let Some((key, _)) = self.space.next(&prefix, &after)? else { break };
            let parts = key.strip_prefix(&prefix).and_then(|rest| rest.split_once('.'));
            let (kind, kref) = parts.ok_or_else(|| corrupt(&key, "no collection action"))?;
            if group.as_deref().is_some_and(|group| group != kind) {
                break;
            }
            let Ok(KRef::Object(number)) = kref.parse() else {
                return Err(corrupt(&key, "no object"));
            };
            group = Some(kind.to_owned());
            numbers.push(number);
            after = key;
        }
        let mut work = self.work(Party::Vat(vat))?;
        let Some(kind) = group else {
            return Err(corrupt(&prefix, "actions are counted that are not there"));
        };
        work.gc = work.gc.saturating_sub(numbers.len() as u64);
        self.write_work(Party::Vat(vat), &work)?;
        numbers.sort_unstable();
        let mut vrefs = Vec::new();
        for number in numbers {
            self.space.delete(keys::gc_action(vat, &kind, number))?;
            vrefs.extend(self.act(vat, &kind, number)?);
        }
        vrefs.sort_unstable();
        if vrefs.is_empty() {
            return Ok(None);
        }
        let sent = Sent { kind, vrefs, faulted: false };
        self.space.put_new(keys::gc_sent(vat), sent.write());
        let mut work = self.work(Party::Vat(vat))?;
        work.gc += 1;
        self.write_work(Party::Vat(vat), &work)?;
        Ok(Some(sent.delivery()))
    }

    /// The incarnation that was told ended before it had heard. Of what it was told only its
    /// durable exports mean anything to the next.
    fn tell_again(&mut self, vat: VatId, mut sent: Sent) -> Result<Option<Delivery>, CoreError> {
        let mut still = Vec::new();
        for vref in sent.vrefs {
            let entry = match self.named(vat, vref)? {
                Some(kref) => self.entry(vat, kref)?,
                None => None,
            };
            let called_for = match sent.kind.as_str() {
                DROP_EXPORT => entry.is_some_and(|entry| !entry.reachable),
                RETIRE_EXPORT => entry.is_none(),
                _ => false,
            };
            if called_for && vref.is_durable_export() {
                still.push(vref);
            }
        }
        if still.is_empty() {
            self.told(vat)?;
            return Ok(None);
        }
        sent.vrefs = still;
        Ok(Some(sent.delivery()))
    }

    /// The vat faulted over what it was told. Its next incarnation is told again, once: what faults
    /// twice would fault for ever.
    pub(crate) fn told_in_vain(&mut self, vat: VatId) -> Result<(), CoreError> {
        let key = keys::gc_sent(vat);
        match self.space.row::<Sent>(&key)? {
            Some(sent) if !sent.faulted => {
                self.space.write(key, &Sent { faulted: true, ..sent });
                Ok(())
            }
            _ => self.told(vat),
        }
    }

    /// The vat has heard what it was told.
    pub(crate) fn told(&mut self, vat: VatId) -> Result<(), CoreError> {
        let key = keys::gc_sent(vat);
        if self.space.contains(&key)? {
            self.space.delete(key)?;
            let mut work = self.work(Party::Vat(vat))?;
            work.gc = work.gc.saturating_sub(1);
            self.write_work(Party::Vat(vat), &work)?;
        }
        Ok(())
    }

    /// The kernel's part of one action; `None` if it is no longer called for.
    fn act(&mut self, vat: VatId, kind: &str, number: u64) -> Result<Option<VRef>, CoreError> {
        let kref = KRef::Object(number);
        let (Some(row), Some(mut entry)) = (self.object(number)?, self.entry(vat, kref)?) else {
            return Ok(None);
        };
        if self.forget_stale(vat, kref, entry)? {
            return Ok(None);
        }
        let Object { reachable, recognizable, owner, .. } = row;
        let exports = entry.vref.is_export() && owner == Some(Party::Vat(vat));
        match kind {
            DROP_EXPORT if exports && reachable == 0 && entry.reachable => {
                entry.reachable = false;
                self.space.write(keys::by_kref(vat, kref), &entry);
            }
            RETIRE_EXPORT if exports && recognizable == 0 && !entry.reachable => {
                self.orphan(vat, number, entry)?;
            }
            RETIRE_IMPORT if !entry.vref.is_export() && owner.is_none() && !entry.reachable => {
                self.remove_entry(vat, kref, entry)?;
            }
            _ => return Ok(None),
        }
        Ok(Some(entry.vref))
    }
}

impl Sent {
    fn delivery(&self) -> Delivery {
        let vrefs = self.vrefs.clone();
        match self.kind.as_str() {
            DROP_EXPORT => Delivery::DropExports { vrefs },
            RETIRE_EXPORT => Delivery::RetireExports { vrefs },
            _ => Delivery::RetireImports { vrefs },
        }
    }
}

impl Row for Sent {
    fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    fn write(&self) -> String {
        write_json(self)
    }
}
