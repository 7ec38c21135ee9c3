//! The state machine itself: what it holds besides the key space, and how a turn begins and ends.
//!
//! Whatever a public method does is one *turn*: on an error everything it wrote, every effect and
//! every command is dropped, and so is what it did to the state in memory ([`Undo`]).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use ocap_store::Reader;
use ocap_types::config::IoDirection;
use ocap_types::{KRef, Secret, SubclusterId, VatId};

use crate::api::{
    ChannelCondition, ChannelId, Command, CoreError, CrankId, Effect, Incarnation, Sealed, Status,
    VatUsage,
};
use crate::key::Key;
use crate::keys;
use crate::limits;
use crate::observe::Observation;
use crate::remains::Remains;
use crate::rows::Party;
use crate::space::Space;
use crate::sweep::Sweep;
use crate::url::UrlEnd;

/// The kernel as a state machine. See the crate's documentation.
#[allow(clippy::struct_excessive_bools, reason = "none has to do with another")]
pub struct Core {
    pub(crate) space: Space,
    pub(crate) effects: Vec<Effect>,
    pub(crate) commands: Vec<Command>,
    pub(crate) channels: BTreeMap<ChannelId, Channel>,
    /// What each vat's worker is busy with, oldest first.
    pub(crate) in_flight: BTreeMap<VatId, VecDeque<InFlight>>,
    pub(crate) cranks: BTreeMap<CrankId, VatId>,
    pub(crate) next_crank: u64,
    pub(crate) runtime: BTreeMap<VatId, Runtime>,
    /// Registered services: name to `system_only`.
    pub(crate) services: BTreeMap<String, bool>,
    /// Their names in the order they were declared, which is that of their references.
    pub(crate) service_order: Vec<String>,
    pub(crate) io: bool,
    /// A superset of the endpoints that can be served. Any write to a work row puts its endpoint
    /// here; dispatch takes out what it finds to have nothing, or to be blocked.
    pub(crate) ready: BTreeSet<Party>,
    /// Vats with c-list entries of earlier incarnations, see [`crate::sweep`].
    pub(crate) sweeps: BTreeMap<VatId, Sweep>,
    /// Vats that have ended and left something, see [`crate::remains`].
    pub(crate) remains: BTreeMap<VatId, Remains>,
    /// Rows one step of a chore removes.
    pub(crate) chore_rows: usize,
    /// Whether a vat has ended in this turn.
    pub(crate) ended: bool,
    /// Vats that may hold garbage: they had deliveries since they last brought out their dead.
    pub(crate) unreaped: BTreeSet<VatId>,
    /// Endpoint served last.
    pub(crate) cursor: Option<Party>,
    /// References whose count reached zero in this turn.
    pub(crate) maybe_free: Vec<KRef>,
    /// Settled promises that lost a holder in this turn and may only hold each other now.
    pub(crate) maybe_cyclic: BTreeSet<u64>,
    /// Parked messages that this turn has set in motion.
    pub(crate) moved: u64,
    /// When a request that was to happen once is to be forgotten, at the earliest.
    pub(crate) receipt_due: Option<u64>,
    /// Turns so far.
    pub(crate) turns: u64,
    /// What time it is, as the driver last said.
    pub(crate) wall_ms: u64,
    /// When a timer is to be looked at, at the earliest.
    pub(crate) first_due: Option<u64>,
    /// This kernel's name among others, if it has an identity.
    pub(crate) peer_id: Option<String>,
    /// What the secrets of URLs are made from, and how many have been: see [`crate::url`].
    pub(crate) chance: Secret,
    pub(crate) secrets_made: u64,
    /// Whether there may be URLs at all.
    pub(crate) may_have_urls: bool,
    /// When a URL expires, at the earliest.
    pub(crate) first_expiry: Option<u64>,
    /// How far the removal of URLs has got whose objects are gone, if there are any.
    pub(crate) url_end: Option<UrlEnd>,
    /// What is to be done at the end of this turn.
    pub(crate) deferred: VecDeque<Deferred>,
    /// Whether somebody watches, see [`crate::observe`], and what is to be told then.
    pub(crate) observed: bool,
    pub(crate) observations: Vec<Observation>,
    undo: Vec<Undo>,
}

