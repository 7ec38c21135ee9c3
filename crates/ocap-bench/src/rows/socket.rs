//! The daemon's RPC socket: how fast it says how the kernel is, and to honest clients while others
//! misbehave.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ocap_daemon::client::{Session, Terms};
use ocap_daemon::{Daemon, DaemonOptions, Home};
use ocap_kernel::{ConsoleMode, WorkerMode};
use serde_json::json;

use crate::Failure;
use crate::limits;
use crate::report::{Report, Row};
use crate::rig::Rig;
use crate::sample::{per_second, percentile, rate, seconds};

/// Clients that ask honestly, at the same time.
const HONEST: u32 = 4;

/// Connections that say half a request and then next to nothing.
const SLOW: u32 = 900;

/// Clients that send lines without an end.
const ENDLESS: u32 = 4;

/// What honest clients ask per second, all together.
const PACE: u32 = 10_000;

/// For threads; the kernel's highest number.
const LOWEST_PRIORITY: i32 = 19;

pub(crate) async fn add(rig: &Rig, report: &mut Report) {
    let row = Row {
        name: "getStatus over the daemon's socket: in sessions / a connection each",
        reference: "-",
        aim: "10,000 per s",
    };
    report.add(row, speed(rig)).await;
    let row = Row {
        name: "p99 of 10,000 getStatus a second: alone / beside 900 slow clients, 4 with endless lines and garbage (time to stop in the middle of it)",
        reference: "-",
        aim: "twice as long (3 s)",
    };
    report.add(row, company(rig)).await;
}

async fn start(rig: &Rig) -> Result<(Daemon, PathBuf), Failure> {
    let home = Home::at(&rig.home()?)?;
    let socket = home.socket();
    let workers = WorkerMode::Process { executable: None, best_effort: false };
    let console = ConsoleMode::Unavailable("a benchmark has none".to_owned());
    let daemon = Daemon::start(DaemonOptions { home, workers, console, listener: None }).await?;
    Ok((daemon, socket))
}

async fn speed(rig: &Rig) -> Result<String, Failure> {
    let (daemon, socket) = start(rig).await?;
    let count = rig.scaled(100_000, 10_000);
    let sessions = honest(&socket, count, in_session).await?;
    let single = honest(&socket, count, one_by_one).await?;
    daemon.stop("the benchmark is over").await?;
    Ok(format!("{} / {}", per_second(sessions.rate), per_second(single.rate)))
}

async fn company(rig: &Rig) -> Result<String, Failure> {
    let (daemon, socket) = start(rig).await?;
    let count = rig.scaled(100_000, 10_000);
    let alone = honest(&socket, count, paced).await?;
    let over = Arc::new(AtomicBool::new(false));
    let mut slow = Vec::new();
    for _ in 0..SLOW {
        let mut stream = UnixStream::connect(&socket)?;
        stream.write_all(b"{\"id\":1,\"method\":\"get")?;
        slow.push(stream);
    }
    let mut crowd = vec![bad(&socket, &over, move |_, over| trickle(slow, over))];
    crowd.push(bad(&socket, &over, garbage));
    for _ in 0..ENDLESS {
        crowd.push(bad(&socket, &over, endless));
    }
    let company = honest(&socket, count, paced).await;
    let began = Instant::now();
    daemon.stop("the benchmark is over").await?;
    let stopped = began.elapsed();
    over.store(true, Ordering::Relaxed);
    for thread in crowd {
        thread.join().map_err(|_| "a thread of the benchmark ended badly")?;
    }
    let (alone, company) = (percentile(&alone.each, 0.99), percentile(&company?.each, 0.99));
    Ok(format!("{} / {} ({})", seconds(alone), seconds(company), seconds(stopped.as_secs_f64())))
}

/// A bad client on a thread of its own. The thread goes last at the processor: what it does to the
/// machine by itself is not the daemon's, and no daemon could do anything about it.
fn bad(
    socket: &Path,
    over: &Arc<AtomicBool>,
    act: impl FnOnce(&Path, &AtomicBool) + Send + 'static,
) -> thread::JoinHandle<()> {
    let (socket, over) = (socket.to_owned(), Arc::clone(over));
    thread::spawn(move || {
        let _ = rustix::process::nice(LOWEST_PRIORITY);
        act(&socket, &over);
    })
}

