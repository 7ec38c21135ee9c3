//! Services, channels, and what the kernel releases to all of them.

use std::collections::BTreeSet;

use ocap_core::api::{Answer, CallId, ChannelEvent, ChannelId, Effect};
use ocap_types::{KCapData, KRef, SubclusterId, smallcaps};

use crate::coverage::{Kind, Outcome, State};
use crate::limits;
use crate::model::{Model, tag_in, units_in};
use crate::rng::Rng;
use crate::state::state_of_value;
use crate::world::{Errand, Outcomes, World, wrong};

impl World {
    /// One effect leaves the kernel; `model` is what is true of the batch that holds it.
    pub(crate) fn effect(&mut self, effect: Effect, model: &Model) -> Outcomes {
        self.effect_hash(&effect);
        if let Effect::ServiceCall { call, caller: Some(vat), .. } | Effect::Ask { call, vat, .. } =
            &effect
        {
            self.callers.insert(*call, *vat);
        }
        self.note(|| format!("    {effect:?}"));
        match effect {
            Effect::Answer { ticket, answer } => {
                let Some(errand) = self.tickets.remove(&ticket) else {
                    return wrong(format!("an answer for nobody: {ticket:?} {answer:?}"));
                };
                self.answer(errand, answer, model)?;
            }
            Effect::ServiceCall { call, .. }
            | Effect::WriteChannel { call, .. }
            | Effect::Ask { call, .. } => {
                if self.calls.contains(&call) || self.calls_done.contains(&call) {
                    return wrong(format!("{call:?} is made twice"));
                }
                self.calls.push(call);
            }
            Effect::OpenChannel { channel, config } => {
                if config.has_many_clients() {
                    self.lobbies.insert(channel.clone(), BTreeSet::new());
                }
                self.channels.insert(channel);
            }
            Effect::AcceptConnection { channel, arrival } => self.accept(&channel, arrival)?,
            Effect::CloseChannel { channel } => {
                if !self.channels.remove(&channel) && !self.gone.remove(&channel) {
                    return wrong(format!("{channel} is closed but was not open"));
                }
                self.reported.remove(&channel);
                self.lobbies.remove(&channel);
                self.ended.remove(&channel);
            }
            // What is done all the same changes nothing.
            Effect::ChannelConsumed { .. } | Effect::Withdraw { .. } => {}
        }
        Ok(())
    }

    fn answer(&mut self, errand: Errand, answer: Answer, model: &Model) -> Outcomes {
        match (errand, answer) {
            (Errand::Launch, Answer::Launched { root, bootstrap, .. }) => {
                self.learn(root);
                bootstrap.slots.into_iter().for_each(|slot| self.learn(slot));
            }
            // Of a message only a reset says this.
            (Errand::Launch | Errand::Restart | Errand::Send, Answer::Failed { .. })
            | (Errand::Restart, Answer::Restarted) => {}
            (Errand::Join, answer) => match answer {
                Answer::Launched { bootstrap: data, .. } | Answer::Settled { data, .. } => {
                    data.slots.into_iter().for_each(|slot| self.learn(slot));
                }
                Answer::Failed { .. } => {}
                other @ Answer::Restarted => {
                    return wrong(format!("a request that happens once: {other:?}"));
                }
            },
            (Errand::Send, Answer::Settled { data, .. }) => {
                if let Some(tag) = tag_in(&data.body, "done t")
                    && !model.done.contains(&tag)
                {
                    return wrong(format!("t{tag} is answered but its crank is not durable"));
                }
                for unit in units_in(&data.body) {
                    if !self.host_units.insert(unit) {
                        return wrong(format!("unit{unit} was read twice"));
                    }
                }
                self.hear_url(&data.body);
                data.slots.into_iter().for_each(|slot| self.learn(slot));
            }
            (errand, answer) => return wrong(format!("{errand:?} was answered {answer:?}")),
        }
        Ok(())
    }

