//! Several deliveries at one vat at once: what may be handed out behind what, and what becomes of
//! those behind one that fails.

use ocap_core::api::CoreError;
use ocap_types::crank::{CrankReport, Delivery, FaultKind, Outcome, Syscall};

use crate::world::{World, become_, call, fulfil, method_of, result_of, slots_of, subscribe, vref};

#[test]
fn messages_are_handed_out_together_and_settled_in_order() {
    let mut world = World::new();
    let alice = world.launch(&["alice"])[0].1;
    for method in ["one", "two", "three"] {
        world.send(alice, method);
    }
    let all = [world.next(), world.next(), world.next()];
    world.idle();
    let methods: Vec<_> = all.iter().map(method_of).collect();
    assert_eq!(methods, ["#[\"one\",[]]", "#[\"two\",[]]", "#[\"three\",[]]"]);
    let early = world.core.settle(all[1].crank, Outcome::Done(CrankReport::default()));
    assert!(matches!(early, Err(CoreError::Invalid(_))));
    for dispatch in &all {
        world.done(dispatch, vec![fulfil(result_of(dispatch), &[], "#null")]);
    }
    world.idle();
}

#[test]
fn what_is_behind_a_failed_crank_is_delivered_to_the_next_incarnation() {
    let mut world = World::new();
    let alice = world.launch(&["alice"])[0].1;
    for method in ["bad", "good", "better"] {
        world.send(alice, method);
    }
    let (bad, good) = (world.next(), world.next());
    world.fault(&bad, FaultKind::Crash);
    // It was never done, whatever its worker says of it.
    world.done(&good, vec![fulfil(result_of(&good), &[], "#null")]);
    let start = world.next();
    assert!(matches!(start.delivery, Delivery::Start { .. }));
    world.idle();
    world.done(&start, vec![]);
    let (good, better) = (world.next(), world.next());
    assert_eq!(method_of(&good), "#[\"good\",[]]");
    assert_eq!(method_of(&better), "#[\"better\",[]]");
}

/// The vat may settle the promise in the crank before, and forget what it called it.
#[test]
fn a_promise_the_vat_is_about_to_decide_is_not_mentioned_behind_its_back() {
    let mut world = World::new();
    let vats = world.launch(&["alice", "bob"]);
    let (alice, bob) = (vats[0].1, vats[1].1);
    // bob asks alice, and passes the promise of the answer on to her.
    world.send_with(bob, "go", &[alice]);
    let go = world.next();
    let to = slots_of(&go)[0].to_string();
    let asks = vec![call(&to, &[], Some("p+5")), call(&to, &["p+5"], None)];
    world.done(&go, asks);
    let ask = world.next();
    world.idle();
    let known = result_of(&ask);
    world.done(&ask, vec![fulfil(known, &[], "#7")]);
    let tell = world.next();
    assert_ne!(slots_of(&tell)[0], known, "the vat has forgotten that name");
    // Like a vat that sees a new promise.
    let seen = slots_of(&tell)[0].to_string();
    world.done(&tell, vec![subscribe(&seen)]);
    let notify = world.next();
    assert!(matches!(notify.delivery, Delivery::Notify { .. }));
    world.done(&notify, vec![]);
}

/// The same for a promise that an earlier notify in flight makes the vat forget.
#[test]
fn a_promise_the_vat_is_being_told_of_is_not_mentioned_behind_its_back() {
    let mut world = World::new();
    let vats = world.launch(&["alice", "bob"]);
    let (alice, bob) = (vats[0].1, vats[1].1);
    world.send_with(alice, "go", &[bob]);
    let go = world.next();
    let to = slots_of(&go)[0].to_string();
    world.done(&go, vec![call(&to, &["p+4"], None)]);
    let given = world.next();
    let name = slots_of(&given)[0].to_string();
    world.done(&given, vec![subscribe(&name)]);
    world.send_with(alice, "now", &[bob]);
    let now = world.next();
    // The promise is settled, and mentioned again in a message right behind the notify.
    let first = slots_of(&now)[0].to_string();
    let again = call(&first, &["p+6"], None);
    world.done(
        &now,
        vec![fulfil(vref("p+4"), &["o+1"], "#\"$0\""), become_(vref("p+6"), "o+1"), again],
    );
    let notify = world.next();
    assert!(matches!(notify.delivery, Delivery::Notify { .. }));
    let fresh = world.next();
    assert_ne!(slots_of(&fresh)[0], vref(&name));
    world.done(&notify, vec![]);
    world.done(&fresh, vec![]);
}

/// What a vat gives up before it gets to a delivery that mentions it, it has again then.
#[test]
fn an_import_on_its_way_is_not_given_up() {
    let mut world = World::new();
    let vats = world.launch(&["alice", "bob"]);
    let (alice, bob) = (vats[0].1, vats[1].1);
    world.send_with(alice, "one", &[bob]);
    let one = world.next();
    let import = slots_of(&one)[0];
    world.done(&one, vec![]);
    world.send(alice, "two");
    world.send_with(alice, "three", &[bob]);
    let (two, three) = (world.next(), world.next());
    assert_eq!(slots_of(&three)[0], import);
    let vrefs = vec![import];
    let gone =
        vec![Syscall::DropImports { vrefs: vrefs.clone() }, Syscall::RetireImports { vrefs }];
    world.done(&two, gone);
    let import = import.to_string();
    world.done(&three, vec![call(&import, &[], None)]);
    let called = world.next();
    assert_eq!(called.vat, vats[1].0);
}

/// Collection is for a vat that does nothing else.
#[test]
fn nothing_is_handed_out_behind_a_start() {
    let mut world = World::new();
    let vats = world.launch(&["alice"]);
    let ticket = world.ticket();
    world.core.restart_vat(ticket, vats[0].0).unwrap();
    world.send(vats[0].1, "soon");
    let start = world.next();
    assert!(matches!(start.delivery, Delivery::Start { .. }));
    world.idle();
    world.done(&start, vec![]);
    assert_eq!(method_of(&world.next()), "#[\"soon\",[]]");
}
