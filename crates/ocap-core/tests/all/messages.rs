//! Messages and promises: where they go, in which order, and what is left of them.

use ocap_core::api::{Answer, Effect};
use ocap_core::limits;
use ocap_types::KRef;
use ocap_types::crank::{Delivery, Syscall};

use crate::world::*;

#[test]
fn a_trivial_message_leaves_no_row() {
    let mut world = World::new();
    let vats = world.launch(&["alice"]);
    let before = world.keys();
    for _ in 0..5 {
        let ticket = world.send(vats[0].1, "hello");
        let delivery = world.next();
        let result = result_of(&delivery);
        world.done(&delivery, vec![fulfil(result, &[], "#\"hi\"")]);
        let answer = world.answer(ticket);
        assert!(
            matches!(answer, Some(Answer::Settled { rejected: false, data }) if data.body == "#\"hi\"")
        );
    }
    assert_eq!(world.keys(), before);
    // Nor does it when each step is committed by itself.
    let ticket = world.send(vats[0].1, "hello");
    world.commit();
    let delivery = world.next();
    world.commit();
    world.done(&delivery, vec![fulfil(result_of(&delivery), &[], "#\"hi\"")]);
    assert!(world.answer(ticket).is_some());
    assert_eq!(world.keys(), before);
}

#[test]
fn a_trivial_message_writes_next_to_nothing() {
    let mut world = World::new();
    let vats = world.launch(&["alice"]);
    world.commit();
    world.send(vats[0].1, "hello");
    world.settle_all();
    let sealed = world.core.seal().unwrap();
    let keys: Vec<_> = sealed.batch.writes.keys().map(String::as_str).collect();
    // The count of its target went up and down again, and is not among them.
    assert_eq!(keys, ["imports.v1", "next.promise"]);
}

#[test]
fn vats_talk_and_forget() {
    let mut world = World::new();
    let vats = world.launch(&["alice", "bob"]);
    // alice gets bob's root.
    world.send_with(vats[0].1, "meet", &[vats[1].1]);
    let meet = world.next();
    let bob = slots_of(&meet)[0].to_string();
    world.done(&meet, vec![fulfil(result_of(&meet), &[], "#null")]);
    world.commit();
    let before = world.keys();
    world.send(vats[0].1, "ask");
    let ask = world.next();
    world.done(
        &ask,
        vec![call(&bob, &[], Some("p+5")), subscribe("p+5"), fulfil(result_of(&ask), &[], "#null")],
    );
    let asked = world.next();
    assert_eq!(asked.vat, vats[1].0);
    world.done(&asked, vec![fulfil(result_of(&asked), &[], "#7")]);
    let notify = world.next();
    let Delivery::Notify { resolutions } = &notify.delivery else { panic!("{notify:?}") };
    assert_eq!(resolutions.len(), 1);
    assert_eq!(resolutions[0].promise, vref("p+5"));
    assert_eq!(resolutions[0].data.body, "#7");
    world.done(&notify, vec![]);
    world.idle();
    assert_eq!(world.keys(), before);
}

#[test]
fn messages_to_a_promise_wait_and_move_on_in_order() {
    let mut world = World::new();
    let vats = world.launch(&["alice", "bob"]);
    let (alice, bob) = (vats[0].1, vats[1].1);
    // bob gets a promise of alice's and sends to it while it is unresolved.
    world.send_with(alice, "meet", &[bob]);
    let meet = world.next();
    let bob_in_alice = slots_of(&meet)[0].to_string();
    world.done(
        &meet,
        vec![call(&bob_in_alice, &["p+9"], None), fulfil(result_of(&meet), &[], "#null")],
    );
    let given = world.next();
    let promise = slots_of(&given)[0].to_string();
    let one = Syscall::Send {
        target: vref(&promise),
        methargs: data("#[\"one\",[]]", &[]),
        result: None,
    };
    let two = Syscall::Send {
        target: vref(&promise),
        methargs: data("#[\"two\",[]]", &[]),
        result: None,
    };
    world.done(&given, vec![one, two]);
    world.idle();
    world.commit();
    // alice fulfils it with a new object; a later message is behind the parked ones.
    world.send(alice, "now");
    let now = world.next();
    world.done(&now, vec![become_(vref("p+9"), "o+3"), become_(result_of(&now), "o+3")]);
    let object = world.effects.len();
    world.commit();
    let object = world.effects[object..].iter().find_map(|effect| match effect {
        Effect::Answer { answer: Answer::Settled { data, .. }, .. } => data.slots.first().copied(),
        _ => None,
    });
    world.send(object.unwrap(), "three");
    for expected in ["one", "two", "three"] {
        let delivery = world.next();
        assert_eq!(method_of(&delivery), format!("#[\"{expected}\",[]]"));
        world.done(&delivery, vec![]);
    }
}

