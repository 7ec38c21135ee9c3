//! What a service manager such as systemd is told, and what it may have given: the socket to listen
//! on. Without one, nothing of this does anything.
//!
//! The main items in this module are [`inherited_listener`] and [`Pulse`]. Telling never waits: a
//! manager that does not read what it is sent must not hold up the daemon, least of all its end. The
//! usual libraries wait.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::time::Duration;

use listenfd::ListenFd;
use ocap_kernel::{ChannelCondition, ErrorKind, Kernel, Status, VatCondition};
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
        Pulse(tokio::spawn(report(kernel, watchdog().map(|time| time / 2))))
    }
}

/// The daemon is about to stop.
pub(crate) fn stopping(why: &str) {
    tell(&format!("STOPPING=1\nSTATUS=Stopping ({why})\n"));
}

async fn report(kernel: Kernel, watchdog: Option<Duration>) {
    let period = watchdog.unwrap_or(limits::REPORT_PERIOD).min(limits::REPORT_PERIOD);
    let mut ticks = interval(period.max(limits::REPORT_PERIOD_MIN));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut last, mut told) = (String::new(), false);
    loop {
        // That it is ready has to arrive, and so is told until it does.
        told = told || tell("READY=1\n");
        ticks.tick().await;
        // The answer comes from the thread that does everything: if it comes, the kernel lives.
        let text = match timeout(period, kernel.status()).await {
            Ok(Ok(status)) => summary(&status),
            Ok(Err(error)) if error.kind == ErrorKind::Stopped => return,
            Ok(Err(error)) => error.message.replace('\n', " "),
            Err(_) => {
                tracing::warn!("the kernel has not answered within {} ms", period.as_millis());
                continue;
            }
        };
        if watchdog.is_some() {
            tell("WATCHDOG=1\n");
        }
        if text != last && tell(&format!("STATUS={text}\n")) {
            last = text;
        }
    }
}

/// Whether there is nothing more to tell: it has been told, or there is nobody.
fn tell(text: &str) -> bool {
    let Some(address) = std::env::var_os("NOTIFY_SOCKET") else { return true };
    let told = send(&address, text);
    told.inspect_err(|error| tracing::debug!("the service manager cannot be told: {error}")).is_ok()
}

fn send(address: &OsStr, text: &str) -> io::Result<()> {
    let address = match address.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        path => SocketAddr::from_pathname(OsStr::from_bytes(path))?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.send_to_addr(text.as_bytes(), &address).map(|_| ())
}

/// How long the service manager waits for a sign of life, if it does.
fn watchdog() -> Option<Duration> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
    number("WATCHDOG_USEC").filter(|micros| ours && *micros > 0).map(Duration::from_micros)
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
