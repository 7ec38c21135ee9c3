//! System subclusters, resets and registrations, with everything under way and with crashes.

use ocap_core::api::{Answer, ChannelEvent, CoreError, Effect, Launch};
use ocap_types::crank::Delivery;
use ocap_types::{KCapData, KRef};

use crate::world::*;

fn system(name: &str) -> Launch {
    let mut config = cluster(&["alice"]);
    config.services = Some(vec!["kernelFacet".into()]);
    Launch { name: Some(name.into()), system: true, ..launch_of(config) }
}

fn failure(world: &mut World, ticket: ocap_core::api::Ticket) -> String {
    match world.answer(ticket) {
        Some(Answer::Failed { message }) => message,
        Some(Answer::Settled { rejected: true, data }) => data.body,
        other => panic!("no failure: {other:?}"),
    }
}

#[test]
fn a_system_subcluster_is_there_by_name_once_it_is_launched() {
    let mut world = World::new();
    let before = world.keys();
    // A crash during its launch leaves nothing.
    let ticket = world.ticket();
    let id = world.core.launch(ticket, system("boss")).unwrap();
    assert_eq!(world.core.system_subcluster("boss").unwrap(), Some(id));
    assert_eq!(world.core.system_root("boss").unwrap(), None);
    world.commit();
    let mut world = world.crash();
    assert_eq!(world.core.system_subcluster("boss").unwrap(), None);
    let ticket = world.ticket();
    let id = world.core.launch(ticket, system("boss")).unwrap();
    let taken = world.core.launch(ticket, system("boss")).unwrap_err();
    assert!(matches!(taken, CoreError::Invalid(_)));
    // Clients find none of it, and may use the name.
    assert_eq!(world.core.subcluster_by_name("boss").unwrap(), None);
    world.settle_all();
    assert!(matches!(world.answer(ticket), Some(Answer::Launched { .. })));
    let root = world.core.system_root("boss").unwrap().unwrap();
    let mut world = world.crash();
    world.core.retain_system_subclusters(&["boss", "other"]).unwrap();
    assert_eq!(world.core.system_root("boss").unwrap(), Some(root));
    assert!(world.core.status().unwrap().subclusters[0].system);
    world.settle_all();
    // Not declared any more: none of its vats starts again.
    let mut world = world.crash();
    world.core.retain_system_subclusters(&["other"]).unwrap();
    world.idle();
    assert_eq!(world.keys(), before);
    assert!(matches!(world.core.terminate_subcluster(id), Err(CoreError::SubclusterNotFound(_))));
}

/// With a launch, calls, reads, parked messages and deliveries under way.
#[test]
fn a_reset_ends_whatever_is_under_way() {
    let mut world = World::new();
    let before = world.keys();
    let ticket = world.ticket();
    let mut config = cluster_with_io(&["repl"]);
    config.services = Some(vec!["kernelFacet".into()]);
    world.core.launch(ticket, Launch { system: true, ..launch_of(config) }).unwrap();
    let channel = world.core.status().unwrap().channels[0].clone();
    let id = ocap_core::api::ChannelId::new(channel.subcluster_id, channel.name.clone());
    world.event(&id, ChannelEvent::Listening);
    world.settle_all();
    world.answer(ticket).unwrap();
    let (_, root) = world.launch(&["carol", "dave"])[0];
    let facet = KRef::Object(3);
    let read = world.send(channel.kref, "read");
    let service = world.send_with(facet, "hello", &[root]);
    world.idle();
    let busy = world.send(root, "busy");
    let flight = world.next();
    let queued = world.send(root, "queued");
    let (launch, _) = world.begin_launch(cluster(&["erin"]));
    let start = world.next();
    world.commit();
    let call = world.effects.iter().find_map(|effect| match effect {
        Effect::ServiceCall { call, .. } => Some(*call),
        _ => None,
    });
    world.core.reset().unwrap();
    world.check();
    for ticket in [read, service, busy, queued, launch] {
        let text = failure(&mut world, ticket);
        assert!(text.contains("reset") || text.contains("KERNEL:"), "{text}");
    }
    assert!(world.effects.contains(&Effect::CloseChannel { channel: id.clone() }));
    assert_eq!(world.commands.len(), 4, "every worker is stopped: {:?}", world.commands);
    assert_eq!(world.keys(), before);
    // What comes late means nothing.
    world.done(&flight, vec![]);
    world.done(&start, vec![]);
    world.event(&id, ChannelEvent::Unit("late".into()));
    let value = KCapData::without_slots("#1");
    world.core.service_done(call.unwrap(), Ok(value)).unwrap();
    world.check();
    assert_eq!(world.keys(), before);
    world.idle();
    // As on a fresh store, the first root is ko4; calls go on counting.
    let roots = world.launch(&["alice"]);
    assert_eq!(roots[0].1, KRef::Object(4));
    world.send(facet, "again");
    world.idle();
    world.commit();
    let again = world.effects.iter().rev().find_map(|effect| match effect {
        Effect::ServiceCall { call, .. } => Some(*call),
        _ => None,
    });
    assert!(again > call);
    let mut world = world.crash();
    world.settle_all();
    assert_eq!(world.core.root(roots[0].0).unwrap(), roots[0].1);
}

