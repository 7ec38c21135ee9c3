//! The service `timer`: timers that outlast restarts, fire once, and end with their vat.

use std::sync::Arc;

use ocap_core::api::{Answer, CoreError, Dispatch, VatCondition};
use ocap_core::{check_store, limits};
use ocap_store::Reader;
use ocap_types::config::ClusterConfig;
use ocap_types::crank::{Delivery, FaultKind, Syscall};
use ocap_types::{KRef, VRef, VatId};

use crate::walk::altered;
use crate::world::{World, cluster, data, fulfil, method_of, result_of, slots_of, vref};

/// A vat, its root and what it knows the service by.
struct Alice {
    vat: VatId,
    root: KRef,
    timer: VRef,
}

/// Vats with these names, all of which know the service; the first is `alice`.
fn launch(world: &mut World, names: &[&str]) -> Vec<Alice> {
    let config = ClusterConfig { services: Some(vec!["timer".into()]), ..cluster(names) };
    let (ticket, id) = world.begin_launch(config);
    let mut timer = None;
    while let Some(crank) = world.dispatch() {
        let mut syscalls = Vec::new();
        if let Delivery::Message { result: Some(result), .. } = &crank.delivery {
            timer = slots_of(&crank).last().copied();
            syscalls.push(fulfil(*result, &[], "#1"));
        }
        world.done(&crank, syscalls);
    }
    assert!(matches!(world.answer(ticket), Some(Answer::Launched { .. })));
    let status = world.core.status().unwrap();
    let vats = status.vats.iter().filter(|vat| vat.subcluster_id == id);
    vats.map(|vat| Alice {
        vat: vat.id,
        root: world.core.root(vat.id).unwrap(),
        timer: timer.unwrap(),
    })
    .collect()
}

fn ask(of: VRef, method: &str, args: &str, slots: &[&str], result: &str) -> Syscall {
    let slots: Vec<VRef> = slots.iter().map(|slot| vref(slot)).collect();
    let methargs = data(&format!("#[\"{method}\",{args}]"), &slots);
    Syscall::Send { target: of, methargs, result: Some(vref(result)) }
}

/// Has a vat ask the service, and returns the body of what it is told.
fn ask_of(world: &mut World, alice: &Alice, method: &str, args: &str, slots: &[&str]) -> String {
    world.send(alice.root, "go");
    let crank = world.next();
    let asked = ask(alice.timer, method, args, slots, "p+9");
    let heard = Syscall::Subscribe { promise: vref("p+9") };
    world.done(&crank, vec![asked, heard, fulfil(result_of(&crank), &[], "#1")]);
    loop {
        let crank = world.next();
        let Delivery::Notify { resolutions } = &crank.delivery else {
            drop_all(world, &crank);
            continue;
        };
        let body = resolutions[0].data.body.clone();
        world.done(&crank, Vec::new());
        return body;
    }
}

/// Answers a collection delivery like a vat that has nothing any more.
fn drop_all(world: &mut World, crank: &Dispatch) {
    let syscalls = match &crank.delivery {
        Delivery::DropExports { vrefs } => vec![Syscall::RetireExports { vrefs: vrefs.clone() }],
        _ => Vec::new(),
    };
    world.done(crank, syscalls);
}

fn at(world: &mut World, ms: u64) {
    world.core.set_time(ms);
    world.core.ring().unwrap();
    world.check();
}

/// A wake-up call for this target, with its arguments.
fn wake_of(crank: &Dispatch) -> (VRef, String) {
    match &crank.delivery {
        Delivery::Message { target, methargs, result: None } => (*target, methargs.body.clone()),
        other => panic!("no wake-up call: {other:?}"),
    }
}

/// The next thing that is not about garbage is that this is woken.
fn woken(world: &mut World, handler: &str) {
    loop {
        let crank = world.next();
        if matches!(crank.delivery, Delivery::DropExports { .. }) {
            drop_all(world, &crank);
            continue;
        }
        assert_eq!(wake_of(&crank).0, vref(handler));
        return world.done(&crank, Vec::new());
    }
}

const HANDLER: &str = "o+d8/1";

