//! The lives of a vat: beginning a new one, and ending for good.
//!
//! Every start, be it at boot, by the host's wish or after a fault, goes through
//! [`Core::new_incarnation`]. What only the old heap knew is given up there: the promises it
//! decided, those it waited for unless its durable data watches them, and (see [`crate::sweep`])
//! ephemeral exports, and imports that no durable data holds.

use ocap_types::{KRef, VRef, VatId};

use crate::api::{Answer, Command, CoreError, Effect, Incarnation, VatCondition};
use crate::core::{Core, InFlight, Undo};
use crate::errors::Code;
use crate::keys;
use crate::rows::{ClistEntry, Party, State, Work};

/// Row of a vat's store that names the collection of promises it watches.
const WATCHED_TABLE: &str = "watchedPromiseTableID";

impl Core {
    /// Ends the present incarnation and lets the vat start anew, ahead of all its work; or, with
    /// `suspended`, not before somebody restarts it.
    pub(crate) fn new_incarnation(
        &mut self,
        vat: VatId,
        why: &str,
        suspended: Option<String>,
    ) -> Result<(), CoreError> {
        let mut row = self.vat(vat)?;
        self.stop_worker(vat, row.incarnation);
        row.incarnation = Incarnation(row.incarnation.0.saturating_add(1));
        let start = suspended.is_none();
        row.condition = match suspended {
            Some(reason) => VatCondition::Suspended { reason },
            None => VatCondition::Starting,
        };
        if !start && let Some(ticket) = row.restart.take() {
            let message = format!("vat {vat} is suspended after faults");
            self.effects.push(Effect::Answer { ticket, answer: Answer::Failed { message } });
        }
        self.space.write(keys::vat(vat), &row);
        let promises = self.space.scan(&keys::by_vref_prefix(vat, "p"))?;
        let promises = self.entries_of(vat, promises)?;
        let watched = self.watched_table(vat)?;
        self.give_up_promises(vat, promises, watched, Code::VatRestarted, why)?;
        // Ephemeral exports, and imports that no durable data holds.
        self.begin_sweep(vat)?;
        self.end_registrations()?;
        self.rested(vat);
        self.cancel_calls(vat, Code::VatRestarted, why)?;
        let work = self.work(Party::Vat(vat))?;
        self.write_work(Party::Vat(vat), &Work { start, ..work })
    }

    /// The start delivery went well.
    pub(crate) fn started(&mut self, vat: VatId) -> Result<(), CoreError> {
        let mut row = self.vat(vat)?;
        row.condition = VatCondition::Running;
        if let Some(ticket) = row.restart.take() {
            self.effects.push(Effect::Answer { ticket, answer: Answer::Restarted });
        }
        self.space.write(keys::vat(vat), &row);
        self.replaced(&row)?;
        self.rouse(vat)?;
        self.launched_vat(row.subcluster, vat)
    }

    /// Has the worker of an incarnation killed, and forgets what it was busy with.
    pub(crate) fn stop_worker(&mut self, vat: VatId, incarnation: Incarnation) {
        self.commands.push(Command::StopWorker { vat, incarnation });
        while self.forget_flight(vat).is_some() {}
    }

    /// The oldest delivery a vat's worker is busy with is not in flight any more.
    pub(crate) fn forget_flight(&mut self, vat: VatId) -> Option<InFlight> {
        let flights = self.in_flight.get_mut(&vat)?;
        let flight = flights.pop_front()?;
        if flights.is_empty() {
            self.in_flight.remove(&vat);
        }
        self.cranks.remove(&flight.crank);
        self.remember(Undo::InFlight(Box::new(flight.clone())));
        Some(flight)
    }

    /// The collection in a vat's store that has the promises it watches as keys.
    fn watched_table(&self, vat: VatId) -> Result<Option<u64>, CoreError> {
        let table = self.space.get(&keys::vatstore(vat, WATCHED_TABLE))?;
        let Some(Ok(VRef::Kinded { instance, .. })) = table.map(|vref| vref.parse()) else {
            return Ok(None);
        };
        Ok(Some(instance))
    }

