//! `ocap daemon purge`.

use clap::Args;
use ocap_daemon::Home;
use ocap_daemon::home::display;

use crate::commands::daemon::stop;
use crate::failure::Failure;
use crate::output::say;

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Purge {
    /// Really
    #[arg(long)]
    force: bool,
}

impl Purge {
    /// Stops the kernel and deletes what it kept.
    pub(crate) fn carry_out(self, home: &Home) -> Result<(), Failure> {
        let shown = display(home.root());
        if !self.force {
            let message = format!("this deletes every vat and all state in {shown}; add --force");
            return Err(Failure::new(message));
        }
        if !home.root().exists() {
            say(&format!("Nothing to delete: {shown} does not exist."));
            return Ok(());
        }
        stop::stop(home)?;
        let lock = home.lock()?;
        home.purge(&lock)?;
        say(&format!("All state in {shown} deleted."));
        Ok(())
    }
}
