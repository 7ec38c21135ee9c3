//! What happens when a crank does not go well, and when a vat begins a new life.

use ocap_core::api::{Answer, Command, Incarnation, VatCondition};
use ocap_core::limits;
use ocap_types::crank::{CrankReport, Delivery, FaultKind, Syscall};
use ocap_types::{KCapData, KRef, VatId};

use crate::world::*;

fn condition(world: &World, vat: VatId) -> Option<VatCondition> {
    let status = world.core.status().unwrap();
    status.vats.into_iter().find(|row| row.id == vat).map(|row| row.condition)
}

#[test]
fn an_illegal_syscall_anywhere_undoes_the_crank_and_ends_the_vat() {
    let illegal = [
        call("o-77", &[], None),
        call("p-77", &[], None),
        subscribe("o+3"),
        call("o+0", &[], Some("o+3")),
        call("o+0", &["o-9"], None),
        fulfil(vref("p-77"), &[], "#1"),
        Syscall::DropImports { vrefs: vec![vref("o+0")] },
        Syscall::RetireImports { vrefs: vec![vref("o-1")] },
        Syscall::RetireExports { vrefs: vec![vref("o+0")] },
        Syscall::AbandonExports { vrefs: vec![vref("o+0")] },
        Syscall::RetireExports { vrefs: vec![vref("o+77")] },
        Syscall::DropImports { vrefs: vec![vref("p-1")] },
    ];
    for syscall in illegal {
        let mut world = World::new();
        let vats = world.launch(&["alice", "bob"]);
        let (alice, bob) = (vats[0], vats[1]);
        let ticket = world.send_with(alice.1, "go", &[bob.1]);
        let behind = world.send(alice.1, "behind");
        let go = world.next();
        let bob_in_alice = slots_of(&go)[0].to_string();
        let report = CrankReport {
            syscalls: vec![call(&bob_in_alice, &["o+5"], None), syscall.clone()],
            vatstore: vec![("key".into(), Some("value".into()))],
            ..CrankReport::default()
        };
        world.report(&go, report);
        assert!(
            world.rejection(ticket).contains("[KERNEL:VAT_FATAL:ILLEGAL_SYSCALL]"),
            "{syscall:?}"
        );
        assert_eq!(condition(&world, alice.0), None);
        world.idle();
        assert!(world.rejection(behind).contains("[KERNEL:OBJECT_DELETED]"));
        assert!(
            world
                .commands
                .contains(&Command::StopWorker { vat: alice.0, incarnation: Incarnation(1) })
        );
        // bob is as well as ever.
        world.send(bob.1, "x");
        assert_eq!(world.next().vat, bob.0);
    }
}

#[test]
fn deciders_alone_settle_and_only_once() {
    let wrong: [Vec<Syscall>; 4] = [
        // Passed on as a result, so no longer its own.
        vec![call("o+0", &[], Some("p+1")), fulfil(vref("p+1"), &[], "#1")],
        vec![
            fulfil(vref("p+1"), &[], "#1"),
            fulfil(vref("p+2"), &["p+1"], "#1"),
            call("o+0", &["p+1"], Some("p-1")),
            fulfil(vref("p-1"), &[], "#1"),
        ],
        vec![Syscall::Resolve {
            resolutions: vec![
                resolution(vref("p+1"), false, &[], "#1"),
                resolution(vref("p+1"), false, &[], "#2"),
            ],
        }],
        vec![call("o+0", &[], Some("p+1")), call("o+0", &[], Some("p+1"))],
    ];
    for syscalls in wrong {
        let mut world = World::new();
        let vats = world.launch(&["alice"]);
        let ticket = world.send(vats[0].1, "go");
        let go = world.next();
        world.done(&go, syscalls);
        assert!(world.rejection(ticket).contains("ILLEGAL_SYSCALL"));
    }
    // A tail call: the result it was given becomes the result of its own message.
    let mut world = World::new();
    let vats = world.launch(&["alice"]);
    let ticket = world.send(vats[0].1, "go");
    let go = world.next();
    let result = result_of(&go).to_string();
    world.done(&go, vec![call("o+0", &[], Some(&result))]);
    let tail = world.next();
    world.done(&tail, vec![fulfil(result_of(&tail), &[], "#9")]);
    let data = KCapData::without_slots("#9");
    assert_eq!(world.answer(ticket), Some(Answer::Settled { rejected: false, data }));
}

