//! Batches on their way to the disk, crashes, and coming to rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ocap_core::Core;
use ocap_core::api::{ChannelEvent, ChannelId, CoreError, VatCondition};
use ocap_store::{Reader, StoreError};
use ocap_types::{SubclusterId, VRef};

use crate::coverage::{Moment, Outcome};
use crate::disk::Fate;
use crate::limits;
use crate::rng::Rng;
use crate::run::{Engine, Options};
use crate::world::{Outcomes, Pending, Violation, World, boot_options, wrong};

impl World {
    pub(crate) fn seal(&mut self) {
        if self.pending.len() >= limits::SEALED_MAX {
            return;
        }
        let Some(sealed) = self.core.seal() else { return };
        for (key, value) in &sealed.batch.writes {
            self.hash(key);
            self.hash(value.as_deref().unwrap_or("-"));
        }
        let cells = std::mem::take(&mut self.open_cells);
        let model = self.model.clone();
        self.pending.push_back(Pending { sealed, model, cells, durable: false });
    }

    /// The oldest batch that is not durable is written.
    fn write(&mut self, fate: Fate) -> Option<Result<(), StoreError>> {
        let pending = self.pending.iter_mut().find(|pending| !pending.durable)?;
        let result = self.disk.commit(&pending.sealed.batch, fate);
        if result.is_ok() || fate == Fate::Kept {
            pending.durable = true;
            self.durable = pending.model.clone();
        }
        Some(result)
    }

    pub(crate) fn persist(&mut self) -> Outcomes {
        match self.write(Fate::Good) {
            None | Some(Ok(())) => Ok(()),
            Some(Err(error)) => wrong(format!("a good commit failed: {error}")),
        }
    }

    /// The core hears of a commit, and its effects leave.
    pub(crate) fn report(&mut self) -> Outcomes {
        if !self.pending.front().is_some_and(|pending| pending.durable) {
            return Ok(());
        }
        let Some(Pending { sealed, model, cells, .. }) = self.pending.pop_front() else {
            return Ok(());
        };
        self.core.committed(sealed.batch.seq);
        for effect in sealed.effects {
            self.effect(effect, &model)?;
        }
        self.released_cells = cells;
        Ok(())
    }

    /// No room: nothing is lost, the batch is tried again.
    pub(crate) fn disk_full(&mut self) -> Outcomes {
        match self.write(Fate::Full) {
            None | Some(Err(StoreError::Full(_))) => {
                self.coverage.fault("a full disk");
                self.check()
            }
            Some(other) => wrong(format!("a full disk said {other:?}")),
        }
    }

    /// A commit fails. The kernel opens the store again, sees what is on it and goes on; or stops,
    /// and is started on what is there.
    pub(crate) fn commit_fails(&mut self, kept: bool, rng: &mut Rng) -> Outcomes {
        match self.write(if kept { Fate::Kept } else { Fate::Lost }) {
            Some(Ok(())) => return wrong("a failing commit went well"),
            Some(Err(_)) if rng.one_in(2) => {}
            Some(Err(_)) | None => return self.crash(),
        }
        let (reader, last_seq) = self.disk.reopen(None).map_err(CoreError::from)?;
        self.core.reopen(|| Outcomes::Ok(reader))?;
        let next = self.pending.iter().find(|pending| !pending.durable);
        if next.is_some_and(|pending| pending.sealed.batch.seq != last_seq + 1) {
            return wrong(format!("the store, opened again, holds batch {last_seq}"));
        }
        self.check()
    }

    pub(crate) fn crash(&mut self) -> Outcomes {
        self.die();
        let (reader, last_seq) = self.disk.reopen(None).map_err(CoreError::from)?;
        self.boot(reader, last_seq)
    }

    /// The power fails in the middle of a commit. A disk that has written part of it has, when it is
    /// opened again, all of it or nothing.
    pub(crate) fn torn(&mut self, rng: &mut Rng) -> Outcomes {
        let Some(place) = self.pending.iter().position(|pending| !pending.durable) else {
            return Ok(());
        };
        let before = self.durable.clone();
        self.persist()?;
        if !self.disk.can_tear() {
            return self.crash();
        }
        let (reader, last_seq) = self.disk.reopen(Some(rng)).map_err(CoreError::from)?;
        let seq = self.pending[place].sealed.batch.seq;
        match seq.checked_sub(last_seq) {
            Some(0) => self.coverage.fault("a torn commit, all there"),
            Some(1) => {
                self.coverage.fault("a torn commit, nothing there");
                self.pending[place].durable = false;
                self.durable = before;
            }
            _ => return wrong(format!("batch {seq} was torn, and the store holds {last_seq}")),
        }
        self.die();
        self.boot(reader, last_seq)
    }

