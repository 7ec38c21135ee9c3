//! What is told of references, who may pass them on, and what is observed of messages.

use ocap_core::api::{Holder, MethodName, Nature, Observation, Owner, Subject};
use ocap_types::crank::{FaultKind, Syscall};
use ocap_types::{KCapData, KRef, VRef};

use crate::world::*;

#[test]
fn a_reference_is_told_with_whoever_holds_it() {
    let mut world = World::new();
    let vats = world.launch(&["alice", "bob"]);
    let ((alice_id, alice), (bob_id, bob)) = (vats[0], vats[1]);
    let root = world.core.inspect(bob).unwrap().unwrap();
    let owner = Owner::Vat {
        id: bob_id,
        name: Some("bob".into()),
        subcluster_id: Some("s1".parse().unwrap()),
        vref: Some(VRef::ROOT),
    };
    assert_eq!(
        root.nature,
        Nature::Object { owner: Some(owner), reachable: 2, recognizable: 2, revoked: false }
    );
    // Held as a root, and by the vat whose bootstrap was given all roots.
    let import = Holder::Vat {
        id: alice_id,
        name: Some("alice".into()),
        vref: vref("o-1"),
        reachable: true,
    };
    assert_eq!((&root.holders[..], root.partial), (&[Holder::Kernel, import.clone()][..], false));
    // A queued message holds its target, its result and its arguments.
    world.send_with(alice, "meet", &[bob]);
    let root = world.core.inspect(bob).unwrap().unwrap();
    let queued = Holder::Queue { of: Some(alice_id), r#as: "argument" };
    assert_eq!(root.holders, [Holder::Kernel, import.clone(), queued]);
    let meet = world.next();
    world.done(&meet, vec![become_(result_of(&meet), "o+3")]);
    let root = world.core.inspect(bob).unwrap().unwrap();
    assert_eq!(root.holders, [Holder::Kernel, import]);
    // What an answer mentioned is the host's.
    let held = world.core.host_refs().unwrap();
    let object = world.core.inspect(held[0]).unwrap().unwrap();
    assert_eq!(object.holders, [Holder::Host]);
    assert_eq!(world.core.inspect(KRef::Object(999)).unwrap(), None);
    assert_eq!(world.core.inspect(KRef::Promise(999)).unwrap(), None);
}

#[test]
fn a_promise_is_told_with_its_state_and_what_it_says_it_is() {
    let mut world = World::new();
    let vats = world.launch(&["alice", "bob"]);
    let ((alice_id, alice), (bob_id, bob)) = (vats[0], vats[1]);
    world.send_with(alice, "meet", &[bob]);
    let meet = world.next();
    let name = slots_of(&meet)[0].to_string();
    // A promise of alice's goes to bob, who subscribes; alice keeps it unresolved.
    world.done(&meet, vec![call(&name, &["p+9"], None), fulfil(result_of(&meet), &[], "#null")]);
    let given = world.next();
    let told = slots_of(&given)[0].to_string();
    world.done(&given, vec![subscribe(&told)]);
    let number = (1..100).map(KRef::Promise).find(|kref| {
        let found = world.core.inspect(*kref).unwrap();
        matches!(found.map(|found| found.nature), Some(Nature::Promise { .. }))
    });
    let kref = number.unwrap();
    let Some(found) = world.core.inspect(kref).unwrap() else { panic!() };
    let Nature::Promise { state, decider, subscribers, value, .. } = found.nature else { panic!() };
    assert_eq!((state, subscribers, value), ("unresolved", vec![bob_id], None));
    assert!(matches!(decider, Some(Owner::Vat { id, .. }) if id == alice_id), "{decider:?}");
    let holders: Vec<_> = found
        .holders
        .iter()
        .map(|holder| match holder {
            Holder::Vat { id, .. } => *id,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(holders, [alice_id, bob_id]);
    world.send(alice, "now");
    let now = world.next();
    let value = fulfil(vref("p+9"), &["o+3"], "#[\"$0.Alleged: thing\"]");
    world.done(&now, vec![value, become_(result_of(&now), "o+3")]);
    let Some(found) = world.core.inspect(kref).unwrap() else { panic!() };
    let Nature::Promise { state: "fulfilled", value: Some(value), .. } = found.nature else {
        panic!("{found:?}")
    };
    let thing = world.core.inspect(value.slots[0]).unwrap().unwrap();
    assert_eq!(thing.iface.as_deref(), Some("Alleged: thing"));
    assert!(thing.holders.contains(&Holder::Value { of: kref }), "{:?}", thing.holders);
}

#[test]
fn a_client_passes_on_what_the_host_holds_and_nothing_else() {
    let mut world = World::new();
    let vats = world.launch(&["alice", "bob"]);
    let (alice, bob) = (vats[0].1, vats[1].1);
    world.send(alice, "make");
    let make = world.next();
    // One object goes to the host, another to bob only.
    world.done(&make, vec![become_(result_of(&make), "o+3")]);
    world.commit();
    let held = world.core.host_refs().unwrap()[0];
    let passing = |slot: KRef| KCapData { body: "#[\"m\",[\"$0\"]]".into(), slots: vec![slot] };
    for fine in [held, bob] {
        let ticket = world.ticket();
        world.core.send_held(ticket, alice, passing(fine)).unwrap();
        world.settle_all();
    }
    let before = world.keys();
    // The facet is a service, and the third is not there at all.
    for wrong in [KRef::Object(3), KRef::Object(999), KRef::Promise(999)] {
        let ticket = world.ticket();
        let refused = world.core.send_held(ticket, alice, passing(wrong)).unwrap_err();
        assert!(refused.to_string().contains("is not held by the host"), "{refused}");
    }
    world.check();
    assert_eq!(before, world.keys());
    assert!(world.core.release_host_ref(held).unwrap());
    let ticket = world.ticket();
    assert!(world.core.send_held(ticket, alice, passing(held)).is_err());
    world.check();
}

#[test]
fn what_is_observed_is_what_counts() {
    let mut world = World::new();
    let vats = world.launch(&["alice", "bob"]);
    let ((alice_id, alice), (_, bob)) = (vats[0], vats[1]);
    assert!(!world.core.has_observations());
    world.core.set_observed(true);
    world.send_with(alice, "meet", &[bob]);
    let seen: Vec<_> = world.core.take_observations().collect();
    let [Observation::Sent { target, result: Some(result), method }] = seen[..] else {
        panic!("{seen:?}")
    };
    assert_eq!((target, method.as_str()), (alice, "meet"));
    let meet = world.next();
    let subject = Subject::Message { target: alice, result: Some(result) };
    assert_eq!(world.core.subject(alice_id, meet.crank), Some(subject));
    let name = slots_of(&meet)[0].to_string();
    world.done(&meet, vec![call(&name, &[], None), fulfil(result_of(&meet), &[], "#7")]);
    let seen: Vec<_> = world.core.take_observations().collect();
    let [Observation::Sent { target, result: None, .. }, settled] = seen[..] else {
        panic!("{seen:?}")
    };
    assert_eq!(target, bob);
    assert_eq!(settled, Observation::Settled { promise: result, rejected: false });
    // Of a crank that is undone only what the kernel itself did stays.
    world.settle_all();
    world.core.take_observations();
    world.send(alice, "again");
    let again = world.next();
    let illegal = Syscall::Subscribe { promise: vref("p-99") };
    world.done(&again, vec![call(&name, &[], None), illegal]);
    let seen: Vec<_> = world.core.take_observations().collect();
    let sent = seen.iter().filter(|seen| matches!(seen, Observation::Sent { .. })).count();
    assert_eq!(sent, 1, "{seen:?}");
    assert!(seen.iter().any(|seen| matches!(seen, Observation::Settled { rejected: true, .. })));
    // A fault likewise.
    world.send(bob, "spin");
    world.core.take_observations();
    let spin = world.next();
    world.fault(&spin, FaultKind::Overrun);
    let seen: Vec<_> = world.core.take_observations().collect();
    assert!(matches!(seen[..], [Observation::Settled { rejected: true, .. }]), "{seen:?}");
    world.core.set_observed(false);
    world.send(bob, "quiet");
    assert!(!world.core.has_observations());
    let empty = MethodName::of(&KCapData::without_slots("#null"));
    assert_eq!(empty.as_str(), "");
}
