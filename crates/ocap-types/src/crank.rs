//! What passes between the kernel and a vat: deliveries in, one batch of syscalls out.
//!
//! Everything is in the vat's own references. A batch is what a vat did in one crank; the kernel
//! applies all of it or none.

use serde::{Deserialize, Serialize};

use crate::capdata::{CapData, VCapData};
use crate::refs::VRef;

/// A promise and what it became.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution<R> {
    /// The promise.
    pub promise: R,
    /// Whether it was rejected rather than fulfilled.
    pub rejected: bool,
    /// The value or the reason.
    pub data: CapData<R>,
}

/// One thing the kernel asks of a vat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Delivery {
    /// Evaluate the code and call `buildRootObject(vatPowers, parameters, baggage)`.
    /// The first delivery of every incarnation. The root is always `o+0`.
    Start {
        /// `parameters` of the vat's config; the encoding of `undefined` if there are none.
        parameters: VCapData,
    },
    /// A message for an object of the vat.
    Message {
        /// The object the vat exports.
        target: VRef,
        /// `[method, args]`.
        methargs: VCapData,
        /// The promise the vat is now to decide, if anybody wants the answer.
        result: Option<VRef>,
    },
    /// Promises the vat subscribed to have settled. The vat forgets these references.
    Notify {
        /// The promise and everything settled that its value reaches.
        resolutions: Vec<Resolution<VRef>>,
    },
    /// Nobody can reach these exports any more.
    DropExports {
        /// Sorted.
        vrefs: Vec<VRef>,
    },
    /// Nobody remembers these exports any more.
    RetireExports {
        /// Sorted.
        vrefs: Vec<VRef>,
    },
    /// These imports no longer exist.
    RetireImports {
        /// Sorted.
        vrefs: Vec<VRef>,
    },
    /// Collect garbage and report what is no longer used.
    BringOutYourDead,
}

/// One thing a vat asks of the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Syscall {
    /// Send a message.
    Send {
        /// An import, or a promise.
        target: VRef,
        /// `[method, args]`.
        methargs: VCapData,
        /// A new promise of the vat's for the answer.
        result: Option<VRef>,
    },
    /// Ask to be notified when a promise settles.
    Subscribe {
        /// The promise.
        promise: VRef,
    },
    /// Settle promises the vat decides.
    Resolve {
        /// Settled as a group.
        resolutions: Vec<Resolution<VRef>>,
    },
    /// End this vat after this crank.
    Exit {
        /// Whether the crank is undone.
        failure: bool,
        /// The completion value or the reason.
        info: VCapData,
    },
    /// The vat can no longer reach these imports.
    DropImports {
        /// The imports.
        vrefs: Vec<VRef>,
    },
    /// The vat no longer remembers these imports.
    RetireImports {
        /// The imports.
        vrefs: Vec<VRef>,
    },
    /// The vat no longer remembers these exports.
    RetireExports {
        /// The exports.
        vrefs: Vec<VRef>,
    },
    /// The vat gives up exports that others may still reach.
    AbandonExports {
        /// The exports.
        vrefs: Vec<VRef>,
    },
    /// Have the host do something, once the crank is durable. The vat is told of the outcome like
    /// of any promise it subscribed to.
    Ask {
        /// What.
        request: Request,
        /// A new promise of the vat's for the outcome.
        result: VRef,
    },
    /// The vat no longer wants what it asked for, and forgets the promise. Means nothing if it has
    /// been done.
    Withdraw {
        /// The promise for the outcome.
        result: VRef,
    },
}

/// What a vat's globals need the host for. Nothing of it outlives the vat's incarnation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Time to pass. The outcome is the moment it was due, in milliseconds of the host's own.
    Timer {
        /// How long, in milliseconds.
        delay_ms: u64,
        /// Counted from this earlier outcome, but never into the past; from now if `None`.
        since_ms: Option<u64>,
    },
    /// An answer from the network. The outcome is a record with `status`, `statusText`, `url`,
    /// `redirected`, `headers` (a list of pairs) and `body` (base64), or with `refused` or `failed`
    /// and why.
    Fetch(Box<HttpRequest>),
    /// The content of a file below the vat's folder. The outcome is a record with `body` (base64),
    /// or with `failed` and why.
    ReadFile {
        /// Absolute, or relative to that folder.
        path: String,
    },
    /// Whether a file below the vat's folder can be used. The outcome is a record, with `failed`
    /// and why if it cannot.
    Access {
        /// Absolute, or relative to that folder.
        path: String,
        /// As `access(2)` has it.
        mode: u32,
    },
}

/// A request to the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpRequest {
    /// `GET` and so on.
    pub method: String,
    /// Where to.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// Base64.
    pub body: Option<String>,
    /// What to do if the answer leads elsewhere.
    pub redirect: Redirect,
}

/// What a request does if the answer leads elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Redirect {
    /// Goes there, if the vat may.
    Follow,
    /// Fails.
    Error,
    /// Takes that as the answer.
    Manual,
}

/// What a crank cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Engine interrupts counted (deterministic for the same code and input).
    pub ticks: u64,
    /// CPU time of the worker, in microseconds.
    pub cpu_us: u64,
    /// Heap in use after the crank, in bytes.
    pub heap_bytes: u64,
}

/// What a vat did in one crank.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrankReport {
    /// In the order they were made.
    pub syscalls: Vec<Syscall>,
    /// The vatstore delta, one entry per key in ascending key order; `None` deletes.
    pub vatstore: Vec<(String, Option<String>)>,
    /// Set when the delivery itself failed (not when user code rejected its result).
    pub error: Option<String>,
    /// What it cost.
    pub usage: Usage,
}

/// Why a worker could not finish a crank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FaultKind {
    /// The tick budget, the CPU deadline or the wall-clock backstop was reached.
    Overrun,
    /// The heap or stack limit was reached.
    OutOfMemory,
    /// The worker process ended by itself.
    Crash,
    /// The worker was stopped for trying what its cage forbids.
    CageViolation,
    /// The worker sent bytes that are no frame of the protocol.
    Protocol,
}

/// A crank that could not be finished.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Which kind.
    pub kind: FaultKind,
    /// For the log and the caller; no secrets, no paths.
    pub detail: String,
}

/// How a crank ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The vat finished it; the report is still to be validated.
    Done(CrankReport),
    /// It could not be finished.
    Fault(Fault),
}