    /// Time passes: every timer that is due fires, goes, or is put off, and URLs expire.
    pub(crate) fn pass_time(&mut self, ms: u64) -> Outcomes {
        self.wall_ms += ms;
        self.core.set_time(self.wall_ms);
        while self.core.first_due().is_some_and(|due| due <= self.wall_ms) {
            self.core.ring()?;
            self.obey()?;
        }
        for kind in ["timer.", "urlexp."] {
            let first = self.watch.rows(kind).next();
            let at = first.and_then(|(key, _)| key.split('.').nth(1)?.parse::<u64>().ok());
            let Some(at) = at else { continue };
            if at <= self.wall_ms {
                return wrong(format!("{kind}{at} is due and stands"));
            }
            if self.core.first_due().is_none_or(|due| due > at) {
                return wrong(format!("nobody looks at {kind}{at} in time"));
            }
        }
        self.check_urls()
    }

    pub(crate) fn channel(&mut self, rng: &mut Rng) -> Outcomes {
        let open: Vec<ChannelId> = self.channels.iter().cloned().collect();
        let gone = ChannelId::new(SubclusterId(999), "gone");
        let channel = if rng.one_in(30) { gone } else { rng.pick(&open).unwrap_or(gone) };
        if channel.subcluster == SubclusterId(999) && rng.one_in(2) {
            let arrival = self.next_arrival;
            self.next_arrival += 1;
            return self.event(&channel, ChannelEvent::Arrived(arrival));
        }
        if channel.connection.is_some() {
            return self.connection(&channel, rng);
        }
        if let Some(waiting) = self.lobbies.get(&channel)
            && self.reported.contains(&channel)
            && waiting.len() < limits::WAITING_MAX
            && !rng.one_in(6)
        {
            return self.arrive(&channel);
        }
        let first = !self.reported.contains(&channel) || self.lobbies.contains_key(&channel);
        let event = match rng.below(if first { 4 } else { 14 }) {
            0 if !first || rng.one_in(3) => {
                let reason = "of a test".to_owned();
                ChannelEvent::Unavailable { reason, retry_ms: None }
            }
            0 | 1 => ChannelEvent::Listening,
            2 => ChannelEvent::Connected,
            3 => ChannelEvent::Connecting { reason: None, retry_ms: 250 },
            4 => ChannelEvent::End,
            5 => ChannelEvent::Bad("of a test".to_owned()),
            _ => self.unit(),
        };
        self.event(&channel, event)
    }

    /// A client comes to a channel with many.
    pub(crate) fn arrive(&mut self, channel: &ChannelId) -> Outcomes {
        let arrival = self.next_arrival;
        self.next_arrival += 1;
        if let Some(waiting) = self.lobbies.get_mut(channel) {
            waiting.insert(arrival);
        }
        self.event(channel, ChannelEvent::Arrived(arrival))
    }

    /// A client that waited is accepted; some have left without a word.
    fn accept(&mut self, channel: &ChannelId, arrival: u64) -> Outcomes {
        let listening = ChannelId { connection: None, ..channel.clone() };
        let waiting = self.lobbies.get_mut(&listening);
        if !waiting.is_some_and(|waiting| waiting.remove(&arrival))
            || !self.accepted_clients.insert(arrival)
        {
            return wrong(format!("{channel} accepts client {arrival}, who does not wait"));
        }
        if arrival.is_multiple_of(limits::CLIENT_LEAVES_ONE_IN) {
            self.gone.insert(channel.clone());
            return self.event(channel, ChannelEvent::Gone);
        }
        self.reported.insert(channel.clone());
        if !self.channels.insert(channel.clone()) {
            return wrong(format!("{channel} is there twice"));
        }
        Ok(())
    }

    /// Something happens to a connection.
    fn connection(&mut self, channel: &ChannelId, rng: &mut Rng) -> Outcomes {
        let event = match rng.below(8) {
            0 => ChannelEvent::Gone,
            _ if self.ended.contains(channel) => ChannelEvent::Gone,
            1 => ChannelEvent::End,
            2 => ChannelEvent::Bad("of a test".to_owned()),
            _ => self.unit(),
        };
        match event {
            ChannelEvent::End => {
                self.ended.insert(channel.clone());
            }
            ChannelEvent::Gone => {
                self.channels.remove(channel);
                self.gone.insert(channel.clone());
            }
            _ => {}
        }
        self.event(channel, event)
    }

