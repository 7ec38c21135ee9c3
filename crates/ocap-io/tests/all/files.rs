//! Files and named pipes.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ocap_io::ChannelEvent;
use ocap_types::config::{IoConfig, IoDirection, IoKind};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::rig::{Rig, directed, done, key, patiently};

fn file(path: &str, direction: IoDirection) -> IoConfig {
    directed(IoConfig::new(IoKind::File { path: path.to_owned() }), direction)
}

fn make_pipe(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
}

#[tokio::test]
async fn a_file_is_read_to_its_end_and_followed() {
    let mut rig = Rig::new();
    fs::write(rig.path("in.txt"), "one\ntwo").expect("written");
    rig.host.open(key("x"), &file("in.txt", IoDirection::In));
    rig.expect("x", ChannelEvent::Connected).await;
    assert_eq!(rig.read("x").await, "one");
    assert_eq!(rig.read("x").await, "two");
    rig.expect("x", ChannelEvent::End).await;
    let mut grown = fs::OpenOptions::new().append(true).open(rig.path("in.txt")).expect("there");
    grown.write_all(b"three\n").expect("written");
    assert_eq!(rig.read("x").await, "three");
    rig.expect("x", ChannelEvent::End).await;
    // Another file in its place is read from its start.
    fs::write(rig.path("new.txt"), "first\n").expect("written");
    fs::rename(rig.path("new.txt"), rig.path("in.txt")).expect("renamed");
    rig.expect("x", ChannelEvent::Connected).await;
    assert_eq!(rig.read("x").await, "first");
    rig.expect("x", ChannelEvent::End).await;
    rig.write("x", 1, "no");
    assert!(rig.refusal("x", 1).await.contains("read-only"));
}

#[tokio::test]
async fn a_file_is_appended_to() {
    let mut rig = Rig::new();
    fs::write(rig.path("out.txt"), "before\n").expect("written");
    rig.host.open(key("x"), &file("out.txt", IoDirection::Out));
    rig.expect("x", ChannelEvent::Connected).await;
    rig.write("x", 1, "one");
    rig.expect("x", done(1)).await;
    rig.host.write(&key("x"), 2, vec!["two".into(), "three".into()]);
    rig.expect("x", done(2)).await;
    let text = fs::read_to_string(rig.path("out.txt")).expect("there");
    assert_eq!(text, "before\none\ntwo\nthree\n");
    rig.host.open(key("y"), &file("new.txt", IoDirection::Out));
    rig.expect("y", ChannelEvent::Connected).await;
    let mode = fs::metadata(rig.path("new.txt")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn what_is_no_file_is_refused_until_it_is_one() {
    let mut rig = Rig::new();
    rig.host.open(key("x"), &file("later.txt", IoDirection::In));
    assert!(rig.unavailable("x").await.contains("cannot open"));
    fs::write(rig.path("later.txt"), "here\n").expect("written");
    assert_eq!(rig.recovered("x").await, ChannelEvent::Connected);
    assert_eq!(rig.read("x").await, "here");
    rig.host.open(key("y"), &file(".", IoDirection::In));
    assert!(matches!(rig.event("y").await, ChannelEvent::Unavailable { .. }));
}

#[tokio::test]
async fn a_pipe_is_read_from_one_writer_after_the_other() {
    let mut rig = Rig::new();
    make_pipe(&rig.path("pipe"));
    rig.host.open(key("x"), &file("pipe", IoDirection::In));
    rig.expect("x", ChannelEvent::Listening).await;
    for (text, lines) in [("one\ntwo", ["one", "two"]), ("three\nfour\n", ["three", "four"])] {
        let path = rig.path("pipe");
        let writing = tokio::task::spawn_blocking(move || fs::write(path, text));
        patiently("the pipe to be written", writing).await.expect("ran").expect("written");
        rig.expect("x", ChannelEvent::Connected).await;
        assert_eq!(rig.read("x").await, lines[0]);
        assert_eq!(rig.read("x").await, lines[1]);
        rig.expect("x", ChannelEvent::End).await;
        rig.expect("x", ChannelEvent::Listening).await;
    }
}

#[tokio::test]
async fn a_pipe_is_written_once_somebody_reads_it() {
    let mut rig = Rig::new();
    make_pipe(&rig.path("pipe"));
    rig.host.open(key("x"), &file("pipe", IoDirection::Out));
    let why = rig.connecting("x").await.expect("an attempt");
    assert!(why.starts_with("nobody reads the pipe"), "{why}");
    for call in [1, 2] {
        let path = rig.path("pipe");
        let reading = tokio::task::spawn_blocking(move || {
            let mut line = [0; 6];
            std::io::Read::read_exact(&mut fs::File::open(path)?, &mut line)?;
            std::io::Result::Ok(line)
        });
        assert_eq!(rig.recovered("x").await, ChannelEvent::Connected);
        rig.write("x", call, "hello");
        rig.expect("x", done(call)).await;
        let line = patiently("the line", reading).await.expect("ran").expect("read");
        assert_eq!(&line, b"hello\n");
        if call == 1 {
            // The reader is gone, which shows at the next write at the latest.
            rig.write("x", 9, "lost");
            assert!(rig.refusal("x", 9).await.contains("has no connected client"));
        }
    }
}
