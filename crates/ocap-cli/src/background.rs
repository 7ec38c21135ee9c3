//! The kernel in the background: finding it, starting it, asking it, ending it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use ocap_daemon::Home;
use ocap_daemon::client::{self, ClientError, Session, Terms};
use ocap_daemon::home::display;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::args::Cage;
use crate::failure::Failure;
use crate::limits;
use crate::output::say;
use crate::waiting::Waiting;

/// Whether a kernel answers on the home.
fn answers(home: &Home) -> Result<bool, Failure> {
    let pong = client::call(&home.socket(), "getStatus", &json!([]), Some(limits::PING_TIME_MAX));
    match pong {
        Ok(_) | Err(ClientError::Rpc(_)) => Ok(true),
        Err(ClientError::Absent { .. } | ClientError::Broken(_)) => Ok(false),
        Err(ClientError::Timeout) => Err(silent(home)),
        Err(error) => Err(error.into()),
    }
}

/// Of a kernel that should answer at once, and does not.
fn silent(home: &Home) -> Failure {
    Failure::new(format!(
        "the kernel on {} does not answer; try again, or `ocap daemon stop`",
        display(home.root())
    ))
}

/// Starts a kernel in the background unless one runs, and waits until it answers.
pub(crate) fn ensure_running(home: &Home, cage: Cage) -> Result<(), Failure> {
    if answers(home)? {
        return Ok(());
    }
    home.prepare()?;
    let log_start = std::fs::metadata(home.log()).map_or(0, |metadata| metadata.len());
    let deadline = Instant::now() + limits::START_TIME_MAX;
    // If somebody else is about to start one, theirs is as good as ours.
    let mut child = None;
    if !home.is_held() {
        say("Starting daemon...");
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("daemon").arg("serve").arg("--cage").arg(cage.as_str());
        command.arg("--home").arg(home.root());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        child = Some(command.spawn()?);
    }
    while Instant::now() < deadline {
        if answers(home)? {
            if child.is_some() {
                say("Daemon ready.");
            }
            return Ok(());
        }
        let ended = match &mut child {
            Some(child) => child.try_wait()?.is_some(),
            None => true,
        };
        if ended && !home.is_held() && !answers(home)? {
            let why = log_error(home, log_start).unwrap_or_else(|| "no reason known".to_owned());
            return Err(Failure::new(format!(
                "the daemon did not start: {why} (more in {})",
                display(&home.log())
            )));
        }
        sleep(limits::START_POLL);
    }
    Err(Failure::new(format!(
        "Daemon did not start within {}s; see {}",
        limits::START_TIME_MAX.as_secs(),
        display(&home.log())
    )))
}

