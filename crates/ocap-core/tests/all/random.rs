//! Vats that do anything at all, restarts, crashes and terminations at any moment: after each step
//! the walk finds nothing, and in the end every message the host sent has been answered.

use ocap_core::api::{ChannelEvent, ChannelId, Effect};
use ocap_types::crank::{CrankReport, Delivery, FaultKind, Resolution, Syscall};
use ocap_types::{KCapData, KRef, SubclusterId, VRef};
use proptest::prelude::*;

use crate::world::*;

/// One choice: what to do, and which of what there is to do it with.
type Choice = (u8, u8, u8);

struct Player {
    world: World,
    /// What the host has seen.
    known: Vec<KRef>,
    in_flight: Vec<ocap_core::api::Dispatch>,
    calls: Vec<ocap_core::api::CallId>,
    restarts: usize,
}

fn pick<T: Copy>(items: &[T], n: u8) -> Option<T> {
    (!items.is_empty()).then(|| items[usize::from(n) % items.len()])
}

impl Player {
    fn new() -> Player {
        let mut world = World::new();
        world.launch(&["alice", "bob", "carol"]);
        let ticket = world.ticket();
        world.core.launch(ticket, launch_of(cluster_with_io(&["repl"]))).unwrap();
        let channel = ChannelId::new(SubclusterId(2), "repl");
        world.event(&channel, ChannelEvent::Listening);
        world.settle_all();
        world.commit();
        let known = [1, 4, 5, 6, 7, 8].map(KRef::Object).to_vec();
        Player { world, known, in_flight: Vec::new(), calls: Vec::new(), restarts: 0 }
    }

    fn step(&mut self, (what, a, b): Choice) {
        match what % 24 {
            0..=5 => self.send(a, b),
            6..=13 => {
                if let Some(dispatch) = self.world.dispatch() {
                    self.in_flight.push(dispatch);
                }
            }
            14 => {
                let text = format!("unit {a}");
                let channel = ChannelId::new(SubclusterId(2), "repl");
                let event = match b % 6 {
                    0 => ChannelEvent::End,
                    1 => ChannelEvent::Connected,
                    2 => ChannelEvent::Unavailable { reason: text, retry_ms: None },
                    _ => ChannelEvent::Unit(text),
                };
                self.world.event(&channel, event);
            }
            15 => {
                if let Some(call) = pick(&self.calls, a) {
                    let slots: Vec<KRef> = pick(&self.known, b).into_iter().collect();
                    let value = KCapData { body: "#[\"$0\"]".into(), slots };
                    let result = if b % 3 == 0 { Err("no".into()) } else { Ok(value) };
                    self.world.core.service_done(call, result).unwrap();
                    self.world.check();
                }
            }
            16 => self.collect_effects(),
            17 => {
                let vats = self.world.core.status().unwrap().vats;
                let ids: Vec<_> = vats.iter().map(|vat| vat.id).collect();
                if let Some(vat) = pick(&ids, a) {
                    if b % 8 == 0 {
                        self.world.core.terminate_vat(vat).unwrap();
                    } else {
                        let ticket = self.world.ticket();
                        self.world.core.restart_vat(ticket, vat).unwrap();
                    }
                    self.world.check();
                }
            }
            18 if b < 40 => {
                if let Some(kref) = pick(&self.known, a) {
                    let _ = self.world.core.revoke(kref);
                }
            }
            19 => {
                if let Some(kref) = pick(&self.known, a) {
                    self.world.core.release_host_ref(kref).unwrap();
                    self.world.check();
                }
            }
            _ => self.settle(a, b),
        }
    }

    fn send(&mut self, a: u8, b: u8) {
        let Some(target) = pick(&self.known, a) else { return };
        let slots: Vec<KRef> =
            (0..b % 3).filter_map(|n| pick(&self.known, b.wrapping_add(n * 7))).collect();
        let ticket = self.world.ticket();
        let method = ["read", "m", "ready"][usize::from(b) % 3];
        let body = format!("#[\"{method}\",[]]");
        // What is not there any more is refused.
        let _ = self.world.core.send(ticket, target, KCapData { body, slots });
        self.world.check();
    }

    fn collect_effects(&mut self) {
        self.world.commit();
        for effect in std::mem::take(&mut self.world.effects) {
            match effect {
                Effect::Answer { answer: ocap_core::api::Answer::Settled { data, .. }, .. } => {
                    self.known.extend(data.slots);
                }
                Effect::ServiceCall { call, .. } | Effect::WriteChannel { call, .. } => {
                    self.calls.push(call);
                }
                _ => {}
            }
        }
    }