/// What honest clients saw.
struct Served {
    /// Requests per second, all together.
    rate: f64,
    /// Seconds each took.
    each: Vec<f64>,
}

/// So many requests, by several clients.
async fn honest(
    socket: &Path,
    count: u32,
    ask: fn(&Path, u32) -> Result<Vec<f64>, Failure>,
) -> Result<Served, Failure> {
    let began = Instant::now();
    let mut clients = Vec::new();
    for _ in 0..HONEST {
        let socket = socket.to_owned();
        clients.push(tokio::task::spawn_blocking(move || ask(&socket, count / HONEST)));
    }
    let mut each = Vec::new();
    for client in clients {
        each.extend(client.await??);
    }
    Ok(Served { rate: rate(count, began.elapsed()), each })
}

fn one_by_one(socket: &Path, count: u32) -> Result<Vec<f64>, Failure> {
    let ask = |_| {
        let began = Instant::now();
        ocap_daemon::client::call(socket, "getStatus", &json!([]), Some(limits::ROW_MAX))?;
        Ok(began.elapsed().as_secs_f64())
    };
    (0..count).map(ask).collect()
}

fn in_session(socket: &Path, count: u32) -> Result<Vec<f64>, Failure> {
    let mut session = Session::open(socket, Some(limits::ROW_MAX))?;
    let mut each = Vec::new();
    let mut left = count;
    while left > 0 {
        let began = Instant::now();
        let batch = left.min(16);
        let asked: Result<Vec<_>, _> =
            (0..batch).map(|_| session.ask("getStatus", &json!([]), Terms::default())).collect();
        for asked in asked? {
            session.outcome(asked, Some(limits::ROW_MAX))?;
            each.push(began.elapsed().as_secs_f64());
        }
        left -= batch;
    }
    Ok(each)
}

/// A session that asks at its share of [`PACE`], and counts from when it should have asked: one that is
/// kept waiting does not ask less.
fn paced(socket: &Path, count: u32) -> Result<Vec<f64>, Failure> {
    let mut session = Session::open(socket, Some(limits::ROW_MAX))?;
    let apart = Duration::from_secs(1) * HONEST / PACE;
    let began = Instant::now();
    let mut each = Vec::new();
    for n in 0..count {
        let due = began + apart * n;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let asked = session.ask("getStatus", &json!([]), Terms::default())?;
        session.outcome(asked, Some(limits::ROW_MAX))?;
        each.push(due.elapsed().as_secs_f64());
    }
    Ok(each)
}

/// A byte now and then, on each at another time: ten a second of each.
fn trickle(mut streams: Vec<UnixStream>, over: &AtomicBool) {
    let apart = Duration::from_millis(100) / SLOW;
    let began = Instant::now();
    let mut written = 0;
    while !over.load(Ordering::Relaxed) {
        for stream in &mut streams {
            thread::sleep((apart * written).saturating_sub(began.elapsed()));
            let _ = stream.write(b" ");
            written += 1;
        }
    }
}

/// Lines as long as they are taken, one after the other.
fn endless(socket: &Path, over: &AtomicBool) {
    let piece = vec![b'['; 1 << 20];
    while !over.load(Ordering::Relaxed) {
        let Ok(mut stream) = UnixStream::connect(socket) else { return };
        let time = Some(Duration::from_millis(200));
        let _ = stream.set_write_timeout(time);
        let _ = stream.set_read_timeout(time);
        while !over.load(Ordering::Relaxed) && stream.write_all(&piece).is_ok() {}
        let _ = stream.read(&mut [0; 256]);
    }
}

/// What is no request, one after the other.
fn garbage(socket: &Path, over: &AtomicBool) {
    let kinds: [&[u8]; 4] = [
        b"\0\xff\xfe\n",
        b"{\"method\":\"hello\"}\nnull\n\n[[[[\n",
        b"{\"method\":\"queueMessage\",\"params\":[\"ko4\"]}\n",
        b"GET / HTTP/1.1\r\n\r\n",
    ];
    for kind in kinds.iter().cycle() {
        if over.load(Ordering::Relaxed) {
            return;
        }
        let Ok(mut stream) = UnixStream::connect(socket) else { return };
        let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
        let _ = stream.write_all(kind);
        let _ = stream.read(&mut [0; 256]);
    }
}
