//! A program that is nothing but a zygote, for hosts and tests that cannot execute themselves.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: ocap_vat::ExitingAllocator = ocap_vat::ExitingAllocator;

fn main() -> ExitCode {
    ocap_vat::run_worker_if_asked();
    eprintln!("ocap-vat-worker is started by a kernel.");
    ExitCode::from(2)
}
