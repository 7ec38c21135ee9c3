//! Handing out deliveries. Endpoints take turns, the kernel's own queue among them; within a vat a
//! start comes first, then collection, then its queue in order.
//!
//! Invariant: an item stays queued, and holds what it holds, until its crank is settled.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use ocap_types::crank::{Delivery, Resolution};
use ocap_types::{KCapData, KRef, VatId};

use crate::api::{CoreError, CrankId, Dispatch, Incarnation, StartInfo, VatCondition};
use crate::core::{Core, InFlight, InFlightWork};
use crate::errors::Code;
use crate::keys;
use crate::limits;
use crate::parameters::parameters_data;
use crate::route::Route;
use crate::rows::{Item, Message, Party, State, Vat, Work, corrupt};

/// What came of serving an endpoint.
enum Step {
    /// It has nothing that can be done now.
    Blocked,
    /// Something was done; there may be more.
    Progress,
    /// A delivery for a worker.
    Deliver(Box<Parts>),
}

/// A delivery: whose, of which incarnation, what, what work it is, and with what to start.
type Parts = (VatId, Incarnation, Delivery, InFlightWork, Option<Box<StartInfo>>);

impl Core {
    /// The next delivery for a vat whose worker can take one. On the way, and before it says `None`,
    /// handles what is queued for the kernel itself, and some of its chores ([`Core::has_chores`]).
    pub fn dispatch(&mut self) -> Result<Option<Dispatch>, CoreError> {
        let mut rows = self.chore_rows;
        if self.has_remains() {
            let busy = rows.min(limits::CHORE_ROWS_BUSY);
            let unused = self.turn(|core| core.clear_remains(busy))?;
            rows -= busy - unused;
        }
        loop {
            let Some(party) = self.next_ready() else {
                if rows == 0 {
                    return Ok(None);
                }
                if self.has_remains() {
                    rows = self.turn(|core| core.clear_remains(rows))?;
                    continue;
                }
                let Some(&vat) = self.sweeps.keys().next() else { return Ok(None) };
                rows = self.turn(|core| core.sweep(vat, rows))?;
                continue;
            };
            self.cursor = Some(party);
            let step = self.turn(|core| match party {
                Party::Kernel => core.serve_kernel(),
                Party::Vat(vat) => core.serve_vat(vat),
            })?;
            let parts = match step {
                Step::Blocked => {
                    self.ready.remove(&party);
                    continue;
                }
                Step::Progress => continue,
                Step::Deliver(parts) => *parts,
            };
            let (vat, incarnation, delivery, work, start) = parts;
            let crank = CrankId(self.next_crank);
            self.next_crank += 1;
            let bytes = body_bytes(&delivery);
            let flight = InFlight { crank, vat, incarnation, work, bytes };
            self.in_flight.entry(vat).or_default().push_back(flight);
            self.cranks.insert(crank, vat);
            return Ok(Some(Dispatch { crank, vat, incarnation, delivery, start }));
        }
    }

    /// The endpoint after the one served last.
    fn next_ready(&self) -> Option<Party> {
        let after = self.cursor.map_or(Bound::Unbounded, Bound::Excluded);
        let mut later = self.ready.range((after, Bound::Unbounded));
        later.next().or_else(|| self.ready.first()).copied()
    }

    pub(crate) fn vat(&self, vat: VatId) -> Result<Vat, CoreError> {
        self.space.required(&keys::vat(vat))
    }

    fn serve_kernel(&mut self) -> Result<Step, CoreError> {
        for served in 0..limits::KERNEL_STEP_ITEMS_MAX {
            let work = self.work(Party::Kernel)?;
            let Some((seq, item)) = self.first_item(Party::Kernel, &work)? else {
                // What has been served may put more here before its turn ends.
                return Ok(if served == 0 { Step::Blocked } else { Step::Progress });
            };
            self.remove_item(Party::Kernel, seq)?;
            let Item::Send(message) = item else {
                return Err(corrupt(&keys::queued(Party::Kernel, seq), "not a message"));
            };
            match self.route(message.target)? {
                Route::Splat(reason) => self.splat(&message, &reason)?,
                Route::Object(number, Party::Kernel) => {
                    if message.target == KRef::Object(number) {
                        self.invoke(number, message)?;
                    } else {
                        self.accept(message)?;
                    }
                }
                Route::Park(number) if self.waits_for_itself(&message, number)? => {
                    let detail = "The message waits for its own result";
                    self.splat(&message, &Code::DeliveryFailed.rejection(detail))?;
                }
                Route::Object(..) | Route::Park(_) => self.accept(message)?,
            }
        }
        Ok(Step::Progress)
    }

