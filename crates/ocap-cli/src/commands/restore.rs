//! `ocap restore`: a home's state from a backup.

use std::path::PathBuf;

use clap::Args;
use ocap_daemon::home::display;
use ocap_daemon::{Home, HomeLock};
use ocap_kernel::Examination;

use crate::commands::backup::of_kernel;
use crate::commands::doctor;
use crate::failure::Failure;
use crate::output::{Progress, say};

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Restore {
    /// Checks a copy of the backup, and makes it the state of the home, which has none.
    pub(crate) fn carry_out(self, home: &Home) -> Result<(), Failure> {
        let _lock = claim(home)?;
        let mut progress = Progress::new("Copying");
        let restored = ocap_kernel::restore(&self.file, &home.database(), |copied| {
            progress.show_part(copied.done, copied.total);
            true
        });
        drop(progress);
        let restored = restored.map_err(of_kernel)?;
        conclude(&restored, home, &format!("from {}", display(&self.file)))
    }
}

/// Keeps kernels off a home that has no state.
pub(crate) fn claim(home: &Home) -> Result<HomeLock, Failure> {
    home.prepare()?;
    let lock = home.lock()?;
    if std::fs::symlink_metadata(home.database()).is_ok() {
        return Err(Failure::new(format!(
            "{} has a state already, which stays as it is; give another --home, or delete that \
             state with `ocap daemon purge --force`",
            display(home.root())
        )));
    }
    Ok(lock)
}

/// Says what became of it.
pub(crate) fn conclude(examined: &Examination, home: &Home, from: &str) -> Result<(), Failure> {
    doctor::tell(&examined.findings)?;
    match examined.findings.len() {
        0 => {
            let (shown, batch) = (display(home.root()), examined.last_batch);
            say(&format!("{shown} has the state {from}, as of batch {batch}."));
            Ok(())
        }
        count => {
            let findings = doctor::count(count);
            Err(Failure::new(format!("{findings} {from}; nothing was changed")))
        }
    }
}
