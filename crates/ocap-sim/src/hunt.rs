//! Hunts for rare cells of the coverage table: a step of the script names one, and the world then
//! helps it to come about, with nothing a host or a vat may not do.

use ocap_core::api::{CallId, CrankId};
use ocap_types::{CapData, KCapData, KRef, VatId};

use crate::coverage::{Cell, Coverage, Kind, Moment, Outcome, State};
use crate::limits;
use crate::program::Leaning;
use crate::rng::Rng;
use crate::script::Action;
use crate::world::{BANK, Flight, Outcomes, SERVICES, World};

/// What is hunted for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prey {
    cell: Cell,
    /// Steps until it is given up.
    patience: u32,
}

/// A value that is nothing but a reference.
fn lone_reference(kref: KRef) -> KCapData {
    let sign = if kref.is_promise() { '&' } else { '$' };
    CapData { body: format!("#\"{sign}0\""), slots: vec![kref] }
}

impl World {
    /// Begins a hunt, unless one is on, and prepares for it what a host can prepare.
    pub(crate) fn hunt(&mut self, rng: &mut Rng) -> Outcomes {
        if self.prey.is_some() {
            return Ok(());
        }
        let tier = [0, 1, 2, 3, 3][rng.below(5)];
        let Some(cell) = rng.pick(&Coverage::rare()[tier]) else { return Ok(()) };
        self.note(|| format!("    {cell:?}"));
        let slow = cell.0.0 == Kind::RetireImports;
        let patience = if slow { limits::SLOW_HUNT_STEPS_MAX } else { limits::HUNT_STEPS_MAX };
        self.prey = Some(Prey { cell, patience });
        self.prepare(rng)
    }

