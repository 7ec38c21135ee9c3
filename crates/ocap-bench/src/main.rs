//! Benchmarks of the kernel: the rows of the table that the project compares itself with, measured
//! beside the machine's own limits.
//!
//! `cargo run --release -p ocap-bench [-- [--quick] [--dir FOLDER] [FILTER...]]` prints Markdown: the
//! machine, the limits, a table. A filter keeps the rows whose name contains it. Stores are made
//! in FOLDER (the system's temporary folder), so that is the disk that is measured.

mod limits;
mod machine;
mod model;
mod options;
mod process;
mod raw;
mod report;
mod rig;
mod rows;
mod sample;

use std::process::ExitCode;

// In a worker, running out of memory must end it with a code that says so.
#[global_allocator]
static ALLOCATOR: ocap_vat::ExitingAllocator = ocap_vat::ExitingAllocator;

/// Why something could not be measured.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    // Workers and helper processes are this program again.
    ocap_vat::run_worker_if_asked();
    if let Some(code) = process::run_child_if_asked() {
        return code;
    }
    let outcome = options::Options::from_args().and_then(|options| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let outcome = runtime.block_on(bench(&options));
        // A helper of a row that took too long may still be waited for; it ends with this process.
        runtime.shutdown_background();
        outcome
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("ocap-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures and prints. Answers with whether every row could be measured.
async fn bench(options: &options::Options) -> Result<bool, Failure> {
    let rig = rig::Rig::new(options)?;
    println!("{}", machine::describe(rig.folder(), options));
    let before = raw::Raw::measure(&rig)?;
    let mut report = report::Report::new(options);
    rows::start::add(&rig, &mut report).await;
    rows::launch::add(&rig, &mut report).await;
    rows::messages::add(&rig, &mut report).await;
    rows::deliveries::add(&rig, &mut report).await;
    rows::tracing::add(&rig, &mut report).await;
    rows::storage::add(&rig, &mut report).await;
    rows::lines::add(&rig, &mut report).await;
    rows::socket::add(&rig, &mut report).await;
    rows::memory::add(&rig, &mut report).await;
    rows::restart::add(&rig, &mut report).await;
    rows::many::add(&rig, &mut report).await;
    rows::objects::add(&rig, &mut report).await;
    rows::urls::add(&rig, &mut report).await;
    rows::leftovers::add(&rig, &mut report).await;
    rows::soak::add(&rig, &mut report).await;
    rows::isolation::add(&rig, &mut report).await;
    let after = raw::Raw::measure(&rig)?;
    println!("{}\n", raw::describe(&before, &after));
    println!("{}", report.table());
    Ok(report.is_complete())
}
