//! Ending a crank: everything the vat did is validated and applied as one step on top of what has
//! been applied by then, or nothing of it is.

use std::collections::VecDeque;

use ocap_types::crank::{CrankReport, Fault, Outcome, Resolution, Syscall};
use ocap_types::{CapData, KCapData, KRef, VCapData, VRef, VatId};

use crate::api::{Answer, CoreError, CrankId, Effect, Incarnation, VatCondition};
use crate::core::{Core, Deferred, InFlight, InFlightWork};
use crate::errors::{Code, clipped};
use crate::keys;
use crate::limits;
use crate::rows::{Message, Party, Sender, State, Vat, Work};

/// Why a crank's effects cannot be applied.
#[derive(Debug)]
pub(crate) enum Abort {
    /// The vat did what it may not: it is terminated.
    Illegal(String),
    /// The vat asked for more than there is room for: a fault.
    Overload(String),
    /// The kernel cannot go on.
    Core(CoreError),
}

impl From<CoreError> for Abort {
    fn from(error: CoreError) -> Self {
        Abort::Core(error)
    }
}

/// A vat's wish to end, as it stands in its report.
struct Exit {
    failure: bool,
    info: VCapData,
}

impl Core {
    /// Ends a crank. An id that is not in flight any more is ignored; cranks of one vat end in the
    /// order they began.
    pub fn settle(&mut self, crank: CrankId, outcome: Outcome) -> Result<(), CoreError> {
        let Some(&vat) = self.cranks.get(&crank) else { return Ok(()) };
        let oldest = self.in_flight.get(&vat).and_then(VecDeque::front);
        if oldest.is_none_or(|flight| flight.crank != crank) {
            let text = format!("crank {} of {vat} ends before an older one", crank.0);
            return Err(CoreError::Invalid(text));
        }
        self.ready.insert(Party::Vat(vat));
        self.turn(|core| {
            let Some(flight) = core.forget_flight(vat) else { return Ok(()) };
            match outcome {
                Outcome::Done(report) => core.finish(&flight, report),
                Outcome::Fault(fault) => core.fault(&flight, Code::from(fault.kind), &fault.detail),
            }
        })
    }

    /// The worker of a vat that was doing nothing has ended. An incarnation that is over, or a
    /// crank in flight (which is to be settled instead), makes this mean nothing.
    pub fn worker_lost(
        &mut self,
        vat: VatId,
        incarnation: Incarnation,
        fault: &Fault,
    ) -> Result<(), CoreError> {
        let row: Option<Vat> = self.space.row(&keys::vat(vat))?;
        let lost = row.is_some_and(|row| {
            row.incarnation == incarnation && row.condition == VatCondition::Running
        });
        if !lost || self.in_flight.contains_key(&vat) {
            return Ok(());
        }
        // No crank has this id. The work is the one that leaves no item, and takes nothing for told
        // that the vat has not heard.
        let work = InFlightWork::Reap;
        let flight = InFlight { crank: CrankId(0), vat, incarnation, work, bytes: 0 };
        self.turn(|core| core.fault(&flight, Code::from(fault.kind), &fault.detail))
    }

    fn finish(&mut self, flight: &InFlight, report: CrankReport) -> Result<(), CoreError> {
        let vat = flight.vat;
        let sent = self.count_usage(flight, &report);
        let runtime = self.runtime.entry(vat).or_default();
        runtime.since_fault = runtime.since_fault.saturating_add(1);
        let mark = self.mark();
        let error = report.error.as_deref().map(clipped);
        let exit = match self.apply(flight, report) {
            Ok(exit) => exit,
            Err(Abort::Core(error)) => return Err(error),
            Err(Abort::Illegal(detail)) => {
                self.rollback(mark);
                let reason = format!("Syscall translation error: prepare to die ({detail})");
                if matches!(flight.work, InFlightWork::Start) && self.is_replaced(vat)? {
                    return self.start_failed(vat, &reason);
                }
                return self.end_vat(flight, &Code::IllegalSyscall.rejection(&reason), &reason);
            }
            Err(Abort::Overload(detail)) => {
                self.rollback(mark);
                return self.fault(flight, Code::LimitExceeded, &detail);
            }
        };
        if let Some(error) = error {
            self.rollback(mark);
            if matches!(flight.work, InFlightWork::Start) {
                return self.start_failed(vat, &error);
            }
            return self.end_vat(flight, &Code::InternalError.rejection(&error), &error);
        }
        let Some(exit) = exit else {
            self.count_sent(vat, sent);
            return self.delivered(flight);
        };
        if exit.failure {
            self.rollback(mark);
        }
        let failure = exit.failure;
        let reason = self.exit_reason(vat, exit)?;
        let detail = crate::errors::reason_text(&reason);
        if !failure
            && let InFlightWork::Message { result: Some(KRef::Promise(number)), .. } = flight.work
            && self.promise(number)?.decider != Some(Party::Vat(vat))
        {
            // What it has passed on is somebody else's to settle.
            self.consume(flight)?;
            return self.end_vat_after(flight, &reason, &detail);
        }
        self.end_vat(flight, &reason, &detail)
    }

