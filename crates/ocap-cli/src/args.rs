//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ocap_kernel::WorkerMode;

/// Runs mutually suspicious programs that outlive their process.
#[derive(Debug, Parser)]
#[command(name = "ocap", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// Folder of the kernel's files [default: $OCAP_HOME, else ~/.ocap]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a kernel here, with this terminal as its console, and launch or resume a cluster
    Run(RunOptions),
    /// Launch a cluster in the background kernel
    Launch {
        /// The cluster's config
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Name to find it by
        #[arg(long)]
        name: Option<String>,
    },
    /// List clusters and their vats
    Ls {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Send a message and print the answer
    Send(Message),
    /// Check a stored state for damage, without changing it; no kernel may run on it
    Doctor {
        /// The store [default: the one of the home]
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// The background kernel
    Daemon {
        #[command(subcommand)]
        command: Option<DaemonCommand>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DaemonCommand {
    /// Start it, unless it runs
    Start {
        #[arg(long, value_enum, default_value_t)]
        cage: Cage,
    },
    /// Stop it
    Stop,
    /// Show clusters, vats and channels, and what is wrong with them
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Call an RPC method; starts the kernel if needed
    Exec {
        /// The method
        #[arg(default_value = "getStatus")]
        method: String,
        /// Its parameters, e.g. '{"id":"v1"}'
        #[arg(value_name = "PARAMS-JSON")]
        params: Option<String>,
        /// Seconds to wait for the answer
        #[arg(long, value_name = "S", value_parser = seconds)]
        timeout: Option<Duration>,
    },
    /// Send a message and print the answer; starts the kernel if needed
    #[command(name = "queueMessage", alias = "queue-message")]
    QueueMessage(Message),
    /// Stop it and delete all its state
    #[command(alias = "begone")]
    Purge {
        /// Really
        #[arg(long)]
        force: bool,
    },
    /// The background kernel itself
    #[command(name = "serve", hide = true)]
    Serve {
        #[arg(long, value_enum, default_value_t)]
        cage: Cage,
    },
}

impl Default for DaemonCommand {
    fn default() -> Self {
        DaemonCommand::Start { cage: Cage::default() }
    }
}

#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    /// The cluster's config
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Name of the cluster [default: the config's `name`, else the name of the file's folder]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// End a stored cluster of that name, with all its state, if it differs
    #[arg(long)]
    pub(crate) replace: bool,
    #[arg(long, value_enum, default_value_t)]
    pub(crate) cage: Cage,
}

#[derive(Debug, Args)]
pub(crate) struct Message {
    /// The object
    #[arg(value_name = "KREF")]
    pub(crate) target: String,
    /// The method
    pub(crate) method: String,
    /// The arguments, as a JSON array
    #[arg(value_name = "ARGS-JSON", default_value = "[]", allow_hyphen_values = true)]
    pub(crate) args: String,
    /// Print the answer as it was marshalled
    #[arg(long)]
    pub(crate) raw: bool,
    /// Seconds to wait for the answer
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
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

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 1..) => Ok(Duration::from_secs(seconds)),
        _ => Err("must be a positive whole number of seconds".to_owned()),
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
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
