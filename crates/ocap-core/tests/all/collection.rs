//! When garbage is asked for, and what an earlier incarnation leaves behind: in bounded steps, and
//! never to be met again.

use ocap_core::limits;
use ocap_types::crank::{CrankReport, Delivery, Syscall};
use ocap_types::{KRef, VRef, VatId};

use crate::world::*;

/// What is delivered next is `bringOutYourDead`.
fn is_reap(world: &mut World) -> bool {
    let Some(dispatch) = world.dispatch() else { return false };
    let is_reap = matches!(dispatch.delivery, Delivery::BringOutYourDead);
    world.done(&dispatch, vec![]);
    is_reap
}

/// alice sends bob that many new objects, `o+1` and on, in one message. What bob calls them.
fn give(world: &mut World, vats: &[(VatId, KRef)], count: usize) -> Vec<VRef> {
    give_named(world, vats, "o+", count)
}

/// As above, with names that begin so.
fn give_named(world: &mut World, vats: &[(VatId, KRef)], start: &str, count: usize) -> Vec<VRef> {
    let (alice, bob) = (vats[0].1, vats[1].1);
    world.send_with(alice, "give", &[bob]);
    let ask = world.next();
    let bob = slots_of(&ask)[0].to_string();
    let names: Vec<String> = (1..=count).map(|n| format!("{start}{n}")).collect();
    let slots: Vec<&str> = names.iter().map(String::as_str).collect();
    let send = call(&bob, &slots, None);
    world.done(&ask, vec![send, fulfil(result_of(&ask), &[], "#1")]);
    let taken = world.next();
    let imports = slots_of(&taken);
    assert_eq!(imports.len(), count);
    world.done(&taken, vec![]);
    imports
}

#[test]
fn many_imports_make_garbage_be_asked_for_at_once() {
    let mut world = World::new();
    let vats = world.launch(&["alice", "bob"]);
    world.checking = false;
    let count = usize::try_from(limits::REAP_INTERVAL_IMPORTS).unwrap();
    give(&mut world, &vats, count - 1);
    assert!(!is_reap(&mut world));
    world.send_with(vats[1].1, "one more", &[vats[0].1]);
    assert!(!is_reap(&mut world));
    assert!(is_reap(&mut world));
    assert!(!is_reap(&mut world));
}

#[test]
fn vats_at_rest_are_asked_once() {
    let mut world = World::new();
    let vats = world.launch(&["alice", "bob"]);
    world.settle_all();
    world.core.reap_at_rest().unwrap();
    world.settle_all();
    assert!(!world.core.has_unreaped());
    // A message that leaves nothing gives no reason to ask a vat that knows nothing.
    world.send(vats[1].1, "x");
    world.settle_all();
    assert!(!world.core.has_unreaped());
    give(&mut world, &vats, 1);
    assert!(world.core.has_unreaped());
    world.core.reap_at_rest().unwrap();
    world.check();
    assert!(!world.core.has_unreaped());
    assert!(is_reap(&mut world), "alice was given bob");
    assert!(is_reap(&mut world), "bob was given an object");
    world.idle();
    assert!(!world.core.has_unreaped());
}

#[test]
fn what_a_restart_leaves_behind_is_removed_bit_by_bit() {
    let count = 3 * limits::CHORE_ROWS;
    let mut world = World::new();
    let vats = world.launch(&["alice", "bob"]);
    world.settle_all();
    let mut before = world.keys();
    // What bootstrap gave alice ends with her heap.
    for key in ["c.v1.k.ko5", "c.v1.v.o-1", "i.ko5.v1"] {
        assert!(before.remove(key));
    }
    world.checking = false;
    let imports = give(&mut world, &vats, count);
    while is_reap(&mut world) {}
    // bob's durable data holds one of them.
    world.send(vats[1].1, "keep");
    let keep = world.next();
    let row = format!("vom.rc.{}", imports[7]);
    let syscalls = vec![fulfil(result_of(&keep), &[], "#1")];
    let vatstore = vec![(row.clone(), Some("1".to_owned()))];
    world.report(&keep, CrankReport { syscalls, vatstore, ..CrankReport::default() });
    let mut world = world_after_both_started(world);
    // Nobody has looked at most of it yet, and nobody comes across it.
    let ticket = world.send(KRef::Object(object_of(&imports, 900)), "hello");
    world.settle_all();
    assert!(world.rejection(ticket).contains("OBJECT_DELETED"));
    world.send_with(vats[1].1, "again", &[object(&imports, 7), object(&imports, 1000)]);
    let again = world.next();
    let slots = slots_of(&again);
    assert_eq!(slots[0], imports[7]);
    assert!(!imports.contains(&slots[1]), "an old name would be of the heap that is gone");
    // It is let go of durably, but not yet by the heap, so it may be used.
    let syscalls = vec![fulfil(result_of(&again), &[], "#1")];
    let vatstore = vec![(row, None)];
    world.report(&again, CrankReport { syscalls, vatstore, ..CrankReport::default() });
    let mut calls = 0;
    while world.core.has_chores() {
        assert!(world.dispatch().is_none_or(|dispatch| {
            world.done(&dispatch, vec![]);
            true
        }));
        calls += 1;
    }
    assert!(calls >= 3, "in bounded steps");
    world.send(vats[1].1, "let go");
    let last = world.next();
    let own = vec![imports[7], slots[1]];
    let drop = Syscall::DropImports { vrefs: own.clone() };
    let retire = Syscall::RetireImports { vrefs: own };
    world.done(&last, vec![drop, retire, fulfil(result_of(&last), &[], "#1")]);
    world.checking = true;
    world.settle_all();
    assert_eq!(world.core.status().unwrap().vats.len(), 2);
    assert_eq!(world.keys(), before);
}

