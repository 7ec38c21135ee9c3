//! `ocap start`: `watch` and `serve` in one.

use std::path::PathBuf;

use clap::Args;
use ocap_kernel::Loader;

use super::serve::Place;
use super::watch::keep_bundled;
use crate::args::Cage;
use crate::background::block_on;
use crate::failure::Failure;

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Start {
    /// The folder
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    #[command(flatten)]
    place: Place,
    /// How vats are confined
    #[arg(long, value_enum, default_value_t)]
    cage: Cage,
}

impl Start {
    /// Makes bundles and serves them until it is told to stop.
    pub(crate) fn carry_out(self) -> Result<(), Failure> {
        let loader = Loader::start(&self.cage.workers())?;
        block_on(async {
            let server = self.place.open(&self.folder).await?;
            tokio::spawn(server.run());
            Err(keep_bundled(&loader, &self.folder).await)
        })
    }
}
