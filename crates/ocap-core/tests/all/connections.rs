//! Channels with many clients as vats see them: `accept()`, and the objects it answers with.

use ocap_core::api::{Answer, ChannelCondition, ChannelEvent, ChannelId, Effect, Ticket};
use ocap_types::config::{IoClients, IoConfig, IoDirection};
use ocap_types::crank::Syscall;
use ocap_types::{KCapData, KRef, SubclusterId, VRef};

use crate::world::*;

fn chat() -> ChannelId {
    ChannelId::new(SubclusterId(1), "chat")
}

fn unit(text: &str) -> ChannelEvent {
    ChannelEvent::Unit(text.to_owned())
}

/// A running vat with a channel for many clients, whose object is ko4. The vat's root is ko5.
fn running() -> World {
    running_with(socket())
}

fn running_with(config: IoConfig) -> World {
    let mut world = World::new();
    let mut cluster = cluster_with_io(&["chat"]);
    cluster.io.as_mut().unwrap()["chat"] = IoConfig { clients: Some(IoClients::Many), ..config };
    let (ticket, _) = world.begin_launch(cluster);
    world.event(&chat(), ChannelEvent::Listening);
    world.settle_all();
    assert!(matches!(world.answer(ticket), Some(Answer::Launched { root: KRef::Object(5), .. })));
    world
}

fn ask(world: &mut World, target: KRef, method: &str, args: &str) -> Ticket {
    let ticket = world.ticket();
    let methargs = KCapData::without_slots(format!("#[\"{method}\",[{args}]]"));
    world.core.send(ticket, target, methargs).unwrap();
    world.idle();
    ticket
}

fn value(world: &mut World, ticket: Ticket) -> String {
    match world.answer(ticket) {
        Some(Answer::Settled { rejected: false, data }) => data.body,
        other => panic!("{other:?}"),
    }
}

fn said(world: &mut World, target: KRef, method: &str, args: &str) -> String {
    let ticket = ask(world, target, method, args);
    value(world, ticket)
}

fn refusal(world: &mut World, target: KRef, method: &str, args: &str) -> String {
    let ticket = ask(world, target, method, args);
    world.rejection(ticket)
}

/// The connection a call of `accept` got, for the host.
fn connection(world: &mut World, ticket: Ticket) -> (KRef, ChannelId) {
    match world.answer(ticket) {
        Some(Answer::Settled { rejected: false, data }) => {
            assert_eq!(data.body, "#\"$0.Alleged: chat connection\"");
            let KRef::Object(number) = data.slots[0] else { panic!("{data:?}") };
            (data.slots[0], ChannelId { connection: Some(number), ..chat() })
        }
        other => panic!("{other:?}"),
    }
}

/// A client comes, and the host accepts it.
fn accepted(world: &mut World, arrival: u64) -> (KRef, ChannelId) {
    world.event(&chat(), ChannelEvent::Arrived(arrival));
    let ticket = ask(world, KRef::Object(4), "accept", "");
    let (kref, id) = connection(world, ticket);
    let effect = Effect::AcceptConnection { channel: id.clone(), arrival };
    assert!(world.effects.contains(&effect), "{:?}", world.effects);
    (kref, id)
}

fn closes(world: &World, id: &ChannelId) -> usize {
    let wanted = Effect::CloseChannel { channel: id.clone() };
    world.effects.iter().filter(|&effect| *effect == wanted).count()
}

#[test]
fn clients_are_accepted_in_order_and_calls_of_accept_wait_in_order() {
    let mut world = running();
    let first = ask(&mut world, KRef::Object(4), "accept", "");
    let second = ask(&mut world, KRef::Object(4), "accept", "");
    assert_eq!(world.answer(first), None);
    assert_eq!(world.core.status().unwrap().channels[0].pending_reads, 2);
    for arrival in 0..4 {
        world.event(&chat(), ChannelEvent::Arrived(arrival));
    }
    let status = &world.core.status().unwrap().channels[0];
    assert_eq!((status.connections, status.waiting), (Some(2), Some(2)));
    connection(&mut world, first);
    connection(&mut world, second);
    assert_eq!(
        said(&mut world, KRef::Object(4), "status", ""),
        "#{\"connections\":2,\"state\":\"listening\",\"waiting\":2}"
    );
    for _ in 0..2 {
        let ticket = ask(&mut world, KRef::Object(4), "accept", "");
        connection(&mut world, ticket);
    }
    let arrivals: Vec<u64> = world
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::AcceptConnection { arrival, .. } => Some(*arrival),
            _ => None,
        })
        .collect();
    assert_eq!(arrivals, [0, 1, 2, 3]);
}

