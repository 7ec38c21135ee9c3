//! Workers that somebody has taken over, and a real kernel.
//!
//! The kernel runs in a process of its own, so that the memory it has used can be told. Its zygote is
//! a third process, which starts no workers: threads of its own answer in their place, and what they
//! say is up to the test.

use std::io::{self, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use ocap_kernel::{KernelOptions, WorkerMode};
use ocap_types::capdata::CapData;
use ocap_types::crank::{CrankReport, Delivery, Request, Resolution, Syscall};
use ocap_types::refs::VRef;
use ocap_vat::codec::{FrameReader, encode};
use ocap_vat::engine::{Bytecode, LogLevel, Module, ModuleGraph};
use ocap_vat::frame::{FromWorker, ToWorker};
use ocap_vat::limits::{FRAME_FROM_WORKER_BYTES_MAX, FRAME_TO_WORKER_BYTES_MAX};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use serde_json::json;

use super::*;
use house::{House, ask, assert_sound};

/// Which attack the other processes are for.
const ROLE: &str = "OCAP_TEST_COMPROMISED";

/// What one of them does when it is sent `attack`.
struct Attack {
    name: &'static str,
    run: fn(&mut Worker) -> io::Result<()>,
    /// What the sender is told.
    told: &'static str,
    /// What the kernel may use for it, in MiB.
    memory_mib_max: u64,
}

/// A frame or two, and what else a kernel with two vats needs.
const LITTLE: u64 = 48;
/// The largest frame, as it is read and as it is understood.
const FRAME: u64 = 400;

/// Takes a delivery and never says anything again.
const NO_ANSWER: &str = "no answer";

const ATTACKS: &[Attack] = &[
    Attack {
        name: "questions whose answers are not read",
        run: |worker| worker.flood(&FromWorker::Get { key: "none".into() }, 1_000_000),
        told: "a question out of turn",
        memory_mib_max: LITTLE,
    },
    Attack {
        name: "large answers that are not read",
        run: |worker| worker.flood(&FromWorker::Get { key: "large".into() }, 10_000),
        told: "a question out of turn",
        memory_mib_max: LITTLE,
    },
    Attack {
        name: "keys that are not read",
        run: |worker| worker.flood(&FromWorker::NextKey { prior: String::new() }, 1_000_000),
        told: "a question out of turn",
        memory_mib_max: LITTLE,
    },
    Attack {
        name: "files that are asked for all at once",
        run: |worker| worker.flood(&FromWorker::Exists { path: "/".into() }, 100_000),
        told: "a question out of turn",
        memory_mib_max: LITTLE,
    },
    Attack {
        name: "lines without end",
        run: |worker| worker.flood(&line(1 << 10), 20_000),
        told: "fine",
        memory_mib_max: LITTLE,
    },
    Attack {
        name: "one line as long as can be",
        run: |worker| worker.flood(&line(FRAME_FROM_WORKER_BYTES_MAX - 16), 1),
        told: "fine",
        memory_mib_max: FRAME,
    },
    Attack {
        name: "a frame longer than can be",
        run: |worker| worker.stream.write_all(&[0xff; 4096]),
        told: "a frame of 4294967295 bytes",
        memory_mib_max: LITTLE,
    },
    Attack {
        name: "more elements than can be",
        run: |worker| {
            let vrefs = vec![VRef::ROOT; 5 << 18];
            worker.done(vec![Syscall::DropImports { vrefs }])
        },
        told: "a frame that is no message",
        memory_mib_max: FRAME,
    },
    Attack {
        name: "more syscalls than can be",
        run: |worker| worker.done(vec![Syscall::Subscribe { promise: VRef::ROOT }; 100_001]),
        told: "syscalls",
        memory_mib_max: FRAME,
    },
    Attack {
        name: "a delivery that is done twice",
        run: |worker| {
            worker.done(Vec::new())?;
            worker.done(Vec::new())
        },
        told: "fine",
        memory_mib_max: LITTLE,
    },
    Attack {
        name: "compiled code that nobody wants",
        run: |worker| worker.flood(&FromWorker::Compiled(Bytecode(vec![0; 1 << 20].into())), 100),
        told: "compiled code nobody asked for",
        memory_mib_max: LITTLE,
    },
    Attack {
        name: "modules for a vat that has all of its own",
        run: |worker| {
            let frame =
                FromWorker::LoadModule { referrer: String::new(), specifier: "./a.js".into() };
            worker.flood(&frame, 100_000)
        },
        told: "a loader's frame from a vat",
        memory_mib_max: LITTLE,
    },
    Attack {
        name: NO_ANSWER,
        run: |worker| io::copy(&mut worker.stream, &mut io::sink()).map(|_| ()),
        told: "the crank took more than 2000 ms",
        memory_mib_max: LITTLE,
    },
    Attack {
        name: "timers without end",
        run: |worker| {
            let ask = |number| Syscall::Ask {
                request: Request::Timer { delay_ms: 1 << 40, since_ms: None },
                result: VRef::ExportPromise(number),
            };
            worker.done((100..50_000).map(ask).collect())
        },
        told: "too much is asked of the host",
        memory_mib_max: LITTLE,
    },
];

fn line(bytes: usize) -> FromWorker {
    FromWorker::Log { level: LogLevel::Error, message: "x".repeat(bytes) }
}

#[test]
fn a_worker_that_is_taken_over_uses_up_none_of_the_kernel() {
    for attack in ATTACKS {
        let ended = again("compromised::kernel", attack.name).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        let erred = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(ended.status.success(), "{}: {said}\n{erred}", attack.name);
        assert!(said.contains("held out"), "{}: {said}", attack.name);
    }
}

/// This test program again, for one test that is nothing by itself.
fn again(test: &str, role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture"]).env(ROLE, role);
    command.stdin(Stdio::null());
    command
}

fn role() -> Option<&'static Attack> {
    let name = std::env::var(ROLE).ok()?;
    ATTACKS.iter().find(|attack| attack.name == name)
}

