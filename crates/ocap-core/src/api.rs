//! The values that cross the boundary between the core and whoever drives it.

use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use ocap_store::{Batch, StoreError};
use ocap_types::config::{ClusterConfig, IoConfig, VatConfig};
use ocap_types::crank::{Delivery, Request};
use ocap_types::{KCapData, KRef, Secret, SubclusterId, VatId};
use serde::{Deserialize, Serialize};

pub use crate::inspect::{Holder, Inspection, Nature, Owner};
pub use crate::observe::{MethodName, Observation, Subject};

/// The driver's name for somebody who waits for an answer. Unique within one run of the kernel;
/// means nothing after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ticket(pub u64);

/// One delivery in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CrankId(pub u64);

/// One call of a kernel service or channel that the driver carries out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CallId(pub u64);

/// A life of a vat, counted from 1. Each start of a vat, for whatever reason, is a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Incarnation(pub u64);

/// The name of stored code: lower-case hexadecimal SHA-256 of its text. The driver computes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CodeHash(pub String);

/// A channel: its subcluster and the name in the config; or one connection of a channel with many
/// clients.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChannelId {
    /// Whose it is.
    pub subcluster: SubclusterId,
    /// Its key in `io`.
    pub name: String,
    /// Which connection of it, by the number of its object.
    pub connection: Option<u64>,
}

impl ChannelId {
    /// A channel itself.
    pub fn new(subcluster: SubclusterId, name: impl Into<String>) -> ChannelId {
        ChannelId { subcluster, name: name.into(), connection: None }
    }

    /// A connection of this channel.
    pub(crate) fn connection(&self, number: u64) -> ChannelId {
        ChannelId { connection: Some(number), ..self.clone() }
    }

    /// The channel itself, of a connection.
    pub(crate) fn listening(&self) -> ChannelId {
        ChannelId { connection: None, ..self.clone() }
    }
}

/// As errors and services name it: `io:s1:repl`, or `io:s1:chat/ko9`.
impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "io:{}:{}", self.subcluster, self.name)?;
        match self.connection {
            Some(number) => write!(f, "/ko{number}"),
            None => Ok(()),
        }
    }
}

/// What to launch. The config has been validated for form; the core validates what it refers to.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The config, stored and shown as it is.
    pub config: ClusterConfig,
    /// A name unique among subclusters, if it is to be found again by name.
    pub name: Option<String>,
    /// Code by vat name: hash and text. Texts already stored are not stored again.
    pub code: IndexMap<String, (CodeHash, Arc<str>)>,
    /// Whether it may use services that are `system_only`.
    pub system: bool,
}

/// A request that is to happen once, however often it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// The host's name for it.
    pub key: String,
    /// What it is: equal for equal requests, and else not.
    pub digest: String,
}

/// Services that exist before any vat runs, in order of registration. On a fresh store the first
/// three get ko1, ko2 and ko3.
#[derive(Clone, Debug)]
pub struct ServiceDeclaration {
    /// The name clusters ask for.
    pub name: String,
    /// Whether only system subclusters may ask for it.
    pub system_only: bool,
}

/// How a core is opened.
#[derive(Clone, Debug, Default)]
pub struct BootOptions {
    /// Every service the driver can answer for. A persisted service that is not listed keeps its
    /// kref and answers each call with a clear rejection.
    pub services: Vec<ServiceDeclaration>,
    /// Whether the driver has IO channels at all. Without, a stored channel answers each call with
    /// a rejection that says so, and a launch with `io` is refused.
    pub io: bool,
    /// Who this kernel is from now on, if the store does not know yet. Without an identity there
    /// are no OCAP URLs; calls of their services go to the driver then.
    pub identity: Option<Identity>,
    /// At least 32 bytes that nobody can guess, new at each opening: what URLs are made of.
    pub chance: Secret,
}

/// Who a kernel is to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// What others call it; follows from the seed.
    pub peer_id: String,
    /// The seed of its key.
    pub seed: Secret,
    /// What the seed was made from, if that is known: it can be written as words.
    pub entropy: Option<Secret>,
}

