//! `ocap daemon`: the background kernel as such.

mod exec;
mod purge;
mod queue_message;
mod serve;
mod start;
mod status;
mod stop;

use clap::{Args, Subcommand};
use ocap_daemon::Home;

use crate::failure::Failure;

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Daemon {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start it, unless it runs
    Start(start::Start),
    /// Stop it
    Stop,
    /// Show clusters, vats and channels, and what is wrong with them
    Status(status::Status),
    /// Call an RPC method; starts the kernel if needed
    Exec(exec::Exec),
    /// Send a message of plain data and print the answer; starts the kernel if needed
    #[command(name = "queueMessage", alias = "queue-message")]
    QueueMessage(queue_message::QueueMessage),
    /// Print the reference an OCAP URL stands for; starts the kernel if needed
    #[command(name = "redeem-url")]
    RedeemUrl(crate::commands::url::Redeem),
    /// Stop it and delete all its state
    #[command(alias = "begone")]
    Purge(purge::Purge),
    /// The background kernel itself
    #[command(name = "serve", hide = true)]
    Serve(serve::Serve),
}

impl Daemon {
    /// Does it; without a word, starts the kernel.
    pub(crate) fn carry_out(self, home: &Home) -> Result<(), Failure> {
        match self.command.unwrap_or_else(|| Command::Start(start::Start::default())) {
            Command::Start(command) => command.carry_out(home),
            Command::Stop => stop::stop(home),
            Command::Status(command) => command.carry_out(home),
            Command::Exec(command) => command.carry_out(home),
            Command::QueueMessage(command) => command.carry_out(home),
            Command::RedeemUrl(command) => command.carry_out(home),
            Command::Purge(command) => command.carry_out(home),
            Command::Serve(command) => command.carry_out(home),
        }
    }
}
