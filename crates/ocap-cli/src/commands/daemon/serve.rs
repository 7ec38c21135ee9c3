//! `ocap daemon serve`: the background kernel itself.

use clap::Args;
use ocap_daemon::{Daemon, DaemonOptions, Home, service_manager};
use ocap_kernel::ConsoleMode;

use crate::args::Cage;
use crate::background::block_on;
use crate::failure::Failure;

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// How vats are confined
    #[arg(long, value_enum, default_value_t)]
    cage: Cage,
}

impl Serve {
    /// Runs until it is told to stop.
    pub(crate) fn carry_out(self, home: &Home) -> Result<(), Failure> {
        // Out of the terminal's session, so that closing it does not reach us, and off any folder.
        let _ = rustix::process::setsid();
        let listener = service_manager::inherited_listener()?;
        std::env::set_current_dir("/")?;
        let reason =
            "the kernel runs in the background, without a terminal; `ocap run` gives it one";
        let console = ConsoleMode::Unavailable(reason.to_owned());
        let (home, workers) = (home.clone(), self.cage.workers());
        block_on(async {
            let daemon = Daemon::start(DaemonOptions { home, workers, console, listener }).await?;
            Ok(daemon.run().await?)
        })
    }
}
