//! Where a message belongs. [`Core::accept`] puts it there the moment it enters the kernel: an
//! endpoint's queue, or an unresolved promise's, so that no later message can overtake it.

use std::sync::Arc;

use ocap_types::{KCapData, KRef};

use crate::api::CoreError;
use crate::core::Core;
use crate::errors::{Code, single_reference};
use crate::keys;
use crate::limits;
use crate::rows::{Item, Message, Party, Promise, Row, State};

/// Where a message goes.
#[derive(Clone, Debug)]
pub(crate) enum Route {
    /// To the owner of this object.
    Object(u64, Party),
    /// It waits for this promise.
    Park(u64),
    /// Nowhere: its result is rejected with this.
    Splat(KCapData),
}

impl Core {
    /// Follows promises from a target to where messages for it go at present.
    pub(crate) fn route(&self, target: KRef) -> Result<Route, CoreError> {
        let mut target = target;
        for _ in 0..limits::PROMISE_CHAIN_MAX {
            let number = match target {
                KRef::Object(number) => return self.route_object(number),
                KRef::Promise(number) => number,
            };
            let row = self.promise(number)?;
            if row.state == State::Unresolved {
                return Ok(Route::Park(number));
            }
            let value = self.promise_value(number)?;
            if row.state == State::Rejected {
                return Ok(Route::Splat(Arc::unwrap_or_clone(value)));
            }
            match single_reference(&value) {
                Some(next) => target = next,
                None => break,
            }
        }
        let detail = "Promise fulfilled but did not contain an object reference";
        Ok(Route::Splat(Code::BadPromiseResolution.rejection(detail)))
    }

    fn route_object(&self, number: u64) -> Result<Route, CoreError> {
        let row = self.object(number)?;
        if row.is_some_and(|row| row.revoked) {
            let detail = "Target object has been revoked";
            return Ok(Route::Splat(Code::ObjectRevoked.rejection(detail)));
        }
        if let Some(owner) = row.and_then(|row| row.owner)
            && !self.is_forgotten(number, owner)?
        {
            return Ok(Route::Object(number, owner));
        }
        let detail = "Target object has no owner; it may have been deleted";
        Ok(Route::Splat(Code::ObjectDeleted.rejection(detail)))
    }

    /// Whether an object's owner has ended, or begun a new incarnation that does not know it.
    fn is_forgotten(&self, number: u64, owner: Party) -> Result<bool, CoreError> {
        let Party::Vat(vat) = owner else { return Ok(false) };
        if self.has_left(vat) || !self.sweeps.contains_key(&vat) {
            return Ok(self.has_left(vat));
        }
        let kref = KRef::Object(number);
        match self.entry(vat, kref)? {
            Some(entry) => self.is_stale(vat, kref, entry.vref),
            None => Ok(false),
        }
    }

    /// Puts a message where it belongs. The message already holds its references; only the hold on
    /// the target moves if the target turns out to be another.
    pub(crate) fn accept(&mut self, mut message: Message) -> Result<(), CoreError> {
        let (target, queue) = match self.route(message.target)? {
            Route::Object(number, owner) => (KRef::Object(number), Some(owner)),
            Route::Park(number) if !self.waits_for_itself(&message, number)? => {
                (KRef::Promise(number), None)
            }
            // The kernel rejects its result when its turn comes.
            Route::Park(_) | Route::Splat(_) => (message.target, Some(Party::Kernel)),
        };
        if target != message.target {
            self.hold(target)?;
            self.release(message.target)?;
            message.target = target;
        }
        match (queue, target) {
            (Some(party), _) => self.enqueue(party, Item::Send(message)),
            (None, KRef::Promise(number)) => {
                let mut row = self.promise(number)?;
                let key = keys::parked(number, row.parked);
                row.parked += 1;
                self.write_promise(number, &row);
                self.space.put_new(key, message.write());
                self.set_behind(message.result, Some(number))
            }
            (None, KRef::Object(_)) => Ok(()),
        }
    }

    /// Whether a message parked on this promise would wait, through whatever number of parked
    /// messages, for its own result: nobody could ever settle it. Also if that many wait for each
    /// other that it cannot be told.
    pub(crate) fn waits_for_itself(
        &self,
        message: &Message,
        number: u64,
    ) -> Result<bool, CoreError> {
        let Some(KRef::Promise(result)) = message.result else { return Ok(false) };
        if result == number {
            return Ok(true);
        }
        // Nearly always a promise nobody knew before.
        if self.promise(result)?.parked == 0 {
            return Ok(false);
        }
        let mut next = Some(number);
        for _ in 0..limits::PARKED_CHAIN_MAX {
            let Some(number) = next else { return Ok(false) };
            if number == result {
                return Ok(true);
            }
            next = self.promise(number)?.behind;
        }
        Ok(true)
    }

    /// Notes which promise the message with this result waits for.
    pub(crate) fn set_behind(
        &mut self,
        result: Option<KRef>,
        behind: Option<u64>,
    ) -> Result<(), CoreError> {
        let Some(KRef::Promise(number)) = result else { return Ok(()) };
        let row = self.promise(number)?;
        if row.state == State::Unresolved && row.behind != behind {
            self.write_promise(number, &Promise { behind, ..row });
        }
        Ok(())
    }

    /// How many messages already wait where a message for this target would go.
    pub(crate) fn waiting_at(&self, target: KRef) -> Result<u64, CoreError> {
        Ok(match self.route(target)? {
            Route::Object(_, owner) => self.work(owner)?.len,
            Route::Park(number) => self.promise(number)?.parked,
            Route::Splat(_) => self.work(Party::Kernel)?.len,
        })
    }

    /// Ends a message that goes nowhere: rejects its result, releases what it held.
    pub(crate) fn splat(&mut self, message: &Message, reason: &KCapData) -> Result<(), CoreError> {
        if let Some(result) = message.result {
            self.reject_if_unresolved(result, reason)?;
        }
        self.release_message(message.target, message.result, &message.methargs.slots)
    }

    /// Releases what a queued message or a pending call held.
    pub(crate) fn release_message(
        &mut self,
        target: KRef,
        result: Option<KRef>,
        slots: &[KRef],
    ) -> Result<(), CoreError> {
        self.release(target)?;
        if let Some(result) = result {
            self.release(result)?;
        }
        self.release_all(slots)
    }
}
