//! The commands: one file each, with its arguments and what it does.
//!
//! A new command is a file here, a variant of [`Command`] and a line in [`Command::carry_out`].

mod backup;
mod bundle;
mod check;
mod completions;
mod daemon;
mod doctor;
mod export;
mod identity;
mod import;
mod inspect;
mod io;
mod launch;
mod llm_bridge;
mod logs;
mod ls;
mod man;
mod matcher;
mod new;
mod refs;
mod relay;
mod repl;
mod restore;
mod run;
mod send;
mod serve;
mod start;
mod top;
mod trace;
mod url;
mod vats;
mod watch;

use clap::Subcommand;
use ocap_daemon::Home;

use crate::failure::Failure;

/// What there is to do. The texts here are what `ocap --help` lists.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a kernel here, with this terminal as its console, and launch or resume a cluster
    Run(run::Run),
    /// Make a folder with a cluster to begin with
    New(new::New),
    /// See whether a cluster's config and code can be read, without running any of it
    Check(check::Check),
    /// Make bundles of ES modules and TypeScript, each beside its source
    Bundle(bundle::Bundle),
    /// Make the bundles of a folder, and make them anew whenever their sources change
    Watch(watch::Watch),
    /// Serve the bundles of a folder over HTTP, to this machine
    Serve(serve::Serve),
    /// Watch and serve a folder
    Start(start::Start),
    /// Launch a cluster in the background kernel
    Launch(launch::Launch),
    /// List clusters and their vats
    Ls(ls::Ls),
    /// Send a message and print the answer
    Send(send::Send),
    /// Talk with an object
    Repl(repl::Repl),
    /// List vats, how they are and what they cost
    Vats(vats::Vats),
    /// List IO channels
    Io(io::Io),
    /// Show what the kernel and its vats have logged
    Logs(logs::Logs),
    /// Show what vats do right now
    Top(top::Top),
    /// Show everything about one object or promise
    Inspect(inspect::Inspect),
    /// List the references the host holds, or release some
    Refs(refs::Refs),
    /// Show who sent what to whom, and because of what
    Trace(trace::Trace),
    /// Check a stored state for damage; no kernel may run on it
    Doctor(doctor::Doctor),
    /// Copy the state to a file, also while a kernel runs on it
    Backup(backup::Backup),
    /// Make a backup the state of a home that has none
    Restore(restore::Restore),
    /// Write the state as lines of JSON
    Export(export::Export),
    /// Make an export the state of a home that has none
    Import(import::Import),
    /// OCAP URLs: texts that stand for an object, for whoever has them
    Url(url::Url),
    /// Who this kernel is to others
    Identity(identity::IdentityCommand),
    /// The background kernel
    Daemon(daemon::Daemon),
    /// The matcher, which finds services for whoever says what they need
    Matcher(matcher::Matcher),
    /// Connect the matcher with a language model, and stay connected
    #[command(name = "llm-bridge")]
    LlmBridge(llm_bridge::LlmBridge),
    /// A relay between kernels: not in this version
    Relay(relay::Relay),
    /// Print a script that completes commands in a shell
    Completions(completions::Completions),
    /// Print manual pages
    Man(man::Man),
}

impl Command {
    /// Does it.
    pub(crate) fn carry_out(self, home: &Home) -> Result<(), Failure> {
        match self {
            Command::Run(command) => command.carry_out(home),
            Command::New(command) => command.carry_out(),
            Command::Check(command) => command.carry_out(),
            Command::Bundle(command) => command.carry_out(),
            Command::Watch(command) => command.carry_out(),
            Command::Serve(command) => command.carry_out(),
            Command::Start(command) => command.carry_out(),
            Command::Launch(command) => command.carry_out(home),
            Command::Ls(command) => command.carry_out(home),
            Command::Send(command) => command.carry_out(home),
            Command::Repl(command) => command.carry_out(home),
            Command::Vats(command) => command.carry_out(home),
            Command::Io(command) => command.carry_out(home),
            Command::Logs(command) => command.carry_out(home),
            Command::Top(command) => command.carry_out(home),
            Command::Inspect(command) => command.carry_out(home),
            Command::Refs(command) => command.carry_out(home),
            Command::Trace(command) => command.carry_out(home),
            Command::Doctor(command) => command.carry_out(home),
            Command::Backup(command) => command.carry_out(home),
            Command::Restore(command) => command.carry_out(home),
            Command::Export(command) => command.carry_out(home),
            Command::Import(command) => command.carry_out(home),
            Command::Url(command) => command.carry_out(home),
            Command::Identity(command) => command.carry_out(home),
            Command::Daemon(command) => command.carry_out(home),
            Command::Matcher(command) => command.carry_out(home),
            Command::LlmBridge(command) => command.carry_out(home),
            Command::Relay(command) => command.carry_out(),
            Command::Completions(command) => command.carry_out(),
            Command::Man(command) => command.carry_out(),
        }
    }
}

/// What is said of everything that needs other kernels.
fn no_network(so: &str) -> Failure {
    Failure::new(format!("kernels do not talk to each other in this version: {so}"))
}