/// What limits a URL. What is left out does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UrlTerms {
    /// How long from now it can be redeemed, in milliseconds.
    pub lifetime_ms: Option<u64>,
    /// How often.
    pub uses: Option<u64>,
    /// What people see in lists.
    pub label: Option<String>,
}

/// A URL that can be redeemed. Neither its text nor anything that could be redeemed is part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UrlStatus {
    /// What it is called here: the hash of its secret.
    pub id: String,
    /// What it stands for.
    #[serde(rename = "kref")]
    pub target: KRef,
    /// When it was issued, in milliseconds since 1970.
    pub issued: u64,
    /// From when on it is void.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// How often it can still be redeemed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uses: Option<u64>,
    /// What whoever issued it called it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The vat that issued it; the host, if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<VatId>,
}

/// One thing to hand to a vat's worker. If no worker runs for this incarnation the driver starts
/// one (the delivery is then `Start`) and stops any older one of that vat.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// To be given back to `settle`.
    pub crank: CrankId,
    /// The vat.
    pub vat: VatId,
    /// Its incarnation; an outcome of an older one is ignored.
    pub incarnation: Incarnation,
    /// The delivery.
    pub delivery: Delivery,
    /// With `Start`: what the worker needs to begin.
    pub start: Option<Box<StartInfo>>,
}

/// What a worker needs to begin.
#[derive(Clone, Debug)]
pub struct StartInfo {
    /// The vat's name in its cluster.
    pub name: String,
    /// Its config.
    pub config: VatConfig,
    /// Its code: `Core::code` has the text.
    pub code: CodeHash,
}

/// What must not leave before the batch it is in is durable. In order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// An answer to somebody outside.
    Answer {
        /// Who waits.
        ticket: Ticket,
        /// What they get.
        answer: Answer,
    },
    /// Call a kernel service. Answered by `service_done`.
    ServiceCall {
        /// To be given back.
        call: CallId,
        /// The service's registered name.
        service: String,
        /// `[method, args]`.
        methargs: KCapData,
        /// Who calls: a vat, or the host.
        caller: Option<VatId>,
        /// The subcluster of that vat, unless it has ended since.
        subcluster: Option<SubclusterId>,
    },
    /// Do what a vat asks of its host. Answered by `service_done`.
    Ask {
        /// To be given back.
        call: CallId,
        /// The vat.
        vat: VatId,
        /// What.
        request: Request,
    },
    /// Nobody wants this any more; an answer would be ignored.
    Withdraw {
        /// What was asked for.
        call: CallId,
    },
    /// Open a channel; report with `channel_event`. Also after each boot, for every channel of
    /// every subcluster. A channel that cannot be opened is retried by the driver for ever.
    OpenChannel {
        /// Which.
        channel: ChannelId,
        /// How.
        config: IoConfig,
    },
    /// Begin to serve a client that has arrived at a channel with many; report with
    /// `channel_event`. If it is not there any more, that it is [`ChannelEvent::Gone`].
    AcceptConnection {
        /// The connection.
        channel: ChannelId,
        /// The client, as it [`Arrived`](ChannelEvent::Arrived).
        arrival: u64,
    },
    /// Write units, all or none. Answered by `service_done` with `undefined`, or an error.
    WriteChannel {
        /// To be given back.
        call: CallId,
        /// Where to.
        channel: ChannelId,
        /// The units.
        units: Vec<String>,
    },
    /// Units of a channel's inbound buffer have been read for good: their room is free.
    ChannelConsumed {
        /// Which channel.
        channel: ChannelId,
        /// How many units (what is no unit counts as one, ends of input do not).
        units: u64,
        /// How many bytes they had.
        bytes: u64,
    },
    /// Close a channel for good and remove its socket; or a connection, as soon as what was written
    /// to it has gone out, if that takes no long.
    CloseChannel {
        /// Which.
        channel: ChannelId,
    },
}