#[test]
fn a_connection_is_read_and_written_like_a_channel_with_one_client() {
    let mut world = running();
    let (one, one_id) = accepted(&mut world, 0);
    let (two, two_id) = accepted(&mut world, 1);
    assert_ne!(one, two);
    let pending = ask(&mut world, two, "readMany", "");
    world.event(&one_id, unit("for one"));
    world.event(&two_id, unit("for two"));
    assert_eq!(value(&mut world, pending), "#[\"for two\"]");
    let status = "#{\"state\":\"connected\",\"unread\":1}";
    assert_eq!(said(&mut world, one, "status", ""), status);
    assert_eq!(world.core.status().unwrap().channels[0].buffered_units, 1);
    assert_eq!(said(&mut world, one, "read", ""), "#\"for one\"");
    assert_eq!(said(&mut world, one, "ready", ""), "#\"#undefined\"");
    let ticket = ask(&mut world, two, "write", "\"hello\"");
    world.commit();
    let Some(Effect::WriteChannel { call, channel, units }) = world.effects.pop() else { panic!() };
    assert_eq!((&channel, units), (&two_id, vec!["hello".to_owned()]));
    world.core.service_done(call, Ok(KCapData::without_slots("#\"#undefined\""))).unwrap();
    assert_eq!(value(&mut world, ticket), "#\"#undefined\"");
    assert!(refusal(&mut world, one, "accept", "").contains("one connection"));
}

#[test]
fn a_channel_with_many_clients_says_that_it_is_to_accept() {
    let mut world = running();
    for (method, args) in
        [("read", ""), ("readMany", ""), ("write", "\"x\""), ("writeMany", "[\"x\"]")]
    {
        let text = refusal(&mut world, KRef::Object(4), method, args);
        assert!(text.contains("io:s1:chat") && text.contains("accept()"), "{text}");
    }
    assert!(refusal(&mut world, KRef::Object(4), "close", "").contains("no method"));
    // And one with one client that it does not.
    let mut world = World::new();
    world.begin_launch(cluster_with_io(&["chat"]));
    world.event(&chat(), ChannelEvent::Listening);
    world.settle_all();
    let text = refusal(&mut world, KRef::Object(4), "accept", "");
    assert!(text.contains("one client at a time"), "{text}");
    // What the driver would say of clients is of no interest there.
    world.event(&chat(), ChannelEvent::Arrived(1));
    assert_eq!(world.core.status().unwrap().channels[0].buffered_units, 0);
}

#[test]
fn the_end_of_a_connection_is_told_to_all_who_wait_once_and_then_refused() {
    let mut world = running();
    let (kref, id) = accepted(&mut world, 0);
    let readers = [(); 3].map(|()| ask(&mut world, kref, "read", ""));
    world.event(&id, unit("last"));
    world.event(&id, ChannelEvent::End);
    assert_eq!(value(&mut world, readers[0]), "#\"last\"");
    assert_eq!(value(&mut world, readers[1]), "#null");
    assert_eq!(value(&mut world, readers[2]), "#null");
    let text = refusal(&mut world, kref, "read", "");
    assert!(text.contains("has no more input"), "{text}");
    // It can still be written to, until it is over.
    let write = ask(&mut world, kref, "write", "\"x\"");
    assert_eq!(world.answer(write), None);
    world.event(&id, ChannelEvent::Gone);
    for (method, args) in [("read", ""), ("write", "\"x\""), ("ready", "")] {
        let text = refusal(&mut world, kref, method, args);
        assert!(text.contains("IO channel \\\"io:s1:chat/ko"), "{text}");
        assert!(text.contains("is closed"), "{text}");
    }
    let status = "#{\"state\":\"closed\",\"unread\":0}";
    assert_eq!(said(&mut world, kref, "status", ""), status);
    assert_eq!(world.core.status().unwrap().channels[0].connections, Some(0));
    // What is unread when it is over is read first.
    let (kref, id) = accepted(&mut world, 1);
    for event in [unit("a"), unit("b"), ChannelEvent::End, ChannelEvent::Gone] {
        world.event(&id, event);
    }
    assert_eq!(said(&mut world, kref, "readMany", ""), "#[\"a\",\"b\"]");
    assert_eq!(said(&mut world, kref, "read", ""), "#null");
    assert!(refusal(&mut world, kref, "read", "").contains("is closed"));
    // The driver need not be told to close what is over.
    world.core.release_host_ref(kref).unwrap();
    world.commit();
    assert_eq!(closes(&world, &id), 0);
}