#[test]
#[ignore = "the kernel's process"]
fn kernel() {
    let Some(attack) = role() else { return };
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(hold_out(attack));
}

async fn hold_out(attack: &Attack) {
    let house = House::new();
    let zygote = house.path("zygote");
    let script = format!(
        "#!/bin/sh\nexport {ROLE}='{}'\nexec '{}' --exact compromised::zygote --ignored --nocapture\n",
        attack.name,
        std::env::current_exe().unwrap().display()
    );
    std::fs::write(&zygote, script).unwrap();
    std::fs::set_permissions(&zygote, std::fs::Permissions::from_mode(0o755)).unwrap();
    let workers = WorkerMode::Process { executable: Some(zygote), best_effort: false };
    let options = KernelOptions { workers, ..house.options() };
    let kernel = ocap_kernel::Kernel::start(options).await.unwrap();
    house.source("bad.js", "// bad");
    // Others are given their time, which on a busy machine they may need.
    let limits = if attack.name == NO_ANSWER { json!({"crankCpuMs": 100}) } else { json!({}) };
    let bad = json!({
        "bootstrap": "bad",
        "vats": {"bad": {"sourceSpec": "bad.js", "creationOptions": {"limits": limits}}},
    });
    let bad = house.try_launch(&kernel, &bad).await.unwrap().root;
    let good = house.launch_one(&kernel, "// good").await;
    assert_eq!(ask(&kernel, bad, "hello", json!([])).await, "#\"fine\"");
    let before = peak_mib();
    let told = ask(&kernel, bad, "attack", json!([])).await;
    assert!(told.contains(attack.told), "{told}");
    // Nobody else has noticed.
    assert_eq!(ask(&kernel, good, "hello", json!([])).await, "#\"fine\"");
    let used = peak_mib() - before;
    assert!(used <= attack.memory_mib_max, "{used} MiB");
    assert_sound(&kernel).await;
    kernel.stop().await.unwrap();
    println!("held out: {told}, {used} MiB");
}

/// The most memory this process has had.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
}

