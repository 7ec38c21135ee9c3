//! The console, with pipes in its place, and in a process of its own.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use ocap_io::{ChannelEvent, Console};

use crate::rig::{Rig, console, done, key, unit};

struct Terminal {
    keyboard: Option<std::io::PipeWriter>,
    screen: std::io::PipeReader,
}

fn rig() -> (Rig, Terminal) {
    let (input, keyboard) = std::io::pipe().expect("a pipe");
    let (screen, output) = std::io::pipe().expect("a pipe");
    let streams = Console::Streams { input: OwnedFd::from(input), output: OwnedFd::from(output) };
    (Rig::with_console(streams), Terminal { keyboard: Some(keyboard), screen })
}

impl Terminal {
    fn types(&mut self, text: &str) {
        self.keyboard.as_mut().expect("open").write_all(text.as_bytes()).expect("written");
    }

    fn hangs_up(&mut self) {
        self.keyboard = None;
    }

    fn shows(&mut self, expected: &str) {
        let mut bytes = vec![0; expected.len()];
        self.screen.read_exact(&mut bytes).expect("written");
        assert_eq!(String::from_utf8(bytes).expect("text"), expected);
    }
}

async fn opened(rig: &mut Rig, name: &str) {
    assert_eq!(rig.recovered(name).await, ChannelEvent::Listening);
    rig.expect(name, ChannelEvent::Connected).await;
}

#[tokio::test]
async fn lines_come_in_and_go_out() {
    let (mut rig, mut terminal) = rig();
    rig.host.open(key("c"), &console());
    opened(&mut rig, "c").await;
    terminal.types("Ada\nGra");
    assert_eq!(rig.read("c").await, "Ada");
    rig.write("c", 1, "hello, Ada");
    rig.write("c", 2, "who is next?");
    rig.expect("c", done(1)).await;
    rig.expect("c", done(2)).await;
    terminal.shows("hello, Ada\nwho is next?\n");
    terminal.types("ce");
    terminal.hangs_up();
    rig.expect("c", unit("Grace")).await;
    rig.expect("c", ChannelEvent::End).await;
    // It can still be written to.
    rig.write("c", 3, "bye");
    rig.expect("c", done(3)).await;
    terminal.shows("bye\n");
}

#[tokio::test]
async fn only_one_channel_has_it_and_nothing_typed_is_lost_when_it_changes_hands() {
    let (mut rig, mut terminal) = rig();
    rig.host.open(key("c"), &console());
    opened(&mut rig, "c").await;
    rig.host.open(key("d"), &console());
    let why = rig.unavailable("d").await;
    assert_eq!(why, "the console is already used by channel \"io:s1:c\" of this kernel");
    terminal.types("for c\nfor ");
    assert_eq!(rig.read("c").await, "for c");
    rig.host.close(&key("c"));
    opened(&mut rig, "d").await;
    terminal.types("d\n");
    assert_eq!(rig.read("d").await, "for d");
    terminal.hangs_up();
    rig.expect("d", ChannelEvent::End).await;
    // Whoever comes later is told as well.
    rig.host.close(&key("d"));
    rig.host.open(key("e"), &console());
    opened(&mut rig, "e").await;
    rig.expect("e", ChannelEvent::End).await;
}

#[tokio::test]
async fn what_was_written_before_closing_still_arrives() {
    let (mut rig, mut terminal) = rig();
    rig.host.open(key("c"), &console());
    opened(&mut rig, "c").await;
    for call in 0..100 {
        rig.write("c", call, "bye");
    }
    rig.host.close_all().await;
    terminal.shows(&"bye\n".repeat(100));
    for call in 0..100 {
        rig.expect("c", done(call)).await;
    }
}

#[tokio::test]
async fn a_console_that_takes_nothing_does_not_hold_up_the_end() {
    let (mut rig, _terminal) = rig();
    rig.host.open(key("c"), &console());
    opened(&mut rig, "c").await;
    rig.write("c", 1, &"x".repeat(1024 * 1024));
    rig.write("c", 2, "x");
    rig.host.close_all().await;
    for call in [1, 2] {
        assert_eq!(rig.refusal("c", call).await, "IO channel \"io:s1:c\" is closed");
    }
}

#[tokio::test]
async fn an_output_that_is_gone_refuses_writes() {
    let (mut rig, terminal) = rig();
    rig.host.open(key("c"), &console());
    opened(&mut rig, "c").await;
    let Terminal { keyboard: _keyboard, screen } = terminal;
    drop(screen);
    rig.write("c", 1, "anybody?");
    let why = rig.refusal("c", 1).await;
    assert!(why.starts_with("IO channel \"io:s1:c\" cannot be written to: "), "{why}");
}

#[tokio::test]
async fn unread_lines_wait_in_the_pipe() {
    let (mut rig, mut terminal) = rig();
    rig.host.open(key("c"), &console());
    opened(&mut rig, "c").await;
    let typist = std::thread::spawn(move || {
        terminal.types(&"x\n".repeat(500_000));
        terminal.hangs_up();
    });
    let max = ocap_io::limits::INBOUND_UNITS_MAX;
    for _ in 0..max {
        rig.expect("c", unit("x")).await;
    }
    assert_eq!(rig.leftovers(), []);
    rig.host.consumed(&key("c"), max, max);
    for _ in max..500_000 {
        assert_eq!(rig.read("c").await, "x");
    }
    rig.expect("c", ChannelEvent::End).await;
    typist.join().expect("everything was taken");
}

/// Set for the child of the test below; the value does not matter.
const CHILD: &str = "OCAP_IO_TEST_CONSOLE_CHILD";

/// Not a test of its own: answers one line on the real console, then ends with input still open.
#[test]
fn console_child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let mut rig = Rig::with_console(Console::Stdio);
        rig.host.open(key("c"), &console());
        opened(&mut rig, "c").await;
        let line = rig.read("c").await;
        rig.write("c", 1, &format!("\nhello, {line}"));
        rig.expect("c", done(1)).await;
        rig.host.close_all().await;
    });
}

#[test]
fn a_process_ends_although_its_input_is_still_open() {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "console::console_child", "--nocapture"])
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut keyboard = child.stdin.take().expect("piped");
    keyboard.write_all(b"Ada\n").expect("written");
    let mut screen = String::new();
    // Ends only when the child does.
    child.stdout.take().expect("piped").read_to_string(&mut screen).expect("text");
    assert!(child.wait().expect("ended").success());
    assert!(screen.contains("\nhello, Ada\n"), "{screen}");
    drop(keyboard);
}
