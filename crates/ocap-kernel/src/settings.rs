//! What a vat's config says about its worker.

use ocap_types::config::VatConfig;
use ocap_vat::engine::Limits;

/// What a vat gets unless its config says otherwise.
pub(crate) const DEFAULT_LIMITS: Limits = Limits {
    crank_ticks_max: 100_000,
    crank_cpu_ms_max: 5_000,
    heap_bytes_max: 256 << 20,
    stack_bytes_max: 1 << 20,
    crank_syscalls_max: 100_000,
    crank_bytes_max: 48 << 20,
};

/// The limits of a vat: the defaults, and what its `creationOptions` say. A stored config has been
/// checked when it was launched; should it be damaged since, the defaults hold.
pub(crate) fn limits_of(config: &VatConfig) -> Limits {
    let wanted = config.limits().unwrap_or_default();
    let or = |wanted: Option<u64>, default: u64| wanted.unwrap_or(default);
    Limits {
        crank_ticks_max: or(wanted.crank_ticks, DEFAULT_LIMITS.crank_ticks_max),
        crank_cpu_ms_max: or(wanted.crank_cpu_ms, DEFAULT_LIMITS.crank_cpu_ms_max),
        heap_bytes_max: or(wanted.heap_bytes, DEFAULT_LIMITS.heap_bytes_max),
        stack_bytes_max: or(wanted.stack_bytes, DEFAULT_LIMITS.stack_bytes_max),
        crank_syscalls_max: or(wanted.crank_syscalls, DEFAULT_LIMITS.crank_syscalls_max),
        crank_bytes_max: or(wanted.crank_bytes, DEFAULT_LIMITS.crank_bytes_max),
    }
}
