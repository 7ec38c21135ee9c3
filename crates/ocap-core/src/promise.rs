//! Promises: settling, subscribing, and what waits for them.
//!
//! Invariants: a promise has a decider or a message whose result it is, until it settles; a vat
//! that decides or subscribes has it in its c-list; parked messages exist only while it is
//! unresolved, and none waits for its own result.

use std::sync::Arc;

use ocap_types::{KCapData, KRef, VatId};

use crate::api::{Answer, CoreError, Effect, Ticket};
use crate::core::{Core, Deferred};
use crate::errors::Code;
use crate::keys;
use crate::limits;
use crate::rows::{Item, Message, Party, Promise, State, Waiter, Waiters, corrupt};

impl Core {
    pub(crate) fn promise_value(&self, number: u64) -> Result<Arc<KCapData>, CoreError> {
        self.space.required(&keys::promise_value(number))
    }

    /// Settles an unresolved promise: subscribers are notified, parked messages move on, whoever
    /// waits outside is answered.
    pub(crate) fn settle_promise(
        &mut self,
        number: u64,
        rejected: bool,
        value: &KCapData,
    ) -> Result<(), CoreError> {
        let kref = KRef::Promise(number);
        let before = self.promise(number)?;
        if before.state != State::Unresolved {
            return Err(corrupt(&keys::promise(number), "settled twice"));
        }
        self.note_settled(number, rejected);
        self.hold_all(&value.slots)?;
        self.space.put_new(keys::promise_value(number), value.clone());
        // A value may mention the promise itself.
        let refs = self.promise(number)?.refs;
        let state = if rejected { State::Rejected } else { State::Fulfilled };
        let after = Promise {
            state,
            refs,
            decider: None,
            behind: None,
            subscribers: Vec::new(),
            parked: 0,
            waited: false,
            nested: value.slots.iter().any(|slot| slot.is_promise()),
        };
        self.write_promise(number, &after);
        for &vat in &before.subscribers {
            self.notify(vat, kref)?;
        }
        for n in 0..before.parked {
            let key = keys::parked(number, n);
            let message: Message = self.space.required(&key)?;
            self.space.delete(key)?;
            self.set_behind(message.result, None)?;
            self.accept(message)?;
        }
        if before.waited {
            self.answer_waiter(number, rejected, value)?;
        }
        Ok(())
    }

    /// Rejects a promise with an error of the kernel's, unless it has settled.
    pub(crate) fn reject_if_unresolved(
        &mut self,
        kref: KRef,
        reason: &KCapData,
    ) -> Result<(), CoreError> {
        let KRef::Promise(number) = kref else {
            return Err(corrupt(&kref.to_string(), "an object as a result"));
        };
        if self.promise(number)?.state == State::Unresolved {
            self.settle_promise(number, true, reason)?;
        }
        Ok(())
    }

    /// Queues a notify, if the vat is there.
    pub(crate) fn notify(&mut self, vat: VatId, kref: KRef) -> Result<(), CoreError> {
        if self.has_left(vat) {
            return Ok(());
        }
        self.hold(kref)?;
        self.enqueue(Party::Vat(vat), Item::Notify(kref))
    }

    fn answer_waiter(
        &mut self,
        number: u64,
        rejected: bool,
        value: &KCapData,
    ) -> Result<(), CoreError> {
        let key = keys::wait(number);
        let waiters: Waiters = self.space.required(&key)?;
        self.space.delete(key)?;
        let promise = KRef::Promise(number);
        let mut launch = None;
        for waiter in waiters.0 {
            match waiter {
                Waiter::Ticket(ticket) => self.answer_ticket(ticket, rejected, value)?,
                Waiter::Launch(subcluster) => launch = Some(subcluster),
            }
        }
        match launch {
            // Keeps the waiters' hold.
            Some(subcluster) => {
                self.deferred.push_back(Deferred::BootstrapSettled { subcluster, promise });
                Ok(())
            }
            None => self.release(promise),
        }
    }

    /// A ticket gets what a promise has settled to, or will.
    pub(crate) fn wait_or_answer(
        &mut self,
        ticket: Ticket,
        promise: KRef,
    ) -> Result<(), CoreError> {
        let KRef::Promise(number) = promise else {
            return Err(CoreError::Invalid(format!("{promise} is no promise")));
        };
        match self.promise(number)?.state {
            State::Unresolved => self.wait_for(number, Waiter::Ticket(ticket)),
            state => {
                let value = self.promise_value(number)?;
                self.answer_ticket(ticket, state == State::Rejected, &value)
            }
        }
    }

    /// Tells somebody outside how a promise has settled. The references in that are the host's.
    pub(crate) fn answer_ticket(
        &mut self,
        ticket: Ticket,
        rejected: bool,
        value: &KCapData,
    ) -> Result<(), CoreError> {
        let answer = if self.host_hold(&value.slots)? {
            Answer::Settled { rejected, data: value.clone() }
        } else {
            let text = "the host holds too many references; release some";
            let data = Code::LimitExceeded.rejection(text);
            Answer::Settled { rejected: true, data }
        };
        self.effects.push(Effect::Answer { ticket, answer });
        Ok(())
    }

    /// Puts references into the host's c-list; `false` if it has no room for all of them.
    pub(crate) fn host_hold(&mut self, krefs: &[KRef]) -> Result<bool, CoreError> {
        let mut new = Vec::new();
        for &kref in krefs {
            if !new.contains(&kref) && !self.space.contains(&keys::host(kref))? {
                new.push(kref);
            }
        }
        if new.is_empty() {
            return Ok(true);
        }
        let held: u64 = self.space.required(keys::HOSTS)?;
        let held = held.saturating_add(new.len() as u64);
        if held > limits::HOST_REFS_MAX {
            return Ok(false);
        }
        self.space.write(keys::HOSTS.to_owned(), &held);
        for kref in new {
            self.hold(kref)?;
            self.space.put_new(keys::host(kref), String::new());
        }
        Ok(true)
    }

    /// Takes a reference out of the host's c-list; `false` if it was not there.
    pub(crate) fn host_release(&mut self, kref: KRef) -> Result<bool, CoreError> {
        let key = keys::host(kref);
        if !self.space.contains(&key)? {
            return Ok(false);
        }
        self.space.delete(key)?;
        self.add_to(keys::HOSTS, false)?;
        self.release(kref)?;
        Ok(true)
    }

    /// Somebody outside waits for an unresolved promise.
    pub(crate) fn wait_for(&mut self, number: u64, waiter: Waiter) -> Result<(), CoreError> {
        let key = keys::wait(number);
        if let Some(Waiters(mut waiters)) = self.space.row(&key)? {
            waiters.push(waiter);
            self.space.write(key, &Waiters(waiters));
            return Ok(());
        }
        self.hold(KRef::Promise(number))?;
        let mut row = self.promise(number)?;
        row.waited = true;
        self.write_promise(number, &row);
        self.space.write_new(key, &Waiters(vec![waiter]));
        Ok(())
    }
}
