//! Seeds, kept scripts, and that a seed is always the same run.

use ocap_sim::run::{Options, play, play_seed};
use ocap_sim::script::{generate, parse};

const OPTIONS: Options = Options { check_every: 10, traced: false };

#[test]
fn short_seeds_find_nothing() {
    for seed in 0..200 {
        if let Err(failure) = play_seed(seed, 150, OPTIONS) {
            panic!("seed {seed}, step {}: {}", failure.step, failure.violation);
        }
    }
}
