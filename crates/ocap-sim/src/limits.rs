//! Every limit of the simulator, with its unit and reason.

/// Subclusters a host keeps at once. More would only make each step slower.
pub const SUBCLUSTERS_MAX: usize = 4;

/// References a host remembers. The oldest are forgotten first.
pub const KNOWN_MAX: usize = 48;

/// Deliveries until a world that is left alone has to be at rest.
pub const REST_DELIVERIES_MAX: usize = 20_000;

/// Batches sealed and not yet released. The driver has one on its way; the core allows more.
pub const SEALED_MAX: usize = 2;

/// Lines of the trace a failure shows.
pub const TRACE_LINES: usize = 40;

/// Runs a shrink may take.
pub const SHRINK_RUNS_MAX: usize = 4_000;

/// Threads that run seeds.
pub const JOBS_MAX: usize = 64;

/// Seeds that are played and not yet told of, while an earlier one is still running.
pub const RESULTS_AHEAD_MAX: usize = 64;

/// Rows that one step of a chore removes: fewer than most vats have, so that much happens in between.
pub(crate) const CHORE_ROWS: usize = 3;
