//! Requests that happen once, however often they are sent.

use ocap_core::api::{Answer, CoreError, Once, Ticket};
use ocap_core::limits;
use ocap_types::crank::{Delivery, FaultKind, Syscall};
use ocap_types::{KCapData, KRef};

use crate::world::*;

fn once(key: &str) -> Once {
    Once { key: key.to_owned(), digest: "d".to_owned() }
}

fn greeting(slots: &[KRef]) -> KCapData {
    KCapData { body: "#[\"greet\",[]]".to_owned(), slots: slots.to_vec() }
}

fn send(world: &mut World, target: KRef, key: &str) -> Ticket {
    let ticket = world.ticket();
    world.core.send_once(ticket, target, greeting(&[]), &once(key)).unwrap();
    world.check();
    ticket
}

fn launch(world: &mut World, key: &str) -> Ticket {
    let ticket = world.ticket();
    world.core.launch_once(ticket, launch_of(cluster(&["alice"])), &once(key)).unwrap();
    world.check();
    ticket
}

/// The kernel dies, comes back, and its one vat has started.
fn restarted(world: World) -> World {
    let mut world = world.crash();
    let start = world.next();
    world.done(&start, vec![]);
    world
}

fn body(answer: Option<Answer>) -> String {
    match answer {
        Some(Answer::Settled { rejected: false, data }) => data.body,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_message_sent_again_is_delivered_once_and_answered_every_time() {
    let mut world = World::new();
    let alice = world.launch(&["alice"])[0].1;
    let first = send(&mut world, alice, "k");
    let joined = send(&mut world, alice, "k");
    let delivery = world.next();
    world.idle();
    assert_eq!((world.answer(first), world.answer(joined)), (None, None));
    world.done(&delivery, vec![fulfil(result_of(&delivery), &[], "#\"hi\"")]);
    assert_eq!(body(world.answer(first)), "#\"hi\"");
    assert_eq!(body(world.answer(joined)), "#\"hi\"");
    for _ in 0..2 {
        let late = send(&mut world, alice, "k");
        world.idle();
        assert_eq!(body(world.answer(late)), "#\"hi\"");
    }
    // Another key is another message; the same key for something else is refused.
    send(&mut world, alice, "l");
    assert!(matches!(world.next().delivery, Delivery::Message { .. }));
    let ticket = world.ticket();
    let other = Once { digest: "e".to_owned(), ..once("k") };
    let refused = world.core.send_once(ticket, alice, greeting(&[]), &other);
    assert!(matches!(&refused, Err(CoreError::Invalid(text)) if text.contains("another request")));
    assert!(matches!(world.core.join(ticket, &other), Err(CoreError::Invalid(_))));
    assert!(matches!(world.core.join(ticket, &once("m")), Err(CoreError::NotRemembered)));
    world.check();
}

#[test]
fn a_crash_forgets_no_message_that_was_accepted() {
    let mut world = World::new();
    let alice = world.launch(&["alice"])[0].1;
    send(&mut world, alice, "queued");
    world.commit();
    let mut world = restarted(world);
    // It is still queued, and whoever asks again waits for the same.
    let again = send(&mut world, alice, "queued");
    let delivery = world.next();
    world.idle();
    world.done(&delivery, vec![fulfil(result_of(&delivery), &[], "#\"hi\"")]);
    assert_eq!(body(world.answer(again)), "#\"hi\"");
    let mut world = restarted(world);
    let again = send(&mut world, alice, "queued");
    world.idle();
    assert_eq!(body(world.answer(again)), "#\"hi\"");
}

#[test]
fn a_message_that_was_not_committed_was_not_accepted() {
    let mut world = World::new();
    let alice = world.launch(&["alice"])[0].1;
    world.commit();
    send(&mut world, alice, "k");
    let mut world = restarted(world);
    let ticket = world.ticket();
    assert!(matches!(world.core.join(ticket, &once("k")), Err(CoreError::NotRemembered)));
    let again = send(&mut world, alice, "k");
    let delivery = world.next();
    world.done(&delivery, vec![fulfil(result_of(&delivery), &[], "#\"hi\"")]);
    assert_eq!(body(world.answer(again)), "#\"hi\"");
}

#[test]
fn a_rejection_is_an_outcome_too() {
    let mut world = World::new();
    let alice = world.launch(&["alice"])[0].1;
    let first = send(&mut world, alice, "k");
    let delivery = world.next();
    let no = resolution(result_of(&delivery), true, &[], "#\"no\"");
    world.done(&delivery, vec![Syscall::Resolve { resolutions: vec![no] }]);
    assert_eq!(world.rejection(first), "#\"no\"");
    let again = send(&mut world, alice, "k");
    world.idle();
    assert_eq!(world.rejection(again), "#\"no\"");
}

#[test]
fn a_launch_asked_for_again_happens_once() {
    let mut world = World::new();
    let first = launch(&mut world, "k");
    let joined = launch(&mut world, "k");
    assert_eq!(world.core.status().unwrap().subclusters.len(), 1);
    let start = world.next();
    world.done(&start, vec![]);
    let bootstrap = world.next();
    let third = launch(&mut world, "k");
    world.done(&bootstrap, vec![become_(result_of(&bootstrap), "o+1")]);
    let answer = world.answer(first);
    assert!(matches!(answer, Some(Answer::Launched { .. })), "{answer:?}");
    assert_eq!(world.answer(joined), answer);
    assert_eq!(world.answer(third), answer);
    // It remembers what bootstrap returned, even if the host lets go of that, and over a crash.
    for kref in world.core.host_refs().unwrap() {
        world.core.release_host_ref(kref).unwrap();
        world.check();
    }
    world.commit();
    let mut world = world.crash();
    let again = launch(&mut world, "k");
    assert_eq!(world.answer(again), answer);
    assert_eq!(world.core.host_refs().unwrap().len(), 1);
    assert_eq!(world.core.status().unwrap().subclusters.len(), 1);
}

#[test]
fn a_launch_that_is_undone_can_be_tried_again() {
    let mut world = World::new();
    let before = world.keys();
    let first = launch(&mut world, "k");
    let joined = launch(&mut world, "k");
    let start = world.next();
    world.fault(&start, FaultKind::Crash);
    for ticket in [first, joined] {
        let answer = world.answer(ticket);
        assert!(matches!(answer, Some(Answer::Failed { .. })), "{answer:?}");
    }
    assert_eq!(world.keys(), before);
    // Undone by a crash, or by somebody who ends it.
    launch(&mut world, "k");
    world.commit();
    let mut world = world.crash();
    let ticket = world.ticket();
    assert!(matches!(world.core.join(ticket, &once("k")), Err(CoreError::NotRemembered)));
    let again = launch(&mut world, "k");
    let id = world.core.status().unwrap().subclusters[0].id;
    world.core.terminate_subcluster(id).unwrap();
    world.check();
    assert!(matches!(world.answer(again), Some(Answer::Failed { .. })));
    let again = launch(&mut world, "k");
    world.settle_all();
    assert!(matches!(world.answer(again), Some(Answer::Launched { .. })));
}

#[test]
fn requests_are_forgotten_after_a_day() {
    let mut world = World::new();
    let alice = world.launch(&["alice"])[0].1;
    let before = world.keys();
    world.core.set_time(1_000);
    for key in ["k", "l", "m"] {
        send(&mut world, alice, key);
    }
    world.settle_all();
    world.core.set_time(1_000 + limits::RECEIPT_MS_MAX);
    let known = send(&mut world, alice, "k");
    world.idle();
    assert!(world.answer(known).is_some());
    world.core.set_time(1_001 + limits::RECEIPT_MS_MAX);
    let anew = send(&mut world, alice, "k");
    assert!(matches!(world.next().delivery, Delivery::Message { .. }));
    assert_eq!(world.answer(anew), None);
    // The others went with it.
    let left: Vec<_> = world.keys().difference(&before).cloned().collect();
    assert!(left.iter().any(|key| key == "once.k"), "{left:?}");
    assert!(!left.iter().any(|key| key.contains(".l") || key.contains(".m")), "{left:?}");
}

#[test]
fn the_oldest_request_is_forgotten_when_there_are_too_many() {
    let mut world = World::new();
    world.checking = false;
    let alice = world.launch(&["alice"])[0].1;
    launch(&mut world, "oldest");
    for n in 0..limits::RECEIPTS_MAX {
        world.core.set_time(10 + n);
        send(&mut world, alice, &n.to_string());
        world.settle_all();
    }
    let ticket = world.ticket();
    assert!(matches!(world.core.join(ticket, &once("oldest")), Err(CoreError::NotRemembered)));
    world.core.join(ticket, &once("0")).unwrap();
    world.checking = true;
    world.check();
    world.core.reset().unwrap();
    world.check();
    assert!(matches!(world.core.join(ticket, &once("0")), Err(CoreError::NotRemembered)));
}

#[test]
fn requests_are_forgotten_in_time_without_another_one() {
    let mut world = World::new();
    let alice = world.launch(&["alice"])[0].1;
    let before = world.keys();
    world.core.set_time(1_000);
    for n in 0..20 {
        send(&mut world, alice, &n.to_string());
    }
    world.settle_all();
    world.commit();
    let mut world = restarted(world);
    world.settle_all();
    world.core.set_time(1_000 + limits::RECEIPT_MS_MAX);
    world.core.ring().unwrap();
    assert!(world.keys().len() > before.len() + 20);
    world.core.set_time(1_001 + limits::RECEIPT_MS_MAX);
    for _ in 0..20 {
        world.core.ring().unwrap();
        world.check();
    }
    assert_eq!(world.keys(), before);
}
