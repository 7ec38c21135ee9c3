//! Runs of scripts.

use crate::coverage::Coverage;
use crate::script::{self, Step};
use crate::world::{Violation, World};

/// The engine under the core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Engine {
    /// In memory.
    #[default]
    Memory,
    /// A file of its own, in the folder for temporary files.
    Sqlite,
}

/// How a run is made and watched.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What the core stores in.
    pub engine: Engine,
    /// Steps between two walks of the core over its store.
    pub check_every: u64,
    /// Whether to keep the last lines of what happened.
    pub traced: bool,
}

/// A run that went wrong.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The step it was at; the script's length if it was at the end.
    pub step: usize,
    /// What is wrong.
    pub violation: Violation,
    /// What happened before, if it was kept.
    pub trace: Vec<String>,
}

/// A run that went well.
#[derive(Clone, Debug)]
pub struct Report {
    /// Everything committed and released, as one number.
    pub trace_hash: u64,
    /// What was met.
    pub coverage: Coverage,
}

/// Plays a script to its end, then lets everything end and looks at what is left.
pub fn play(script: &[Step], options: Options) -> Result<Report, Box<Failure>> {
    let failure = |step, violation, world: Option<World>| {
        let trace = world.and_then(|world| world.trace).unwrap_or_default();
        Box::new(Failure { step, violation, trace: trace.into() })
    };
    let mut world = World::new(options).map_err(|violation| failure(0, violation, None))?;
    for (n, &step) in script.iter().enumerate() {
        world.note(|| format!("{n}: {step}"));
        if let Err(violation) = world.step(step) {
            return Err(failure(n, violation, Some(world)));
        }
    }
    world.note(|| "the end".to_owned());
    if let Err(violation) = world.end() {
        return Err(failure(script.len(), violation, Some(world)));
    }
    Ok(Report { trace_hash: world.trace_hash, coverage: world.coverage })
}

/// Plays the script of a seed.
pub fn play_seed(seed: u64, steps: usize, options: Options) -> Result<Report, Box<Failure>> {
    play(&script::generate(seed, steps), options)
}
