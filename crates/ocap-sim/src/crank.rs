//! Deliveries and how they end.

use std::collections::BTreeSet;

use ocap_core::WatchedVat;
use ocap_core::api::{Dispatch, Incarnation, VatCondition};
use ocap_types::crank::{
    CrankReport, Delivery, Fault, FaultKind, Outcome as CrankOutcome, Resolution, Syscall,
};
use ocap_types::{CapData, VRef, VatId};

use crate::coverage::{Kind, Outcome, State};
use crate::misdeed;
use crate::model::{Sender, Sent, View, tag_in, units_in};
use crate::program::Program;
use crate::rng::Rng;
use crate::state::state_of_value;
use crate::world::{Flight, Outcomes, Violation, World, wrong};

/// What a vat did, what it knows then, and the messages it sent.
type Played = (CrankReport, View, Vec<(u64, VRef, Sent)>);

/// How a vat is.
#[derive(Debug)]
struct Life {
    incarnation: Incarnation,
    condition: VatCondition,
    faults: u64,
}

fn kind_of(delivery: &Delivery) -> Kind {
    match delivery {
        Delivery::Start { .. } => Kind::Start,
        Delivery::Message { .. } => Kind::Message,
        Delivery::Notify { .. } => Kind::Notify,
        Delivery::DropExports { .. } => Kind::DropExports,
        Delivery::RetireExports { .. } => Kind::RetireExports,
        Delivery::RetireImports { .. } => Kind::RetireImports,
        Delivery::BringOutYourDead => Kind::Reap,
    }
}

/// The message's tag, if it is one of ours.
fn tag_of(delivery: &Delivery) -> Option<u64> {
    match delivery {
        Delivery::Message { methargs, .. } => tag_in(&methargs.body, "\"t"),
        _ => None,
    }
}

impl World {
    /// Takes a delivery; `false` if there is none.
    pub(crate) fn dispatch(&mut self) -> Outcomes<bool> {
        let next = self.core.dispatch()?;
        // What the kernel does to what is collected it has done now; the watch does not know yet.
        let states = next.as_ref().map(|dispatch| self.states_of(dispatch)).unwrap_or_default();
        self.obey()?;
        let Some(dispatch) = next else { return Ok(false) };
        self.note(|| {
            format!("    {}.{} <- {:?}", dispatch.vat, dispatch.incarnation.0, dispatch.delivery)
        });
        self.coverage.deliveries += 1;
        let kind = kind_of(&dispatch.delivery);
        let (vat, incarnation) = (dispatch.vat, dispatch.incarnation.0);
        let busy = self.in_flight.iter().filter(|flight| flight.dispatch.vat == vat);
        if busy.clone().any(|flight| kind.is_alone() || flight.kind.is_alone()) {
            return wrong(format!("{vat} was given {kind:?} together with another delivery"));
        }
        if kind == Kind::Start {
            self.begin_life(vat, incarnation)?;
        }
        if let Some(tag) = tag_of(&dispatch.delivery)
            && !self.model.waiting.contains_key(&tag)
        {
            return wrong(format!("message t{tag} is delivered but does not wait"));
        }
        let Some(view) = self.model.vats.get(&vat) else {
            return wrong(format!("a delivery for {vat}, which is not there"));
        };
        if view.incarnation != incarnation {
            return wrong(format!("a delivery for life {incarnation} of {vat}"));
        }
        if let Delivery::Notify { resolutions } = &dispatch.delivery {
            for resolution in resolutions {
                self.hear_url(&resolution.data.body);
            }
        }
        self.in_flight.push(Flight { dispatch, kind, states });
        Ok(true)
    }