    fn serve_vat(&mut self, vat: VatId) -> Result<Step, CoreError> {
        let party = Party::Vat(vat);
        let work = self.work(party)?;
        if work.is_none() {
            return Ok(Step::Blocked);
        }
        if self.in_flight.contains_key(&vat) {
            return self.serve_busy_vat(vat, &work);
        }
        let row: Arc<Vat> = self.space.required(&keys::vat(vat))?;
        match &row.condition {
            VatCondition::Failed { reason } => {
                let why = format!("Target vat {vat} ({}) could not start: {reason}", row.name);
                return self.refuse(vat, &work, &why);
            }
            VatCondition::Suspended { reason } => {
                let name = &row.name;
                let why = format!("Target vat {vat} ({name}) is suspended after faults: {reason}");
                return self.refuse(vat, &work, &why);
            }
            VatCondition::Starting | VatCondition::Running => {}
        }
        if work.start {
            return self.start(vat, &row);
        }
        if work.gc > 0 {
            return Ok(match self.next_collection(vat)? {
                Some(delivery) => Step::deliver(vat, &row, delivery, InFlightWork::Gc),
                None => Step::Progress,
            });
        }
        if work.reap {
            self.write_work(party, &Work { reap: false, ..work })?;
            return Ok(Step::deliver(vat, &row, Delivery::BringOutYourDead, InFlightWork::Reap));
        }
        let Some((seq, item)) = self.first_item(party, &work)? else {
            return Err(corrupt(&keys::work(party), "work of no kind"));
        };
        match item {
            Item::Notify(promise) => self.deliver_notify(vat, &row, seq, promise),
            Item::Send(message) => self.deliver_message(vat, &row, seq, message),
        }
    }

    /// Hands a vat that is busy with messages and notifies the next one, if what it is busy with
    /// cannot change what the references in it mean. Everything else waits until it is idle.
    fn serve_busy_vat(&mut self, vat: VatId, work: &Work) -> Result<Step, CoreError> {
        let Some(flights) = self.in_flight.get(&vat) else { return Ok(Step::Blocked) };
        let bytes: usize = flights.iter().map(|flight| flight.bytes).sum();
        if work.start
            || work.gc > 0
            || work.reap
            || flights.len() >= limits::IN_FLIGHT_DELIVERIES_MAX
            || bytes >= limits::IN_FLIGHT_BYTES_MAX
        {
            return Ok(Step::Blocked);
        }
        let Some(InFlightWork::Message { seq, .. } | InFlightWork::Notify { seq, .. }) =
            flights.back().map(|flight| &flight.work)
        else {
            return Ok(Step::Blocked);
        };
        let next = seq.saturating_add(1);
        if next >= work.tail {
            return Ok(Step::Blocked);
        }
        let Some((seq, item)) = self.item_from(Party::Vat(vat), next)? else {
            return Ok(Step::Blocked);
        };
        let row: Arc<Vat> = self.space.required(&keys::vat(vat))?;
        match item {
            Item::Notify(promise) => {
                let batch = self.notify_batch(promise)?;
                let mut mentioned = batch.iter().flat_map(|(kref, value)| {
                    std::iter::once(*kref).chain(value.slots.iter().copied())
                });
                if self.may_change_meaning(vat, &mut mentioned)? {
                    return Ok(Step::Blocked);
                }
                self.deliver_notify(vat, &row, seq, promise)
            }
            Item::Send(message) => {
                if self.may_change_meaning(vat, &mut message.methargs.slots.iter().copied())? {
                    return Ok(Step::Blocked);
                }
                self.deliver_message(vat, &row, seq, message)
            }
        }
    }