/// A channel's state that a crash may lose.
pub(crate) struct Channel {
    pub kref: KRef,
    pub direction: IoDirection,
    pub condition: ChannelCondition,
    pub inbound: VecDeque<Inbound>,
    /// Bytes of the units in `inbound`.
    pub bytes: usize,
    /// It has many clients: what arrives is clients.
    pub accepts: bool,
    /// Of a connection: the end of its input has been read.
    pub ended: bool,
}

impl Channel {
    /// One about which nothing is known yet.
    pub(crate) fn new(kref: KRef) -> Channel {
        Channel {
            kref,
            direction: IoDirection::Inout,
            condition: ChannelCondition::Opening,
            inbound: VecDeque::new(),
            bytes: 0,
            accepts: false,
            ended: false,
        }
    }
}

/// What arrived on a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Inbound {
    Unit(String),
    /// What is no unit, and why.
    Bad(String),
    End,
    /// A client that waits to be accepted, with its number.
    Client(u64),
}

/// A delivery a worker is busy with.
#[derive(Clone, Debug)]
pub(crate) struct InFlight {
    pub crank: CrankId,
    pub vat: VatId,
    pub incarnation: Incarnation,
    pub work: InFlightWork,
    /// Bytes of its bodies.
    pub bytes: usize,
}

/// What of the vat's work the delivery is.
#[derive(Clone, Debug)]
pub(crate) enum InFlightWork {
    Start,
    /// A queued message; it holds what is listed here until it is settled.
    Message {
        seq: u64,
        target: KRef,
        result: Option<KRef>,
        slots: Vec<KRef>,
    },
    /// A queued notify, and every promise it tells about.
    Notify {
        seq: u64,
        promise: KRef,
        batch: Vec<KRef>,
    },
    Gc,
    Reap,
}

/// What is remembered of a vat for as long as this kernel runs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Runtime {
    pub since_reap: u64,
    /// Imports given since then.
    pub imported: u64,
    /// Records about objects in its store that have come or gone since then.
    pub records: u64,
    pub since_fault: u64,
    pub usage: VatUsage,
    /// What its config allows in its store, once that was looked up.
    pub store_bytes_max: Option<u64>,
}

/// Something to do when the present turn has otherwise been done, because it undoes or removes
/// what the turn is working on.
#[derive(Clone, Debug)]
pub(crate) enum Deferred {
    /// The bootstrap message's result has settled. Holds the promise.
    BootstrapSettled { subcluster: SubclusterId, promise: KRef },
    /// A launch cannot succeed any more.
    LaunchFailed { subcluster: SubclusterId, message: String },
}

/// How to undo a change of the state in memory.
pub(crate) enum Undo {
    /// A channel was added (`None`) or removed.
    Channel(ChannelId, Option<Box<Channel>>),
    /// A channel's condition changed.
    Condition(ChannelId, ChannelCondition),
    /// Taken from the front of a channel's buffer.
    Taken(ChannelId, Inbound),
    /// Put at the end of a channel's buffer.
    Arrived(ChannelId),
    /// The end of a connection's input was read.
    Ended(ChannelId),
    /// A vat's sweep began, went on or ended: what it was before.
    Sweep(VatId, Option<Box<Sweep>>),
    /// What a vat left began, went on or ended to be removed: what it was before.
    Remains(VatId, Option<Box<Remains>>),
    /// The removal of URLs of objects that are gone began, went on or ended: what it was before.
    UrlEnd(Option<UrlEnd>),
    /// A delivery was forgotten, the oldest of its vat.
    InFlight(Box<InFlight>),
}

/// Where a turn, or the revocable part of one, began.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    space: usize,
    effects: usize,
    commands: usize,
    deferred: usize,
    observations: usize,
    undo: usize,
}

