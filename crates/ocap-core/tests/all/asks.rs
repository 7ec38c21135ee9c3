//! What vats ask of their host: it leaves after the commit, its outcome is a notify, and it ends
//! with the incarnation.

use ocap_core::api::{CallId, Effect};
use ocap_types::crank::{Delivery, FaultKind, Request, Syscall};
use ocap_types::smallcaps;

use crate::world::{World, call, data, fulfil, result_of, vref};

fn ask(result: &str) -> Syscall {
    let request = Request::Timer { delay_ms: 10, since_ms: None };
    Syscall::Ask { request, result: vref(result) }
}

fn withdraw(result: &str) -> Syscall {
    Syscall::Withdraw { result: vref(result) }
}

/// The calls asked for and withdrawn since the last look.
fn released(world: &mut World) -> (Vec<CallId>, Vec<CallId>) {
    world.commit();
    let (mut asked, mut withdrawn) = (Vec::new(), Vec::new());
    for effect in world.effects.drain(..) {
        match effect {
            Effect::Ask { call, .. } => asked.push(call),
            Effect::Withdraw { call } => withdrawn.push(call),
            _ => {}
        }
    }
    (asked, withdrawn)
}

#[test]
fn an_ask_leaves_after_the_commit_and_its_outcome_is_a_notify() {
    let mut world = World::new();
    let (_, root) = world.launch(&["alice"])[0];
    let before = world.keys();
    world.send(root, "m");
    let crank = world.next();
    world.done(&crank, vec![ask("p+5"), fulfil(result_of(&crank), &[], "#1")]);
    assert!(!world.effects.iter().any(|effect| matches!(effect, Effect::Ask { .. })));
    let (asked, _) = released(&mut world);
    let [timer] = asked[..] else { panic!("{asked:?}") };
    world.idle();
    world.core.service_done(timer, Ok(data("#7", &[]).try_map(|_| Err(())).unwrap())).unwrap();
    world.core.service_done(timer, Ok(smallcaps::undefined())).unwrap();
    world.check();
    let crank = world.next();
    let Delivery::Notify { resolutions } = &crank.delivery else { panic!("{crank:?}") };
    assert_eq!((resolutions.len(), resolutions[0].promise), (1, vref("p+5")));
    assert_eq!(resolutions[0].data, data("#7", &[]));
    world.done(&crank, Vec::new());
    world.idle();
    assert_eq!(world.keys(), before);
}

#[test]
fn what_is_withdrawn_is_not_told() {
    let mut world = World::new();
    let (vat, root) = world.launch(&["alice"])[0];
    let before = world.keys();
    world.send(root, "m");
    let crank = world.next();
    let syscalls = vec![ask("p+5"), ask("p+6"), withdraw("p+5"), withdraw("p+5"), withdraw("p+9")];
    world.done(&crank, [syscalls, vec![fulfil(result_of(&crank), &[], "#1")]].concat());
    let (asked, withdrawn) = released(&mut world);
    assert_eq!((asked.len(), &withdrawn[..]), (2, &asked[..1]));
    // Done, and withdrawn before the vat was told: the notify is on its way.
    world.send(root, "m");
    let crank = world.next();
    world.core.service_done(asked[1], Ok(smallcaps::undefined())).unwrap();
    world.done(&crank, vec![withdraw("p+6"), fulfil(result_of(&crank), &[], "#1")]);
    let crank = world.next();
    assert!(matches!(crank.delivery, Delivery::Notify { .. }));
    world.done(&crank, Vec::new());
    assert_eq!(world.keys(), before);
    // An object, or an import, is nothing to withdraw.
    world.send(root, "m");
    let crank = world.next();
    world.done(&crank, vec![withdraw("o+0")]);
    assert!(!world.core.status().unwrap().vats.iter().any(|status| status.id == vat));
}

#[test]
fn asks_end_with_their_incarnation_and_with_the_kernel() {
    let mut world = World::new();
    let (_, root) = world.launch(&["alice"])[0];
    let before = world.keys();
    let arm = |world: &mut World| {
        world.send(root, "m");
        let crank = world.next();
        // Others may wait for it, and send to it.
        let syscalls = vec![ask("p+5"), call("o+0", &["p+5"], None), call("p+5", &[], None)];
        world.done(&crank, [syscalls, vec![fulfil(result_of(&crank), &[], "#1")]].concat());
        released(world).0
    };
    let asked = arm(&mut world);
    let crank = world.next();
    world.fault(&crank, FaultKind::Overrun);
    assert_eq!(released(&mut world).1, asked);
    world.settle_all();
    world.core.service_done(asked[0], Ok(smallcaps::undefined())).unwrap();
    world.settle_all();
    assert_eq!(world.keys(), before);
    arm(&mut world);
    let mut world = world.crash();
    world.settle_all();
    assert_eq!(world.keys(), before);
}

#[test]
fn a_vat_asks_for_a_limited_number_at_once() {
    let mut world = World::new();
    world.checking = false;
    let (vat, root) = world.launch(&["alice"])[0];
    world.send(root, "m");
    let crank = world.next();
    let limit = ocap_core::limits::ASKS_MAX;
    let mut syscalls: Vec<Syscall> = (0..limit).map(|n| ask(&format!("p+{n}"))).collect();
    world.done(&crank, syscalls.clone());
    assert_eq!(released(&mut world).0.len() as u64, limit);
    world.send(root, "m");
    let crank = world.next();
    syscalls.truncate(1);
    world.done(&crank, vec![ask("p+5000")]);
    let status = world.core.status().unwrap();
    let status = status.vats.iter().find(|status| status.id == vat).unwrap();
    assert_eq!(status.faults, 1);
    assert_eq!(released(&mut world).1.len() as u64, limit);
    world.checking = true;
    world.settle_all();
}
