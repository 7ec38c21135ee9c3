//! `ocap logs`: what the kernel and its vats have logged.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use ocap_daemon::Home;
use ocap_daemon::home::display;
use serde_json::Value;

use crate::failure::Failure;
use crate::limits;
use crate::output::{self, printable, say};
use crate::status;
use crate::terminal::{BAD, FAINT, GOOD, PLAIN, UNSETTLED, styled};

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Go on with what is logged from now on
    #[arg(short, long)]
    follow: bool,
    /// Lines of the past to show
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    lines: usize,
    /// Only what concerns this vat, by id or name
    #[arg(long, value_name = "VAT")]
    vat: Option<String>,
    /// Only what is at least this grave
    #[arg(long, value_enum, default_value_t = Level::Trace, hide_default_value = true)]
    level: Level,
}

/// How grave a line is
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    fn of(word: &str) -> Option<Level> {
        Some(match word {
            "TRACE" => Level::Trace,
            "DEBUG" => Level::Debug,
            "INFO" => Level::Info,
            "WARN" => Level::Warn,
            "ERROR" => Level::Error,
            _ => return None,
        })
    }
}

impl Logs {
    /// Shows the end of the log, and what follows.
    pub(crate) fn carry_out(self, home: &Home) -> Result<(), Failure> {
        let vat = self.vat.map(|written| vat_id(home, &written)).transpose()?;
        let mut filter = Filter { vat, level: self.level, shown: false };
        let path = home.log();
        let mut tail = Tail::open(&path)?;
        if tail.file.is_none() && !self.follow {
            let shown = display(&path);
            return Err(Failure::new(format!("{shown} does not exist: no kernel has run there")));
        }
        let mut past = VecDeque::new();
        tail.read(|line| {
            if filter.takes(line) {
                past.push_back(coloured(line));
                if past.len() > self.lines {
                    past.pop_front();
                }
            }
        })?;
        if past.is_empty() && !self.follow {
            say(&format!("No such lines are in {}.", display(&path)));
        }
        for line in past {
            output::result(&line)?;
        }
        if !self.follow {
            return Ok(());
        }
        loop {
            std::thread::sleep(limits::LOG_POLL);
            let mut lines = Vec::new();
            tail.read(|line| {
                if filter.takes(line) {
                    lines.push(coloured(line));
                }
            })?;
            for line in lines {
                if !output::line(&line)? {
                    return Ok(());
                }
            }
        }
    }
}

/// The id of a vat that is given by id or name.
fn vat_id(home: &Home, written: &str) -> Result<String, Failure> {
    if written.parse::<ocap_types::VatId>().is_ok() {
        return Ok(written.to_owned());
    }
    // Only a kernel knows names.
    let status = status::fetch(home)
        .map_err(|failure| failure.and("without one, give the vat's id, such as v1"))?;
    Ok(status::text(status::vat_named(&status, written)?, "id"))
}

/// A log file, read as far as it goes, and its successors.
struct Tail {
    path: PathBuf,
    file: Option<BufReader<File>>,
    /// A line whose end has not been written yet.
    begun: Vec<u8>,
}

impl Tail {
    fn open(path: &Path) -> Result<Tail, Failure> {
        let file = match File::open(path) {
            Ok(file) => Some(BufReader::new(file)),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(Failure::new(format!("{}: {error}", path.display()))),
        };
        Ok(Tail { path: path.to_path_buf(), file, begun: Vec::new() })
    }

    /// Reads the lines that are complete. If another file has taken the place of the one that is
    /// read, goes on with that.
    fn read(&mut self, mut take: impl FnMut(&str)) -> Result<(), Failure> {
        loop {
            // Looked at first: what is written to the old file before it is replaced is read below.
            let replaced = self.is_replaced()?;
            if let Some(file) = &mut self.file {
                while file
                    .by_ref()
                    .take(limits::LOG_LINE_BYTES_MAX)
                    .read_until(b'\n', &mut self.begun)?
                    > 0
                {
                    let long = self.begun.len() as u64 >= limits::LOG_LINE_BYTES_MAX;
                    if self.begun.ends_with(b"\n") || long {
                        take(String::from_utf8_lossy(&self.begun).trim_end_matches('\n'));
                        self.begun.clear();
                    }
                }
            }
            if !replaced {
                return Ok(());
            }
            *self = Tail::open(&self.path)?;
            if self.file.is_none() {
                return Ok(());
            }
        }
    }

