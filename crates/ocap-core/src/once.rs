//! Requests that happen once, however often they are sent.
//!
//! A host may name a request by a key. What became of it, a [`Receipt`], is written in the same
//! batch as the request's acceptance, and kept for a bounded time and number: who asks again with
//! the same key waits for, or gets, the outcome of the first. A message's receipt is its result
//! promise, which the receipt holds. A launch's is its subcluster, as long as it is under way, and
//! then the promise for what `bootstrap` returned; a launch that is undone, by whatever, takes its
//! receipt with it, so that it can be tried again.
//!
//! Invariants: `onces` is the number of receipts, each of which is listed by its age once; one of a
//! launch under way is named by that, and names it; `receipt_due` is at most the moment at which the
//! first is to be forgotten.

use std::sync::Arc;

use ocap_types::{KCapData, KRef, SubclusterId};
use serde::{Deserialize, Serialize};

use crate::api::{Answer, CoreError, Effect, Launch, Once, Ticket};
use crate::core::Core;
use crate::keys;
use crate::limits;
use crate::rows::{Subcluster, corrupt};

/// What became of a request. Holds its promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Receipt {
    /// Which request it is.
    pub digest: String,
    /// When it was accepted, in milliseconds since 1970.
    pub at: u64,
    /// What it launches or has launched.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub launch: Option<Launched>,
    /// Its outcome. A launch has one when it has succeeded.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub outcome: Option<KRef>,
}

/// What a receipt knows of a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Launched {
    pub subcluster: SubclusterId,
    pub root: KRef,
}

impl Core {
    /// Has a ticket wait for a request that was accepted under this key.
    ///
    /// # Errors
    /// [`CoreError::NotRemembered`] if there is none, [`CoreError::Invalid`] if it was another
    /// request.
    pub fn join(&mut self, ticket: Ticket, once: &Once) -> Result<(), CoreError> {
        self.turn(|core| {
            if core.join_receipt(ticket, once)? { Ok(()) } else { Err(CoreError::NotRemembered) }
        })
    }

    /// Like [`Core::send`], once: the same request sent again waits for the first one's result.
    ///
    /// # Errors
    /// As [`Core::send`], and [`CoreError::Invalid`] if the key was used for another request.
    pub fn send_once(
        &mut self,
        ticket: Ticket,
        target: KRef,
        methargs: KCapData,
        once: &Once,
    ) -> Result<(), CoreError> {
        self.turn(|core| {
            if core.join_receipt(ticket, once)? {
                return Ok(());
            }
            core.accept_once(ticket, target, methargs, once)
        })
    }

    /// Like [`Core::send_held`], once. What was held when the request came first need not be held
    /// any more.
    ///
    /// # Errors
    /// As [`Core::send_held`], and [`CoreError::Invalid`] if the key was used for another request.
    pub fn send_held_once(
        &mut self,
        ticket: Ticket,
        target: KRef,
        methargs: KCapData,
        once: &Once,
    ) -> Result<(), CoreError> {
        self.turn(|core| {
            if core.join_receipt(ticket, once)? {
                return Ok(());
            }
            core.check_all_held(&methargs)?;
            core.accept_once(ticket, target, methargs, once)
        })
    }

    fn accept_once(
        &mut self,
        ticket: Ticket,
        target: KRef,
        methargs: KCapData,
        once: &Once,
    ) -> Result<(), CoreError> {
        let result = self.accept_send(ticket, target, methargs)?;
        self.hold(result)?;
        let digest = once.digest.clone();
        let receipt = Receipt { digest, at: self.wall_ms, launch: None, outcome: Some(result) };
        self.add_receipt(&once.key, &receipt)
    }

