//! `ocap check`: whether a cluster could be launched, as far as one can tell without running it.

use std::path::PathBuf;

use clap::Args;
use ocap_kernel::Loader;

use crate::args::Cage;
use crate::cluster_file;
use crate::failure::Failure;
use crate::output::{printable, say};

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The cluster's config
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How vats are confined
    #[arg(long, value_enum, default_value_t)]
    cage: Cage,
}

impl Check {
    /// Reads the config and every vat's code, in cages, and sees whether each vat's modules fit together;
    /// says what is wrong with each. None of it runs.
    pub(crate) fn carry_out(self) -> Result<(), Failure> {
        let file = cluster_file::read(&self.file)?;
        let mut wrong = 0;
        let loader = Loader::start(&self.cage.workers())?;
        for (vat, result) in loader.check(&file.config, Some(&file.folder)) {
            match result {
                Ok(()) => say(&printable(&format!("vat {vat}: ok"))),
                Err(problem) => {
                    wrong += 1;
                    say(&printable(&format!("vat {vat}: {problem}")));
                }
            }
        }
        if wrong > 0 {
            let (file, s) = (self.file.display(), if wrong == 1 { "" } else { "s" });
            return Err(Failure::new(format!("{file}: {wrong} problem{s}")));
        }
        Ok(())
    }
}
