//! Every limit of the benchmarks, with its unit and its reason.

use std::time::Duration;

/// How long one row may take before it counts as failed: no bench hangs.
pub(crate) const ROW_MAX: Duration = Duration::from_mins(3);

/// How long the machine is watched before a row.
pub(crate) const BUSY_SAMPLE: Duration = Duration::from_millis(300);

/// Runs of a row; the median is shown.
pub(crate) const RUNS: usize = 5;

/// Runs of a row with `--quick`.
pub(crate) const RUNS_QUICK: usize = 3;

/// Messages in flight where a row says "in flight": what the reference's figure was taken with.
pub(crate) const IN_FLIGHT: u32 = 100;

/// Bytes of a `/proc` file that are read; the largest of interest has a few thousand.
pub(crate) const PROC_FILE_BYTES_MAX: u64 = 1 << 20;

/// Processes of the machine that are looked at for our descendants.
pub(crate) const PROCESSES_MAX: usize = 100_000;

/// How much the private memory of this process may grow over a soak, in KiB: what an allocator
/// keeps, not what messages leave.
pub(crate) const SOAK_GROWTH_KIB_MAX: u64 = 8 * 1024;