#[test]
fn a_timer_fires_once_and_is_gone_with_it() {
    let mut world = World::new();
    at(&mut world, 1_000);
    let alice = &launch(&mut world, &["alice"])[0];
    let before = world.keys();
    assert_eq!(ask_of(&mut world, alice, "now", "[]", &[]), "#1000");
    let name = ask_of(&mut world, alice, "wakeAfter", "[49.5,\"$0\"]", &[HANDLER]);
    assert!(name.starts_with("#\"t"), "{name}");
    assert_eq!(world.core.first_due(), Some(1_050));
    assert_eq!(world.core.status().unwrap().vats[0].usage.timers, 1);
    at(&mut world, 1_049);
    world.idle();
    at(&mut world, 1_060);
    at(&mut world, 1_070);
    let crank = world.next();
    let wake = (vref(HANDLER), "#[\"wake\",[1050,1060]]".to_owned());
    assert_eq!(wake_of(&crank), wake);
    world.done(&crank, Vec::new());
    collect(&mut world);
    world.idle();
    assert_eq!(world.keys(), before);
    assert_eq!(world.core.first_due(), None);
    // In order of their moments, then of being set; one that was missed is late, not lost.
    for (moment, handler) in [(3_000, "o+d8/3"), (2_000, "o+d8/2"), (3_000, "o+d8/4"), (7, "o+0")] {
        ask_of(&mut world, alice, "wakeAt", &format!("[{moment},\"$0\"]"), &[handler]);
    }
    at(&mut world, 9_000);
    for handler in ["o+0", "o+d8/2", "o+d8/3", "o+d8/4"] {
        woken(&mut world, handler);
    }
    collect(&mut world);
}

/// Lets vats clean up.
fn collect(world: &mut World) {
    while let Some(crank) = world.dispatch() {
        drop_all(world, &crank);
    }
}

#[test]
fn no_crash_loses_or_repeats_a_firing() {
    let mut world = World::new();
    at(&mut world, 1_000);
    let alice = &launch(&mut world, &["alice"])[0];
    ask_of(&mut world, alice, "wakeAfter", "[50,\"$0\"]", &[HANDLER]);
    world.commit();
    let mut world = world.crash();
    world.settle_all();
    assert_eq!(world.core.first_due(), Some(1_050));
    // Fired, but nothing of it is durable.
    at(&mut world, 2_000);
    assert_eq!(world.core.first_due(), None);
    let mut world = world.crash();
    assert_eq!(world.core.first_due(), Some(1_050));
    // Fired, durably, and not delivered; then delivered, and not settled.
    at(&mut world, 3_000);
    world.commit();
    let mut world = world.crash();
    assert_eq!(world.core.first_due(), None);
    at(&mut world, 4_000);
    let start = world.next();
    world.done(&start, Vec::new());
    let crank = world.next();
    assert_eq!(wake_of(&crank).1, "#[\"wake\",[1050,3000]]");
    world.commit();
    let mut world = world.crash();
    let start = world.next();
    world.done(&start, Vec::new());
    let crank = world.next();
    assert_eq!(wake_of(&crank).0, vref(HANDLER));
    world.done(&crank, Vec::new());
    world.commit();
    let mut world = world.crash();
    while let Some(crank) = world.dispatch() {
        assert!(!matches!(crank.delivery, Delivery::Message { .. }), "{crank:?}");
        world.done(&crank, Vec::new());
    }
}