    /// Whether what a vat is busy with may make it forget one of these promises: those it decides or
    /// is about to decide, because it may settle them, and those it is being told of. A promise that
    /// is mentioned again after that is another one to the vat.
    fn may_change_meaning(
        &self,
        vat: VatId,
        krefs: &mut dyn Iterator<Item = KRef>,
    ) -> Result<bool, CoreError> {
        let Some(flights) = self.in_flight.get(&vat) else { return Ok(false) };
        for kref in krefs {
            let KRef::Promise(number) = kref else { continue };
            let decides = self.promise(number)?.decider == Some(Party::Vat(vat));
            let told = flights.iter().any(|flight| match &flight.work {
                InFlightWork::Message { result, .. } => *result == Some(kref),
                InFlightWork::Notify { batch, .. } => batch.contains(&kref),
                InFlightWork::Start | InFlightWork::Gc | InFlightWork::Reap => false,
            });
            if decides || told {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Ends the first item queued for a vat that takes nothing.
    fn refuse(&mut self, vat: VatId, work: &Work, why: &str) -> Result<Step, CoreError> {
        let party = Party::Vat(vat);
        let Some((seq, item)) = self.first_item(party, work)? else {
            return Ok(Step::Blocked);
        };
        self.remove_item(party, seq)?;
        match item {
            Item::Notify(promise) => self.release(promise)?,
            Item::Send(message) => {
                if let Route::Splat(reason) = self.route(message.target)? {
                    self.splat(&message, &reason)?;
                } else {
                    if let Some(wake) = message.wake {
                        self.put_back(wake, message.target)?;
                    }
                    self.splat(&message, &Code::EndpointUnreachable.rejection(why))?;
                }
            }
        }
        Ok(Step::Progress)
    }

    fn start(&mut self, vat: VatId, row: &Vat) -> Result<Step, CoreError> {
        if !self.channels_reported(row.subcluster)? {
            return Ok(Step::Blocked);
        }
        let key = keys::vat_config(vat);
        let config: ocap_types::config::VatConfig = self.space.required(&key)?;
        let parameters = parameters_data(config.parameters.as_ref());
        let parameters = parameters.ok_or_else(|| corrupt(&key, "parameters too deep"))?;
        let start = StartInfo { name: row.name.clone(), config, code: row.code.clone() };
        let delivery = Delivery::Start { parameters };
        let start = Some(Box::new(start));
        let parts = (vat, row.incarnation, delivery, InFlightWork::Start, start);
        Ok(Step::Deliver(Box::new(parts)))
    }

    fn deliver_message(
        &mut self,
        vat: VatId,
        row: &Vat,
        seq: u64,
        message: Message,
    ) -> Result<Step, CoreError> {
        let party = Party::Vat(vat);
        let reason = match self.route(message.target)? {
            Route::Object(number, owner)
                if owner == party && message.target == KRef::Object(number) =>
            {
                match self.entry(vat, message.target)? {
                    Some(entry) if entry.reachable => None,
                    _ => Some(Code::ObjectDeleted.rejection("Target object is gone from its vat")),
                }
            }
            Route::Splat(reason) => Some(reason),
            // It belongs elsewhere by now.
            _ => {
                self.remove_item(party, seq)?;
                self.accept(message)?;
                return Ok(Step::Progress);
            }
        };
        if let Some(reason) = reason {
            self.remove_item(party, seq)?;
            self.splat(&message, &reason)?;
            return Ok(Step::Progress);
        }
        let target = self.give(vat, message.target)?;
        let methargs = message.methargs.try_map(|&slot| self.give(vat, slot))?;
        let result = message.result.map(|result| self.give(vat, result)).transpose()?;
        let delivery = Delivery::Message { target, methargs, result };
        let Message { target, result, methargs, .. } = message;
        let work = InFlightWork::Message { seq, target, result, slots: methargs.slots };
        Ok(Step::deliver(vat, row, delivery, work))
    }

    fn deliver_notify(
        &mut self,
        vat: VatId,
        row: &Vat,
        seq: u64,
        promise: KRef,
    ) -> Result<Step, CoreError> {
        if self.entry(vat, promise)?.is_none() {
            self.remove_item(Party::Vat(vat), seq)?;
            self.release(promise)?;
            return Ok(Step::Progress);
        }
        let mut batch = Vec::new();
        let mut resolutions = Vec::new();
        for (kref, value) in self.notify_batch(promise)? {
            let KRef::Promise(number) = kref else {
                return Err(corrupt(&kref.to_string(), "an object in a notify"));
            };
            let rejected = self.promise(number)?.state == State::Rejected;
            let promise = self.give(vat, kref)?;
            let data = value.try_map(|&slot| self.give(vat, slot))?;
            resolutions.push(Resolution { promise, rejected, data });
            batch.push(kref);
        }
        let work = InFlightWork::Notify { seq, promise, batch };
        Ok(Step::deliver(vat, row, Delivery::Notify { resolutions }, work))
    }

    /// A settled promise and the settled promises its value reaches, each with its value, within
    /// limits.
    fn notify_batch(&self, promise: KRef) -> Result<Vec<(KRef, Arc<KCapData>)>, CoreError> {
        let mut found = vec![promise];
        let mut seen = BTreeSet::from([promise]);
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some(&kref) = found.get(batch.len()) {
            let KRef::Promise(number) = kref else {
                return Err(corrupt(&kref.to_string(), "an object in a notify"));
            };
            let value = self.promise_value(number)?;
            for &slot in &value.slots {
                let KRef::Promise(inner) = slot else { continue };
                if found.len() >= limits::NOTIFY_BATCH_MAX || seen.contains(&slot) {
                    continue;
                }
                // An unsettled promise has no value.
                let Some(value) = self.space.get(&keys::promise_value(inner))? else { continue };
                if bytes + value.len() <= limits::NOTIFY_BATCH_BYTES_MAX {
                    bytes += value.len();
                    seen.insert(slot);
                    found.push(slot);
                }
            }
            batch.push((kref, value));
        }
        Ok(batch)
    }
}

/// Bytes of the bodies in a delivery.
fn body_bytes(delivery: &Delivery) -> usize {
    match delivery {
        Delivery::Message { methargs, .. } => methargs.body.len(),
        Delivery::Notify { resolutions } => resolutions.iter().map(|r| r.data.body.len()).sum(),
        _ => 0,
    }
}

impl Step {
    fn deliver(vat: VatId, row: &Vat, delivery: Delivery, work: InFlightWork) -> Step {
        Step::Deliver(Box::new((vat, row.incarnation, delivery, work, None)))
    }
}
