//! The zygote: a single-threaded process, this program executed again, that prepares an engine once
//! and forks a worker from it whenever the kernel asks.
//!
//! ```text
//! kernel process --- control socket ---> zygote
//!   |  ^                                   | fork, as a sibling
//!   |  '---- connection, pidfd ----.       v
//!   '----- waits for, kills -----> worker (caged)
//! ```
//!
//! A kernel that has nothing else to do asks for a worker before it needs one. This, the *spare*, is
//! forked, enters its cage and waits for its first frame there: a worker like any other that has been
//! told nothing yet. What depends on a vat, its limits, is tightened when the vat is known. Whoever
//! wants a worker and finds the spare dead, or none, has one forked.
//!
//! Who ends when: a worker when its connection closes, when its handle is dropped, or when the
//! kernel's process dies (`PDEATHSIG`, which holds even in an endless loop). The zygote when its
//! control socket closes or the kernel's process dies. The zygote's death ends no worker; the kernel
//! starts a new zygote. The spare ends with the [`Zygote`] that asked for it. A process that embeds
//! workers must not take exit statuses of children it does not know (`waitpid(-1)`, ignored SIGCHLD):
//! how a worker ended would then be unknown.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Signal, set_parent_process_death_signal};

use crate::cage::{self, Cage, CageReport};
use crate::control::{FromZygote, ToZygote, receive, send};
use crate::engine::PreparedEngine;
use crate::exit::{EXIT_DONE, EXIT_NO_CAGE, EXIT_ORPHAN, EXIT_PROTOCOL};
use crate::fork::{self, Forked, Parent, exit_now, fork};
use crate::limits::{LAST_ANSWER_MS_MAX, SPAWN_MS_MAX, ZYGOTE_READY_MS_MAX};
use crate::memory;
use crate::nursery::{self, Corpse, bury};
use crate::serve::{Surroundings, panic_text, serve};
use crate::thread::Prepare;
use crate::worker::{WorkerControl, WorkerHandle};

/// The first argument that makes a program with [`crate::run_worker_if_asked`] a zygote.
pub const ZYGOTE_ARGUMENT: &str = "__ocap-zygote";

const STRICT: &str = "strict";
const BEST_EFFORT: &str = "best-effort";

/// Where a worker's connection is.
const CONNECTION: RawFd = 3;

/// The kernel's end of a zygote. Dropping it ends the zygote and the spare, but no worker that was
/// handed out.
#[derive(Debug)]
pub struct Zygote {
    /// In the end the reaper's too.
    line: Arc<Mutex<Line>>,
    cage: CageReport,
}

/// A zygote that prepares itself. Dropping it ends the zygote.
#[derive(Debug)]
pub struct StartingZygote(Zygote);

impl StartingZygote {
    /// Waits until it is ready.
    ///
    /// Where the cage cannot be closed this fails and says why, unless best effort was asked for.
    pub fn ready(self) -> io::Result<Zygote> {
        let StartingZygote(mut zygote) = self;
        let line = zygote.line();
        let cage = match line.receive(ZYGOTE_READY_MS_MAX)?.0 {
            FromZygote::Ready(Ok(cage)) => cage,
            FromZygote::Ready(Err(error)) => return Err(io::Error::other(error)),
            FromZygote::Spawned(_) => return Err(confused()),
        };
        drop(line);
        zygote.cage = cage;
        Ok(zygote)
    }
}

impl Zygote {
    /// Starts `executable` as a zygote and waits until it is ready; see [`StartingZygote::ready`].
    pub fn start(executable: &Path, best_effort: bool) -> io::Result<Zygote> {
        Zygote::begin(executable, best_effort)?.ready()
    }

