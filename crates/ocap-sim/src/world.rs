//! The kernel and its surroundings: the driver's part, without clocks and threads.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ocap_core::api::{
    BootOptions, CallId, ChannelId, Command, CoreError, CrankId, Dispatch, Effect, Finding,
    Identity, Once, Sealed, ServiceDeclaration, Ticket, VatCondition,
};
use ocap_core::{Core, Watch};
use ocap_types::{KRef, Secret, SubclusterId, VatId};

use crate::coverage::{Cell, Coverage, Deed, Kind, Moment, Outcome, State};
use crate::disk::Disk;
use crate::hunt::Prey;
use crate::limits;
use crate::model::Model;
use crate::rng::Rng;
use crate::run::Options;
use crate::script::{Action, Step};

/// What is wrong with the kernel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(pub String);

impl From<CoreError> for Violation {
    fn from(error: CoreError) -> Self {
        Violation(format!("the core failed: {error}"))
    }
}

pub(crate) type Outcomes<T = ()> = Result<T, Violation>;

pub(crate) fn wrong<T>(text: impl Into<String>) -> Outcomes<T> {
    Err(Violation(text.into()))
}

/// A delivery a worker is busy with.
pub(crate) struct Flight {
    pub(crate) dispatch: Dispatch,
    pub(crate) kind: Kind,
    /// What it is about.
    pub(crate) states: Vec<State>,
}

/// A closed batch on its way.
pub(crate) struct Pending {
    pub(crate) sealed: Sealed,
    /// What is true once it is durable.
    pub(crate) model: Model,
    pub(crate) cells: Vec<Deed>,
    pub(crate) durable: bool,
}

/// What a ticket is for.
#[derive(Clone, Debug)]
pub(crate) enum Errand {
    Launch,
    Restart,
    Send,
    /// Another's outcome.
    Join,
}

/// See the module.
pub(crate) struct World {
    pub(crate) core: Core,
    /// The core's walk, which follows every turn.
    pub(crate) watch: Watch,
    pub(crate) disk: Disk,
    pub(crate) model: Model,
    /// What was true when the last durable batch was closed.
    pub(crate) durable: Model,
    pub(crate) pending: VecDeque<Pending>,
    /// Done since the last seal.
    pub(crate) open_cells: Vec<Deed>,
    /// Released last.
    pub(crate) released_cells: Vec<Deed>,
    pub(crate) in_flight: Vec<Flight>,
    /// What is hunted for, the delivery it comes with, and the crash that makes it.
    pub(crate) prey: Option<Prey>,
    pub(crate) wanted: Option<CrankId>,
    /// The cell that this step is to meet.
    pub(crate) catch: Option<Cell>,
    pub(crate) strike: Option<Moment>,
    /// How the exit that is hunted for is to be.
    pub(crate) failing: Option<bool>,
    /// Cranks that are over, whose workers may still say something.
    pub(crate) stale: Vec<CrankId>,
    pub(crate) tickets: BTreeMap<Ticket, Errand>,
    /// Requests that are to happen once, and were accepted at some time.
    pub(crate) onces: Vec<Once>,
    pub(crate) known: VecDeque<KRef>,
    pub(crate) calls: Vec<CallId>,
    pub(crate) calls_done: Vec<CallId>,
    /// The vats that made them.
    pub(crate) callers: BTreeMap<CallId, VatId>,
    /// Channels the driver has been told to open, and has not been told to close.
    pub(crate) channels: BTreeSet<ChannelId>,
    /// Those that have reported.
    pub(crate) reported: BTreeSet<ChannelId>,
    /// Those that have many clients, and who waits there to be accepted.
    pub(crate) lobbies: BTreeMap<ChannelId, BTreeSet<u64>>,
    /// Clients that have been accepted.
    pub(crate) accepted_clients: BTreeSet<u64>,
    /// Connections whose client has ended its input.
    pub(crate) ended: BTreeSet<ChannelId>,
    /// Connections that were over before the kernel closed them.
    pub(crate) gone: BTreeSet<ChannelId>,
    /// Units the host has read: never taken back.
    pub(crate) host_units: BTreeSet<u64>,
    /// URLs the host has issued, whatever became of them.
    pub(crate) issued: VecDeque<String>,
    /// URLs vats have been told of.
    pub(crate) heard: VecDeque<String>,
    /// How often the kernel was started again.
    pub(crate) boots: u64,
    /// How the next boot's declaration of system subclusters differs, if it does.
    pub(crate) declaring: Option<u64>,
    pub(crate) next_tag: u64,
    pub(crate) next_ticket: u64,
    pub(crate) next_unit: u64,
    pub(crate) next_arrival: u64,
    /// What the wall clock says, in milliseconds.
    pub(crate) wall_ms: u64,
    pub(crate) coverage: Coverage,
    /// Everything that was committed and released, as one number.
    pub(crate) trace_hash: u64,
    /// Lines for a person, if they are wanted.
    pub(crate) trace: Option<VecDeque<String>>,
    /// The whole key space is walked over after every so many steps.
    pub(crate) check_every: u64,
}