    /// Ends one of the deliveries in flight, in one way or another.
    fn settle(&mut self, a: u8, b: u8) {
        if self.in_flight.is_empty() {
            return;
        }
        let vat = self.in_flight[usize::from(a) % self.in_flight.len()].vat;
        // Those of one vat end in the order they began.
        let oldest = self.in_flight.iter().position(|dispatch| dispatch.vat == vat);
        let dispatch = self.in_flight.remove(oldest.unwrap());
        match b {
            0..=5 => return self.world.fault(&dispatch, FaultKind::Crash),
            6..=8 => {
                let exit = Syscall::Exit { failure: b == 6, info: data("#\"bye\"", &[]) };
                return self.world.done(&dispatch, vec![call("o+0", &["o+3"], None), exit]);
            }
            9 => {
                let error = Some("failed".into());
                return self
                    .world
                    .report(&dispatch, CrankReport { error, ..CrankReport::default() });
            }
            _ => {}
        }
        let mut refs: Vec<VRef> = ["o+0", "o+1", "o+d7/1", "o+v8/2", "p+1", "p+2"]
            .iter()
            .map(|text| vref(text))
            .chain([VRef::Export(u64::from(a)), VRef::ExportPromise(u64::from(a) + 3)])
            .collect();
        let mut own = None;
        match &dispatch.delivery {
            Delivery::Message { methargs, result, .. } => {
                refs.extend(&methargs.slots);
                own = *result;
            }
            Delivery::Notify { resolutions } => {
                refs.extend(resolutions.iter().flat_map(|one| &one.data.slots));
            }
            _ => {}
        }
        // One reference the vat may never have seen, in one crank of many.
        if b % 29 == 0 {
            refs.push(VRef::Import(u64::from(b)));
        }
        let mut syscalls = Vec::new();
        let mut dice = a.wrapping_mul(31).wrapping_add(b);
        let mut roll = || {
            dice = dice.wrapping_mul(73).wrapping_add(41);
            dice
        };
        let objects: Vec<VRef> = refs.iter().copied().filter(|one| !one.is_promise()).collect();
        let promises: Vec<VRef> = refs.iter().copied().filter(|one| one.is_promise()).collect();
        for n in 0..roll() % 4 {
            let Some(target) = pick(&refs, roll()) else { break };
            let slots: Vec<VRef> = (0..roll() % 3).filter_map(|_| pick(&refs, roll())).collect();
            let methargs = data("#[\"read\",[]]", &slots);
            let result = (roll() % 2 == 0).then_some(VRef::ExportPromise(
                1000 + u64::from(a) * 1000 + u64::from(b) * 4 + u64::from(n),
            ));
            syscalls.push(Syscall::Send { target, methargs, result });
            if let Some(promise) = result {
                syscalls.push(Syscall::Subscribe { promise });
            }
        }
        if let (0, Some(promise)) = (roll() % 3, pick(&promises, roll()))
            && Some(promise) != own
        {
            syscalls.push(Syscall::Subscribe { promise });
        }
        if let (Some(result), true) = (own, roll() % 4 > 0) {
            let value = pick(&refs, roll()).into_iter().collect::<Vec<_>>();
            let body = if roll() % 2 == 0 { "#\"$0\"" } else { "#[\"$0\"]" };
            let rejected = roll() % 5 == 0;
            let data = data(body, &value);
            syscalls.push(Syscall::Resolve {
                resolutions: vec![Resolution { promise: result, rejected, data }],
            });
        }
        let imports: Vec<VRef> = objects.iter().copied().filter(|one| !one.is_export()).collect();
        if let (0, Some(import)) = (roll() % 4, pick(&imports, roll())) {
            syscalls.push(Syscall::DropImports { vrefs: vec![import] });
            if roll() % 2 == 0 {
                syscalls.push(Syscall::RetireImports { vrefs: vec![import] });
            }
        }
        if roll() % 6 == 0 {
            let export = VRef::Export(u64::from(a));
            syscalls.push(Syscall::AbandonExports { vrefs: vec![export] });
        }
        let vatstore = match pick(&imports, roll()) {
            Some(import) => vec![(format!("vom.rc.{import}"), (b % 2 == 0).then(|| "1".into()))],
            None => Vec::new(),
        };
        self.world.report(&dispatch, CrankReport { syscalls, vatstore, ..CrankReport::default() });
    }

    fn crash(self, commit: bool) -> Player {
        let Player { mut world, known, restarts, .. } = self;
        if commit {
            world.commit();
        }
        let mut world = world.crash();
        let channel = ChannelId::new(SubclusterId(2), "repl");
        world.event(&channel, ChannelEvent::Connected);
        let (in_flight, calls) = (Vec::new(), Vec::new());
        Player { world, known, in_flight, calls, restarts: restarts + 1 }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_counts_are_true(
        choices in prop::collection::vec(any::<Choice>(), 1..120),
        crash_every in 10_usize..200,
    ) {
        let mut player = Player::new();
        for (n, choice) in choices.into_iter().enumerate() {
            player.step(choice);
            if n % crash_every == crash_every - 1 {
                player = player.crash(choice.1 % 2 == 0);
            }
        }
        // It comes to rest, and a boot finds nothing left to say.
        for dispatch in std::mem::take(&mut player.in_flight) {
            player.world.done(&dispatch, vec![]);
        }
        player.world.settle_all();
        let mut player = player.crash(true);
        player.world.settle_all();
        player.world.commit();
        prop_assert!(player.world.core.is_idle().unwrap());
        let keys = player.world.keys();
        prop_assert!(!keys.iter().any(|key| key.starts_with("q.") || key.starts_with("call.")));
    }
}