#[test]
#[ignore = "the zygote's process"]
fn zygote() {
    let Some(attack) = role() else { return };
    let control = io::stdin();
    // What a zygote says first: it is ready, and its cage lacks nothing.
    tell(&control, &(0_u8, 0_u8, 0_u8, true), None);
    while let Some(connection) = spawn_request(&control) {
        // Something the kernel can wait for and end: it ends with this process, too.
        let child = Command::new("/bin/cat").stdin(Stdio::piped()).spawn().unwrap();
        let id = rustix::process::Pid::from_child(&child);
        let pidfd = rustix::process::pidfd_open(id, rustix::process::PidfdFlags::empty()).unwrap();
        tell(&control, &(1_u8, 0_u8, id.as_raw_nonzero().get()), Some(&pidfd));
        let stream = UnixStream::from(connection);
        std::thread::spawn(move || {
            let mut worker = Worker { stream, attack, result: None };
            let _ = worker.work();
            drop(child);
        });
    }
}

/// A message on the control socket: the variant, what it holds, and a descriptor.
fn tell(control: impl AsFd, message: &impl serde::Serialize, passed: Option<&OwnedFd>) {
    let bytes = encode(message, 64).unwrap();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let passed: Vec<_> = passed.iter().map(AsFd::as_fd).collect();
    if !passed.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(&passed));
    }
    // Without the length, which that socket knows.
    let bytes = [io::IoSlice::new(&bytes[4..])];
    rustix::net::sendmsg(control, &bytes, &mut ancillary, SendFlags::NOSIGNAL).unwrap();
}

/// The connection of a worker that is wanted. `None` once nobody wants any.
fn spawn_request(control: impl AsFd) -> Option<OwnedFd> {
    let mut bytes = [0; 64];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [IoSliceMut::new(&mut bytes)];
    rustix::net::recvmsg(control, &mut bytes, &mut ancillary, RecvFlags::CMSG_CLOEXEC).ok()?;
    ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut passed) => passed.next(),
        _ => None,
    })
}

/// What answers in the place of a worker.
struct Worker {
    stream: UnixStream,
    attack: &'static Attack,
    /// Of the message it has got.
    result: Option<VRef>,
}

impl Worker {
    fn work(&mut self) -> io::Result<()> {
        let mut frames = FrameReader::new(FRAME_TO_WORKER_BYTES_MAX);
        while let Some(frame) = frames.read::<ToWorker>(&mut self.stream)? {
            match frame {
                ToWorker::Collect { entry } => {
                    let modules = [(entry.clone(), Module::default())].into();
                    self.say(&FromWorker::Collected(Ok(ModuleGraph { entry, modules })))?;
                }
                ToWorker::Deliver(Delivery::Start { .. }) => {
                    let vatstore = vec![("large".into(), Some("x".repeat(1 << 20)))];
                    let report = CrankReport { vatstore, ..CrankReport::default() };
                    self.say(&FromWorker::Done(report))?;
                }
                ToWorker::Deliver(Delivery::Message { methargs, result, .. }) => {
                    self.result = result;
                    if methargs.body.contains("attack") {
                        (self.attack.run)(self)?;
                    }
                    self.done(Vec::new())?;
                }
                ToWorker::Deliver(_) => self.done(Vec::new())?,
                _ => {}
            }
        }
        Ok(())
    }

    fn say(&mut self, frame: &FromWorker) -> io::Result<()> {
        self.flood(frame, 1)
    }

    /// Says one thing so many times and reads nothing.
    fn flood(&mut self, frame: &FromWorker, count: usize) -> io::Result<()> {
        let bytes = encode(frame, FRAME_FROM_WORKER_BYTES_MAX).map_err(io::Error::other)?;
        (0..count).try_for_each(|_| self.stream.write_all(&bytes))
    }

    /// Ends a delivery with these syscalls, and answers what it was about.
    fn done(&mut self, mut syscalls: Vec<Syscall>) -> io::Result<()> {
        if let Some(promise) = self.result.take() {
            let data = CapData { body: "#\"fine\"".into(), slots: Vec::new() };
            let resolutions = vec![Resolution { promise, rejected: false, data }];
            syscalls.push(Syscall::Resolve { resolutions });
        }
        self.say(&FromWorker::Done(CrankReport { syscalls, ..CrankReport::default() }))
    }
}
