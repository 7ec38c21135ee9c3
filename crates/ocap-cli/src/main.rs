//! The `ocap` command.
//!
//! Results go to standard output, everything said on the way to standard error; the exit code is 0
//! or 1. Each command is a file in `commands/`.

mod args;
mod argument;
mod background;
mod bundle_server;
mod bundles;
mod cluster_file;
mod commands;
mod failure;
mod help;
mod limits;
mod output;
mod quantity;
mod source_watch;
mod status;
mod suggestion;
mod table;
mod target;
mod terminal;
mod waiting;

use std::process::ExitCode;

use clap::FromArgMatches;
use ocap_daemon::Home;

use args::Arguments;
use failure::Failure;

// In a worker, running out of memory has to end the process with a code that says so.
#[global_allocator]
static ALLOCATOR: ocap_vat::ExitingAllocator = ocap_vat::ExitingAllocator;

fn main() -> ExitCode {
    ocap_vat::run_worker_if_asked();
    let parsed = help::definition().try_get_matches();
    let arguments = match parsed.and_then(|matches| Arguments::from_arg_matches(&matches)) {
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
    arguments.command.carry_out(&home)
}