    /// A unit like no other.
    pub(crate) fn unit(&mut self) -> ChannelEvent {
        self.next_unit += 1;
        ChannelEvent::Unit(format!("unit{}", self.next_unit))
    }

    /// What a unit of a channel would meet.
    pub(crate) fn state_of_channel(&self, channel: &ChannelId) -> State {
        let kref = match channel.connection.map(KRef::Object) {
            Some(kref) => self.watch.row(&format!("svck.{kref}")).map(|_| kref.to_string()),
            None => self.watch.row(&format!("svc.{channel}")).map(str::to_owned),
        };
        let Some(kref) = kref else { return State::Deleted };
        let read = self.watch.rows(&format!("read.{kref}.")).next().is_some();
        if read { State::Unresolved } else { State::Live }
    }

    pub(crate) fn event(&mut self, channel: &ChannelId, event: ChannelEvent) -> Outcomes {
        self.note(|| format!("    {channel}: {event:?}"));
        if self.channels.contains(channel) {
            self.reported.insert(channel.clone());
        }
        let state = match self.state_of_channel(channel) {
            State::Unresolved
                if !matches!(event, ChannelEvent::Unit(_) | ChannelEvent::Arrived(_)) =>
            {
                State::Live
            }
            state => state,
        };
        let kind = match event {
            ChannelEvent::Arrived(_) | ChannelEvent::Gone => Kind::Client,
            _ => Kind::Io,
        };
        let outcome = if state == State::Deleted { Outcome::Refused } else { Outcome::Ok };
        self.core.channel_event(channel, event)?;
        self.did(kind, state, outcome);
        self.obey()
    }

    pub(crate) fn service_done(&mut self, rng: &mut Rng) -> Outcomes {
        if self.calls.is_empty() {
            return Ok(());
        }
        let call = self.calls[rng.below(self.calls.len())];
        let result = match rng.below(4) {
            0 => Err("no".to_owned()),
            1 => Ok(smallcaps::undefined()),
            _ => Ok(self.host_value(rng)),
        };
        self.answer_call(call, result)
    }

    /// A service answers a call that is open.
    pub(crate) fn answer_call(
        &mut self,
        call: CallId,
        result: Result<KCapData, String>,
    ) -> Outcomes {
        self.calls.retain(|other| *other != call);
        self.calls_done.push(call);
        self.note(|| format!("    {call:?}: {result:?}"));
        let (state, outcome) = match (self.state_of_caller(call), &result) {
            (Some(state), _) => (state, Outcome::Refused),
            (None, Ok(data)) => (state_of_value(false, data), Outcome::Ok),
            (None, Err(_)) => (State::Rejected, Outcome::Ok),
        };
        self.core.service_done(call, result)?;
        self.did(Kind::Service, state, outcome);
        self.obey()
    }

    /// What has become of whoever made a call; `None` if the call still waits.
    fn state_of_caller(&self, call: CallId) -> Option<State> {
        if self.watch.row(&format!("call.{:016}", call.0)).is_some() {
            return None;
        }
        Some(match self.callers.get(&call).map(|&vat| self.state_of_vat(vat)) {
            None => State::Live,
            Some(State::Terminated) => State::Terminated,
            Some(_) => State::Restarted,
        })
    }

    pub(crate) fn service_again(&mut self, rng: &mut Rng) -> Outcomes {
        let call = rng.pick(&self.calls_done).unwrap_or(CallId(u64::MAX));
        let before = self.core.has_unsealed();
        self.core.service_done(call, Ok(smallcaps::undefined()))?;
        if !before && self.core.has_unsealed() {
            return wrong(format!("{call:?} was answered twice, and something came of it"));
        }
        self.did(Kind::Service, State::Live, Outcome::Refused);
        self.obey()
    }
}