    /// What a delivery is about.
    fn states_of(&self, dispatch: &Dispatch) -> Vec<State> {
        let vat = dispatch.vat;
        let life = match self.state_of_vat(vat) {
            // It is there, or it would be given nothing.
            State::Live if dispatch.incarnation.0 == 1 => State::Live,
            _ => State::Restarted,
        };
        let named = |vref: VRef| match self.state_of_named(vat, vref) {
            Some(State::Revoked) => State::Revoked,
            _ => life,
        };
        let states: BTreeSet<State> = match &dispatch.delivery {
            Delivery::Start { .. } if self.model.suspended.contains(&vat) => {
                [State::Suspended].into()
            }
            Delivery::Start { .. } | Delivery::BringOutYourDead => [life].into(),
            Delivery::Message { .. } => {
                let sent = tag_of(&dispatch.delivery).and_then(|tag| self.model.waiting.get(&tag));
                match sent.map(|sent| sent.state) {
                    Some(state @ (State::Unresolved | State::ToObject | State::ToPromise)) => {
                        [state].into()
                    }
                    _ => [life].into(),
                }
            }
            Delivery::Notify { resolutions } => {
                let state = |one: &Resolution<VRef>| state_of_value(one.rejected, &one.data);
                resolutions.iter().map(state).collect()
            }
            Delivery::DropExports { vrefs } | Delivery::RetireExports { vrefs } => {
                vrefs.iter().map(|&vref| named(vref)).collect()
            }
            // Whoever owned it has given it up, or is not there any more.
            Delivery::RetireImports { vrefs } => {
                let left = |&vref: &VRef| match self.state_of_named(vat, vref) {
                    Some(state @ (State::Revoked | State::Terminated)) => state,
                    _ => State::Deleted,
                };
                vrefs.iter().map(left).collect()
            }
        };
        states.into_iter().collect()
    }

    /// A new life of a vat: it finds its store as it left it.
    fn begin_life(&mut self, vat: VatId, incarnation: u64) -> Outcomes {
        let Some(view) = self.model.vats.get_mut(&vat) else {
            return wrong(format!("a start of {vat}, which is not there"));
        };
        if view.incarnation > incarnation {
            return wrong(format!("{vat} goes back from life {}", view.incarnation));
        }
        view.begin(incarnation);
        let mut at = String::new();
        let mut found = 0;
        while let Some(key) = self.core.vatstore_next_key(vat, &at)? {
            let value = self.core.vatstore_get(vat, &key)?;
            if value.as_ref() != view.store.get(&key) {
                return wrong(format!("{vat} finds another value of {key}"));
            }
            found += 1;
            at = key;
        }
        if found != view.store.len() {
            return wrong(format!("{vat} has lost what it stored"));
        }
        Ok(())
    }

    /// The oldest delivery in flight of one of the vats; if there is none, the next.
    fn take_flight(&mut self, rng: &mut Rng) -> Outcomes<Option<Flight>> {
        if self.in_flight.is_empty() && !self.dispatch()? {
            return Ok(None);
        }
        if let Some(wanted) = self.wanted.take()
            && let Some(place) =
                self.in_flight.iter().position(|flight| flight.dispatch.crank == wanted)
        {
            return Ok(Some(self.in_flight.remove(place)));
        }
        let any = self.in_flight[rng.below(self.in_flight.len())].dispatch.vat;
        let oldest = self.in_flight.iter().position(|flight| flight.dispatch.vat == any);
        Ok(oldest.map(|place| self.in_flight.remove(place)))
    }

    fn life(&self, vat: VatId) -> Option<Life> {
        let WatchedVat { incarnation, condition, faults, .. } = self.watch.vat(vat)?;
        Some(Life { incarnation, condition: condition.clone(), faults })
    }

    fn launching(&self, vat: VatId) -> bool {
        let vat = self.watch.vat(vat);
        let subcluster = vat.and_then(|vat| self.watch.subcluster(vat.subcluster));
        subcluster.is_some_and(|subcluster| subcluster.launching)
    }

    /// The message of a delivery is over, whatever came of it.
    fn message_over(&mut self, flight: &Flight) -> Outcomes {
        match tag_of(&flight.dispatch.delivery) {
            Some(tag) => self.model.message_done(tag, flight.dispatch.vat).map_err(Violation),
            None => Ok(()),
        }
    }

    fn settle(&mut self, flight: &Flight, outcome: CrankOutcome) -> Outcomes {
        self.note(|| format!("    {} -> {outcome:?}", flight.dispatch.vat));
        self.core.settle(flight.dispatch.crank, outcome)?;
        self.stale.push(flight.dispatch.crank);
        Ok(())
    }

