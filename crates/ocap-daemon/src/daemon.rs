//! The life of a kernel with an RPC socket on a home.
//!
//! The main items in this module are [`Daemon`] and [`DaemonOptions`]. Order matters: the home's
//! lock before anything is touched, then the kernel, then the socket; at the end the socket, the
//! kernel, the pid file, and the lock last.

use std::os::unix::net::UnixListener;
use std::sync::Arc;

use ocap_kernel::{
    ConsoleMode, Kernel, KernelError, KernelOptions, ServiceRegistration, StoreLocation, WorkerMode,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::home::{Home, HomeError, HomeLock};
use crate::language_model::{self, LanguageModel, LanguageModelError};
use crate::limits;
use crate::log::Log;
use crate::methods::Methods;
use crate::server::Server;
use crate::service_manager::{self, Pulse};
use crate::settings::{Loaded, SettingsError};
use crate::status::About;

/// How a daemon is built.
#[derive(Debug)]
pub struct DaemonOptions {
    /// Where its files are.
    pub home: Home,
    /// Where vats run.
    pub workers: WorkerMode,
    /// Whether there is a console.
    pub console: ConsoleMode,
    /// An RPC socket that is there already, and listens. It stays when the daemon ends.
    pub listener: Option<UnixListener>,
}

/// Why a daemon could not start, or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DaemonError {
    /// The home cannot be used, or somebody else uses it.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// `config.toml` cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The language model of `config.toml` cannot be used.
    #[error(transparent)]
    LanguageModel(#[from] LanguageModelError),
    /// The kernel could not start, or failed.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The operating system refused something.
    #[error("{what}: {source}")]
    System {
        /// What.
        what: String,
        /// How.
        source: std::io::Error,
    },
    /// A signal came before the start was complete.
    #[error("stopped by {0} while starting")]
    Interrupted(StopReason),
    /// The kernel did not stop in time. What it had committed is safe.
    #[error("the kernel did not stop within {} s", limits::KERNEL_STOP_MAX.as_secs())]
    StopTimeout,
}

/// Why a daemon was asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopReason {
    /// A client's `shutdown`.
    Request,
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// The kernel stopped by itself, without an error.
    Kernel,
}

impl std::fmt::Display for StopReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            StopReason::Request => "shutdown request",
            StopReason::Interrupt => "SIGINT",
            StopReason::Terminate => "SIGTERM",
            StopReason::Kernel => "the kernel",
        })
    }
}

/// The signals a daemon listens to. SIGHUP renews the log and ends nothing: a terminal that closes
/// does not end a kernel.
#[derive(Debug)]
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    home: Home,
    log: Log,
}

impl Signals {
    fn listen(home: Home, log: Log) -> std::io::Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            home,
            log,
        })
    }

    /// The next one that is to end the daemon.
    async fn next(&mut self) -> StopReason {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return StopReason::Interrupt,
                _ = self.terminate.recv() => return StopReason::Terminate,
                _ = self.hangup.recv() => self.renew_log(),
            }
        }
    }

    fn renew_log(&self) {
        let reopened = self.log.reopen();
        match Loaded::of(&self.home) {
            Ok(loaded) => {
                self.log.set(&loaded.settings.log);
                tracing::info!("SIGHUP: the log has been opened again, its settings read");
            }
            Err(error) => tracing::error!("SIGHUP: the settings stay as they were: {error}"),
        }
        if let Err(error) = reopened {
            tracing::error!("SIGHUP: the log cannot be opened again: {error}");
        }
    }
}

/// A kernel that runs on a home and answers on its socket.
#[derive(Debug)]
pub struct Daemon {
    home: Home,
    lock: HomeLock,
    kernel: KernelHandle,
    server: Server,
    shutdown: Arc<Notify>,
    signals: Signals,
    pulse: Pulse,
}

/// `Kernel` without a `Debug` of its own.
struct KernelHandle(Kernel);

impl std::fmt::Debug for KernelHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kernel")
    }
}

impl Daemon {
    /// Starts; returns once the kernel is up and the socket listens. From here to its end,
    /// every failure leaves a line in `daemon.log` (unless the log itself cannot be opened).
    pub async fn start(options: DaemonOptions) -> Result<Daemon, DaemonError> {
        options.home.prepare()?;
        let lock = options.home.lock();
        let loaded = Loaded::of(&options.home);
        let path = options.home.log();
        let log_settings = loaded.as_ref().map(|loaded| loaded.settings.log.clone());
        let mut log_settings = log_settings.unwrap_or_default();
        if lock.is_err() {
            // The log is somebody else's, who goes on writing to it: no new file is begun.
            log_settings.bytes_per_file = u64::MAX;
        }
        let log = Log::start(&path, &log_settings);
        let log = log.map_err(|source| system(path.display(), source))?;
        let started = match (lock, loaded) {
            (Ok(lock), Ok(loaded)) => Daemon::start_locked(options, lock, loaded, log).await,
            (Err(error), _) => Err(error.into()),
            (_, Err(error)) => Err(error.into()),
        };
        started.inspect_err(|error| tracing::error!("Daemon failed to start: {error}"))
    }

