//! Scripts: what happens in a run, step by step. A step names an action and carries the dice with
//! which it chooses among what there is at that moment, so that a script still means something when
//! steps are taken out of it.

use std::fmt;
use std::str::FromStr;

use crate::rng::Rng;

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $text:literal, weight: $weight:literal;)*) => {
        /// What a step does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Action {
            $($(#[$doc])* $name,)*
        }

        impl Action {
            /// Every action, its name in scripts, and how often it is chosen.
            const ALL: &[(Action, &'static str, u64)] =
                &[$((Action::$name, $text, $weight)),*];
        }
    };
}

actions! {
    /// Take a delivery for a worker.
    Dispatch = "dispatch", weight: 240;
    /// A vat ends its crank as it should.
    Settle = "settle", weight: 480;
    /// A vat overruns, runs out of memory or dies in its crank.
    Fault = "fault", weight: 8;
    /// A vat does what it may not.
    Illegal = "illegal", weight: 8;
    /// A vat ends itself.
    Exit = "exit", weight: 6;
    /// A delivery fails in the vat.
    Error = "error", weight: 5;
    /// The outcome of a crank that is over.
    Stale = "stale", weight: 5;
    /// A worker with nothing to do dies.
    WorkerLost = "worker-lost", weight: 5;
    /// The host launches a subcluster.
    Launch = "launch", weight: 16;
    /// The host sends a message.
    Send = "send", weight: 150;
    /// The host terminates a vat.
    TerminateVat = "terminate-vat", weight: 6;
    /// The host terminates a subcluster.
    TerminateSubcluster = "terminate-subcluster", weight: 5;
    /// The host restarts a vat.
    Restart = "restart", weight: 8;
    /// The host terminates everything.
    TerminateAll = "terminate-all", weight: 1;
    /// The host makes the kernel begin anew.
    Reset = "reset", weight: 1;
    /// The host has garbage collected now.
    Collect = "collect", weight: 12;
    /// Nothing has happened for a while: some vats are to bring out their dead.
    Quiet = "quiet", weight: 12;
    /// The host keeps a reference.
    Hold = "hold", weight: 10;
    /// The host revokes an object.
    Revoke = "revoke", weight: 4;
    /// The host releases a reference.
    Release = "release", weight: 16;
    /// The host issues an OCAP URL.
    IssueUrl = "issue-url", weight: 20;
    /// The host redeems one, which may be void.
    RedeemUrl = "redeem-url", weight: 30;
    /// The host revokes one.
    RevokeUrl = "revoke-url", weight: 10;
    /// Something happens to a channel.
    Channel = "channel", weight: 60;
    /// Time passes: timers that are due fire, and URLs expire.
    Time = "time", weight: 30;
    /// A service answers, or a channel has written.
    ServiceDone = "service-done", weight: 40;
    /// A service answers a call once more, or one that never was.
    ServiceAgain = "service-again", weight: 6;
    /// The open batch is closed.
    Seal = "seal", weight: 50;
    /// The oldest closed batch becomes durable.
    Persist = "persist", weight: 60;
    /// The core hears of it, and its effects are released.
    Report = "report", weight: 60;
    /// The disk is full when the oldest batch is to become durable.
    Full = "full", weight: 5;
    /// A commit fails, in truth not durable: the kernel stops and is started again.
    CommitLost = "commit-lost", weight: 3;
    /// A commit fails, in truth durable.
    CommitKept = "commit-kept", weight: 3;
    /// A read is going to fail: the kernel stops, and is started again.
    ReadFails = "read-fails", weight: 4;
    /// The power fails in the middle of a commit: nothing or all of it is there.
    Torn = "torn", weight: 4;
    /// Before its next start the host declares other system subclusters.
    Declare = "declare", weight: 5;
    /// The kernel dies and is started again.
    Crash = "crash", weight: 4;
    /// Whoever had the store open before writes to it.
    StaleWrite = "stale-write", weight: 4;
    /// A rare cell of the coverage table is hunted for.
    Hunt = "hunt", weight: 6;
    /// Everything is delivered, committed and released.
    Rest = "rest", weight: 3;
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = Action::ALL.iter().find(|(action, ..)| action == self);
        f.write_str(found.map_or("?", |(_, text, _)| text))
    }
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// With which of what there is.
    pub dice: u64,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:x}", self.action, self.dice)
    }
}

/// A line that is no step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no step: an action and a hexadecimal number")]
pub struct ParseStepError(String);

impl FromStr for Step {
    type Err = ParseStepError;
    fn from_str(line: &str) -> Result<Step, ParseStepError> {
        let wrong = || ParseStepError(line.to_owned());
        let (name, dice) = line.trim().split_once(' ').ok_or_else(wrong)?;
        let found = Action::ALL.iter().find(|(_, text, _)| *text == name);
        let &(action, ..) = found.ok_or_else(wrong)?;
        let dice = u64::from_str_radix(dice.trim(), 16).map_err(|_| wrong())?;
        Ok(Step { action, dice })
    }
}

/// Reads a script: one step a line, `;` begins a comment.
pub fn parse(text: &str) -> Result<Vec<Step>, ParseStepError> {
    let lines = text.lines().map(|line| line.split(';').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).map(str::parse).collect()
}

/// The script of a seed. Each seed likes some actions more than others and leaves some out, so that
/// seeds differ in more than their dice.
pub fn generate(seed: u64, steps: usize) -> Vec<Step> {
    let mut rng = Rng::new(seed);
    rng.number();
    let weights: Vec<u64> = Action::ALL
        .iter()
        .map(|&(action, _, weight)| {
            let factor = match action {
                Action::Dispatch | Action::Settle | Action::Launch | Action::Send => 4,
                // Most seeds hunt all the time.
                Action::Hunt if !seed.is_multiple_of(4) => 80,
                // What ends things has a seed to itself now and then, so that others get far.
                _ if weight < 10 => [0, 0, 1, 2, 4, 12][rng.below(6)],
                _ => [0, 2, 4, 4, 4, 8][rng.below(6)],
            };
            weight * factor
        })
        .collect();
    let total: u64 = weights.iter().sum();
    let mut script = Vec::with_capacity(steps);
    for _ in 0..steps {
        let mut place = rng.number() % total.max(1);
        let mut action = Action::Dispatch;
        for (&(candidate, ..), &weight) in Action::ALL.iter().zip(&weights) {
            if place < weight {
                action = candidate;
                break;
            }
            place -= weight;
        }
        script.push(Step { action, dice: rng.number() });
    }
    script
}
