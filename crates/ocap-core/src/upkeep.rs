//! What the host asks about the kernel as a whole: ending everything, beginning anew, collecting
//! garbage now.

use ocap_types::VatId;

use crate::api::{Answer, CoreError, Effect, VatCondition};
use crate::core::{Core, InFlightWork};
use crate::key::Key;
use crate::keys;
use crate::rows::{Party, Row, Subcluster, Vat, Waiter, Waiters, Work, corrupt};

/// What a reset leaves. The outside may still speak of old calls and channels, so their numbers
/// are not used again.
const KEPT_BY_RESET: [&Key; 3] = [keys::FORMAT, keys::NEXT_CALL, keys::NEXT_SUBCLUSTER];

/// Nor does it make this another kernel to others.
const IDENTITY: [&str; 3] = [keys::PEER_ID, keys::KEY_SEED, keys::ENTROPY];

impl Core {
    /// Ends every subcluster for good, the newest first.
    pub fn terminate_all(&mut self) -> Result<(), CoreError> {
        self.turn(|core| core.end_all("the subcluster was terminated"))
    }

    fn end_all(&mut self, why: &str) -> Result<(), CoreError> {
        let mut ids = Vec::new();
        for (key, text) in self.space.scan(keys::SUBCLUSTERS)? {
            Subcluster::read(&text).ok_or_else(|| corrupt(&key, "no subcluster"))?;
            let id = key.strip_prefix(keys::SUBCLUSTERS).and_then(|id| id.parse().ok());
            ids.push(id.ok_or_else(|| corrupt(&key, "no subcluster id"))?);
        }
        ids.sort_unstable();
        ids.into_iter().rev().try_for_each(|id| self.end_subcluster(id, why))
    }

    /// Forgets everything: what is there afterwards is a kernel that has just been made, with the
    /// services it was opened with. Whoever waits for an answer is told.
    pub fn reset(&mut self) -> Result<(), CoreError> {
        let why = "the kernel was reset";
        self.turn(|core| {
            core.end_all(why)?;
            core.finish_turn()?;
            for (key, text) in core.space.scan(keys::WAITS)? {
                let Waiters(waiters) =
                    Waiters::read(&text).ok_or_else(|| corrupt(&key, "no waiter"))?;
                for waiter in waiters {
                    // A launch has been undone.
                    let Waiter::Ticket(ticket) = waiter else { continue };
                    let answer = Answer::Failed { message: why.to_owned() };
                    core.effects.push(Effect::Answer { ticket, answer });
                }
            }
            for (key, _) in core.space.scan("")? {
                if IDENTITY.contains(&key.as_str()) {
                    continue;
                }
                let key = Key::from(key);
                if !KEPT_BY_RESET.contains(&&key) {
                    core.space.delete(key)?;
                }
            }
            // The wipe has taken care of whatever else there was to collect.
            core.forget_remains();
            core.find_urls()?;
            core.maybe_free.clear();
            core.maybe_cyclic.clear();
            core.prepare_counters()?;
            for name in core.service_order.clone() {
                core.register(&name)?;
            }
            Ok(())
        })
    }

    /// Has every vat that runs give up what it no longer needs, before its other work. What that
    /// sets in motion goes on until [`Core::is_collecting`] says no.
    pub fn reap_all(&mut self) -> Result<(), CoreError> {
        self.turn(|core| {
            for (key, text) in core.space.scan(keys::VATS)? {
                let id = key.strip_prefix(keys::VATS).and_then(|id| id.parse().ok());
                let id: VatId = id.ok_or_else(|| corrupt(&key, "no vat id"))?;
                let row = Vat::read(&text).ok_or_else(|| corrupt(&key, "no vat"))?;
                if row.condition == VatCondition::Running {
                    core.schedule_reap(id)?;
                }
            }
            // What earlier incarnations left is garbage too.
            for vat in core.sweeps.keys().copied().collect::<Vec<_>>() {
                core.sweep(vat, usize::MAX)?;
            }
            Ok(())
        })
    }

    /// Whether a vat that runs is yet to do, or is doing, something about its garbage, or one that has
    /// ended has left some.
    pub fn is_collecting(&self) -> Result<bool, CoreError> {
        let busy = |work: &InFlightWork| matches!(work, InFlightWork::Gc | InFlightWork::Reap);
        if self.in_flight.values().flatten().any(|flight| busy(&flight.work)) {
            return Ok(true);
        }
        if self.has_remains() {
            return Ok(true);
        }
        for (key, text) in self.space.scan(keys::WORK)? {
            let work = Work::read(&text).ok_or_else(|| corrupt(&key, "no work"))?;
            let party = key.strip_prefix(keys::WORK).and_then(|party| party.parse().ok());
            if let Some(Party::Vat(vat)) = party
                && (work.reap || work.gc > 0)
                && self.vat(vat)?.condition == VatCondition::Running
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