impl Core {
    pub(crate) fn empty(space: Space, services: BTreeMap<String, bool>, io: bool) -> Core {
        Core {
            space,
            effects: Vec::new(),
            commands: Vec::new(),
            channels: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            cranks: BTreeMap::new(),
            next_crank: 1,
            runtime: BTreeMap::new(),
            services,
            service_order: Vec::new(),
            io,
            ready: BTreeSet::new(),
            sweeps: BTreeMap::new(),
            remains: BTreeMap::new(),
            chore_rows: limits::CHORE_ROWS,
            ended: false,
            unreaped: BTreeSet::new(),
            cursor: None,
            maybe_free: Vec::new(),
            maybe_cyclic: BTreeSet::new(),
            moved: 0,
            receipt_due: None,
            turns: 0,
            wall_ms: 0,
            first_due: None,
            peer_id: None,
            chance: Secret::new(Vec::new()),
            secrets_made: 0,
            may_have_urls: false,
            first_expiry: None,
            url_end: None,
            deferred: VecDeque::new(),
            observed: false,
            observations: Vec::new(),
            undo: Vec::new(),
        }
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark {
            space: self.space.mark(),
            effects: self.effects.len(),
            commands: self.commands.len(),
            deferred: self.deferred.len(),
            observations: self.observations.len(),
            undo: self.undo.len(),
        }
    }

    /// Undoes everything since the mark.
    pub(crate) fn rollback(&mut self, mark: Mark) {
        for key in self.space.rollback(mark.space) {
            // Work that was taken away is there again.
            if let Key::Short(key) = key
                && let Some(party) = key.party_of_work()
            {
                self.ready.insert(party);
            }
        }
        self.effects.truncate(mark.effects);
        self.commands.truncate(mark.commands);
        self.deferred.truncate(mark.deferred);
        self.observations.truncate(mark.observations);
        while self.undo.len() > mark.undo {
            let Some(undo) = self.undo.pop() else { break };
            self.undo_one(undo);
        }
    }

    fn undo_one(&mut self, undo: Undo) {
        match undo {
            Undo::Channel(id, None) => {
                self.channels.remove(&id);
            }
            Undo::Channel(id, Some(channel)) => {
                self.channels.insert(id, *channel);
            }
            Undo::Condition(id, condition) => {
                if let Some(channel) = self.channels.get_mut(&id) {
                    channel.condition = condition;
                }
            }
            Undo::Taken(id, inbound) => {
                if let Some(channel) = self.channels.get_mut(&id) {
                    channel.bytes += inbound.bytes();
                    channel.inbound.push_front(inbound);
                }
            }
            Undo::Arrived(id) => {
                if let Some(channel) = self.channels.get_mut(&id)
                    && let Some(inbound) = channel.inbound.pop_back()
                {
                    channel.bytes -= inbound.bytes();
                }
            }
            Undo::Ended(id) => {
                if let Some(channel) = self.channels.get_mut(&id) {
                    channel.ended = false;
                }
            }
            Undo::Sweep(vat, None) => {
                self.sweeps.remove(&vat);
            }
            Undo::Sweep(vat, Some(sweep)) => {
                self.sweeps.insert(vat, *sweep);
            }
            Undo::Remains(vat, None) => {
                self.remains.remove(&vat);
            }
            Undo::Remains(vat, Some(remains)) => {
                self.remains.insert(vat, *remains);
            }
            Undo::UrlEnd(end) => self.url_end = end,
            Undo::InFlight(flight) => {
                self.cranks.insert(flight.crank, flight.vat);
                self.in_flight.entry(flight.vat).or_default().push_front(*flight);
            }
        }
    }

    pub(crate) fn remember(&mut self, undo: Undo) {
        self.undo.push(undo);
    }

    /// Does something entirely, or not at all.
    pub(crate) fn turn<T>(
        &mut self,
        work: impl FnOnce(&mut Core) -> Result<T, CoreError>,
    ) -> Result<T, CoreError> {
        self.turns += 1;
        let mark = self.mark();
        let result = work(self).and_then(|value| self.finish_turn().map(|()| value));
        if result.is_err() {
            self.rollback(mark);
        }
        self.space.keep();
        self.undo.clear();
        self.maybe_free.clear();
        self.maybe_cyclic.clear();
        self.moved = 0;
        self.ended = false;
        self.deferred.clear();
        result
    }