    /// The kernel starts on what is on the disk, and the host declares its system subclusters: most
    /// often those of before.
    fn boot(&mut self, reader: Arc<dyn Reader>, last_seq: u64) -> Outcomes {
        self.boots += 1;
        self.booted(Core::open(reader, last_seq, boot_options(self.boots))?)?;
        let system: Vec<(String, SubclusterId)> = self.system_subclusters();
        let dice = self.declaring.take();
        let mut rng = Rng::new(dice.unwrap_or_default());
        let mut names: Vec<&str> = system.iter().map(|(name, _)| name.as_str()).collect();
        if dice.is_some() && !names.is_empty() && rng.one_in(2) {
            names.remove(rng.below(names.len()));
            self.coverage.fault("a system subcluster no longer declared");
        }
        self.core.retain_system_subclusters(&names)?;
        let kept: Vec<(String, SubclusterId)> =
            system.iter().filter(|(name, _)| names.contains(&name.as_str())).cloned().collect();
        self.obey()?;
        if self.system_subclusters() != kept {
            return wrong(format!("of {system:?}, {names:?} are declared; there are others"));
        }
        for (name, id) in &kept {
            self.coverage.fault("a system subcluster restored");
            if self.core.system_subcluster(name)? != Some(*id) {
                return wrong(format!("{name:?} is not {id} any more"));
            }
        }
        if dice.is_some() && kept.len() < limits::SUBCLUSTERS_MAX {
            let name = format!("declared{}", rng.below(3));
            if !kept.iter().any(|(other, _)| *other == name) {
                self.coverage.fault("a system subcluster newly declared");
                self.launch_system(name, &mut rng)?;
            }
        }
        Ok(())
    }

    /// Those there are, by name.
    fn system_subclusters(&self) -> Vec<(String, SubclusterId)> {
        let rows = self.watch.rows("sysname.");
        let named = rows.filter_map(|(key, id)| {
            Some((key.strip_prefix("sysname.")?.to_owned(), id.parse().ok()?))
        });
        named.collect()
    }

    /// What the kernel knew is gone, and so are its workers and whoever waited.
    fn die(&mut self) {
        for flight in std::mem::take(&mut self.in_flight) {
            for state in flight.states {
                self.coverage.met((flight.kind, state, Outcome::Ok), Moment::InFlight);
            }
        }
        let before = std::mem::take(&mut self.open_cells);
        let pending = std::mem::take(&mut self.pending);
        let lost = pending.iter().filter(|pending| !pending.durable);
        for deed in before.iter().chain(lost.flat_map(|pending| &pending.cells)) {
            self.coverage.met(*deed, Moment::BeforeCommit);
        }
        let kept = pending.iter().filter(|pending| pending.durable);
        for deed in kept.flat_map(|pending| &pending.cells) {
            self.coverage.met(*deed, Moment::AfterCommit);
        }
        for deed in std::mem::take(&mut self.released_cells) {
            self.coverage.met(deed, Moment::AfterRelease);
        }
        self.stale.clear();
        self.wanted = None;
        self.tickets.clear();
        self.calls.clear();
        self.calls_done.clear();
        self.callers.clear();
        self.channels.clear();
        self.reported.clear();
        self.lobbies.clear();
        self.ended.clear();
        self.gone.clear();
        self.model = self.durable.clone();
    }

    pub(crate) fn stale_write(&mut self) -> Outcomes {
        match self.disk.stale_write() {
            None | Some(Err(StoreError::Fenced { .. })) => Ok(()),
            Some(other) => wrong(format!("who had the store before wrote: {other:?}")),
        }
    }

    pub(crate) fn commit_all(&mut self) -> Outcomes {
        for _ in 0..8 {
            self.seal();
            self.persist()?;
            self.report()?;
        }
        if self.pending.is_empty() && !self.core.has_unsealed() {
            return Ok(());
        }
        wrong("committing makes something to commit, again and again")
    }

    /// Everything is delivered to vats that only answer, committed and released.
    pub(crate) fn rest(&mut self) -> Outcomes {
        let mut rng = Rng::new(0);
        for _ in 0..limits::REST_DELIVERIES_MAX {
            if !self.in_flight.is_empty() || self.dispatch()? {
                self.settle_legally(&mut rng, true)?;
                continue;
            }
            self.commit_all()?;
            let quiet: Vec<ChannelId> = self.channels.difference(&self.reported).cloned().collect();
            for channel in &quiet {
                self.event(channel, ChannelEvent::Listening)?;
            }
            if quiet.is_empty() && self.core.is_idle()? && !self.core.has_chores() {
                self.commit_all()?;
                self.check()?;
                self.compare_tables()?;
                self.compare_clients()?;
                return match self.model.lost() {
                    Some(tag) => wrong(format!("message t{tag} was lost")),
                    None => Ok(()),
                };
            }
        }
        wrong("the world does not come to rest")
    }

