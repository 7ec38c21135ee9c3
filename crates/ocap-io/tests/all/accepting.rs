//! Channels with many clients: each has a connection of its own.

use ocap_io::limits::{
    CONNECTION_INBOUND_UNITS_MAX, CONNECTION_OUTBOUND_BYTES_MAX, CONNECTION_UNIT_BYTES_MAX,
    CONNECTIONS_MAX, WAITING_MAX,
};
use ocap_io::{ChannelEvent, ChannelKey};
use ocap_types::config::{IoClients, IoConfig, IoDirection, IoKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use crate::rig::{Client, Rig, directed, done, key, patiently, socket, unit};

fn many(config: IoConfig) -> IoConfig {
    IoConfig { clients: Some(IoClients::Many), ..config }
}

fn connection(number: u64) -> ChannelKey {
    ChannelKey { connection: Some(number), ..key("x") }
}

/// A host that listens at `x.sock` as channel "x" with many clients.
async fn receiving() -> Rig {
    let mut rig = Rig::new();
    rig.host.open(key("x"), &many(socket("x.sock")));
    rig.expect("x", ChannelEvent::Listening).await;
    rig
}

/// A client that is accepted as the connection of this number.
async fn guest(rig: &mut Rig, number: u64) -> Client {
    let client = Client::connect(&rig.path("x.sock")).await;
    accept(rig, number).await;
    client
}

async fn accept(rig: &mut Rig, number: u64) {
    match rig.event("x").await {
        ChannelEvent::Arrived(arrival) => rig.host.accept(connection(number), arrival),
        other => panic!("expected a client, got {other:?}"),
    }
}

#[tokio::test]
async fn each_client_is_served_by_itself() {
    let mut rig = receiving().await;
    let mut first = guest(&mut rig, 1).await;
    let mut second = guest(&mut rig, 2).await;
    first.send("from the first\n").await;
    second.send("from the second\n").await;
    assert_eq!(rig.read_of(&connection(2)).await, "from the second");
    assert_eq!(rig.read_of(&connection(1)).await, "from the first");
    for (number, client) in [(1, &mut first), (2, &mut second)] {
        rig.host.write(&connection(number), number, vec![format!("to {number}")]);
        rig.expect_of(&connection(number), done(number)).await;
        assert_eq!(client.receive(5).await, format!("to {number}\n"));
    }
    drop(first);
    rig.expect_of(&connection(1), ChannelEvent::End).await;
    rig.expect_of(&connection(1), ChannelEvent::Gone).await;
    second.send("still here").await;
    drop(second);
    assert_eq!(rig.read_of(&connection(2)).await, "still here");
    rig.expect_of(&connection(2), ChannelEvent::End).await;
    rig.expect_of(&connection(2), ChannelEvent::Gone).await;
    rig.host.write(&connection(2), 9, vec!["late".to_owned()]);
    assert_eq!(
        rig.event_of(&connection(2)).await,
        ChannelEvent::WriteDone {
            call: 9,
            result: Err("IO channel \"io:s1:x/ko2\" is closed".to_owned())
        }
    );
}

#[tokio::test]
async fn nothing_is_read_from_a_client_before_it_is_accepted() {
    let mut rig = receiving().await;
    let mut client = Client::connect(&rig.path("x.sock")).await;
    client.send("early\n").await;
    let ChannelEvent::Arrived(arrival) = rig.event("x").await else { panic!("a client") };
    assert_eq!(rig.leftovers(), []);
    rig.host.accept(connection(1), arrival);
    assert_eq!(rig.read_of(&connection(1)).await, "early");
    // Each arrival can be accepted once.
    rig.host.accept(connection(2), arrival);
    rig.expect_of(&connection(2), ChannelEvent::Gone).await;
}

#[tokio::test]
async fn who_comes_when_too_many_wait_is_turned_away() {
    let mut rig = receiving().await;
    let mut waiting = Vec::new();
    for _ in 0..WAITING_MAX {
        waiting.push(Client::connect(&rig.path("x.sock")).await);
    }
    // The system may hold this one a little, but then it sees the end, and no event tells of it.
    let late = Client::connect(&rig.path("x.sock")).await;
    assert_eq!(late.rest().await, b"");
    for number in 0..WAITING_MAX as u64 {
        accept(&mut rig, number).await;
    }
    let mut next = guest(&mut rig, 999).await;
    next.send("there is room again\n").await;
    assert_eq!(rig.read_of(&connection(999)).await, "there is room again");
    // Those that waited are served too, also who has left meanwhile.
    let last = WAITING_MAX as u64 - 1;
    drop(waiting);
    rig.expect_of(&connection(last), ChannelEvent::End).await;
    rig.expect_of(&connection(last), ChannelEvent::Gone).await;
}

#[tokio::test]
async fn a_channel_has_so_many_clients_and_no_more() {
    let mut rig = receiving().await;
    let mut clients = Vec::new();
    for number in 0..CONNECTIONS_MAX as u64 {
        clients.push(guest(&mut rig, number).await);
    }
    let late = Client::connect(&rig.path("x.sock")).await;
    assert_eq!(late.rest().await, b"");
    rig.host.close(&connection(7));
    let mut next = loop {
        // Its seat is free a moment after it is gone.
        let next = Client::connect(&rig.path("x.sock")).await;
        tokio::select! {
            ChannelEvent::Arrived(arrival) = rig.event("x") => {
                rig.host.accept(connection(9999), arrival);
                break next;
            }
            // Turned away.
            () = async { next.stream.readable().await.expect("connected") } => {}
        }
    };
    next.send("a seat\n").await;
    assert_eq!(rig.read_of(&connection(9999)).await, "a seat");
}

#[tokio::test]
async fn what_is_unread_is_bounded_for_each_and_harms_no_other() {
    let mut rig = receiving().await;
    let mut greedy = guest(&mut rig, 1).await;
    let mut modest = guest(&mut rig, 2).await;
    greedy.send("a\n".repeat(CONNECTION_INBOUND_UNITS_MAX as usize + 50)).await;
    for _ in 0..CONNECTION_INBOUND_UNITS_MAX {
        assert_eq!(rig.event_of(&connection(1)).await, unit("a"));
    }
    modest.send("b\n").await;
    assert_eq!(rig.read_of(&connection(2)).await, "b");
    assert_eq!(rig.leftovers(), [], "more units than the limit were handed out");
    rig.host.consumed(&connection(1), CONNECTION_INBOUND_UNITS_MAX, CONNECTION_INBOUND_UNITS_MAX);
    for _ in 0..50 {
        assert_eq!(rig.read_of(&connection(1)).await, "a");
    }
    // A line of any length is found out, and passed over, by its length alone.
    greedy.send("x".repeat(CONNECTION_UNIT_BYTES_MAX + 1)).await;
    match rig.event_of(&connection(1)).await {
        ChannelEvent::Bad(why) => assert!(why.contains("longer than 1048576 bytes"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_a_client_does_not_take_is_bounded() {
    let mut rig = receiving().await;
    let mut slow = guest(&mut rig, 1).await;
    let big = "x".repeat(CONNECTION_UNIT_BYTES_MAX);
    let fit = CONNECTION_OUTBOUND_BYTES_MAX / (big.len() + 1);
    for call in 0..=fit as u64 {
        rig.host.write(&connection(1), call, vec![big.clone()]);
    }
    match rig.event_of(&connection(1)).await {
        ChannelEvent::WriteDone { call, result: Err(why) } => {
            assert_eq!(call, fit as u64);
            assert!(why.starts_with("IO channel \"io:s1:x/ko1\" is full"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    for _ in 0..fit {
        slow.receive(big.len() + 1).await;
    }
    for call in 0..fit as u64 {
        rig.expect_of(&connection(1), done(call)).await;
    }
}

#[tokio::test]
async fn closing_a_connection_ends_its_client_after_what_was_written() {
    let mut rig = receiving().await;
    let client = guest(&mut rig, 1).await;
    let mut other = guest(&mut rig, 2).await;
    for call in 0..100 {
        rig.host.write(&connection(1), call, vec!["bye".to_owned()]);
    }
    rig.host.close(&connection(1));
    assert_eq!(client.rest().await, "bye\n".repeat(100).as_bytes());
    for call in 0..100 {
        rig.expect_of(&connection(1), done(call)).await;
    }
    other.send("unharmed\n").await;
    assert_eq!(rig.read_of(&connection(2)).await, "unharmed");
}

#[tokio::test]
async fn a_client_that_ended_its_input_still_gets_answers() {
    let mut rig = receiving().await;
    let mut client = guest(&mut rig, 1).await;
    client.send("question").await;
    client.stream.shutdown().await.expect("connected");
    assert_eq!(rig.read_of(&connection(1)).await, "question");
    rig.expect_of(&connection(1), ChannelEvent::End).await;
    rig.host.write(&connection(1), 1, vec!["answer".to_owned()]);
    rig.expect_of(&connection(1), done(1)).await;
    rig.host.close(&connection(1));
    assert_eq!(client.rest().await, b"answer\n");
}

#[tokio::test]
async fn directions_and_units_hold_for_each_connection() {
    let mut rig = Rig::new();
    let config = directed(many(socket("x.sock")), IoDirection::In);
    let config = IoConfig { unit: Some(ocap_types::config::IoUnit::Chars), ..config };
    rig.host.open(key("x"), &config);
    rig.expect("x", ChannelEvent::Listening).await;
    let mut client = guest(&mut rig, 1).await;
    client.send("\u{e9}\n").await;
    assert_eq!(rig.read_of(&connection(1)).await, "\u{e9}");
    assert_eq!(rig.read_of(&connection(1)).await, "\n");
    rig.host.write(&connection(1), 1, vec!["no".to_owned()]);
    match rig.event_of(&connection(1)).await {
        ChannelEvent::WriteDone { call: 1, result: Err(why) } => {
            assert_eq!(why, "IO channel \"io:s1:x/ko1\" is read-only");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_end_of_the_host_ends_all_and_removes_the_file() {
    let mut rig = receiving().await;
    let accepted = guest(&mut rig, 1).await;
    let waiting = Client::connect(&rig.path("x.sock")).await;
    assert!(matches!(rig.event("x").await, ChannelEvent::Arrived(_)));
    rig.host.close_all().await;
    assert_eq!(accepted.rest().await, b"");
    assert_eq!(waiting.rest().await, b"");
    assert!(!rig.path("x.sock").exists());
    assert_eq!(rig.leftovers(), []);
}

#[tokio::test]
async fn a_removed_socket_file_is_made_anew_and_connections_stay() {
    let mut rig = receiving().await;
    let mut client = guest(&mut rig, 1).await;
    std::fs::remove_file(rig.path("x.sock")).expect("it is there");
    let stream = loop {
        client.send("still\n").await;
        assert_eq!(rig.read_of(&connection(1)).await, "still");
        match UnixStream::connect(rig.path("x.sock")).await {
            Ok(stream) => break stream,
            // No event tells that it is there again.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
    };
    accept(&mut rig, 2).await;
    let mut second = Client { stream };
    second.send("new\n").await;
    assert_eq!(rig.read_of(&connection(2)).await, "new");
}

#[tokio::test]
async fn a_tcp_port_has_many_clients_too() {
    let mut rig = Rig::new();
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = free.local_addr().expect("bound");
    drop(free);
    let listen = IoConfig::new(IoKind::Listen { hostport: address.to_string() });
    rig.host.open(key("x"), &many(listen));
    rig.expect("x", ChannelEvent::Listening).await;
    let mut clients = Vec::new();
    for number in 0..10 {
        let mut client = TcpStream::connect(address).await.expect("it listens");
        accept(&mut rig, number).await;
        client.write_all(format!("I am {number}\n").as_bytes()).await.expect("sent");
        clients.push(client);
    }
    for number in 0..10 {
        assert_eq!(rig.read_of(&connection(number)).await, format!("I am {number}"));
        rig.host.write(&connection(number), number, vec!["hello".to_owned()]);
    }
    for client in &mut clients {
        let mut answer = [0; 6];
        patiently("an answer", client.read_exact(&mut answer)).await.expect("connected");
        assert_eq!(&answer, b"hello\n");
    }
}

#[tokio::test]
async fn closing_with_input_unread_is_an_end_and_no_reset() {
    let mut rig = Rig::new();
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = free.local_addr().expect("bound");
    drop(free);
    let listen = IoConfig::new(IoKind::Listen { hostport: address.to_string() });
    rig.host.open(key("x"), &many(listen));
    rig.expect("x", ChannelEvent::Listening).await;
    let mut client = TcpStream::connect(address).await.expect("it listens");
    accept(&mut rig, 1).await;
    // More than is handed out, and less than the system holds.
    let lines = "a\n".repeat(200 * CONNECTION_INBOUND_UNITS_MAX as usize);
    patiently("room", client.write_all(lines.as_bytes())).await.expect("sent");
    for _ in 0..CONNECTION_INBOUND_UNITS_MAX {
        assert_eq!(rig.event_of(&connection(1)).await, unit("a"));
    }
    rig.host.write(&connection(1), 1, vec!["enough".to_owned()]);
    rig.host.close(&connection(1));
    let mut rest = String::new();
    patiently("the end", client.read_to_string(&mut rest)).await.expect("an end");
    assert_eq!(rest, "enough\n");
}
