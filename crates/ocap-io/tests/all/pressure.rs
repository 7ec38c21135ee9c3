//! Peers that send too much, take too little, or send what cannot be taken.

use ocap_io::limits::{
    INBOUND_BYTES_MAX, INBOUND_UNITS_MAX, OUTBOUND_BYTES_MAX, OUTBOUND_CALLS_MAX, UNIT_BYTES_MAX,
};
use ocap_io::{ChannelEvent, ChannelKey};
use tokio::io::AsyncWriteExt;

use crate::rig::{Client, Rig, done, key, unit};

fn x() -> ChannelKey {
    key("x")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_unread_lines_wait_in_their_sender() {
    const LINES: u64 = 1_000_000;
    let mut rig = Rig::listening().await;
    let mut client = rig.connect("x").await;
    let mut accepted = 0;
    let lines: Vec<String> = (0..LINES).map(|line| line.to_string()).collect();
    let text = lines.join("\n") + "\n";
    // Whatever the host and the socket's own buffers take; then the sender is stuck.
    let mut rest = text.as_bytes();
    while let Ok(count) = patiently_try(&mut client, rest).await {
        accepted += count;
        rest = &rest[count..];
    }
    assert!(accepted < 2 * 1024 * 1024, "{accepted} bytes were taken from the sender");

    let mut units = Vec::new();
    for _ in 0..INBOUND_UNITS_MAX {
        match rig.event("x").await {
            ChannelEvent::Unit(unit) => units.push(unit),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(rig.leftovers(), [], "more units than the limit were handed out");

    // Once they are read everything arrives, in order, and then the end.
    let rest = rest.to_vec();
    let sender = tokio::spawn(async move { client.send(rest).await });
    let bytes: usize = units.iter().map(String::len).sum();
    rig.host.consumed(&x(), units.len() as u64, bytes as u64);
    for line in INBOUND_UNITS_MAX..LINES {
        assert_eq!(rig.read("x").await, line.to_string());
    }
    rig.expect("x", ChannelEvent::End).await;
    sender.await.expect("it sent everything");
}

/// Writes what goes; an error when nothing goes for a while, the host being stuck by then.
async fn patiently_try(client: &mut Client, bytes: &[u8]) -> Result<usize, ()> {
    let quiet = std::time::Duration::from_millis(300);
    match tokio::time::timeout(quiet, client.stream.write(bytes)).await {
        Ok(written) => Ok(written.expect("connected")),
        Err(_) => Err(()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unread_units_are_bounded_by_bytes_too() {
    let mut rig = Rig::listening().await;
    let mut client = rig.connect("x").await;
    let big = "x".repeat(UNIT_BYTES_MAX);
    let sent = big.clone();
    let sender = tokio::spawn(async move {
        for _ in 0..4 {
            client.send(&sent).await;
            client.send("\n").await;
        }
        client
    });
    let fit = INBOUND_BYTES_MAX / UNIT_BYTES_MAX as u64;
    for _ in 0..fit {
        assert_eq!(rig.event("x").await, unit(&big));
    }
    assert!(!sender.is_finished());
    for _ in fit..4 {
        assert_eq!(rig.leftovers(), []);
        rig.host.consumed(&x(), 1, big.len() as u64);
        assert_eq!(rig.event("x").await, unit(&big));
    }
    drop(sender.await.expect("all is taken"));
    rig.expect("x", ChannelEvent::End).await;
}

#[tokio::test]
async fn a_client_can_follow_one_whose_lines_are_still_unread() {
    let mut rig = Rig::listening().await;
    let mut first = rig.connect("x").await;
    let count = INBOUND_UNITS_MAX + 10;
    first.send("a\n".repeat(count as usize)).await;
    for _ in 0..INBOUND_UNITS_MAX {
        assert_eq!(rig.event("x").await, unit("a"));
    }
    drop(first);
    let mut second = Client::connect(&rig.path("x.sock")).await;
    second.send("b\n").await;
    rig.host.consumed(&x(), INBOUND_UNITS_MAX, INBOUND_UNITS_MAX);
    for _ in INBOUND_UNITS_MAX..count {
        assert_eq!(rig.read("x").await, "a");
    }
    rig.expect("x", ChannelEvent::End).await;
    loop {
        match rig.event("x").await {
            ChannelEvent::Listening => {}
            other => break assert_eq!(other, ChannelEvent::Connected),
        }
    }
    assert_eq!(rig.read("x").await, "b");
}

#[tokio::test]
async fn writes_that_a_client_does_not_take_are_bounded() {
    let mut rig = Rig::listening().await;
    let mut client = rig.connect("x").await;
    let big = "x".repeat(UNIT_BYTES_MAX);
    let fit = OUTBOUND_BYTES_MAX / (big.len() + 1);
    for call in 0..=fit as u64 {
        rig.write("x", call, &big);
    }
    let why = rig.refusal("x", fit as u64).await;
    assert!(why.starts_with("IO channel \"io:s1:x\" is full"), "{why}");
    for _ in 0..fit {
        let line = client.receive(big.len() + 1).await;
        assert!(line.ends_with("x\n"));
    }
    for call in 0..fit as u64 {
        rig.expect("x", done(call)).await;
    }
    rig.write("x", 99, "room again");
    rig.expect("x", done(99)).await;
}

#[tokio::test]
async fn every_write_is_answered_when_the_client_leaves() {
    let mut rig = Rig::listening().await;
    let client = rig.connect("x").await;
    rig.write("x", 0, &"x".repeat(UNIT_BYTES_MAX));
    let last = OUTBOUND_CALLS_MAX as u64 - 1;
    for call in 1..=last {
        rig.write("x", call, "y");
    }
    drop(client);
    let mut answered = vec![false; OUTBOUND_CALLS_MAX];
    while answered.contains(&false) {
        if let ChannelEvent::WriteDone { call, result } = rig.event("x").await {
            assert!(!answered[call as usize], "{call} was answered twice");
            answered[call as usize] = true;
            let why = result.expect_err("it had left");
            assert_eq!(why, "IO channel \"io:s1:x\" has no connected client");
        }
    }
}

#[tokio::test]
async fn a_write_longer_than_a_unit_is_refused() {
    let mut rig = Rig::listening().await;
    let _client = rig.connect("x").await;
    rig.write("x", 1, &"x".repeat(UNIT_BYTES_MAX + 1));
    let why = rig.refusal("x", 1).await;
    assert!(why.contains("8388609 bytes") && why.contains("the limit is 8388608"), "{why}");
}

#[tokio::test]
async fn what_is_not_utf8_is_an_error_in_its_place() {
    let mut rig = Rig::listening().await;
    let mut client = rig.connect("x").await;
    client.send(b"good\nbad \xff\nnext\n").await;
    assert_eq!(rig.read("x").await, "good");
    let why = rig.bad("x").await;
    assert_eq!(why, "IO channel \"io:s1:x\" received a line that is not valid UTF-8");
    assert_eq!(rig.read("x").await, "next");
    rig.write("x", 1, "still there");
    rig.expect("x", done(1)).await;
    assert_eq!(client.receive(12).await, "still there\n");
}

#[tokio::test]
async fn a_line_over_the_limit_is_an_error_and_the_next_one_is_read() {
    let mut rig = Rig::listening().await;
    let mut client = rig.connect("x").await;
    client.send("x".repeat(UNIT_BYTES_MAX)).await;
    client.send("x").await;
    assert!(rig.bad("x").await.ends_with("received a line longer than 8388608 bytes"));
    client.send("x".repeat(UNIT_BYTES_MAX)).await;
    client.send("y\nnext\n").await;
    assert_eq!(rig.read("x").await, "next");
}

#[tokio::test]
async fn giving_back_more_than_was_taken_does_no_harm() {
    let mut rig = Rig::listening().await;
    rig.host.consumed(&x(), u64::MAX, u64::MAX);
    rig.host.consumed(&key("nobody"), 1, 1);
    let mut client = rig.connect("x").await;
    client.send("a\n").await;
    assert_eq!(rig.read("x").await, "a");
}
