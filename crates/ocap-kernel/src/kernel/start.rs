//! How a kernel starts: what it needs is opened, and its system subclusters are launched.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use ocap_core::Core;
use ocap_core::api::BootOptions;
use ocap_io::{Console, IoHost};
use ocap_store::Opened;
use ocap_types::config::GLOBAL_NAMES;
use tokio::sync::{Semaphore, oneshot, watch};

use super::{Ended, Kernel, Running, Shared, failed};
use crate::api::{
    ConsoleMode, ErrorKind, KernelError, KernelOptions, LaunchRequest, StoreLocation,
    SubclusterStatus, SystemSubcluster,
};
use crate::bytecode::BytecodeCache;
use crate::driver::{Driver, FIRST_WORKER, Parts};
use crate::identity::identity_for;
use crate::inbox::{Input, Mailbox, Request};
use crate::limits;
use crate::services::Services;
use crate::store::Store;
use crate::workers::{Nursery, Workers};

/// Bytes of chance that the core gets at each start.
const CHANCE_BYTES: usize = 32;

impl Kernel {
    /// Opens the store, brings everything back, and runs. Returns once every channel has been tried
    /// and every vat has started or failed; neither kind of failure is an error of this call. Then
    /// system subclusters that are not there yet are launched.
    ///
    /// # Errors
    /// `Busy` if another kernel holds the store (nothing has been touched then), `Failed` if the
    /// store, the zygote or the cage cannot be had, `Invalid` if services or system subclusters are
    /// declared twice or badly, and what [`Kernel::launch`] says of a new system subcluster; the
    /// kernel has stopped then.
    ///
    /// # Panics
    /// Outside a tokio runtime, whose timers and sockets the channels use.
    pub async fn start(options: KernelOptions) -> Result<Kernel, KernelError> {
        let runtime = tokio::runtime::Handle::current();
        let (begun, result) = oneshot::channel();
        let (ended, has_ended) = watch::channel(None);
        check_names(&options.system_subclusters)?;
        check_globals(options.allowed_globals.as_deref())?;
        // Everything is made on the driver's thread: the zygote's life hangs on its parent thread.
        std::thread::Builder::new()
            .name("ocap-kernel".into())
            .spawn(move || match build(&options, runtime, has_ended) {
                Ok((driver, kernel)) => {
                    let _ = begun.send(Ok(kernel));
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
        let kernel = result.await.map_err(gone)??;
        kernel.ask(Request::Settled).await?;
        if let Err(error) = kernel.launch_system().await {
            kernel.stop().await?;
            return Err(error);
        }
        Ok(kernel)
    }

    /// Launches the declared system subclusters that are not there.
    pub(super) async fn launch_system(&self) -> Result<(), KernelError> {
        let system = &self.shared.system;
        if system.is_empty() {
            return Ok(());
        }
        let status = self.status().await?;
        for SystemSubcluster { name, config, base } in system {
            let named = |s: &&SubclusterStatus| s.system && s.name.as_ref() == Some(name);
            if let Some(there) = status.subclusters.iter().find(named) {
                if there.config != *config {
                    tracing::warn!(
                        %name,
                        "the system subcluster was launched with another config, which stays"
                    );
                }
                continue;
            }
            let (config, name, base) = (config.clone(), Some(name.clone()), base.clone());
            self.launch_as(LaunchRequest { config, name, base }, true, None).await?;
        }
        Ok(())
    }
}

fn build(
    options: &KernelOptions,
    runtime: tokio::runtime::Handle,
    ended: Ended,
) -> Result<(Driver, Kernel), KernelError> {
    let services = Services::declarations(&options.services)?;
    // The zygote comes first: it must not inherit the database. It prepares itself meanwhile.
    let nursery = Nursery::begin(&options.workers).map_err(failed)?;
    let mailbox = Mailbox::new().map_err(failed)?;
    let inbox = mailbox.inbox();
    let (store, opened) = Store::open(&options.store, inbox.clone())?;
    let Opened { reader, writer, last_seq, .. } = opened;
    let identity = identity_for(&*reader)?;
    let peer_id = identity.peer_id.clone();
    let chance = ocap_identity::random(CHANCE_BYTES).map_err(failed)?;
    let identity = Some(identity);
    let boot = BootOptions { services, io: options.io.is_some(), identity, chance };
    let mut core = Core::open(reader, last_seq, boot).map_err(failed)?;
    let system = options.system_subclusters.clone();
    let names: Vec<&str> = system.iter().map(|system| system.name.as_str()).collect();
    core.retain_system_subclusters(&names).map_err(failed)?;
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
    let committer = store.committer(writer).map_err(failed)?;
    // What has been done so far is in memory, and void if there is no cage.
    let nursery = nursery.ready().map_err(failed)?;
    let registry = mailbox.registry().map_err(failed)?;
    let workers = Workers::new(nursery.clone(), registry, FIRST_WORKER);
    let requests = AtomicUsize::new(0);
    let file = match &options.store {
        StoreLocation::File(path) => Some(path.clone()),
        StoreLocation::Memory | StoreLocation::Opener(_) => None,
    };
    let shared = Arc::new(Shared {
        inbox: inbox.clone(),
        nursery,
        requests,
        ended,
        system,
        peer_id,
        store: file,
        backups: Arc::default(),
        queries: Arc::new(Semaphore::new(limits::QUERIES_MAX)),
    });
    let inner = Kernel { shared: Arc::clone(&shared), _running: None };
    let services = Services::start(&options.services, inner, inbox.clone(), &runtime);
    let services = services.map_err(failed)?;
    // A kernel in memory leaves nothing behind.
    let lasts = !matches!(options.store, StoreLocation::Memory);
    let folder = lasts.then(|| options.home.join("compiled"));
    let bytecode = BytecodeCache::new(folder, runtime.clone());
    let allowed_globals = options.allowed_globals.clone();
    let parts = Parts {
        core,
        mailbox,
        workers,
        io,
        store,
        committer,
        runtime,
        services,
        allowed_globals,
        bytecode,
        home: PathBuf::from(&options.home),
    };
    let running = Some(Arc::new(Running(inbox)));
    Ok((Driver::new(parts), Kernel { shared, _running: running }))
}

fn check_globals(allowed: Option<&[String]>) -> Result<(), KernelError> {
    let mut unknown = allowed.into_iter().flatten();
    match unknown.find(|name| !GLOBAL_NAMES.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let known = GLOBAL_NAMES.join(", ");
            let message = format!("allowed_globals: unknown global {name:?}; known are {known}");
            Err(KernelError::new(ErrorKind::Invalid, message))
        }
    }
}

fn check_names(system: &[SystemSubcluster]) -> Result<(), KernelError> {
    let mut names = BTreeSet::new();
    for SystemSubcluster { name, .. } in system {
        if name.is_empty() || name.len() > limits::NAME_BYTES_MAX {
            let message = format!("{name:?} cannot be the name of a system subcluster");
            return Err(KernelError::new(ErrorKind::Invalid, message));
        }
        if !names.insert(name) {
            let message = "Duplicate system subcluster names in config";
            return Err(KernelError::new(ErrorKind::Invalid, message));
        }
    }
    Ok(())
}
