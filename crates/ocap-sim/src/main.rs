//! `ocap-sim`: runs seeds through the simulator and shows what they met.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use ocap_sim::coverage::Coverage;
use ocap_sim::jobs;
use ocap_sim::limits;
use ocap_sim::run::{Engine, Failure, Options, play};
use ocap_sim::script::{self, Step};
use ocap_sim::shrink::shrink;

/// Deterministic simulation of the ocap kernel.
#[derive(Parser)]
struct Args {
    /// How many seeds to run.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// Steps of each seed.
    #[arg(long, default_value_t = 1000)]
    steps: usize,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// Run this seed only.
    #[arg(long)]
    seed: Option<u64>,
    /// Threads that run seeds. What is found does not depend on it.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Walk over the whole key space after every so many steps, besides the walk that follows
    /// every turn.
    #[arg(long, default_value_t = 500)]
    check_every: u64,
    /// What the kernel stores in.
    #[arg(long, value_enum, default_value_t)]
    store: Engine,
    /// Run this script instead.
    #[arg(long)]
    script: Option<PathBuf>,
    /// Do not shrink what fails.
    #[arg(long)]
    no_shrink: bool,
    /// Show what was met even if something failed.
    #[arg(long)]
    table: bool,
    /// Go on after failures, up to this many.
    #[arg(long, default_value_t = 1)]
    failures: u64,
}

fn main() -> ExitCode {
    match run(&Args::parse(), &mut io::stdout().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            let _ = writeln!(io::stderr(), "ocap-sim: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args, out: &mut impl Write) -> io::Result<bool> {
    let options =
        Options { engine: args.store, check_every: args.check_every.max(1), traced: false };
    if let Some(path) = &args.script {
        let text = std::fs::read_to_string(path)?;
        let script = script::parse(&text).map_err(io::Error::other)?;
        let Err(failure) = play(&script, Options { check_every: 1, traced: true, ..options })
        else {
            writeln!(out, "{} steps, nothing found", script.len())?;
            return Ok(true);
        };
        show(out, &failure)?;
        return Ok(false);
    }
    let (first, seeds) = args.seed.map_or((args.first, args.seeds), |seed| (seed, 1));
    let began = Instant::now();
    let mut coverage = Coverage::default();
    let mut failures = 0;
    let seeds = first..first.saturating_add(seeds);
    jobs::play_seeds(seeds, args.jobs, args.steps, options, |seed, result| {
        match result {
            Ok(report) => {
                coverage.merge(report.coverage);
                if args.seed.is_some() {
                    writeln!(out, "seed {seed}: trace {:016x}", report.trace_hash)?;
                }
            }
            Err(failure) => {
                failures += 1;
                writeln!(out, "seed {seed} fails at step {}: {}", failure.step, failure.violation)?;
                if !args.no_shrink {
                    show_shrunk(out, seed, &script::generate(seed, args.steps), &failure, options)?;
                }
            }
        }
        Ok(failures < args.failures)
    })?;
    let seconds = began.elapsed().as_secs_f64();
    if failures == 0 || args.table {
        writeln!(out, "{}", coverage.table())?;
    }
    #[allow(clippy::cast_precision_loss, reason = "a figure for people")]
    let rate = coverage.steps as f64 / seconds;
    let (missing, misjudged) = (coverage.missing(), coverage.misjudged());
    for cell in &misjudged {
        writeln!(out, "marked as impossible, but met: {cell}")?;
    }
    if failures == 0 && !missing.is_empty() {
        for cell in &missing {
            writeln!(out, "not met: {cell}")?;
        }
    }
    writeln!(
        out,
        "{} steps, {} deliveries in {seconds:.1} s: {rate:.0} steps/s; {failures} seeds failed; \
         possible cells not met: {}",
        coverage.steps,
        coverage.deliveries,
        missing.len(),
    )?;
    let complete =
        missing.is_empty() || args.seeds < limits::SEEDS_FOR_EVERYTHING || args.seed.is_some();
    Ok(failures == 0 && misjudged.is_empty() && complete)
}

fn show(out: &mut impl Write, failure: &Failure) -> io::Result<()> {
    for line in &failure.trace {
        writeln!(out, "  {line}")?;
    }
    writeln!(out, "step {}: {}", failure.step, failure.violation)
}

fn show_shrunk(
    out: &mut impl Write,
    seed: u64,
    script: &[Step],
    found: &Failure,
    options: Options,
) -> io::Result<()> {
    let (short, options) = shrink(script, found, options);
    writeln!(out, "; seed {seed}: {}", found.violation)?;
    for step in &short {
        writeln!(out, "{step}")?;
    }
    match play(&short, Options { traced: true, ..options }) {
        Ok(_) => writeln!(out, "(the shrunk script goes well)"),
        Err(failure) => show(out, &failure),
    }
}
