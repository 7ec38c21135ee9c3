//! `ocap bundle`.

use std::path::PathBuf;

use clap::Args;
use ocap_kernel::Loader;

use crate::args::Cage;
use crate::bundles;
use crate::failure::Failure;
use crate::output::{printable, say};

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Bundle {
    /// Files to make bundles of, or folders, which mean the .js and .ts files in them
    #[arg(value_name = "TARGETS", required = true)]
    targets: Vec<PathBuf>,
    /// How vats are confined
    #[arg(long, value_enum, default_value_t)]
    cage: Cage,
}

impl Bundle {
    /// Writes a bundle beside each source. One that cannot be made does not keep others from it.
    pub(crate) fn carry_out(self) -> Result<(), Failure> {
        let mut sources = Vec::new();
        for target in &self.targets {
            if target.is_dir() {
                let found = bundles::sources(target)?;
                if found.is_empty() {
                    let folder = target.display();
                    return Err(Failure::new(format!("{folder}: no .js or .ts files are in it")));
                }
                sources.extend(found);
            } else {
                sources.push(target.clone());
            }
        }
        let loader = Loader::start(&self.cage.workers())?;
        let mut failed = 0;
        for source in &sources {
            if let Err(problem) = bundles::make(&loader, source, bundles::Write::Always) {
                failed += 1;
                say(&printable(&format!("{}: {problem}", source.display())));
            }
        }
        match failed {
            0 => Ok(()),
            _ => Err(Failure::new(format!("{failed} of {} bundles not made", sources.len()))),
        }
    }
}
