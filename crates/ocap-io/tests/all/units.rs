//! Units other than lines, over a real socket.

use ocap_io::ChannelEvent;
use ocap_types::config::{IoConfig, IoUnit};

use crate::rig::{Rig, done, key, socket};

async fn open(unit: IoUnit) -> Rig {
    let mut rig = Rig::new();
    rig.host.open(key("x"), &IoConfig { unit: Some(unit), ..socket("x.sock") });
    rig.expect("x", ChannelEvent::Listening).await;
    rig
}

#[tokio::test]
async fn bytes_pass_unharmed_both_ways() {
    let mut rig = open(IoUnit::Bytes).await;
    let mut client = rig.connect("x").await;
    client.send([0xff, 0x00, b'\n']).await;
    assert_eq!(rig.read("x").await, "/wAK");
    rig.write("x", 1, "aGkh");
    rig.expect("x", done(1)).await;
    assert_eq!(client.receive(3).await, "hi!");
    rig.write("x", 2, "no base64");
    assert!(rig.refusal("x", 2).await.contains("no base64 text"));
}

#[tokio::test]
async fn text_comes_as_it_is_sent() {
    let mut rig = open(IoUnit::String).await;
    let mut client = rig.connect("x").await;
    client.send("no newline").await;
    assert_eq!(rig.read("x").await, "no newline");
    rig.write("x", 1, "none here");
    rig.expect("x", done(1)).await;
    assert_eq!(client.receive(9).await, "none here");
    client.send(b"\xf0\x9f").await;
    drop(client);
    assert!(rig.bad("x").await.ends_with("received text that is not valid UTF-8"));
    rig.expect("x", ChannelEvent::End).await;
}

#[tokio::test]
async fn characters_come_one_by_one_and_in_bounds() {
    let mut rig = open(IoUnit::Chars).await;
    let mut client = rig.connect("x").await;
    client.send("\u{e9}".repeat(5_000)).await;
    for _ in 0..5_000 {
        assert_eq!(rig.read("x").await, "\u{e9}");
    }
    client.send("\n").await;
    assert_eq!(rig.read("x").await, "\n");
}
