//! A program that is nothing but a zygote, for hosts and tests that cannot execute themselves.
//!
//! `ocap-vat-worker --probe <name>` tries something that the cage forbids and prints how that ended;
//! `--probe sweep` tries every system call and prints the numbers of those that are allowed.

use std::process::ExitCode;

use ocap_vat::cage::probe;

#[global_allocator]
static ALLOCATOR: ocap_vat::ExitingAllocator = ocap_vat::ExitingAllocator;

fn main() -> ExitCode {
    ocap_vat::run_worker_if_asked();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [option, name] = &arguments[..] else { return usage() };
    if option != "--probe" {
        return usage();
    }
    if name == "sweep" {
        return match probe::sweep() {
            Ok(open) => {
                println!("{open:?}");
                ExitCode::SUCCESS
            }
            Err(error) => failed(&error),
        };
    }
    match probe::attempt(name) {
        Ok(reason) => {
            let fault = ocap_vat::fault_of_exit(Some(reason));
            println!("{reason:?} {:?} {}", fault.kind, fault.detail);
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error),
    }
}

fn failed(error: &str) -> ExitCode {
    eprintln!("{error}");
    ExitCode::FAILURE
}

fn usage() -> ExitCode {
    eprintln!("ocap-vat-worker is started by a kernel, or with --probe <name>.");
    ExitCode::from(2)
}
