//! What a host sees of a running kernel.

use std::path::PathBuf;

use ocap_types::config::ClusterConfig;
use ocap_types::{KCapData, KRef, SubclusterId};

pub use ocap_core::api::{
    ChannelCondition, ChannelStatus, Finding, Status, SubclusterStatus, VatCondition, VatStatus,
};

/// Why a kernel could not do something, by what the caller should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request makes no sense; the message says what to change.
    Invalid,
    /// What it names does not exist.
    NotFound,
    /// The vat's own answer: the message was rejected, the launch failed.
    Rejected,
    /// A limit was reached; try again later or ask for less.
    Limit,
    /// Another kernel holds the store or the home.
    Busy,
    /// The kernel is stopping or has stopped.
    Stopped,
    /// The store, or the operating system, failed.
    Failed,
}

/// An error of the kernel.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct KernelError {
    /// What to do about it.
    pub kind: ErrorKind,
    /// For a person.
    pub message: String,
}

impl KernelError {
    /// An error of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        KernelError { kind, message: message.into() }
    }
}

/// Where state is kept.
#[derive(Clone, Debug)]
pub enum StoreLocation {
    /// Gone when the kernel stops.
    Memory,
    /// An SQLite file; its parent is created with mode 0700.
    File(PathBuf),
}

/// Where vats run.
#[derive(Clone, Debug)]
pub enum WorkerMode {
    /// Each in a caged process forked from a zygote.
    Process {
        /// The executable that becomes the zygote when its first argument is
        /// `ocap_vat::ZYGOTE_ARGUMENT`; the current executable if `None`.
        executable: Option<PathBuf>,
        /// Whether vats may run where the cage cannot be complete.
        best_effort: bool,
    },
    /// Each in a thread of this process: no isolation from memory errors, for tests and embedders.
    Thread,
}

/// Whether there is a console for `console` channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsoleMode {
    /// This process's standard input and output.
    Stdio,
    /// None, for this reason.
    Unavailable(String),
}

/// How a kernel is built.
#[derive(Clone, Debug)]
pub struct KernelOptions {
    /// Where state is kept.
    pub store: StoreLocation,
    /// Where vats run.
    pub workers: WorkerMode,
    /// Relative socket paths lie under this folder.
    pub home: PathBuf,
    /// The console; `None` builds a kernel without IO support.
    pub io: Option<ConsoleMode>,
}

/// What to launch.
#[derive(Clone, Debug)]
pub struct LaunchRequest {
    /// The config.
    pub config: ClusterConfig,
    /// The name to launch it under; must not be taken.
    pub name: Option<String>,
    /// What relative `sourceSpec` and `bundleSpec` paths are relative to; without, they are refused.
    pub base: Option<PathBuf>,
}

/// What a launch gave.
#[derive(Clone, Debug)]
pub struct Launched {
    /// The subcluster.
    pub subcluster: SubclusterId,
    /// The bootstrap vat's root.
    pub root: KRef,
    /// What `bootstrap` returned.
    pub bootstrap: KCapData,
}

/// Whether stored code and config equal those of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The same.
    Same,
    /// The config differs.
    ConfigDiffers,
    /// The code of this vat differs.
    CodeDiffers(String),
}
