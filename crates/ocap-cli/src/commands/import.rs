//! `ocap import`: a home's state from an export.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use clap::Args;
use ocap_daemon::Home;

use crate::commands::backup::of_kernel;
use crate::commands::restore::{claim, conclude};
use crate::failure::Failure;
use crate::output::Progress;

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The export; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Import {
    /// Checks the export, and makes it the state of the home, which has none.
    pub(crate) fn carry_out(self, home: &Home) -> Result<(), Failure> {
        let is_stdin = self.file == Path::new("-");
        let shown =
            if is_stdin { "standard input".to_owned() } else { self.file.display().to_string() };
        let mut from: Box<dyn BufRead> = if is_stdin {
            Box::new(io::stdin().lock())
        } else {
            let file = File::open(&self.file);
            let file = file.map_err(|error| Failure::new(format!("{shown}: {error}")))?;
            Box::new(BufReader::new(file))
        };
        let _lock = claim(home)?;
        let mut progress = Progress::new("Reading");
        let imported = ocap_kernel::import(&mut from, &home.database(), |rows| {
            progress.show_count(rows, "rows");
            true
        });
        drop(progress);
        let imported = imported.map_err(|error| of_kernel(error).about(&shown))?;
        conclude(&imported, home, &format!("from {shown}"))
    }
}