    /// A delivery went well.
    fn delivered(&mut self, flight: &InFlight) -> Result<(), CoreError> {
        self.consume(flight)?;
        let vat = flight.vat;
        match &flight.work {
            InFlightWork::Start => self.started(vat)?,
            InFlightWork::Notify { batch, .. } => {
                for &kref in batch {
                    self.retire_promise(vat, kref)?;
                }
            }
            InFlightWork::Reap => self.reaped(vat),
            InFlightWork::Message { .. } | InFlightWork::Gc => {}
        }
        if !matches!(flight.work, InFlightWork::Reap | InFlightWork::Start) {
            self.count_delivery(vat)?;
        }
        Ok(())
    }

    /// Takes the delivered item out of its queue and releases what it held.
    fn consume(&mut self, flight: &InFlight) -> Result<(), CoreError> {
        let party = Party::Vat(flight.vat);
        match &flight.work {
            InFlightWork::Message { seq, target, result, slots } => {
                self.remove_item(party, *seq)?;
                self.release_message(*target, *result, slots)
            }
            InFlightWork::Notify { seq, promise, .. } => {
                self.remove_item(party, *seq)?;
                self.release(*promise)
            }
            InFlightWork::Start => {
                let work = self.work(party)?;
                self.write_work(party, &Work { start: false, ..work })
            }
            InFlightWork::Gc => self.told(flight.vat),
            InFlightWork::Reap => Ok(()),
        }
    }

    /// Ends a delivery that did not go well, its result rejected.
    fn give_up(&mut self, flight: &InFlight, reason: &KCapData) -> Result<(), CoreError> {
        if let InFlightWork::Message { result: Some(result), .. } = flight.work {
            self.reject_if_unresolved(result, reason)?;
        }
        self.consume(flight)
    }

    /// Ends a vat because of what it did in a crank.
    fn end_vat(
        &mut self,
        flight: &InFlight,
        reason: &KCapData,
        detail: &str,
    ) -> Result<(), CoreError> {
        self.give_up(flight, reason)?;
        self.end_vat_after(flight, reason, detail)
    }

    /// Ends a vat whose delivery has been dealt with.
    fn end_vat_after(
        &mut self,
        flight: &InFlight,
        reason: &KCapData,
        detail: &str,
    ) -> Result<(), CoreError> {
        let row = self.vat(flight.vat)?;
        let launching = self.subcluster(row.subcluster)?.launching.is_some();
        if launching {
            let message = format!("Failed to launch vat {} ({}): {detail}", flight.vat, row.name);
            let message = if matches!(flight.work, InFlightWork::Start) {
                message
            } else {
                crate::errors::reason_text(reason)
            };
            let subcluster = row.subcluster;
            self.deferred.push_back(Deferred::LaunchFailed { subcluster, message });
        }
        self.remove_vat(flight.vat, &clipped(detail))
    }

    /// The crank could not be finished: abort policy of faults.
    fn fault(&mut self, flight: &InFlight, code: Code, detail: &str) -> Result<(), CoreError> {
        let detail = &clipped(detail);
        let (vat, text) = (flight.vat, code.message(detail));
        let mut row = self.vat(vat)?;
        let runtime = self.runtime.entry(vat).or_default();
        if runtime.since_fault > limits::FAULT_WINDOW_DELIVERIES {
            row.faults_in_row = 0;
        }
        runtime.since_fault = 0;
        row.faults = row.faults.saturating_add(1);
        row.faults_in_row += 1;
        row.last_fault = Some(text.clone());
        let suspend = row.faults_in_row >= limits::FAULTS_MAX;
        self.space.write(keys::vat(vat), &row);
        match flight.work {
            InFlightWork::Start => return self.start_failed(vat, &text),
            // The next incarnation does not know the promise: the item is dropped at its turn.
            InFlightWork::Notify { .. } => {}
            InFlightWork::Gc => self.told_in_vain(vat)?,
            InFlightWork::Reap => self.schedule_reap(vat)?,
            InFlightWork::Message { seq, .. } => {
                if !self.wake_again(vat, seq)? {
                    self.give_up(flight, &code.rejection(detail))?;
                }
            }
        }
        let why = format!("its vat is restarted after a fault: {text}");
        self.new_incarnation(vat, &why, suspend.then_some(text))
    }

