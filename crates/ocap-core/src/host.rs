//! What the host asks of the kernel, besides launching and ending.

use ocap_types::{KCapData, KRef, VatId};

use crate::api::{CoreError, Ticket};
use crate::core::Core;
use crate::errors::Code;
use crate::keys;
use crate::limits;
use crate::rows::{Message, Object, Party, Waiter};

impl Core {
    /// Sends a message. The ticket gets [`crate::api::Answer::Settled`] once its result has
    /// settled.
    ///
    /// # Errors
    /// [`CoreError::Invalid`] if a reference names nothing; [`CoreError::Limit`] if too much waits
    /// for the target already.
    pub fn send(
        &mut self,
        ticket: Ticket,
        target: KRef,
        methargs: KCapData,
    ) -> Result<(), CoreError> {
        self.turn(|core| core.accept_send(ticket, target, methargs).map(|_| ()))
    }

    /// Like [`Core::send`], for a client that may name only what it was given: references in the
    /// arguments must be held by the host, or be roots of vats.
    ///
    /// # Errors
    /// [`CoreError::Invalid`] besides, if one is not.
    pub fn send_held(
        &mut self,
        ticket: Ticket,
        target: KRef,
        methargs: KCapData,
    ) -> Result<(), CoreError> {
        self.turn(|core| {
            core.check_all_held(&methargs)?;
            core.accept_send(ticket, target, methargs).map(|_| ())
        })
    }

    /// Whether every reference in data from outside is one that the host was given.
    pub(crate) fn check_all_held(&self, data: &KCapData) -> Result<(), CoreError> {
        check_host_size(data)?;
        data.slots.iter().try_for_each(|&slot| self.check_held(slot))
    }

    fn check_held(&self, kref: KRef) -> Result<(), CoreError> {
        let held = self.space.contains(&keys::host(kref))? || self.is_root(kref)?;
        if held {
            return Ok(());
        }
        Err(CoreError::Invalid(format!(
            "{kref} is not held by the host: only references that an answer mentioned and that have \
             not been released, and roots of vats, can be passed on"
        )))
    }

    fn is_root(&self, kref: KRef) -> Result<bool, CoreError> {
        let KRef::Object(number) = kref else { return Ok(false) };
        let Some(Object { owner: Some(Party::Vat(vat)), .. }) = self.object(number)? else {
            return Ok(false);
        };
        let row: Option<crate::rows::Vat> = self.space.row(&keys::vat(vat))?;
        Ok(row.is_some_and(|row| row.root == kref))
    }

    /// Takes a message on; its result.
    pub(crate) fn accept_send(
        &mut self,
        ticket: Ticket,
        target: KRef,
        methargs: KCapData,
    ) -> Result<KRef, CoreError> {
        self.check_target(target)?;
        self.check_host_data(&methargs)?;
        if self.waiting_at(target)? >= limits::QUEUE_HOST_ITEMS_MAX {
            let text = format!("too many messages wait for {target}; try again later");
            return Err(CoreError::Limit(text));
        }
        let number = self.new_promise(None)?;
        self.wait_for(number, Waiter::Ticket(ticket))?;
        let result = KRef::Promise(number);
        self.hold(target)?;
        self.hold(result)?;
        self.hold_all(&methargs.slots)?;
        self.note_sent(target, Some(result), &methargs);
        self.accept(Message { target, methargs, result: Some(result), from: None, wake: None })?;
        Ok(result)
    }

    /// Waits for a promise. The ticket gets [`crate::api::Answer::Settled`] once it has settled, at
    /// once if it has already. Any number may wait for one.
    ///
    /// # Errors
    /// [`CoreError::Invalid`] if it is no promise, or names nothing.
    pub fn when(&mut self, ticket: Ticket, kref: KRef) -> Result<(), CoreError> {
        self.turn(|core| {
            core.check_reference(kref)?;
            core.wait_or_answer(ticket, kref)
        })
    }

    /// Like [`Core::check_reference`]; an object that is gone, or never was, is told as clients of
    /// the reference kernel know it.
    fn check_target(&self, target: KRef) -> Result<(), CoreError> {
        self.check_reference(target).map_err(|error| match (error, target) {
            (CoreError::Invalid(_), KRef::Object(_)) => {
                let detail = "Target object has no owner; it may have been deleted";
                CoreError::Invalid(Code::ObjectDeleted.message(detail))
            }
            (error, _) => error,
        })
    }