/// What somebody outside gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The result promise of a message settled. Its references are in the host's c-list.
    Settled {
        /// Whether it was rejected.
        rejected: bool,
        /// The value or reason.
        data: KCapData,
    },
    /// A launch succeeded.
    Launched {
        /// The new subcluster.
        subcluster: SubclusterId,
        /// The root of its bootstrap vat.
        root: KRef,
        /// What `bootstrap` returned.
        bootstrap: KCapData,
    },
    /// A launch failed and was undone completely; or a restart failed.
    Failed {
        /// For a person.
        message: String,
    },
    /// A restarted vat runs again.
    Restarted,
}

/// What the driver does at once, without waiting for a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Kill the worker of this incarnation, whatever it is doing.
    StopWorker {
        /// The vat.
        vat: VatId,
        /// Its incarnation.
        incarnation: Incarnation,
    },
}

/// What happened to a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelEvent {
    /// It is open and waits for a peer. Ends `Unavailable`.
    Listening,
    /// A peer is there. Ends `Unavailable`.
    Connected,
    /// A unit arrived.
    Unit(String),
    /// Something arrived that is no unit, for this reason: it is what one read gets.
    Bad(String),
    /// Nobody is at the other end yet, or any more; the driver goes on trying.
    Connecting {
        /// What the last attempt came to, if there was one.
        reason: Option<String>,
        /// When the driver tries again, in milliseconds from now, for display.
        retry_ms: u64,
    },
    /// A client has connected to a channel with many, and waits under this number, unique in this
    /// run for its channel, to be accepted.
    Arrived(u64),
    /// A connection is over; nothing more comes of it.
    Gone,
    /// The peer's input ended: after the units before it, one read gets null.
    End,
    /// It cannot serve; the driver goes on trying.
    Unavailable {
        /// For a person: what is wrong, what to do.
        reason: String,
        /// When the driver tries again, in milliseconds from now, for display.
        retry_ms: Option<u64>,
    },
}

/// A batch to commit, and what to release after that.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// The writes. May be empty of writes when there are only effects.
    pub batch: Arc<Batch>,
    /// Released in order once the batch is durable.
    pub effects: Vec<Effect>,
}

/// How a vat is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum VatCondition {
    /// Its code is being loaded.
    Starting,
    /// It takes messages.
    Running,
    /// It could not start; callers get a code; `restartVat` tries again.
    Failed {
        /// Why.
        reason: String,
    },
    /// Too many faults in a row; callers get a code; `restartVat` lifts it.
    Suspended {
        /// The last fault.
        reason: String,
    },
}

/// One vat in [`Status`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VatStatus {
    /// Its id.
    pub id: VatId,
    /// Its name in the subcluster.
    pub name: String,
    /// As launched.
    pub config: VatConfig,
    /// Where it belongs.
    pub subcluster_id: SubclusterId,
    /// How it is.
    #[serde(flatten)]
    pub condition: VatCondition,
    /// Its current incarnation.
    pub incarnation: Incarnation,
    /// Faults since it was launched.
    pub faults: u64,
    /// The last fault, for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_fault: Option<String>,
    /// Deliveries waiting for it.
    pub queued: u64,
    /// What it costs.
    pub usage: VatUsage,
}

/// What a vat, or all vats of a subcluster, cost. Sums are over this run of the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VatUsage {
    /// Deliveries carried out.
    pub cranks: u64,
    /// Engine interrupts in them.
    pub ticks: u64,
    /// CPU time in them, in microseconds.
    pub cpu_us: u64,
    /// Heap in use after the last one, in bytes.
    pub heap_bytes: u64,
    /// Keys and values in its own store, in bytes.
    pub vatstore_bytes: u64,
    /// Timers that stand, of the service `timer`.
    pub timers: u64,
    /// Messages it was given.
    pub messages_in: u64,
    /// Messages it sent.
    pub messages_out: u64,
}

