//! IO channels as vats see them.

use ocap_core::api::{Answer, ChannelCondition, ChannelEvent, ChannelId, Effect, Ticket};
use ocap_types::config::IoDirection;
use ocap_types::crank::Delivery;
use ocap_types::{KCapData, KRef, SubclusterId};

use crate::world::*;

fn repl() -> ChannelId {
    ChannelId::new(SubclusterId(1), "repl")
}

fn unit(text: &str) -> ChannelEvent {
    ChannelEvent::Unit(text.to_owned())
}

fn unavailable() -> ChannelEvent {
    ChannelEvent::Unavailable { reason: "no such directory".into(), retry_ms: Some(5) }
}

/// A running vat with a channel; the channel's object is ko4.
fn running() -> World {
    let mut world = World::new();
    let (ticket, _) = world.begin_launch(cluster_with_io(&["repl"]));
    world.idle();
    world.event(&repl(), ChannelEvent::Listening);
    world.settle_all();
    assert!(matches!(world.answer(ticket), Some(Answer::Launched { root: KRef::Object(5), .. })));
    world
}

fn ask(world: &mut World, method: &str, args: &str) -> Ticket {
    let ticket = world.ticket();
    let methargs = KCapData::without_slots(format!("#[\"{method}\",[{args}]]"));
    world.core.send(ticket, KRef::Object(4), methargs).unwrap();
    world.idle();
    ticket
}

fn value(world: &mut World, ticket: Ticket) -> String {
    match world.answer(ticket) {
        Some(Answer::Settled { rejected: false, data }) => data.body,
        other => panic!("{other:?}"),
    }
}

fn rejection(world: &mut World, method: &str, args: &str) -> String {
    let ticket = ask(world, method, args);
    match world.answer(ticket) {
        Some(Answer::Settled { rejected: true, data }) => data.body,
        other => panic!("{other:?}"),
    }
}

#[test]
fn vats_wait_for_their_channels_and_get_them_at_bootstrap() {
    let mut world = World::new();
    world.begin_launch(cluster_with_io(&["a", "b"]));
    world.commit();
    assert_eq!(world.effects.len(), 2);
    assert!(
        matches!(&world.effects[0], Effect::OpenChannel { channel, .. } if channel.name == "a")
    );
    world.idle();
    let id = |name: &str| ChannelId::new(SubclusterId(1), name);
    world.event(&id("a"), ChannelEvent::Listening);
    world.idle();
    world.event(&id("b"), ChannelEvent::Connected);
    let start = world.next();
    world.done(&start, vec![]);
    let bootstrap = world.next();
    assert_eq!(
        method_of(&bootstrap),
        "#[\"bootstrap\",[{\"alice\":\"$0.Alleged: vatRoot\"},\
         {\"a\":\"$1.Alleged: a\",\"b\":\"$2.Alleged: b\"}]]"
    );
    let status = world.core.status().unwrap();
    assert_eq!(status.channels.len(), 2);
    assert_eq!(status.channels[1].condition, ChannelCondition::Connected);
    assert_eq!(status.channels[0].kref, KRef::Object(4));
}

#[test]
fn a_channel_that_cannot_open_fails_the_launch() {
    let mut world = World::new();
    let before = world.keys();
    let (ticket, _) = world.begin_launch(cluster_with_io(&["repl"]));
    world.event(&repl(), unavailable());
    let Some(Answer::Failed { message }) = world.answer(ticket) else { panic!() };
    assert!(message.contains("no such directory"), "{message}");
    assert!(world.effects.contains(&Effect::CloseChannel { channel: repl() }));
    world.idle();
    assert_eq!(world.keys(), before);
    // What the driver still has to say about it is of no interest.
    world.event(&repl(), ChannelEvent::Listening);
}

