//! What vats leave that have ended: gone for everybody at once, and from the store bit by bit.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use ocap_core::api::{Answer, ChannelEvent, ChannelId, CoreError, Dispatch};
use ocap_core::limits;
use ocap_types::config::ClusterConfig;
use ocap_types::crank::{CrankReport, Delivery, Syscall};
use ocap_types::{KRef, SubclusterId, VRef};

use crate::world::*;

/// More than any turn or step below may write: each row removed comes with a few others, and vats
/// that hear of it are told of so many at once.
const STEP_WRITES_MAX: usize = 6 * limits::GC_BATCH_MAX;

/// Sends what the message mentions that many new references, and writes as many rows.
fn give(dispatch: &Dispatch, from: usize, count: usize) -> CrankReport {
    let target = slots_of(dispatch)[0].to_string();
    let name = |n: usize| format!("{}+{}", if n % 50 == 0 { 'p' } else { 'o' }, 1 + n);
    let names: Vec<String> = (from..from + count).map(name).collect();
    let slots: Vec<&str> = names.iter().map(String::as_str).collect();
    let syscalls = vec![call(&target, &slots, None), fulfil(result_of(dispatch), &[], "#1")];
    let row = |n: usize| (format!("{n:07}"), Some("a value".to_owned()));
    let vatstore = (from..from + count).map(row).collect();
    CrankReport { syscalls, vatstore, ..CrankReport::default() }
}

/// One of two vats ends that has given the other this many objects and promises, which it decides,
/// and holds as many rows of its own. Answers with what is left in the end.
fn end_one_of_two(messages: usize, each: usize) -> BTreeSet<String> {
    let mut world = World::new();
    let vats = world.launch(&["alice", "bob"]);
    let (alice, root) = vats[0];
    let bob = vats[1].1;
    world.checking = false;
    for n in 0..messages {
        world.send_with(root, "give", &[bob]);
        while let Some(dispatch) = world.dispatch() {
            let report = match &dispatch.delivery {
                Delivery::Message { result: Some(_), .. } => give(&dispatch, n * each, each),
                Delivery::Message { .. } => {
                    let promises = slots_of(&dispatch).into_iter().filter(|slot| slot.is_promise());
                    let syscalls = promises.map(|promise| subscribe(&promise.to_string()));
                    CrankReport { syscalls: syscalls.collect(), ..CrankReport::default() }
                }
                _ => CrankReport::default(),
            };
            world.report(&dispatch, report);
        }
    }
    world.commit();
    let much = messages * each > 2 * limits::CHORE_ROWS;
    // Everybody knows at once.
    world.core.terminate_vat(alice).unwrap();
    assert!(world.commit() <= STEP_WRITES_MAX);
    assert_eq!(world.core.status().unwrap().vats.len(), 1);
    assert!(matches!(world.core.terminate_vat(alice), Err(CoreError::VatNotFound(_))));
    assert_eq!(world.core.has_remains(), much);
    if much {
        let object = KRef::Object(6 + 100);
        let ticket = world.send_with(object, "hello", &[object]);
        world.core.dispatch().unwrap();
        assert!(world.rejection(ticket).contains("OBJECT_DELETED"));
        assert!(world.core.has_remains());
        // What is left is sound, and found by the next kernel.
        assert_eq!(world.core.check().unwrap(), []);
        world = world.crash();
        assert_eq!(world.core.status().unwrap().vats.len(), 1);
        assert!(world.core.has_remains());
        world.checking = false;
    }
    let mut steps = 0;
    while !world.core.is_idle().unwrap() {
        let dispatch = world.core.dispatch().unwrap();
        assert!(world.commit() <= STEP_WRITES_MAX);
        if let Some(dispatch) = dispatch {
            world.done(&dispatch, vec![]);
        }
        steps += 1;
    }
    assert!(!much || steps >= 2 * messages * each / limits::CHORE_ROWS);
    assert_eq!(world.core.check().unwrap(), []);
    world.keys()
}

