//! A store that fails in the middle of a turn, and kernels that die between any two batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ocap_core::Core;
use ocap_core::api::{Answer, BootOptions, ChannelEvent, ChannelId, CoreError, Effect};
use ocap_store::memory::MemoryStore;
use ocap_store::{Batch, Reader, StoreError};
use ocap_types::crank::{CrankReport, Delivery, FaultKind, Outcome, Syscall};
use ocap_types::{KCapData, KRef, SubclusterId};

use crate::world::*;

/// Fails once, at the n-th read from now.
struct Flaky {
    store: MemoryStore,
    reads_left: Arc<AtomicU64>,
}

impl Flaky {
    fn read(&self) -> Result<(), StoreError> {
        match self.reads_left.load(Ordering::Relaxed) {
            0 => Ok(()),
            left => {
                self.reads_left.store(left - 1, Ordering::Relaxed);
                if left == 1 { Err(StoreError::Io("test".into())) } else { Ok(()) }
            }
        }
    }
}

impl Reader for Flaky {
    fn get(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.read()?;
        self.store.get(key)
    }

    fn next(&self, prefix: &str, after: &str) -> Result<Option<(String, String)>, StoreError> {
        self.read()?;
        self.store.next(prefix, after)
    }
}

fn repl() -> ChannelId {
    ChannelId::new(SubclusterId(1), "repl")
}

/// What of a core can be seen from outside.
fn seen(core: &Core) -> String {
    let status = serde_json::to_string(&core.status().unwrap()).unwrap();
    let idle = core.is_idle().unwrap();
    format!("{status} {idle} {:?} {}", core.host_refs().unwrap(), core.has_unsealed())
}

#[test]
fn a_turn_that_fails_has_not_happened() {
    // The turns: each is tried with a failure at every read it does, then without.
    type Turn = fn(&mut Core) -> Result<(), CoreError>;
    let settle: Turn = |core| {
        let Some(dispatch) = core.dispatch()? else { return Ok(()) };
        let syscalls = match &dispatch.delivery {
            Delivery::Message { result: Some(result), methargs, .. } => {
                let import = methargs.slots.first().map(ToString::to_string);
                let mut syscalls = vec![call("o+0", &["o+5"], Some("p+50")), subscribe("p+50")];
                if let Some(import) = import {
                    syscalls.push(call(&import, &["p+51"], None));
                }
                syscalls.push(fulfil(*result, &[], "#1"));
                syscalls
            }
            _ => Vec::new(),
        };
        let report = CrankReport { syscalls, ..CrankReport::default() };
        core.settle(dispatch.crank, Outcome::Done(report))
    };
    let turns: [Turn; 9] = [
        |core| core.send(ticket(1), KRef::Object(5), message(&[KRef::Object(6)])),
        |core| core.send(ticket(2), KRef::Object(4), message(&[])),
        settle,
        |core| core.channel_event(&repl(), ChannelEvent::Unit("x".into())),
        |core| core.launch(ticket(3), launch_of(cluster(&["x"]))).map(|_| ()),
        |core| core.restart_vat(ticket(4), ocap_types::VatId(1)),
        |core| core.terminate_vat(ocap_types::VatId(1)),
        |core| core.channel_event(&repl(), ChannelEvent::Connected),
        |core| core.terminate_subcluster(SubclusterId(1)),
    ];
    let mut failures = 0;
    for (n, turn) in turns.iter().enumerate() {
        for at in 1.. {
            let mut world = running();
            world.commit();
            let reads_left = Arc::new(AtomicU64::new(0));
            let reader = Flaky { store: world.store.clone(), reads_left: reads_left.clone() };
            let last_seq = world.store.open().last_seq;
            let options = BootOptions { services: services(), io: true, ..BootOptions::default() };
            let mut core = Core::open(Arc::new(reader), last_seq, options).unwrap();
            core.channel_event(&repl(), ChannelEvent::Unit("kept".into())).unwrap();
            core.channel_event(&repl(), ChannelEvent::Listening).unwrap();
            core.send(ticket(9), KRef::Object(5), message(&[KRef::Object(6)])).unwrap();
            core.send(ticket(9), KRef::Object(4), message(&[])).unwrap();
            core.seal();
            let before = seen(&core);
            reads_left.store(at, Ordering::Relaxed);
            let result = turn(&mut core);
            let failed = reads_left.swap(0, Ordering::Relaxed) == 0;
            assert_eq!(core.check().unwrap(), [], "turn {n}, read {at}");
            if !failed {
                result.unwrap();
                break;
            }
            assert!(matches!(result, Err(CoreError::Store(_))), "turn {n}, read {at}: {result:?}");
            failures += 1;
            // Dispatching is several turns, of which the first may have happened.
            if n != 2 {
                assert_eq!(seen(&core), before, "turn {n}, read {at}");
                turn(&mut core).unwrap();
                assert_eq!(core.check().unwrap(), []);
            }
        }
    }
    assert!(failures > 50, "only {failures} failures");
}