/// Whether a walk has found nothing.
pub(crate) fn sound(findings: &[Finding]) -> Outcomes {
    if findings.is_empty() {
        return Ok(());
    }
    let shown =
        findings.iter().take(5).map(|finding| format!("{}: {}", finding.key, finding.problem));
    let shown: Vec<String> = shown.collect();
    wrong(format!("{} findings: {}", findings.len(), shown.join("; ")))
}

pub(crate) fn services() -> Vec<ServiceDeclaration> {
    ["bank", "ocapURLIssuerService", "ocapURLRedemptionService", "kernelFacet"]
        .map(|name| ServiceDeclaration { name: name.into(), system_only: name == "kernelFacet" })
        .into()
}

/// The one that the host answers for, and whoever asks it waits for.
pub(crate) const BANK: KRef = KRef::Object(1);

/// The references of all of these, in their order.
pub(crate) const SERVICES: [KRef; 4] = [BANK, KRef::Object(2), KRef::Object(3), KRef::Object(4)];

/// How the kernel is opened for the `boots`th time.
pub(crate) fn boot_options(boots: u64) -> BootOptions {
    let identity = Identity {
        peer_id: "12D3KooWSimulated".to_owned(),
        seed: Secret::new(vec![7; 32]),
        entropy: None,
    };
    let chance = Secret::new(boots.to_be_bytes().repeat(4));
    BootOptions { services: services(), io: true, identity: Some(identity), chance }
}