#[test]
fn units_are_read_in_order_then_one_null_then_the_next_peers() {
    let mut world = running();
    let pending = ask(&mut world, "read", "");
    assert_eq!(world.answer(pending), None);
    world.event(&repl(), ChannelEvent::Connected);
    for event in [unit("$one"), unit(""), ChannelEvent::End, ChannelEvent::End, unit("two")] {
        world.event(&repl(), event);
    }
    assert_eq!(value(&mut world, pending), "#\"!$one\"");
    for expected in ["#\"\"", "#null", "#\"two\""] {
        let ticket = ask(&mut world, "read", "");
        assert_eq!(value(&mut world, ticket), expected);
    }
    let consumed: Vec<_> = world
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::ChannelConsumed { bytes, units: 1, .. } => Some(*bytes),
            _ => None,
        })
        .collect();
    assert_eq!(consumed, [4, 0, 3]);
    // Two readers are served in order.
    let (first, second) = (ask(&mut world, "read", ""), ask(&mut world, "read", ""));
    world.event(&repl(), unit("A"));
    world.event(&repl(), ChannelEvent::End);
    assert_eq!(value(&mut world, first), "#\"A\"");
    assert_eq!(value(&mut world, second), "#null");
}

#[test]
fn several_units_are_read_at_once() {
    let mut world = running();
    let pending = ask(&mut world, "readMany", "2");
    let bad = ChannelEvent::Bad("a line is not valid".into());
    for event in ["one", "two", "three", "four"].map(unit) {
        world.event(&repl(), event);
    }
    for event in [bad, unit("five"), ChannelEvent::End, unit("six")] {
        world.event(&repl(), event);
    }
    // Who waits gets what comes first.
    assert_eq!(value(&mut world, pending), "#[\"one\"]");
    let ticket = ask(&mut world, "readMany", "2");
    assert_eq!(value(&mut world, ticket), "#[\"two\",\"three\"]");
    // What is no unit, and an end, stand alone.
    let ticket = ask(&mut world, "readMany", "");
    assert_eq!(value(&mut world, ticket), "#[\"four\"]");
    assert!(rejection(&mut world, "readMany", "9").contains("not valid"));
    for expected in ["#[\"five\"]", "#null", "#[\"six\"]"] {
        let ticket = ask(&mut world, "readMany", "1e9");
        assert_eq!(value(&mut world, ticket), expected);
    }
    for wrong in ["0", "-1", "1.5", "\"2\"", "\"#NaN\""] {
        assert!(rejection(&mut world, "readMany", wrong).contains("number of units"), "{wrong}");
    }
    let consumed: u64 = world
        .effects
        .iter()
        .map(|effect| match effect {
            Effect::ChannelConsumed { units, .. } => *units,
            _ => 0,
        })
        .sum();
    assert_eq!(consumed, 7, "six units, and what was none");
}

#[test]
fn several_units_are_written_at_once() {
    let mut world = running();
    let ticket = ask(&mut world, "writeMany", "[\"a\",\"\",\"!+5\"]");
    world.commit();
    let Some(Effect::WriteChannel { call, units, .. }) = world.effects.pop() else { panic!() };
    assert_eq!(units, ["a", "", "+5"]);
    world.core.service_done(call, Ok(KCapData::without_slots("#\"#undefined\""))).unwrap();
    assert_eq!(value(&mut world, ticket), "#\"#undefined\"");
    for wrong in ["", "\"a\"", "[\"a\",1]"] {
        assert!(rejection(&mut world, "writeMany", wrong).contains("string"), "{wrong}");
    }
}

#[test]
fn a_channel_tells_how_it_is() {
    let mut world = running();
    let ticket = ask(&mut world, "status", "");
    assert_eq!(value(&mut world, ticket), "#{\"state\":\"listening\",\"unread\":0}");
    world.event(&repl(), ChannelEvent::Connected);
    world.event(&repl(), unit("one"));
    world.event(&repl(), ChannelEvent::End);
    let away = ChannelEvent::Connecting { reason: Some("refused".into()), retry_ms: 250 };
    world.event(&repl(), away);
    let ticket = ask(&mut world, "status", "");
    assert_eq!(
        value(&mut world, ticket),
        "#{\"reason\":\"refused\",\"retryMs\":250,\"state\":\"connecting\",\"unread\":1}"
    );
    // Who reads waits for the peer to come back.
    for expected in ["#\"one\"", "#null"] {
        let ticket = ask(&mut world, "read", "");
        assert_eq!(value(&mut world, ticket), expected);
    }
    let pending = ask(&mut world, "read", "");
    assert_eq!(world.answer(pending), None);
    world.event(&repl(), ChannelEvent::Connected);
    world.event(&repl(), unit("two"));
    assert_eq!(value(&mut world, pending), "#\"two\"");
}