    /// A vat could not start. The subcluster's launch fails with it, if it is under way.
    fn start_failed(&mut self, vat: VatId, detail: &str) -> Result<(), CoreError> {
        let detail = clipped(detail);
        let mut row = self.vat(vat)?;
        let message = format!("Failed to launch vat {vat} ({}): {detail}", row.name);
        let subcluster = row.subcluster;
        if self.subcluster(subcluster)?.launching.is_some() {
            self.deferred.push_back(Deferred::LaunchFailed { subcluster, message });
            return Ok(());
        }
        if let Some(row) = self.take_back(&row)? {
            return self.start_former(vat, row, &message);
        }
        row.condition = VatCondition::Failed { reason: detail };
        if let Some(ticket) = row.restart.take() {
            self.effects.push(Effect::Answer { ticket, answer: Answer::Failed { message } });
        }
        self.stop_worker(vat, row.incarnation);
        self.space.write(keys::vat(vat), &row);
        let work = self.work(Party::Vat(vat))?;
        self.write_work(Party::Vat(vat), &Work { start: false, ..work })
    }

    /// What the callers of a vat that ends itself get.
    fn exit_reason(&mut self, vat: VatId, exit: Exit) -> Result<KCapData, CoreError> {
        let slots: Option<Vec<KRef>> = exit
            .info
            .slots
            .iter()
            .map(|&vref| self.present(vat, vref))
            .collect::<Result<_, _>>()?;
        Ok(match slots {
            Some(slots) => CapData { body: exit.info.body, slots },
            None => Code::VatTerminated.rejection("Vat ended itself"),
        })
    }

    /// Applies a report.
    fn apply(&mut self, flight: &InFlight, report: CrankReport) -> Result<Option<Exit>, Abort> {
        let vat = flight.vat;
        if let InFlightWork::Message { result: Some(KRef::Promise(number)), .. } = flight.work {
            let mut row = self.promise(number)?;
            if row.state == State::Unresolved {
                row.decider = Some(Party::Vat(vat));
                self.write_promise(number, &row);
            }
        }
        if report.syscalls.len() > limits::CRANK_SYSCALLS_MAX {
            return Err(Abort::Overload("too many syscalls in one crank".to_owned()));
        }
        if report.vatstore.len() > limits::CRANK_WRITES_MAX {
            return Err(Abort::Overload("too many writes in one crank".to_owned()));
        }
        let mut exit = None;
        for syscall in report.syscalls {
            if let Syscall::Exit { failure, info } = syscall {
                check_size(&info)?;
                // Creates what it names for the first time.
                for &vref in &info.slots {
                    self.take(vat, vref)?;
                }
                exit.get_or_insert(Exit { failure, info });
            } else {
                self.apply_syscall(flight, syscall)?;
            }
        }
        self.write_vatstore(vat, report.vatstore)?;
        Ok(exit)
    }

    fn apply_syscall(&mut self, flight: &InFlight, syscall: Syscall) -> Result<(), Abort> {
        let vat = flight.vat;
        let each = |vrefs: &[VRef]| {
            if vrefs.len() > limits::GC_SYSCALL_REFS_MAX {
                return Err(Abort::Overload("too many references in a syscall".to_owned()));
            }
            Ok(())
        };
        match syscall {
            Syscall::Send { target, methargs, result } => {
                self.apply_send(flight, target, methargs, result)
            }
            Syscall::Subscribe { promise } => self.apply_subscribe(vat, promise),
            Syscall::Resolve { resolutions } => self.apply_resolve(vat, resolutions),
            Syscall::Exit { .. } => Ok(()),
            Syscall::DropImports { vrefs } => {
                each(&vrefs)?;
                vrefs.into_iter().try_for_each(|vref| self.drop_import(vat, vref))
            }
            Syscall::RetireImports { vrefs } => {
                each(&vrefs)?;
                vrefs.into_iter().try_for_each(|vref| self.retire_import(vat, vref))
            }
            Syscall::RetireExports { vrefs } => {
                each(&vrefs)?;
                vrefs.into_iter().try_for_each(|vref| self.retire_export(vat, vref, false))
            }
            Syscall::AbandonExports { vrefs } => {
                each(&vrefs)?;
                vrefs.into_iter().try_for_each(|vref| self.retire_export(vat, vref, true))
            }
            Syscall::Ask { request, result } => self.apply_ask(flight, request, result),
            Syscall::Withdraw { result } => self.apply_withdraw(vat, result),
        }
    }

    fn take_data(&mut self, vat: VatId, data: VCapData) -> Result<KCapData, Abort> {
        check_size(&data)?;
        let slots = data.slots.iter().map(|&vref| self.take(vat, vref));
        let slots = slots.collect::<Result<_, _>>()?;
        Ok(CapData { body: data.body, slots })
    }

