//! The handle to a running kernel.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ocap_core::Core;
use ocap_core::api::{Answer, BootOptions, Launch};
use ocap_io::{Console, IoHost};
use ocap_store::{Opened, StoreError};
use ocap_types::{KCapData, KRef, SubclusterId, VatId};
use tokio::sync::{oneshot, watch};

use crate::api::{
    Comparison, ConsoleMode, ErrorKind, Finding, KernelError, KernelOptions, LaunchRequest,
    Launched, Status, StoreLocation,
};
use crate::code::{self, LoadedCode};
use crate::committer::Committer;
use crate::driver::{Driver, FIRST_WORKER, Parts};
use crate::inbox::{Inbox, Input, Mailbox, Reply, Request};
use crate::services::Services;
use crate::workers::{Nursery, Workers};
use crate::{limits, message};

/// A running kernel. Clones are handles to the same one; any thread may use them. The kernel runs
/// until [`Kernel::stop`], or until the last handle is dropped.
#[derive(Clone)]
pub struct Kernel {
    shared: Arc<Shared>,
}

struct Shared {
    inbox: Inbox,
    nursery: Nursery,
    requests: AtomicUsize,
    ended: watch::Receiver<Option<Result<(), KernelError>>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        let (reply, _) = oneshot::channel();
        let _ = self.inbox.put(Input::Request(Request::Stop(reply)));
    }
}

impl Kernel {
    /// Opens the store, brings everything back, and runs. Returns once every channel has been tried
    /// and every vat has started or failed; neither kind of failure is an error of this call.
    ///
    /// # Errors
    /// `Busy` if another kernel holds the store (nothing has been touched then), `Failed` if the
    /// store, the zygote or the cage cannot be had.
    ///
    /// # Panics
    /// Never; but it must be called inside a tokio runtime, whose timers and sockets the channels
    /// use.
    pub async fn start(options: KernelOptions) -> Result<Kernel, KernelError> {
        let runtime = tokio::runtime::Handle::current();
        let (begun, result) = oneshot::channel();
        let (ended, has_ended) = watch::channel(None);
        // Everything is made on the driver's thread: the zygote's life hangs on its parent thread.
        std::thread::Builder::new()
            .name("ocap-kernel".into())
            .spawn(move || match build(&options, runtime) {
                Ok((driver, inbox, nursery)) => {
                    let _ = begun.send(Ok((inbox, nursery)));
                    let result = driver.run();
                    if let Err(error) = &result {
                        tracing::error!(%error, "the kernel stopped");
                    }
                    let _ = ended.send(Some(result));
                }
                Err(error) => {
                    let _ = begun.send(Err(error));
                }
            })
            .map_err(failed)?;
        let gone = |_| KernelError::new(ErrorKind::Failed, "the kernel's thread ended at once");
        let (inbox, nursery) = result.await.map_err(gone)??;
        let requests = AtomicUsize::new(0);
        let kernel =
            Kernel { shared: Arc::new(Shared { inbox, nursery, requests, ended: has_ended }) };
        kernel.ask(Request::Settled).await?;
        Ok(kernel)
    }

    /// Launches a subcluster; answers once `bootstrap` has. On failure nothing is left.
    ///
    /// # Errors
    /// `Invalid` if the config or the code cannot be used, `Rejected` if a vat or its bootstrap
    /// failed; the message is for a person.
    pub async fn launch(&self, request: LaunchRequest) -> Result<Launched, KernelError> {
        let (request, code) = self.load(request).await?;
        let LaunchRequest { config, name, .. } = request;
        let launch = Box::new(Launch { config, name, code, system: false });
        match self.ask(|reply| Request::Launch(launch, reply)).await? {
            Answer::Launched { subcluster, root, bootstrap } => {
                Ok(Launched { subcluster, root, bootstrap })
            }
            other => Err(unexpected(other)),
        }
    }

    /// Compares a request with a subcluster that exists; reads the code anew.
    ///
    /// # Errors
    /// `NotFound` if there is no such subcluster, `Invalid` if the code cannot be read.
    pub async fn compare(
        &self,
        id: SubclusterId,
        request: LaunchRequest,
    ) -> Result<Comparison, KernelError> {
        let status = self.status().await?;
        let missing = || KernelError::new(ErrorKind::NotFound, "Subcluster does not exist.");
        let stored = status.subclusters.into_iter().find(|s| s.id == id).ok_or_else(missing)?;
        if stored.config != request.config {
            return Ok(Comparison::ConfigDiffers);
        }
        let (_, code) = self.load(request).await?;
        for (name, (hash, _)) in &code {
            if stored.code.get(name) != Some(hash) {
                return Ok(Comparison::CodeDiffers(name.clone()));
            }
        }
        Ok(Comparison::Same)
    }

    /// Ends a subcluster, its vats and its channels for good. Durable when it answers.
    pub async fn terminate_subcluster(&self, id: SubclusterId) -> Result<(), KernelError> {
        self.ask(|reply| Request::TerminateSubcluster(id, reply)).await
    }

    /// Ends a vat for good. Durable when it answers.
    pub async fn terminate_vat(&self, id: VatId) -> Result<(), KernelError> {
        self.ask(|reply| Request::TerminateVat(id, reply)).await
    }