    /// A vat ends its crank with anything that is legal.
    pub(crate) fn settle_legally(&mut self, rng: &mut Rng, calm: bool) -> Outcomes {
        let Some(flight) = self.take_flight(rng)? else { return self.send(rng) };
        let (report, view, sent) = self.play(&flight, rng, calm)?;
        let vat = flight.dispatch.vat;
        let launching = self.launching(vat);
        let before = self.life(vat);
        self.note_units(&flight)?;
        self.settle(&flight, CrankOutcome::Done(report))?;
        self.message_over(&flight)?;
        self.model.vats.insert(vat, view);
        if flight.kind == Kind::Start {
            self.model.suspended.remove(&vat);
        }
        self.delivered(&flight, Outcome::Ok);
        self.obey()?;
        self.accepted(vat, sent);
        let after = self.life(vat);
        let unharmed = match (&before, &after) {
            (Some(before), Some(after)) => {
                after.incarnation == before.incarnation
                    && after.faults == before.faults
                    && after.condition == VatCondition::Running
            }
            // Its bootstrap may have been rejected.
            _ => launching,
        };
        if !unharmed {
            return wrong(format!("{vat} did nothing wrong and was: {before:?}, is: {after:?}"));
        }
        Ok(())
    }

    /// The messages of a crank are on their way.
    fn accepted(&mut self, vat: VatId, sent: Vec<(u64, VRef, Sent)>) {
        for (tag, vref, sent) in sent {
            // What has no name any more has settled within the crank, or went with the vat.
            let state = self.state_of_named(vat, vref).unwrap_or(sent.state);
            self.answered_by_kernel(state);
            self.model.waiting.insert(tag, Sent { state, ..sent });
        }
    }

    /// A message to something of that state is accepted; the kernel may answer it itself.
    pub(crate) fn answered_by_kernel(&mut self, state: State) {
        let delivered = matches!(
            state,
            State::Live | State::Restarted | State::Unresolved | State::ToObject | State::ToPromise
        );
        if !delivered {
            self.did(Kind::Message, state, Outcome::Ok);
        }
    }

    fn play(&mut self, flight: &Flight, rng: &mut Rng, calm: bool) -> Outcomes<Played> {
        let vat = flight.dispatch.vat;
        let Some(mut view) = self.model.vats.get(&vat).cloned() else {
            return wrong(format!("{vat} has a delivery but is not there"));
        };
        receive(&mut view, &flight.dispatch.delivery)
            .map_err(|text| Violation(format!("{vat} was given what it cannot be: {text}")))?;
        let sender = Sender::Vat(vat, flight.dispatch.incarnation.0);
        let leaning = self.leaning();
        let urls: Vec<String> = self.heard.iter().cloned().collect();
        let mut program = Program::new(rng, view, sender, &mut self.next_tag);
        program.urls = urls;
        program.leaning = leaning;
        program.react(&flight.dispatch.delivery, calm);
        let report = program.report();
        Ok((report, program.view, program.sent))
    }

    /// A unit a vat's read has got is one nobody else has got.
    fn note_units(&mut self, flight: &Flight) -> Outcomes {
        let Delivery::Notify { resolutions } = &flight.dispatch.delivery else { return Ok(()) };
        for resolution in resolutions {
            // The vat made this promise, so it was the result of a message of its own.
            if !matches!(resolution.promise, VRef::ExportPromise(_)) {
                continue;
            }
            for unit in units_in(&resolution.data.body) {
                if !self.model.units.insert(unit) || self.host_units.contains(&unit) {
                    return wrong(format!("unit{unit} was read twice"));
                }
            }
        }
        Ok(())
    }

