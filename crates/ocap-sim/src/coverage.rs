//! What has been met: which deliveries and turns ended how, what a crash took with it, and what became
//! of messages by what their target was.

use std::collections::BTreeMap;
use std::fmt::Write as _;

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "each has its name in the table")]
        pub enum $name { $($variant,)* }

        impl $name {
            const ALL: &[($name, &'static str)] = &[$(($name::$variant, $text)),*];
        }
    };
}

named! {
    /// What was done.
    Kind {
        Start = "start",
        Message = "message",
        Notify = "notify",
        DropExports = "dropExports",
        RetireExports = "retireExports",
        RetireImports = "retireImports",
        Reap = "bringOutYourDead",
        Host = "host turn",
        Service = "service completion",
        Io = "IO event",
    }
}

named! {
    /// How it ended.
    Outcome {
        Ok = "ok",
        Illegal = "illegal",
        Fault = "fault",
        Exit = "exit",
        ExitFailure = "exit failure",
        Error = "error",
        Refused = "refused",
    }
}

named! {
    /// Where a crash met it.
    Moment {
        Survived = "no crash",
        InFlight = "in flight",
        BeforeCommit = "before commit",
        AfterCommit = "after commit",
        AfterRelease = "after release",
    }
}

impl Kind {
    /// Whether a vat is given it alone.
    pub(crate) fn is_alone(self) -> bool {
        !matches!(self, Kind::Message | Kind::Notify)
    }

    /// Whether the kernel has done its part before the vat hears of it.
    pub(crate) fn is_collection(self) -> bool {
        matches!(self, Kind::DropExports | Kind::RetireExports | Kind::RetireImports)
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    cells: BTreeMap<(Kind, Outcome, Moment), u64>,
    messages: BTreeMap<(String, String), u64>,
    /// Misdeeds by name.
    misdeeds: BTreeMap<&'static str, u64>,
    /// Steps done, over all runs.
    pub steps: u64,
    /// Deliveries handed out.
    pub deliveries: u64,
}

/// Why a cell can never be met.
fn impossible(kind: Kind, outcome: Outcome, moment: Moment) -> Option<&'static str> {
    let turn = matches!(kind, Kind::Host | Kind::Service | Kind::Io);
    if turn && moment == Moment::InFlight {
        return Some("a turn is over when it returns");
    }
    if turn && !matches!(outcome, Outcome::Ok | Outcome::Refused) {
        return Some("no vat code runs in a turn");
    }
    if !turn && outcome == Outcome::Refused {
        return Some("the kernel refuses no outcome");
    }
    if moment == Moment::InFlight && outcome != Outcome::Ok {
        return Some("what is in flight has no outcome yet (counted under ok)");
    }
    if kind == Kind::Io && outcome == Outcome::Refused {
        return Some("only a full buffer refuses; the driver stops reading long before");
    }
    if kind == Kind::Service && outcome == Outcome::Refused && moment != Moment::Survived {
        return Some("an answer to no call changes nothing, so no batch holds it");
    }
    if kind == Kind::Host && outcome == Outcome::Refused && moment != Moment::Survived {
        return Some("a refused request changes nothing, so no batch holds it");
    }
    None
}

impl Coverage {
    /// Something was done and a crash met it, or did not.
    pub fn met(&mut self, kind: Kind, outcome: Outcome, moment: Moment) {
        *self.cells.entry((kind, outcome, moment)).or_default() += 1;
    }

    /// A host's message: what its target was, and what came of it.
    pub fn message(&mut self, target: &str, end: &str) {
        *self.messages.entry((target.to_owned(), end.to_owned())).or_default() += 1;
    }

    /// A vat did what it may not.
    pub fn misdeed(&mut self, name: &'static str) {
        *self.misdeeds.entry(name).or_default() += 1;
    }

    /// Adds what another run has met.
    pub fn merge(&mut self, other: Coverage) {
        for (cell, count) in other.cells {
            *self.cells.entry(cell).or_default() += count;
        }
        for (cell, count) in other.messages {
            *self.messages.entry(cell).or_default() += count;
        }
        for (name, count) in other.misdeeds {
            *self.misdeeds.entry(name).or_default() += count;
        }
        self.steps += other.steps;
        self.deliveries += other.deliveries;
    }

    /// Possible cells nothing has met.
    pub fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for (kind, kind_name) in Kind::ALL {
            for (outcome, outcome_name) in Outcome::ALL {
                for (moment, moment_name) in Moment::ALL {
                    let possible = impossible(*kind, *outcome, *moment).is_none();
                    if possible && !self.cells.contains_key(&(*kind, *outcome, *moment)) {
                        missing.push(format!("{kind_name} x {outcome_name} x {moment_name}"));
                    }
                }
            }
        }
        missing
    }

    /// Everything as text.
    pub fn table(&self) -> String {
        let mut out = String::new();
        let mut reasons: Vec<&str> = Vec::new();
        let _ = write!(out, "{:<32}", "what x how it ended");
        for (_, name) in Moment::ALL {
            let _ = write!(out, "{name:>15}");
        }
        out.push('\n');
        for (kind, kind_name) in Kind::ALL {
            for (outcome, outcome_name) in Outcome::ALL {
                let row: Vec<String> = Moment::ALL
                    .iter()
                    .map(|(moment, _)| {
                        if let Some(reason) = impossible(*kind, *outcome, *moment) {
                            let known = reasons.iter().position(|other| *other == reason);
                            let n = known.unwrap_or_else(|| {
                                reasons.push(reason);
                                reasons.len() - 1
                            });
                            return format!("[{}]", n + 1);
                        }
                        let count = self.cells.get(&(*kind, *outcome, *moment));
                        count.map_or_else(|| "MISSING".to_owned(), u64::to_string)
                    })
                    .collect();
                if row.iter().all(|cell| cell.starts_with('[')) {
                    continue;
                }
                let _ = write!(out, "{:<32}", format!("{kind_name} x {outcome_name}"));
                for cell in row {
                    let _ = write!(out, "{cell:>15}");
                }
                out.push('\n');
            }
        }
        for (n, reason) in reasons.iter().enumerate() {
            let _ = writeln!(out, "[{}] impossible: {reason}", n + 1);
        }
        out.push_str("\nhost's messages by target: what became of them\n");
        for ((target, end), count) in &self.messages {
            let _ = writeln!(out, "{target:<32}{end:<32}{count:>12}");
        }
        out.push_str("\nmisdeeds, each ending its vat\n");
        for (name, count) in &self.misdeeds {
            let _ = writeln!(out, "{name:<40}{count:>12}");
        }
        out
    }
}