#[test]
fn pipelined_messages_follow_chains_of_promises() {
    let mut world = World::new();
    let vats = world.launch(&["alice"]);
    let alice = vats[0].1;
    world.send(alice, "first");
    let first = world.next();
    // The result becomes a promise, which becomes another, which becomes the root.
    world.done(
        &first,
        vec![
            call("p+5", &[], None),
            become_(vref("p+5"), "p+6"),
            become_(vref("p+6"), "p+7"),
            become_(result_of(&first), "p+7"),
            become_(vref("p+7"), "o+0"),
        ],
    );
    let delivery = world.next();
    assert!(matches!(delivery.delivery, Delivery::Message { target, .. } if target == vref("o+0")));
    world.done(&delivery, vec![]);
    world.idle();
}

#[test]
fn every_message_that_goes_nowhere_has_its_code() {
    let mut world = World::new();
    let vats = world.launch(&["alice", "bob"]);
    let (alice, bob) = (vats[0], vats[1]);
    // Promises of alice's in the host's hands: a plain value, a rejection, themselves.
    let ticket = world.send(alice.1, "make");
    let make = world.next();
    world.done(&make, vec![fulfil(result_of(&make), &["p+1", "p+2", "p+3", "o+8"], "#[]")]);
    let Some(Answer::Settled { data, .. }) = world.answer(ticket) else { panic!() };
    let [plain, broken, cycle, object] = data.slots[..] else { panic!() };
    let tickets: Vec<_> =
        [plain, broken, cycle].into_iter().map(|kref| world.send(kref, "x")).collect();
    world.send(alice.1, "resolve");
    let resolve = world.next();
    world.done(
        &resolve,
        vec![
            fulfil(vref("p+1"), &[], "#5"),
            Syscall::Resolve {
                resolutions: vec![resolution(vref("p+2"), true, &[], "#\"broken\"")],
            },
            become_(vref("p+3"), "p+3"),
        ],
    );
    world.idle();
    assert!(world.rejection(tickets[0]).contains("[KERNEL:BAD_PROMISE_RESOLUTION]"));
    assert_eq!(world.rejection(tickets[1]), "#\"broken\"");
    assert!(world.rejection(tickets[2]).contains("[KERNEL:BAD_PROMISE_RESOLUTION]"));
    // The same after they have settled.
    let late = world.send(plain, "x");
    world.idle();
    assert!(world.rejection(late).contains("[KERNEL:BAD_PROMISE_RESOLUTION]"));
    // Revoked, also with a message already queued.
    let queued = world.send(object, "x");
    world.core.revoke(object).unwrap();
    assert!(world.core.is_revoked(object).unwrap());
    world.core.revoke(object).unwrap();
    assert!(world.core.revoke(plain).is_err());
    // What never was is none of its business, and does not come to be by it.
    world.core.revoke(KRef::Object(999)).unwrap();
    assert!(!world.core.is_revoked(KRef::Object(999)).unwrap());
    let revoked = world.send(object, "x");
    world.idle();
    assert!(world.rejection(queued).contains("[KERNEL:OBJECT_REVOKED]"));
    assert!(world.rejection(revoked).contains("[KERNEL:OBJECT_REVOKED]"));
    // A vat that is gone, with a message queued; bob holds alice's object.
    world.send_with(bob.1, "keep", &[alice.1]);
    let keep = world.next();
    let alice_in_bob = slots_of(&keep)[0].to_string();
    world.done(&keep, vec![]);
    let queued = world.send(alice.1, "x");
    world.core.terminate_vat(alice.0).unwrap();
    world.idle();
    assert!(world.rejection(queued).contains("[KERNEL:OBJECT_DELETED]"));
    world.send(bob.1, "use");
    let delivery = world.next();
    world.done(&delivery, vec![call(&alice_in_bob, &[], Some("p+1")), subscribe("p+1")]);
    let notify = world.next();
    let Delivery::Notify { resolutions } = &notify.delivery else { panic!() };
    assert!(resolutions[0].rejected);
    assert!(resolutions[0].data.body.contains("[KERNEL:OBJECT_DELETED]"));
    world.done(&notify, vec![]);
    // What does not exist is refused at once.
    let ticket = world.ticket();
    let nothing = ocap_types::KCapData::without_slots("#[\"x\",[]]");
    for kref in [KRef::Object(999), KRef::Promise(999)] {
        assert!(world.core.send(ticket, kref, nothing.clone()).is_err());
    }
}

