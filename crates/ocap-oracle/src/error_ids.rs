//! Ids of errors. They are numbered as they are encoded, so what may come in another order may have
//! another's id.

use std::collections::BTreeMap;

use ocap_types::crank::Syscall;

use crate::Crank;
use crate::compare::bodies;

/// What every id begins with.
const START: &str = "error:liveSlots:v1#";

/// Whether two syscalls are the same but for the ids of errors in them.
pub fn is_same_without(a: &Syscall, b: &Syscall) -> bool {
    let without = |syscall: &Syscall| {
        let mut syscall = syscall.clone();
        bodies(&mut syscall, |body| *body = rewritten(body, |_| String::new()));
        syscall
    };
    a == b || without(a) == without(b)
}

/// Gives the errors of `theirs` the ids that ours have in the same places, if it is the same ids that
/// both cranks gave out.
pub fn align(ours: &Crank, theirs: &mut Crank) {
    let (wanted, found) = (ids(ours), ids(theirs));
    let sorted = |ids: &[String]| {
        let mut ids = ids.to_vec();
        ids.sort();
        ids
    };
    if wanted == found || sorted(&wanted) != sorted(&found) {
        return;
    }
    let names: BTreeMap<&String, &String> = found.iter().zip(&wanted).collect();
    let is_one = |(found, wanted): (&String, &String)| names.get(found) == Some(&wanted);
    if !found.iter().zip(&wanted).all(is_one) {
        return;
    }
    for syscall in &mut theirs.syscalls {
        bodies(syscall, |body| {
            *body = rewritten(body, |id| names.get(&id.to_owned()).map_or("", |id| id).to_owned());
        });
    }
}

fn ids(crank: &Crank) -> Vec<String> {
    let mut ids = Vec::new();
    for mut syscall in crank.syscalls.iter().cloned() {
        bodies(&mut syscall, |body| {
            rewritten(body, |id| {
                ids.push(id.to_owned());
                String::new()
            });
        });
    }
    ids
}

fn rewritten(body: &str, mut name: impl FnMut(&str) -> String) -> String {
    let mut parts = body.split(START);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        let id = &part[..part.len() - rest.len()];
        text.extend([START, &name(id), rest]);
    }
    text
}