    /// Like [`Core::launch`], once: the same request sent again gets the first one's outcome.
    ///
    /// # Errors
    /// As [`Core::launch`], and [`CoreError::Invalid`] if the key was used for another request.
    pub fn launch_once(
        &mut self,
        ticket: Ticket,
        launch: Launch,
        once: &Once,
    ) -> Result<(), CoreError> {
        self.turn(|core| {
            if core.join_receipt(ticket, once)? {
                return Ok(());
            }
            let id = core.accept_launch(ticket, launch)?;
            let key = keys::subcluster(id);
            let mut row: Subcluster = core.space.required(&key)?;
            if let Some(launching) = &mut row.launching {
                launching.once = Some(once.key.clone());
            }
            core.space.write(key, &row);
            let launch = Some(Launched { subcluster: id, root: row.root });
            let digest = once.digest.clone();
            let receipt = Receipt { digest, at: core.wall_ms, launch, outcome: None };
            core.add_receipt(&once.key, &receipt)
        })
    }

    fn join_receipt(&mut self, ticket: Ticket, once: &Once) -> Result<bool, CoreError> {
        let Some(receipt) = self.receipt(&once.key)? else { return Ok(false) };
        if self.has_aged(&receipt) {
            self.forget_receipt(&once.key)?;
            return Ok(false);
        }
        if receipt.digest != once.digest {
            let text = format!(
                "the idempotency key {:?} was used for another request; take a new one",
                once.key
            );
            return Err(CoreError::Invalid(text));
        }
        match (receipt.launch, receipt.outcome) {
            (None, Some(promise)) => self.wait_or_answer(ticket, promise)?,
            (Some(Launched { subcluster, root }), Some(promise)) => {
                let value = self.outcome_of(promise)?;
                let answer = if self.host_hold(&value.slots)? {
                    let bootstrap = Arc::unwrap_or_clone(value);
                    Answer::Launched { subcluster, root, bootstrap }
                } else {
                    let message = "the host holds too many references; release some".to_owned();
                    Answer::Failed { message }
                };
                self.effects.push(Effect::Answer { ticket, answer });
            }
            (Some(Launched { subcluster, .. }), None) => {
                let key = keys::subcluster(subcluster);
                let mut row: Subcluster = self.space.required(&key)?;
                let launching = row.launching.as_mut();
                let launching = launching.ok_or_else(|| corrupt(&key, "is not being launched"))?;
                launching.joined.push(ticket);
                self.space.write(key, &row);
            }
            (None, None) => {
                return Err(corrupt(&keys::once(&once.key), "a receipt of nothing"));
            }
        }
        Ok(true)
    }

    fn outcome_of(&self, promise: KRef) -> Result<Arc<KCapData>, CoreError> {
        match promise {
            KRef::Promise(number) => self.promise_value(number),
            KRef::Object(_) => Err(corrupt(&promise.to_string(), "an object as an outcome")),
        }
    }

    fn receipt(&self, key: &str) -> Result<Option<Receipt>, CoreError> {
        self.space.row(&keys::once(key))
    }

    fn has_aged(&self, receipt: &Receipt) -> bool {
        due(receipt.at) <= self.wall_ms
    }

    /// Remembers a request, and forgets those whose time is over, or the oldest if there are too
    /// many.
    fn add_receipt(&mut self, key: &str, receipt: &Receipt) -> Result<(), CoreError> {
        for _ in 0..limits::RECEIPTS_FORGOTTEN_MAX {
            let Some((oldest, old)) = self.oldest_receipt()? else { break };
            if self.receipts()? < limits::RECEIPTS_MAX && !self.has_aged(&old) {
                break;
            }
            self.forget_receipt(&oldest)?;
        }
        let due = due(receipt.at);
        self.receipt_due = Some(self.receipt_due.map_or(due, |first| first.min(due)));
        self.space.write_new(keys::once(key), receipt);
        self.space.put_new(keys::once_at(receipt.at, key), String::new());
        self.count_receipts(true)
    }

