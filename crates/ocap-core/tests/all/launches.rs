//! Launching subclusters, and leaving nothing behind when it does not work out.

use ocap_core::Core;
use ocap_core::api::{Answer, BootOptions, CoreError, Dispatch, Effect};
use ocap_types::KRef;
use ocap_types::config::{ClusterConfig, VatConfig};
use ocap_types::crank::{CrankReport, Delivery, FaultKind, Syscall};

use crate::world::*;

#[test]
fn a_fresh_store_numbers_services_and_roots_as_clients_expect() {
    let mut world = World::new();
    let mut config = cluster(&["alice", "bob"]);
    config.services = Some(vec!["ocapURLIssuerService".into()]);
    config.vats["bob"].parameters = Some(serde_json::json!({"greeting": "!hi", "n": [1, "x"]}));
    let (ticket, id) = world.begin_launch(config);
    assert_eq!(id.to_string(), "s1");
    let mut parameters = Vec::new();
    for _ in 0..2 {
        let start = world.next();
        let Delivery::Start { parameters: data } = &start.delivery else { panic!() };
        parameters.push(data.body.clone());
        let info = start.start.clone().unwrap();
        assert_eq!(world.core.code(&info.code).unwrap().as_deref(), Some("the code"));
        world.done(&start, vec![]);
    }
    assert_eq!(parameters, ["#\"#undefined\"", "#{\"greeting\":\"!!hi\",\"n\":[1,\"x\"]}"]);
    let bootstrap = world.next();
    assert_eq!(bootstrap.vat.to_string(), "v1");
    assert_eq!(
        method_of(&bootstrap),
        "#[\"bootstrap\",[{\"alice\":\"$0.Alleged: vatRoot\",\"bob\":\"$1.Alleged: vatRoot\"},\
         {\"ocapURLIssuerService\":\"$2.Alleged: ocapURLIssuerService\"}]]"
    );
    assert_eq!(slots_of(&bootstrap), [vref("o+0"), vref("o-1"), vref("o-2")]);
    assert_eq!(world.answer(ticket), None);
    world.done(&bootstrap, vec![become_(result_of(&bootstrap), "o+1")]);
    let Some(Answer::Launched { subcluster, root, bootstrap }) = world.answer(ticket) else {
        panic!()
    };
    assert_eq!((subcluster, root), (id, KRef::Object(4)));
    assert_eq!(bootstrap.slots, world.core.host_refs().unwrap());
    let status = world.core.status().unwrap();
    assert_eq!(status.vats.len(), 2);
    assert_eq!(status.subclusters[0].root_kref, KRef::Object(4));
    assert!(!status.subclusters[0].launching);
    serde_json::to_string(&status).unwrap();
}

#[test]
fn what_cannot_be_launched_is_refused_at_once() {
    let mut world = World::new();
    let before = world.keys();
    let refuse = |world: &mut World, config: ClusterConfig| -> String {
        let ticket = world.ticket();
        match world.core.launch(ticket, launch_of(config)) {
            Err(CoreError::Invalid(text)) => text,
            other => panic!("{other:?}"),
        }
    };
    let config = ClusterConfig { bootstrap: "nobody".into(), ..cluster(&["alice"]) };
    assert_eq!(refuse(&mut world, config), "invalid bootstrap vat name \"nobody\"");
    for service in ["nothing", "kernelFacet"] {
        let services = Some(vec![service.to_owned()]);
        let config = ClusterConfig { services, ..cluster(&["alice"]) };
        assert_eq!(refuse(&mut world, config), format!("no registered kernel service '{service}'"));
    }
    let deep = (0..120).fold(serde_json::Value::Null, |inner, _| vec![inner].into());
    let mut config = cluster(&["alice"]);
    config.vats.insert("bob".into(), VatConfig { parameters: Some(deep), ..VatConfig::default() });
    assert!(refuse(&mut world, config).contains("nested too deep"));
    let mut launch = launch_of(cluster(&["alice"]));
    launch.name = Some("home".into());
    let ticket = world.ticket();
    let id = world.core.launch(ticket, launch.clone()).unwrap();
    assert_eq!(world.core.subcluster_by_name("home").unwrap(), Some(id));
    assert!(matches!(world.core.launch(ticket, launch), Err(CoreError::Invalid(_))));
    world.settle_all();
    world.core.terminate_subcluster(id).unwrap();
    world.idle();
    assert_eq!(world.keys(), before);
    assert!(matches!(world.core.terminate_subcluster(id), Err(CoreError::SubclusterNotFound(_))));
    // Without IO support.
    let opened = world.store.open();
    let options = BootOptions { services: services(), io: false, ..BootOptions::default() };
    let mut core = Core::open(opened.reader, opened.last_seq, options).unwrap();
    let error = core.launch(ticket, launch_of(cluster_with_io(&["repl"]))).unwrap_err();
    assert!(error.to_string().contains("no IO channel factory"));
}