fn ticket(n: u64) -> ocap_core::api::Ticket {
    ocap_core::api::Ticket(n)
}

fn message(slots: &[KRef]) -> KCapData {
    KCapData { body: "#[\"read\",[]]".into(), slots: slots.to_vec() }
}

/// Two vats and a channel; the channel is ko4, the roots ko5 and ko6.
fn running() -> World {
    let mut world = World::new();
    let mut config = cluster_with_io(&["repl"]);
    config.vats.insert("bob".into(), cluster(&["bob"]).vats["bob"].clone());
    world.begin_launch(config);
    world.event(&repl(), ChannelEvent::Listening);
    world.settle_all();
    world
}

#[test]
fn a_boot_after_any_batch_finds_everything_in_order() {
    let mut world = World::new();
    let mut batches: Vec<Arc<Batch>> = Vec::new();
    let mut acknowledged: Vec<(usize, String)> = Vec::new();
    let mut seal = |world: &mut World| {
        if let Some(sealed) = world.core.seal() {
            world.core.committed(0);
            batches.push(Arc::clone(&sealed.batch));
            for effect in sealed.effects {
                if let Effect::Answer { answer: Answer::Settled { data, .. }, .. } = effect {
                    acknowledged.push((batches.len(), data.body));
                }
            }
        }
        world.check();
    };
    // Everything stays in sealed batches: what is read goes through all of them.
    let mut config = cluster_with_io(&["repl"]);
    config.vats.insert("bob".into(), cluster(&["bob"]).vats["bob"].clone());
    world.begin_launch(config);
    seal(&mut world);
    world.event(&repl(), ChannelEvent::Listening);
    seal(&mut world);
    let (mut count, mut faulted) = (0, false);
    let mut step = |world: &mut World, seal: &mut dyn FnMut(&mut World)| {
        while let Some(dispatch) = world.dispatch() {
            seal(world);
            let mut report = CrankReport::default();
            match &dispatch.delivery {
                Delivery::Message { result: Some(result), methargs, .. }
                    if methargs.body.contains("count") =>
                {
                    count += 1;
                    report.syscalls = vec![
                        call("o+0", &["o+4", "p+9"], None),
                        fulfil(*result, &[], &format!("#{count}")),
                    ];
                    report.vatstore = vec![("count".into(), Some(count.to_string()))];
                }
                Delivery::Message { result: Some(result), .. } => {
                    report.syscalls = vec![fulfil(*result, &[], "#\"#undefined\"")];
                }
                Delivery::Message { result: None, .. } => {
                    report.syscalls = vec![Syscall::Resolve { resolutions: Vec::new() }];
                }
                _ => {}
            }
            if count == 3 && report.vatstore.is_empty() && !faulted {
                faulted = true;
                world.fault(&dispatch, FaultKind::Crash);
            } else {
                world.report(&dispatch, report);
            }
            seal(world);
        }
    };
    step(&mut world, &mut seal);
    for n in 0..4 {
        world.send(KRef::Object(5), "count");
        world.send(KRef::Object(4), "read");
        if n == 2 {
            world.core.restart_vat(ticket(50), ocap_types::VatId(2)).unwrap();
        }
        seal(&mut world);
        step(&mut world, &mut seal);
        world.event(&repl(), ChannelEvent::Unit("x".into()));
        seal(&mut world);
        step(&mut world, &mut seal);
    }
    world.core.terminate_vat(ocap_types::VatId(2)).unwrap();
    seal(&mut world);
    assert!(batches.len() > 30, "{} batches", batches.len());
    assert_eq!(acknowledged.len(), 8);
    for length in 0..=batches.len() {
        let store = MemoryStore::new();
        let mut writer = store.open().writer;
        for batch in &batches[..length] {
            writer.commit(batch).unwrap();
        }
        let mut world = World::open(store, true);
        let counts: Vec<u64> = acknowledged
            .iter()
            .filter(|(at, _)| *at <= length)
            .filter_map(|(_, body)| body.strip_prefix('#')?.parse().ok())
            .collect();
        let stored = world.core.vatstore_get(ocap_types::VatId(1), "count").unwrap();
        let stored: u64 = stored.map_or(0, |text| text.parse().unwrap());
        assert!(stored >= counts.iter().copied().max().unwrap_or(0), "after {length} batches");
        world.event(&repl(), ChannelEvent::Listening);
        world.settle_all();
        world.commit();
        assert!(world.core.is_idle().unwrap());
        let keys = world.keys();
        let over = |key: &&String| {
            ["q.", "w.", "call", "wait."].iter().any(|prefix| key.starts_with(prefix))
                && *key != "calls"
        };
        let over: Vec<_> = keys.iter().filter(over).collect();
        assert!(over.is_empty(), "{over:?} after {length} batches");
    }
}