    /// Starts a new incarnation of a vat; answers when it has started, or could not.
    pub async fn restart_vat(&self, id: VatId) -> Result<(), KernelError> {
        match self.ask(|reply| Request::RestartVat(id, reply)).await? {
            Answer::Restarted => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    /// Whether a vat runs.
    pub async fn ping_vat(&self, id: VatId) -> Result<(), KernelError> {
        self.ask(|reply| Request::PingVat(id, reply)).await
    }

    /// Sends a message of plain JSON arguments; answers with the settled result, durable.
    ///
    /// # Errors
    /// `Rejected` with the reason's message if the result was rejected.
    pub async fn queue_message(
        &self,
        target: KRef,
        method: &str,
        args: Vec<serde_json::Value>,
    ) -> Result<KCapData, KernelError> {
        let methargs = message::encode(method, args);
        match self.ask(|reply| Request::Send(target, methargs, reply)).await? {
            Answer::Settled { rejected: false, data } => Ok(data),
            Answer::Settled { rejected: true, data } => {
                Err(KernelError::new(ErrorKind::Rejected, message::reason(&data)))
            }
            other => Err(unexpected(other)),
        }
    }

    /// The whole kernel at a glance.
    pub async fn status(&self) -> Result<Status, KernelError> {
        self.ask(Request::Status).await
    }

    /// Recomputes every count from the whole store and tells what does not agree. Slow on a large
    /// store, and everything waits for it.
    pub async fn check(&self) -> Result<Vec<Finding>, KernelError> {
        self.ask(Request::Check).await
    }

    /// Stops cleanly: commits, closes and unlinks channels, ends workers. Idempotent.
    pub async fn stop(&self) -> Result<(), KernelError> {
        let (reply, stopped) = oneshot::channel();
        let _ = self.shared.inbox.put(Input::Request(Request::Stop(reply)));
        match stopped.await {
            Ok(result) => result,
            Err(_) => self.stopped().await,
        }
    }

    /// Resolves when the kernel has stopped, for whatever reason.
    ///
    /// # Errors
    /// Why it stopped, if nobody asked it to.
    pub async fn stopped(&self) -> Result<(), KernelError> {
        let mut ended = self.shared.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(result) => result.clone().unwrap_or(Ok(())),
            Err(_) => Err(stopped()),
        }
    }

    async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, KernelError> {
        let shared = &self.shared;
        let _slot = Slot::take(&shared.requests)?;
        let (reply, answer) = oneshot::channel();
        shared.inbox.put(Input::Request(request(reply))).map_err(|()| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    async fn load(
        &self,
        request: LaunchRequest,
    ) -> Result<(LaunchRequest, LoadedCode), KernelError> {
        let nursery = self.shared.nursery.clone();
        let load = move || {
            let code = code::load(&nursery, &request.config, request.base.as_deref())?;
            Ok((request, code))
        };
        tokio::task::spawn_blocking(load).await.map_err(failed)?
    }
}

/// One host request under way, also when its future is dropped.
struct Slot<'a>(&'a AtomicUsize);

impl<'a> Slot<'a> {
    fn take(count: &'a AtomicUsize) -> Result<Self, KernelError> {
        let slot = Slot(count);
        if count.fetch_add(1, Ordering::Relaxed) < limits::HOST_REQUESTS_MAX {
            return Ok(slot);
        }
        let max = limits::HOST_REQUESTS_MAX;
        let message = format!("{max} requests are under way; wait for some of them");
        Err(KernelError::new(ErrorKind::Limit, message))
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn build(
    options: &KernelOptions,
    runtime: tokio::runtime::Handle,
) -> Result<(Driver, Inbox, Nursery), KernelError> {
    // The zygote comes first: it must not inherit the database.
    let nursery = Nursery::start(&options.workers).map_err(failed)?;
    let Opened { reader, writer, last_seq, .. } = open_store(&options.store)?;
    let boot = BootOptions { services: Services::declarations(), io: options.io.is_some() };
    let core = Core::open(reader, last_seq, boot).map_err(failed)?;
    let mailbox = Mailbox::new().map_err(failed)?;
    let inbox = mailbox.inbox();
    let io = options.io.as_ref().map(|console| {
        let inbox = inbox.clone();
        let sink = Arc::new(move |key, event| {
            let _ = inbox.put(Input::Channel(key, event));
        });
        let console = match console {
            ConsoleMode::Stdio => Console::Stdio,
            ConsoleMode::Unavailable(reason) => Console::Unavailable(reason.clone()),
        };
        IoHost::new(runtime.clone(), PathBuf::from(&options.home), console, sink)
    });
    let committer = match &options.store {
        StoreLocation::Memory => Committer::at_once(writer),
        StoreLocation::File(_) => {
            let inbox = inbox.clone();
            let told = move |seq, result| {
                let _ = inbox.put(Input::Committed(seq, result));
            };
            Committer::behind(writer, Box::new(told)).map_err(failed)?
        }
    };
    let registry = mailbox.registry().map_err(failed)?;
    let workers = Workers::new(nursery.clone(), registry, FIRST_WORKER);
    let parts = Parts { core, mailbox, workers, io, committer, runtime };
    Ok((Driver::new(parts), inbox, nursery))
}

fn open_store(location: &StoreLocation) -> Result<Opened, KernelError> {
    match location {
        StoreLocation::Memory => Ok(ocap_store::memory::open()),
        StoreLocation::File(path) => ocap_store::sqlite::open(path).map_err(|error| {
            let kind = match &error {
                StoreError::Busy(_) => ErrorKind::Busy,
                _ => ErrorKind::Failed,
            };
            KernelError::new(kind, error.to_string())
        }),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "the shape `map_err` wants")]
fn failed(error: impl std::fmt::Display) -> KernelError {
    KernelError::new(ErrorKind::Failed, error.to_string())
}

fn stopped() -> KernelError {
    KernelError::new(ErrorKind::Stopped, "the kernel has stopped")
}

fn unexpected(answer: Answer) -> KernelError {
    match answer {
        Answer::Failed { message } => KernelError::new(ErrorKind::Rejected, message),
        other => {
            KernelError::new(ErrorKind::Failed, format!("an answer of another kind: {other:?}"))
        }
    }
}
