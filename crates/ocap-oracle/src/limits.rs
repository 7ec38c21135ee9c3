//! Limits of a run.

use std::time::Duration;

use ocap_vat::engine::Limits;

/// Sequences that are handed to Node at once: enough to keep it busy, few enough to see progress.
pub const BATCH_SEQUENCES: u64 = 50;

/// Runs of both sides while a failing sequence is made short.
pub const SHRINK_RUNS_MAX: usize = 400;

/// How long Node may take for one sequence. A thousand times what it usually takes.
pub const ANSWER_PATIENCE: Duration = Duration::from_mins(2);

/// Sequences of a run that may send Liveslots into an endless loop: what leads to one is avoided, but
/// not in all its forms.
pub const HUNG_MAX: u64 = 5;

/// Sequences of a hundred that may differ in one Node process and agree in a fresh one, as the moment an
/// engine collects something is not ours to choose, or end with an error of Liveslots' own.
pub const NOISE_PERCENT_MAX: u64 = 1;

/// Of our engine: far more than any sequence needs.
pub const ENGINE: Limits = Limits {
    crank_ticks_max: 100_000,
    crank_cpu_ms_max: 20_000,
    heap_bytes_max: 64 << 20,
    stack_bytes_max: 512 << 10,
    crank_syscalls_max: 20_000,
    crank_bytes_max: 32 << 20,
};
