//! The daemon's socket under many clients, good and bad.
//!
//! Bounded in size, so that it can run with all other tests. With `OCAP_LOAD=full` it is as large as a
//! busy machine sees it: 1,000 connections, lines of 1 GB.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ocap_daemon::client::{Session, Terms};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

use crate::rig::{Home, PATIENCE, connect};

/// How much of everything.
struct Size {
    /// Connections that say little or nothing.
    slow: usize,
    /// Clients that send a line without an end, and how many MiB of it.
    endless: usize,
    endless_mib: usize,
    /// Honest clients, and what each asks.
    honest: usize,
    requests: usize,
}

fn size() -> Size {
    if std::env::var("OCAP_LOAD").is_ok_and(|size| size == "full") {
        Size { slow: 1_000, endless: 8, endless_mib: 1_024, honest: 8, requests: 20_000 }
    } else {
        Size { slow: 300, endless: 2, endless_mib: 64, honest: 4, requests: 500 }
    }
}

/// Bad clients, at work until they are dropped.
struct Crowd {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    /// Pieces of lines without an end that were taken.
    taken: Arc<AtomicU64>,
}

impl Crowd {
    fn begin(socket: &Path, size: &Size) -> Crowd {
        let over = Arc::new(AtomicBool::new(false));
        let taken = Arc::new(AtomicU64::new(0));
        let mut slow: Vec<UnixStream> = (0..size.slow).map(|_| connect(socket)).collect();
        for (n, stream) in slow.iter_mut().enumerate() {
            // A third each: silent, half a request, and half a request of a session.
            match n % 3 {
                0 => {}
                1 => stream.write_all(b"{\"id\":1,\"method\":\"get").unwrap(),
                _ => stream.write_all(b"{\"method\":\"hello\"}\n{\"id\":1,").unwrap(),
            }
        }
        let mut threads = Vec::new();
        let ended = Arc::clone(&over);
        threads.push(thread::spawn(move || trickle(slow, &ended)));
        for _ in 0..size.endless {
            let (socket, ended, taken) = (socket.to_owned(), Arc::clone(&over), Arc::clone(&taken));
            let mib = size.endless_mib;
            threads.push(thread::spawn(move || endless(&socket, mib, &ended, &taken)));
        }
        let (socket, ended) = (socket.to_owned(), Arc::clone(&over));
        threads.push(thread::spawn(move || garbage(&socket, &ended)));
        Crowd { over, threads, taken }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// One byte now and then, on each of many connections; nothing is ever read.
fn trickle(mut streams: Vec<UnixStream>, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        for stream in &mut streams {
            let _ = stream.write(b" ");
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// Lines without an end, one after the other, each as long as it is taken.
fn endless(socket: &Path, mib: usize, over: &AtomicBool, taken: &AtomicU64) {
    let piece = vec![b'['; 1 << 20];
    while !over.load(Ordering::Relaxed) {
        let Ok(mut stream) = UnixStream::connect(socket) else { return };
        let _ = stream.set_write_timeout(Some(Duration::from_millis(200)));
        let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
        for _ in 0..mib {
            if over.load(Ordering::Relaxed) || stream.write_all(&piece).is_err() {
                break;
            }
            taken.fetch_add(1, Ordering::Relaxed);
        }
        let _ = stream.read(&mut [0; 256]);
    }
}

/// What is no request, request by request.
fn garbage(socket: &Path, over: &AtomicBool) {
    let kinds: [&[u8]; 6] = [
        b"\0\xff\xfe\n",
        b"{}\n{}\n{}\n",
        b"{\"method\":\"hello\"}\nnull\n\n[[[[\n{\"id\":1,\"method\":\"subscribe\"}\n",
        b"{\"method\":\"queueMessage\",\"params\":[\"ko4\"]}\n",
        b"{\"method\":\"getStatus\",\"idempotencyKey\":5}\n",
        b"GET / HTTP/1.1\r\n\r\n",
    ];
    for kind in kinds.iter().cycle() {
        if over.load(Ordering::Relaxed) {
            return;
        }
        let Ok(mut stream) = UnixStream::connect(socket) else { return };
        let _ = stream.write_all(kind);
        // Some leave without having read the answer.
        if kind.len() % 2 == 0 {
            let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
            let _ = stream.read(&mut [0; 256]);
        }
    }
}

/// What honest clients saw: how long each request took, and how long all of them.
struct Served {
    each: Vec<Duration>,
    all: Duration,
}

impl Served {
    fn says(&self, whom: &str) -> String {
        let mut each = self.each.clone();
        each.sort_unstable();
        let (count, p99) = (each.len(), each[each.len() * 99 / 100]);
        let all = self.all;
        format!("{whom}: {count} requests within {all:?}, p99 {p99:?}")
    }
}

/// Asks for the status, from several clients at once; every answer has to be one.
fn honest(socket: &Path, size: &Size) -> Served {
    let began = Instant::now();
    let clients: Vec<_> = (0..size.honest)
        .map(|n| {
            let (socket, requests): (PathBuf, usize) = (socket.to_owned(), size.requests);
            thread::spawn(move || {
                if n % 2 == 0 { one_by_one(&socket, requests) } else { session(&socket, requests) }
            })
        })
        .collect();
    let each = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
    Served { each, all: began.elapsed() }
}

fn one_by_one(socket: &Path, requests: usize) -> Vec<Duration> {
    let ask = |_| {
        let began = Instant::now();
        let status = ocap_daemon::client::call(socket, "getStatus", &json!([]), Some(PATIENCE));
        assert_eq!(status.unwrap()["vats"][0]["id"], "v1");
        began.elapsed()
    };
    (0..requests).map(ask).collect()
}

fn session(socket: &Path, requests: usize) -> Vec<Duration> {
    const IN_FLIGHT: usize = 16;
    let mut session = Session::open(socket, Some(PATIENCE)).unwrap();
    let mut each = Vec::new();
    while each.len() < requests {
        let began = Instant::now();
        let asked: Vec<_> = (0..IN_FLIGHT)
            .map(|_| session.ask("getStatus", &json!([]), Terms::default()).unwrap())
            .collect();
        for asked in asked {
            let status = session.outcome(asked, Some(PATIENCE)).unwrap();
            assert_eq!(status["vats"][0]["id"], "v1");
            each.push(began.elapsed());
        }
    }
    each
}

/// Memory of a process that is in use, in KiB.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn honest_clients_are_served_in_bad_company_and_the_end_is_clean() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let size = size();
    let home = Home::new();
    home.start();
    home.launch_counter();
    let socket = home.files.socket();
    println!("{}", honest(&socket, &size).says("alone"));
    let pid = home.files.running_pid().unwrap();
    let before = memory(pid);
    let crowd = Crowd::begin(&socket, &size);
    println!("{}", honest(&socket, &size).says("in bad company"));
    let after = memory(pid);
    println!(
        "memory {} MiB, before {} MiB, after {} MiB of lines without an end",
        after / 1024,
        before / 1024,
        crowd.taken.load(Ordering::Relaxed),
    );
    // Four large lines at a time, the buffers of all others, and what an allocator keeps of them.
    assert!(after < before + 400 * 1024, "{after} KiB, before {before} KiB");
    assert_eq!(home.rpc("pingVat", json!({"id": "v1"})).unwrap(), "pong");
    let began = Instant::now();
    home.stop();
    println!("stopped in the middle of it within {:?}", began.elapsed());
    drop(crowd);
    assert!(home.log().contains("Stopped."), "{}", home.log());
    assert!(!home.log().contains("panic"), "{}", home.log());
    home.assert_sound();
}
