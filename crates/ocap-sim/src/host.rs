//! What the host asks of the kernel.

use std::sync::Arc;

use indexmap::IndexMap;
use ocap_core::api::{CodeHash, CoreError, Launch, Once, Ticket};
use ocap_types::config::{ClusterConfig, IoClients, IoConfig, IoKind, VatConfig};
use ocap_types::{CapData, KCapData, KRef, VatId};

use crate::coverage::{Kind, Outcome, State};
use crate::disk::Disk;
use crate::limits;
use crate::model::{Sender, Sent, Target};
use crate::program::{METHODS, message};
use crate::rng::Rng;
use crate::world::{Errand, Outcomes, SERVICES, World, wrong};

fn vat_config() -> VatConfig {
    VatConfig { bundle_spec: Some("x".to_owned()), ..VatConfig::default() }
}

fn channel_config() -> IoConfig {
    IoConfig::new(IoKind::Socket { path: "s".to_owned() })
}

/// A subcluster as hosts launch them, without a name.
fn made_up(rng: &mut Rng) -> Launch {
    let names: Vec<String> =
        ["alice", "bob", "carol"][..=rng.below(3)].iter().map(|&name| name.to_owned()).collect();
    let vats: IndexMap<String, VatConfig> =
        names.iter().map(|name| (name.clone(), vat_config())).collect();
    let mut services = vec!["bank".to_owned()];
    if !rng.one_in(3) {
        services.extend(["ocapURLIssuerService", "ocapURLRedemptionService"].map(str::to_owned));
    }
    if rng.one_in(2) {
        services.push("timer".to_owned());
    }
    let io = rng.one_in(2).then(|| {
        services.push("repl".to_owned());
        let mut io = IndexMap::from([("repl".to_owned(), channel_config())]);
        if rng.one_in(2) {
            let chat = IoConfig { clients: Some(IoClients::Many), ..channel_config() };
            io.insert("chat".to_owned(), chat);
        }
        io
    });
    if rng.one_in(6) {
        // Only system subclusters may have it.
        services.push("kernelFacet".to_owned());
    }
    let bootstrap = if rng.one_in(12) { "nobody".to_owned() } else { names[0].clone() };
    let config = ClusterConfig {
        name: None,
        bootstrap,
        force_reset: None,
        services: Some(services),
        io,
        vats,
        bundles: None,
    };
    let code = names
        .iter()
        .map(|name| (name.clone(), (CodeHash(format!("c0de{name}")), Arc::from("code"))))
        .collect();
    Launch { config, name: None, code, system: false }
}

/// One in four requests is to happen once.
fn once(ticket: Ticket, what: &str) -> Option<Once> {
    let key = || Once { key: format!("r{}", ticket.0), digest: what.to_owned() };
    ticket.0.is_multiple_of(4).then(key)
}

