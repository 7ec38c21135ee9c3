//! What has been met, as one table: what was done, what it was about, how it ended, and what a crash
//! made of it. Combinations that cannot be are marked by hand, with the reason.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

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
        Message = "send",
        Notify = "notify",
        DropExports = "dropExports",
        RetireExports = "retireExports",
        RetireImports = "retireImports",
        Reap = "bringOutYourDead",
        Host = "host turn",
        Service = "service completion",
        Io = "IO unit",
        Client = "IO client",
    }
}

named! {
    /// What it was about: a send's target when it was accepted, what a promise that is told of has
    /// become, the object that is collected, the vat that is started.
    State {
        Live = "live",
        Revoked = "revoked",
        Deleted = "deleted",
        Restarted = "restarted",
        Suspended = "suspended",
        Terminated = "terminated",
        Unresolved = "promise, unresolved",
        ToObject = "promise, an object",
        ToPromise = "promise, a promise",
        ToData = "promise, data",
        Rejected = "promise, rejected",
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

/// A combination of the first three.
pub type Deed = (Kind, State, Outcome);

/// A cell of the table.
pub type Cell = (Deed, Moment);

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    cells: BTreeMap<Cell, u64>,
    /// Misdeeds of vats, by name.
    misdeeds: BTreeMap<&'static str, u64>,
    /// Faults of the disk and the machine, and what a boot changed, by name.
    faults: BTreeMap<&'static str, u64>,
    /// Steps done, over all runs.
    pub steps: u64,
    /// Deliveries handed out.
    pub deliveries: u64,
}

/// Why something cannot be about that.
fn impossible_state(kind: Kind, state: State) -> Option<&'static str> {
    use State::{
        Deleted, Live, Rejected, Restarted, Revoked, Suspended, Terminated, ToData, ToObject,
        ToPromise, Unresolved,
    };
    match kind {
        Kind::Message | Kind::Host => None,
        Kind::Notify if matches!(state, ToObject | ToPromise | ToData | Rejected) => None,
        Kind::Notify => Some("a notify tells of a promise that has settled"),
        Kind::DropExports | Kind::RetireExports => match state {
            Live | Revoked | Restarted => None,
            Suspended | Terminated => Some("such a vat is given nothing"),
            Deleted => Some("what is gone has no exporter that could be told"),
            _ => Some("promises are not collected"),
        },
        Kind::RetireImports => match state {
            Deleted | Terminated | Revoked => None,
            Live | Restarted | Suspended => Some("as long as somebody owns it, importers keep it"),
            _ => Some("promises are not collected"),
        },
        Kind::Reap => match state {
            Live | Restarted => None,
            _ => Some("it is for a vat that runs"),
        },
        Kind::Start => match state {
            Live | Restarted | Suspended => None,
            _ => Some("a start is of a vat that is there"),
        },
        Kind::Service => match state {
            ToObject | ToPromise | ToData | Rejected | Live | Restarted | Terminated => None,
            _ => Some("a completion is about its answer, or about a caller that has none coming"),
        },
        Kind::Io | Kind::Client => match state {
            Live | Unresolved | Deleted => None,
            _ => Some("what arrives meets a buffer, a call that waits, or no channel any more"),
        },
    }
}

/// Why a combination can never be met.
fn impossible(deed: Deed, moment: Moment) -> Option<&'static str> {
    let (kind, state, outcome) = deed;
    if let Some(reason) = impossible_state(kind, state) {
        return Some(reason);
    }
    let turn = matches!(kind, Kind::Host | Kind::Service | Kind::Io | Kind::Client);
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
    if outcome == Outcome::Refused && moment != Moment::Survived {
        return Some("what is refused changes nothing, so no batch holds it");
    }
    match (kind, state) {
        (
            Kind::Message,
            State::Revoked
            | State::Deleted
            | State::Suspended
            | State::Terminated
            | State::ToData
            | State::Rejected,
        ) if outcome != Outcome::Ok || moment == Moment::InFlight => {
            Some("the kernel answers it; no vat is given it")
        }
        (Kind::Service, State::Live | State::Restarted | State::Terminated)
            if outcome == Outcome::Ok =>
        {
            Some("a completion of no call is refused")
        }
        (Kind::Service, State::ToObject | State::ToPromise | State::ToData | State::Rejected)
            if outcome == Outcome::Refused =>
        {
            Some("a completion of a call is taken, whatever it says")
        }
        (Kind::Io | Kind::Client, State::Live | State::Unresolved)
            if outcome == Outcome::Refused =>
        {
            Some("only a full buffer refuses; the driver stops reading long before")
        }
        (Kind::Io | Kind::Client, State::Deleted) if outcome == Outcome::Ok => {
            Some("what no channel has said is dropped")
        }
        _ => None,
    }
}

impl Coverage {
    /// Something was done and a crash met it, or did not.
    pub fn met(&mut self, deed: Deed, moment: Moment) {
        *self.cells.entry((deed, moment)).or_default() += 1;
    }

    /// How often a cell has been met.
    pub(crate) fn count(&self, cell: Cell) -> u64 {
        self.cells.get(&cell).copied().unwrap_or_default()
    }

    /// A vat did what it may not.
    pub fn misdeed(&mut self, name: &'static str) {
        *self.misdeeds.entry(name).or_default() += 1;
    }

