//! A driver without workers: tests play the vats themselves. Every step walks over the whole
//! store.

use std::collections::BTreeSet;
use std::sync::Arc;

use indexmap::IndexMap;
use ocap_core::Core;
use ocap_core::api::{
    Answer, BootOptions, ChannelEvent, ChannelId, CodeHash, Command, Dispatch, Effect, Identity,
    Launch, ServiceDeclaration, Ticket,
};
use ocap_store::memory::MemoryStore;
use ocap_store::{Reader, Writer};
use ocap_types::config::{ClusterConfig, IoConfig, IoKind, VatConfig};
use ocap_types::crank::{CrankReport, Delivery, Fault, FaultKind, Outcome, Resolution, Syscall};
use ocap_types::{CapData, KCapData, KRef, Secret, SubclusterId, VCapData, VRef, VatId};

pub struct World {
    pub store: MemoryStore,
    writer: Box<dyn Writer>,
    pub core: Core,
    /// Released effects, oldest first.
    pub effects: Vec<Effect>,
    pub commands: Vec<Command>,
    next_ticket: u64,
    /// Whether to walk over the store after each step.
    pub checking: bool,
    /// Whether the kernel has an identity: it offers URLs then.
    identified: bool,
    /// Times it was started.
    boots: u8,
}

/// This kernel's name among others, if it has one.
pub const PEER_ID: &str = "12D3KooWP7CwQswqLKZbwvYd9wrEynnL9F2aKVP1X9huNASBTuqj";

pub fn services() -> Vec<ServiceDeclaration> {
    ["ocapURLIssuerService", "ocapURLRedemptionService", "kernelFacet"]
        .map(|name| ServiceDeclaration { name: name.into(), system_only: name == "kernelFacet" })
        .into()
}

fn options(io: bool, identified: bool, boots: u8) -> BootOptions {
    let identity = identified.then(|| Identity {
        peer_id: PEER_ID.into(),
        seed: Secret::new(vec![7; 32]),
        entropy: None,
    });
    BootOptions { services: services(), io, identity, chance: Secret::new(vec![boots; 32]) }
}

impl World {
    pub fn new() -> World {
        World::open(MemoryStore::new(), true)
    }

    /// A kernel that has an identity.
    pub fn identified() -> World {
        World::boot(MemoryStore::new(), true, true, 0)
    }

    pub fn open(store: MemoryStore, io: bool) -> World {
        World::boot(store, io, false, 0)
    }

    fn boot(store: MemoryStore, io: bool, identified: bool, boots: u8) -> World {
        let opened = store.open();
        let options = options(io, identified, boots);
        let core = Core::open(opened.reader, opened.last_seq, options).unwrap();
        let (effects, commands) = (Vec::new(), Vec::new());
        let writer = opened.writer;
        let checking = true;
        let mut world = World {
            store,
            writer,
            core,
            effects,
            commands,
            next_ticket: 1,
            checking,
            identified,
            boots,
        };
        world.check();
        world
    }

    /// The kernel dies and comes back with what was committed.
    pub fn crash(self) -> World {
        World::boot(self.store, true, self.identified, self.boots + 1)
    }

    /// A kernel on another store, whatever is in that.
    pub fn core_on(&self, store: &MemoryStore) -> Core {
        let opened = store.open();
        let options = options(true, self.identified, self.boots + 1);
        Core::open(opened.reader, opened.last_seq, options).unwrap()
    }

    pub fn check(&mut self) {
        self.commands.extend(self.core.take_commands());
        if self.checking {
            assert_eq!(self.core.check().unwrap(), []);
        }
    }

    /// Commits what is open and releases its effects. Answers with the number of writes.
    pub fn commit(&mut self) -> usize {
        let mut writes = 0;
        if let Some(sealed) = self.core.seal() {
            self.check();
            writes = sealed.batch.writes.len();
            self.writer.commit(&sealed.batch).unwrap();
            self.core.committed(sealed.batch.seq);
            self.effects.extend(sealed.effects);
        }
        self.check();
        writes
    }

