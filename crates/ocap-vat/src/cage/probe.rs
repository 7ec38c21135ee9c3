//! Attempts at what the cage forbids, to see that it does: a child enters the cage exactly as a
//! worker does, makes one attempt, and how it ends is the answer.
//!
//! JavaScript has no way to attempt any of this, so the cage cannot be tested through a vat.
//! `ocap-vat-worker --probe <name>` is the way in.

use std::ffi::CStr;
use std::ptr;

use crate::cage::{Cage, Layers, limit_memory};
use crate::exit::{EXIT_DONE, EXIT_NO_CAGE, EXIT_OUT_OF_MEMORY, ExitReason};
use crate::fork::{self, Forked, Parent, exit_now, fork};
use crate::memory;

/// Exit code of a probe whose attempt was refused with an error, not by ending it.
pub const EXIT_REFUSED: i32 = 90;

/// Heap of a probe, in bytes.
const PROBE_HEAP_BYTES: u64 = 1 << 20;

/// More than any limit: a probe that gets so much has escaped.
const PROBE_TAKEN_BYTES_MAX: usize = 64 << 30;

/// What a probe gets in one piece.
const PROBE_PIECE_BYTES: usize = 16 << 20;

/// A probe that takes longer is waiting for something, in seconds.
const PROBE_SECONDS_MAX: u32 = 10;

/// `uretprobe` and `uprobe`, which Linux lets past every filter. They do nothing for a process that
/// nobody probes.
const PAST_FILTERS: &[i64] = if cfg!(target_arch = "x86_64") { &[335, 336] } else { &[] };

/// Above the numbers of all system calls that Linux has or will soon have.
const SYSTEM_CALLS_MAX: i64 = 512;

/// The attempts there are, by name.
pub const NAMES: &[&str] = &[
    "open",
    "open-unfiltered",
    "connect-unfiltered",
    "socket",
    "exec",
    "fork",
    "thread",
    "ptrace",
    "mmap-exec",
    "mprotect-exec",
    "io_uring",
    "unshare",
    "kill-parent",
    "raise-limit",
    "limit-of-parent",
    "signal-parent",
    "become-dumpable",
    "ptrace-parent",
    "read-parent",
    "duplicate",
    "remap-exec",
    "pass-descriptor",
    "other-abi",
    "memfd",
    "userfaultfd",
    "perf-event",
    "bpf",
    "keyring",
    "namespace",
    "mount",
    "shared-memory",
    "notify",
    "new-filter",
    "open-by-handle",
    "pidfd",
    "module",
    "clock",
    "alloc",
    "alloc-shared",
    "abort",
    "segv",
    "panic",
    "harmless",
];

/// Makes one attempt in a caged child and tells how the child ended: [`EXIT_DONE`] if the attempt
/// succeeded. The calling process must have one thread.
pub fn attempt(name: &str) -> Result<ExitReason, String> {
    if !NAMES.contains(&name) {
        return Err(format!("no probe {name}; there are: {}", NAMES.join(", ")));
    }
    let layers = if name.ends_with("-unfiltered") { Layers::NoFilter } else { Layers::All };
    attempt_in(layers, || act(name))
}

/// Tries every system call there is, without arguments, each in a child of its own. The numbers of
/// those that did not end it.
pub fn sweep() -> Result<Vec<i64>, String> {
    let mut open = Vec::new();
    for number in (0..SYSTEM_CALLS_MAX).filter(|number| !PAST_FILTERS.contains(number)) {
        // SAFETY: without arguments no call is given memory; whatever else it does, it does to a
        // process that ends right after.
        let call = || unsafe {
            libc::syscall(number, 0, 0, 0, 0, 0, 0);
            true
        };
        if attempt_in(Layers::All, call)? != ExitReason::Signaled(libc::SIGSYS) {
            open.push(number);
        }
    }
    Ok(open)
}

fn attempt_in(layers: Layers, act: impl FnOnce() -> bool) -> Result<ExitReason, String> {
    match fork(Parent::Own).map_err(|error| error.to_string())? {
        Forked::Parent { pidfd, .. } => {
            fork::ended(&pidfd, true).ok_or_else(|| "it cannot be waited for".into())
        }
        Forked::Child => {
            fork::reset_signals();
            memory::settle();
            // A call may make it wait, which nobody would end.
            // SAFETY: passes no memory. It must be before the filter.
            unsafe { libc::alarm(PROBE_SECONDS_MAX) };
            if Cage::new(false).enter_layers(layers).is_err() {
                exit_now(EXIT_NO_CAGE);
            }
            memory::exit_when_exhausted();
            if limit_memory(PROBE_HEAP_BYTES).is_err() {
                exit_now(EXIT_NO_CAGE);
            }
            exit_now(if act() { EXIT_DONE } else { EXIT_REFUSED })
        }
    }
}

/// Whether the attempt succeeded.
fn act(name: &str) -> bool {
    match name {
        "open" | "open-unfiltered" => not_denied(std::fs::File::open("/etc/passwd")),
        "connect-unfiltered" => not_denied(std::net::TcpStream::connect("127.0.0.1:9")),
        "alloc" => take_memory(),
        "alloc-shared" => take_shared_memory(),
        // A worker reports its panics, so that a cage must let it.
        #[allow(clippy::panic)] // caught at once
        "panic" => std::panic::catch_unwind(|| panic!("a probe")).is_err(),
        "harmless" => true,
        _ => act_natively(name),
    }
}

