//! A terminal of 80 columns and 24 lines, and a process in it: what somebody would see who sat there.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, spawn};

use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use vt100::{Cell, Color, Parser, Screen};

use crate::rig::{eventually, wait};

/// A process whose input and outputs are a terminal. Killed when this goes.
pub(crate) struct Terminal {
    child: Child,
    keyboard: File,
    seen: Arc<Mutex<Seen>>,
    reader: Option<JoinHandle<()>>,
}

/// What the process has written.
struct Seen {
    parser: Parser,
    bytes: Vec<u8>,
}

impl Terminal {
    pub(crate) fn start(mut command: Command) -> Terminal {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let theirs = ioctl_tiocgptpeer(&ours, flags).unwrap();
        let (columns, lines) = (Parser::<()>::DEFAULT_COLS, Parser::<()>::DEFAULT_ROWS);
        let size =
            Winsize { ws_row: lines.get(), ws_col: columns.get(), ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&theirs, size).unwrap();
        command.env("TERM", "xterm-256color");
        command.stdin(theirs.try_clone().unwrap()).stdout(theirs.try_clone().unwrap());
        command.stderr(theirs);
        let child = command.spawn().unwrap();
        // It holds ends of the terminal: with them open there would be no end of what is read.
        drop(command);
        let seen = Seen { parser: Parser::new(lines, columns, 0), bytes: Vec::new() };
        let seen = Arc::new(Mutex::new(seen));
        let mut screen = File::from(ours);
        let keyboard = screen.try_clone().unwrap();
        let written = Arc::clone(&seen);
        // Ends when nobody has the other end any more, which is an error here.
        let reader = spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                let mut seen = written.lock().unwrap();
                seen.parser.process(&bytes[..count]);
                seen.bytes.extend_from_slice(&bytes[..count]);
            }
        });
        Terminal { child, keyboard, seen, reader: Some(reader) }
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits until a text is on the screen.
    #[track_caller]
    pub(crate) fn shows(&self, text: &str) {
        eventually(&format!("{text:?} is on the screen"), || {
            self.seen.lock().unwrap().parser.screen().contents().contains(text)
        });
    }

    /// Waits until this is the last thing on the screen: what is typed before a prompt is there is
    /// shown twice.
    #[track_caller]
    pub(crate) fn prompts(&self, prompt: &str) {
        eventually(&format!("{prompt:?} is the last thing on the screen"), || {
            self.seen.lock().unwrap().parser.screen().contents().trim_end().ends_with(prompt)
        });
    }

    /// Waits for the end of the process, and of what it has written; its exit code.
    #[track_caller]
    pub(crate) fn ends(&mut self) -> Option<i32> {
        let status = wait(&mut self.child);
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        status.code()
    }

    /// What is on the screen: `‹style:text›` where it is not plain.
    pub(crate) fn screen(&self) -> String {
        described(self.seen.lock().unwrap().parser.screen())
    }

    /// All that was written, what steers the terminal included.
    pub(crate) fn written(&self) -> String {
        let seen = self.seen.lock().unwrap();
        String::from_utf8_lossy(&seen.bytes).replace('\x1b', "␛").replace('\r', "␍")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn described(screen: &Screen) -> String {
    let (lines, columns) = screen.size();
    let mut text = String::new();
    for row in 0..lines.get() {
        let (mut line, mut style) = (String::new(), String::new());
        for column in 0..columns.get() {
            let Some(cell) = screen.cell(row, column).filter(|cell| !cell.is_wide_continuation())
            else {
                continue;
            };
            let now = style_of(cell);
            if now != style {
                line.push_str(if style.is_empty() { "" } else { "›" });
                if !now.is_empty() {
                    line.extend(["‹", &now, ":"]);
                }
                style = now;
            }
            line.push_str(if cell.has_contents() { cell.contents() } else { " " });
        }
        line.push_str(if style.is_empty() { "" } else { "›" });
        // A line that was too long goes on in the next row.
        if screen.row_wrapped(row) {
            text.push_str(&line);
        } else {
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    text.trim_end().to_owned()
}

fn style_of(cell: &Cell) -> String {
    const COLOURS: [&str; 8] =
        ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
    let mut words = Vec::new();
    for (word, is_so) in [
        ("bold", cell.bold()),
        ("faint", cell.dim()),
        ("underlined", cell.underline()),
        ("inverse", cell.inverse()),
    ] {
        words.extend(is_so.then_some(word));
    }
    match cell.fgcolor() {
        Color::Default => {}
        Color::Idx(index) => {
            words.push(COLOURS.get(usize::from(index)).copied().unwrap_or("bright"));
        }
        Color::Rgb(..) => words.push("coloured"),
    }
    words.join(" ")
}
