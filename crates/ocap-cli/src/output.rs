//! What the user gets to see.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::Instant;

use serde_json::Value;

use crate::limits;

/// One line on standard error. That nobody reads it is no reason to fail.
pub(crate) fn say(line: &str) {
    // In one piece: the console of a kernel may write to the same terminal at this moment.
    let _ = anstream::stderr().lock().write_all(format!("{line}\n").as_bytes());
}

/// A result on standard output, with colours where somebody sees them. A reader that has seen
/// enough is not an error.
pub(crate) fn result(text: &str) -> io::Result<()> {
    write(anstream::stdout().lock(), text)
}

/// A line of a result that goes on; `false` once nobody reads it any more.
pub(crate) fn line(text: &str) -> io::Result<bool> {
    let mut out = anstream::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error),
    }
}

/// Bytes that are a result, as they are.
pub(crate) fn bytes(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

fn write(mut out: impl Write, text: &str) -> io::Result<()> {
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// JSON on standard output: indented for people, one line for programs.
pub(crate) fn json(value: &Value) -> io::Result<()> {
    if io::stdout().is_terminal() {
        write(io::stdout().lock(), &unsteered(&serde_json::to_string_pretty(value)?))
    } else {
        write(io::stdout().lock(), &value.to_string())
    }
}

/// How far something has come: a line on a terminal that is written over, and cleared when this goes.
/// Nothing where standard error is no terminal.
#[derive(Debug)]
pub(crate) struct Progress {
    what: &'static str,
    seen: bool,
    shown: Option<Instant>,
}

impl Progress {
    pub(crate) fn new(what: &'static str) -> Progress {
        Progress { what, seen: io::stderr().is_terminal(), shown: None }
    }

    /// Whether somebody may be looking.
    pub(crate) fn is_seen(&self) -> bool {
        self.seen
    }

    /// So much of so much.
    pub(crate) fn show_part(&mut self, done: u64, total: u64) {
        let percent = u128::from(done) * 100 / u128::from(total.max(1));
        self.show(&format!("{} %", percent.min(100)));
    }

    /// So many of what there are no one knows how many of.
    pub(crate) fn show_count(&mut self, count: u64, of: &str) {
        self.show(&format!("{count} {of}"));
    }

    fn show(&mut self, state: &str) {
        let recent = self.shown.is_some_and(|shown| shown.elapsed() < limits::PROGRESS_PAUSE);
        if self.seen && !recent {
            self.shown = Some(Instant::now());
            let _ = write!(io::stderr(), "\r\x1b[K{}... {state}", self.what);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// JSON text in which what JSON does not escape and a terminal may obey is escaped too.
fn unsteered(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_control() && c != '\n' {
            let _ = write!(shown, "\\u{:04x}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Text that may come from a vat, with whatever would steer a terminal made visible.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' {
            let _ = write!(shown, "{}", c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_not_steered() {
        assert_eq!(printable("a\u{1b}[2Jb\u{9b}c\nd"), "a\\u{1b}[2Jb\\u{9b}c\nd");
        let json = serde_json::to_string_pretty(&serde_json::json!(["\u{1b}\u{9b}x"])).unwrap();
        assert_eq!(unsteered(&json), "[\n  \"\\u001b\\u009bx\"\n]");
    }
}
