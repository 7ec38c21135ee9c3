//! One channel and its clients when nothing goes wrong.

use std::os::unix::fs::PermissionsExt;

use ocap_io::{ChannelEvent, Console};
use ocap_types::config::IoDirection;
use tokio::io::AsyncWriteExt;

use crate::rig::{Client, Rig, directed, done, key, socket, unit};

#[tokio::test]
async fn the_socket_is_a_file_only_its_owner_can_use() {
    let rig = Rig::listening().await;
    let file = std::fs::metadata(rig.path("x.sock")).expect("it listens");
    assert_eq!(file.permissions().mode() & 0o7777, 0o600);
}

#[tokio::test]
async fn lines_arrive_in_order_as_they_were_sent() {
    let mut rig = Rig::listening().await;
    let mut client = rig.connect("x").await;
    client.send("one\n\ntwo\r\nth").await;
    for line in ["one", "", "two\r"] {
        assert_eq!(rig.read("x").await, line);
    }
    client.send("ree\n").await;
    assert_eq!(rig.read("x").await, "three");
}

#[tokio::test]
async fn a_character_split_between_chunks_stays_whole() {
    let mut rig = Rig::listening().await;
    let mut client = rig.connect("x").await;
    // The line before shows that the first part has been taken in before the second is sent.
    let bytes = "before\n\u{1f600}\n".as_bytes();
    let (first, second) = bytes.split_at(9);
    client.send(first).await;
    assert_eq!(rig.read("x").await, "before");
    client.send(second).await;
    assert_eq!(rig.read("x").await, "\u{1f600}");
}

#[tokio::test]
async fn writes_reach_the_client_as_lines() {
    let mut rig = Rig::listening().await;
    let mut client = rig.connect("x").await;
    rig.write("x", 1, "hello");
    rig.write("x", 2, "");
    rig.write("x", 3, "two\nlines");
    for call in 1..=3 {
        rig.expect("x", done(call)).await;
    }
    assert_eq!(client.receive(17).await, "hello\n\ntwo\nlines\n");
}

#[tokio::test]
async fn a_client_that_leaves_is_followed_by_one_end_and_nothing_is_mixed() {
    let mut rig = Rig::listening().await;
    let mut client = rig.connect("x").await;
    client.send("a\ntail").await;
    drop(client);
    for event in [unit("a"), unit("tail"), ChannelEvent::End, ChannelEvent::Listening] {
        rig.expect("x", event).await;
    }
    let mut client = rig.connect("x").await;
    client.send("b\n").await;
    assert_eq!(rig.read("x").await, "b");
    drop(client);
    rig.expect("x", ChannelEvent::End).await;
    rig.expect("x", ChannelEvent::Listening).await;
}

#[tokio::test]
async fn a_client_that_sent_nothing_is_followed_by_an_end_too() {
    let mut rig = Rig::listening().await;
    drop(rig.connect("x").await);
    rig.expect("x", ChannelEvent::End).await;
    rig.expect("x", ChannelEvent::Listening).await;
}

#[tokio::test]
async fn whoever_connects_right_after_another_left_is_served() {
    let mut rig = Rig::listening().await;
    for round in 0..200 {
        let mut client = Client::connect(&rig.path("x.sock")).await;
        client.send(format!("{round}\n")).await;
    }
    let mut units = Vec::new();
    while units.len() < 200 {
        match rig.event("x").await {
            ChannelEvent::Unit(unit) => units.push(unit),
            ChannelEvent::Connected | ChannelEvent::End | ChannelEvent::Listening => {}
            other => panic!("{other:?}"),
        }
    }
    let expected: Vec<String> = (0..200).map(|round| round.to_string()).collect();
    assert_eq!(units, expected);
}

#[tokio::test]
async fn a_second_client_is_cut_off_and_the_first_does_not_notice() {
    let mut rig = Rig::listening().await;
    let mut first = rig.connect("x").await;
    let second = Client::connect(&rig.path("x.sock")).await;
    assert_eq!(second.rest().await, b"");
    first.send("still here\n").await;
    assert_eq!(rig.read("x").await, "still here");
    rig.write("x", 1, "you too");
    rig.expect("x", done(1)).await;
    assert_eq!(first.receive(8).await, "you too\n");
}

#[tokio::test]
async fn a_client_that_ended_its_input_still_gets_its_answer_and_then_the_end() {
    let mut rig = Rig::listening().await;
    let mut client = rig.connect("x").await;
    client.send("question\n").await;
    client.stream.shutdown().await.expect("connected");
    assert_eq!(rig.event("x").await, unit("question"));
    rig.expect("x", ChannelEvent::End).await;
    rig.write("x", 1, "answer");
    rig.expect("x", done(1)).await;
    rig.host.consumed(&key("x"), 1, 8);
    assert_eq!(client.rest().await, b"answer\n");
    rig.expect("x", ChannelEvent::Listening).await;
}

#[tokio::test]
async fn a_client_that_ended_its_input_makes_way_for_the_next() {
    let mut rig = Rig::listening().await;
    let mut first = rig.connect("x").await;
    first.send("last words").await;
    first.stream.shutdown().await.expect("connected");
    rig.expect("x", unit("last words")).await;
    rig.expect("x", ChannelEvent::End).await;
    let mut second = rig.connect("x").await;
    assert_eq!(first.rest().await, b"");
    second.send("first words\n").await;
    assert_eq!(rig.read("x").await, "first words");
}

