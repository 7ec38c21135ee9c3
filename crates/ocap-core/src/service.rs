//! Calls of kernel-owned objects: services the driver answers for, and channels.
//!
//! A call holds what its message held until it is done. Invariant: a kernel-decided promise is the
//! result of exactly one call.

use ocap_types::{KCapData, KRef, VatId};

use crate::api::{CallId, ChannelId, CoreError, Effect};
use crate::core::Core;
use crate::errors::{Code, clipped};
use crate::keys;
use crate::limits;
use crate::rows::{Call, CallKind, Message, Party, Row, ServiceKind, Vat, corrupt};
use crate::timer;

impl Core {
    /// Hands a message to a kernel-owned object. The message has been taken out of its queue.
    pub(crate) fn invoke(&mut self, number: u64, mut message: Message) -> Result<(), CoreError> {
        let caller = message.from.map(|from| from.vat);
        let mut subcluster = None;
        // What an earlier incarnation sent is done, but it is no longer that vat's to cancel.
        if let Some(from) = message.from {
            let vat: Option<Vat> = self.space.row(&keys::vat(from.vat))?;
            subcluster = vat.as_ref().map(|vat| vat.subcluster);
            if vat.is_none_or(|vat| vat.incarnation != from.incarnation) {
                message.from = None;
            }
        }
        let gone = caller.is_some() && message.from.is_none();
        let kind: ServiceKind = self.space.required(&keys::service_of(number))?;
        if matches!(&kind, ServiceKind::Service { name } if name == timer::NAME) {
            return self.invoke_timer(&message, caller);
        }
        if let ServiceKind::Service { name } = &kind
            && self.is_url_service(name)
        {
            return self.invoke_urls(name, &message, caller, gone);
        }
        let calls: u64 = self.space.required(keys::CALLS)?;
        if calls >= limits::CALLS_MAX {
            let reason = Code::LimitExceeded.rejection("too many calls are under way");
            return self.splat(&message, &reason);
        }
        match kind {
            ServiceKind::Channel { subcluster, name } => {
                self.invoke_channel(&ChannelId::new(subcluster, name), message, gone)
            }
            ServiceKind::Connection { subcluster, name } => {
                let id = ChannelId::new(subcluster, name).connection(number);
                self.invoke_channel(&id, message, gone)
            }
            ServiceKind::Service { name } if !self.services.contains_key(&name) => {
                let detail = format!("kernel service '{name}' is not available in this kernel");
                self.splat(&message, &Code::DeliveryFailed.rejection(&detail))
            }
            ServiceKind::Service { name } => {
                let methargs = message.methargs.clone();
                let call = self.begin_call(CallKind::Released, message)?;
                let service = name;
                self.effects.push(Effect::ServiceCall {
                    call,
                    service,
                    methargs,
                    caller,
                    subcluster,
                });
                Ok(())
            }
        }
    }

    /// Turns a message into a call, which takes over what the message held.
    pub(crate) fn begin_call(
        &mut self,
        kind: CallKind,
        message: Message,
    ) -> Result<CallId, CoreError> {
        let id = self.take_number(keys::NEXT_CALL)?;
        let Message { target, methargs, result, from, .. } = message;
        if let Some(KRef::Promise(number)) = result {
            let mut row = self.promise(number)?;
            row.decider = Some(Party::Kernel);
            self.write_promise(number, &row);
        }
        if let Some(from) = from {
            self.space.put_new(keys::call_of(from.vat, id), String::new());
        }
        if let (Some(prefix), KRef::Object(channel)) = (waiting_prefix(kind), target) {
            let key = format!("{}{id:016}", prefix(channel));
            self.space.put_new(key, String::new());
        }
        let target = Some(target);
        let call = Call { kind, target, result, slots: methargs.slots, from };
        self.space.put_new(keys::call(id), call.write());
        self.add_to(keys::CALLS, true)?;
        Ok(CallId(id))
    }

    /// Ends a call: settles its result and releases what it held. `false` if there is none such.
    pub(crate) fn end_call(
        &mut self,
        id: u64,
        rejected: bool,
        value: &KCapData,
    ) -> Result<bool, CoreError> {
        let key = keys::call(id);
        let Some(call) = self.space.row::<Call>(&key)? else { return Ok(false) };
        self.space.delete(key)?;
        self.add_to(keys::CALLS, false)?;
        if let Some(from) = call.from {
            self.space.delete(keys::call_of(from.vat, id))?;
            if let (CallKind::Asked, Some(result)) = (call.kind, call.result) {
                self.forget_ask(from.vat, result)?;
            }
        }
        if let (Some(prefix), Some(KRef::Object(channel))) =
            (waiting_prefix(call.kind), call.target)
        {
            self.space.delete(format!("{}{id:016}", prefix(channel)))?;
        }
        if let Some(KRef::Promise(number)) = call.result {
            self.settle_promise(number, rejected, value)?;
        }
        let held = call.target.into_iter().chain(call.result).chain(call.slots);
        held.into_iter().try_for_each(|kref| self.release(kref))?;
        Ok(true)
    }

    /// A service call, or a write to a channel, is done. Calls that are not under way any more are
    /// ignored. An error text becomes a rejection `[KERNEL:DELIVERY_FAILED] text`.
    pub fn service_done(
        &mut self,
        call: CallId,
        result: Result<KCapData, String>,
    ) -> Result<(), CoreError> {
        self.turn(|core| {
            let Some(row) = core.space.row::<Call>(&keys::call(call.0))? else { return Ok(()) };
            if !matches!(row.kind, CallKind::Released | CallKind::Asked) {
                return Ok(());
            }
            let (rejected, value) = match result {
                Err(text) => (true, Code::DeliveryFailed.rejection(clipped(&text))),
                Ok(value) => match core.check_host_data(&value) {
                    Ok(()) => (false, value),
                    Err(CoreError::Invalid(text)) => (true, Code::DeliveryFailed.rejection(&text)),
                    Err(error) => return Err(error),
                },
            };
            core.end_call(call.0, rejected, &value)?;
            Ok(())
        })
    }

    /// Ends every call a vat has under way; nothing is consumed by them.
    pub(crate) fn cancel_calls(
        &mut self,
        vat: VatId,
        code: Code,
        why: &str,
    ) -> Result<(), CoreError> {
        for (key, _) in self.space.scan(&keys::calls_of(vat))? {
            let id = keys::padded_number(&key).ok_or_else(|| corrupt(&key, "no number"))?;
            self.cancel_call(id, code, why)?;
        }
        Ok(())
    }

    /// Ends a call whose caller is gone.
    pub(crate) fn cancel_call(&mut self, id: u64, code: Code, why: &str) -> Result<(), CoreError> {
        let call: Call = self.space.required(&keys::call(id))?;
        let code = match call.kind {
            CallKind::Asked => {
                self.effects.push(Effect::Withdraw { call: CallId(id) });
                code
            }
            CallKind::Released => code,
            CallKind::Read | CallKind::ReadMany | CallKind::Accept | CallKind::Ready => {
                Code::ReadCancelled
            }
        };
        self.end_call(id, true, &code.rejection(why)).map(|_| ())
    }
}

/// Where calls of a kind queue at their channel.
fn waiting_prefix(kind: CallKind) -> Option<fn(u64) -> String> {
    match kind {
        CallKind::Released | CallKind::Asked => None,
        CallKind::Read | CallKind::ReadMany | CallKind::Accept => Some(keys::reads),
        CallKind::Ready => Some(keys::readies),
    }
}