#[test]
fn what_cannot_be_a_timer_is_refused_with_a_reason() {
    let mut world = World::new();
    let alice = &launch(&mut world, &["alice"])[0];
    let cases: [(&str, &str, &[&str], &str); 10] = [
        ("wakeAfter", "[50]", &[], "has to be an object with a method wake"),
        ("wakeAfter", "[50,\"$0\"]", &["o+7"], "the handler is not durable"),
        ("wakeAfter", "[50,\"$0\"]", &["o+v8/1"], "the handler is not durable"),
        ("wakeAfter", "[-1,\"$0\"]", &[HANDLER], "the delay has to be a number"),
        ("wakeAfter", "[\"#NaN\",\"$0\"]", &[HANDLER], "the delay has to be a number"),
        ("wakeAt", "[\"+5\",\"$0\"]", &[HANDLER], "the moment has to be a number"),
        ("cancel", "[]", &[], "the name of a timer, or a handler"),
        ("cancel", "[\"t01\"]", &[], "is not the name of a timer"),
        ("list", "", &[], "no method and arguments"),
        ("sleep", "[]", &[], "it has no method"),
    ];
    for (method, args, slots, expected) in cases {
        let answer = ask_of(&mut world, alice, method, args, slots);
        assert!(answer.contains("[KERNEL:DELIVERY_FAILED] kernel service 'timer': "), "{answer}");
        assert!(answer.contains(expected), "{method}{args}: {answer}");
    }
    // The service itself, and a promise, are no handlers.
    let (timer, promise) = (alice.timer.to_string(), "p+5");
    let answer = ask_of(&mut world, alice, "wakeAfter", "[1,\"$0\"]", &[timer.as_str()]);
    assert!(answer.contains("not durable"), "{answer}");
    let answer = ask_of(&mut world, alice, "wakeAfter", "[1,\"&0\"]", &[promise]);
    assert!(answer.contains("has to be an object"), "{answer}");
    // The host has a clock of its own.
    world.commit();
    let service: KRef = world.store.get("svc.timer").unwrap().unwrap().parse().unwrap();
    let ticket = world.send(service, "list");
    world.settle_all();
    assert!(world.rejection(ticket).contains("only vats have timers"));
    assert_eq!(world.core.first_due(), None);
    // Nobody else can have the name.
    let error = world.core.register_object("timer", alice.root, false).unwrap_err();
    assert!(matches!(error, CoreError::Invalid(text) if text.contains("already registered")));
}

#[test]
fn timers_are_listed_and_cancelled_by_their_own_vat_only() {
    let mut world = World::new();
    let vats = launch(&mut world, &["alice", "bob"]);
    let [alice, bob] = &vats[..] else { panic!() };
    let bob = Alice { timer: give(&mut world, alice, bob), ..*bob };
    let before = world.keys();
    let first = ask_of(&mut world, alice, "wakeAfter", "[50,\"$0\"]", &[HANDLER]);
    for ms in [60, 70] {
        ask_of(&mut world, alice, "wakeAfter", &format!("[{ms},\"$0\"]"), &[HANDLER]);
    }
    let other = ask_of(&mut world, alice, "wakeAfter", "[80,\"$0\"]", &["o+d8/2"]);
    let cancel = |name: &str| format!("[{}]", &name[1..]);
    assert_eq!(ask_of(&mut world, &bob, "cancel", &cancel(&first), &[]), "#0");
    assert_eq!(ask_of(&mut world, &bob, "list", "[]", &[]), "#[]");
    assert_eq!(ask_of(&mut world, alice, "cancel", &cancel(&first), &[]), "#1");
    assert_eq!(ask_of(&mut world, alice, "cancel", &cancel(&first), &[]), "#0");
    assert_eq!(ask_of(&mut world, alice, "cancel", "[\"$0\"]", &[HANDLER]), "#2");
    let left = format!("#[{{\"due\":80,\"timer\":{}}}]", &other[1..]);
    assert_eq!(ask_of(&mut world, alice, "list", "[]", &[]), left);
    assert_eq!(ask_of(&mut world, alice, "cancel", "[\"$0\"]", &["o+d8/2"]), "#1");
    collect(&mut world);
    assert_eq!(world.keys(), before);
    at(&mut world, 1_000);
    world.idle();
}

/// Has `alice` give `bob` the service; answers with what he knows it by.
fn give(world: &mut World, alice: &Alice, bob: &Alice) -> VRef {
    world.send_with(alice.root, "go", &[bob.root]);
    let crank = world.next();
    let bob_of_alice = slots_of(&crank)[0];
    let gift = Syscall::Send {
        target: bob_of_alice,
        methargs: data("#[\"take\",[\"$0\"]]", &[alice.timer]),
        result: None,
    };
    world.done(&crank, vec![gift, fulfil(result_of(&crank), &[], "#1")]);
    let crank = world.next();
    assert!(method_of(&crank).contains("take"));
    let timer = slots_of(&crank)[0];
    world.done(&crank, Vec::new());
    timer
}

#[test]
fn a_timer_keeps_its_handler_alive_until_it_has_fired() {
    let mut world = World::new();
    let alice = &launch(&mut world, &["alice"])[0];
    ask_of(&mut world, alice, "wakeAfter", "[50,\"$0\"]", &[HANDLER]);
    world.core.reap_all().unwrap();
    while let Some(crank) = world.dispatch() {
        let reap = matches!(crank.delivery, Delivery::BringOutYourDead);
        assert!(reap, "alice is told to drop something: {crank:?}");
        world.done(&crank, Vec::new());
    }
    at(&mut world, 60);
    let crank = world.next();
    world.done(&crank, Vec::new());
    let crank = world.next();
    let dropped = Delivery::DropExports { vrefs: vec![vref(HANDLER)] };
    assert_eq!(crank.delivery, dropped);
    world.done(&crank, Vec::new());
}

