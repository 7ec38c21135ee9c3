//! What the host asks of the kernel.

use std::sync::Arc;

use indexmap::IndexMap;
use ocap_core::api::{CodeHash, CoreError, Launch, Ticket, VatCondition};
use ocap_types::config::{ClusterConfig, IoConfig, IoKind, VatConfig};
use ocap_types::smallcaps::single_reference;
use ocap_types::{CapData, KCapData, KRef, VatId};

use crate::coverage::{Kind, Outcome};
use crate::limits;
use crate::model::{Sender, Sent, Target};
use crate::program::listed;
use crate::rng::Rng;
use crate::world::{Errand, Outcomes, World, wrong};

fn vat_config() -> VatConfig {
    VatConfig { bundle_spec: Some("x".to_owned()), ..VatConfig::default() }
}

fn channel_config() -> IoConfig {
    IoConfig { kind: IoKind::Socket { path: "s".to_owned() }, direction: None, unit: None }
}

impl World {
    pub(crate) fn ticket(&mut self, errand: Errand) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.tickets.insert(ticket, errand);
        ticket
    }

    /// A request the kernel may refuse; then its ticket is unused.
    fn asked(&mut self, ticket: Option<Ticket>, result: Result<(), CoreError>) -> Outcomes<bool> {
        let done = match result {
            Ok(()) => true,
            Err(
                CoreError::Invalid(_)
                | CoreError::Limit(_)
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
        self.did(Kind::Host, if done { Outcome::Ok } else { Outcome::Refused });
        self.note(|| format!("    {}", if done { "done" } else { "refused" }));
        self.obey()?;
        Ok(done)
    }

    pub(crate) fn launch(&mut self, rng: &mut Rng) -> Outcomes {
        if self.subclusters().len() >= limits::SUBCLUSTERS_MAX {
            return Ok(());
        }
        let names: Vec<String> = ["alice", "bob", "carol"][..=rng.below(3)]
            .iter()
            .map(|&name| name.to_owned())
            .collect();
        let vats: IndexMap<String, VatConfig> =
            names.iter().map(|name| (name.clone(), vat_config())).collect();
        let mut services = vec!["ocapURLIssuerService".to_owned()];
        let io = rng.one_in(2).then(|| {
            services.push("repl".to_owned());
            IndexMap::from([("repl".to_owned(), channel_config())])
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
        let name = rng.one_in(3).then(|| format!("name{}", rng.below(2)));
        let launch = Launch { config, name, code, system: rng.one_in(2) };
        let ticket = self.ticket(Errand::Launch);
        self.note(|| format!("    launch {names:?} for {ticket:?}"));
        let result = self.core.launch(ticket, launch).map(|_| ());
        self.asked(Some(ticket), result)?;
        Ok(())
    }

    /// What a reference is at present, as far as the host can tell.
    fn state_of(&self, kref: KRef) -> (&'static str, Option<VatId>) {
        let KRef::Object(_) = kref else { return (self.promise_state(kref), None) };
        let Some(row) = self.watch.row(&format!("o.{kref}")) else { return ("object, gone", None) };
        if row.ends_with(" revoked") {
            return ("revoked", None);
        }
        if let Some(vat) = self.watch.vat_of_root(kref) {
            let state = match vat.condition {
                VatCondition::Starting => "root, starting",
                VatCondition::Running if vat.incarnation.0 > 1 => "root, restarted",
                VatCondition::Running => "root, live",
                VatCondition::Failed { .. } => "root, failed",
                VatCondition::Suspended { .. } => "root, suspended",
            };
            return (state, Some(vat.id));
        }
        let state = match row.split(' ').next() {
            Some("kernel") => "service",
            Some("-") => "object, gone",
            _ => "object, live",
        };
        (state, None)
    }

    fn promise_state(&self, kref: KRef) -> &'static str {
        let Some(row) = self.watch.row(&format!("p.{kref}")) else { return "promise, gone" };
        let Some(value) = self.watch.row(&format!("pv.{kref}")) else {
            return "promise, unresolved";
        };
        if row.starts_with('r') {
            return "promise, rejected";
        }
        // Only what it consists of matters; slots are written as texts.
        let lone = value.contains("\"#\\\"&0\\\"\"") || value.contains("\"#\\\"$0\\\"\"");
        match (lone, value.contains("\"kp")) {
            (true, true) => "promise, became a promise",
            (true, false) => "promise, became an object",
            (false, _) => "promise, became data",
        }
    }

    pub(crate) fn send(&mut self, rng: &mut Rng) -> Outcomes {
        let roots: Vec<KRef> =
            self.model.vats.keys().filter_map(|&vat| self.core.root(vat).ok()).collect();
        let target = if rng.one_in(2) { rng.pick(&roots) } else { self.pick_known(rng) };
        let Some(target) = target else { return Ok(()) };
        let mut slots: Vec<KRef> = Vec::new();
        for _ in 0..rng.below(4) {
            let slot = if rng.one_in(3) { rng.pick(&roots) } else { self.pick_known(rng) };
            if let Some(slot) = slot
                && !slots.contains(&slot)
            {
                slots.push(slot);
            }
        }
        let tag = self.next_tag;
        self.next_tag += 1;
        let method = rng.pick(&["m", "read", "write", "ready"]).unwrap_or("m");
        let items = listed(&slots);
        let methargs = CapData { body: format!("#[\"{method}\",[\"t{tag}\"{items}]]"), slots };
        let (state, vat) = self.state_of(target);
        let ticket = self.ticket(Errand::Send(state.to_owned()));
        self.note(|| format!("    {target} <- {methargs:?} for {ticket:?}"));
        let result = self.core.send(ticket, target, methargs);
        if self.asked(Some(ticket), result)? {
            let bound_for = vat.filter(|vat| !self.model.refusing.contains(vat));
            let target =
                if target.is_promise() { Target::KernelPromise(target) } else { Target::Object };
            self.model.waiting.insert(tag, Sent { sender: Sender::Host, target, bound_for });
        }
        Ok(())
    }

    pub(crate) fn terminate_vat(&mut self, rng: &mut Rng) -> Outcomes {
        let vat = if rng.one_in(8) { Some(VatId(999)) } else { self.pick_vat(rng) };
        let Some(vat) = vat else { return Ok(()) };
        self.note(|| format!("    {vat}"));
        let result = self.core.terminate_vat(vat);
        self.asked(None, result)?;
        Ok(())
    }

    pub(crate) fn terminate_subcluster(&mut self, rng: &mut Rng) -> Outcomes {
        let Some(id) = rng.pick(&self.subclusters()) else { return Ok(()) };
        self.note(|| format!("    {id}"));
        let result = self.core.terminate_subcluster(id);
        self.asked(None, result)?;
        Ok(())
    }

    pub(crate) fn terminate_all(&mut self) -> Outcomes {
        let result = self.core.terminate_all();
        self.asked(None, result)?;
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
        self.known = [1, 2, 3].map(KRef::Object).into();
        self.asked(None, result)?;
        self.check()
    }

    /// Vats are asked to bring out their dead: all of them, or some of those that are quiet.
    pub(crate) fn collect(&mut self, quiet: bool) -> Outcomes {
        let result = if quiet { self.core.reap_at_rest() } else { self.core.reap_all() };
        self.asked(None, result)?;
        Ok(())
    }

    pub(crate) fn hold(&mut self, rng: &mut Rng) -> Outcomes {
        let Some(kref) = self.pick_known(rng) else { return Ok(()) };
        self.note(|| format!("    {kref}"));
        let result = self.core.hold_host_ref(kref);
        if self.asked(None, result)? && !self.core.host_refs()?.contains(&kref) {
            return wrong(format!("{kref} is not held by the host"));
        }
        Ok(())
    }

    pub(crate) fn restart(&mut self, rng: &mut Rng) -> Outcomes {
        let Some(vat) = self.pick_vat(rng) else { return Ok(()) };
        let ticket = self.ticket(Errand::Restart);
        self.note(|| format!("    {vat} for {ticket:?}"));
        let result = self.core.restart_vat(ticket, vat);
        self.asked(Some(ticket), result)?;
        Ok(())
    }

    pub(crate) fn revoke(&mut self, rng: &mut Rng) -> Outcomes {
        let Some(kref) = self.pick_known(rng) else { return Ok(()) };
        // Without its services a world is dull.
        if matches!(kref, KRef::Object(1..=3)) {
            return Ok(());
        }
        self.note(|| format!("    {kref}"));
        let (_, vat) = self.state_of(kref);
        let result = self.core.revoke(kref);
        if self.asked(None, result)? {
            self.model.refusing.extend(vat);
        }
        Ok(())
    }

    pub(crate) fn release(&mut self, rng: &mut Rng) -> Outcomes {
        let held = self.core.host_refs()?;
        let kref = if rng.one_in(6) { self.pick_known(rng) } else { rng.pick(&held) };
        let Some(kref) = kref else { return Ok(()) };
        self.note(|| format!("    {kref}"));
        let result = self.core.release_host_ref(kref);
        let result = match result {
            Ok(was) if was != held.contains(&kref) => {
                return wrong(format!("release of {kref} says {was}"));
            }
            other => other.map(|_| ()),
        };
        self.asked(None, result)?;
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

    /// What became of a message, for the table.
    pub(crate) fn end_of(rejected: bool, data: &KCapData) -> String {
        if !rejected {
            return match single_reference(data) {
                Some(KRef::Promise(_)) => "a promise",
                Some(KRef::Object(_)) => "an object",
                None => "data",
            }
            .to_owned();
        }
        match data.body.split_once("[KERNEL:") {
            Some((_, rest)) => rest.split(']').next().unwrap_or_default().to_owned(),
            None => "rejected by the vat".to_owned(),
        }
    }
}