#[test]
fn a_failed_delivery_ends_the_vat_and_exits_end_it_as_it_asks() {
    let info = || data("#\"bye\"", &[]);
    let cases = [
        (
            CrankReport { error: Some("no".into()), ..CrankReport::default() },
            "VAT_FATAL:INTERNAL_ERROR",
            false,
        ),
        (
            CrankReport {
                syscalls: vec![
                    call("o+0", &["o+4"], None),
                    Syscall::Exit { failure: true, info: info() },
                ],
                ..CrankReport::default()
            },
            "bye",
            false,
        ),
        (
            CrankReport {
                syscalls: vec![Syscall::Exit { failure: false, info: info() }, subscribe("p+3")],
                ..CrankReport::default()
            },
            "bye",
            false,
        ),
        (
            CrankReport {
                syscalls: vec![
                    fulfil(vref("p-2"), &[], "#1"),
                    Syscall::Exit { failure: false, info: info() },
                ],
                ..CrankReport::default()
            },
            "#1",
            true,
        ),
    ];
    for (report, text, fulfilled) in cases {
        let mut world = World::new();
        let vats = world.launch(&["alice", "bob"]);
        let ticket = world.send(vats[0].1, "go");
        let go = world.next();
        assert_eq!(result_of(&go), vref("p-2"));
        world.report(&go, report);
        let Some(Answer::Settled { rejected, data }) = world.answer(ticket) else { panic!() };
        assert_eq!(rejected, !fulfilled);
        assert!(data.body.contains(text), "{}", data.body);
        assert_eq!(condition(&world, vats[0].0), None);
        world.idle();
    }
}

#[test]
fn a_fault_rejects_its_message_and_lets_the_vat_live_on() {
    let kinds = [
        (FaultKind::Overrun, "[KERNEL:VAT_FATAL:OVERRUN]"),
        (FaultKind::OutOfMemory, "[KERNEL:VAT_FATAL:OUT_OF_MEMORY]"),
        (FaultKind::Crash, "[KERNEL:VAT_FATAL:VAT_CRASHED]"),
        (FaultKind::CageViolation, "[KERNEL:VAT_FATAL:CAGE_VIOLATION]"),
        (FaultKind::Protocol, "[KERNEL:VAT_FATAL:INTERNAL_ERROR]"),
    ];
    let mut world = World::new();
    let vats = world.launch(&["alice", "bob"]);
    let (alice, bob) = (vats[0], vats[1]);
    for (n, (kind, code)) in kinds.into_iter().enumerate() {
        let first = world.send(alice.1, "hang");
        let second = world.send(alice.1, "hello");
        let hang = world.next();
        world.fault(&hang, kind);
        assert!(world.rejection(first).contains(code));
        // A late outcome of the old incarnation means nothing.
        world.done(&hang, vec![call("o+0", &[], None)]);
        let last = n + 1 == limits::FAULTS_MAX as usize;
        if last {
            assert!(matches!(condition(&world, alice.0), Some(VatCondition::Suspended { .. })));
            world.idle();
            assert!(world.rejection(second).contains("[KERNEL:ENDPOINT_UNREACHABLE]"));
        } else {
            let start = world.next();
            assert!(matches!(start.delivery, Delivery::Start { .. }), "{start:?}");
            assert!(start.start.is_some());
            assert_eq!(start.incarnation, Incarnation(n as u64 + 2));
            world.done(&start, vec![]);
            world.settle_all();
            assert!(matches!(world.answer(second), Some(Answer::Settled { rejected: false, .. })));
        }
    }
    // Others never noticed; a restart lifts it, also over a boot.
    let ticket = world.send(bob.1, "x");
    world.settle_all();
    assert!(matches!(world.answer(ticket), Some(Answer::Settled { rejected: false, .. })));
    let mut world = world.crash();
    assert!(matches!(condition(&world, alice.0), Some(VatCondition::Suspended { .. })));
    let restart = world.ticket();
    world.core.restart_vat(restart, alice.0).unwrap();
    world.settle_all();
    assert_eq!(world.answer(restart), Some(Answer::Restarted));
    let ticket = world.send(alice.1, "x");
    world.settle_all();
    assert!(matches!(world.answer(ticket), Some(Answer::Settled { rejected: false, .. })));
}

