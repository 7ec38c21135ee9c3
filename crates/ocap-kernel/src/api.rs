//! What a host sees of a running kernel.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use ocap_store::{Opened, StoreError};
use ocap_types::config::ClusterConfig;
use ocap_types::{KCapData, KRef, SubclusterId, VatId};

use crate::service::KernelService;

pub use ocap_core::api::{
    ChannelCondition, ChannelStatus, Finding, Holder, Identity, Inspection, MethodName, Nature,
    Owner, Status, SubclusterStatus, UrlStatus, UrlTerms, VatCondition, VatStatus,
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
    /// A store of the host's own kind.
    Opener(StoreOpener),
}

/// Opens a store of the host's own kind. The kernel calls it once when it starts, and again after a
/// commit that failed in a way that leaves its outcome open; what it got before has been dropped by
/// then. The store is to count an epoch per opening, as those of `ocap_store` do.
#[derive(Clone)]
pub struct StoreOpener(pub(crate) Arc<dyn Fn() -> Result<Opened, StoreError> + Send + Sync>);

impl fmt::Debug for StoreOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreOpener").finish_non_exhaustive()
    }
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

/// What became of giving a vat other code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeUpdate {
    /// The vat.
    pub vat: VatId,
    /// Its name in its cluster.
    pub name: String,
    /// Whether it has started with the new code; why not, if it goes on with the one it had.
    pub result: Result<(), String>,
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
    /// Globals vats may ask for, of those the config format knows; all of them if `None`. A vat
    /// that asks for another one does not start.
    pub allowed_globals: Option<Vec<String>>,
    /// The console; `None` builds a kernel without IO support.
    pub io: Option<ConsoleMode>,
    /// Services of the host, there before any vat runs. On a fresh store they get the references
    /// after those of the kernel's own three, in this order; each keeps its own for as long as the
    /// store lives, also while it is not registered.
    pub services: Vec<ServiceRegistration>,
    /// System subclusters: those that are not there yet are launched before [`crate::Kernel::start`]
    /// returns, those of an earlier start that are not declared any more are ended.
    pub system_subclusters: Vec<SystemSubcluster>,
}

/// A service of the host.
#[derive(Clone)]
pub struct ServiceRegistration {
    /// What clusters ask for. Must not be empty, taken, or begin with `io:`.
    pub name: String,
    /// Whether only system subclusters may ask for it.
    pub system_only: bool,
    /// Who answers.
    pub service: Arc<dyn KernelService>,
}

impl fmt::Debug for ServiceRegistration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ServiceRegistration { name, system_only, service: _ } = self;
        let mut shown = f.debug_struct("ServiceRegistration");
        shown.field("name", name).field("system_only", system_only).finish_non_exhaustive()
    }
}

/// A subcluster the host declares at each start. It may ask for services that are `system_only`.
#[derive(Clone, Debug)]
pub struct SystemSubcluster {
    /// Its name, unique among system subclusters.
    pub name: String,
    /// What to launch. Once it has been, what was launched stays as it is.
    pub config: ClusterConfig,
    /// What relative paths are relative to; without, they are refused.
    pub base: Option<PathBuf>,
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