#[test]
fn notifies_carry_what_has_settled_and_survive_cycles() {
    let mut world = World::new();
    let vats = world.launch(&["alice", "bob"]);
    world.send_with(vats[0].1, "meet", &[vats[1].1]);
    let meet = world.next();
    let bob = slots_of(&meet)[0].to_string();
    world.done(&meet, vec![call(&bob, &["p+1"], None)]);
    let given = world.next();
    let promise = slots_of(&given)[0].to_string();
    world.done(&given, vec![subscribe(&promise)]);
    world.send(vats[0].1, "resolve");
    let resolve = world.next();
    world.done(
        &resolve,
        vec![Syscall::Resolve {
            resolutions: vec![
                resolution(vref("p+1"), false, &["p+2", "p+3"], "#[\"&0\",\"&1\"]"),
                resolution(vref("p+2"), false, &["p+1"], "#[\"&0\"]"),
            ],
        }],
    );
    let notify = world.next();
    let Delivery::Notify { resolutions } = &notify.delivery else { panic!("{notify:?}") };
    assert_eq!(resolutions.len(), 2);
    assert_eq!(resolutions[0].data.slots[0], resolutions[1].promise);
    assert_eq!(resolutions[1].data.slots[0], resolutions[0].promise);
    let open = resolutions[0].data.slots[1].to_string();
    world.done(&notify, vec![subscribe(&open)]);
    // p+3 is still alice's to settle.
    world.send(vats[0].1, "last");
    let last = world.next();
    world.done(&last, vec![fulfil(vref("p+3"), &[], "#3")]);
    let notify = world.next();
    assert_eq!(notify.vat, vats[1].0);
    world.done(&notify, vec![]);
    world.idle();
}

#[test]
fn a_promise_seen_again_after_its_notify_is_notified_again() {
    let mut world = World::new();
    let vats = world.launch(&["alice"]);
    let alice = vats[0].1;
    let ticket = world.send(alice, "make");
    let make = world.next();
    world.done(&make, vec![fulfil(result_of(&make), &["p+1"], "#[\"&0\"]")]);
    let Some(Answer::Settled { data, .. }) = world.answer(ticket) else { panic!() };
    world.send(alice, "resolve");
    let resolve = world.next();
    world.done(&resolve, vec![fulfil(vref("p+1"), &[], "#1")]);
    for _ in 0..2 {
        world.send_with(alice, "again", &data.slots);
        let again = world.next();
        let promise = slots_of(&again)[0].to_string();
        assert!(promise.starts_with("p-"));
        world.done(&again, vec![subscribe(&promise)]);
        let notify = world.next();
        assert!(matches!(notify.delivery, Delivery::Notify { .. }));
        world.done(&notify, vec![]);
    }
}