    /// What a host can do for it.
    fn prepare(&mut self, rng: &mut Rng) -> Outcomes {
        let Some(Prey { cell: ((kind, state, _), _), .. }) = self.prey else { return Ok(()) };
        match (kind, state) {
            (Kind::Message, State::Live | State::Restarted) => Ok(()),
            (Kind::Message, state) => self.send_to_some(state, rng),
            (Kind::RetireImports, state) => self.orphan_some(state, rng),
            (Kind::Io, State::Unresolved) => {
                let channels = self.watch.rows("svc.io:");
                let channels: Vec<KRef> =
                    channels.filter_map(|(_, kref)| kref.parse().ok()).collect();
                let Some(channel) = rng.pick(&channels) else { return Ok(()) };
                // What has arrived already is read first.
                for _ in 0..limits::HUNT_TRIES {
                    self.send_to(channel, "read", rng)?;
                }
                Ok(())
            }
            (Kind::Client, State::Unresolved) => {
                let channels = self.lobbies.keys();
                let krefs = channels.filter_map(|id| self.watch.row(&format!("svc.{id}")));
                let krefs: Vec<KRef> = krefs.filter_map(|kref| kref.parse().ok()).collect();
                let Some(channel) = rng.pick(&krefs) else { return Ok(()) };
                // Who waits already is accepted first.
                for _ in 0..limits::HUNT_TRIES {
                    self.send_to(channel, "accept", rng)?;
                }
                Ok(())
            }
            (_, State::Revoked) => {
                let objects: Vec<KRef> = self.owned().into_iter().map(|(kref, ..)| kref).collect();
                for _ in 0..limits::HUNT_TRIES {
                    if let Some(kref) = rng.pick(&objects) {
                        self.revoke_this(kref)?;
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn references(&self, prefix: &'static str) -> impl Iterator<Item = KRef> {
        let rows = self.watch.rows(prefix);
        rows.filter_map(move |(key, _)| key.strip_prefix(prefix)?.parse().ok())
    }

    /// Objects of vats that are there, but for roots: with the vat, and whether some importer only
    /// recognizes it.
    fn owned(&self) -> Vec<(KRef, VatId, bool)> {
        let rows = self.watch.rows("o.");
        let owned = rows.filter_map(|(key, row)| {
            let kref: KRef = key.strip_prefix("o.")?.parse().ok()?;
            let mut words = row.split(' ');
            let vat = words.next()?.parse().ok()?;
            let weak = words.next() != words.next();
            let root = self.watch.vat_of_root(kref).is_some();
            (!root).then_some((kref, vat, weak))
        });
        owned.collect()
    }

    /// Services answer with references: a call's result becomes an object, or a promise that has
    /// become one. The host keeps the result.
    fn answer_references(&mut self, state: State, rng: &mut Rng) -> Outcomes<bool> {
        let calls: Vec<CallId> = self.calls.clone();
        let called = |call: &CallId| Some((*call, self.result_of(*call)?));
        let Some((call, result)) = rng.pick(&calls.iter().filter_map(called).collect::<Vec<_>>())
        else {
            return Ok(false);
        };
        let roots = self.watch.vats().map(|vat| vat.root);
        let objects: Vec<KRef> = roots.filter(|&root| self.leads_to_a_vat(root)).collect();
        let promises: Vec<KRef> = self
            .references("p.")
            .filter(|&kref| kref != result && self.leads_to_a_vat(kref))
            .collect();
        let wanted = if state == State::ToPromise { rng.pick(&promises) } else { None };
        let Some(kref) = wanted.or_else(|| rng.pick(&objects)) else { return Ok(false) };
        self.hold_this(result)?;
        self.answer_call(call, Ok(lone_reference(kref)))?;
        if wanted.is_some() || state == State::ToObject {
            self.send_to(result, "m", rng)?;
        }
        Ok(true)
    }

    /// The promise that a call settles.
    fn result_of(&self, call: CallId) -> Option<KRef> {
        let row = self.watch.row(&format!("call.{:016}", call.0))?;
        row.split("\"result\":\"").nth(1)?.split('"').next()?.parse().ok()
    }

    /// Messages to things of that state, which lead to a vat if they can.
    fn send_to_some(&mut self, state: State, rng: &mut Rng) -> Outcomes {
        let delivered = matches!(state, State::ToObject | State::ToPromise | State::Unresolved);
        let named = self.references("p.").chain(self.references("o."));
        let wanted = |kref: &KRef| {
            self.state_of(*kref).0 == state
                && (!delivered || state == State::Unresolved || self.leads_to_a_vat(*kref))
        };
        let named: Vec<KRef> = named.filter(wanted).collect();
        if delivered {
            for _ in self.calls.len()..limits::HUNT_CALLS {
                self.send_to(BANK, "m", rng)?;
            }
            if self.in_flight.len() < limits::HUNT_FLIGHTS {
                // The kernel does its own work before it hands anything out.
                self.dispatch()?;
            }
            self.commit_next()?;
            self.report()?;
        }
        if state == State::ToPromise {
            // A promise for a promise for an object.
            for _ in 0..limits::HUNT_CALLS {
                self.answer_references(state, rng)?;
            }
        }
        for _ in 0..limits::HUNT_TRIES {
            if let Some(target) = rng.pick(&named) {
                self.send_to(target, "m", rng)?;
            }
        }
        Ok(())
    }

    fn leads_to_a_vat(&self, mut kref: KRef) -> bool {
        for _ in 0..limits::HUNT_LINKS_MAX {
            if !kref.is_promise() {
                let state = self.state_of(kref).0;
                return !SERVICES.contains(&kref)
                    && matches!(state, State::Live | State::Restarted);
            }
            let value = self.watch.row(&format!("pv.{kref}"));
            let slot = value.and_then(|value| value.split("\"slots\":[\"").nth(1));
            let slot = slot.and_then(|slots| slots.split('"').next()?.parse().ok());
            let Some(next) = slot else { return false };
            kref = next;
        }
        false
    }

    /// Objects that an importer only recognizes lose their owner.
    fn orphan_some(&mut self, state: State, rng: &mut Rng) -> Outcomes {
        let owned = self.owned();
        let weak: Vec<(KRef, VatId)> = owned
            .iter()
            .filter(|(_, vat, weak)| *weak && self.watch.vat(*vat).is_some())
            .map(|&(kref, vat, _)| (kref, vat))
            .collect();
        let Some((_, vat)) = rng.pick(&weak) else { return self.spread(&owned, rng) };
        if state == State::Revoked {
            for (kref, _) in weak {
                self.revoke_this(kref)?;
            }
            // Or the vat gives them up itself.
            if rng.one_in(2) {
                return Ok(());
            }
        }
        if state == State::Deleted { self.restart_this(vat) } else { self.terminate_this(vat) }
    }

    /// Vats get what others own, to drop it; if there are none, there soon will be.
    fn spread(&mut self, owned: &[(KRef, VatId, bool)], rng: &mut Rng) -> Outcomes {
        let vats: Vec<(VatId, KRef)> = self.watch.vats().map(|vat| (vat.id, vat.root)).collect();
        if vats.len() < 2 {
            return self.launch(rng);
        }
        for _ in 0..limits::HUNT_TRIES {
            match (rng.pick(owned), rng.pick(&vats)) {
                (Some((kref, owner, _)), Some((vat, root))) if vat != owner => {
                    self.send_with(root, "m", vec![kref])?;
                }
                _ => {}
            }
        }
        self.send(rng)
    }

    /// What vats lean to while the hunt is on.
    pub(crate) fn leaning(&self) -> Option<Leaning> {
        let ((kind, state, _), _) = self.prey?.cell;
        match (kind, state) {
            (Kind::Message | Kind::Notify, State::ToObject | State::ToPromise) => {
                Some(Leaning::References)
            }
            (Kind::RetireImports, _) => Some(Leaning::Drops),
            _ => None,
        }
    }

    /// What a step does instead of what it says, if that brings the prey nearer.
    pub(crate) fn steered(&mut self, action: Action, rng: &mut Rng) -> Outcomes<Option<Action>> {
        let Some(Prey { cell: ((kind, state, outcome), moment), patience }) = &mut self.prey else {
            return Ok(Some(action));
        };
        *patience = patience.saturating_sub(1);
        if *patience == 0 {
            self.prey = None;
            return Ok(Some(action));
        }
        let (kind, state, outcome, moment) = (*kind, *state, *outcome, *moment);
        let ends = matches!(
            action,
            Action::Settle | Action::Fault | Action::Illegal | Action::Exit | Action::Error
        );
        if kind == Kind::Io && action == Action::Channel {
            let unit = self.unit_for(state)?;
            return Ok((!unit).then_some(action));
        }
        if kind == Kind::Client && action == Action::Channel {
            let client = self.client_for(state)?;
            return Ok((!client).then_some(action));
        }
        let becomes = matches!(state, State::ToObject | State::ToPromise);
        if becomes && action == Action::ServiceDone && self.answer_references(state, rng)? {
            return Ok(None);
        }
        if action == Action::Send
            && matches!(kind, Kind::Message | Kind::RetireImports | Kind::Io | Kind::Client)
            && !matches!(state, State::Live | State::Restarted)
        {
            // What has ended is removed bit by bit; its importers hear of it in time.
            if kind == Kind::Message || self.watch.rows("gone.").next().is_none() {
                self.prepare(rng)?;
            }
            return Ok(None);
        }
        if !ends {
            return Ok(Some(action));
        }
        if self.in_flight.len() < limits::HUNT_FLIGHTS {
            self.dispatch()?;
        }
        if (kind, state) == (Kind::Start, State::Suspended)
            && self.in_flight.iter().all(|flight| !flight.states.contains(&state))
        {
            return self.suspend_and_lift(action);
        }
        let found = self
            .first_flights()
            .find(|flight| flight.kind == kind && flight.states.contains(&state));
        let caught = match found {
            Some(flight) => Some((flight.dispatch.crank, ((kind, state, outcome), moment))),
            None => match rng.below(limits::HUNT_OTHERS) {
                0 if state != State::Revoked => self.other_prey(0, rng),
                n if n % 2 == 0 => self.other_prey(1, rng),
                _ => None,
            },
        };
        let Some((crank, cell)) = caught else { return Ok(Some(action)) };
        let ((.., outcome), moment) = cell;
        if moment == Moment::InFlight {
            self.strike = Some(moment);
            if self.prey.is_some_and(|prey| prey.cell == cell) {
                self.prey = None;
            }
            return Ok(None);
        }
        self.wanted = Some(crank);
        self.failing = Some(outcome == Outcome::ExitFailure);
        self.catch = Some(cell);
        Ok(Some(match outcome {
            Outcome::Ok | Outcome::Refused => Action::Settle,
            Outcome::Illegal => Action::Illegal,
            Outcome::Fault => Action::Fault,
            Outcome::Exit | Outcome::ExitFailure => Action::Exit,
            Outcome::Error => Action::Error,
        }))
    }

    /// Deliveries that can end next: vats end theirs in order.
    fn first_flights(&self) -> impl Iterator<Item = &Flight> {
        self.in_flight.iter().enumerate().filter_map(|(place, flight)| {
            let vat = flight.dispatch.vat;
            let before = &self.in_flight[..place];
            before.iter().all(|other| other.dispatch.vat != vat).then_some(flight)
        })
    }

    /// Something else of a tier that happens to be here: what this run has met least of it.
    fn other_prey(&self, tier: usize, rng: &mut Rng) -> Option<(CrankId, Cell)> {
        let wanted = &Coverage::rare()[tier];
        let mut fewest = u64::MAX;
        let mut found = Vec::new();
        for flight in self.first_flights() {
            let here = |cell: &&Cell| {
                let (kind, state, _) = cell.0;
                flight.kind == kind && flight.states.contains(&state)
            };
            for &cell in wanted.iter().filter(here) {
                let met = self.coverage.count(cell);
                if met < fewest {
                    fewest = met;
                    found.clear();
                }
                if met == fewest {
                    found.push((flight.dispatch.crank, cell));
                }
            }
        }
        rng.pick(&found)
    }

    /// Cranks fail until a vat is suspended; that one is restarted.
    fn suspend_and_lift(&mut self, action: Action) -> Outcomes<Option<Action>> {
        let suspended = self
            .watch
            .vats()
            .map(|vat| vat.id)
            .find(|&id| self.state_of_vat(id) == State::Suspended);
        match suspended {
            Some(vat) => {
                self.restart_this(vat)?;
                Ok(None)
            }
            None if self.in_flight.is_empty() => Ok(Some(action)),
            None => Ok(Some(Action::Fault)),
        }
    }

    /// A unit for a channel where it meets what is wanted, if there is one.
    fn unit_for(&mut self, state: State) -> Outcomes<bool> {
        let found = self.channels.iter().find(|&channel| {
            let takes = !self.lobbies.contains_key(channel) && !self.ended.contains(channel);
            takes && self.state_of_channel(channel) == state
        });
        let Some(channel) = found.cloned() else { return Ok(false) };
        let unit = self.unit();
        self.event(&channel, unit)?;
        Ok(true)
    }

    /// A client for a channel where it meets what is wanted, if there is one.
    fn client_for(&mut self, state: State) -> Outcomes<bool> {
        let found = self.lobbies.iter().find(|(channel, waiting)| {
            let room = self.reported.contains(channel) && waiting.len() < limits::WAITING_MAX;
            room && self.state_of_channel(channel) == state
        });
        let Some(channel) = found.map(|(channel, _)| channel.clone()) else { return Ok(false) };
        self.arrive(&channel)?;
        Ok(true)
    }

    /// Something was done: if it is the prey, the disk and the machine do their part next.
    pub(crate) fn spotted(&mut self, deed: crate::coverage::Deed) {
        let prey = self.prey.map(|prey| prey.cell);
        if let Some((_, moment)) =
            [self.catch, prey].into_iter().flatten().find(|cell| cell.0 == deed)
        {
            self.strike = Some(moment);
            if prey.is_some_and(|(wanted, _)| wanted == deed) {
                self.prey = None;
            }
        }
    }

    /// What is closed becomes durable and is released; what is open becomes durable.
    fn commit_next(&mut self) -> Outcomes {
        while !self.pending.is_empty() {
            self.persist()?;
            self.report()?;
        }
        self.seal();
        self.persist()
    }

    /// The crash that was waited for.
    pub(crate) fn strike(&mut self) -> Outcomes {
        self.catch = None;
        let Some(moment) = self.strike.take() else { return Ok(()) };
        self.wanted = None;
        if matches!(moment, Moment::AfterCommit | Moment::AfterRelease) {
            self.commit_next()?;
        }
        if moment == Moment::AfterRelease {
            self.report()?;
        }
        self.crash()
    }
}
