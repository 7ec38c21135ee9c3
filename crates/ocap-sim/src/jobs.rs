//! Many seeds on several threads. Each seed is a run of its own, and what they found is told in the
//! order of the seeds, so the number of threads changes nothing but the time.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

use crate::limits;
use crate::run::{Failure, Options, Report, play_seed};

/// How a seed went.
pub type Played = Result<Report, Box<Failure>>;

/// Plays seeds and tells of each, in order, until all are played or `tell` says `false`.
pub fn play_seeds(
    seeds: Range<u64>,
    jobs: usize,
    steps: usize,
    options: Options,
    mut tell: impl FnMut(u64, Played) -> io::Result<bool>,
) -> io::Result<()> {
    let next = AtomicU64::new(seeds.start);
    let (sender, results) = mpsc::sync_channel(limits::RESULTS_AHEAD_MAX);
    thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, limits::JOBS_MAX) {
            let (next, sender, end) = (&next, sender.clone(), seeds.end);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    // Nobody listens any more once enough has been told.
                    if seed >= end || sender.send((seed, play_seed(seed, steps, options))).is_err()
                    {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut early: BTreeMap<u64, Played> = BTreeMap::new();
        let mut due = seeds.start;
        for (seed, played) in results {
            early.insert(seed, played);
            while let Some(played) = early.remove(&due) {
                if !tell(due, played)? {
                    return Ok(());
                }
                due += 1;
            }
        }
        Ok(())
    })
}