    /// Work that had to wait for the end of the turn, then what became garbage.
    pub(crate) fn finish_turn(&mut self) -> Result<(), CoreError> {
        loop {
            self.collect()?;
            let Some(deferred) = self.deferred.pop_front() else {
                if std::mem::take(&mut self.ended) {
                    // Most vats leave so little that this is all of it.
                    self.clear_remains(self.chore_rows)?;
                    continue;
                }
                return Ok(());
            };
            match deferred {
                Deferred::BootstrapSettled { subcluster, promise } => {
                    self.bootstrap_settled(subcluster, promise)?;
                }
                Deferred::LaunchFailed { subcluster, message } => {
                    self.undo_launch(subcluster, &message)?;
                }
            }
        }
    }

    /// Takes the next number of a counter.
    pub(crate) fn take_number(&mut self, key: &Key) -> Result<u64, CoreError> {
        let number: u64 = self.space.required(key)?;
        let next = number.checked_add(1);
        let next = next.ok_or_else(|| crate::rows::corrupt(key, "has reached its end"))?;
        self.space.write(key.clone(), &next);
        Ok(number)
    }

    /// Adds to a row that holds a number.
    pub(crate) fn add_to(&mut self, key: &Key, more: bool) -> Result<(), CoreError> {
        let number: u64 = self.space.required(key)?;
        let next = if more { number.checked_add(1) } else { number.checked_sub(1) };
        let next = next.ok_or_else(|| crate::rows::corrupt(key, "leaves its range"))?;
        self.space.write(key.clone(), &next);
        Ok(())
    }

    /// Whether anything has happened since the last [`Core::seal`] that is to be made durable or
    /// released.
    pub fn has_unsealed(&self) -> bool {
        self.space.has_writes() || !self.effects.is_empty()
    }

    /// Whether somebody outside waits for the open batch to be durable.
    pub fn has_unsealed_effects(&self) -> bool {
        !self.effects.is_empty()
    }

    /// Closes the open batch, if anything is in it. Batches are to be committed in order; the next
    /// may be filled while this one is on its way.
    pub fn seal(&mut self) -> Option<Sealed> {
        if !self.has_unsealed() {
            return None;
        }
        let batch = self.space.seal();
        Some(Sealed { batch: Arc::clone(&batch), effects: std::mem::take(&mut self.effects) })
    }

    /// The store holds every batch up to this one. Until this is said the core keeps the batch and
    /// reads from it.
    pub fn committed(&mut self, seq: u64) {
        self.space.committed(seq);
    }

    /// Lets go of the store, has it opened again, and reads from that from now on. What has been
    /// sealed and not [`Core::committed`] stays as it is. If it cannot be opened nothing can be
    /// read any more.
    pub fn reopen<E>(
        &mut self,
        open: impl FnOnce() -> Result<Arc<dyn Reader>, E>,
    ) -> Result<(), E> {
        self.space.reopen(open)
    }

    /// What the driver is to do at once, in order.
    pub fn take_commands(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.commands)
    }

    /// Whether nothing is queued that could be delivered, nothing is in flight, and there are no
    /// chores. Items that wait for a service, a channel's first report or a promise are not counted.
    pub fn is_idle(&self) -> Result<bool, CoreError> {
        if !self.in_flight.is_empty() || self.has_chores() {
            return Ok(false);
        }
        for party in &self.ready {
            if self.space.contains(&keys::work(*party))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A number that is another one whenever [`Core::status`] may say something else.
    pub fn version(&self) -> u64 {
        self.turns
    }

    /// Everything at a glance.
    pub fn status(&self) -> Result<Status, CoreError> {
        self.collect_status()
    }
}

impl Inbound {
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Inbound::Unit(text) => text.len(),
            Inbound::Bad(_) | Inbound::End | Inbound::Client(_) => 0,
        }
    }
}
