//! `ocap relay`: the reference's words for a relay between kernels. Kernels do not talk to each other
//! yet, and so nothing is to be relayed.

use clap::{Args, Subcommand};

use crate::commands::no_network;
use crate::failure::Failure;

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Relay {
    #[command(subcommand)]
    command: Option<Command>,
    /// Address to announce
    #[arg(long, value_name = "IP")]
    public_ip: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run it here
    Start {
        /// Address to announce
        #[arg(long, value_name = "IP")]
        public_ip: Option<String>,
    },
    /// Say whether it runs
    Status,
    /// Stop it
    Stop {
        /// By force, if need be
        #[arg(long)]
        force: bool,
    },
}

impl Relay {
    /// Says that there is none.
    pub(crate) fn carry_out(self) -> Result<(), Failure> {
        let Relay { command, public_ip: _ } = self;
        Err(match command {
            Some(Command::Status | Command::Stop { force: _ }) => {
                Failure::new("Relay is not running.")
            }
            None | Some(Command::Start { public_ip: _ }) => no_network("there is nothing to relay"),
        })
    }
}
