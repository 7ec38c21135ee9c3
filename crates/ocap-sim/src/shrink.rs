//! Making a failing script short: steps are taken out as long as it still fails in the same way.

use crate::limits;
use crate::run::{Failure, Options, play};
use crate::script::Step;

/// What kind of failure it is: its text without numbers.
fn kind(failure: &Failure) -> String {
    let text = failure.violation.0.split(['{', '[', ';']).next().unwrap_or_default();
    text.chars().filter(|c| !c.is_ascii_digit()).take(40).collect()
}

/// A short script that fails as this one does, and how it has to be looked at to fail.
pub fn shrink(script: &[Step], failure: &Failure, options: Options) -> (Vec<Step>, Options) {
    let as_found = options.check_every;
    let mut options = Options { check_every: 1, traced: false, ..options };
    let mut best: Vec<Step> = script.to_vec();
    let mut wanted = kind(failure);
    // Looked at after every step it may show itself earlier, as something else; or not at all, for
    // looking is reading, and reads may fail.
    match play(&best, options) {
        Err(failure) => {
            wanted = kind(&failure);
            best.truncate(failure.step + 1);
        }
        Ok(_) => options.check_every = as_found,
    }
    let mut runs = 0;
    let mut size = best.len() / 2;
    while size > 0 {
        let mut at = 0;
        let mut shorter = false;
        while at < best.len() && runs < limits::SHRINK_RUNS_MAX {
            let end = (at + size).min(best.len());
            let candidate: Vec<Step> = best[..at].iter().chain(&best[end..]).copied().collect();
            runs += 1;
            match play(&candidate, options) {
                Err(failure) if kind(&failure) == wanted => {
                    best = candidate;
                    best.truncate(failure.step + 1);
                    shorter = true;
                }
                _ => at = end,
            }
        }
        if !shorter || size > 1 {
            size /= 2;
        }
    }
    (best, options)
}