    fn apply_send(
        &mut self,
        flight: &InFlight,
        target: VRef,
        methargs: VCapData,
        result: Option<VRef>,
    ) -> Result<(), Abort> {
        let vat = flight.vat;
        let target = self.take(vat, target)?;
        let methargs = self.take_data(vat, methargs)?;
        let result = match result {
            Some(vref) => {
                let kref = self.deciding(vat, vref)?;
                if let KRef::Promise(number) = kref {
                    // From now on whoever receives the message decides it.
                    let mut row = self.promise(number)?;
                    row.decider = None;
                    self.write_promise(number, &row);
                }
                Some(kref)
            }
            None => None,
        };
        if self.waiting_at(target)? >= limits::QUEUE_ITEMS_MAX {
            return Err(Abort::Overload("too many messages wait for the target".to_owned()));
        }
        self.hold(target)?;
        self.hold_all(&methargs.slots)?;
        if let Some(result) = result {
            self.hold(result)?;
        }
        self.note_sent(target, result, &methargs);
        let from = Some(Sender { vat, incarnation: flight.incarnation });
        Ok(self.accept(Message { target, methargs, result, from, wake: None })?)
    }

    /// A promise the vat may settle or pass on as a result.
    pub(crate) fn deciding(&mut self, vat: VatId, vref: VRef) -> Result<KRef, Abort> {
        if !vref.is_promise() {
            return Err(Abort::Illegal(format!("{vref} is no promise")));
        }
        let kref = self.take(vat, vref)?;
        let KRef::Promise(number) = kref else {
            return Err(Abort::Illegal(format!("{vref} is no promise")));
        };
        let row = self.promise(number)?;
        if row.state != State::Unresolved {
            return Err(Abort::Illegal(format!("{vref} was already resolved")));
        }
        if row.decider != Some(Party::Vat(vat)) {
            let decider = row.decider.map_or("it has no decider".to_owned(), |decider| {
                let who = if decider == Party::Kernel { "the kernel" } else { "another vat" };
                format!("its decider is {who}")
            });
            return Err(Abort::Illegal(format!(
                "not permitted to resolve {vref} because {decider}"
            )));
        }
        Ok(kref)
    }

    fn apply_subscribe(&mut self, vat: VatId, vref: VRef) -> Result<(), Abort> {
        if !vref.is_promise() {
            return Err(Abort::Illegal(format!("{vref} is no promise")));
        }
        let kref = self.take(vat, vref)?;
        let KRef::Promise(number) = kref else {
            return Err(Abort::Illegal(format!("{vref} is no promise")));
        };
        let mut row = self.promise(number)?;
        if row.state == State::Unresolved {
            if let Err(place) = row.subscribers.binary_search(&vat) {
                row.subscribers.insert(place, vat);
                self.write_promise(number, &row);
            }
            return Ok(());
        }
        if self.work(Party::Vat(vat))?.len >= limits::QUEUE_ITEMS_MAX {
            return Err(Abort::Overload("too many notifies wait for the vat".to_owned()));
        }
        Ok(self.notify(vat, kref)?)
    }

    fn apply_resolve(
        &mut self,
        vat: VatId,
        resolutions: Vec<Resolution<VRef>>,
    ) -> Result<(), Abort> {
        // All are translated first: values may mention promises of the same group.
        let mut group = Vec::with_capacity(resolutions.len());
        for Resolution { promise, rejected, data } in resolutions {
            let kref = self.deciding(vat, promise)?;
            group.push((kref, promise, rejected, self.take_data(vat, data)?));
        }
        for (kref, vref, rejected, value) in &group {
            // Twice in one group?
            self.deciding(vat, *vref)?;
            if let KRef::Promise(number) = kref {
                self.moved = self.moved.saturating_add(self.promise(*number)?.parked);
                if self.moved > limits::CRANK_MOVES_MAX {
                    let text = "too many messages waited for what was resolved in one crank";
                    return Err(Abort::Overload(text.to_owned()));
                }
                self.settle_promise(*number, *rejected, value)?;
            }
        }
        // The vat forgets what it has resolved.
        for (kref, ..) in group {
            self.retire_promise(vat, kref)?;
        }
        Ok(())
    }
}

/// Whether a message or value is within what anybody may send.
fn check_size(data: &VCapData) -> Result<(), Abort> {
    if data.body.len() > limits::BODY_BYTES_MAX {
        return Err(Abort::Overload("body too long".to_owned()));
    }
    if data.slots.len() > limits::SLOTS_MAX {
        return Err(Abort::Overload("too many references in one value".to_owned()));
    }
    Ok(())
}