    /// Whether a reference from outside names something that can be sent to or passed on.
    fn check_reference(&self, kref: KRef) -> Result<(), CoreError> {
        let there = match kref {
            KRef::Promise(number) => self.space.contains(&keys::promise(number))?,
            KRef::Object(number) => match self.object(number)? {
                // As if its vat had been relieved of it.
                Some(Object { owner: Some(Party::Vat(vat)), recognizable, .. })
                    if self.has_left(vat) =>
                {
                    recognizable > 0
                }
                Some(Object { owner: Some(Party::Vat(vat)), .. }) => {
                    // Its vat may have been told that nobody can reach it.
                    self.entry(vat, kref)?.is_some_and(|entry| entry.reachable)
                }
                Some(_) => true,
                None => false,
            },
        };
        if there { Ok(()) } else { Err(CoreError::Invalid(format!("unknown reference {kref}"))) }
    }

    /// Whether data from outside can be passed on.
    pub(crate) fn check_host_data(&self, data: &KCapData) -> Result<(), CoreError> {
        check_host_size(data)?;
        data.slots.iter().try_for_each(|&slot| self.check_reference(slot))
    }

    /// From now on every message to this object is rejected. Cannot be undone. Repeating it changes
    /// nothing, and neither does revoking what is not there: its number is never used again.
    pub fn revoke(&mut self, kref: KRef) -> Result<(), CoreError> {
        self.turn(|core| {
            let KRef::Object(number) = kref else {
                return Err(CoreError::Invalid("cannot revoke promise".to_owned()));
            };
            let Some(mut row) = core.object(number)? else { return Ok(()) };
            row.revoked = true;
            core.space.write(keys::object(number), &row);
            Ok(())
        })
    }

    /// Whether an object has been revoked.
    pub fn is_revoked(&self, kref: KRef) -> Result<bool, CoreError> {
        match kref {
            KRef::Object(number) => Ok(self.object(number)?.is_some_and(|row| row.revoked)),
            KRef::Promise(_) => Ok(false),
        }
    }

    /// Keeps a reference for the host until it is released, over restarts too. Holding it twice is
    /// holding it once.
    ///
    /// # Errors
    /// [`CoreError::Invalid`] if it names nothing; [`CoreError::Limit`] if the host holds too many.
    pub fn hold_host_ref(&mut self, kref: KRef) -> Result<(), CoreError> {
        self.turn(|core| {
            core.check_reference(kref)?;
            if core.host_hold(&[kref])? {
                return Ok(());
            }
            let text = "the host holds too many references; release some";
            Err(CoreError::Limit(text.to_owned()))
        })
    }

    /// Gives up a reference an answer handed out. `false` if the host does not hold it.
    pub fn release_host_ref(&mut self, kref: KRef) -> Result<bool, CoreError> {
        self.turn(|core| core.host_release(kref))
    }

    /// What the host holds.
    pub fn host_refs(&self) -> Result<Vec<KRef>, CoreError> {
        let rows = self.space.scan("h.")?;
        Ok(rows.iter().filter_map(|(key, _)| key[2..].parse().ok()).collect())
    }

    /// The root of a vat.
    pub fn root(&self, vat: VatId) -> Result<KRef, CoreError> {
        let row: Option<crate::rows::Vat> = self.space.row(&keys::vat(vat))?;
        Ok(row.ok_or(CoreError::VatNotFound(vat))?.root)
    }

    /// A value of a vat's own store, as of the last settled crank.
    pub fn vatstore_get(&self, vat: VatId, key: &str) -> Result<Option<String>, CoreError> {
        let value = self.space.get(&keys::vatstore(vat, key))?;
        Ok(value.map(std::borrow::Cow::into_owned))
    }

    /// The first key of a vat's own store that is greater than `prior` bytewise.
    pub fn vatstore_next_key(&self, vat: VatId, prior: &str) -> Result<Option<String>, CoreError> {
        let prefix = keys::vatstore_prefix(vat);
        let row = self.space.next(&prefix, &format!("{prefix}{prior}"))?;
        Ok(row.and_then(|(key, _)| key.strip_prefix(&prefix).map(str::to_owned)))
    }
}

/// Whether data from outside is within what anybody may send.
fn check_host_size(data: &KCapData) -> Result<(), CoreError> {
    if data.body.len() > limits::BODY_BYTES_MAX {
        let text = format!("body longer than {} bytes", limits::BODY_BYTES_MAX);
        return Err(CoreError::Invalid(text));
    }
    if data.slots.len() > limits::SLOTS_MAX {
        let text = format!("more than {} references in one value", limits::SLOTS_MAX);
        return Err(CoreError::Invalid(text));
    }
    Ok(())
}
