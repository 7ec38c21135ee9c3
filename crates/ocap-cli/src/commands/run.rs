//! `ocap run`: a kernel in the foreground, with this terminal as its console.

use std::path::{Path, PathBuf};

use clap::Args;
use ocap_daemon::home::display;
use ocap_daemon::{Daemon, DaemonError, DaemonOptions, Home, HomeError};
use ocap_kernel::{ChannelCondition, Comparison, ConsoleMode, Kernel, KernelError, LaunchRequest};
use ocap_types::config::IoKind;
use ocap_types::{KRef, SubclusterId};

use crate::args::Cage;
use crate::background::block_on;
use crate::cluster_file::{self, ClusterFile};
use crate::failure::Failure;
use crate::output::{printable, say};
use crate::source_watch::SourceWatch;

mod reload;

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The cluster's config
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Name of the cluster [default: the config's `name`, else the name of the file's folder]
    #[arg(long)]
    name: Option<String>,
    /// End a stored cluster of that name, with all its state, if it differs
    #[arg(long)]
    replace: bool,
    /// Give vats of a stored cluster whose code has changed the new code; they keep their state
    #[arg(long, conflicts_with = "replace")]
    update: bool,
    /// The same, now and whenever the code changes
    #[arg(long, conflicts_with = "replace")]
    watch: bool,
    /// How vats are confined
    #[arg(long, value_enum, default_value_t)]
    cage: Cage,
}

impl Run {
    /// Launches the cluster of a file under its name, or resumes it; runs until told to stop.
    pub(crate) fn carry_out(self, home: &Home) -> Result<(), Failure> {
        let file = cluster_file::read(&self.file)?;
        let name = self.name.clone().or_else(|| file.config.name.clone());
        let name = name.or_else(|| file.folder_name()).ok_or_else(|| {
            let shown = self.file.display();
            Failure::new(format!("{shown}: no name to launch it under; give --name"))
        })?;
        block_on(run_named(home.clone(), &self, file, name))
    }
}

async fn run_named(
    home: Home,
    options: &Run,
    file: ClusterFile,
    name: String,
) -> Result<(), Failure> {
    let shown_home = display(home.root());
    let workers = options.cage.workers();
    let daemon_options =
        DaemonOptions { home, workers, console: ConsoleMode::Stdio, listener: None };
    let mut daemon = Daemon::start(daemon_options).await.map_err(|error| match error {
        DaemonError::Home(HomeError::Held { .. }) => Failure::new(format!(
            "{error}; `ocap launch {}` launches into the running one",
            options.file.display()
        )),
        other => other.into(),
    })?;
    let kernel = daemon.kernel().clone();
    // Before the code is read: what changes from now on is noticed.
    let watched = options.watch.then(|| SourceWatch::start(reload::folders(&file)));
    let request = file.request(&name);
    let work = enter(&kernel, options, request.clone(), &name);
    let entered = tokio::select! {
        entered = work => entered,
        asked = daemon.stop_asked() => {
            let reason = asked?;
            say("Stopping before the cluster was there...");
            daemon.stop(&reason.to_string()).await?;
            return Ok(());
        }
    };
    if let Err(failure) = entered {
        let stopped = daemon.stop("the cluster could not be launched or resumed").await;
        return Err(match stopped {
            Ok(()) => failure,
            Err(error) => failure.and(error),
        });
    }
    tell_channels(&kernel).await;
    say(&format!("Home: {shown_home}. Ctrl-C stops; the same command goes on from there."));
    let reason = match watched {
        None => daemon.stop_asked().await?,
        Some(watch) => {
            let work = reload::keep_up(&kernel, &options.file, request, watch?);
            tokio::select! {
                asked = daemon.stop_asked() => asked?,
                failed = work => {
                    say(&format!("Not watching any more: {}", failed.text()));
                    daemon.stop_asked().await?
                }
            }
        }
    };
    say(&format!("Stopping ({reason})..."));
    daemon.stop(&reason.to_string()).await?;
    say("Stopped.");
    Ok(())
}

fn of_kernel(error: KernelError) -> Failure {
    Failure::new(error.message)
}