#[test]
fn timers_end_with_the_vat_that_set_them_and_with_their_handler() {
    let mut world = World::new();
    let vats = launch(&mut world, &["alice", "bob"]);
    let [alice, bob] = &vats[..] else { panic!() };
    let bob = Alice { timer: give(&mut world, alice, bob), ..*bob };
    world.core.limit_chores(3);
    for ms in 1..20 {
        ask_of(&mut world, alice, "wakeAfter", &format!("[{ms},\"$0\"]"), &[HANDLER]);
    }
    // One of alice's for bob's root, which she knows, and the other way round.
    world.send_with(alice.root, "go", &[bob.root]);
    let crank = world.next();
    let root = slots_of(&crank)[0].to_string();
    let syscalls = vec![ask(alice.timer, "wakeAfter", "[5,\"$0\"]", &[&root], "p+9")];
    world.done(&crank, [syscalls, vec![fulfil(result_of(&crank), &[], "#1")]].concat());
    world.send_with(bob.root, "go", &[alice.root]);
    let crank = world.next();
    let root = slots_of(&crank)[0].to_string();
    let syscalls = vec![ask(bob.timer, "wakeAfter", "[5,\"$0\"]", &[&root], "p+9")];
    world.done(&crank, [syscalls, vec![fulfil(result_of(&crank), &[], "#1")]].concat());
    collect(&mut world);
    let usage = world.core.status().unwrap().subclusters[0].usage;
    assert_eq!(usage.timers, 21);
    world.core.terminate_vat(alice.vat).unwrap();
    world.check();
    while world.core.has_remains() {
        assert!(world.dispatch().is_none_or(|crank| {
            world.done(&crank, Vec::new());
            true
        }));
        world.commit();
        let mut crashed = world.crash();
        crashed.core.limit_chores(3);
        world = crashed;
    }
    collect(&mut world);
    let timers = |world: &mut World| {
        world.keys().into_iter().filter(|key| key.starts_with("timer")).collect::<Vec<_>>()
    };
    assert_eq!(timers(&mut world).len(), 4, "bob's own: {:?}", timers(&mut world));
    at(&mut world, 100);
    collect(&mut world);
    assert_eq!(timers(&mut world), Vec::<String>::new());
}

#[test]
fn a_wake_that_its_vat_faults_over_is_delivered_once_more() {
    let mut world = World::new();
    let alice = &launch(&mut world, &["alice"])[0];
    ask_of(&mut world, alice, "wakeAfter", "[5,\"$0\"]", &[HANDLER]);
    at(&mut world, 10);
    for _ in 0..2 {
        let crank = world.next();
        assert_eq!(wake_of(&crank).0, vref(HANDLER));
        world.fault(&crank, FaultKind::Crash);
        let start = world.next();
        assert!(start.start.is_some());
        world.done(&start, Vec::new());
    }
    collect(&mut world);
    assert_eq!(world.core.first_due(), None);
}

#[test]
fn a_vat_that_takes_nothing_is_woken_once_it_does() {
    let mut world = World::new();
    let alice = &launch(&mut world, &["alice"])[0];
    let condition = |world: &World| world.core.status().unwrap().vats[0].condition.clone();
    for (handler, ms) in [("o+d8/1", 5), ("o+d8/2", 1_000)] {
        ask_of(&mut world, alice, "wakeAfter", &format!("[{ms},\"$0\"]"), &[handler]);
    }
    // The first is queued while the vat starts, which fails.
    world.core.restart_vat(ocap_core::api::Ticket(900), alice.vat).unwrap();
    at(&mut world, 10);
    let start = world.next();
    world.fault(&start, FaultKind::Crash);
    assert!(matches!(condition(&world), VatCondition::Failed { .. }));
    world.idle();
    assert_eq!(world.core.first_due(), Some(1_000));
    // The second is due while it is down, and tried again now and then.
    at(&mut world, 1_000);
    world.idle();
    assert_eq!(world.core.first_due(), Some(10 + limits::TIMER_RETRY_MS_MIN));
    at(&mut world, 50_000);
    assert_eq!(world.core.first_due(), Some(50_000 + 49_000));
    world.commit();
    let mut world = world.crash();
    assert_eq!(world.core.first_due(), Some(50_000 + 49_000));
    world.core.set_time(51_000);
    let start = world.next();
    world.done(&start, Vec::new());
    at(&mut world, 51_000);
    for handler in ["o+d8/1", "o+d8/2"] {
        woken(&mut world, handler);
    }
    assert_eq!(world.core.first_due(), None);
}