    pub fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    /// The answer a ticket got, if it got one.
    pub fn answer(&mut self, ticket: Ticket) -> Option<Answer> {
        self.commit();
        let place = self.effects.iter().position(
            |effect| matches!(effect, Effect::Answer { ticket: other, .. } if *other == ticket),
        )?;
        match self.effects.remove(place) {
            Effect::Answer { answer, .. } => Some(answer),
            _ => None,
        }
    }

    /// The message of the rejection a ticket got.
    pub fn rejection(&mut self, ticket: Ticket) -> String {
        match self.answer(ticket) {
            Some(Answer::Settled { rejected: true, data }) => data.body,
            other => panic!("no rejection: {other:?}"),
        }
    }

    pub fn begin_launch(&mut self, config: ClusterConfig) -> (Ticket, SubclusterId) {
        let ticket = self.ticket();
        let id = self.core.launch(ticket, launch_of(config)).unwrap();
        self.check();
        (ticket, id)
    }

    /// Launches vats with these names; returns their ids and roots.
    pub fn launch(&mut self, names: &[&str]) -> Vec<(VatId, KRef)> {
        let (ticket, id) = self.begin_launch(cluster(names));
        self.settle_all();
        assert!(matches!(self.answer(ticket), Some(Answer::Launched { .. })));
        let status = self.core.status().unwrap();
        let vats: Vec<_> =
            status.vats.iter().filter(|vat| vat.subcluster_id == id).map(|vat| vat.id).collect();
        vats.into_iter().map(|vat| (vat, self.core.root(vat).unwrap())).collect()
    }

    pub fn dispatch(&mut self) -> Option<Dispatch> {
        let dispatch = self.core.dispatch().unwrap();
        self.check();
        dispatch
    }

    /// The next delivery, which there has to be.
    pub fn next(&mut self) -> Dispatch {
        self.dispatch().expect("a delivery")
    }

    pub fn idle(&mut self) {
        assert!(self.dispatch().is_none_or(|dispatch| panic!("delivery {dispatch:?}")));
    }

    pub fn done(&mut self, dispatch: &Dispatch, syscalls: Vec<Syscall>) {
        self.report(dispatch, CrankReport { syscalls, ..CrankReport::default() });
    }

    pub fn report(&mut self, dispatch: &Dispatch, report: CrankReport) {
        self.core.settle(dispatch.crank, Outcome::Done(report)).unwrap();
        self.check();
    }

    pub fn fault(&mut self, dispatch: &Dispatch, kind: FaultKind) {
        let fault = Fault { kind, detail: "of a test".into() };
        self.core.settle(dispatch.crank, Outcome::Fault(fault)).unwrap();
        self.check();
    }

    /// Answers every delivery like a vat that returns `undefined`.
    pub fn settle_all(&mut self) {
        while let Some(dispatch) = self.dispatch() {
            let syscalls = match &dispatch.delivery {
                Delivery::Message { result: Some(result), .. } => {
                    vec![fulfil(*result, &[], "#\"#undefined\"")]
                }
                _ => Vec::new(),
            };
            self.done(&dispatch, syscalls);
        }
    }

    pub fn send(&mut self, target: KRef, method: &str) -> Ticket {
        self.send_with(target, method, &[])
    }

    pub fn send_with(&mut self, target: KRef, method: &str, slots: &[KRef]) -> Ticket {
        let ticket = self.ticket();
        let args: Vec<String> = (0..slots.len()).map(|n| format!("\"${n}\"")).collect();
        let body = format!("#[\"{method}\",[{}]]", args.join(","));
        let methargs = KCapData { body, slots: slots.to_vec() };
        self.core.send(ticket, target, methargs).unwrap();
        self.check();
        ticket
    }

