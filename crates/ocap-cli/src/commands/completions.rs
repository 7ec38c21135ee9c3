//! `ocap completions`.

use clap::Args;
use clap_complete::Shell;

use crate::failure::Failure;

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    /// Prints a script that has the shell complete `ocap` commands.
    pub(crate) fn carry_out(self) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut crate::help::definition(), "ocap", &mut script);
        Ok(crate::output::bytes(&script)?)
    }
}