#[test]
fn a_vat_and_a_subcluster_have_a_limited_number() {
    let mut world = World::new();
    world.checking = false;
    let names: Vec<String> = (0..12).map(|n| format!("v{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let vats = launch(&mut world, &names);
    let mut set = 0;
    for (place, vat) in vats.iter().enumerate() {
        let timer = if place == 0 { vat.timer } else { give(&mut world, &vats[0], vat) };
        let vat = Alice { timer, ..*vat };
        world.send(vat.root, "go");
        let crank = world.next();
        let ask = |n| ask(timer, "wakeAfter", "[50,\"$0\"]", &[HANDLER], &format!("p+{n}"));
        let mut syscalls: Vec<Syscall> = (100..100 + limits::VAT_TIMERS_MAX).map(ask).collect();
        syscalls.push(fulfil(result_of(&crank), &[], "#1"));
        world.done(&crank, syscalls);
        collect(&mut world);
        let full = ask_of(&mut world, &vat, "wakeAfter", "[50,\"$0\"]", &[HANDLER]);
        let whose = if set < limits::SUBCLUSTER_TIMERS_MAX { "a vat" } else { "a subcluster" };
        assert!(full.contains("[KERNEL:LIMIT_EXCEEDED]"), "{full}");
        assert!(full.contains(&format!("{whose} has at most")), "{full}");
        set = (set + limits::VAT_TIMERS_MAX).min(limits::SUBCLUSTER_TIMERS_MAX);
    }
    assert_eq!(world.core.status().unwrap().subclusters[0].usage.timers, set);
    assert_eq!(world.core.check().unwrap(), []);
    // They fire in bounded turns, and a vat that does not keep up is not buried under them.
    world.core.set_time(100);
    let mut turns = 0;
    while world.core.first_due() <= Some(100) && world.core.first_due().is_some() {
        world.core.ring().unwrap();
        turns += 1;
    }
    assert_eq!(turns, set.div_ceil(limits::TIMERS_FIRED_MAX as u64));
    assert_eq!(world.core.check().unwrap(), []);
}

#[test]
fn the_walk_finds_what_is_wrong_with_timers() {
    let mut world = World::new();
    let alice = &launch(&mut world, &["alice"])[0];
    let name = ask_of(&mut world, alice, "wakeAfter", "[50,\"$0\"]", &[HANDLER]);
    world.commit();
    let id: u64 = name[3..name.len() - 1].parse().unwrap();
    let (timer, listed) = (format!("timer.{:016}.{id:016}", 50), format!("timerof.v1.{id:016}"));
    let row = world.store.get(&timer).unwrap().unwrap();
    let ways = [
        (timer.as_str(), None, "not among its vat's timers"),
        (&timer, Some("{}"), "not a value of its type"),
        (&timer, Some(&row.replace("ko6", "ko4")), "held by"),
        (&timer, Some(&row.replace("\"v1\"", "\"v2\"")), "or among another's"),
        (&listed, None, "not among its vat's timers"),
        (&listed, Some("51"), "not among its vat's timers"),
        ("timers.v1", Some("2"), "not the number of timers"),
        ("timers.s1", None, "not the number of timers"),
        ("timers.s2", Some("1"), "not the number of timers"),
        ("timers.v2", Some("1"), "timers of no vat"),
        ("next.call", Some("1"), "not above every number in use"),
    ];
    for (key, value, expected) in ways {
        let store: Arc<dyn Reader> = Arc::new(altered(&world, key, value));
        let findings = check_store(store).unwrap();
        let found = findings.iter().any(|finding| finding.problem.contains(expected));
        assert!(found, "{key} {value:?}: {findings:?}");
    }
}
