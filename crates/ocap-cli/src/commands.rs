//! The commands: one file each, with its arguments and what it does.
//!
//! A new command is a file here, a variant of [`Command`] and a line in [`Command::carry_out`].

mod backup;
mod daemon;
mod doctor;
mod export;
mod import;
mod launch;
mod ls;
mod relay;
mod restore;
mod run;
mod send;

use clap::Subcommand;
use ocap_daemon::Home;

use crate::failure::Failure;

/// What there is to do. The texts here are what `ocap --help` lists.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a kernel here, with this terminal as its console, and launch or resume a cluster
    Run(run::Run),
    /// Launch a cluster in the background kernel
    Launch(launch::Launch),
    /// List clusters and their vats
    Ls(ls::Ls),
    /// Send a message and print the answer
    Send(send::Send),
    /// Check a stored state for damage, without changing it; no kernel may run on it
    Doctor(doctor::Doctor),
    /// Copy the state to a file, also while a kernel runs on it
    Backup(backup::Backup),
    /// Make a backup the state of a home that has none
    Restore(restore::Restore),
    /// Write the state as lines of JSON
    Export(export::Export),
    /// Make an export the state of a home that has none
    Import(import::Import),
    /// The background kernel
    Daemon(daemon::Daemon),
    /// A relay between kernels: not in this version
    Relay(relay::Relay),
}

impl Command {
    /// Does it.
    pub(crate) fn carry_out(self, home: &Home) -> Result<(), Failure> {
        match self {
            Command::Run(command) => command.carry_out(home),
            Command::Launch(command) => command.carry_out(home),
            Command::Ls(command) => command.carry_out(home),
            Command::Send(command) => command.carry_out(home),
            Command::Doctor(command) => command.carry_out(home),
            Command::Backup(command) => command.carry_out(home),
            Command::Restore(command) => command.carry_out(home),
            Command::Export(command) => command.carry_out(home),
            Command::Import(command) => command.carry_out(home),
            Command::Daemon(command) => command.carry_out(home),
            Command::Relay(command) => command.carry_out(),
        }
    }
}

/// What is said of everything that needs other kernels.
fn no_network(so: &str) -> Failure {
    Failure::new(format!("kernels do not talk to each other in this version: {so}"))
}