    pub(crate) fn settle_fault(&mut self, rng: &mut Rng) -> Outcomes {
        let Some(flight) = self.take_flight(rng)? else { return Ok(()) };
        let vat = flight.dispatch.vat;
        let kinds = [
            FaultKind::Overrun,
            FaultKind::OutOfMemory,
            FaultKind::Crash,
            FaultKind::CageViolation,
            FaultKind::Protocol,
        ];
        let kind = rng.pick(&kinds).unwrap_or(FaultKind::Crash);
        let fault = Fault { kind, detail: "of a test".to_owned() };
        self.settle(&flight, CrankOutcome::Fault(fault))?;
        self.message_over(&flight)?;
        self.obey()?;
        // The kernel's part of a collection stands, whatever the vat makes of it; of what it is told
        // once more, it has not heard yet.
        let again = self.watch.row(&format!("gc.{vat}.0sent")).is_some();
        if let Some(view) = self.model.vats.get_mut(&vat)
            && flight.kind.is_collection()
        {
            let mut delivery = flight.dispatch.delivery.clone();
            if let (true, Delivery::DropExports { vrefs } | Delivery::RetireExports { vrefs }) =
                (again, &mut delivery)
            {
                vrefs.retain(|vref| !vref.is_durable_export());
            }
            receive(view, &delivery).map_err(Violation)?;
        }
        self.delivered(&flight, Outcome::Fault);
        self.expect_over(vat, flight.dispatch.incarnation, false)
    }