#[tokio::test]
async fn writing_with_nobody_there_is_refused() {
    let mut rig = Rig::listening().await;
    rig.write("x", 1, "anybody?");
    assert_eq!(rig.refusal("x", 1).await, "IO channel \"io:s1:x\" has no connected client");
    drop(rig.connect("x").await);
    rig.expect("x", ChannelEvent::End).await;
    rig.expect("x", ChannelEvent::Listening).await;
    rig.write("x", 2, "anybody?");
    assert_eq!(rig.refusal("x", 2).await, "IO channel \"io:s1:x\" has no connected client");
}

#[tokio::test]
async fn closing_ends_the_client_removes_the_file_and_refuses_writes() {
    let mut rig = Rig::listening().await;
    let client = rig.connect("x").await;
    rig.host.close(&key("x"));
    rig.write("x", 1, "late");
    assert_eq!(rig.refusal("x", 1).await, "IO channel \"io:s1:x\" is closed");
    assert_eq!(client.rest().await, b"");
    rig.host.close_all().await;
    assert!(!rig.path("x.sock").exists());
    assert_eq!(rig.leftovers(), []);
    rig.host.close(&key("x"));
    rig.host.close_all().await;
}

#[tokio::test]
async fn what_was_written_before_closing_still_arrives() {
    let mut rig = Rig::listening().await;
    let client = rig.connect("x").await;
    for call in 0..200 {
        rig.write("x", call, "bye");
    }
    rig.host.close_all().await;
    assert_eq!(client.rest().await, "bye\n".repeat(200).as_bytes());
    for call in 0..200 {
        rig.expect("x", done(call)).await;
    }
}

#[tokio::test]
async fn a_channel_opened_again_takes_over_its_own_path() {
    let mut rig = Rig::listening().await;
    rig.host.open(key("x"), &socket("x.sock"));
    rig.expect("x", ChannelEvent::Listening).await;
    rig.host.close(&key("x"));
    rig.host.open(key("y"), &socket("x.sock"));
    rig.expect("y", ChannelEvent::Listening).await;
    let mut client = Client::connect(&rig.path("x.sock")).await;
    client.send("hi\n").await;
    rig.expect("y", ChannelEvent::Connected).await;
    assert_eq!(rig.read("y").await, "hi");
}

#[tokio::test]
async fn directions_are_kept() {
    let mut rig = Rig::new();
    rig.host.open(key("in"), &directed(socket("in.sock"), IoDirection::In));
    rig.host.open(key("out"), &directed(socket("out.sock"), IoDirection::Out));
    for name in ["in", "out"] {
        rig.expect(name, ChannelEvent::Listening).await;
    }
    let mut reader = rig.connect("in").await;
    rig.write("in", 1, "no");
    assert_eq!(rig.refusal("in", 1).await, "IO channel \"io:s1:in\" is read-only");
    reader.send("yes\n").await;
    assert_eq!(rig.read("in").await, "yes");

    // Nobody reads from it, so what its client says must not fill anything up.
    let mut writer = rig.connect("out").await;
    for _ in 0..100 {
        writer.send("nobody listens\n".repeat(1000)).await;
    }
    rig.write("out", 2, "yes");
    rig.expect("out", done(2)).await;
    assert_eq!(writer.receive(4).await, "yes\n");
    drop(writer);
    rig.expect("out", ChannelEvent::Listening).await;
}

#[tokio::test]
async fn channels_of_one_host_do_not_disturb_each_other() {
    let mut rig = Rig::new();
    let names = ["a", "b", "c", "d"];
    for name in names {
        rig.host.open(key(name), &socket(&format!("{name}.sock")));
    }
    let mut clients = Vec::new();
    for name in names {
        rig.expect(name, ChannelEvent::Listening).await;
        clients.push(rig.connect(name).await);
    }
    for (client, name) in clients.iter_mut().zip(names) {
        client.send(format!("to {name}\n")).await;
    }
    for name in names {
        assert_eq!(rig.read(name).await, format!("to {name}"));
    }
    rig.host.close(&key("a"));
    rig.write("b", 1, "on");
    rig.expect("b", done(1)).await;
    rig.host.close_all().await;
    for name in names {
        assert!(!rig.path(&format!("{name}.sock")).exists());
    }
}

#[tokio::test]
async fn an_absolute_path_is_taken_as_it_is() {
    let mut rig = Rig::new();
    let elsewhere = Rig::new();
    let path = elsewhere.path("x.sock");
    rig.host.open(key("x"), &socket(path.to_str().expect("text")));
    rig.expect("x", ChannelEvent::Listening).await;
    Client::connect(&path).await.send("hi\n").await;
    rig.expect("x", ChannelEvent::Connected).await;
    assert_eq!(rig.read("x").await, "hi");
}

#[tokio::test]
async fn the_end_of_the_runtime_removes_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path().to_owned();
    let path = home.join("x.sock");
    let seen = path.clone();
    tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let mut rig = Rig::at(&home, Console::Unavailable(String::new()));
            rig.host.open(key("x"), &socket("x.sock"));
            rig.expect("x", ChannelEvent::Listening).await;
            assert!(seen.exists());
        });
    })
    .await
    .expect("it ends");
    assert!(!path.exists());
}
