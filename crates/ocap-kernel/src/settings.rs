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

/// The limits of a vat: the defaults, and what its `creationOptions` say.
pub(crate) fn limits_of(_config: &VatConfig) -> Limits {
    DEFAULT_LIMITS
}
