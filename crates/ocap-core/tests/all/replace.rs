//! Other code for a vat that lives: it has the old code or the new, whatever happens in between.

use std::sync::Arc;

use ocap_core::api::{Answer, CodeHash, Dispatch, Ticket, VatCondition};
use ocap_types::VatId;
use ocap_types::crank::{CrankReport, Delivery, FaultKind};

use crate::world::*;

fn replace(world: &mut World, vat: VatId, hash: &str) -> Ticket {
    let ticket = world.ticket();
    let code = (CodeHash(hash.into()), Arc::from(format!("text of {hash}")));
    world.core.replace_code(ticket, vat, code).unwrap();
    world.check();
    ticket
}

/// The start that comes next, and the code it is to run.
#[track_caller]
fn start(world: &mut World) -> (Dispatch, String) {
    let start = world.next();
    assert!(matches!(start.delivery, Delivery::Start { .. }), "{start:?}");
    let hash = start.start.clone().unwrap().code;
    (start, hash.0)
}

fn fail(world: &mut World, start: &Dispatch) {
    let report = CrankReport { error: Some("new and bad".into()), ..CrankReport::default() };
    world.report(start, report);
}

fn codes(world: &mut World) -> Vec<String> {
    let keys = world.keys();
    keys.iter().filter_map(|key| key.strip_prefix("code.")).map(str::to_owned).collect()
}

#[test]
fn a_vat_goes_on_with_new_code_and_all_it_has_stored() {
    let mut world = World::new();
    let (alice, root) = world.launch(&["alice"])[0];
    let sent = world.send(root, "remember");
    let message = world.next();
    let vatstore = vec![("baggage".to_owned(), Some("kept".to_owned()))];
    let syscalls = vec![fulfil(result_of(&message), &[], "1")];
    world.report(&message, CrankReport { syscalls, vatstore, ..CrankReport::default() });
    assert!(world.answer(sent).is_some());
    let ticket = replace(&mut world, alice, "new");
    // Until it has started, both are there.
    assert_eq!(codes(&mut world), ["c0dealice", "new"]);
    let (started, code) = start(&mut world);
    assert_eq!(code, "new");
    world.done(&started, vec![]);
    assert_eq!(world.answer(ticket), Some(Answer::Restarted));
    assert_eq!(codes(&mut world), ["new"]);
    assert_eq!(world.core.vatstore_get(alice, "baggage").unwrap().as_deref(), Some("kept"));
    assert_eq!(world.core.status().unwrap().subclusters[0].code["alice"].0, "new");
    // For good.
    world.commit();
    let mut world = world.crash();
    assert_eq!(start(&mut world).1, "new");
}

#[test]
fn code_that_cannot_start_is_undone() {
    let mut world = World::new();
    let (alice, root) = world.launch(&["alice"])[0];
    for by_fault in [false, true] {
        let ticket = replace(&mut world, alice, "new");
        let waiting = world.send(root, "hello");
        let (started, code) = start(&mut world);
        assert_eq!(code, "new");
        if by_fault {
            world.fault(&started, FaultKind::Crash);
        } else {
            fail(&mut world, &started);
        }
        let Some(Answer::Failed { message }) = world.answer(ticket) else { panic!() };
        assert!(message.contains("goes on with the code it had"), "{message}");
        let (started, code) = start(&mut world);
        assert_eq!(code, "c0dealice");
        world.done(&started, vec![]);
        assert_eq!(codes(&mut world), ["c0dealice"]);
        // Who sent it something meanwhile gets an answer.
        world.settle_all();
        assert!(matches!(world.answer(waiting), Some(Answer::Settled { rejected: false, .. })));
    }
    let status = world.core.status().unwrap();
    assert_eq!(status.vats[0].condition, VatCondition::Running);
}

#[test]
fn a_crash_in_between_leaves_the_new_code_or_the_old() {
    for good in [true, false] {
        let mut world = World::new();
        let (alice, _) = world.launch(&["alice"])[0];
        replace(&mut world, alice, "new");
        // Before it is durable nothing has happened.
        world = world.crash();
        let (started, code) = start(&mut world);
        assert_eq!(code, "c0dealice");
        world.done(&started, vec![]);
        replace(&mut world, alice, "new");
        world.commit();
        world = world.crash();
        let (started, code) = start(&mut world);
        assert_eq!(code, "new");
        if good {
            world.done(&started, vec![]);
            assert_eq!(codes(&mut world), ["new"]);
        } else {
            // Still undone, although nobody waits for it any more.
            fail(&mut world, &started);
            world.commit();
            world = world.crash();
            let (started, code) = start(&mut world);
            assert_eq!(code, "c0dealice");
            world.done(&started, vec![]);
            assert_eq!(codes(&mut world), ["c0dealice"]);
        }
    }
}

#[test]
fn what_started_last_is_what_is_gone_back_to() {
    let mut world = World::new();
    let vats = world.launch(&["alice", "bob"]);
    let alice = vats[0].0;
    let first = replace(&mut world, alice, "one");
    let second = replace(&mut world, alice, "two");
    assert!(matches!(world.answer(first), Some(Answer::Failed { .. })));
    // The one in between has never started and is not needed.
    assert_eq!(codes(&mut world), ["c0dealice", "c0debob", "two"]);
    let (started, code) = start(&mut world);
    assert_eq!(code, "two");
    fail(&mut world, &started);
    assert!(matches!(world.answer(second), Some(Answer::Failed { .. })));
    let (started, code) = start(&mut world);
    assert_eq!(code, "c0dealice");
    // And back to the same, before that has started.
    let third = replace(&mut world, alice, "one");
    let fourth = replace(&mut world, alice, "c0dealice");
    world.done(&started, vec![]);
    let (started, code) = start(&mut world);
    assert_eq!(code, "c0dealice");
    world.done(&started, vec![]);
    assert!(matches!(world.answer(third), Some(Answer::Failed { .. })));
    assert_eq!(world.answer(fourth), Some(Answer::Restarted));
    assert_eq!(codes(&mut world), ["c0dealice", "c0debob"]);
}

#[test]
fn code_that_two_vats_have_stays_for_the_other() {
    let mut world = World::new();
    let vats = world.launch(&["alice", "bob"]);
    let shared = replace(&mut world, vats[0].0, "c0debob");
    let (started, _) = start(&mut world);
    world.done(&started, vec![]);
    assert_eq!(world.answer(shared), Some(Answer::Restarted));
    assert_eq!(codes(&mut world), ["c0debob"]);
    replace(&mut world, vats[1].0, "new");
    // Ends while its new code has not started.
    world.core.terminate_vat(vats[1].0).unwrap();
    world.check();
    let id = world.core.status().unwrap().subclusters[0].id;
    world.core.terminate_subcluster(id).unwrap();
    world.check();
    world.settle_all();
    assert_eq!(codes(&mut world), [] as [String; 0]);
}
