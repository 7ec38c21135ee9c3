//! What kernel and worker say to each other: length-prefixed frames on a stream socket.
//! The kernel trusts nothing in a frame from a worker.

use ocap_types::crank::{CrankReport, Delivery, Fault};
use serde::{Deserialize, Serialize};

use crate::engine::{Bundle, Bytecode, LogLevel, ModuleGraph, WorkerInit};

/// Kernel to worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToWorker {
    /// Become the worker of this vat. First, and once; no answer.
    Init(Box<WorkerInit>),
    /// Run a crank. Answered by `Done` or `Fault`. Several may be on their way.
    Deliver(Delivery),
    /// Answer to `Get` or `NextKey`.
    Got(Option<String>),
    /// Instead of `Init`: collect a module graph. Answered by `Collected`.
    Collect {
        /// The entry module's specifier.
        entry: String,
    },
    /// Instead of `Init`: make a bundle. Answered by `Bundled`.
    Bundle {
        /// The entry module's specifier.
        entry: String,
    },
    /// Instead of `Init`: parse a bundle's script. Answered by `Parsed`.
    Parse {
        /// The script.
        code: String,
    },
    /// Instead of `Init`: see whether the modules of a graph fit together. Answered by `Parsed`.
    Link {
        /// The modules.
        graph: ModuleGraph,
    },
    /// Answer to `LoadModule`.
    Module(Result<Option<(String, String)>, String>),
}

/// Worker to kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromWorker {
    /// A crank is finished.
    Done(CrankReport),
    /// A crank could not be finished; the worker exits.
    Fault(Fault),
    /// `UpCalls::vatstore_get`; the worker waits for `Got`.
    Get {
        /// The key.
        key: String,
    },
    /// `UpCalls::vatstore_next_key`; the worker waits for `Got`.
    NextKey {
        /// The key before.
        prior: String,
    },
    /// `UpCalls::exists`; the worker waits for `Got`, with anything or with nothing.
    Exists {
        /// The path.
        path: String,
    },
    /// A log line; no answer.
    Log {
        /// How important.
        level: LogLevel,
        /// The line.
        message: String,
    },
    /// `ModuleSource::load`; the worker waits for `Module`.
    LoadModule {
        /// Who imports.
        referrer: String,
        /// What.
        specifier: String,
    },
    /// `UpCalls::compiled`; no answer. Only if the `Init` wanted it, and before the first `Done`.
    Compiled(Bytecode),
    /// The graph, or what is wrong with it.
    Collected(Result<ModuleGraph, String>),
    /// The bundle, or what is wrong with its modules.
    Bundled(Result<Bundle, String>),
    /// What is wrong with a script or with modules, if anything.
    Parsed(Result<(), String>),
}