#[test]
fn objects_are_dropped_and_retired_when_nobody_holds_them() {
    let mut world = World::new();
    let vats = world.launch(&["alice", "bob"]);
    let (alice, bob) = (vats[0].1, vats[1].1);
    let before = world.keys();
    let ticket = world.send(alice, "make");
    let make = world.next();
    world.done(&make, vec![become_(result_of(&make), "o+5")]);
    let Some(Answer::Settled { data, .. }) = world.answer(ticket) else { panic!() };
    let object = data.slots[0];
    world.send_with(bob, "keep", &[object]);
    let keep = world.next();
    let import = slots_of(&keep)[0];
    world.done(&keep, vec![fulfil(result_of(&keep), &[], "#1")]);
    assert!(world.core.release_host_ref(object).unwrap());
    assert!(!world.core.release_host_ref(object).unwrap());
    world.idle();
    // bob drops, so alice is told; bob retires, so alice is told again.
    world.send(bob, "drop");
    let drop = world.next();
    let end = fulfil(result_of(&drop), &[], "#1");
    world.done(&drop, vec![end, Syscall::DropImports { vrefs: vec![import] }]);
    let told = world.next();
    assert_eq!(told.delivery, Delivery::DropExports { vrefs: vec![vref("o+5")] });
    world.done(&told, vec![]);
    world.send(bob, "retire");
    let retire = world.next();
    let end = fulfil(result_of(&retire), &[], "#1");
    world.done(&retire, vec![end, Syscall::RetireImports { vrefs: vec![import] }]);
    let told = world.next();
    assert_eq!(told.delivery, Delivery::RetireExports { vrefs: vec![vref("o+5")] });
    world.done(&told, vec![]);
    world.idle();
    assert_eq!(world.keys(), before);
}

#[test]
fn importers_are_told_when_an_export_is_retired() {
    let mut world = World::new();
    let vats = world.launch(&["alice", "bob"]);
    let (alice, bob) = (vats[0].1, vats[1].1);
    world.send_with(alice, "meet", &[bob]);
    let meet = world.next();
    let bob_in_alice = slots_of(&meet)[0].to_string();
    world.done(&meet, vec![call(&bob_in_alice, &["o+5"], None)]);
    let keep = world.next();
    let import = slots_of(&keep)[0];
    world.done(&keep, vec![Syscall::DropImports { vrefs: vec![import] }]);
    let told = world.next();
    assert_eq!(told.delivery, Delivery::DropExports { vrefs: vec![vref("o+5")] });
    world.done(&told, vec![Syscall::RetireExports { vrefs: vec![vref("o+5")] }]);
    let told = world.next();
    assert_eq!(told.vat, vats[1].0);
    assert_eq!(told.delivery, Delivery::RetireImports { vrefs: vec![import] });
    world.done(&told, vec![]);
    world.idle();
}

#[test]
fn services_are_called_after_the_commit_and_their_answers_come_back() {
    let mut world = World::new();
    let vats = world.launch(&["alice"]);
    let before = world.keys();
    let ticket = world.send_with(KRef::Object(1), "issue", &[vats[0].1]);
    world.idle();
    world.commit();
    let Some(Effect::ServiceCall { call, service, methargs, caller, .. }) = world.effects.pop()
    else {
        panic!()
    };
    assert_eq!((service.as_str(), caller), ("ocapURLIssuerService", None));
    assert_eq!(methargs.slots, [vats[0].1]);
    let value = ocap_types::KCapData::without_slots("#\"ocap:x\"");
    world.core.service_done(call, Ok(value.clone())).unwrap();
    world.core.service_done(call, Err("late".into())).unwrap();
    world.check();
    assert_eq!(world.answer(ticket), Some(Answer::Settled { rejected: false, data: value }));
    // A failure, and an answer that names what does not exist.
    for result in [
        Err("no luck".to_owned()),
        Ok(ocap_types::KCapData { body: "#\"$0\"".into(), slots: vec![KRef::Object(999)] }),
    ] {
        let ticket = world.send(KRef::Object(1), "issue");
        world.idle();
        world.commit();
        let Some(Effect::ServiceCall { call, .. }) = world.effects.pop() else { panic!() };
        world.core.service_done(call, result).unwrap();
        world.check();
        assert!(world.rejection(ticket).contains("[KERNEL:DELIVERY_FAILED]"));
    }
    assert_eq!(world.keys(), before);
}

