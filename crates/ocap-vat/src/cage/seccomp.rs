//! The system calls a worker may make.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};

/// Allowed with any arguments. None of them names a file, a process or an address.
const ALLOWED: &[i64] = &[
    // The connection. The worker's only open files are its socket and /dev/null.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    libc::SYS_shutdown,
    libc::SYS_close,
    // Memory.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    // Clocks and randomness, for the engine's budget and for hash seeds.
    libc::SYS_clock_gettime,
    libc::SYS_gettimeofday,
    libc::SYS_getrusage,
    libc::SYS_getrandom,
    // What libc and the Rust runtime use on the way to an end.
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_sched_yield,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Stands in a prepared filter for the process it will be for. No such process can be: numbers of
/// processes stay far below.
const SOME_PROCESS: u32 = 0x7fff_5afe;

/// A filter for a process that is not there yet. Making one takes a few hundred allocations, which
/// each of a zygote's children would pay for with memory of its own.
#[derive(Clone)]
pub(super) struct Prepared(BpfProgram);

impl Prepared {
    /// Fails if there is no filter for this kind of processor.
    pub(super) fn new() -> Result<Self, String> {
        let program = program()?;
        match program.iter().filter(|step| step.k == SOME_PROCESS).count() {
            1 => Ok(Self(program)),
            found => Err(format!("the filter names its process {found} times")),
        }
    }

    /// Installs it for this very process. There is no way back.
    pub(super) fn apply(mut self) -> Result<(), String> {
        for step in &mut self.0 {
            if step.k == SOME_PROCESS {
                step.k = std::process::id();
            }
        }
        apply_filter(&self.0).map_err(|error| error.to_string())
    }
}

fn program() -> Result<BpfProgram, String> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.iter().map(|&number| (number, Vec::new())).collect();
    let executable = u64::from(libc::PROT_EXEC.unsigned_abs());
    let not_executable = SeccompCmpOp::MaskedEq(executable);
    rules.insert(libc::SYS_mmap, vec![rule(2, not_executable.clone(), 0)?]);
    rules.insert(libc::SYS_mprotect, vec![rule(2, not_executable, 0)?]);
    // Limits of its own, which without capabilities only go down: the heap's is known later.
    rules.insert(libc::SYS_prlimit64, vec![rule(0, SeccompCmpOp::Eq, 0)?]);
    // What debug builds ask before they close a descriptor.
    let asks = u64::from(libc::F_GETFD.unsigned_abs());
    rules.insert(libc::SYS_fcntl, vec![rule(1, SeccompCmpOp::Eq, asks)?]);
    // `abort`.
    rules.insert(libc::SYS_tgkill, vec![rule(0, SeccompCmpOp::Eq, u64::from(SOME_PROCESS))?]);
    let arch = std::env::consts::ARCH.try_into().map_err(|_| unsupported())?;
    SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, arch)
        .and_then(BpfProgram::try_from)
        .map_err(|error| error.to_string())
}

fn unsupported() -> String {
    format!("no filter for {} processors", std::env::consts::ARCH)
}

fn rule(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, String> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
        .and_then(|condition| SeccompRule::new(vec![condition]))
        .map_err(|error| error.to_string())
}