/// Makes sure that the cluster is there, and says how.
async fn enter(
    kernel: &Kernel,
    options: &Run,
    request: LaunchRequest,
    name: &str,
) -> Result<(), Failure> {
    let status = kernel.status().await.map_err(of_kernel)?;
    let stored = status.subclusters.iter().find(|known| known.name.as_deref() == Some(name));
    let Some(stored) = stored else { return launch(kernel, request, name).await };
    let compared = kernel.compare(stored.id, request.clone()).await.map_err(of_kernel)?;
    let Some(difference) = difference(&compared) else {
        resumed(stored.id, stored.root_kref, name, &status.vats);
        return Ok(());
    };
    if matches!(compared, Comparison::CodeDiffers(_)) && (options.update || options.watch) {
        resumed(stored.id, stored.root_kref, name, &status.vats);
        return reload::update(kernel, stored.id, request).await;
    }
    if !options.replace {
        let code_only = matches!(compared, Comparison::CodeDiffers(_));
        return Err(differs(&options.file, name, stored.id, &difference, code_only));
    }
    say(&format!(
        "Ending {} ({}): {difference}, and --replace was given.",
        printable(name),
        stored.id
    ));
    kernel.terminate_subcluster(stored.id).await.map_err(of_kernel)?;
    launch(kernel, request, name).await
}

/// What is not as stored.
fn difference(compared: &Comparison) -> Option<String> {
    match compared {
        Comparison::Same => None,
        Comparison::ConfigDiffers => Some("its config has changed".to_owned()),
        Comparison::CodeDiffers(vat) => Some(format!("the code of its vat {vat} has changed")),
    }
}

fn differs(
    file: &Path,
    name: &str,
    id: SubclusterId,
    difference: &str,
    code_only: bool,
) -> Failure {
    let update = if code_only { " --update to give its vats the new code," } else { "" };
    Failure::new(format!(
        "a cluster named {name} ({id}) is stored already, and {difference} in {}.\n\
         Give --name OTHER to launch this one beside it,{update} or --replace to end the stored \
         one, with all its state, and launch this one.",
        file.display()
    ))
}

async fn launch(kernel: &Kernel, request: LaunchRequest, name: &str) -> Result<(), Failure> {
    let launched = kernel.launch(request).await;
    let launched = launched.map_err(|error| of_kernel(error).of_launch())?;
    let (id, root) = (launched.subcluster, launched.root);
    say(&format!("Launched {} as {id}, root {root}.", printable(name)));
    Ok(())
}

fn resumed(id: SubclusterId, root: KRef, name: &str, vats: &[ocap_kernel::VatStatus]) {
    say(&format!("Resumed {} as {id}, root {root}.", printable(name)));
    for vat in vats.iter().filter(|vat| vat.subcluster_id == id) {
        let (state, reason) = match &vat.condition {
            ocap_kernel::VatCondition::Failed { reason } => ("has failed", reason),
            ocap_kernel::VatCondition::Suspended { reason } => ("is suspended", reason),
            _ => continue,
        };
        say(&format!(
            "Vat {} ({}) {state}: {}. `ocap daemon exec restartVat '{{\"id\":\"{}\"}}'` tries again.",
            printable(&vat.name),
            vat.id,
            printable(reason),
            vat.id
        ));
    }
}

/// Says where the channels are.
async fn tell_channels(kernel: &Kernel) {
    let Ok(status) = kernel.status().await else { return };
    for channel in &status.channels {
        let place = match &channel.config.kind {
            IoKind::Console => "this terminal".to_owned(),
            IoKind::Listen { hostport } | IoKind::Network { hostport } => hostport.clone(),
            IoKind::File { path } | IoKind::Socket { path } => path.clone(),
        };
        let condition = match &channel.condition {
            ChannelCondition::Unavailable { reason, .. } => format!("unavailable: {reason}"),
            ChannelCondition::Opening => "opening".to_owned(),
            ChannelCondition::Listening => "listening".to_owned(),
            ChannelCondition::Connected => "connected".to_owned(),
            ChannelCondition::Closed => "closed".to_owned(),
            ChannelCondition::Connecting { reason: None, .. } => "connecting".to_owned(),
            ChannelCondition::Connecting { reason: Some(reason), .. } => {
                format!("connecting: {reason}")
            }
        };
        say(&printable(&format!("Channel {} ({place}): {condition}", channel.name)));
    }
}
