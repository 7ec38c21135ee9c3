//! What a service manager such as systemd is told, and what it may have given: the socket to listen
//! on. Without one, nothing of this does anything.
//!
//! The main items in this module are [`inherited_listener`] and [`Pulse`].

use std::fmt::Write as _;
use std::io;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use listenfd::ListenFd;
use ocap_kernel::{ChannelCondition, ErrorKind, Kernel, Status, VatCondition};
use sd_notify::NotifyState;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::limits;

/// The RPC socket, if this process was started with one that listens (`LISTEN_FDS`). To be called
/// before there is a second thread: it takes variables out of the environment.
///
/// # Errors
/// There is something else in its place, or there is more than one.
pub fn inherited_listener() -> io::Result<Option<UnixListener>> {
    let mut given = ListenFd::from_env();
    if given.len() > 1 {
        let message = format!("{} sockets were passed (LISTEN_FDS); pass one", given.len());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let Some(listener) = given.take_unix_listener(0)? else { return Ok(None) };
    // A descriptor that does not listen would fail at the first client, long after the start.
    if !rustix::net::sockopt::socket_acceptconn(&listener)? {
        let message = "the socket that was passed (LISTEN_FDS) does not listen";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    Ok(Some(listener))
}

/// Tells the service manager that it goes well, until dropped: what runs, as a line for people, and
/// a sign of life of the kernel for the watchdog, if there is one.
#[derive(Debug)]
pub(crate) struct Pulse(JoinHandle<()>);

impl Drop for Pulse {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Pulse {
    /// Says that the daemon is ready, and begins to report.
    pub(crate) fn begin(kernel: Kernel) -> Pulse {
        notify(&[NotifyState::Ready]);
        let watchdog = sd_notify::watchdog_enabled().map(|time| time / 2);
        Pulse(tokio::spawn(report(kernel, watchdog)))
    }
}

/// The daemon is about to stop.
pub(crate) fn stopping(why: &str) {
    notify(&[NotifyState::Stopping, NotifyState::Status(&format!("Stopping ({why})"))]);
}

async fn report(kernel: Kernel, watchdog: Option<Duration>) {
    let period = watchdog.unwrap_or(limits::REPORT_PERIOD).min(limits::REPORT_PERIOD);
    let mut ticks = interval(period.max(limits::REPORT_PERIOD_MIN));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = String::new();
    loop {
        ticks.tick().await;
        // The answer comes from the thread that does everything: if it comes, the kernel lives.
        let text = match timeout(period, kernel.status()).await {
            Ok(Ok(status)) => summary(&status),
            Ok(Err(error)) if error.kind == ErrorKind::Stopped => return,
            Ok(Err(error)) => error.message,
            Err(_) => {
                tracing::warn!("the kernel has not answered within {} ms", period.as_millis());
                continue;
            }
        };
        if watchdog.is_some() {
            notify(&[NotifyState::Watchdog]);
        }
        if text != last {
            notify(&[NotifyState::Status(&text)]);
            last = text;
        }
    }
}

/// Nobody to tell, or nobody who listens, is no reason to fail.
fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!("the service manager cannot be told: {error}");
    }
}

/// What runs, in a line.
fn summary(status: &Status) -> String {
    let out = |condition: &VatCondition| {
        matches!(condition, VatCondition::Failed { .. } | VatCondition::Suspended { .. })
    };
    let vats_out = status.vats.iter().filter(|vat| out(&vat.condition)).count();
    let away =
        |condition: &ChannelCondition| matches!(condition, ChannelCondition::Unavailable { .. });
    let channels_away = status.channels.iter().filter(|c| away(&c.condition)).count();
    let mut text = count(status.subclusters.len(), "cluster");
    let _ = write!(text, ", {}", count(status.vats.len(), "vat"));
    if vats_out > 0 {
        let _ = write!(text, " ({vats_out} failed or suspended)");
    }
    let _ = write!(text, ", {}", count(status.channels.len(), "channel"));
    if channels_away > 0 {
        let _ = write!(text, " ({channels_away} unavailable)");
    }
    text
}

fn count(number: usize, what: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {what}{ending}")
}