impl World {
    /// A kernel on an empty disk.
    pub(crate) fn new(options: Options) -> Outcomes<World> {
        let Options { engine, check_every, traced } = options;
        let (disk, reader, last_seq) = Disk::new(engine).map_err(CoreError::from)?;
        let mut core = Core::open(reader, last_seq, boot_options(0))?;
        core.limit_chores(limits::CHORE_ROWS);
        let (watch, findings) = core.watch()?;
        sound(&findings)?;
        Ok(World {
            core,
            watch,
            disk,
            model: Model::default(),
            durable: Model::default(),
            pending: VecDeque::new(),
            open_cells: Vec::new(),
            released_cells: Vec::new(),
            in_flight: Vec::new(),
            prey: None,
            wanted: None,
            catch: None,
            strike: None,
            failing: None,
            stale: Vec::new(),
            tickets: BTreeMap::new(),
            onces: Vec::new(),
            known: SERVICES.into(),
            calls: Vec::new(),
            calls_done: Vec::new(),
            callers: BTreeMap::new(),
            channels: BTreeSet::new(),
            reported: BTreeSet::new(),
            lobbies: BTreeMap::new(),
            accepted_clients: BTreeSet::new(),
            ended: BTreeSet::new(),
            gone: BTreeSet::new(),
            host_units: BTreeSet::new(),
            issued: VecDeque::new(),
            heard: VecDeque::new(),
            boots: 0,
            declaring: None,
            next_tag: 1,
            next_ticket: 1,
            next_unit: 1,
            next_arrival: 1,
            wall_ms: 0,
            coverage: Coverage::default(),
            trace_hash: 0xcbf2_9ce4_8422_2325,
            trace: traced.then(VecDeque::new),
            check_every,
        })
    }

    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            if trace.len() >= limits::TRACE_LINES {
                trace.pop_front();
            }
            trace.push_back(line());
        }
    }

    /// Adds a text to the hash of the trace, eight bytes at a time.
    pub(crate) fn hash(&mut self, text: &str) {
        for bytes in text.as_bytes().chunks(8).chain([&[0xff_u8] as &[u8]]) {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            let mixed =
                (self.trace_hash ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            self.trace_hash = mixed ^ (mixed >> 32);
        }
    }

    /// One step of a script. If a read fails in it the kernel says so and stops, whatever it was
    /// doing; it is started on what is on the disk.
    pub(crate) fn step(&mut self, step: Step) -> Outcomes {
        let result = self.undisturbed(step);
        if !self.disk.has_failed_to_read() {
            return result;
        }
        match result {
            Err(Violation(text)) if Disk::explains(&text) => {
                self.coverage.fault("a read failed");
                self.note(|| format!("    {text}"));
                self.crash()
            }
            Err(other) => Err(other),
            Ok(()) => wrong("a read failed, and nobody said so"),
        }
    }

    /// A step, and what is to be true after it.
    fn undisturbed(&mut self, step: Step) -> Outcomes {
        let mut rng = Rng::new(step.dice);
        let rng = &mut rng;
        let empty = self.model.vats.is_empty();
        let action = match step.action {
            Action::Settle | Action::Send if empty && self.in_flight.is_empty() => Action::Launch,
            action => action,
        };
        if let Some(action) = self.steered(action, rng)? {
            self.act(action, rng)?;
        }
        self.strike()?;
        self.coverage.steps += 1;
        if self.coverage.steps.is_multiple_of(self.check_every) {
            self.check()?;
        }
        Ok(())
    }

    fn act(&mut self, action: Action, rng: &mut Rng) -> Outcomes {
        match action {
            Action::Dispatch => self.dispatch().map(|_| ())?,
            Action::Settle => self.settle_legally(rng, false)?,
            Action::Fault => self.settle_fault(rng)?,
            Action::Illegal => self.settle_illegally(rng)?,
            Action::Exit => self.settle_exit(rng)?,
            Action::Error => self.settle_error(rng)?,
            Action::Stale => self.settle_stale(rng)?,
            Action::WorkerLost => self.worker_lost(rng)?,
            Action::Launch => self.launch(rng)?,
            Action::Send => self.send(rng)?,
            Action::TerminateVat => self.terminate_vat(rng)?,
            Action::TerminateSubcluster => self.terminate_subcluster(rng)?,
            Action::Restart => self.restart(rng)?,
            Action::TerminateAll => self.terminate_all()?,
            Action::Reset => self.reset()?,
            Action::Collect => self.collect(false)?,
            Action::Quiet => self.collect(true)?,
            Action::Hold => self.hold(rng)?,
            Action::Revoke => self.revoke(rng)?,
            Action::Release => self.release(rng)?,
            Action::IssueUrl => self.issue_url(rng)?,
            Action::RedeemUrl => self.redeem_url(rng)?,
            Action::RevokeUrl => self.revoke_url(rng)?,
            Action::Channel => self.channel(rng)?,
            Action::Time => self.pass_time(rng.below(limits::TIME_STEP_MS) as u64)?,
            Action::ServiceDone => self.service_done(rng)?,
            Action::ServiceAgain => self.service_again(rng)?,
            Action::Seal => self.seal(),
            Action::Persist => self.persist()?,
            Action::Report => self.report()?,
            Action::Full => self.disk_full()?,
            Action::CommitLost => self.commit_fails(false, rng)?,
            Action::CommitKept => self.commit_fails(true, rng)?,
            Action::ReadFails => {
                self.disk.fail_read(1 + rng.below(limits::FAILING_READ_WITHIN) as u64);
            }
            Action::Torn => self.torn(rng)?,
            Action::Declare => self.declaring = Some(rng.number()),
            Action::Crash => self.crash()?,
            Action::StaleWrite => self.stale_write()?,
            Action::Hunt => self.hunt(rng)?,
            Action::Rest => self.rest()?,
        }
        Ok(())
    }

    /// The core's walk over the whole key space, which is to know no more than the one that
    /// follows.
    pub(crate) fn check(&self) -> Outcomes {
        sound(&self.core.check()?)
    }

    /// The core after a boot.
    pub(crate) fn booted(&mut self, core: Core) -> Outcomes {
        self.core = core;
        self.core.set_time(self.wall_ms);
        self.core.limit_chores(limits::CHORE_ROWS);
        let (watch, findings) = self.core.watch()?;
        self.watch = watch;
        sound(&findings)
    }

    /// After every turn: does what the core wants done at once, and learns who is still there.
    pub(crate) fn obey(&mut self) -> Outcomes {
        for command in self.core.take_commands() {
            let Command::StopWorker { vat, incarnation } = command;
            let (over, rest) =
                std::mem::take(&mut self.in_flight).into_iter().partition(|flight: &Flight| {
                    flight.dispatch.vat == vat && flight.dispatch.incarnation == incarnation
                });
            self.in_flight = rest;
            let over: Vec<Flight> = over;
            self.stale.extend(over.iter().map(|flight| flight.dispatch.crank));
        }
        sound(&self.core.follow(&mut self.watch)?)?;
        self.model.vats.retain(|&vat, _| self.watch.vat(vat).is_some());
        for vat in self.watch.vats() {
            self.model.vats.entry(vat.id).or_default();
            if !matches!(vat.condition, VatCondition::Running | VatCondition::Starting) {
                self.model.refusing.insert(vat.id);
                self.model.suspended.insert(vat.id);
            }
        }
        Ok(())
    }

    pub(crate) fn did(&mut self, kind: Kind, state: State, outcome: Outcome) {
        let deed = (kind, state, outcome);
        self.coverage.met(deed, Moment::Survived);
        self.spotted(deed);
        if outcome != Outcome::Refused {
            self.open_cells.push(deed);
        }
    }

    /// A delivery has ended.
    pub(crate) fn delivered(&mut self, flight: &Flight, outcome: Outcome) {
        for &state in &flight.states {
            self.did(flight.kind, state, outcome);
        }
    }

    /// The host remembers a reference.
    pub(crate) fn learn(&mut self, kref: KRef) {
        if self.known.contains(&kref) {
            return;
        }
        if self.known.len() >= limits::KNOWN_MAX {
            // The kernel's own are kept.
            self.known.remove(SERVICES.len());
        }
        self.known.push_back(kref);
    }

    pub(crate) fn pick_known(&self, rng: &mut Rng) -> Option<KRef> {
        self.known.get(rng.below(self.known.len())).copied()
    }

    pub(crate) fn pick_vat(&self, rng: &mut Rng) -> Option<VatId> {
        let vats: Vec<VatId> = self.model.vats.keys().copied().collect();
        rng.pick(&vats)
    }

    pub(crate) fn subclusters(&self) -> Vec<SubclusterId> {
        self.watch.subclusters().map(|sub| sub.id).collect()
    }

    pub(crate) fn effect_hash(&mut self, effect: &Effect) {
        let text = format!("{effect:?}");
        self.hash(&text);
    }
}
