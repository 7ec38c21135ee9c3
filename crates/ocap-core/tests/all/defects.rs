//! What is known to have gone wrong in kernels like this one, where no other test meets it.

use ocap_core::Core;
use ocap_core::api::{Answer, BootOptions, VatCondition};
use ocap_types::KRef;
use ocap_types::crank::{CrankReport, Delivery, FaultKind, Syscall};

use crate::world::*;

/// Every importer counts for itself: who drops takes nothing from the others, and only the last one
/// lets the exporter go.
#[test]
fn the_last_of_three_importers_lets_an_object_go() {
    let mut world = World::new();
    let vats = world.launch(&["alice", "bob", "carol", "dave"]);
    let before = world.keys();
    let ticket = world.send(vats[0].1, "make");
    let make = world.next();
    world.done(&make, vec![become_(result_of(&make), "o+5")]);
    let Some(Answer::Settled { data, .. }) = world.answer(ticket) else { panic!() };
    let object = data.slots[0];
    let mut imports = Vec::new();
    for &(_, root) in &vats[1..] {
        world.send_with(root, "keep", &[object]);
        let keep = world.next();
        imports.push(slots_of(&keep)[0]);
        world.done(&keep, vec![fulfil(result_of(&keep), &[], "#1")]);
    }
    assert!(world.core.release_host_ref(object).unwrap());
    for (n, (&(_, root), import)) in vats[1..].iter().zip(imports).enumerate() {
        world.idle();
        world.send(root, "drop");
        let drop = world.next();
        let syscalls = vec![
            Syscall::DropImports { vrefs: vec![import] },
            Syscall::RetireImports { vrefs: vec![import] },
            fulfil(result_of(&drop), &[], "#1"),
        ];
        world.done(&drop, syscalls);
        assert_eq!(world.core.status().unwrap().vats.len(), 4, "importer {n} was killed");
    }
    let told = world.next();
    assert_eq!(told.delivery, Delivery::DropExports { vrefs: vec![vref("o+5")] });
    // Having been told, the exporter may retire it by itself.
    world.done(&told, vec![Syscall::RetireExports { vrefs: vec![vref("o+5")] }]);
    world.idle();
    assert_eq!(world.core.status().unwrap().vats.len(), 4, "the exporter was killed");
    assert_eq!(world.keys(), before);
}

/// A vat may send and write in its very first start, and both count.
#[test]
fn syscalls_in_the_first_start_count_and_lose_nothing() {
    let mut world = World::new();
    let (ticket, _) = world.begin_launch(cluster(&["alice"]));
    let start = world.next();
    let report = CrankReport {
        syscalls: vec![call("o+0", &["o+1"], Some("p+1")), subscribe("p+1")],
        vatstore: vec![("baggageID".into(), Some("o+d6/1".into()))],
        ..CrankReport::default()
    };
    world.report(&start, report);
    let own = world.next();
    assert_eq!(method_of(&own), "#[\"m\",[\"$0\"]]");
    world.done(&own, vec![fulfil(result_of(&own), &[], "#1")]);
    world.settle_all();
    assert!(matches!(world.answer(ticket), Some(Answer::Launched { .. })));
    let vat = world.core.status().unwrap().vats[0].id;
    let world = world.crash();
    let stored = world.core.vatstore_get(vat, "baggageID").unwrap();
    assert_eq!(stored.as_deref(), Some("o+d6/1"));
}

/// Nothing has to come from outside for a message to move that a vat sends while it starts again.
#[test]
fn what_a_vat_sends_while_starting_again_is_delivered_unprompted() {
    let mut world = World::new();
    world.launch(&["alice"]);
    world.commit();
    let mut world = world.crash();
    let start = world.next();
    assert!(matches!(start.delivery, Delivery::Start { .. }));
    world.done(&start, vec![call("o+0", &[], None)]);
    let own = world.next();
    assert_eq!(method_of(&own), "#[\"m\",[]]");
    world.done(&own, vec![]);
    world.idle();
}

/// A crank that is undone takes nothing of others along, and leaves nobody waiting.
#[test]
fn what_others_did_during_an_undone_crank_is_done() {
    let mut world = World::new();
    let vats = world.launch(&["alice", "bob"]);
    let doomed = world.send(vats[0].1, "doomed");
    let crank = world.next();
    // Meanwhile: a message of the host's, a crank of another vat, an answer of a service.
    let meanwhile = world.send(vats[1].1, "meanwhile");
    let other = world.next();
    assert_eq!(other.vat, vats[1].0);
    world.done(&other, vec![call("o+0", &[], None), fulfil(result_of(&other), &[], "#1")]);
    let later = world.send(vats[1].1, "later");
    world.done(&crank, vec![call("o-77", &[], None)]);
    assert!(world.rejection(doomed).contains("ILLEGAL_SYSCALL"));
    let of_bob = world.next();
    assert_eq!(method_of(&of_bob), "#[\"m\",[]]");
    world.done(&of_bob, vec![]);
    let second = world.next();
    assert_eq!(method_of(&second), "#[\"later\",[]]");
    world.done(&second, vec![fulfil(result_of(&second), &[], "#2")]);
    world.idle();
    for ticket in [meanwhile, later] {
        assert!(matches!(world.answer(ticket), Some(Answer::Settled { rejected: false, .. })));
    }
}

/// A service that the host no longer has answers with a code; so does what was queued for it.
#[test]
fn a_service_that_is_gone_answers_with_a_code() {
    let mut world = World::new();
    world.launch(&["alice"]);
    world.commit();
    let opened = world.store.open();
    let options = BootOptions { services: Vec::new(), io: true, ..BootOptions::default() };
    let core = Core::open(opened.reader, opened.last_seq, options).unwrap();
    world.core = core;
    let ticket = world.ticket();
    let nothing = ocap_types::KCapData::without_slots("#[\"issue\",[]]");
    world.core.send(ticket, KRef::Object(1), nothing).unwrap();
    world.settle_all();
    let effects = world.core.seal().unwrap().effects;
    assert!(format!("{effects:?}").contains("[KERNEL:"), "{effects:?}");
}

/// One vat that cannot start keeps neither the kernel nor the other vats from starting.
#[test]
fn a_vat_that_cannot_start_at_boot_concerns_nobody_else() {
    let mut world = World::new();
    let vats = world.launch(&["alice", "bob"]);
    world.commit();
    for fault in [false, true] {
        world = world.crash();
        for _ in 0..2 {
            let start = world.next();
            assert!(matches!(start.delivery, Delivery::Start { .. }));
            if start.vat == vats[1].0 {
                world.done(&start, vec![]);
            } else if fault {
                world.fault(&start, FaultKind::OutOfMemory);
            } else {
                let error = Some("thrown at the top".to_owned());
                world.report(&start, CrankReport { error, ..CrankReport::default() });
            }
        }
        let ticket = world.send(vats[1].1, "x");
        world.settle_all();
        assert!(matches!(world.answer(ticket), Some(Answer::Settled { rejected: false, .. })));
        let failed = world.send(vats[0].1, "x");
        world.settle_all();
        assert!(world.rejection(failed).contains("[KERNEL:ENDPOINT_UNREACHABLE]"));
        let status = world.core.status().unwrap();
        assert!(matches!(status.vats[0].condition, VatCondition::Failed { .. }));
        assert_eq!(status.vats[1].condition, VatCondition::Running);
    }
}
