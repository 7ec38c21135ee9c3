//! Giving a vat other code, with everything it keeps.
//!
//! The new code and the former one are both in the store, in one commit, until the new one has
//! started; a vat whose new code cannot start goes back to the former one by itself. So whenever
//! the kernel ends, the vat has one or the other when it is back.

use std::collections::BTreeSet;
use std::sync::Arc;

use ocap_types::VatId;

use crate::api::{Answer, CodeHash, CoreError, Effect, Ticket};
use crate::core::Core;
use crate::keys;
use crate::rows::{Row, Subcluster, Vat, corrupt};

impl Core {
    /// Starts a vat anew, with other code and the same store. The ticket gets
    /// [`Answer::Restarted`] once it has started, or [`Answer::Failed`] if it could not; then it
    /// goes on with the code it had.
    ///
    /// # Errors
    /// [`CoreError::VatNotFound`], or [`CoreError::Invalid`] while it is being launched; the ticket
    /// is then unused.
    pub fn replace_code(
        &mut self,
        ticket: Ticket,
        id: VatId,
        code: (CodeHash, Arc<str>),
    ) -> Result<(), CoreError> {
        self.turn(|core| {
            let (hash, text) = code;
            let row: Option<Vat> = core.space.row(&keys::vat(id))?;
            let mut row = row.ok_or(CoreError::VatNotFound(id))?;
            let mut cluster = core.subcluster(row.subcluster)?;
            if cluster.launching.is_some() {
                let text = format!("vat {id} is being launched; wait for the launch to end");
                return Err(CoreError::Invalid(text));
            }
            core.keep_code(&hash, &text)?;
            let before = row.code.clone();
            // What has started last is what to go back to.
            let good = cluster.former.shift_remove(&row.name).unwrap_or_else(|| before.clone());
            if good != hash {
                cluster.former.insert(row.name.clone(), good);
            }
            cluster.code.insert(row.name.clone(), hash.clone());
            row.code = hash;
            core.space.write(keys::subcluster(row.subcluster), &cluster);
            core.space.write(keys::vat(id), &row);
            core.forget_code(BTreeSet::from([before]))?;
            core.restart(ticket, id, row, "its code is replaced")
        })
    }

    /// Stores code, unless it is there.
    pub(crate) fn keep_code(&mut self, hash: &CodeHash, text: &str) -> Result<(), CoreError> {
        let key = keys::code(&hash.0);
        if !self.space.contains(&key)? {
            self.space.put_new(key, text.to_owned());
        }
        Ok(())
    }

    /// Removes what no subcluster needs of these codes.
    pub(crate) fn forget_code(&mut self, mut codes: BTreeSet<CodeHash>) -> Result<(), CoreError> {
        for (key, text) in self.space.scan(keys::SUBCLUSTERS)? {
            let row = Subcluster::read(&text).ok_or_else(|| corrupt(&key, "no subcluster"))?;
            for hash in row.codes() {
                codes.remove(hash);
            }
        }
        for hash in codes {
            self.space.delete(keys::code(&hash.0))?;
        }
        Ok(())
    }

    /// Whether a vat has code that has not started yet in place of other code.
    pub(crate) fn is_replaced(&self, id: VatId) -> Result<bool, CoreError> {
        let row = self.vat(id)?;
        Ok(self.subcluster(row.subcluster)?.former.contains_key(&row.name))
    }

    /// A vat has started: there is no going back from its code.
    pub(crate) fn replaced(&mut self, row: &Vat) -> Result<(), CoreError> {
        let mut cluster = self.subcluster(row.subcluster)?;
        let Some(former) = cluster.former.shift_remove(&row.name) else { return Ok(()) };
        self.space.write(keys::subcluster(row.subcluster), &cluster);
        self.forget_code(BTreeSet::from([former]))
    }

    /// The vat with the code it had before; `None` if it has had no other.
    pub(crate) fn take_back(&mut self, row: &Vat) -> Result<Option<Vat>, CoreError> {
        let mut cluster = self.subcluster(row.subcluster)?;
        let Some(former) = cluster.former.shift_remove(&row.name) else { return Ok(None) };
        cluster.code.insert(row.name.clone(), former.clone());
        self.space.write(keys::subcluster(row.subcluster), &cluster);
        self.forget_code(BTreeSet::from([row.code.clone()]))?;
        Ok(Some(Vat { code: former, ..row.clone() }))
    }

    /// Starts a vat with the code it had, since the one that was to replace it cannot start.
    pub(crate) fn start_former(
        &mut self,
        id: VatId,
        mut row: Vat,
        why: &str,
    ) -> Result<(), CoreError> {
        if let Some(ticket) = row.restart.take() {
            let message = format!("{why}; it goes on with the code it had");
            self.effects.push(Effect::Answer { ticket, answer: Answer::Failed { message } });
        }
        row.faults_in_row = 0;
        self.space.write(keys::vat(id), &row);
        self.new_incarnation(id, "its new code could not start", None)
    }
}
