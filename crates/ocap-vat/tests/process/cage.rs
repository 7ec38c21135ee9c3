//! What the cage forbids, attempted; and machines where it cannot be closed.

use std::process::Command;

use crate::client::executable;
use crate::helper::Helper;

/// How a caged attempt ended: reason and fault, as `ocap-vat-worker --probe` prints them.
fn probe(name: &str) -> String {
    let output = Command::new(executable()).args(["--probe", name]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn assert_ends(name: &str, how: &str) {
    let ended = probe(name);
    assert!(ended.starts_with(how), "{name}: {ended}");
}

#[test]
fn what_needs_a_forbidden_system_call_ends_the_worker() {
    let forbidden = [
        "open",
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
    ];
    for name in forbidden {
        assert_ends(name, "Signaled(31) CageViolation ");
    }
}

#[test]
fn no_other_system_call_is_open() {
    let expected = [
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_readv,
        libc::SYS_writev,
        libc::SYS_recvfrom,
        libc::SYS_sendto,
        libc::SYS_shutdown,
        libc::SYS_close,
        libc::SYS_brk,
        libc::SYS_mmap,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_mprotect,
        libc::SYS_madvise,
        libc::SYS_clock_gettime,
        libc::SYS_gettimeofday,
        libc::SYS_getrusage,
        libc::SYS_getrandom,
        libc::SYS_futex,
        libc::SYS_getpid,
        libc::SYS_gettid,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_sched_yield,
        libc::SYS_restart_syscall,
        // With arguments of their own only, which none are.
        libc::SYS_prlimit64,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    let open: Vec<i64> = serde_json::from_str(&probe("sweep")).unwrap();
    assert_eq!(open, expected);
}

#[test]
fn landlock_denies_what_the_filter_would() {
    for name in ["open-unfiltered", "connect-unfiltered"] {
        assert_ends(name, "Exited(90) ");
    }
}

#[test]
fn limits_hold_and_cannot_be_raised() {
    assert_ends("alloc", "Exited(80) OutOfMemory ");
    assert_ends("alloc-shared", "Exited(80) OutOfMemory ");
    assert_ends("raise-limit", "Exited(90) ");
}

#[test]
fn a_crash_is_not_taken_for_a_violation() {
    assert_ends("abort", "Signaled(6) Crash ");
    assert_ends("segv", "Signaled(11) Crash ");
    assert_ends("panic", "Exited(0) ");
    assert_ends("harmless", "Exited(0) ");
}

#[test]
fn no_cage_no_start_unless_best_effort() {
    for (role, missing) in [("no-landlock", "Landlock"), ("no-seccomp", "seccomp")] {
        let mut kernel = Helper::start(role);
        let refused = kernel.line();
        assert!(refused.contains(&format!("{missing}: ")), "{refused}");
        assert!(refused.contains("--cage=best-effort"), "{refused}");
        let report = kernel.line();
        assert!(report.starts_with(&format!("OPEN: {missing}: ")), "{report}");
        assert_eq!(kernel.line(), "#1");
    }
}
