//! Making a failing sequence short: steps, and parts of programs, are taken out as long as it
//! still fails in the same way.

use serde_json::Value;

use crate::limits;
use crate::script::Step;

/// A short sequence for which `fails` still holds. It holds for `steps`.
pub fn shrink(steps: &[Step], mut fails: impl FnMut(&[Step]) -> bool) -> Vec<Step> {
    let mut best = steps.to_vec();
    let mut runs = 0;
    let mut size = best.len() / 2;
    while size > 0 {
        let mut at = 1;
        let mut shorter = false;
        while at < best.len() && runs < limits::SHRINK_RUNS_MAX {
            let end = (at + size).min(best.len());
            let candidate: Vec<Step> = best[..at].iter().chain(&best[end..]).cloned().collect();
            runs += 1;
            if fails(&candidate) {
                best = candidate;
                shorter = true;
            } else {
                at = end;
            }
        }
        if !shorter || size > 1 {
            size /= 2;
        }
    }
    for at in 0..best.len() {
        let mut part = 0;
        while runs < limits::SHRINK_RUNS_MAX {
            let mut candidate = best.clone();
            if !remove_part(&mut candidate[at], part) {
                break;
            }
            runs += 1;
            if fails(&candidate) {
                best = candidate;
            } else {
                part += 1;
            }
        }
    }
    best
}

/// Takes out the part of that number; `false` if there are not so many.
fn remove_part(step: &mut Step, part: usize) -> bool {
    let mut left = part;
    match step {
        Step::Start { program, .. } | Step::Do { program, .. } => remove_of(program, &mut left),
        Step::Notify { resolutions } if resolutions.len() > 1 && part < resolutions.len() => {
            resolutions.remove(part);
            true
        }
        _ => false,
    }
}

fn remove_of(program: &mut Vec<Value>, left: &mut usize) -> bool {
    for at in 0..program.len() {
        if *left == 0 {
            program.remove(at);
            return true;
        }
        *left -= 1;
        let Some(parts) = program[at].as_array_mut() else { continue };
        if parts.first().and_then(Value::as_str) != Some("when") {
            continue;
        }
        for inner in [2, 3] {
            if let Some(Value::Array(inner)) = parts.get_mut(inner)
                && remove_of(inner, left)
            {
                return true;
            }
        }
    }
    false
}