#[test]
fn a_vat_that_leaves_much_is_removed_in_bounded_steps_over_a_crash() {
    let nothing = end_one_of_two(1, 0);
    assert!(!nothing.iter().any(|key| key.contains("v1")), "{nothing:?}");
    assert_eq!(end_one_of_two(3, 6_000), nothing);
}

#[test]
fn who_waits_for_a_vat_that_leaves_much_is_told_while_others_work() {
    let mut world = World::new();
    let vats = world.launch(&["alice", "bob", "carol"]);
    world.core.limit_chores(limits::CHORE_ROWS_BUSY);
    world.send_with(vats[0].1, "promise", &[vats[1].1]);
    let promise = world.next();
    let bob = slots_of(&promise)[0].to_string();
    let names: Vec<String> = (1..=100).map(|n| format!("p+{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let syscalls = vec![call(&bob, &names, None), fulfil(result_of(&promise), &[], "#1")];
    world.done(&promise, syscalls);
    let promised = world.next();
    // The last in the order of keys.
    let last = slots_of(&promised)[98];
    world.done(&promised, vec![subscribe(&last.to_string())]);
    world.core.terminate_vat(vats[0].0).unwrap();
    world.check();
    let mut told = None;
    for n in 0..100 {
        // carol always has something to do.
        world.send(vats[2].1, "work");
        let dispatch = world.next();
        if dispatch.vat == vats[1].0 {
            told = Some((n, dispatch));
            break;
        }
        world.done(&dispatch, vec![fulfil(result_of(&dispatch), &[], "#1")]);
    }
    let (n, told) = told.expect("bob is told while carol works");
    assert!(n > 5, "bit by bit");
    let resolutions = match &told.delivery {
        Delivery::Notify { resolutions } => resolutions,
        other => panic!("{other:?}"),
    };
    assert_eq!(resolutions[0].promise, last);
    assert!(resolutions[0].rejected && resolutions[0].data.body.contains("VAT_TERMINATED"));
}

#[test]
fn a_read_of_a_vat_that_has_ended_takes_nothing() {
    let mut world = World::new();
    let io: IndexMap<_, _> = [("repl".to_owned(), socket())].into();
    let config = ClusterConfig { io: Some(io), ..cluster(&["alice", "bob"]) };
    let (ticket, _) = world.begin_launch(config);
    let repl = ChannelId::new(SubclusterId(1), "repl");
    world.event(&repl, ChannelEvent::Listening);
    world.settle_all();
    assert!(matches!(world.answer(ticket), Some(Answer::Launched { root: KRef::Object(5), .. })));
    world.core.limit_chores(1);
    let mut read = |root: KRef, calls: &[&str]| -> VRef {
        world.send_with(root, "read", &[KRef::Object(4)]);
        let delivery = world.next();
        let channel = slots_of(&delivery)[0];
        let mut syscalls = vec![fulfil(result_of(&delivery), &[], "#1")];
        for promise in calls {
            let methargs = data("#[\"read\",[]]", &[]);
            let (target, result) = (channel, Some(vref(promise)));
            syscalls.push(Syscall::Send { target, methargs, result });
            syscalls.push(subscribe(promise));
        }
        world.done(&delivery, syscalls);
        world.idle();
        channel
    };
    read(KRef::Object(5), &["p+1", "p+2", "p+3"]);
    read(KRef::Object(6), &["p+7"]);
    world.core.terminate_vat("v1".parse().unwrap()).unwrap();
    world.check();
    assert_eq!(world.core.status().unwrap().channels[0].pending_reads, 4);
    world.event(&repl, ChannelEvent::Unit("for bob".to_owned()));
    let notify = world.next();
    assert_eq!(notify.vat.to_string(), "v2");
    match &notify.delivery {
        Delivery::Notify { resolutions } => {
            assert_eq!(resolutions[0].data.body, "#\"for bob\"");
        }
        other => panic!("{other:?}"),
    }
    world.done(&notify, vec![]);
    while world.core.has_remains() {
        world.idle();
    }
    assert_eq!(world.core.status().unwrap().channels[0].pending_reads, 0);
    assert_eq!(world.core.check().unwrap(), []);
}
