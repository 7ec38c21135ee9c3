//! `ocap watch`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;
use ocap_kernel::Loader;

use crate::args::Cage;
use crate::background::block_on;
use crate::bundles::{self, ENDING, Write};
use crate::failure::Failure;
use crate::output::{printable, say};
use crate::source_watch::SourceWatch;

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// The folder
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// How vats are confined
    #[arg(long, value_enum, default_value_t)]
    cage: Cage,
}

impl Watch {
    /// Makes bundles until it is told to stop.
    pub(crate) fn carry_out(self) -> Result<(), Failure> {
        let loader = Loader::start(&self.cage.workers())?;
        block_on(async { Err(keep_bundled(&loader, &self.folder).await) })
    }
}

/// Makes the bundles of a folder, makes them anew when sources change, and removes those whose
/// source has gone. Ends only if that cannot go on.
pub(super) async fn keep_bundled(loader: &Loader, folder: &Path) -> Failure {
    let mut known = BTreeSet::new();
    say(&format!("Watching {}. Ctrl-C stops.", folder.display()));
    let mut watch = match SourceWatch::start(vec![folder.to_path_buf()]) {
        Ok(watch) => watch,
        Err(failure) => return failure,
    };
    loop {
        // Blocks; nothing else is done meanwhile that could not wait.
        let made = tokio::task::block_in_place(|| make_all(loader, folder, &mut known));
        if let Err(failure) = made {
            return failure;
        }
        if let Err(failure) = watch.changed().await {
            return failure;
        }
    }
}

fn make_all(loader: &Loader, folder: &Path, known: &mut BTreeSet<PathBuf>) -> Result<(), Failure> {
    let sources = bundles::sources(folder)?;
    for gone in known.difference(&sources) {
        let bundle = gone.with_extension(ENDING);
        let other = sources.iter().any(|source| source.with_extension(ENDING) == bundle);
        if !other && std::fs::remove_file(&bundle).is_ok() {
            say(&format!("Removed {}", bundle.display()));
        }
    }
    for source in &sources {
        // Of a source that cannot be bundled the last bundle stays.
        if let Err(problem) = bundles::make(loader, source, Write::Changed) {
            say(&printable(&format!("{}: {problem}", source.display())));
        }
    }
    *known = sources;
    Ok(())
}
