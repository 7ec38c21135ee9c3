//! What keeps a channel from serving, and how it heals once the cause is gone.

use std::fs;
use std::os::unix::net::{UnixDatagram, UnixListener};

use ocap_io::{ChannelEvent, Console};
use ocap_types::SubclusterId;
use ocap_types::config::{IoConfig, IoDirection, IoKind};

use crate::rig::{Client, Rig, console, directed, key, socket};

async fn open(rig: &mut Rig, path: &str) -> String {
    rig.host.open(key("x"), &socket(path));
    rig.unavailable("x").await
}

async fn heals(rig: &mut Rig, path: &str) {
    assert_eq!(rig.recovered("x").await, ChannelEvent::Listening);
    Client::connect(&rig.path(path)).await.send("hi\n").await;
    rig.expect("x", ChannelEvent::Connected).await;
    assert_eq!(rig.read("x").await, "hi");
}

#[tokio::test]
async fn a_missing_directory() {
    let mut rig = Rig::new();
    let why = open(&mut rig, "run/x.sock").await;
    let folder = rig.path("run");
    assert_eq!(why, format!("the directory {} does not exist; create it", folder.display()));
    rig.write("x", 1, "hello");
    let refusal = rig.refusal("x", 1).await;
    assert_eq!(refusal, format!("IO channel \"io:s1:x\" is unavailable: {why}"));
    fs::create_dir(folder).expect("created");
    heals(&mut rig, "run/x.sock").await;
}

#[tokio::test]
async fn a_file_where_the_directory_should_be() {
    let mut rig = Rig::new();
    fs::write(rig.path("run"), "mine").expect("written");
    let why = open(&mut rig, "run/x.sock").await;
    assert_eq!(why, format!("{} is not a directory", rig.path("run").display()));
    fs::remove_file(rig.path("run")).expect("removed");
    fs::create_dir(rig.path("run")).expect("created");
    heals(&mut rig, "run/x.sock").await;
}

#[tokio::test]
async fn a_regular_file_at_the_path_is_never_touched() {
    let mut rig = Rig::new();
    fs::write(rig.path("x.sock"), "precious").expect("written");
    let why = open(&mut rig, "x.sock").await;
    assert!(why.contains("is a regular file, which is left alone"), "{why}");
    rig.unavailable("x").await;
    assert_eq!(fs::read(rig.path("x.sock")).expect("there"), b"precious");
    fs::rename(rig.path("x.sock"), rig.path("x.txt")).expect("moved");
    heals(&mut rig, "x.sock").await;
    rig.host.close_all().await;
    assert_eq!(fs::read(rig.path("x.txt")).expect("there"), b"precious");
}

#[tokio::test]
async fn a_directory_or_a_link_at_the_path_is_never_touched() {
    let mut rig = Rig::new();
    fs::create_dir(rig.path("x.sock")).expect("created");
    let why = open(&mut rig, "x.sock").await;
    assert!(why.contains("is a directory, which is left alone"), "{why}");
    rig.host.close_all().await;
    assert!(rig.path("x.sock").is_dir());

    let mut rig = Rig::new();
    std::os::unix::fs::symlink("elsewhere", rig.path("x.sock")).expect("linked");
    let why = open(&mut rig, "x.sock").await;
    assert!(why.contains("is a symbolic link, which is left alone"), "{why}");
    fs::remove_file(rig.path("x.sock")).expect("removed");
    heals(&mut rig, "x.sock").await;
    assert!(!rig.path("elsewhere").exists());
}

#[tokio::test]
async fn a_socket_that_somebody_listens_at_is_not_stolen_and_not_disturbed() {
    let mut rig = Rig::new();
    let owner = UnixListener::bind(rig.path("x.sock")).expect("bound");
    owner.set_nonblocking(true).expect("set");
    let why = open(&mut rig, "x.sock").await;
    assert!(why.contains("is in use by another process"), "{why}");
    rig.unavailable("x").await;
    let visit = owner.accept().expect_err("nobody came");
    assert_eq!(visit.kind(), std::io::ErrorKind::WouldBlock);
    // Its owner dies and leaves the file behind.
    drop(owner);
    heals(&mut rig, "x.sock").await;
}

#[tokio::test]
async fn a_socket_of_another_type_is_not_stolen_either() {
    let mut rig = Rig::new();
    let owner = UnixDatagram::bind(rig.path("x.sock")).expect("bound");
    let why = open(&mut rig, "x.sock").await;
    assert!(why.contains("is in use by another process"), "{why}");
    drop(owner);
    heals(&mut rig, "x.sock").await;
}

#[tokio::test]
async fn a_stale_socket_is_replaced_at_once() {
    let mut rig = Rig::new();
    drop(UnixListener::bind(rig.path("x.sock")).expect("bound"));
    assert!(rig.path("x.sock").exists());
    rig.host.open(key("x"), &socket("x.sock"));
    heals(&mut rig, "x.sock").await;
}

