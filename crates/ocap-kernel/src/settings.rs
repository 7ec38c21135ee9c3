//! What a vat's config says about its worker.

use ocap_types::config::VatConfig;
use ocap_vat::engine::{FileOperations, Limits, Platform};
use serde_json::Value;

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

/// What a vat's config lets it use of the host's platform.
pub(crate) fn platform_of(config: &VatConfig) -> Platform {
    let network = config.network.as_ref().and_then(|network| network.get("allowedHosts"));
    let files = config.platform_config.as_ref().and_then(|platform| platform.get("fs"));
    let flag = |value: Option<&Value>| value.and_then(Value::as_bool) == Some(true);
    let files = files.map(|fs| {
        let promises = fs.get("promises");
        FileOperations {
            exists: flag(fs.get("existsSync")),
            read: flag(promises.and_then(|promises| promises.get("readFile"))),
            access: flag(promises.and_then(|promises| promises.get("access"))),
        }
    });
    Platform { network: network.is_some(), files }
}
