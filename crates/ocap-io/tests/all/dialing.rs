//! TCP ports, and connections that the kernel makes.

use std::net::SocketAddr;

use ocap_io::ChannelEvent;
use ocap_types::config::{IoConfig, IoKind, IoMode, WhenDisconnected};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};

use crate::rig::{Rig, done, key, patiently, socket};

/// A port that was free a moment ago.
async fn port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("bound")
}

fn listen(address: SocketAddr) -> IoConfig {
    IoConfig::new(IoKind::Listen { hostport: address.to_string() })
}

fn network(address: SocketAddr) -> IoConfig {
    IoConfig::new(IoKind::Network { hostport: address.to_string() })
}

async fn accept(listener: &TcpListener) -> TcpStream {
    patiently("a connection", listener.accept()).await.expect("accepted").0
}

async fn receive(stream: &mut (impl AsyncReadExt + Unpin), count: usize) -> String {
    let mut bytes = vec![0; count];
    patiently("bytes", stream.read_exact(&mut bytes)).await.expect("connected");
    String::from_utf8(bytes).expect("UTF-8")
}

#[tokio::test]
async fn a_tcp_port_serves_one_client_at_a_time() {
    let mut rig = Rig::new();
    let address = port().await;
    rig.host.open(key("x"), &listen(address));
    rig.expect("x", ChannelEvent::Listening).await;
    let mut client = TcpStream::connect(address).await.expect("it listens");
    rig.expect("x", ChannelEvent::Connected).await;
    client.write_all(b"one\ntwo\n").await.expect("sent");
    assert_eq!(rig.read("x").await, "one");
    assert_eq!(rig.read("x").await, "two");
    let mut second = TcpStream::connect(address).await.expect("it listens");
    let mut byte = [0];
    let end = patiently("the second to be turned away", second.read(&mut byte)).await;
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    rig.write("x", 1, "hello");
    rig.expect("x", done(1)).await;
    assert_eq!(receive(&mut client, 6).await, "hello\n");
    drop(client);
    rig.expect("x", ChannelEvent::End).await;
    rig.expect("x", ChannelEvent::Listening).await;
    rig.host.close(&key("x"));
    rig.host.close_all().await;
    TcpListener::bind(address).await.expect("the port is free again");
}

#[tokio::test]
async fn two_channels_do_not_share_a_port() {
    let mut rig = Rig::new();
    let address = port().await;
    rig.host.open(key("x"), &listen(address));
    rig.expect("x", ChannelEvent::Listening).await;
    rig.host.open(key("y"), &listen(address));
    let why = rig.unavailable("y").await;
    assert!(why.contains("already used by channel \"io:s1:x\""), "{why}");
    rig.host.close(&key("x"));
    assert_eq!(rig.recovered("y").await, ChannelEvent::Listening);
}

#[tokio::test]
async fn a_port_of_another_process_is_named_and_taken_once_free() {
    let mut rig = Rig::new();
    let other = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = other.local_addr().expect("bound");
    rig.host.open(key("x"), &listen(address));
    let why = rig.unavailable("x").await;
    assert!(why.contains("in use by another process"), "{why}");
    drop(other);
    assert_eq!(rig.recovered("x").await, ChannelEvent::Listening);
}

#[tokio::test]
async fn a_connection_is_made_and_made_again() {
    let mut rig = Rig::new();
    let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    rig.host.open(key("x"), &network(server.local_addr().expect("bound")));
    let mut peer = accept(&server).await;
    rig.expect("x", ChannelEvent::Connected).await;
    peer.write_all(b"hello\nhalf").await.expect("sent");
    assert_eq!(rig.read("x").await, "hello");
    rig.write("x", 1, "answer");
    rig.expect("x", done(1)).await;
    assert_eq!(receive(&mut peer, 7).await, "answer\n");
    drop(peer);
    assert_eq!(rig.read("x").await, "half");
    rig.expect("x", ChannelEvent::End).await;
    assert_eq!(rig.connecting("x").await, None);
    let mut peer = accept(&server).await;
    rig.expect("x", ChannelEvent::Connected).await;
    peer.write_all(b"again\n").await.expect("sent");
    assert_eq!(rig.read("x").await, "again");
}