#[test]
fn a_peer_that_is_away_does_not_fail_a_launch() {
    let mut world = World::new();
    let (ticket, _) = world.begin_launch(cluster_with_io(&["repl"]));
    world.idle();
    world.event(&repl(), ChannelEvent::Connecting { reason: None, retry_ms: 250 });
    world.settle_all();
    assert!(matches!(world.answer(ticket), Some(Answer::Launched { .. })));
}

#[test]
fn writes_go_out_after_the_commit() {
    let mut world = running();
    let ticket = ask(&mut world, "write", "\"!+5\"");
    world.commit();
    let Some(Effect::WriteChannel { call, units, .. }) = world.effects.pop() else { panic!() };
    assert_eq!(units, ["+5"]);
    world.core.service_done(call, Ok(KCapData::without_slots("#\"#undefined\""))).unwrap();
    assert_eq!(value(&mut world, ticket), "#\"#undefined\"");
    for (method, args, text) in [
        ("write", "", "no string"),
        ("write", "5", "no string"),
        ("write", "\"+5\"", "no string"),
        ("close", "", "has no method \\\"close\\\""),
    ] {
        let ticket = ask(&mut world, method, args);
        let reason = world.rejection(ticket);
        assert!(reason.contains("[KERNEL:DELIVERY_FAILED] IO channel \\\"io:s1:repl\\\" "));
        assert!(reason.contains(text), "{reason}");
    }
    let hostile = format!("\"x\",{}", "[".repeat(100_000));
    let ticket = ask(&mut world, "write", &hostile);
    assert!(world.rejection(ticket).contains("DELIVERY_FAILED"));
}

#[test]
fn directions_hold() {
    for (direction, method, args, text) in [
        (IoDirection::In, "write", "\"x\"", "IO channel \\\"io:s1:repl\\\" is read-only"),
        (IoDirection::Out, "read", "", "IO channel \\\"io:s1:repl\\\" is write-only"),
    ] {
        let mut world = World::new();
        let mut config = cluster_with_io(&["repl"]);
        config.io.as_mut().unwrap()["repl"].direction = Some(direction);
        world.begin_launch(config);
        world.event(&repl(), ChannelEvent::Listening);
        world.settle_all();
        let ticket = ask(&mut world, method, args);
        assert!(world.rejection(ticket).contains(text));
    }
}

#[test]
fn an_unavailable_channel_says_so_and_heals() {
    let mut world = running();
    let pending = ask(&mut world, "read", "");
    world.event(&repl(), unavailable());
    let text = "IO channel \\\"io:s1:repl\\\" is unavailable: no such directory";
    assert!(world.rejection(pending).contains(text));
    for (method, args) in [("read", ""), ("write", "\"x\"")] {
        let ticket = ask(&mut world, method, args);
        assert!(world.rejection(ticket).contains(text));
    }
    let ready = ask(&mut world, "ready", "");
    assert_eq!(world.answer(ready), None);
    world.event(&repl(), ChannelEvent::Listening);
    assert_eq!(value(&mut world, ready), "#\"#undefined\"");
    let ready = ask(&mut world, "ready", "");
    assert_eq!(value(&mut world, ready), "#\"#undefined\"");
}