    /// Rejects what the vat decides among these promises, and forgets all of them, except the keys of
    /// its collection `watched`: the next incarnation waits for those too. Answers with how much came
    /// with that.
    pub(crate) fn give_up_promises(
        &mut self,
        vat: VatId,
        mut entries: Vec<(KRef, ClistEntry)>,
        watched: Option<u64>,
        code: Code,
        why: &str,
    ) -> Result<usize, CoreError> {
        entries.sort_unstable_by_key(|&(kref, _)| kref);
        let mut followers: usize = 0;
        let mut decided = Vec::new();
        for (kref, entry) in entries {
            let is_watched = match watched {
                Some(table) => {
                    let row = format!("vc.{table}.s{}", entry.vref);
                    self.space.contains(&keys::vatstore(vat, &row))?
                }
                None => false,
            };
            if let KRef::Promise(number) = kref {
                let mut row = self.promise(number)?;
                if row.state == State::Unresolved {
                    if let Ok(place) = row.subscribers.binary_search(&vat)
                        && !is_watched
                    {
                        row.subscribers.remove(place);
                        self.write_promise(number, &row);
                    }
                    if row.decider == Some(Party::Vat(vat)) {
                        decided.push(kref);
                        followers = followers.saturating_add(Core::followers(&row));
                    }
                }
            }
            // Held until it is rejected: its subscribers are to hear of it.
            if decided.last() == Some(&kref) {
                self.hold(kref)?;
            }
            if !is_watched {
                self.remove_entry(vat, kref, entry)?;
            }
        }
        let reason = code.rejection(why);
        for kref in decided {
            self.reject_if_unresolved(kref, &reason)?;
            self.release(kref)?;
        }
        Ok(followers)
    }

    /// Removes a vat and everything that is its own, bit by bit if that is much. Its subcluster goes with its last vat, unless
    /// it is being launched: then the launch, which has to fail, removes it.
    pub(crate) fn remove_vat(&mut self, vat: VatId, why: &str) -> Result<(), CoreError> {
        let row = self.vat(vat)?;
        self.erase_vat(vat, why)?;
        let key = keys::subcluster(row.subcluster);
        let mut subcluster = self.subcluster(row.subcluster)?;
        subcluster.vats.retain(|_, &mut id| id != vat);
        self.space.write(key, &subcluster);
        if subcluster.vats.is_empty() && subcluster.launching.is_none() {
            self.erase_subcluster(row.subcluster)?;
        }
        Ok(())
    }

    /// Ends a vat, leaving its subcluster's record as it is. Nothing goes to it from now on.
    pub(crate) fn erase_vat(&mut self, vat: VatId, why: &str) -> Result<(), CoreError> {
        let row = self.vat(vat)?;
        self.stop_worker(vat, row.incarnation);
        if let Some(ticket) = row.restart {
            let message = format!("vat {vat} was terminated");
            self.effects.push(Effect::Answer { ticket, answer: Answer::Failed { message } });
        }
        self.end_sweep(vat);
        let root = self.space.required(&keys::by_kref(vat, row.root))?;
        self.abandon(vat, row.root, root)?;
        self.space.delete(keys::work(Party::Vat(vat)))?;
        self.space.delete(keys::stored(vat))?;
        self.space.delete(keys::vat_config(vat))?;
        self.space.delete(keys::vat(vat))?;
        self.leave(vat, why);
        self.runtime.remove(&vat);
        self.unreaped.remove(&vat);
        self.end_registrations()
    }

    /// Holds an object for the kernel's own sake.
    pub(crate) fn pin(&mut self, number: u64) -> Result<(), CoreError> {
        self.space.put_new(keys::pin(number), String::new());
        self.hold(KRef::Object(number))
    }

    pub(crate) fn unpin(&mut self, number: u64) -> Result<(), CoreError> {
        let key = keys::pin(number);
        if self.space.contains(&key)? {
            self.space.delete(key)?;
            self.release(KRef::Object(number))?;
        }
        Ok(())
    }
}