#[test]
fn a_connection_is_closed_on_request_once() {
    let mut world = running();
    let (kref, id) = accepted(&mut world, 0);
    let other = accepted(&mut world, 1).1;
    let reading = ask(&mut world, kref, "read", "");
    let write = ask(&mut world, kref, "write", "\"bye\"");
    assert_eq!(said(&mut world, kref, "close", ""), "#\"#undefined\"");
    assert_eq!(value(&mut world, reading), "#null");
    assert_eq!(world.answer(write), None);
    assert_eq!(said(&mut world, kref, "close", ""), "#\"#undefined\"");
    // After what was written before.
    let places = |wanted: fn(&Effect) -> bool| world.effects.iter().position(wanted);
    let write = places(|effect| matches!(effect, Effect::WriteChannel { .. }));
    let close = places(|effect| matches!(effect, Effect::CloseChannel { .. }));
    assert!(write < close, "{:?}", world.effects);
    assert_eq!(closes(&world, &id), 1);
    // What the driver had under way is of no interest any more.
    world.event(&id, unit("late"));
    world.event(&id, ChannelEvent::End);
    world.event(&id, ChannelEvent::Gone);
    assert!(refusal(&mut world, kref, "read", "").contains("is closed"));
    world.event(&other, unit("unharmed"));
    world.core.release_host_ref(kref).unwrap();
    world.commit();
    assert_eq!(closes(&world, &id), 1);
}

#[test]
fn a_connection_nobody_holds_is_closed_and_leaves_nothing() {
    let mut world = running();
    let before = world.keys();
    let (kref, id) = accepted(&mut world, 0);
    world.event(&id, unit("nobody will read this"));
    assert_ne!(world.keys(), before);
    // A read that waits holds it.
    assert_eq!(said(&mut world, kref, "read", ""), "#\"nobody will read this\"");
    let reading = ask(&mut world, kref, "read", "");
    world.core.release_host_ref(kref).unwrap();
    world.commit();
    assert_eq!(closes(&world, &id), 0);
    world.event(&id, unit("somebody reads this"));
    assert_eq!(value(&mut world, reading), "#\"somebody reads this\"");
    world.commit();
    assert_eq!(closes(&world, &id), 1);
    assert_eq!(world.keys().len(), before.len());
    world.event(&id, unit("late"));
}