#[test]
fn a_boot_reopens_channels_first_and_cancels_what_was_pending() {
    let mut world = running();
    world.send_with(KRef::Object(5), "take", &[KRef::Object(4)]);
    let take = world.next();
    let channel = slots_of(&take)[0].to_string();
    // A read and a write of the vat's; another vat's promise hangs on the read.
    let write = ocap_types::crank::Syscall::Send {
        target: vref(&channel),
        methargs: data("#[\"write\",[\"x\"]]", &[]),
        result: Some(vref("p+2")),
    };
    let read = ocap_types::crank::Syscall::Send {
        target: vref(&channel),
        methargs: data("#[\"read\",[]]", &[]),
        result: Some(vref("p+1")),
    };
    world.done(&take, vec![read, write, fulfil(result_of(&take), &["p+1", "p+2"], "#[]")]);
    world.idle();
    world.commit();
    let promises = world.core.host_refs().unwrap();
    assert_eq!(promises.len(), 2);
    let mut world = world.crash();
    world.commit();
    assert!(matches!(&world.effects[0], Effect::OpenChannel { channel, .. } if *channel == repl()));
    world.idle();
    // Whoever still holds the promises sees why.
    let first = world.send(promises[0], "x");
    let second = world.send(promises[1], "x");
    world.idle();
    assert!(world.rejection(first).contains("[KERNEL:READ_CANCELLED]"));
    assert!(world.rejection(second).contains("[KERNEL:OUTCOME_UNKNOWN]"));
    // One that cannot come back keeps nobody from starting, and its object keeps its name.
    world.event(&repl(), unavailable());
    let start = world.next();
    assert!(matches!(start.delivery, Delivery::Start { .. }));
    world.done(&start, vec![]);
    let ticket = ask(&mut world, "read", "");
    assert!(world.rejection(ticket).contains("no such directory"));
    world.event(&repl(), ChannelEvent::Connected);
    world.event(&repl(), unit("back"));
    let ticket = ask(&mut world, "read", "");
    assert_eq!(value(&mut world, ticket), "#\"back\"");
}

#[test]
fn a_kernel_without_io_boots_and_says_so_when_called() {
    let mut world = running();
    world.commit();
    let mut world = World::open(world.store, false);
    world.settle_all();
    assert!(world.effects.is_empty());
    let ticket = ask(&mut world, "read", "");
    assert!(world.rejection(ticket).contains("this kernel was built without IO support"));
    assert!(matches!(
        world.core.status().unwrap().channels[0].condition,
        ChannelCondition::Unavailable { .. }
    ));
}

#[test]
fn a_read_of_a_gone_incarnation_consumes_nothing() {
    let mut world = running();
    world.send_with(KRef::Object(5), "take", &[KRef::Object(4)]);
    let take = world.next();
    let channel = slots_of(&take)[0].to_string();
    let read = ocap_types::crank::Syscall::Send {
        target: vref(&channel),
        methargs: data("#[\"read\",[]]", &[]),
        result: Some(vref("p+1")),
    };
    world.done(&take, vec![read.clone(), read_again(&channel)]);
    world.idle();
    let status = world.core.status().unwrap();
    assert_eq!(status.channels[0].pending_reads, 2);
    let vat = status.vats[0].id;
    let restart = world.ticket();
    world.core.restart_vat(restart, vat).unwrap();
    world.settle_all();
    world.event(&repl(), unit("kept"));
    assert_eq!(world.core.status().unwrap().channels[0].buffered_units, 1);
    // Also if the read had not reached the channel yet.
    world.send_with(KRef::Object(5), "take", &[KRef::Object(4)]);
    let take = world.next();
    let again = slots_of(&take)[0].to_string();
    world.done(&take, vec![read_again(&again)]);
    let restart = world.ticket();
    world.core.restart_vat(restart, vat).unwrap();
    world.settle_all();
    assert_eq!(world.core.status().unwrap().channels[0].buffered_units, 1);
    // Terminating it with a read pending works too, and closes the channel.
    let ticket = ask(&mut world, "read", "");
    assert_eq!(value(&mut world, ticket), "#\"kept\"");
    let pending = ask(&mut world, "read", "");
    world.core.terminate_vat(vat).unwrap();
    world.idle();
    assert!(world.rejection(pending).contains("is closed"));
    assert!(world.effects.contains(&Effect::CloseChannel { channel: repl() }));
}

fn read_again(channel: &str) -> ocap_types::crank::Syscall {
    ocap_types::crank::Syscall::Send {
        target: vref(channel),
        methargs: data("#[\"read\",[]]", &[]),
        result: Some(vref("p+8")),
    }
}