/// The last error the log got since it was `start` bytes long.
fn log_error(home: &Home, start: u64) -> Option<String> {
    let mut file = File::open(home.log()).ok()?;
    let length = file.metadata().ok()?.len();
    let start = if start > length { 0 } else { start };
    file.seek(SeekFrom::Start(start.max(length.saturating_sub(limits::LOG_TAIL_BYTES_MAX))))
        .ok()?;
    let mut bytes = Vec::new();
    file.take(limits::LOG_TAIL_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let said = text.lines().rev().find_map(error_in)?;
    Some(said.trim_start_matches("Daemon failed to start: ").to_owned())
}

/// What a line of the log says if it is an error, without time, level and module.
fn error_in(line: &str) -> Option<String> {
    if line.starts_with('{') {
        let event: Value = serde_json::from_str(line).ok()?;
        let message = event["fields"]["message"].as_str()?;
        return (event["level"] == "ERROR").then(|| message.to_owned());
    }
    let (time, said) = line.split_once(" ERROR ")?;
    // What follows an event's first line is indented, and may say anything.
    if time.contains(' ') {
        return None;
    }
    Some(said.split_once(": ").map_or(said, |(_, said)| said).to_owned())
}

/// Sends a request to the kernel on the home, starting it if needed.
pub(crate) fn call(
    home: &Home,
    method: &str,
    params: &Value,
    time: Option<Duration>,
) -> Result<Value, Failure> {
    ensure_running(home, Cage::default())?;
    call_running(home, method, params, time)
}

/// Sends a request that must not happen twice to the kernel on the home, starting it if needed. If
/// the answer is lost on its way, and a kernel is there, asks that for it: by the key that the
/// request goes under, it knows whether it has taken it on.
pub(crate) fn call_once(
    home: &Home,
    method: &str,
    params: &Value,
    time: Option<Duration>,
) -> Result<Value, Failure> {
    ensure_running(home, Cage::default())?;
    let _waiting = Waiting::of("Waiting for the answer...");
    let key = fresh_key()?;
    let ask = || {
        let mut session = Session::open(&home.socket(), time)?;
        let terms = Terms { idempotency_key: Some(&key), ..Terms::default() };
        let asked = session.ask(method, params, terms)?;
        session.outcome(asked, time)
    };
    let lost = match ask() {
        Err(error @ ClientError::Broken(_)) => error,
        outcome => return Ok(outcome?),
    };
    // One that was told to stop is not started again for this.
    let deadline = Instant::now() + limits::LOST_ANSWER_TIME_MAX;
    while Instant::now() < deadline {
        match ask() {
            Err(ClientError::Absent { .. } | ClientError::Broken(_)) => sleep(limits::RETRY_PAUSE),
            outcome => return Ok(outcome?),
        }
    }
    Err(lost.into())
}

/// A key that no other request has.
fn fresh_key() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

/// Sends a request to the kernel that runs on the home.
pub(crate) fn call_running(
    home: &Home,
    method: &str,
    params: &Value,
    time: Option<Duration>,
) -> Result<Value, Failure> {
    ask_running(home, method, params, time).map_err(|error| of_running(home, error))
}

/// Asks the kernel that runs on the home how it is, which it answers at once if it can.
pub(crate) fn status_of_running(home: &Home) -> Result<Value, Failure> {
    let asked = ask_running(home, "getStatus", &json!([]), Some(limits::PING_TIME_MAX));
    asked.map_err(|error| match error {
        ClientError::Timeout => silent(home),
        other => of_running(home, other),
    })
}

fn ask_running(
    home: &Home,
    method: &str,
    params: &Value,
    time: Option<Duration>,
) -> Result<Value, ClientError> {
    let _waiting = Waiting::of("Waiting for the kernel...");
    match client::call(&home.socket(), method, params, time) {
        // Certainly not carried out, so it may be tried again.
        Err(ClientError::Absent { .. }) => sleep(limits::RETRY_PAUSE),
        other => return other,
    }
    client::call(&home.socket(), method, params, time)
}

fn of_running(home: &Home, error: ClientError) -> Failure {
    match error {
        ClientError::Absent { .. } => Failure::new(format!(
            "no kernel runs on {}; start one with `ocap daemon start` or `ocap run FILE`",
            display(home.root())
        )),
        other => other.into(),
    }
}

/// Ends the kernel that runs on the home: asks it, tells it, and kills it.
pub(crate) fn stop_running(home: &Home) -> Result<(), Failure> {
    let asked =
        client::call(&home.socket(), "shutdown", &json!([]), Some(limits::SHUTDOWN_CALL_MAX));
    let stopped = (asked.is_ok() && gone_within(home, limits::SHUTDOWN_TIME_MAX))
        || (home.signal(Signal::TERM)? && gone_within(home, limits::TERMINATE_TIME_MAX))
        || (home.signal(Signal::KILL)? && gone_within(home, limits::KILL_TIME_MAX))
        || !home.is_held();
    if !stopped {
        return Err(Failure::new("Daemon did not stop within timeout."));
    }
    tidy(home);
    Ok(())
}

fn gone_within(home: &Home, time: Duration) -> bool {
    let deadline = Instant::now() + time;
    while home.is_held() {
        if Instant::now() >= deadline {
            return false;
        }
        sleep(limits::START_POLL);
    }
    true
}

/// Removes what a kernel that was killed has left: its pid file and its socket. A socket that
/// somebody listens on stays: a service manager may hold it for the next kernel.
pub(crate) fn tidy(home: &Home) {
    // Without the pid file the last kernel has cared for everything itself. To look at the socket
    // could start one.
    if home.pid_file().exists() {
        // Whoever has the lock now cares for these files themselves.
        if let Ok(lock) = home.lock() {
            home.remove_pid(&lock);
            let _ = home.clear_socket(&lock);
        }
    }
}

/// Runs a kernel's future; what is left of it afterwards ends with the process.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    // Whatever is created from here on is nobody else's business.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(future);
    runtime.shutdown_background();
    outcome
}
