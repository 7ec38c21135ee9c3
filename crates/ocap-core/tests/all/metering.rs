//! What vats cost, as the status tells.

use ocap_core::api::{Answer, VatUsage};
use ocap_store::Batch;
use ocap_types::VatId;
use ocap_types::crank::{CrankReport, FaultKind, Usage};

use crate::world::{World, call, cluster, fulfil, result_of};

fn report(writes: &[(&str, Option<&str>)]) -> CrankReport {
    let writes = writes.iter().map(|(key, value)| ((*key).into(), value.map(Into::into)));
    let usage = Usage { ticks: 3, cpu_us: 50, heap_bytes: 1_000 };
    CrankReport { vatstore: writes.collect(), usage, ..CrankReport::default() }
}

fn usages(world: &World) -> Vec<VatUsage> {
    world.core.status().unwrap().vats.iter().map(|vat| vat.usage).collect()
}

#[test]
fn usage_is_counted_per_vat_and_per_subcluster() {
    let mut world = World::new();
    let vats = world.launch(&["alice", "bob"]);
    let before = usages(&world);
    world.send(vats[0].1, "m");
    let crank = world.next();
    let syscalls = vec![call("o+0", &[], None), fulfil(result_of(&crank), &[], "#1")];
    let writes = [("abc", Some("12345")), ("d", Some("1"))];
    world.report(&crank, CrankReport { syscalls, ..report(&writes) });
    let crank = world.next();
    world.report(&crank, report(&[("abc", Some("1")), ("d", None), ("e", None)]));
    let after = usages(&world);
    let expected = VatUsage {
        cranks: before[0].cranks + 2,
        ticks: before[0].ticks + 6,
        cpu_us: before[0].cpu_us + 100,
        heap_bytes: 1_000,
        vatstore_bytes: 4,
        timers: 0,
        messages_in: before[0].messages_in + 2,
        messages_out: before[0].messages_out + 1,
    };
    assert_eq!(after, [expected, before[1]]);
    let status = world.core.status().unwrap();
    assert_eq!(status.subclusters[0].usage, after[0].plus(after[1]));
    // What is undone was carried out, but has sent and written nothing.
    world.send(vats[1].1, "m");
    let crank = world.next();
    world.fault(&crank, FaultKind::Overrun);
    assert_eq!(usages(&world)[1], before[1]);
    world.settle_all();
    assert_eq!(usages(&world)[0], expected);
}

#[test]
fn stores_are_counted_over_restarts_and_of_earlier_versions() {
    let mut world = World::new();
    let (_, root) = world.launch(&["alice"])[0];
    world.send(root, "m");
    let crank = world.next();
    world.report(&crank, report(&[("abc", Some("12345"))]));
    world.commit();
    let mut world = world.crash();
    assert_eq!(usages(&world)[0].vatstore_bytes, 8);
    world.commit();
    // An earlier version counted nothing.
    let opened = world.store.open();
    let writes = [("stored.v1".to_owned(), None)].into_iter().collect();
    let mut writer = opened.writer;
    writer.commit(&Batch { seq: opened.last_seq + 1, writes }).unwrap();
    let world = World::open(world.store, true);
    assert_eq!(usages(&world)[0].vatstore_bytes, 8);
}

#[test]
fn a_store_that_is_full_can_only_shrink() {
    let mut world = World::new();
    let mut config = cluster(&["alice"]);
    let options = serde_json::json!({ "limits": { "storeBytes": 100_000 } });
    config.vats[0].creation_options = options.as_object().cloned();
    let (ticket, _) = world.begin_launch(config);
    world.settle_all();
    assert!(matches!(world.answer(ticket), Some(Answer::Launched { .. })));
    let root = world.core.root(VatId(1)).unwrap();
    let mut write = |writes: &[(&str, Option<&str>)]| {
        world.send(root, "m");
        let crank = world.next();
        world.report(&crank, report(writes));
        world.settle_all();
        let vat = world.core.status().unwrap().vats.remove(0);
        (vat.usage.vatstore_bytes, vat.last_fault)
    };
    let (half, rest) = ("x".repeat(49_999), "x".repeat(50_000));
    assert_eq!(write(&[("a", Some(&half)), ("b", Some(&half))]), (100_000, None));
    // The crank that would go over it is undone, also what it takes away.
    let (bytes, fault) = write(&[("a", Some("")), ("b", Some(&half)), ("c", Some(&rest))]);
    assert_eq!(bytes, 100_000);
    let told = "the vat's store would have 100002 bytes, of 100000 that it may have";
    assert!(fault.as_ref().is_some_and(|fault| fault.contains(told)), "{fault:?}");
    assert_eq!(write(&[("a", Some(&half[1..]))]), (99_999, fault.clone()));
    assert_eq!(write(&[("a", None)]), (50_000, fault.clone()));
    assert_eq!(write(&[("d", Some(&half))]), (100_000, fault));
}

#[test]
fn a_vat_that_stores_objects_is_asked_for_garbage_though_it_knows_nobody() {
    let mut world = World::new();
    let root = world.launch(&["alice", "bob"])[1].1;
    world.core.reap_at_rest().unwrap();
    world.settle_all();
    let mut may_have_left_garbage = |writes: &[(&str, Option<&str>)]| {
        world.send(root, "m");
        let crank = world.next();
        let syscalls = vec![fulfil(result_of(&crank), &[], "#1")];
        world.report(&crank, CrankReport { syscalls, ..report(writes) });
        world.settle_all();
        let may_have = world.core.has_unreaped();
        world.core.reap_at_rest().unwrap();
        world.settle_all();
        assert!(!world.core.has_unreaped());
        may_have
    };
    for (writes, may_have) in [
        ([("vc.1.scount", Some("1")), ("vc.1.|entryCount", Some("1"))], false),
        ([("vc.1.scount", Some("2")), ("vom.o+d10/1", Some("new"))], true),
        ([("vc.1.scount", Some("3")), ("vom.o+d10/1", Some("changed"))], false),
        ([("vc.1.scount", Some("4")), ("vom.rc.o+d10/1", Some("1"))], true),
        ([("vc.1.scount", Some("5")), ("vom.rc.o+d10/1", Some("2"))], true),
        ([("vc.1.scount", Some("6")), ("vom.rc.o+d10/1", None)], true),
        ([("vc.1.scount", None), ("vc.5.|schemata", Some("{}"))], true),
        ([("vc.1.scount", None), ("vc.5.sx", None)], false),
    ] {
        assert_eq!(may_have_left_garbage(&writes), may_have, "{writes:?}");
    }
}