#[test]
fn all_subclusters_end_also_those_being_launched() {
    let mut world = World::new();
    let before = world.keys();
    let (launch, _) = world.begin_launch(cluster(&["alice"]));
    let roots = world.launch(&["bob"]);
    world.answer(launch);
    let (launch, _) = world.begin_launch(cluster(&["carol"]));
    let call = world.send(roots[0].1, "hello");
    world.core.terminate_all().unwrap();
    world.check();
    world.idle();
    assert_eq!(failure(&mut world, launch), "the subcluster was terminated");
    assert!(world.rejection(call).contains("OBJECT_DELETED"));
    assert_eq!(world.keys(), before);
}

#[test]
fn a_registration_holds_its_object_and_ends_with_it() {
    let mut world = World::new();
    let roots = world.launch(&["alice"]);
    let (alice, root) = roots[0];
    let made = world.send(root, "make");
    let delivery = world.next();
    world.done(&delivery, vec![become_(result_of(&delivery), "o+1")]);
    let Some(Answer::Settled { data, .. }) = world.answer(made) else { panic!("settled") };
    let thing = data.slots[0];
    world.core.register_object("shop", thing, false).unwrap();
    world.core.register_object("root", root, true).unwrap();
    world.check();
    assert!(world.core.release_host_ref(thing).unwrap());
    world.check();
    world.idle();
    let taken = world.core.register_object("shop", root, false);
    assert!(matches!(taken, Err(CoreError::Invalid(_))));
    let promise = world.core.register_object("other", KRef::Promise(1), false);
    assert!(matches!(promise, Err(CoreError::Invalid(_))));
    // An ephemeral object ends with the incarnation; a root with its vat.
    let mut world = world.crash();
    assert!(!world.core.unregister_object("shop").unwrap());
    world.settle_all();
    world.core.terminate_vat(alice).unwrap();
    world.check();
    assert!(!world.core.unregister_object("root").unwrap());
    world.idle();
    // Without the registration, the exporter is told that nobody holds the object.
    let roots = world.launch(&["bob"]);
    let made = world.send(roots[0].1, "make");
    let delivery = world.next();
    world.done(&delivery, vec![become_(result_of(&delivery), "o+1")]);
    let Some(Answer::Settled { data, .. }) = world.answer(made) else { panic!("settled") };
    world.core.register_object("shop", data.slots[0], false).unwrap();
    world.core.release_host_ref(data.slots[0]).unwrap();
    world.idle();
    assert!(world.core.unregister_object("shop").unwrap());
    world.check();
    assert!(matches!(world.next().delivery, Delivery::DropExports { .. }));
}