/// Only a denial counts as one: another error may just have come first.
fn not_denied<T>(result: std::io::Result<T>) -> bool {
    !result.is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
}

fn take_memory() -> bool {
    let mut taken = Vec::new();
    while taken.len() * PROBE_PIECE_BYTES < PROBE_TAKEN_BYTES_MAX {
        taken.push(Vec::<u8>::with_capacity(PROBE_PIECE_BYTES));
    }
    true
}

fn take_shared_memory() -> bool {
    for _ in 0..PROBE_TAKEN_BYTES_MAX / PROBE_PIECE_BYTES {
        if !map(libc::PROT_READ, libc::MAP_SHARED) {
            exit_now(EXIT_OUT_OF_MEMORY);
        }
    }
    true
}

/// Maps a piece of fresh memory.
fn map(protection: i32, sharing: i32) -> bool {
    let flags = sharing | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping at an address of the system's choice.
    let mapped =
        unsafe { libc::mmap(ptr::null_mut(), PROBE_PIECE_BYTES, protection, flags, -1, 0) };
    mapped != libc::MAP_FAILED
}

fn act_natively(name: &str) -> bool {
    const PROGRAM: &CStr = c"/bin/true";
    let path = PROGRAM.as_ptr();
    let arguments = [path, ptr::null()];
    let none = ptr::null::<libc::c_void>();
    let more = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    let function = act_natively as fn(&str) -> bool as usize;
    // SAFETY: the pointers passed are valid for each call or null where that is allowed; this
    // process has nothing that any of these could damage and ends right after.
    unsafe {
        match name {
            "socket" => libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) >= 0,
            "exec" => libc::execv(path, arguments.as_ptr()) == 0,
            "fork" => libc::fork() >= 0,
            "thread" => {
                let flags = libc::CLONE_VM | libc::CLONE_THREAD | libc::CLONE_SIGHAND;
                libc::syscall(libc::SYS_clone, flags, 0usize, 0usize, 0usize, 0usize) >= 0
            }
            "ptrace" => libc::ptrace(libc::PTRACE_TRACEME, 0, none, none) == 0,
            "mmap-exec" => map(libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE),
            "mprotect-exec" => {
                let page = (function & !0xfff) as *mut libc::c_void;
                libc::mprotect(page, 0x1000, libc::PROT_READ | libc::PROT_EXEC) == 0
            }
            "io_uring" => {
                let mut parameters = [0u64; 16];
                libc::syscall(libc::SYS_io_uring_setup, 1, parameters.as_mut_ptr()) >= 0
            }
            "unshare" => libc::unshare(libc::CLONE_NEWUSER) == 0,
            "kill-parent" => libc::kill(libc::getppid(), libc::SIGKILL) == 0,
            "raise-limit" => libc::setrlimit(libc::RLIMIT_NOFILE, &raw const more) == 0,
            "limit-of-parent" => {
                libc::prlimit(libc::getppid(), libc::RLIMIT_CPU, &raw const more, ptr::null_mut())
                    == 0
            }
            "signal-parent" => {
                libc::syscall(libc::SYS_tgkill, libc::getppid(), libc::getppid(), 0) == 0
            }
            "become-dumpable" => libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0) == 0,
            "ptrace-parent" => libc::ptrace(libc::PTRACE_ATTACH, libc::getppid(), none, none) == 0,
            "read-parent" => {
                libc::process_vm_readv(libc::getppid(), ptr::null(), 0, ptr::null(), 0, 0) >= 0
            }
            "duplicate" => libc::fcntl(0, libc::F_DUPFD, 3) >= 0,
            "remap-exec" => {
                map(libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC, libc::MAP_SHARED)
            }
            "pass-descriptor" => libc::syscall(libc::SYS_sendmsg, 3, none, 0) >= 0,
            "other-abi" => {
                // The calls of the 32-bit interface, where there is one, go by other numbers.
                const OTHER_INTERFACE: i64 = 0x4000_0000;
                libc::syscall(OTHER_INTERFACE | libc::SYS_getpid) >= 0
            }
            "memfd" => libc::memfd_create(path, 0) >= 0,
            "userfaultfd" => libc::syscall(libc::SYS_userfaultfd, 0) >= 0,
            "perf-event" => libc::syscall(libc::SYS_perf_event_open, none, 0, -1, -1, 0) >= 0,
            "bpf" => libc::syscall(libc::SYS_bpf, 0, none, 0) >= 0,
            "keyring" => libc::syscall(libc::SYS_add_key, path, path, none, 0, -2) >= 0,
            "namespace" => libc::setns(3, 0) == 0,
            "mount" => libc::mount(path, path, path, 0, none) == 0,
            "shared-memory" => libc::shmget(libc::IPC_PRIVATE, 4096, 0o600) >= 0,
            "notify" => libc::inotify_init() >= 0,
            "new-filter" => libc::syscall(libc::SYS_seccomp, 1, 0, none) >= 0,
            "open-by-handle" => libc::syscall(libc::SYS_open_by_handle_at, 0, none, 0) >= 0,
            "pidfd" => libc::syscall(libc::SYS_pidfd_open, libc::getppid(), 0) >= 0,
            "module" => libc::syscall(libc::SYS_init_module, none, 0, path) >= 0,
            "clock" => libc::syscall(libc::SYS_clock_settime, 0, none) >= 0,
            "abort" => libc::abort(),
            "segv" => ptr::read_volatile(ptr::without_provenance::<u8>(8)) == 0,
            _ => false,
        }
    }
}