    async fn start_locked(
        options: DaemonOptions,
        lock: HomeLock,
        loaded: Loaded,
        log: Log,
    ) -> Result<Daemon, DaemonError> {
        let DaemonOptions { home, workers, console, listener } = options;
        tracing::info!("Starting (process {})...", std::process::id());
        let files = allow_files();
        if files < limits::OPEN_FILES_WANTED {
            tracing::warn!("the system lets this process open {files} files only");
        }
        match &loaded.file {
            Some(file) => tracing::info!("Settings: {}", file.display()),
            None => {
                tracing::info!("Settings: the defaults; {} is not there", home.config().display());
            }
        }
        let services = services(&loaded)?;
        home.write_pid(&lock)?;
        if listener.is_none() {
            home.clear_socket(&lock)?;
        }
        let mut signals =
            Signals::listen(home.clone(), log).map_err(|error| system("signals", error))?;
        let kernel_options = KernelOptions {
            store: StoreLocation::File(home.database()),
            workers,
            home: home.root().to_path_buf(),
            io: Some(console),
            services,
            allowed_globals: loaded.settings.vats.allowed_globals.clone(),
            system_subclusters: Vec::new(),
        };
        let kernel = tokio::select! {
            kernel = Kernel::start(kernel_options) => kernel,
            reason = signals.next() => Err(home.interrupted(&lock, reason))?,
        };
        let kernel = match kernel {
            Ok(kernel) => kernel,
            Err(error) => {
                home.remove_pid(&lock);
                return Err(error.into());
            }
        };
        let shutdown = Arc::new(Notify::new());
        let about = About { version: env!("CARGO_PKG_VERSION"), settings: loaded.file };
        let methods = Arc::new(Methods::new(kernel.clone(), Arc::clone(&shutdown), about));
        let socket = home.socket();
        let served = match listener {
            None => Server::listen(&socket, loaded.settings.rpc, methods),
            Some(listener) => Server::adopt(listener, loaded.settings.rpc, methods),
        };
        let server = match served {
            Ok(server) => server,
            Err(source) => {
                let _ = timeout(limits::KERNEL_STOP_MAX, kernel.stop()).await;
                home.remove_pid(&lock);
                return Err(system(socket.display(), source));
            }
        };
        tracing::info!("Daemon started. Socket: {}", socket.display());
        let pulse = Pulse::begin(kernel.clone());
        let kernel = KernelHandle(kernel);
        Ok(Daemon { home, lock, kernel, server, shutdown, signals, pulse })
    }

    /// The kernel.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel.0
    }

    /// Resolves when the daemon is to stop: a signal, a client's `shutdown`, or the kernel's end.
    pub async fn stop_asked(&mut self) -> Result<StopReason, DaemonError> {
        tokio::select! {
            reason = self.signals.next() => Ok(reason),
            () = self.shutdown.notified() => Ok(StopReason::Request),
            ended = self.kernel.0.stopped() => match ended {
                Ok(()) => Ok(StopReason::Kernel),
                Err(error) => {
                    tracing::error!("The kernel failed: {error}");
                    Err(error.into())
                }
            },
        }
    }

    /// Stops: no new clients, then the kernel, then everything else. Bounded in time, whatever
    /// clients and vats do; a second signal does not wait for the rest.
    pub async fn stop(mut self, why: &str) -> Result<(), DaemonError> {
        tracing::info!("Shutting down ({why})...");
        drop(self.pulse);
        service_manager::stopping(why);
        self.server.close();
        let stopped = tokio::select! {
            stopped = timeout(limits::KERNEL_STOP_MAX, self.kernel.0.stop()) => match stopped {
                Ok(stopped) => stopped.map_err(DaemonError::from),
                Err(_) => Err(DaemonError::StopTimeout),
            },
            reason = impatience(&mut self.signals) => {
                tracing::warn!("{reason} again: not waiting for the kernel");
                Ok(())
            }
        };
        self.server.finish().await;
        self.home.remove_pid(&self.lock);
        match &stopped {
            Ok(()) => tracing::info!("Stopped."),
            Err(error) => tracing::error!("Stopped with an error: {error}"),
        }
        stopped
    }

    /// Runs until something asks it to stop, and stops.
    pub async fn run(mut self) -> Result<(), DaemonError> {
        match self.stop_asked().await {
            Ok(reason) => self.stop(&reason.to_string()).await,
            Err(error) => {
                let _ = self.stop("the kernel failed").await;
                Err(error)
            }
        }
    }
}

/// Resolves at a signal that is no echo of the one that came before.
async fn impatience(signals: &mut Signals) -> StopReason {
    let began = Instant::now();
    loop {
        let reason = signals.next().await;
        if began.elapsed() >= limits::SIGNAL_ECHO_MAX {
            return reason;
        }
    }
}

/// Has the system let us open as many files as we want, or as many as it does; how many that are.
fn allow_files() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = limits::OPEN_FILES_WANTED;
    if limit.current.is_some_and(|now| now < wanted) {
        let raised = Some(limit.maximum.map_or(wanted, |most| most.min(wanted)));
        let asked = Rlimit { current: raised, ..limit };
        if setrlimit(Resource::Nofile, asked).is_ok() {
            limit.current = raised;
        }
    }
    limit.current.unwrap_or(u64::MAX)
}

/// What the kernel's vats may ask for, as the operator has set it.
fn services(loaded: &Loaded) -> Result<Vec<ServiceRegistration>, LanguageModelError> {
    let Some(settings) = loaded.settings.language_model.clone() else { return Ok(Vec::new()) };
    Ok(vec![ServiceRegistration {
        name: language_model::SERVICE.to_owned(),
        system_only: false,
        service: Arc::new(LanguageModel::new(settings)?),
    }])
}

impl Home {
    fn interrupted(&self, lock: &HomeLock, reason: StopReason) -> DaemonError {
        self.remove_pid(lock);
        DaemonError::Interrupted(reason)
    }
}

fn system(what: impl std::fmt::Display, source: std::io::Error) -> DaemonError {
    DaemonError::System { what: what.to_string(), source }
}
