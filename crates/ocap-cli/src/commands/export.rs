//! `ocap export`: the state as text.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, StdoutLock, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use ocap_daemon::Home;
use ocap_daemon::home::display;

use crate::commands::backup::{self, of_kernel};
use crate::failure::Failure;
use crate::output::{Progress, say};

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Where it goes [default: standard output]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Export {
    /// Writes a line for each row.
    pub(crate) fn carry_out(self, home: &Home) -> Result<(), Failure> {
        // Never over something else: a state can be in it.
        let out = self.file.as_deref().map(create).transpose()?;
        let exported = export(home, out);
        if let (Err(_), Some(file)) = (&exported, &self.file) {
            let _ = std::fs::remove_file(file);
        }
        let (rows, shown) = (exported?, self.file.as_deref().map(display));
        if let Some(shown) = shown {
            say(&format!("Export: {shown}, {rows} rows."));
        }
        Ok(())
    }
}

fn create(path: &Path) -> Result<File, Failure> {
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    created.map_err(|error| {
        let shown = path.display();
        Failure::new(match error.kind() {
            io::ErrorKind::AlreadyExists => {
                format!("{shown} exists already; choose another name")
            }
            _ => format!("{shown}: {error}"),
        })
    })
}

fn export(home: &Home, out: Option<File>) -> Result<u64, Failure> {
    if !home.is_held() {
        return write(&home.database(), out);
    }
    // A kernel runs on it: from a copy, then, which is of one moment.
    let copy = Copy(home.export_copy());
    backup::copy(home, &copy.0, true)?;
    write(&copy.0, out)
}

/// Removed when it is not needed any more.
struct Copy(PathBuf);

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn write(store: &Path, out: Option<File>) -> Result<u64, Failure> {
    let mut progress = Progress::new("Writing");
    let mut out: Box<dyn Write> = match out {
        Some(file) => Box::new(BufWriter::new(Synced(file))),
        None => Box::new(BufWriter::new(Shown(io::stdout().lock()))),
    };
    let goes_on = |rows| {
        progress.show_count(rows, "rows");
        true
    };
    ocap_kernel::export(store, &mut out, goes_on).map_err(of_kernel)
}

/// A file that is on the disk when it has been flushed.
struct Synced(File);

impl Write for Synced {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.sync_all()
    }
}

/// Standard output. A reader that has seen enough is not an error.
struct Shown<'a>(StdoutLock<'a>);

impl Write for Shown<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(bytes.len()),
            other => other,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0.flush() {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }
}
