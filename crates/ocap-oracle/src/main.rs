//! `ocap-oracle`: runs seeds here and in Liveslots, and shows the first difference.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use ocap_oracle::compare::{Difference, Verdict, compare};
use ocap_oracle::here::Played;
use ocap_oracle::node::Node;
use ocap_oracle::script::{Step, delivery};
use ocap_oracle::shrink::shrink;
use ocap_oracle::{here, limits};
use ocap_types::crank::Delivery;

/// Our supervisor against Liveslots.
#[derive(Parser)]
struct Args {
    /// How many seeds to run.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// Run this seed only.
    #[arg(long)]
    seed: Option<u64>,
    /// Run this sequence instead: a JSON list of steps.
    #[arg(long)]
    script: Option<PathBuf>,
    /// Print the steps of the seed and what they lead to here.
    #[arg(long)]
    print: bool,
    /// Do not shrink what fails.
    #[arg(long)]
    no_shrink: bool,
    /// Go on after failures, up to this many.
    #[arg(long, default_value_t = 1)]
    failures: u64,
}

fn main() -> ExitCode {
    match run(&Args::parse(), &mut io::stdout().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            let _ = writeln!(io::stderr(), "ocap-oracle: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args, out: &mut impl Write) -> io::Result<bool> {
    if args.print {
        let played = here::generate(args.seed.unwrap_or(args.first));
        show(out, &played.steps, played.wrong.as_ref())?;
        writeln!(out, "{}", serde_json::to_string(&deliveries_of(&played.steps))?)?;
        return Ok(true);
    }
    let mut node = Node::start()?;
    if let Some(path) = &args.script {
        let steps: Vec<Step> = serde_json::from_str(&std::fs::read_to_string(path)?)?;
        let (played, difference) = both(&mut node, &steps)?;
        show(out, &played.steps, difference.as_ref())?;
        return Ok(difference.is_none());
    }
    let (first, seeds) = args.seed.map_or((args.first, args.seeds), |seed| (seed, 1));
    let end = first.saturating_add(seeds);
    let began = Instant::now();
    let mut totals = Totals::default();
    let mut next = first;
    while next < end && totals.failures < args.failures {
        let batch = next..end.min(next.saturating_add(limits::BATCH_SEQUENCES));
        next = batch.end;
        let mut played = Vec::new();
        for seed in batch {
            let one = here::generate(seed);
            node.ask(&deliveries_of(&one.steps))?;
            played.push((seed, one));
        }
        for at in 0..played.len() {
            if totals.failures >= args.failures {
                break;
            }
            let (seed, one) = &played[at];
            let theirs = match node.answer() {
                Ok(theirs) => theirs,
                Err(error) => {
                    totals.hung += 1;
                    writeln!(out, "seed {seed}: {error}")?;
                    if totals.hung > limits::HUNG_MAX {
                        return Err(error);
                    }
                    node = Node::start()?;
                    for (_, one) in &played[at + 1..] {
                        node.ask(&deliveries_of(&one.steps))?;
                    }
                    continue;
                }
            };
            totals.add(one);
            let verdict = compare(one, &theirs);
            totals.partly += u64::from(matches!(verdict, Verdict::Until(_)));
            if let Some(found) = one.wrong.clone().or(verdict.difference()) {
                match both(&mut Node::start()?, &one.steps)? {
                    (_, Some(_)) => {
                        totals.failures += 1;
                        report(out, *seed, one, &found, args.no_shrink || totals.failures > 1)?;
                    }
                    (_, None) => totals.noise += 1,
                }
            }
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let Totals { sequences, deliveries, syscalls, failures, noise, partly, hung } = totals;
    writeln!(
        out,
        "{sequences} sequences, {deliveries} deliveries, {syscalls} syscalls in {seconds:.1} s; \
         {failures} differ, {noise} did until tried again, {partly} were compared in part, {hung} hung in Liveslots",
    )?;
    Ok(failures == 0 && (noise + partly) * 100 <= limits::NOISE_PERCENT_MAX * sequences.max(100))
}

/// What a run has met.
#[derive(Default)]
struct Totals {
    sequences: u64,
    deliveries: usize,
    syscalls: usize,
    failures: u64,
    noise: u64,
    partly: u64,
    hung: u64,
}

impl Totals {
    fn add(&mut self, played: &Played) {
        self.sequences += 1;
        self.deliveries += played.steps.len();
        self.syscalls +=
            played.trace.cranks.iter().map(|crank| crank.syscalls.len()).sum::<usize>();
    }
}

/// Tells of a sequence that differs, after making it short.
fn report(
    out: &mut impl Write,
    seed: u64,
    played: &Played,
    found: &Difference,
    as_it_is: bool,
) -> io::Result<()> {
    writeln!(out, "seed {seed} differs at step {}: {}", found.step, found.kind)?;
    if as_it_is {
        return write!(out, "{}", found.detail);
    }
    let mut node = Node::start()?;
    let short = shrink(&played.steps, |steps| match both(&mut node, steps) {
        Ok((_, Some(difference))) => difference.kind == found.kind,
        Ok((_, None)) => false,
        Err(_) => {
            if let Ok(fresh) = Node::start() {
                node = fresh;
            }
            false
        }
    });
    let (played, difference) = both(&mut node, &short)?;
    show(out, &played.steps, difference.as_ref())
}

fn deliveries_of(steps: &[Step]) -> Vec<Delivery> {
    steps.iter().map(delivery).collect()
}

fn both(node: &mut Node, steps: &[Step]) -> io::Result<(Played, Option<Difference>)> {
    let played = here::play(steps);
    node.ask(&deliveries_of(&played.steps))?;
    let theirs = node.answer()?;
    let difference = played.wrong.clone().or_else(|| compare(&played, &theirs).difference());
    Ok((played, difference))
}

fn show(out: &mut impl Write, steps: &[Step], found: Option<&Difference>) -> io::Result<()> {
    for (i, step) in steps.iter().enumerate() {
        writeln!(out, "{}{}", if i == 0 { "[" } else { "," }, serde_json::to_string(step)?)?;
    }
    writeln!(out, "]")?;
    match found {
        Some(found) => write!(out, "step {}: {}\n{}", found.step, found.kind, found.detail),
        None => writeln!(out, "no difference"),
    }
}
