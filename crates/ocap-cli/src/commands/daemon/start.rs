//! `ocap daemon start`.

use clap::Args;
use ocap_daemon::Home;
use ocap_daemon::home::display;

use crate::args::Cage;
use crate::background::ensure_running;
use crate::failure::Failure;
use crate::output::say;

/// The arguments.
#[derive(Debug, Default, Args)]
pub(crate) struct Start {
    /// How vats are confined
    #[arg(long, value_enum, default_value_t)]
    cage: Cage,
    /// Connect it to the relay that runs on this machine
    #[arg(long)]
    local_relay: bool,
}

impl Start {
    /// Starts a kernel in the background, unless one runs.
    pub(crate) fn carry_out(self, home: &Home) -> Result<(), Failure> {
        if self.local_relay {
            return Err(crate::commands::no_network("there is no relay to connect to"));
        }
        ensure_running(home, self.cage)?;
        say(&format!("Daemon running. Socket: {}", display(&home.socket())));
        Ok(())
    }
}
