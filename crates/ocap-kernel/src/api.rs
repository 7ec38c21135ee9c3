//! What a host sees of a running kernel.

use std::path::PathBuf;
use std::sync::Arc;

use ocap_types::config::ClusterConfig;
use ocap_types::{KCapData, KRef, SubclusterId, VatId};

pub use ocap_core::api::{Status, SubclusterStatus, VatStatus};

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

/// How a kernel is built. `KernelOptions::new(..)` then change fields.
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

/// A running kernel. Clones are handles to the same one; any thread may use them.
#[derive(Clone)]
pub struct Kernel {
    #[allow(dead_code)]
    inner: Arc<()>,
}

#[allow(missing_docs, unused_variables, clippy::unused_async, clippy::todo)]
impl Kernel {
    /// Opens the store, brings everything back, and runs. Returns once every channel has been tried
    /// and every vat has started or failed.
    pub async fn start(options: KernelOptions) -> Result<Kernel, KernelError> {
        todo!()
    }
    /// Launches a subcluster; answers once `bootstrap` has. On failure nothing is left.
    pub async fn launch(&self, request: LaunchRequest) -> Result<Launched, KernelError> {
        todo!()
    }
    /// Compares a request with a running subcluster (reads the code anew).
    pub async fn compare(
        &self,
        id: SubclusterId,
        request: LaunchRequest,
    ) -> Result<Comparison, KernelError> {
        todo!()
    }
    pub async fn terminate_subcluster(&self, id: SubclusterId) -> Result<(), KernelError> {
        todo!()
    }
    pub async fn terminate_vat(&self, id: VatId) -> Result<(), KernelError> {
        todo!()
    }
    /// Answers when the new incarnation has started, or could not.
    pub async fn restart_vat(&self, id: VatId) -> Result<(), KernelError> {
        todo!()
    }
    pub async fn ping_vat(&self, id: VatId) -> Result<(), KernelError> {
        todo!()
    }
    /// Sends a message; answers with the settled result. A rejection is an error of kind `Rejected`
    /// whose message is that of the reason. `args` is plain JSON.
    pub async fn queue_message(
        &self,
        target: KRef,
        method: &str,
        args: Vec<serde_json::Value>,
    ) -> Result<KCapData, KernelError> {
        todo!()
    }
    pub async fn status(&self) -> Result<Status, KernelError> {
        todo!()
    }
    /// Stops cleanly: commits, closes and unlinks channels, ends workers. Idempotent.
    pub async fn stop(&self) -> Result<(), KernelError> {
        todo!()
    }
    /// Resolves when the kernel has stopped, for whatever reason; the error if it was not asked to.
    pub async fn stopped(&self) -> Result<(), KernelError> {
        todo!()
    }
}