    fn is_replaced(&self) -> Result<bool, Failure> {
        let there = match std::fs::metadata(&self.path) {
            Ok(there) => there,
            // Between two files, or deleted.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let Some(file) = &self.file else { return Ok(true) };
        let read = file.get_ref().metadata()?;
        Ok((there.dev(), there.ino()) != (read.dev(), read.ino()))
    }
}

/// Which lines are shown.
struct Filter {
    vat: Option<String>,
    level: Level,
    /// Whether the line before was. What has no level of its own goes with it.
    shown: bool,
}

impl Filter {
    fn takes(&mut self, line: &str) -> bool {
        if let Some(record) = Record::read(line) {
            self.shown = record.level >= self.level
                && self.vat.as_ref().is_none_or(|vat| record.vat.as_deref() == Some(vat));
        }
        self.shown
    }
}

/// What is looked at in a line of the log.
struct Record {
    level: Level,
    vat: Option<String>,
}

impl Record {
    /// Of a line as text or as JSON; `None` if it does not begin a record.
    fn read(line: &str) -> Option<Record> {
        if line.starts_with('{') {
            let json: Value = serde_json::from_str(line).ok()?;
            let vat = json["fields"]["vat"].as_str().or(json["vat"].as_str());
            let level = Level::of(json["level"].as_str()?)?;
            return Some(Record { level, vat: vat.map(str::to_owned) });
        }
        let (_, level, rest) = parts(line)?;
        // The fields of a vat's own lines come after what it says, which may look like one.
        let vat = rest.rsplit_once(" vat=").map(|(_, vat)| vat);
        let vat = vat.and_then(|vat| vat.split(' ').next()).map(str::to_owned);
        Some(Record { level, vat })
    }
}

/// Time, level, and the rest of a line of text.
fn parts(line: &str) -> Option<(&str, Level, &str)> {
    let (time, rest) = line.split_once(' ')?;
    let (level, rest) = rest.trim_start().split_once(' ')?;
    Some((time, Level::of(level)?, rest))
}

fn coloured(line: &str) -> String {
    let Some((time, level, rest)) = parts(line) else { return printable(line) };
    let (word, style) = match level {
        Level::Trace => ("TRACE", FAINT),
        Level::Debug => ("DEBUG", FAINT),
        Level::Info => (" INFO", GOOD),
        Level::Warn => (" WARN", UNSETTLED),
        Level::Error => ("ERROR", BAD),
    };
    let rest = match rest.split_once(": ") {
        Some((target, rest)) => format!(
            "{} {}",
            styled(FAINT, &format!("{}:", printable(target))),
            styled(PLAIN, &printable(rest))
        ),
        None => printable(rest),
    };
    format!("{} {} {rest}", styled(FAINT, &printable(time)), styled(style, word))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn lines_are_taken_by_vat_and_level() {
        let lines = [
            "2026-01-01T00:00:00.000001Z  INFO ocap::vat: I say vat=v9 vat=v1",
            "and a second line",
            "2026-01-01T00:00:00.000002Z  WARN ocap_kernel::driver: vat fault vat=v1 kind=Crash",
            r#"{"timestamp":"x","level":"INFO","fields":{"message":"m","vat":"v1"},"target":"t"}"#,
            "2026-01-01T00:00:00.000003Z ERROR ocap_daemon: no vat at all",
        ];
        let taken = |vat: Option<&str>, level| {
            let mut filter = Filter { vat: vat.map(str::to_owned), level, shown: false };
            let taken = lines.iter().enumerate().filter(|(_, line)| filter.takes(line));
            taken.map(|(place, _)| place).collect::<Vec<_>>()
        };
        assert_eq!(taken(None, Level::Trace), [0, 1, 2, 3, 4]);
        assert_eq!(taken(Some("v1"), Level::Trace), [0, 1, 2, 3]);
        assert_eq!(taken(Some("v9"), Level::Trace), [0; 0]);
        assert_eq!(taken(None, Level::Warn), [2, 4]);
    }

    #[test]
    fn a_log_is_followed_into_its_successor() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("daemon.log");
        let mut tail = Tail::open(&path).unwrap();
        let mut read = || {
            let mut lines = Vec::new();
            tail.read(|line| lines.push(line.to_owned())).unwrap();
            lines
        };
        assert!(read().is_empty());
        let mut log = File::create(&path).unwrap();
        write!(log, "one\ntwo").unwrap();
        assert_eq!(read(), ["one"]);
        writeln!(log, " and a half").unwrap();
        std::fs::rename(&path, dir.path().join("daemon.log.1")).unwrap();
        assert_eq!(read(), ["two and a half"]);
        writeln!(log, "late").unwrap();
        std::fs::write(&path, "three\n").unwrap();
        assert_eq!(read(), ["late", "three"]);
        assert!(read().is_empty());
    }
}