/// Plays a launch up to a point where it fails, and says what the answer is to contain.
type Failure = fn(&mut World) -> &'static str;

#[test]
fn a_launch_that_fails_leaves_nothing() {
    let failures: [Failure; 10] = [
        |world| {
            let start = world.next();
            let error = Some("thrown at the top".to_owned());
            world.report(&start, CrankReport { error, ..CrankReport::default() });
            "Failed to launch vat v3 (alice): thrown at the top"
        },
        |world| {
            let start = world.next();
            let report = CrankReport {
                vatstore: vec![("k".into(), Some("v".into()))],
                ..CrankReport::default()
            };
            world.report(&start, report);
            let start = world.next();
            world.fault(&start, FaultKind::Overrun);
            "Failed to launch vat v4 (bob): [KERNEL:VAT_FATAL:OVERRUN]"
        },
        |world| {
            let start = world.next();
            world.done(&start, vec![call("o-5", &[], None)]);
            "Failed to launch vat v3 (alice): "
        },
        |world| {
            start_both(world);
            let bootstrap = next_bootstrap(world);
            let error = "#{\"#error\":\"no thanks\",\"name\":\"Error\"}";
            let resolutions = vec![resolution(result_of(&bootstrap), true, &[], error)];
            world.done(&bootstrap, vec![Syscall::Resolve { resolutions }]);
            "no thanks"
        },
        |world| {
            start_both(world);
            let bootstrap = next_bootstrap(world);
            let error = "#{\"#error\":\"returned\",\"name\":\"Error\"}";
            world.done(&bootstrap, vec![fulfil(result_of(&bootstrap), &[], error)]);
            "returned"
        },
        |world| {
            start_both(world);
            let bootstrap = next_bootstrap(world);
            let exit = Syscall::Exit { failure: false, info: data("#\"enough\"", &[]) };
            world.done(&bootstrap, vec![exit]);
            "enough"
        },
        |world| {
            start_both(world);
            let bootstrap = next_bootstrap(world);
            world.fault(&bootstrap, FaultKind::Overrun);
            "[KERNEL:VAT_FATAL:OVERRUN]"
        },
        |world| {
            let start = world.next();
            let exit = Syscall::Exit { failure: true, info: data("#\"not today\"", &[]) };
            world.done(&start, vec![exit]);
            "Failed to launch vat v3 (alice): not today"
        },
        |world| {
            start_both(world);
            let id = world.core.status().unwrap().subclusters[1].id;
            world.core.terminate_subcluster(id).unwrap();
            "terminated"
        },
        |world| {
            start_both(world);
            let bootstrap = next_bootstrap(world);
            let bob = slots_of(&bootstrap)[1].to_string();
            // Answers with a promise that bob decides, and bob never lives to settle it.
            world.done(&bootstrap, vec![call(&bob, &[], Some(&result_of(&bootstrap).to_string()))]);
            let asked = until(
                world,
                |delivery| matches!(delivery, Delivery::Message { result: Some(_), methargs, .. } if methargs.slots.is_empty()),
            );
            world.done(&asked, vec![call("o-3", &[], None)]);
            "ILLEGAL_SYSCALL"
        },
    ];
    for failure in failures {
        let mut world = World::new();
        world.launch(&["alice", "other"]);
        let before = world.keys();
        let (ticket, _) = world.begin_launch(cluster(&["alice", "bob"]));
        let expected = failure(&mut world);
        let Some(Answer::Failed { message }) = world.answer(ticket) else { panic!("{expected}") };
        assert!(message.contains(expected), "{message}");
        world.idle();
        assert_eq!(world.keys(), before);
        assert_eq!(world.core.status().unwrap().vats.len(), 2);
    }
}