impl VatUsage {
    /// The two together.
    #[must_use]
    pub fn plus(self, other: VatUsage) -> VatUsage {
        VatUsage {
            cranks: self.cranks.saturating_add(other.cranks),
            ticks: self.ticks.saturating_add(other.ticks),
            cpu_us: self.cpu_us.saturating_add(other.cpu_us),
            heap_bytes: self.heap_bytes.saturating_add(other.heap_bytes),
            vatstore_bytes: self.vatstore_bytes.saturating_add(other.vatstore_bytes),
            timers: self.timers.saturating_add(other.timers),
            messages_in: self.messages_in.saturating_add(other.messages_in),
            messages_out: self.messages_out.saturating_add(other.messages_out),
        }
    }
}

/// One subcluster in [`Status`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SubclusterStatus {
    /// Its id.
    pub id: SubclusterId,
    /// The name it was launched under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether the host declares it at each start.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub system: bool,
    /// As launched.
    pub config: ClusterConfig,
    /// Vat ids by vat name.
    pub vats: IndexMap<String, VatId>,
    /// The root of the bootstrap vat.
    pub root_kref: KRef,
    /// What its vats cost together.
    pub usage: VatUsage,
    /// Hash of each vat's code.
    #[serde(skip)]
    pub code: IndexMap<String, CodeHash>,
    /// Whether its launch is still under way.
    #[serde(skip)]
    pub launching: bool,
}

/// How a channel is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum ChannelCondition {
    /// Being opened for the first time in this run.
    Opening,
    /// Open, no peer.
    Listening,
    /// Open, with a peer.
    Connected,
    /// Working, while nobody is at the other end.
    #[serde(rename_all = "camelCase")]
    Connecting {
        /// What the last attempt came to.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// When it is tried again, milliseconds after this was reported.
        retry_ms: u64,
    },
    /// Not serving.
    #[serde(rename_all = "camelCase")]
    Unavailable {
        /// Why.
        reason: String,
        /// When it is tried again, milliseconds after this was reported.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_ms: Option<u64>,
    },
    /// A connection that is over.
    Closed,
}

/// One channel in [`Status`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChannelStatus {
    /// The subcluster.
    pub subcluster_id: SubclusterId,
    /// Its name there.
    pub name: String,
    /// The service's reference; the same for as long as the subcluster lives.
    pub kref: KRef,
    /// As launched.
    pub config: IoConfig,
    /// How it is.
    #[serde(flatten)]
    pub condition: ChannelCondition,
    /// Units not yet read, those of its connections included.
    pub buffered_units: u64,
    /// Reads that wait for a unit, or calls of `accept` that wait for a client.
    pub pending_reads: u64,
    /// Clients it has accepted and that are there, if it has many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<u64>,
    /// Clients that wait to be accepted, if it has many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<u64>,
}

/// The whole kernel at a glance.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// Every vat, by number.
    pub vats: Vec<VatStatus>,
    /// Every subcluster, by number.
    pub subclusters: Vec<SubclusterStatus>,
    /// Every channel.
    pub channels: Vec<ChannelStatus>,
}

/// Something the walk over the store found wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The key it concerns.
    pub key: String,
    /// What is wrong.
    pub problem: String,
}

/// Why the core refused a turn, or cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CoreError {
    /// The request makes no sense; nothing was changed. The text says what to do.
    #[error("{0}")]
    Invalid(String),
    /// There is no such vat.
    #[error("Vat does not exist.")]
    VatNotFound(VatId),
    /// There is no such subcluster.
    #[error("Subcluster does not exist.")]
    SubclusterNotFound(SubclusterId),
    /// No request of this key is remembered.
    #[error("no request of this idempotency key is remembered")]
    NotRemembered,
    /// A limit was reached; nothing was changed; try again when there is room.
    #[error("{0}")]
    Limit(String),
    /// A row of the store does not mean anything. The kernel stops; `ocap doctor` tells more.
    #[error("the store is damaged at {key:?}: {problem}")]
    Corrupt {
        /// The row.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The store failed. The kernel stops.
    #[error(transparent)]
    Store(#[from] StoreError),
}