    /// At rest, the kernel's table of each running vat's references is what the vat knows.
    fn compare_tables(&self) -> Outcomes {
        let failed = |error: StoreError| Violation(format!("a read failed: {error}"));
        for vat in self.watch.vats() {
            let Some(view) = self.model.vats.get(&vat.id) else { continue };
            if *vat.condition != VatCondition::Running {
                continue;
            }
            let known: BTreeMap<VRef, bool> = view
                .imports
                .iter()
                .map(|(&n, &reachable)| (VRef::Import(n), reachable))
                .chain(view.exports.iter().map(|(&vref, &reachable)| (vref, reachable)))
                .chain(view.promises.keys().map(|&vref| (vref, true)))
                .collect();
            let prefix = format!("c.{}.k.", vat.id);
            let mut kept = BTreeMap::new();
            let mut after = String::new();
            while let Some((key, value)) =
                self.disk.reader().next(&prefix, &after).map_err(failed)?
            {
                let (flag, vref) = value.split_once(' ').unwrap_or_default();
                if let Ok(vref) = vref.parse::<VRef>() {
                    kept.insert(vref, flag == "R");
                }
                after = key;
            }
            if let Some(vref) =
                known.keys().chain(kept.keys()).find(|vref| known.get(vref) != kept.get(vref))
            {
                return wrong(format!(
                    "the kernel and {} differ about {vref}: {:?}, {:?}",
                    vat.id,
                    kept.get(vref),
                    known.get(vref),
                ));
            }
        }
        Ok(())
    }

    /// At rest, the clients the kernel counts are those that are there, and nobody waits for one who
    /// waits.
    fn compare_clients(&self) -> Outcomes {
        for channel in self.core.status()?.channels {
            let (Some(connections), Some(waiting)) = (channel.connections, channel.waiting) else {
                continue;
            };
            let id = ChannelId::new(channel.subcluster_id, channel.name);
            let of_it = |other: &&ChannelId| {
                other.connection.is_some()
                    && ChannelId { connection: None, ..(*other).clone() } == id
            };
            let there = self.channels.iter().filter(of_it).count() as u64;
            let here = self.lobbies.get(&id).map_or(0, BTreeSet::len) as u64;
            if (connections, waiting) != (there, here) {
                return wrong(format!(
                    "{id} counts {connections} clients and {waiting} that wait; there are {there} \
                     and {here}"
                ));
            }
            if waiting > 0 && channel.pending_reads > 0 {
                return wrong(format!("{id} has clients that wait, and calls that wait for them"));
            }
        }
        Ok(())
    }

    /// Every key on the disk, but for those of the service `timer`, which has a reference from when it
    /// is first asked for.
    fn keys(&self) -> Outcomes<BTreeSet<String>> {
        let failed = |error: StoreError| Violation(format!("a read failed: {error}"));
        let timer = self.watch.row("svc.timer").unwrap_or_default();
        let own = ["svc.timer".to_owned()].into_iter();
        let own: Vec<String> =
            own.chain(["o", "svck", "pin"].map(|row| format!("{row}.{timer}"))).collect();
        let mut keys = BTreeSet::new();
        let mut after = String::new();
        while let Some((key, _)) = self.disk.reader().next("", &after).map_err(failed)? {
            if !own.contains(&key) {
                keys.insert(key.clone());
            }
            after = key;
        }
        Ok(keys)
    }

    /// Everything ends. Then everybody has been answered and nothing is left.
    pub(crate) fn end(&mut self) -> Outcomes {
        self.disk.calm();
        self.declaring = None;
        self.rest()?;
        for id in self.subclusters() {
            self.core.terminate_subcluster(id)?;
            self.obey()?;
        }
        self.rest()?;
        while !self.calls.is_empty() {
            let call = self.calls.remove(0);
            self.core.service_done(call, Err("the end".to_owned()))?;
            self.obey()?;
            self.rest()?;
        }
        self.end_urls()?;
        for kref in self.core.host_refs()? {
            self.core.release_host_ref(kref)?;
        }
        // Requests that happened once are remembered for a while.
        self.wall_ms += ocap_core::limits::RECEIPT_MS_MAX + 1;
        self.core.set_time(self.wall_ms);
        for _ in 0..=self.onces.len() {
            self.core.ring()?;
        }
        self.rest()?;
        let options = Options { engine: Engine::Memory, check_every: u64::MAX, traced: false };
        let mut fresh = World::new(options)?;
        fresh.rest()?;
        let (left, clean) = (self.keys()?, fresh.keys()?);
        if let Some((ticket, errand)) = self.tickets.first_key_value() {
            return wrong(format!("{ticket:?} ({errand:?}) was never answered"));
        }
        if let Some(channel) = self.channels.first() {
            return wrong(format!("{channel} was never closed"));
        }
        if left != clean {
            let more: Vec<&String> = left.difference(&clean).take(8).collect();
            let less: Vec<&String> = clean.difference(&left).take(8).collect();
            return wrong(format!("left behind: {more:?}; missing: {less:?}"));
        }
        self.crash()?;
        self.rest()?;
        if self.keys()? != clean {
            return wrong("a boot brought something back");
        }
        Ok(())
    }
}
