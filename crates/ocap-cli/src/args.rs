//! The command line as a whole, and the arguments that several commands share.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, ValueEnum};
use ocap_kernel::WorkerMode;

use crate::commands::Command;

/// Where the option that all commands have is listed: after their own, before the one for help.
const HOME_PLACE: usize = 998;

/// Runs mutually suspicious programs that outlive their process.
#[derive(Debug, Parser)]
#[command(name = "ocap", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// Folder of the kernel's files [default: $OCAP_HOME, else ~/.ocap]
    #[arg(long, global = true, value_name = "DIR", display_order = HOME_PLACE)]
    pub(crate) home: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How vats are confined
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Cage {
    /// Refuse to run vats where the cage cannot be complete
    #[default]
    Strict,
    /// Run them with as much of the cage as there is
    BestEffort,
}

impl Cage {
    /// What the kernel is told.
    pub(crate) fn workers(self) -> WorkerMode {
        WorkerMode::Process { executable: None, best_effort: self == Cage::BestEffort }
    }

    /// As it is written on a command line.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Cage::Strict => "strict",
            Cage::BestEffort => "best-effort",
        }
    }
}

/// How long to wait.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct Patience {
    /// Seconds to wait for the answer
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
}

/// A positive whole number of seconds.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 1..) => Ok(Duration::from_secs(seconds)),
        _ => Err("must be a positive whole number of seconds".to_owned()),
    }
}

/// A positive whole number.
pub(crate) fn positive(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(number @ 1..) => Ok(number),
        _ => Err("must be a positive whole number".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_timeout_is_a_positive_whole_number() {
        assert_eq!(seconds("5"), Ok(Duration::from_secs(5)));
        for bad in ["0", "-1", "1.5", "x", "", "99999999999999999999999"] {
            assert!(seconds(bad).is_err() && positive(bad).is_err(), "{bad}");
        }
        assert_eq!(positive("5"), Ok(5));
    }
}