#[test]
fn a_notify_has_a_limit_and_what_is_beyond_it_can_still_be_learned() {
    let mut world = World::new();
    let vats = world.launch(&["alice", "bob"]);
    world.send_with(vats[0].1, "meet", &[vats[1].1]);
    let meet = world.next();
    let bob = slots_of(&meet)[0].to_string();
    world.done(&meet, vec![call(&bob, &["p+1"], None)]);
    let given = world.next();
    let promise = slots_of(&given)[0].to_string();
    world.done(&given, vec![subscribe(&promise)]);
    // One promise whose value is more promises than a notify holds, all settled.
    let many = u64::try_from(limits::NOTIFY_BATCH_MAX).unwrap() + 50;
    let names: Vec<String> = (0..many).map(|n| format!("p+{}", 10 + n)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut resolutions = vec![resolution(vref("p+1"), false, &names, "#[]")];
    resolutions.extend(names.iter().map(|name| resolution(vref(name), false, &[], "#1")));
    world.send(vats[0].1, "resolve");
    let resolve = world.next();
    world.done(&resolve, vec![Syscall::Resolve { resolutions }]);
    let notify = world.next();
    let Delivery::Notify { resolutions } = &notify.delivery else { panic!("{notify:?}") };
    assert_eq!(resolutions.len(), limits::NOTIFY_BATCH_MAX);
    let last = resolutions[0].data.slots.last().unwrap().to_string();
    world.done(&notify, vec![subscribe(&last)]);
    let notify = world.next();
    let Delivery::Notify { resolutions } = &notify.delivery else { panic!("{notify:?}") };
    assert_eq!((resolutions.len(), resolutions[0].promise), (1, vref(&last)));
    world.done(&notify, vec![]);
    world.idle();
}

#[test]
fn a_long_chain_of_promises_counts_as_a_cycle() {
    let mut world = World::new();
    let vats = world.launch(&["alice"]);
    let ticket = world.send(vats[0].1, "make");
    let make = world.next();
    let length = u64::try_from(limits::PROMISE_CHAIN_MAX).unwrap() + 1;
    let mut syscalls = vec![fulfil(result_of(&make), &["p+1"], "#[]")];
    // Each becomes the next, which exists already: from the end to the start.
    let resolutions = (1..=length)
        .map(|n| resolution(vref(&format!("p+{n}")), false, &[&format!("p+{}", n + 1)], "#\"&0\""))
        .collect();
    syscalls.push(Syscall::Resolve { resolutions });
    world.done(&make, syscalls);
    let Some(Answer::Settled { data, .. }) = world.answer(ticket) else { panic!() };
    let ticket = world.send(data.slots[0], "x");
    world.idle();
    assert!(world.rejection(ticket).contains("[KERNEL:BAD_PROMISE_RESOLUTION]"));
}

#[test]
fn promises_that_only_hold_each_other_are_deleted() {
    let mut world = World::new();
    let vats = world.launch(&["alice", "bob"]);
    let before = world.keys();
    world.send(vats[0].1, "knot");
    let knot = world.next();
    // One that holds itself, two that hold each other, one that hangs on them, one object.
    let resolutions = vec![
        resolution(vref("p+1"), false, &["p+1"], "#[\"&0\"]"),
        resolution(vref("p+2"), false, &["p+3", "p+3", "p+4"], "#[\"&0\",\"&1\",\"&2\"]"),
        resolution(vref("p+3"), true, &["p+2", "o+5"], "#[\"&0\",\"$1\"]"),
        resolution(vref("p+4"), false, &["o+0"], "#\"$0\""),
        resolution(result_of(&knot), false, &["p+2"], "#[\"&0\"]"),
    ];
    world.done(&knot, vec![Syscall::Resolve { resolutions }]);
    world.commit();
    // The host holds the knot by one end; what it does not hold is gone.
    let held = world.core.host_refs().unwrap();
    assert_eq!(held.len(), 1);
    let keys = world.keys();
    assert_eq!(keys.iter().filter(|key| key.starts_with("p.")).count(), 3);
    let ticket = world.send(held[0], "x");
    world.idle();
    assert!(world.rejection(ticket).contains("BAD_PROMISE_RESOLUTION"));
    assert!(world.core.release_host_ref(held[0]).unwrap());
    world.settle_all();
    assert_eq!(world.keys(), before);
}

#[test]
fn what_a_vat_had_not_heard_when_it_ended_it_is_told_again() {
    let mut world = World::new();
    let vats = world.launch(&["alice"]);
    let ticket = world.send(vats[0].1, "make");
    let make = world.next();
    world.done(&make, vec![fulfil(result_of(&make), &["o+d9/1", "o+5"], "#[]")]);
    let Some(Answer::Settled { data, .. }) = world.answer(ticket) else { panic!() };
    for slot in data.slots {
        world.core.release_host_ref(slot).unwrap();
    }
    let both = vec![vref("o+5"), vref("o+d9/1")];
    let durable = vec![vref("o+d9/1")];
    let told = world.next();
    assert_eq!(told.delivery, Delivery::DropExports { vrefs: both });
    world.commit();
    let mut world = world.crash();
    let start = world.next();
    assert!(matches!(start.delivery, Delivery::Start { .. }));
    world.done(&start, vec![]);
    let told = world.next();
    assert_eq!(told.delivery, Delivery::DropExports { vrefs: durable.clone() });
    world.done(&told, vec![]);
    let told = world.next();
    assert_eq!(told.delivery, Delivery::RetireExports { vrefs: durable.clone() });
    world.commit();
    let mut world = world.crash();
    let start = world.next();
    world.done(&start, vec![]);
    let told = world.next();
    assert_eq!(told.delivery, Delivery::RetireExports { vrefs: durable });
    world.done(&told, vec![]);
    world.idle();
    assert!(!world.keys().iter().any(|key| key.starts_with("gc.") || key.starts_with("w.")));
}

#[test]
fn what_a_vat_faulted_over_it_is_told_once_more() {
    let mut world = World::new();
    let vats = world.launch(&["alice"]);
    let ticket = world.send(vats[0].1, "make");
    let make = world.next();
    world.done(&make, vec![fulfil(result_of(&make), &["o+d9/1"], "#[]")]);
    let Some(Answer::Settled { data, .. }) = world.answer(ticket) else { panic!() };
    world.core.release_host_ref(data.slots[0]).unwrap();
    let vrefs = vec![vref("o+d9/1")];
    for expected in
        [Delivery::DropExports { vrefs: vrefs.clone() }, Delivery::RetireExports { vrefs }]
    {
        for _ in 0..2 {
            let told = world.next();
            assert_eq!(told.delivery, expected);
            world.fault(&told, ocap_types::crank::FaultKind::Crash);
            let start = world.next();
            assert!(matches!(start.delivery, Delivery::Start { .. }));
            world.done(&start, vec![]);
        }
    }
    // It would fault over it for ever.
    world.idle();
    assert!(!world.keys().iter().any(|key| key.starts_with("gc.") || key.starts_with("w.")));
}

#[test]
fn a_message_that_waits_for_its_own_result_is_rejected() {
    let mut world = World::new();
    let vats = world.launch(&["alice"]);
    let before = world.keys();
    // To the promise that is its result.
    let ticket = world.send(vats[0].1, "twist");
    let twist = world.next();
    let result = result_of(&twist).to_string();
    world.done(&twist, vec![call(&result, &[], Some(&result)), subscribe(&result)]);
    let told = world.next();
    world.done(&told, vec![]);
    let Some(Answer::Settled { rejected: true, data }) = world.answer(ticket) else {
        panic!("not told")
    };
    assert!(data.body.contains("waits for its own result"), "{}", data.body);
    assert_eq!(world.keys(), before);
    // Round a corner, and because of what a promise turns out to be.
    let long = vec![call("p+6", &[], Some("p+5")), call("p+5", &[], Some("p+6")), subscribe("p+5")];
    let moved = vec![call("p+5", &[], Some("p+6")), become_(vref("p+5"), "p+6")];
    for knot in [long, moved] {
        let ticket = world.send(vats[0].1, "twist");
        let twist = world.next();
        let result = result_of(&twist);
        let told = subscribe("p+6");
        world.done(&twist, [knot, vec![told, fulfil(result, &[], "#null")]].concat());
        let mut notified = false;
        while let Some(dispatch) = world.core.dispatch().unwrap() {
            let Delivery::Notify { resolutions } = &dispatch.delivery else {
                panic!("{dispatch:?}")
            };
            notified |= resolutions.iter().any(|one| one.rejected);
            world.done(&dispatch, vec![]);
        }
        assert!(notified);
        assert!(world.answer(ticket).is_some());
        assert_eq!(world.keys(), before);
    }
}