    /// The disk failed, or the machine, or a boot was not like the one before.
    pub fn fault(&mut self, name: &'static str) {
        *self.faults.entry(name).or_default() += 1;
    }

    /// Adds what another run has met.
    pub fn merge(&mut self, other: Coverage) {
        for (cell, count) in other.cells {
            *self.cells.entry(cell).or_default() += count;
        }
        for (name, count) in other.misdeeds {
            *self.misdeeds.entry(name).or_default() += count;
        }
        for (name, count) in other.faults {
            *self.faults.entry(name).or_default() += count;
        }
        self.steps += other.steps;
        self.deliveries += other.deliveries;
    }

    /// Every combination, with its names.
    fn deeds() -> impl Iterator<Item = (Deed, String)> {
        let states =
            |kind: &'static (Kind, &'static str)| State::ALL.iter().map(move |s| (kind, s));
        let deeds = Kind::ALL.iter().flat_map(states);
        let deeds =
            deeds.flat_map(|(kind, state)| Outcome::ALL.iter().map(move |o| (kind, state, o)));
        deeds.map(|(kind, state, outcome)| {
            ((kind.0, state.0, outcome.0), format!("{} x {} x {}", kind.1, state.1, outcome.1))
        })
    }

    /// The cells that chance alone meets seldom (those with a crash, but for turns), those among
    /// them that need several things to come together, those that need more, and the most.
    pub(crate) fn rare() -> &'static [Vec<Cell>; 4] {
        static RARE: LazyLock<[Vec<Cell>; 4]> = LazyLock::new(|| {
            let cells = Coverage::deeds()
                .flat_map(|(deed, _)| Moment::ALL.iter().map(move |(moment, _)| (deed, *moment)));
            let tier = |(deed, moment): Cell| {
                let (kind, state, _) = deed;
                let turn = matches!(kind, Kind::Host | Kind::Service);
                if moment == Moment::Survived || turn || impossible(deed, moment).is_some() {
                    return None;
                }
                Some(match (kind, state) {
                    (Kind::RetireImports | Kind::RetireExports, State::Revoked)
                    | (Kind::Io | Kind::Client, State::Unresolved) => 3,
                    (Kind::Message, State::Unresolved | State::ToObject | State::ToPromise)
                    | (Kind::Start, State::Suspended) => 2,
                    (Kind::Notify | Kind::Io | Kind::Client | Kind::RetireImports, _)
                    | (Kind::DropExports, State::Revoked) => 1,
                    _ => 0,
                })
            };
            let tiers: Vec<(Cell, usize)> =
                cells.filter_map(|cell| Some((cell, tier(cell)?))).collect();
            std::array::from_fn(|least| {
                let those = tiers.iter().filter(|(_, tier)| *tier >= least);
                those.map(|(cell, _)| *cell).collect()
            })
        });
        &RARE
    }

    /// Possible cells nothing has met.
    pub fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for (deed, name) in Coverage::deeds() {
            for (moment, moment_name) in Moment::ALL {
                let possible = impossible(deed, *moment).is_none();
                if possible && !self.cells.contains_key(&(deed, *moment)) {
                    missing.push(format!("{name} x {moment_name}"));
                }
            }
        }
        missing
    }

    /// Cells that have been met although they are marked as impossible.
    pub fn misjudged(&self) -> Vec<String> {
        let mut misjudged = Vec::new();
        for (deed, name) in Coverage::deeds() {
            for (moment, moment_name) in Moment::ALL {
                if self.cells.contains_key(&(deed, *moment))
                    && let Some(reason) = impossible(deed, *moment)
                {
                    misjudged.push(format!("{name} x {moment_name}: {reason}"));
                }
            }
        }
        misjudged
    }

    /// Everything as text. Rows of nothing but impossible cells are only counted.
    pub fn table(&self) -> String {
        let mut out = String::new();
        let mut reasons: Vec<(&str, u64)> = Vec::new();
        let _ = write!(out, "{:<52}", "what x about what x how it ended");
        for (_, name) in Moment::ALL {
            let _ = write!(out, "{name:>15}");
        }
        out.push('\n');
        for (deed, name) in Coverage::deeds() {
            let mut row = String::new();
            let mut possible = false;
            for (moment, _) in Moment::ALL {
                if let Some(reason) = impossible(deed, *moment) {
                    let known = reasons.iter().position(|(other, _)| *other == reason);
                    let n = known.unwrap_or(reasons.len());
                    if n == reasons.len() {
                        reasons.push((reason, 0));
                    }
                    reasons[n].1 += 1;
                    let _ = write!(row, "{:>15}", format!("[{}]", n + 1));
                    continue;
                }
                possible = true;
                let count = self.cells.get(&(deed, *moment)).map(u64::to_string);
                let _ = write!(row, "{:>15}", count.as_deref().unwrap_or("MISSING"));
            }
            if possible {
                let _ = writeln!(out, "{name:<52}{row}");
            }
        }
        for (n, (reason, cells)) in reasons.iter().enumerate() {
            let _ = writeln!(out, "[{}] impossible ({cells} cells): {reason}", n + 1);
        }
        for (title, counts) in
            [("misdeeds, each ending its vat", &self.misdeeds), ("faults and boots", &self.faults)]
        {
            let _ = writeln!(out, "\n{title}");
            for (name, count) in counts {
                let _ = writeln!(out, "{name:<52}{count:>15}");
            }
        }
        out
    }
}