#[test]
fn a_vat_that_cannot_start_again_is_failed_until_it_is_restarted() {
    let mut world = World::new();
    let vats = world.launch(&["alice"]);
    let (vat, root) = vats[0];
    for fault in [false, true] {
        let restart = world.ticket();
        world.core.restart_vat(restart, vat).unwrap();
        let ticket = world.send(root, "x");
        let start = world.next();
        if fault {
            world.fault(&start, FaultKind::Overrun);
        } else {
            let error = Some("no buildRootObject".to_owned());
            world.report(&start, CrankReport { error, ..CrankReport::default() });
        }
        assert!(matches!(condition(&world, vat), Some(VatCondition::Failed { .. })));
        assert!(matches!(world.answer(restart), Some(Answer::Failed { .. })));
        world.idle();
        assert!(world.rejection(ticket).contains("[KERNEL:ENDPOINT_UNREACHABLE]"));
    }
    let restart = world.ticket();
    world.core.restart_vat(restart, vat).unwrap();
    world.settle_all();
    assert_eq!(world.answer(restart), Some(Answer::Restarted));
}

#[test]
fn a_new_incarnation_gives_up_what_only_the_old_heap_knew() {
    let mut world = World::new();
    let vats = world.launch(&["alice", "bob"]);
    let (alice, bob) = (vats[0], vats[1]);
    // bob holds an ephemeral, a virtual and a durable object of alice's, and waits for a promise.
    world.send_with(alice.1, "meet", &[bob.1, ocap_types::KRef::Object(1)]);
    let meet = world.next();
    let slots = slots_of(&meet);
    let report = CrankReport {
        syscalls: vec![call(&slots[0].to_string(), &["o+5", "o+v10/1", "o+d11/1", "p+4"], None)],
        // bob's root is in baggage, the service is not.
        vatstore: vec![(format!("vom.rc.{}", slots[0]), Some("1".into()))],
        ..CrankReport::default()
    };
    world.report(&meet, report);
    let given = world.next();
    let theirs: Vec<_> = slots_of(&given).iter().map(ToString::to_string).collect();
    world.done(&given, vec![subscribe(&theirs[3])]);
    world.idle();
    let restart = world.ticket();
    world.core.restart_vat(restart, alice.0).unwrap();
    world.check();
    let mut rejected = 0;
    let mut started = 0;
    while let Some(dispatch) = world.dispatch() {
        match &dispatch.delivery {
            Delivery::Start { .. } => started += 1,
            Delivery::Notify { resolutions } => {
                assert!(resolutions[0].data.body.contains("[KERNEL:VAT_RESTARTED]"));
                rejected += 1;
            }
            other => panic!("{other:?}"),
        }
        world.done(&dispatch, vec![]);
    }
    assert_eq!((rejected, started), (1, 1));
    assert_eq!(world.answer(restart), Some(Answer::Restarted));
    let keys = world.keys();
    let has = |key: &str| keys.contains(key);
    let kept = format!("c.{}.v.{}", alice.0, slots[0]);
    let released = format!("c.{}.v.{}", alice.0, slots[1]);
    assert!(has(&kept) && !has(&released));
    // Only the durable one still answers; nobody is killed by the attempt.
    for (object, code) in [(0, Some("OBJECT_DELETED")), (1, Some("OBJECT_DELETED")), (2, None)] {
        world.send(bob.1, "use");
        let using = world.next();
        world.done(&using, vec![call(&theirs[object], &[], Some("p+9")), subscribe("p+9")]);
        let next = world.next();
        match (code, &next.delivery) {
            (Some(code), Delivery::Notify { resolutions }) => {
                assert!(resolutions[0].data.body.contains(code));
                world.done(&next, vec![]);
            }
            (None, Delivery::Message { target, .. }) => {
                assert_eq!(*target, vref("o+d11/1"));
                world.done(&next, vec![]);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_boot_delivers_what_was_queued_in_order_after_the_starts() {
    let mut world = World::new();
    let vats = world.launch(&["alice"]);
    world.send(vats[0].1, "one");
    world.send(vats[0].1, "two");
    let one = world.next();
    assert_eq!(method_of(&one), "#[\"one\",[]]");
    world.commit();
    let mut world = world.crash();
    let start = world.next();
    assert!(matches!(start.delivery, Delivery::Start { .. }));
    assert_eq!(start.incarnation, Incarnation(2));
    world.done(&start, vec![]);
    for expected in ["one", "two"] {
        let delivery = world.next();
        assert_eq!(method_of(&delivery), format!("#[\"{expected}\",[]]"));
        world.done(&delivery, vec![fulfil(result_of(&delivery), &[], "#1")]);
    }
    world.idle();
    // Their results are gone: nobody of the last run waits.
    let keys = world.keys();
    assert!(!keys.iter().any(|key| key.starts_with("p.") || key.starts_with("wait.")));
}

#[test]
fn garbage_is_asked_for_from_time_to_time() {
    let mut world = World::new();
    let vats = world.launch(&["alice", "bob"]);
    // Who knows nothing but its own root has nothing to give up.
    assert_eq!(reaps_while_busy(&mut world, vats[1].1), 0);
    world.send_with(vats[1].1, "meet", &[vats[0].1]);
    world.settle_all();
    assert_eq!(reaps_while_busy(&mut world, vats[1].1), 2);
}

fn reaps_while_busy(world: &mut World, root: KRef) -> u64 {
    let mut reaps = 0;
    for _ in 0..2 * limits::REAP_INTERVAL_DELIVERIES + 10 {
        world.send(root, "x");
        while let Some(dispatch) = world.dispatch() {
            let syscalls = match &dispatch.delivery {
                Delivery::BringOutYourDead => {
                    reaps += 1;
                    vec![]
                }
                _ => vec![fulfil(result_of(&dispatch), &[], "#1")],
            };
            world.done(&dispatch, syscalls);
        }
        world.commit();
    }
    reaps
}

#[test]
fn vatstore_writes_belong_to_the_crank() {
    let mut world = World::new();
    let vats = world.launch(&["alice"]);
    let vat = vats[0].0;
    let write = |pairs: &[(&str, Option<&str>)]| CrankReport {
        vatstore: pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.map(str::to_owned)))
            .collect(),
        ..CrankReport::default()
    };
    world.send(vats[0].1, "x");
    let delivery = world.next();
    world.report(&delivery, write(&[("a", Some("1")), ("b", Some("2")), ("c.d", Some("3"))]));
    assert_eq!(world.core.vatstore_get(vat, "b").unwrap().as_deref(), Some("2"));
    world.commit();
    world.send(vats[0].1, "x");
    let delivery = world.next();
    world.report(&delivery, write(&[("b", None)]));
    let keys = |world: &World| {
        let mut keys = Vec::new();
        let mut prior = String::new();
        while let Some(key) = world.core.vatstore_next_key(vat, &prior).unwrap() {
            keys.push(key.clone());
            prior = key;
        }
        keys
    };
    assert_eq!(keys(&world), ["a", "c.d"]);
    // Of a crank that faults nothing is kept.
    world.send(vats[0].1, "x");
    let delivery = world.next();
    world.fault(&delivery, FaultKind::Crash);
    assert_eq!(keys(&world), ["a", "c.d"]);
    // Out of order or impossible: the vat's worker is not to be trusted.
    world.settle_all();
    let ticket = world.send(vats[0].1, "x");
    let delivery = world.next();
    world.report(&delivery, write(&[("b", None), ("a", None)]));
    assert!(world.rejection(ticket).contains("ILLEGAL_SYSCALL"));
}

#[test]
fn too_much_is_refused_without_harm() {
    let mut world = World::new();
    world.checking = false;
    let vats = world.launch(&["alice", "bob"]);
    let ticket = world.send(vats[0].1, "x");
    let delivery = world.next();
    let many = vec![subscribe("p+1"); limits::CRANK_SYSCALLS_MAX + 1];
    world.done(&delivery, many);
    assert!(world.rejection(ticket).contains("[KERNEL:LIMIT_EXCEEDED]"));
    // The host's messages are refused before a vat's are.
    let body = KCapData::without_slots("#[\"x\",[]]");
    let mut refused = None;
    for n in 0..=limits::QUEUE_HOST_ITEMS_MAX {
        let ticket = world.ticket();
        if world.core.send(ticket, vats[1].1, body.clone()).is_err() {
            refused = Some(n);
            break;
        }
    }
    assert_eq!(refused, Some(limits::QUEUE_HOST_ITEMS_MAX));
    world.checking = true;
    world.check();
}