    /// After what ends a life: the vat is gone, or lives again.
    fn expect_over(&mut self, vat: VatId, incarnation: Incarnation, gone: bool) -> Outcomes {
        self.obey()?;
        match self.life(vat) {
            Some(after) if gone => wrong(format!("{vat} is still there: {after:?}")),
            Some(after)
                if after.incarnation == incarnation
                    && !matches!(after.condition, VatCondition::Failed { .. }) =>
            {
                wrong(format!("{vat} goes on after a fault: {after:?}"))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn settle_illegally(&mut self, rng: &mut Rng) -> Outcomes {
        let Some(flight) = self.take_flight(rng)? else { return Ok(()) };
        let vat = flight.dispatch.vat;
        let (mut report, view, _) = self.play(&flight, rng, false)?;
        let ahead = flight.kind == Kind::Start
            || self.in_flight.iter().any(|other| other.dispatch.vat == vat);
        let Some(name) = misdeed::commit(rng, &view, &mut report, ahead) else {
            self.in_flight.insert(0, flight);
            return Ok(());
        };
        self.note(|| format!("    {name}"));
        self.coverage.misdeed(name);
        // Code that cannot start gives way to the code it was to replace.
        let gives_way = flight.kind == Kind::Start && self.may_have_former_code(vat);
        self.settle(&flight, CrankOutcome::Done(report))?;
        self.message_over(&flight)?;
        self.delivered(&flight, Outcome::Illegal);
        let ended = self.expect_over(vat, flight.dispatch.incarnation, !gives_way);
        ended.map_err(|Violation(text)| Violation(format!("{name}: {text}")))
    }

    /// Whether a vat, or another of its subcluster, has code that has not started yet.
    fn may_have_former_code(&self, vat: VatId) -> bool {
        let Some(vat) = self.watch.vat(vat) else { return false };
        let row = self.watch.row(&format!("sub.{}", vat.subcluster));
        row.is_some_and(|row| row.contains("\"former\":"))
    }

    pub(crate) fn settle_exit(&mut self, rng: &mut Rng) -> Outcomes {
        let Some(flight) = self.take_flight(rng)? else { return Ok(()) };
        let vat = flight.dispatch.vat;
        let failure = self.failing.take().unwrap_or_else(|| rng.one_in(2));
        let (mut report, _, sent) = self.play(&flight, rng, false)?;
        let slots = if rng.one_in(2) { vec![VRef::ROOT] } else { Vec::new() };
        let body = if slots.is_empty() { "#\"bye\"" } else { "#[\"$0\"]" };
        let info = CapData { body: body.to_owned(), slots };
        let place = rng.below(report.syscalls.len() + 1);
        report.syscalls.insert(place, Syscall::Exit { failure, info });
        self.settle(&flight, CrankOutcome::Done(report))?;
        self.message_over(&flight)?;
        if !failure {
            self.accepted(vat, sent);
        }
        self.delivered(&flight, if failure { Outcome::ExitFailure } else { Outcome::Exit });
        self.expect_over(vat, flight.dispatch.incarnation, true)
    }

    pub(crate) fn settle_error(&mut self, rng: &mut Rng) -> Outcomes {
        let Some(flight) = self.take_flight(rng)? else { return Ok(()) };
        let vat = flight.dispatch.vat;
        let (mut report, _, _) = self.play(&flight, rng, false)?;
        report.error = Some("of a test".to_owned());
        self.settle(&flight, CrankOutcome::Done(report))?;
        self.message_over(&flight)?;
        self.delivered(&flight, Outcome::Error);
        let start = flight.kind == Kind::Start;
        self.expect_over(vat, flight.dispatch.incarnation, !start)
    }

    /// A worker says something of a crank that is over.
    pub(crate) fn settle_stale(&mut self, rng: &mut Rng) -> Outcomes {
        let Some(crank) = rng.pick(&self.stale) else { return Ok(()) };
        let before = self.core.status()?;
        let syscalls = vec![Syscall::Exit { failure: false, info: CapData::without_slots("#1") }];
        let report = CrankReport { syscalls, ..CrankReport::default() };
        self.core.settle(crank, CrankOutcome::Done(report))?;
        if self.core.status()? != before {
            return wrong("an outcome of a crank that is over did something");
        }
        self.obey()
    }

    pub(crate) fn worker_lost(&mut self, rng: &mut Rng) -> Outcomes {
        let Some(vat) = self.pick_vat(rng) else { return Ok(()) };
        let Some(status) = self.life(vat) else { return Ok(()) };
        let busy = self.in_flight.iter().any(|flight| flight.dispatch.vat == vat);
        let runs = status.condition == VatCondition::Running && !busy;
        let fault = Fault { kind: FaultKind::Crash, detail: "of a test".to_owned() };
        self.note(|| format!("    {vat} is lost"));
        self.core.worker_lost(vat, status.incarnation, &fault)?;
        if runs {
            self.did(Kind::Host, self.state_of_vat(vat), Outcome::Ok);
            return self.expect_over(vat, status.incarnation, false);
        }
        self.obey()
    }
}

/// What a vat's own table of references says to a delivery.
fn receive(view: &mut View, delivery: &Delivery) -> Result<(), String> {
    match delivery {
        Delivery::Start { .. } | Delivery::BringOutYourDead => Ok(()),
        Delivery::Message { target, methargs, result } => {
            if !view.exports.contains_key(target) && !view.abandoned.contains(target) {
                return Err(format!("a message for {target}"));
            }
            view.given(*target)?;
            methargs.slots.iter().chain(result).try_for_each(|&vref| view.given(vref))
        }
        Delivery::Notify { resolutions } => {
            for resolution in resolutions {
                if view.promises.get(&resolution.promise) == Some(&true) {
                    return Err(format!("told about {}, which it decides", resolution.promise));
                }
                resolution.data.slots.iter().try_for_each(|&vref| view.given(vref))?;
            }
            let strange = resolutions.iter().find(|one| !view.promises.contains_key(&one.promise));
            strange.map_or(Ok(()), |one| Err(format!("told about {}", one.promise)))
        }
        Delivery::DropExports { vrefs } => {
            vrefs.iter().try_for_each(|vref| match view.exports.get_mut(vref) {
                Some(reachable) if *reachable && *vref != VRef::ROOT => {
                    *reachable = false;
                    Ok(())
                }
                _ => Err(format!("drop of {vref}")),
            })
        }
        Delivery::RetireExports { vrefs } => {
            vrefs.iter().try_for_each(|vref| match view.exports.remove(vref) {
                Some(false) => Ok(()),
                _ => Err(format!("retirement of the export {vref}")),
            })
        }
        Delivery::RetireImports { vrefs } => vrefs.iter().try_for_each(|vref| match vref {
            VRef::Import(n) if view.imports.remove(n) == Some(false) => Ok(()),
            _ => Err(format!("retirement of the import {vref}")),
        }),
    }
}