#[test]
fn a_client_that_nobody_would_get_stays_for_the_next_call() {
    let mut world = running();
    // A vat asks, without wanting to know, or starts again before it is told.
    world.send_with(KRef::Object(5), "take", &[KRef::Object(4)]);
    let take = world.next();
    let channel = slots_of(&take)[0];
    let accept = |result: Option<&str>| Syscall::Send {
        target: channel,
        methargs: data("#[\"accept\",[]]", &[]),
        result: result.map(vref),
    };
    world.event(&chat(), ChannelEvent::Arrived(7));
    world.done(&take, vec![accept(None)]);
    world.idle();
    assert_eq!(world.core.status().unwrap().channels[0].waiting, Some(1));
    let (_, id) = {
        let ticket = ask(&mut world, KRef::Object(4), "accept", "");
        connection(&mut world, ticket)
    };
    world.commit();
    let effect = Effect::AcceptConnection { channel: id, arrival: 7 };
    assert!(world.effects.contains(&effect));
    world.send_with(KRef::Object(5), "take", &[KRef::Object(4)]);
    let take = world.next();
    let channel = slots_of(&take)[0];
    let pending = Syscall::Send {
        target: channel,
        methargs: data("#[\"accept\",[]]", &[]),
        result: Some(vref("p+5")),
    };
    world.done(&take, vec![pending]);
    world.idle();
    assert_eq!(world.core.status().unwrap().channels[0].pending_reads, 1);
    let vat = world.core.status().unwrap().vats[0].id;
    let restart = world.ticket();
    world.core.restart_vat(restart, vat).unwrap();
    world.settle_all();
    world.event(&chat(), ChannelEvent::Arrived(8));
    let status = &world.core.status().unwrap().channels[0];
    assert_eq!((status.pending_reads, status.waiting), (0, Some(1)));
}

/// The vat accepts a client, and keeps the connection's reference in its c-list.
fn vat_accepts(world: &mut World, arrival: u64) -> (VRef, ChannelId) {
    world.send_with(KRef::Object(5), "take", &[KRef::Object(4)]);
    let take = world.next();
    let accept = Syscall::Send {
        target: slots_of(&take)[0],
        methargs: data("#[\"accept\",[]]", &[]),
        result: Some(vref("p+1")),
    };
    world.done(&take, vec![accept, subscribe("p+1"), fulfil(result_of(&take), &[], "#null")]);
    world.event(&chat(), ChannelEvent::Arrived(arrival));
    let notify = world.next();
    let ocap_types::crank::Delivery::Notify { resolutions } = &notify.delivery else { panic!() };
    let connection = resolutions[0].data.slots[0];
    world.done(&notify, vec![]);
    world.commit();
    let channel = world.effects.iter().rev().find_map(|effect| match effect {
        Effect::AcceptConnection { channel, .. } => Some(channel.clone()),
        _ => None,
    });
    (connection, channel.unwrap())
}

#[test]
fn a_connection_a_vat_drops_is_closed() {
    let mut world = running();
    let (connection, id) = vat_accepts(&mut world, 0);
    world.send(KRef::Object(5), "drop");
    let drop = world.next();
    world.done(&drop, vec![Syscall::DropImports { vrefs: vec![connection] }]);
    world.commit();
    assert_eq!(closes(&world, &id), 1);
    // It may still be the key of a weak collection.
    let retire = world.next();
    let expected = ocap_types::crank::Delivery::RetireImports { vrefs: vec![connection] };
    assert_eq!(retire.delivery, expected);
    world.done(&retire, vec![]);
    assert!(!world.keys().iter().any(|key| key.starts_with("conn.")));
}

#[test]
fn a_connection_that_baggage_does_not_hold_ends_with_the_incarnation() {
    let mut world = running();
    let (_, id) = vat_accepts(&mut world, 0);
    let vat = world.core.status().unwrap().vats[0].id;
    let restart = world.ticket();
    world.core.restart_vat(restart, vat).unwrap();
    world.settle_all();
    world.commit();
    assert_eq!(closes(&world, &id), 1);
}

#[test]
fn connections_end_with_their_subcluster() {
    let mut world = World::new();
    let before = world.keys().len();
    let mut world = {
        drop(world);
        running()
    };
    let (_, vats) = vat_accepts(&mut world, 0);
    let (kref, hosts) = accepted(&mut world, 1);
    let reading = ask(&mut world, kref, "read", "");
    let accepting = ask(&mut world, KRef::Object(4), "accept", "");
    world.core.terminate_subcluster(SubclusterId(1)).unwrap();
    world.idle();
    for ticket in [reading, accepting] {
        assert!(world.rejection(ticket).contains("is closed"));
    }
    for id in [&vats, &hosts, &chat()] {
        assert_eq!(closes(&world, id), 1, "{id}");
    }
    world.event(&hosts, unit("late"));
    world.event(&chat(), ChannelEvent::Arrived(3));
    for kref in world.core.host_refs().unwrap() {
        world.core.release_host_ref(kref).unwrap();
    }
    world.idle();
    assert_eq!(world.keys().len(), before);
}