    /// At boot: looks up when the first receipt is to be forgotten.
    pub(crate) fn find_receipt_due(&mut self) -> Result<(), CoreError> {
        let oldest = self.oldest_receipt()?;
        self.receipt_due = oldest.map(|(_, receipt)| due(receipt.at));
        Ok(())
    }

    /// Forgets receipts whose time is over, or as many of them as one turn may.
    pub(crate) fn forget_aged_receipts(&mut self) -> Result<(), CoreError> {
        if self.receipt_due.is_none_or(|due| due > self.wall_ms) {
            return Ok(());
        }
        let oldest = self.turn(|core| {
            for _ in 0..limits::RECEIPTS_FORGOTTEN_MAX {
                match core.oldest_receipt()? {
                    Some((key, receipt)) if core.has_aged(&receipt) => core.forget_receipt(&key)?,
                    _ => break,
                }
            }
            core.oldest_receipt()
        })?;
        self.receipt_due = oldest.map(|(_, receipt)| due(receipt.at));
        Ok(())
    }

    fn oldest_receipt(&self) -> Result<Option<(String, Receipt)>, CoreError> {
        let Some((row, _)) = self.space.next(keys::ONCES_BY_AGE, "")? else { return Ok(None) };
        let key = keys::once_listed(&row).ok_or_else(|| corrupt(&row, "no receipt"))?;
        let receipt = self.space.required(&keys::once(key))?;
        Ok(Some((key.to_owned(), receipt)))
    }

    /// Forgets a request, if it is remembered.
    fn forget_receipt(&mut self, key: &str) -> Result<(), CoreError> {
        let Some(receipt) = self.receipt(key)? else { return Ok(()) };
        self.space.delete(keys::once(key))?;
        self.space.delete(keys::once_at(receipt.at, key))?;
        self.count_receipts(false)?;
        match (receipt.outcome, receipt.launch) {
            (Some(outcome), _) => self.release(outcome),
            (None, Some(Launched { subcluster, .. })) => self.unname_launch(subcluster, key),
            (None, None) => Ok(()),
        }
    }

    /// A launch under way goes on without a receipt.
    fn unname_launch(&mut self, subcluster: SubclusterId, once: &str) -> Result<(), CoreError> {
        let key = keys::subcluster(subcluster);
        let Some(mut row) = self.space.row::<Subcluster>(&key)? else { return Ok(()) };
        if let Some(launching) = &mut row.launching
            && launching.once.as_deref() == Some(once)
        {
            launching.once = None;
            self.space.write(key, &row);
        }
        Ok(())
    }

    /// The launch that a receipt is of has been undone.
    pub(crate) fn forget_launch(&mut self, once: Option<&str>) -> Result<(), CoreError> {
        once.map_or(Ok(()), |key| self.forget_receipt(key))
    }

    /// The launch that a receipt is of has succeeded.
    pub(crate) fn note_launched(&mut self, once: &str, promise: KRef) -> Result<(), CoreError> {
        let Some(mut receipt) = self.receipt(once)? else { return Ok(()) };
        receipt.outcome = Some(promise);
        self.hold(promise)?;
        self.space.write(keys::once(once), &receipt);
        Ok(())
    }

    fn receipts(&self) -> Result<u64, CoreError> {
        Ok(self.space.row(keys::ONCES)?.unwrap_or(0))
    }

    fn count_receipts(&mut self, more: bool) -> Result<(), CoreError> {
        let before = self.receipts()?;
        let now = if more { before.checked_add(1) } else { before.checked_sub(1) };
        match now {
            None => Err(corrupt(keys::ONCES, "leaves its range")),
            Some(0) => self.space.delete(keys::ONCES.to_owned()),
            Some(now) => {
                self.space.write(keys::ONCES.to_owned(), &now);
                Ok(())
            }
        }
    }
}

/// When a request that was accepted at a moment is to be forgotten.
fn due(at: u64) -> u64 {
    at.saturating_add(limits::RECEIPT_MS_MAX).saturating_add(1)
}
