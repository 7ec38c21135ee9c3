//! `ocap serve`.

use std::path::PathBuf;

use clap::Args;

use crate::background::block_on;
use crate::bundle_server::BundleServer;
use crate::failure::Failure;

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The folder
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    #[command(flatten)]
    pub(super) place: Place,
}

/// Where to listen.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// Port
    #[arg(short, long, default_value_t = 3000)]
    port: u16,
    /// Address; whoever reaches it can read the bundles
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
}

impl Place {
    /// Listens there.
    pub(super) async fn open(&self, folder: &std::path::Path) -> Result<BundleServer, Failure> {
        BundleServer::start(folder, &self.host, self.port).await
    }
}

impl Serve {
    /// Serves until it is told to stop.
    pub(crate) fn carry_out(self) -> Result<(), Failure> {
        block_on(async {
            self.place.open(&self.folder).await?.run().await;
            Ok(())
        })
    }
}