impl World {
    pub(crate) fn ticket(&mut self, errand: Errand) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.tickets.insert(ticket, errand);
        ticket
    }

    /// A request about something, which the kernel may refuse; then its ticket is unused.
    pub(crate) fn asked(
        &mut self,
        state: State,
        ticket: Option<Ticket>,
        result: Result<(), CoreError>,
    ) -> Outcomes<bool> {
        let done = match result {
            Ok(()) => true,
            Err(
                CoreError::Invalid(_)
                | CoreError::Limit(_)
                | CoreError::NotRemembered
                | CoreError::VatNotFound(_)
                | CoreError::SubclusterNotFound(_),
            ) => {
                if let Some(ticket) = ticket {
                    self.tickets.remove(&ticket);
                }
                false
            }
            Err(error) => return Err(error.into()),
        };
        self.did(Kind::Host, state, if done { Outcome::Ok } else { Outcome::Refused });
        self.note(|| format!("    {}", if done { "done" } else { "refused" }));
        self.obey()?;
        Ok(done)
    }

    pub(crate) fn launch(&mut self, rng: &mut Rng) -> Outcomes {
        if self.subclusters().len() >= limits::SUBCLUSTERS_MAX {
            return Ok(());
        }
        let mut launch = made_up(rng);
        launch.name = rng.one_in(3).then(|| format!("name{}", rng.below(2)));
        launch.system = rng.one_in(2);
        self.launch_this(launch)
    }

    /// The host has declared another system subcluster.
    pub(crate) fn launch_system(&mut self, name: String, rng: &mut Rng) -> Outcomes {
        self.launch_this(Launch { name: Some(name), system: true, ..made_up(rng) })
    }

    fn launch_this(&mut self, launch: Launch) -> Outcomes {
        let ticket = self.ticket(Errand::Launch);
        self.note(|| format!("    launch {:?} for {ticket:?}", launch.config.vats.keys()));
        let once = once(ticket, "launch");
        let result = match &once {
            Some(once) => self.core.launch_once(ticket, launch, once),
            None => self.core.launch(ticket, launch).map(|_| ()),
        };
        if self.asked(State::Live, Some(ticket), result)? {
            self.onces.extend(once);
        }
        Ok(())
    }

    /// The host asks again for what was to happen once, or for something else under its key.
    fn join(&mut self, mut once: Once, rng: &mut Rng) -> Outcomes {
        if rng.one_in(6) {
            once.digest.push('x');
        }
        let ticket = self.ticket(Errand::Join);
        self.note(|| format!("    {once:?} again for {ticket:?}"));
        let result = self.core.join(ticket, &once);
        self.asked(State::Live, Some(ticket), result)?;
        Ok(())
    }

    pub(crate) fn send(&mut self, rng: &mut Rng) -> Outcomes {
        if rng.one_in(8)
            && let Some(once) = rng.pick(&self.onces)
        {
            return self.join(once, rng);
        }
        let mut roots: Vec<KRef> = Vec::new();
        for &vat in self.model.vats.keys() {
            match self.core.root(vat) {
                Ok(root) => roots.push(root),
                Err(error) if Disk::explains(&error.to_string()) => {
                    return wrong(error.to_string());
                }
                // It is on its way out.
                Err(_) => {}
            }
        }
        let target = if rng.one_in(2) { rng.pick(&roots) } else { self.pick_known(rng) };
        match target {
            Some(target) => {
                let method = rng.pick(METHODS).unwrap_or("m");
                self.send_to(target, method, rng)
            }
            None => Ok(()),
        }
    }

    pub(crate) fn send_to(&mut self, target: KRef, method: &str, rng: &mut Rng) -> Outcomes {
        let roots: Vec<KRef> = self.watch.vats().map(|vat| vat.root).collect();
        let mut slots: Vec<KRef> = Vec::new();
        for _ in 0..rng.below(4) {
            let slot = if rng.one_in(3) { rng.pick(&roots) } else { self.pick_known(rng) };
            if let Some(slot) = slot
                && !slots.contains(&slot)
            {
                slots.push(slot);
            }
        }
        self.send_with(target, method, slots)
    }

    /// Sends a message with these references.
    pub(crate) fn send_with(&mut self, target: KRef, method: &str, slots: Vec<KRef>) -> Outcomes {
        let tag = self.next_tag;
        self.next_tag += 1;
        let methargs = CapData { body: message(method, tag, &slots, self.heard.back()), slots };
        let (state, vat) = self.state_of(target);
        let ticket = self.ticket(Errand::Send);
        self.note(|| format!("    {target} <- {methargs:?} for {ticket:?}"));
        let once = once(ticket, &methargs.body);
        let result = match &once {
            Some(once) => self.core.send_once(ticket, target, methargs, once),
            None => self.core.send(ticket, target, methargs),
        };
        if self.asked(state, Some(ticket), result)? {
            self.onces.extend(once);
            self.answered_by_kernel(state);
            let bound_for = vat.filter(|vat| !self.model.refusing.contains(vat));
            let target =
                if target.is_promise() { Target::KernelPromise(target) } else { Target::Object };
            self.model.waiting.insert(tag, Sent { sender: Sender::Host, target, bound_for, state });
        }
        Ok(())
    }

    pub(crate) fn terminate_vat(&mut self, rng: &mut Rng) -> Outcomes {
        let vat = if rng.one_in(8) { Some(VatId(999)) } else { self.pick_vat(rng) };
        match vat {
            Some(vat) => self.terminate_this(vat),
            None => Ok(()),
        }
    }

    pub(crate) fn terminate_this(&mut self, vat: VatId) -> Outcomes {
        let state = self.state_of_vat(vat);
        self.note(|| format!("    {vat}"));
        let result = self.core.terminate_vat(vat);
        self.asked(state, None, result)?;
        Ok(())
    }

    pub(crate) fn terminate_subcluster(&mut self, rng: &mut Rng) -> Outcomes {
        let Some(id) = rng.pick(&self.subclusters()) else { return Ok(()) };
        self.note(|| format!("    {id}"));
        let result = self.core.terminate_subcluster(id);
        self.asked(State::Live, None, result)?;
        Ok(())
    }

    pub(crate) fn terminate_all(&mut self) -> Outcomes {
        let result = self.core.terminate_all();
        self.asked(State::Live, None, result)?;
        match self.watch.vats().next() {
            Some(vat) => wrong(format!("{} outlives everything", vat.id)),
            None => Ok(()),
        }
    }

    /// After a reset nothing of before is true any more, and numbers begin anew.
    pub(crate) fn reset(&mut self) -> Outcomes {
        let result = self.core.reset();
        // What was done stays done: answers that tell of it may still be on their way.
        let before = std::mem::take(&mut self.model);
        self.model.done = before.done;
        self.known = SERVICES.into();
        self.asked(State::Live, None, result)?;
        // Names of channels begin anew too. Hosts hear of a reset when it is durable, and by then
        // nobody speaks of clients of those of before.
        if !self.lobbies.is_empty() {
            self.commit_all()?;
        }
        self.check()
    }

    /// Vats are asked to bring out their dead: all of them, or some of those that are quiet.
    pub(crate) fn collect(&mut self, quiet: bool) -> Outcomes {
        let result = if quiet { self.core.reap_at_rest() } else { self.core.reap_all() };
        self.asked(State::Live, None, result)?;
        Ok(())
    }

    pub(crate) fn hold(&mut self, rng: &mut Rng) -> Outcomes {
        match self.pick_known(rng) {
            Some(kref) => self.hold_this(kref),
            None => Ok(()),
        }
    }

    pub(crate) fn hold_this(&mut self, kref: KRef) -> Outcomes {
        self.note(|| format!("    {kref}"));
        let (state, _) = self.state_of(kref);
        let result = self.core.hold_host_ref(kref);
        if self.asked(state, None, result)? && !self.core.host_refs()?.contains(&kref) {
            return wrong(format!("{kref} is not held by the host"));
        }
        Ok(())
    }

    pub(crate) fn restart(&mut self, rng: &mut Rng) -> Outcomes {
        match self.pick_vat(rng) {
            Some(vat) if rng.one_in(3) => self.replace_code(vat, rng.below(3)),
            Some(vat) => self.restart_this(vat),
            None => Ok(()),
        }
    }

    /// Other code, which means nothing to vats that the script plays; but that it starts, or not,
    /// decides what is stored.
    fn replace_code(&mut self, vat: VatId, version: usize) -> Outcomes {
        let state = self.state_of_vat(vat);
        let ticket = self.ticket(Errand::Restart);
        self.note(|| format!("    {vat} version {version} for {ticket:?}"));
        let code = (CodeHash(format!("c0de{version}")), Arc::from("other code"));
        let result = self.core.replace_code(ticket, vat, code);
        self.asked(state, Some(ticket), result)?;
        Ok(())
    }

    pub(crate) fn restart_this(&mut self, vat: VatId) -> Outcomes {
        let state = self.state_of_vat(vat);
        let ticket = self.ticket(Errand::Restart);
        self.note(|| format!("    {vat} for {ticket:?}"));
        let result = self.core.restart_vat(ticket, vat);
        self.asked(state, Some(ticket), result)?;
        Ok(())
    }

    pub(crate) fn revoke(&mut self, rng: &mut Rng) -> Outcomes {
        let Some(kref) = self.pick_known(rng) else { return Ok(()) };
        // Without its services a world is dull.
        if SERVICES.contains(&kref) {
            return Ok(());
        }
        self.revoke_this(kref)
    }

    pub(crate) fn revoke_this(&mut self, kref: KRef) -> Outcomes {
        self.note(|| format!("    {kref}"));
        let (state, vat) = self.state_of(kref);
        let result = self.core.revoke(kref);
        if self.asked(state, None, result)? {
            self.model.refusing.extend(vat);
        }
        Ok(())
    }

    pub(crate) fn release(&mut self, rng: &mut Rng) -> Outcomes {
        let held = self.core.host_refs()?;
        let kref = if rng.one_in(6) { self.pick_known(rng) } else { rng.pick(&held) };
        let Some(kref) = kref else { return Ok(()) };
        self.note(|| format!("    {kref}"));
        let (state, _) = self.state_of(kref);
        let result = self.core.release_host_ref(kref);
        let result = match result {
            Ok(was) if was != held.contains(&kref) => {
                return wrong(format!("release of {kref} says {was}"));
            }
            other => other.map(|_| ()),
        };
        self.asked(state, None, result)?;
        Ok(())
    }

    /// A value for an answer of a service.
    pub(crate) fn host_value(&self, rng: &mut Rng) -> KCapData {
        let slots: Vec<KRef> = self.pick_known(rng).into_iter().collect();
        let sign = if slots.first().is_some_and(|slot| slot.is_promise()) { '&' } else { '$' };
        match rng.below(3) {
            0 => CapData::without_slots("#\"served\""),
            1 => CapData { body: format!("#\"{sign}0\""), slots },
            _ => CapData { body: format!("#[\"{sign}0\"]"), slots },
        }
    }
}
