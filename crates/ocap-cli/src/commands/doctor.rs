//! `ocap doctor`: what is wrong with a store, without changing a byte of it.

use std::path::PathBuf;

use clap::Args;
use ocap_daemon::Home;
use ocap_daemon::home::display;
use ocap_kernel::{ErrorKind, Finding, examine};

use crate::failure::Failure;
use crate::output::{self, printable, say};

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// The store [default: the one of the home]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Doctor {
    /// Prints a line for each finding in the store; fails if there is any.
    pub(crate) fn carry_out(self, home: &Home) -> Result<(), Failure> {
        let path = self.file.unwrap_or_else(|| home.database());
        let shown = display(&path);
        let examined = examine(&path).map_err(|error| match error.kind {
            ErrorKind::Busy => Failure::new(format!(
                "{} (`ocap daemon stop` ends one in the background)",
                error.message
            )),
            _ => Failure::new(error.message),
        })?;
        tell(&examined.findings)?;
        match examined.findings.len() {
            0 => {
                say(&format!("{shown} is sound, as of batch {}.", examined.last_batch));
                Ok(())
            }
            found => Err(Failure::new(format!("{} in {shown}; nothing was changed", count(found)))),
        }
    }
}

/// How many there are, in words.
pub(crate) fn count(findings: usize) -> String {
    format!("{findings} finding{}", if findings == 1 { "" } else { "s" })
}

/// A line for each finding.
pub(crate) fn tell(findings: &[Finding]) -> Result<(), Failure> {
    for finding in findings {
        let line = format!("{}: {}", finding.key, finding.problem);
        output::result(&printable(&line).replace('\n', " "))?;
    }
    Ok(())
}