#[test]
fn after_a_boot_connections_are_over_and_leave_when_they_are_dropped() {
    let mut world = running();
    let (kept, id) = accepted(&mut world, 0);
    let accepting = ask(&mut world, KRef::Object(4), "accept", "");
    let reading = ask(&mut world, kept, "read", "");
    assert_eq!((world.answer(accepting), world.answer(reading)), (None, None));
    let mut world = world.crash();
    world.commit();
    // The channel is opened again; of the connection the driver is told nothing.
    assert!(matches!(&world.effects[..], [Effect::OpenChannel { .. }]), "{:?}", world.effects);
    world.event(&chat(), ChannelEvent::Listening);
    world.settle_all();
    let channel = &world.core.status().unwrap().channels[0];
    assert_eq!((channel.connections, channel.pending_reads), (Some(0), 0));
    assert_eq!(channel.condition, ChannelCondition::Listening);
    assert_eq!(said(&mut world, kept, "read", ""), "#null");
    for (method, args) in [("read", ""), ("write", "\"x\"")] {
        assert!(refusal(&mut world, kept, method, args).contains("is closed"));
    }
    // A number is never used again, so what a driver may still say is about no other.
    let (next, _) = accepted(&mut world, 0);
    assert_ne!(next, kept);
    world.core.release_host_ref(kept).unwrap();
    world.commit();
    assert_eq!(closes(&world, &id), 0);
    assert_eq!(world.keys().iter().filter(|key| key.starts_with("conn.")).count(), 1);
    // Also in a kernel that has no IO.
    let mut world = World::open(world.store, false);
    world.settle_all();
    assert!(refusal(&mut world, KRef::Object(4), "accept", "").contains("without IO support"));
    assert_eq!(said(&mut world, next, "read", ""), "#null");
    world.core.terminate_subcluster(SubclusterId(1)).unwrap();
    world.idle();
    assert!(!world.keys().iter().any(|key| key.starts_with("conn.")));
}

#[test]
fn a_channel_that_cannot_serve_refuses_to_accept_and_heals() {
    let mut world = running();
    let (kref, id) = accepted(&mut world, 0);
    let waiting = ask(&mut world, KRef::Object(4), "accept", "");
    let reason = "no such directory".to_owned();
    world.event(&chat(), ChannelEvent::Unavailable { reason, retry_ms: Some(5) });
    assert!(world.rejection(waiting).contains("no such directory"));
    assert!(refusal(&mut world, KRef::Object(4), "accept", "").contains("no such directory"));
    // Connections do not need the door.
    world.event(&id, unit("here"));
    assert_eq!(said(&mut world, kref, "read", ""), "#\"here\"");
    world.event(&chat(), ChannelEvent::Listening);
    accepted(&mut world, 1);
}

#[test]
fn directions_hold_for_each_connection() {
    for (direction, method, args, text) in [
        (IoDirection::In, "write", "\"x\"", "is read-only"),
        (IoDirection::Out, "read", "", "is write-only"),
    ] {
        let mut world = running_with(IoConfig { direction: Some(direction), ..socket() });
        let (kref, _) = accepted(&mut world, 0);
        assert!(refusal(&mut world, kref, method, args).contains(text));
    }
}

#[test]
fn the_walk_finds_a_connection_that_is_not_where_it_belongs() {
    let mut world = running();
    let (kref, _) = accepted(&mut world, 0);
    world.checking = false;
    let (mut watch, found) = world.core.watch().unwrap();
    assert_eq!(found, []);
    let row = format!("conn.ko4.{kref}");
    assert_eq!(watch.row(&row), Some(""));
    let found = watch.write(&row, None);
    assert!(found.iter().any(|found| found.problem.contains("not among its connections")));
    watch.write(&row, Some(""));
    let found = watch.write("conn.ko4.ko1", Some(""));
    assert!(found.iter().any(|found| found.problem.contains("but is none")), "{found:?}");
}