    /// Starts `executable` as a zygote, which then prepares itself. With `best_effort`, what of the
    /// cage cannot be closed is reported, and the rest is closed.
    pub fn begin(executable: &Path, best_effort: bool) -> io::Result<StartingZygote> {
        let flags = SocketFlags::CLOEXEC;
        let (control, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        let mut command = Command::new(executable);
        command
            .arg(ZYGOTE_ARGUMENT)
            .arg(std::process::id().to_string())
            .arg(if best_effort { BEST_EFFORT } else { STRICT })
            // Vats learn nothing of the host's environment, not even its time zone.
            .env_clear()
            .env("TZ", "UTC0")
            .current_dir("/")
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null());
        let started = nursery::start(command);
        let child = started.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot start {}: {error}", executable.display()))
        })?;
        let line = Arc::new(Mutex::new(Line { control, child, ahead: None }));
        Ok(StartingZygote(Zygote { line, cage: CageReport::default() }))
    }

    /// What of the cage holds here.
    pub fn cage(&self) -> &CageReport {
        &self.cage
    }

    /// Whether the zygote still runs. If not, a new one is to be started.
    pub fn is_alive(&self) -> bool {
        matches!(self.line().child.try_wait(), Ok(None))
    }

    /// The zygote's process id.
    pub fn pid(&self) -> u32 {
        self.line().child.id()
    }

    /// The process id of the spare worker, if there is one. Waits until it has been forked.
    pub fn spare_pid(&self) -> Option<u32> {
        let mut line = self.line();
        let spare = line.take_spare().ok()??;
        let pid = spare.pid();
        line.ahead = Some(Ahead::There(spare));
        pid
    }

    /// Has a spare forked, if there is none, and does not wait for it. If it cannot be had, whoever
    /// needs a worker will learn why.
    pub fn replenish(&self) {
        let mut line = self.line();
        if line.ahead.is_none() {
            line.ahead = line.ask().ok().map(Ahead::Asked);
        }
    }

    /// Hands out a worker, the spare if there is one. It is in its cage, or on its way there, and
    /// waits for its first frame. After an error of kind `BrokenPipe`, `TimedOut` or
    /// `InvalidData` the zygote is of no use any more.
    pub fn spawn(&self) -> io::Result<WorkerHandle> {
        let mut line = self.line();
        match line.take_spare()? {
            Some(spare) => Ok(spare),
            None => line.fork(),
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Zygote {
    fn drop(&mut self) {
        bury(Corpse::Zygote(Arc::clone(&self.line)));
    }
}

/// The zygote's process, the control socket, and what has been asked over it.
#[derive(Debug)]
pub(crate) struct Line {
    control: OwnedFd,
    child: Child,
    ahead: Option<Ahead>,
}

/// The spare.
#[derive(Debug)]
enum Ahead {
    /// Our end of the connection of one that was asked for; the answer has not been read.
    Asked(UnixStream),
    /// It is there.
    There(WorkerHandle),
}

impl Line {
    /// The spare, if there is one and it lives.
    fn take_spare(&mut self) -> io::Result<Option<WorkerHandle>> {
        let spare = match self.ahead.take() {
            None => return Ok(None),
            Some(Ahead::There(spare)) => spare,
            Some(Ahead::Asked(stream)) => match self.answer(stream, SPAWN_MS_MAX)? {
                Ok(spare) => spare,
                // Perhaps there is more room by now.
                Err(_) => return Ok(None),
            },
        };
        Ok(spare.exit_reason().is_none().then_some(spare))
    }

    /// A worker that is forked now.
    fn fork(&mut self) -> io::Result<WorkerHandle> {
        let stream = self.ask()?;
        self.answer(stream, SPAWN_MS_MAX)?.map_err(io::Error::other)
    }

    /// Asks for a worker: our end of its connection. The answer must be read before the next one is
    /// asked for.
    fn ask(&self) -> io::Result<UnixStream> {
        let (stream, theirs) = UnixStream::pair()?;
        stream.set_nonblocking(true)?;
        send(&self.control, &ToZygote::Spawn, Some(theirs.as_fd())).map_err(|_| gone())?;
        Ok(stream)
    }

    /// Waits for the worker that was asked for, or for why there is none. A zygote that does not
    /// answer as it should is ended: what it says later would be taken for another answer.
    fn answer(
        &mut self,
        stream: UnixStream,
        patience_ms: u64,
    ) -> io::Result<Result<WorkerHandle, String>> {
        let answer = self.receive(patience_ms).inspect_err(|_| self.kill())?;
        match answer {
            (FromZygote::Spawned(Ok(pid)), Some(pidfd)) => {
                Ok(Ok(WorkerHandle { stream, control: WorkerControl::process(pid, pidfd) }))
            }
            (FromZygote::Spawned(Err(error)), _) => Ok(Err(error)),
            _ => {
                self.kill();
                Err(confused())
            }
        }
    }

    fn receive(&self, patience_ms: u64) -> io::Result<(FromZygote, Option<OwnedFd>)> {
        receive_within(self.control.as_fd(), patience_ms)
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
    }

    /// Ends the zygote and the spare, and waits until they are gone. Also a spare that is being
    /// forked right now is a child of this process that somebody has to wait for.
    pub(crate) fn end(&mut self) {
        if let Some(Ahead::Asked(stream)) = self.ahead.take() {
            drop(self.answer(stream, LAST_ANSWER_MS_MAX));
        }
        self.kill();
        let _ = self.child.wait();
    }
}

fn receive_within(
    control: BorrowedFd<'_>,
    patience_ms: u64,
) -> io::Result<(FromZygote, Option<OwnedFd>)> {
    set_socket_timeout(control, Timeout::Recv, Some(Duration::from_millis(patience_ms)))?;
    match receive(control) {
        Ok(Some(message)) => Ok(message),
        Ok(None) => Err(gone()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(io::Error::new(io::ErrorKind::TimedOut, "the zygote does not answer"))
        }
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Err(gone()),
        Err(error) => Err(error),
    }
}

fn gone() -> io::Error {
    io::Error::new(
        io::ErrorKind::BrokenPipe,
        "the zygote is gone (is the program one that calls run_worker_if_asked?)",
    )
}

fn confused() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the zygote answered something else")
}

/// Becomes a zygote if the program's arguments say so, and then does not return.
pub(crate) fn run_if_asked(prepare: Prepare) {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().as_deref() == Some(OsStr::new(ZYGOTE_ARGUMENT)) {
        let code = run(arguments, prepare).map_or(EXIT_PROTOCOL, |()| EXIT_DONE);
        exit_now(code);
    }
}

/// What every worker needs to know of where it was forked.
struct Home {
    control: OwnedFd,
    null: OwnedFd,
    kernel: i32,
    cage: Cage,
}

fn run(mut arguments: impl Iterator<Item = OsString>, prepare: Prepare) -> io::Result<()> {
    let mut argument = || arguments.next().and_then(|a| a.into_string().ok()).unwrap_or_default();
    let kernel = argument().parse().unwrap_or(-1);
    let best_effort = argument() == BEST_EFFORT;
    follow(kernel);
    let home = settle_in(kernel, best_effort)?;
    let trial = Trial::begin(&home.cage);
    let ready = prepare_engine(prepare).and_then(|prepared| {
        let report = trial.and_then(Trial::end).unwrap_or_else(|error| Err(error.to_string()));
        Ok((prepared, report.map_err(|error| no_cage(&error))?))
    });
    let (prepared, report) = match ready {
        Ok(ready) => ready,
        Err(error) => {
            return send(&home.control, &FromZygote::Ready(Err(error)), None);
        }
    };
    memory::fill_holes();
    send(&home.control, &FromZygote::Ready(Ok(report)), None)?;
    serve_spawns(&home, prepared)
}

fn serve_spawns(home: &Home, prepared: Box<dyn PreparedEngine>) -> io::Result<()> {
    while let Some((ToZygote::Spawn, connection)) = receive(&home.control)? {
        let Some(connection) = connection else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        match fork(Parent::Sibling) {
            Ok(Forked::Child) => become_worker(home, connection, prepared),
            Ok(Forked::Parent { pid, pidfd }) => {
                send(&home.control, &FromZygote::Spawned(Ok(pid)), Some(pidfd.as_fd()))?;
            }
            Err(error) => {
                let error = format!("cannot fork a worker: {error}");
                send(&home.control, &FromZygote::Spawned(Err(error)), None)?;
            }
        }
    }
    Ok(())
}

/// Dies with the kernel; at once if it is dead already.
fn follow(kernel: i32) {
    let follows = set_parent_process_death_signal(Some(Signal::KILL)).is_ok();
    let parent = rustix::process::getppid().map(|parent| parent.as_raw_nonzero().get());
    if !follows || parent != Some(kernel) {
        exit_now(EXIT_ORPHAN);
    }
}

/// Puts the process into the state that workers are to inherit.
fn settle_in(kernel: i32, best_effort: bool) -> io::Result<Home> {
    // Away from the terminal: Ctrl-C is the kernel's to handle.
    let _ = rustix::process::setsid();
    let _ = rustix::thread::set_name(c"ocap-zygote");
    fork::reset_signals();
    // A huge page would be copied whole for every worker that writes one byte of it.
    rustix::thread::disable_transparent_huge_pages(true)?;
    // When memory runs out, a worker is to go before the kernel. Making oneself a candidate needs no privilege.
    let _ = std::fs::write("/proc/self/oom_score_adj", "300");
    memory::settle();
    // High, so that a connection can be put below.
    let control = rustix::io::fcntl_dupfd_cloexec(io::stdin(), 10)?;
    let null = File::options().read(true).write(true).open("/dev/null")?;
    let null = rustix::io::fcntl_dupfd_cloexec(&null, 10)?;
    fork::place(null.as_fd(), 0)?;
    fork::place(null.as_fd(), 1)?;
    Ok(Home { control, null, kernel, cage: Cage::new(best_effort) })
}

fn prepare_engine(prepare: Prepare) -> Result<Box<dyn PreparedEngine>, String> {
    catch_unwind(AssertUnwindSafe(prepare))
        .unwrap_or_else(|panic| Err(panic_text(panic.as_ref())))
        .map_err(|error| format!("the engine cannot be prepared: {error}"))
}

/// A child that tries the cage.
struct Trial {
    report: OwnedFd,
    child: OwnedFd,
}

impl Trial {
    /// Has a child try, while this process goes on.
    fn begin(cage: &Cage) -> io::Result<Trial> {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        let Forked::Parent { pidfd, .. } = fork(Parent::Own)? else {
            let report = cage.enter();
            let sent = send(&theirs, &report, None);
            exit_now(sent.map_or(EXIT_PROTOCOL, |()| EXIT_DONE));
        };
        Ok(Trial { report: ours, child: pidfd })
    }

    /// What the cage is like, or why it cannot be closed.
    fn end(self) -> io::Result<Result<CageReport, String>> {
        let report = receive(&self.report)?;
        let ended = fork::ended(&self.child, true);
        Ok(report.map_or_else(
            || Err(ended.map_or_else(String::new, |e| e.to_string())),
            |(report, _)| report,
        ))
    }
}

fn no_cage(error: &str) -> String {
    format!(
        "vats cannot be caged on this machine: {error}. To run them with what there is, say \
         --cage=best-effort"
    )
}

/// What a freshly forked worker does, to its end.
fn become_worker(home: &Home, connection: OwnedFd, prepared: Box<dyn PreparedEngine>) -> ! {
    follow(home.kernel);
    let _ = rustix::thread::set_name(c"ocap-worker");
    let Ok(stream) = keep_only(home, connection) else { exit_now(EXIT_NO_CAGE) };
    if home.cage.enter().is_err() {
        exit_now(EXIT_NO_CAGE);
    }
    memory::exit_when_exhausted();
    exit_now(serve(stream, prepared, Box::new(InProcess)))
}

/// Closes every descriptor but the connection and three times `/dev/null`.
fn keep_only(home: &Home, connection: OwnedFd) -> io::Result<UnixStream> {
    fork::place(home.null.as_fd(), 2)?;
    fork::place(connection.as_fd(), CONNECTION)?;
    // Owned by number only from here on: it is `CONNECTION` itself, or is closed with the rest.
    let _ = connection.into_raw_fd();
    debug_assert!(home.control.as_raw_fd() > CONNECTION);
    // SAFETY: what owns a descriptor here is `home`, and this process ends without using or
    // dropping it again.
    unsafe { fork::close_from(CONNECTION + 1)? };
    // SAFETY: placed there above, and owned by nothing else.
    Ok(unsafe { UnixStream::from_raw_fd(CONNECTION) })
}

struct InProcess;

impl Surroundings for InProcess {
    fn limit(&self, heap_bytes_max: u64) -> io::Result<()> {
        cage::limit_memory(heap_bytes_max)
    }

    fn end(&self, code: i32) {
        exit_now(code);
    }

    fn may_overflow(&self) -> bool {
        true
    }
}