/// The kernel dies; both vats have started again, and little has been swept.
fn world_after_both_started(mut world: World) -> World {
    world.commit();
    let mut world = world.crash();
    world.checking = false;
    for _ in 0..2 {
        let start = world.next();
        assert!(matches!(start.delivery, Delivery::Start { .. }));
        world.done(&start, vec![]);
    }
    assert!(world.core.has_chores());
    assert!(!world.core.is_idle().unwrap());
    world
}

fn object(imports: &[VRef], index: usize) -> KRef {
    KRef::Object(object_of(imports, index))
}

/// The number of the object that is bob's import with this index. The first of alice's follows the
/// services and the roots.
fn object_of(imports: &[VRef], index: usize) -> u64 {
    assert!(index < imports.len());
    6 + index as u64
}

#[test]
fn what_is_stale_cannot_be_named() {
    let count = 2 * limits::CHORE_ROWS;
    for (name, legal) in [("import", false), ("export", true), ("retired", false)] {
        let mut world = World::new();
        let vats = world.launch(&["alice", "bob"]);
        world.checking = false;
        let imports = give(&mut world, &vats, count);
        while is_reap(&mut world) {}
        let mut world = world_after_both_started(world);
        let root = if name == "import" { vats[1].1 } else { vats[0].1 };
        let ticket = world.send(root, "name it");
        let delivery = world.next();
        let syscall = match name {
            "import" => fulfil(result_of(&delivery), &[&imports[990].to_string()], "#\"$0\""),
            // A new object with a number used before.
            "export" => fulfil(result_of(&delivery), &["o+990"], "#\"$0\""),
            _ => Syscall::RetireExports { vrefs: vec![vref("o+990")] },
        };
        world.done(&delivery, vec![syscall]);
        let vats_left = world.core.status().unwrap().vats.len();
        assert_eq!(vats_left, if legal { 2 } else { 1 }, "{name}");
        if legal {
            match world.answer(ticket) {
                Some(ocap_core::api::Answer::Settled { data, .. }) => {
                    assert!(data.slots[0] > object(&imports, count - 1), "{data:?}");
                }
                other => panic!("{other:?}"),
            }
        }
        world.checking = true;
        world.settle_all();
        while world.core.has_chores() {
            world.settle_all();
        }
        assert_eq!(world.core.check().unwrap(), []);
    }
}

#[test]
fn keys_of_weak_collections_are_remembered_but_not_held() {
    let count = 2 * limits::CHORE_ROWS;
    let mut world = World::new();
    let vats = world.launch(&["alice", "bob"]);
    world.checking = false;
    let imports = give_named(&mut world, &vats, "o+d1/", count);
    while is_reap(&mut world) {}
    world.send(vats[1].1, "know");
    let know = world.next();
    let known = [900, 901, 902, 903].map(|at: usize| imports[at]);
    let row = |import: VRef| format!("vom.ir.{import}|5");
    let mut vatstore: Vec<_> = known.map(|i| (row(i), Some("1".to_owned()))).to_vec();
    vatstore.sort();
    world.report(&know, CrankReport { vatstore, ..CrankReport::default() });
    let mut world = world_after_both_started(world);

    let (mut dropped, mut retired) = (0, Vec::new());
    let mut next_message = |world: &mut World| {
        while world.core.has_chores() || !world.core.is_idle().unwrap() {
            let Some(dispatch) = world.dispatch() else { continue };
            match &dispatch.delivery {
                Delivery::DropExports { vrefs } => dropped += vrefs.len(),
                Delivery::RetireExports { vrefs } => retired.extend(vrefs.clone()),
                Delivery::Message { .. } => return Some(dispatch),
                _ => {}
            }
            world.done(&dispatch, vec![]);
        }
        None
    };
    // One is given again before anybody has looked at it, and one is given up.
    world.send_with(vats[1].1, "again", &[object(&imports, 900)]);
    let again = next_message(&mut world).unwrap();
    assert_eq!(slots_of(&again), [known[0]]);
    let syscalls = vec![Syscall::RetireImports { vrefs: vec![known[1]] }];
    let vatstore = vec![(row(known[1]), None)];
    world.report(&again, CrankReport { syscalls, vatstore, ..CrankReport::default() });
    // Of another one the row goes first.
    world.send(vats[1].1, "forget");
    let forget = next_message(&mut world).unwrap();
    let vatstore = vec![(row(known[2]), None)];
    world.report(&forget, CrankReport { vatstore, ..CrankReport::default() });
    world.send(vats[1].1, "retire");
    let retire = next_message(&mut world).unwrap();
    world.done(&retire, vec![Syscall::RetireImports { vrefs: vec![known[2]] }]);
    assert!(next_message(&mut world).is_none());
    assert_eq!(world.core.status().unwrap().vats.len(), 2);
    // alice may forget all but the one that bob has again and the one he would know.
    assert_eq!(dropped, count - 1);
    assert_eq!(retired.len(), count - 2);
    assert!(!retired.contains(&vref("o+d1/901")) && !retired.contains(&vref("o+d1/904")));
    assert_eq!(world.core.check().unwrap(), []);
}
