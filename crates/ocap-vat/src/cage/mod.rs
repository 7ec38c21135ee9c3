//! The cage around a worker process: what it gives up before the first byte that a vat's author
//! wrote reaches it.
//!
//! In layers, so that one hole is not a way out: no capabilities and no way to gain privileges;
//! limits that allow no file, core dump or process; Landlock, which denies every path, port, and
//! signal or abstract socket to the outside; and a seccomp filter with the few system calls a worker
//! needs, which ends the process at any other. The filter is what everything rests on: `unshare`,
//! `io_uring` and executable memory are open without it.

mod privileges;
pub mod probe;
mod seccomp;

use std::fmt;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetStatus,
    Scope,
};
use serde::{Deserialize, Serialize};

pub(crate) use privileges::limit_memory;

/// The newest Landlock interface whose rights we know. Older kernels enforce what they know.
const LANDLOCK_ABI: ABI = ABI::V6;

/// What of the cage holds on this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CageReport {
    /// What could not be closed, in words. Empty unless best effort was asked for.
    pub missing: Vec<String>,
    /// Whether Landlock enforces all it could be asked for (older Linux versions know less).
    pub landlock_complete: bool,
}

impl fmt::Display for CageReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.missing.as_slice(), self.landlock_complete) {
            ([], true) => f.write_str("complete"),
            ([], false) => f.write_str("closed (this Linux version knows part of Landlock)"),
            (missing, _) => write!(f, "OPEN: {}", missing.join("; ")),
        }
    }
}

/// A cage for processes that are not there yet.
pub(crate) struct Cage {
    filter: Result<seccomp::Prepared, String>,
    best_effort: bool,
}

impl Cage {
    /// With `best_effort`, what turns out to be missing is reported and the rest is closed;
    /// otherwise it is an error.
    pub(crate) fn new(best_effort: bool) -> Self {
        Self { filter: seccomp::Prepared::new(), best_effort }
    }

    /// Closes the cage around this process, for good. The process must have one thread.
    pub(crate) fn enter(&self) -> Result<CageReport, String> {
        self.enter_layers(Layers::All)
    }
}

/// Which layers to put on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layers {
    All,
    /// For probes that ask what holds without the filter.
    NoFilter,
}

impl Cage {
    fn enter_layers(&self, layers: Layers) -> Result<CageReport, String> {
        let mut report = CageReport::default();
        let mut layer = |name: &str, result: Result<(), String>| match result {
            Ok(()) => Ok(()),
            Err(error) if self.best_effort => {
                report.missing.push(format!("{name}: {error}"));
                Ok(())
            }
            Err(error) => Err(format!("{name}: {error}")),
        };
        let mut complete = false;
        // First, for it needs a descriptor of its own for a moment.
        layer("Landlock", deny_files().map(|enforced| complete = enforced))?;
        layer("limits", privileges::limit().map_err(|e| e.to_string()))?;
        layer("privileges", privileges::drop_all().map_err(|e| e.to_string()))?;
        if layers == Layers::All {
            layer("seccomp", self.filter.clone().and_then(seccomp::Prepared::apply))?;
        }
        report.landlock_complete = complete;
        Ok(report)
    }
}

/// Denies all that Landlock can deny. `true` if this Linux version knew all of it.
fn deny_files() -> Result<bool, String> {
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(LANDLOCK_ABI))
        .and_then(|r| r.handle_access(AccessNet::from_all(LANDLOCK_ABI)))
        .and_then(|r| r.scope(Scope::from_all(LANDLOCK_ABI)))
        .and_then(Ruleset::create);
    let status = ruleset.and_then(landlock::RulesetCreated::restrict_self);
    match status.map_err(|error| error.to_string())?.ruleset {
        RulesetStatus::FullyEnforced => Ok(true),
        RulesetStatus::PartiallyEnforced => Ok(false),
        RulesetStatus::NotEnforced => Err("not available in this Linux kernel".into()),
    }
}