#[tokio::test]
async fn a_path_of_another_channel_however_it_is_spelled() {
    let mut rig = Rig::listening().await;
    fs::create_dir(rig.path("real")).expect("created");
    std::os::unix::fs::symlink("../", rig.path("real/up")).expect("linked");
    let mut other = key("other");
    other.subcluster = SubclusterId(2);
    for (name, path) in [("y", "x.sock"), ("z", "./real/up/x.sock")] {
        rig.host.open(key(name), &socket(path));
        let why = rig.unavailable(name).await;
        let wanted = "is already used by channel \"io:s1:x\" of this kernel; use another path";
        assert!(why.ends_with(wanted), "{why}");
    }
    rig.host.close(&key("z"));
    // The first still serves, and hands over when it closes.
    let mut client = rig.connect("x").await;
    client.send("mine\n").await;
    assert_eq!(rig.read("x").await, "mine");
    rig.host.close(&key("x"));
    assert_eq!(rig.recovered("y").await, ChannelEvent::Listening);
    Client::connect(&rig.path("x.sock")).await.send("hi\n").await;
    rig.expect("y", ChannelEvent::Connected).await;
    assert_eq!(rig.read("y").await, "hi");
}

#[tokio::test]
async fn a_second_kernel_on_the_same_path_waits_for_the_first() {
    let mut rig = Rig::listening().await;
    let mut second = Rig::at(&rig.home, Console::Unavailable(String::new()));
    let why = open(&mut second, "x.sock").await;
    assert!(why.contains("is in use by another process"), "{why}");
    second.unavailable("x").await;
    assert_eq!(rig.leftovers(), [], "the first kernel saw the second one's probes");
    rig.host.close_all().await;
    heals(&mut second, "x.sock").await;
    // The first must not remove the file that is now the second's.
    drop(rig.host);
    assert!(second.path("x.sock").exists());
}

#[tokio::test]
async fn a_socket_file_that_is_removed_comes_back_and_its_client_stays() {
    let mut rig = Rig::listening().await;
    let mut client = rig.connect("x").await;
    fs::remove_file(rig.path("x.sock")).expect("removed");
    while !rig.path("x.sock").exists() {
        client.send("are you there?\n").await;
        assert_eq!(rig.read("x").await, "are you there?");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    drop(client);
    rig.expect("x", ChannelEvent::End).await;
    rig.expect("x", ChannelEvent::Listening).await;
    rig.connect("x").await.send("hi\n").await;
    assert_eq!(rig.read("x").await, "hi");
}

#[tokio::test]
async fn a_socket_file_that_is_replaced_is_left_to_whoever_did_it() {
    let mut rig = Rig::listening().await;
    fs::remove_file(rig.path("x.sock")).expect("removed");
    fs::write(rig.path("x.sock"), "precious").expect("written");
    let why = rig.unavailable("x").await;
    assert!(why.contains("is a regular file"), "{why}");
    rig.host.close_all().await;
    assert_eq!(fs::read(rig.path("x.sock")).expect("there"), b"precious");
}

#[tokio::test]
async fn closing_does_not_remove_what_replaced_the_socket() {
    let rig = Rig::listening().await;
    fs::remove_file(rig.path("x.sock")).expect("removed");
    fs::write(rig.path("x.sock"), "precious").expect("written");
    rig.host.close_all().await;
    assert_eq!(fs::read(rig.path("x.sock")).expect("there"), b"precious");
}

#[tokio::test]
async fn a_directory_that_goes_while_listening_and_comes_back() {
    let mut rig = Rig::new();
    fs::create_dir(rig.path("run")).expect("created");
    rig.host.open(key("x"), &socket("run/x.sock"));
    rig.expect("x", ChannelEvent::Listening).await;
    fs::remove_dir_all(rig.path("run")).expect("removed");
    let why = rig.unavailable("x").await;
    assert!(why.contains("does not exist"), "{why}");
    fs::create_dir(rig.path("run")).expect("created");
    heals(&mut rig, "run/x.sock").await;
}

#[tokio::test]
async fn a_channel_can_be_closed_while_it_waits_to_be_tried_again() {
    let mut rig = Rig::new();
    open(&mut rig, "run/x.sock").await;
    rig.host.close_all().await;
    fs::create_dir(rig.path("run")).expect("created");
    rig.write("x", 1, "late");
    assert_eq!(rig.refusal("x", 1).await, "IO channel \"io:s1:x\" is closed");
    assert!(!rig.path("run/x.sock").exists());
}

#[tokio::test]
async fn what_can_never_work_says_so_and_is_not_retried() {
    let long = "x".repeat(200);
    let paths = [
        (long.as_str(), "bytes long; the system allows"),
        ("", "path is empty"),
        ("a\0b", "contains a zero byte"),
        ("../x.sock", "may not contain \"..\""),
        ("/", "does not name a file"),
        ("run/", "does not name a file"),
    ];
    let kind = IoConfig::new;
    let appending =
        |path: &str| directed(kind(IoKind::File { path: path.to_owned() }), IoDirection::Out);
    let mut configs: Vec<(IoConfig, &str)> =
        paths.iter().map(|(path, why)| (socket(path), *why)).collect();
    configs.extend([
        (kind(IoKind::File { path: "x".to_owned() }), "a file needs the direction"),
        (appending(""), "the file's path is empty"),
        (appending("../x"), "may not contain \"..\""),
        (console(), "no console in this test"),
    ]);
    let mut rig = Rig::new();
    for (config, wanted) in configs {
        rig.host.open(key("x"), &config);
        match rig.event("x").await {
            ChannelEvent::Unavailable { reason, retry_ms: None } => {
                assert!(reason.contains(wanted), "{reason:?} should contain {wanted:?}");
            }
            other => panic!("{config:?} led to {other:?}"),
        }
        rig.write("x", 1, "hello");
        let refusal = rig.refusal("x", 1).await;
        assert!(refusal.contains("is unavailable: ") && refusal.contains(wanted), "{refusal}");
        rig.host.close(&key("x"));
    }
    rig.host.close_all().await;
}