    pub fn event(&mut self, channel: &ChannelId, event: ChannelEvent) {
        self.core.channel_event(channel, event).unwrap();
        self.check();
    }

    /// Every key the store would hold if everything were committed now.
    pub fn keys(&mut self) -> BTreeSet<String> {
        self.commit();
        let opened: Arc<dyn Reader> = Arc::new(self.store.clone());
        let mut keys = BTreeSet::new();
        let mut after = String::new();
        while let Some((key, _)) = opened.next("", &after).unwrap() {
            keys.insert(key.clone());
            after = key;
        }
        keys
    }
}

pub fn launch_of(config: ClusterConfig) -> Launch {
    let code = config
        .vats
        .keys()
        .map(|name| (name.clone(), (CodeHash(format!("c0de{name}")), Arc::from("the code"))))
        .collect();
    Launch { config, name: None, code, system: false }
}

pub fn cluster(names: &[&str]) -> ClusterConfig {
    let vat = || VatConfig { bundle_spec: Some("x".into()), ..VatConfig::default() };
    ClusterConfig {
        name: None,
        bootstrap: names[0].to_owned(),
        force_reset: None,
        services: None,
        io: None,
        vats: names.iter().map(|&name| (name.to_owned(), vat())).collect(),
        bundles: None,
    }
}

pub fn socket() -> IoConfig {
    IoConfig::new(IoKind::Socket { path: "s".into() })
}

/// One vat, `alice`, with channels of these names.
pub fn cluster_with_io(channels: &[&str]) -> ClusterConfig {
    let io: IndexMap<_, _> = channels.iter().map(|&name| (name.to_owned(), socket())).collect();
    ClusterConfig { io: Some(io), ..cluster(&["alice"]) }
}

pub fn data(body: &str, slots: &[VRef]) -> VCapData {
    CapData { body: body.to_owned(), slots: slots.to_vec() }
}

pub fn vref(text: &str) -> VRef {
    text.parse().unwrap()
}

pub fn call(target: &str, slots: &[&str], result: Option<&str>) -> Syscall {
    let args: Vec<String> = (0..slots.len()).map(|n| format!("\"${n}\"")).collect();
    let slots: Vec<VRef> = slots.iter().map(|slot| vref(slot)).collect();
    let methargs = data(&format!("#[\"m\",[{}]]", args.join(",")), &slots);
    Syscall::Send { target: vref(target), methargs, result: result.map(vref) }
}

pub fn subscribe(promise: &str) -> Syscall {
    Syscall::Subscribe { promise: vref(promise) }
}

pub fn resolution(promise: VRef, rejected: bool, slots: &[&str], body: &str) -> Resolution<VRef> {
    let slots: Vec<VRef> = slots.iter().map(|slot| vref(slot)).collect();
    Resolution { promise, rejected, data: data(body, &slots) }
}

pub fn fulfil(promise: VRef, slots: &[&str], body: &str) -> Syscall {
    Syscall::Resolve { resolutions: vec![resolution(promise, false, slots, body)] }
}

/// Fulfils with nothing but a reference.
pub fn become_(promise: VRef, what: &str) -> Syscall {
    let sign = if what.starts_with('p') { '&' } else { '$' };
    fulfil(promise, &[what], &format!("#\"{sign}0\""))
}

pub fn result_of(dispatch: &Dispatch) -> VRef {
    match &dispatch.delivery {
        Delivery::Message { result: Some(result), .. } => *result,
        other => panic!("no message with a result: {other:?}"),
    }
}

pub fn slots_of(dispatch: &Dispatch) -> Vec<VRef> {
    match &dispatch.delivery {
        Delivery::Message { methargs, .. } => methargs.slots.clone(),
        other => panic!("no message: {other:?}"),
    }
}

pub fn method_of(dispatch: &Dispatch) -> String {
    match &dispatch.delivery {
        Delivery::Message { methargs, .. } => methargs.body.clone(),
        other => panic!("no message: {other:?}"),
    }
}
