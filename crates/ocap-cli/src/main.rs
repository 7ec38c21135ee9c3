//! The `ocap` command.
//!
//! Results go to standard output, everything said on the way to standard error; the exit code is 0
//! or 1. What each command does is in the module of its name.

mod args;
mod cluster_file;
mod daemon;
mod doctor;
mod failure;
mod limits;
mod output;
mod run;
mod send;
mod status;

use std::process::ExitCode;

use clap::Parser;
use ocap_daemon::Home;

use args::{Arguments, Command, DaemonCommand};
use failure::Failure;

// In a worker, running out of memory has to end the process with a code that says so.
#[global_allocator]
static ALLOCATOR: ocap_vat::ExitingAllocator = ocap_vat::ExitingAllocator;

fn main() -> ExitCode {
    ocap_vat::run_worker_if_asked();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::from(error.use_stderr()));
        }
    };
    match carry_out(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report();
            ExitCode::FAILURE
        }
    }
}

fn carry_out(arguments: Arguments) -> Result<(), Failure> {
    let home = Home::choose(arguments.home.as_deref())?;
    match arguments.command {
        Command::Run(options) => run::run(home, &options),
        Command::Launch { file, name } => send::launch(&home, &file, name),
        Command::Ls { json } => status::list(&home, json),
        Command::Send(message) => send::send(&home, &message),
        Command::Doctor { file } => doctor::doctor(&home, file.as_deref()),
        Command::Daemon { command } => match command.unwrap_or_default() {
            DaemonCommand::Start { cage } => daemon::start(&home, cage),
            DaemonCommand::Stop => daemon::stop(&home),
            DaemonCommand::Status { json } => status::status(&home, json),
            DaemonCommand::Exec { method, params, timeout } => {
                send::exec(&home, &method, params.as_deref(), timeout)
            }
            DaemonCommand::QueueMessage(message) => send::send(&home, &message),
            DaemonCommand::Purge { force } => daemon::purge(&home, force),
            DaemonCommand::Serve { cage } => daemon::serve(home, cage),
        },
    }
}
