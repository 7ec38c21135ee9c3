//! `ocap daemon stop`.

use ocap_daemon::Home;

use crate::background;
use crate::failure::Failure;
use crate::output::say;

/// Stops the kernel, by force if it does not listen.
pub(crate) fn stop(home: &Home) -> Result<(), Failure> {
    if !home.is_held() {
        background::tidy(home);
        say("Daemon is not running.");
        return Ok(());
    }
    say("Stopping daemon...");
    background::stop_running(home)?;
    say("Daemon stopped.");
    Ok(())
}