fn start_both(world: &mut World) {
    for _ in 0..2 {
        let start = until(world, |delivery| matches!(delivery, Delivery::Start { .. }));
        // A vat may send during its start.
        world.done(&start, vec![call("o+0", &["o+1"], Some("p+1"))]);
    }
}

fn next_bootstrap(world: &mut World) -> Dispatch {
    until(world, |delivery| match delivery {
        Delivery::Message { methargs, .. } => methargs.body.contains("bootstrap"),
        _ => false,
    })
}

fn until(world: &mut World, wanted: fn(&Delivery) -> bool) -> Dispatch {
    loop {
        let dispatch = world.next();
        if wanted(&dispatch.delivery) {
            return dispatch;
        }
        world.done(&dispatch, vec![]);
    }
}

#[test]
fn a_launch_cut_short_by_a_crash_leaves_nothing() {
    for steps in 0..6 {
        let mut world = World::new();
        let before = world.keys();
        let (_, id) = world.begin_launch(cluster(&["alice", "bob"]));
        for step in 0..steps {
            world.commit();
            let Some(dispatch) = world.dispatch() else { break };
            world.commit();
            if step < 4 && !matches!(dispatch.delivery, Delivery::Message { .. }) {
                world.done(&dispatch, vec![call("o+0", &["o+1"], Some("p+1"))]);
            }
        }
        world.commit();
        let mut world = world.crash();
        world.idle();
        assert_eq!(world.keys(), before, "{steps} steps");
        assert!(world.core.terminate_subcluster(id).is_err());
    }
}

#[test]
fn the_last_vat_takes_its_subcluster_along() {
    let mut world = World::new();
    let before = world.keys();
    let vats = world.launch(&["alice", "bob"]);
    world.core.terminate_vat(vats[0].0).unwrap();
    assert_eq!(world.core.status().unwrap().subclusters.len(), 1);
    assert!(matches!(world.core.terminate_vat(vats[0].0), Err(CoreError::VatNotFound(_))));
    world.core.terminate_vat(vats[1].0).unwrap();
    world.idle();
    assert_eq!(world.core.status().unwrap().subclusters.len(), 0);
    assert_eq!(world.keys(), before);
}

#[test]
fn a_vat_with_an_unanswered_message_can_be_terminated() {
    let mut world = World::new();
    let before = world.keys();
    let vats = world.launch(&["alice"]);
    let ticket = world.send(vats[0].1, "never");
    let never = world.next();
    world.done(&never, vec![]);
    // And one in flight.
    let other = world.send(vats[0].1, "in flight");
    let in_flight = world.next();
    world.core.terminate_vat(vats[0].0).unwrap();
    world.check();
    world.done(&in_flight, vec![fulfil(result_of(&in_flight), &[], "#1")]);
    world.idle();
    assert!(world.rejection(ticket).contains("[KERNEL:VAT_TERMINATED]"));
    assert!(world.rejection(other).contains("[KERNEL:OBJECT_DELETED]"));
    assert_eq!(world.keys(), before);
    assert!(!world.effects.iter().any(|effect| matches!(effect, Effect::Answer { .. })));
}
