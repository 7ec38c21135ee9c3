//! What vats ask of their host for the sake of their globals: time to pass, a page of the network.
//!
//! An ask is a call without a target. It leaves after the commit that holds it, its outcome is a
//! notify in the vat's queue, and it ends with the incarnation that made it.

use ocap_types::crank::Request;
use ocap_types::{KRef, VRef, VatId, smallcaps};

use crate::api::{CallId, CoreError, Effect};
use crate::core::{Core, InFlight};
use crate::keys;
use crate::limits;
use crate::rows::{Call, CallKind, Party, Row, Sender, corrupt};
use crate::settle::Abort;

impl Core {
    pub(crate) fn apply_ask(
        &mut self,
        flight: &InFlight,
        request: Request,
        vref: VRef,
    ) -> Result<(), Abort> {
        let vat = flight.vat;
        let result = self.deciding(vat, vref)?;
        let KRef::Promise(number) = result else {
            return Err(Abort::Illegal(format!("{vref} is no promise")));
        };
        let asks: u64 = self.space.row(&keys::asks(vat))?.unwrap_or(0);
        let calls: u64 = self.space.required(keys::CALLS)?;
        if asks >= limits::ASKS_MAX || calls >= limits::CALLS_MAX {
            return Err(Abort::Overload("too much is asked of the host at once".to_owned()));
        }
        let id = self.take_number(keys::NEXT_CALL)?;
        let mut row = self.promise(number)?;
        row.decider = Some(Party::Kernel);
        if let Err(place) = row.subscribers.binary_search(&vat) {
            row.subscribers.insert(place, vat);
        }
        self.write_promise(number, &row);
        self.hold(result)?;
        let from = Some(Sender { vat, incarnation: flight.incarnation });
        let call =
            Call { kind: CallKind::Asked, target: None, result: Some(result), slots: vec![], from };
        self.space.put_new(keys::call(id), call.write());
        self.space.put_new(keys::call_of(vat, id), String::new());
        self.space.put_new(keys::ask(vat, result), id.to_string());
        self.space.write(keys::asks(vat), &(asks + 1));
        self.add_to(keys::CALLS, true)?;
        self.effects.push(Effect::Ask { call: CallId(id), vat, request });
        Ok(())
    }

    /// Ends an ask, if it is still under way, without telling the vat, which has forgotten it.
    pub(crate) fn apply_withdraw(&mut self, vat: VatId, vref: VRef) -> Result<(), Abort> {
        if !vref.is_promise() {
            return Err(Abort::Illegal(format!("{vref} is no promise")));
        }
        let Some(result @ KRef::Promise(number)) = self.present(vat, vref)? else {
            return Ok(());
        };
        let Some(id) = self.space.row::<u64>(&keys::ask(vat, result))? else { return Ok(()) };
        let mut row = self.promise(number)?;
        self.moved = self.moved.saturating_add(row.parked);
        if self.moved > limits::CRANK_MOVES_MAX {
            let text = "too many messages waited for what was withdrawn in one crank";
            return Err(Abort::Overload(text.to_owned()));
        }
        row.subscribers.retain(|&subscriber| subscriber != vat);
        self.write_promise(number, &row);
        self.end_call(id, false, &smallcaps::undefined())?;
        self.retire_promise(vat, result)?;
        self.effects.push(Effect::Withdraw { call: CallId(id) });
        Ok(())
    }

    /// An ask is over.
    pub(crate) fn forget_ask(&mut self, vat: VatId, result: KRef) -> Result<(), CoreError> {
        self.space.delete(keys::ask(vat, result))?;
        let key = keys::asks(vat);
        let asks: u64 = self.space.required(&key)?;
        match asks.checked_sub(1) {
            None => Err(corrupt(&key, "counts too few asks")),
            Some(0) => self.space.delete(key),
            Some(asks) => {
                self.space.write(key, &asks);
                Ok(())
            }
        }
    }
}