#[tokio::test]
async fn what_cannot_be_reached_is_tried_again() {
    let mut rig = Rig::new();
    let address = port().await;
    rig.host.open(key("x"), &network(address));
    let why = rig.connecting("x").await.expect("an attempt");
    assert!(why.starts_with(&format!("cannot connect to {address}: ")), "{why}");
    rig.write("x", 1, "lost");
    let refusal = loop {
        match rig.event("x").await {
            ChannelEvent::WriteDone { call: 1, result } => break result.expect_err("nobody there"),
            ChannelEvent::Connecting { .. } => {}
            other => panic!("{other:?}"),
        }
    };
    assert!(refusal.contains("is unavailable: cannot connect"), "{refusal}");
    let server = TcpListener::bind(address).await.expect("still free");
    let _peer = accept(&server).await;
    assert_eq!(rig.recovered("x").await, ChannelEvent::Connected);
}

#[tokio::test]
async fn writes_may_wait_for_the_peer_to_come_back() {
    let mut rig = Rig::new();
    let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let config = IoConfig {
        when_disconnected: Some(WhenDisconnected::Wait),
        ..network(server.local_addr().expect("bound"))
    };
    rig.host.open(key("x"), &config);
    drop(accept(&server).await);
    rig.expect("x", ChannelEvent::Connected).await;
    rig.expect("x", ChannelEvent::End).await;
    assert_eq!(rig.connecting("x").await, None);
    rig.write("x", 1, "kept");
    let mut peer = accept(&server).await;
    rig.expect("x", ChannelEvent::Connected).await;
    rig.expect("x", done(1)).await;
    assert_eq!(receive(&mut peer, 5).await, "kept\n");
}

#[tokio::test]
async fn writes_may_wait_for_the_first_client_too_and_for_the_next() {
    let mut rig = Rig::new();
    let config = IoConfig { when_disconnected: Some(WhenDisconnected::Wait), ..socket("x.sock") };
    rig.host.open(key("x"), &config);
    rig.expect("x", ChannelEvent::Listening).await;
    for (call, text) in [(1, "first"), (2, "later")] {
        rig.write("x", call, text);
        let mut client = rig.connect("x").await;
        rig.expect("x", done(call)).await;
        assert_eq!(client.receive(6).await, format!("{text}\n"));
        drop(client);
        rig.expect("x", ChannelEvent::End).await;
        rig.expect("x", ChannelEvent::Listening).await;
    }
}

#[tokio::test]
async fn writes_may_be_dropped_while_nobody_is_there() {
    let mut rig = Rig::new();
    let config = IoConfig { when_disconnected: Some(WhenDisconnected::Drop), ..socket("x.sock") };
    rig.host.open(key("x"), &config);
    rig.expect("x", ChannelEvent::Listening).await;
    rig.write("x", 1, "for nobody");
    rig.expect("x", done(1)).await;
    let mut client = rig.connect("x").await;
    rig.write("x", 2, "for somebody");
    rig.expect("x", done(2)).await;
    assert_eq!(client.receive(13).await, "for somebody\n");
}

#[tokio::test]
async fn a_unix_socket_may_be_the_peers() {
    let mut rig = Rig::new();
    let server = UnixListener::bind(rig.path("theirs.sock")).expect("a socket");
    let config = IoConfig { mode: Some(IoMode::Connect), ..socket("theirs.sock") };
    rig.host.open(key("x"), &config);
    let (mut peer, _) = patiently("a connection", server.accept()).await.expect("accepted");
    rig.expect("x", ChannelEvent::Connected).await;
    peer.write_all(b"hello\n").await.expect("sent");
    assert_eq!(rig.read("x").await, "hello");
    rig.host.close_all().await;
    assert!(rig.path("theirs.sock").exists(), "a peer's socket is the peer's");
}
