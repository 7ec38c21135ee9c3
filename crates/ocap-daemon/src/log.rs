//! `daemon.log`: a line per event, a bounded number of bytes, private.
//!
//! The main item in this module is [`Log`]. When the file is full it becomes `daemon.log.1`, that
//! one `daemon.log.2`, and so on to the number that is kept.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use crate::settings::{LogFormat, LogSettings};

mod events;

pub(crate) use events::{Event, listen};

/// The log of this process. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Log {
    sink: Sink,
    levels: reload::Handle<EnvFilter, Registry>,
}

impl Log {
    /// Sends what this process reports from now on to the log at `path`; panics too. `OCAP_LOG`
    /// (`debug`, `ocap_kernel=trace`, ...) has precedence over the levels of the settings. Once per
    /// process; later calls have no effect.
    pub fn start(path: &Path, settings: &LogSettings) -> io::Result<Log> {
        let sink = Sink(Arc::new(Mutex::new(LogFile::open(path, settings)?)));
        let (filter, levels) = reload::Layer::new(filter(settings));
        let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(sink.clone());
        let lines: Box<dyn Layer<_> + Send + Sync> = match settings.format {
            LogFormat::Text => lines.boxed(),
            LogFormat::Json => lines.json().boxed(),
        };
        let subscriber =
            tracing_subscriber::registry().with(filter).with(lines).with(events::Listeners);
        if tracing::subscriber::set_global_default(subscriber).is_ok() {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                tracing::error!("panic: {panic}");
                before(panic);
            }));
        }
        Ok(Log { sink, levels })
    }

    /// Opens the file anew, because somebody may have moved it away. If that fails, the log goes on
    /// where it was.
    pub fn reopen(&self) -> io::Result<()> {
        self.sink.lock().reopen()
    }

    /// Takes over everything of the settings but the format.
    pub fn set(&self, settings: &LogSettings) {
        // Fails only if the subscriber is gone, which lives as long as the process.
        let _ = self.levels.reload(filter(settings));
        let mut file = self.sink.lock();
        file.bytes_max = settings.bytes_per_file;
        file.kept = settings.files_kept;
    }
}

fn filter(settings: &LogSettings) -> EnvFilter {
    EnvFilter::try_from_env("OCAP_LOG").unwrap_or_else(|_| EnvFilter::new(settings.directives()))
}

/// Where lines go.
#[derive(Clone, Debug)]
struct Sink(Arc<Mutex<LogFile>>);

impl Sink {
    fn lock(&self) -> MutexGuard<'_, LogFile> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for &Sink {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.lock().write(event).map(|()| event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = &'a Sink;

    fn make_writer(&'a self) -> &'a Sink {
        self
    }
}

/// The file that is written now.
#[derive(Debug)]
struct LogFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    bytes_max: u64,
    kept: u32,
}

impl LogFile {
    fn open(path: &Path, settings: &LogSettings) -> io::Result<LogFile> {
        let (file, bytes) = open(path)?;
        let LogSettings { bytes_per_file: bytes_max, files_kept: kept, .. } = *settings;
        Ok(LogFile { path: path.to_path_buf(), file, bytes, bytes_max, kept })
    }

    fn reopen(&mut self) -> io::Result<()> {
        (self.file, self.bytes) = open(&self.path)?;
        Ok(())
    }

    /// Writes an event. Only its first line begins at the margin: what a vat says cannot look like
    /// an event of its own.
    fn write(&mut self, event: &[u8]) -> io::Result<()> {
        let event = indented(event);
        let length = event.len() as u64;
        if self.bytes.saturating_add(length) > self.bytes_max && self.bytes > 0 {
            self.rotate()?;
        }
        self.file.write_all(&event)?;
        self.bytes += length;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        if self.kept == 0 {
            self.file.set_len(0)?;
            self.bytes = 0;
            return Ok(());
        }
        for number in (1..self.kept).rev() {
            match std::fs::rename(older(&self.path, number), older(&self.path, number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        std::fs::rename(&self.path, older(&self.path, 1))?;
        self.reopen()
    }
}

/// Opens a file to go on with it; with its length.
fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    let bytes = file.metadata()?.len();
    Ok((file, bytes))
}

/// The path of the `number`th older file.
fn older(path: &Path, number: u32) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

fn indented(event: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(event.len());
    let mut lines = event.split_inclusive(|byte| *byte == b'\n');
    text.extend_from_slice(lines.next().unwrap_or_default());
    for line in lines {
        text.extend_from_slice(b"    ");
        text.extend_from_slice(line);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_makes_room_and_keeps_what_was_last() {
        for kept in [0, 1, 3] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("daemon.log");
            let settings =
                LogSettings { bytes_per_file: 64 * 1024, files_kept: kept, ..Default::default() };
            let mut log = LogFile::open(&path, &settings).unwrap();
            for number in 0..40_000 {
                log.write(format!("event {number}\n").as_bytes()).unwrap();
            }
            let files: Vec<_> =
                std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap()).collect();
            assert_eq!(files.len(), kept as usize + 1);
            for file in files {
                let metadata = file.metadata().unwrap();
                assert!(metadata.len() <= settings.bytes_per_file, "{}", metadata.len());
                assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
            }
            // From the oldest to the youngest, what is there is without a gap.
            let paths = (1..=kept).rev().map(|number| older(&path, number)).chain([path.clone()]);
            let text: String = paths.map(|path| std::fs::read_to_string(path).unwrap()).collect();
            let first = 40_000 - text.lines().count();
            for (line, number) in text.lines().zip(first..) {
                assert_eq!(line, format!("event {number}"));
            }
            assert!(text.lines().count() > 1_000 * (kept as usize));
        }
    }

    #[test]
    fn no_event_looks_like_two() {
        assert_eq!(indented(b"one\n"), b"one\n");
        assert_eq!(indented(b"one\n2026 ERROR two\n"), b"one\n    2026 ERROR two\n");
        assert_eq!(indented(b"{}\n\n"), b"{}\n    \n");
    }
}
