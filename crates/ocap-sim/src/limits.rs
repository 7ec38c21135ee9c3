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

/// Seeds that are to meet every possible cell of the coverage table.
pub const SEEDS_FOR_EVERYTHING: u64 = 2_000;

/// Steps a hunt for a cell of the coverage table goes on. Most that come about at all do so sooner.
pub const HUNT_STEPS_MAX: u32 = 60;

/// Steps it goes on if what is hunted comes only after a vat has been removed, which takes many.
pub const SLOW_HUNT_STEPS_MAX: u32 = 150;

/// Things a host does at once so that a hunt succeeds with one of them.
pub const HUNT_TRIES: usize = 6;

/// Deliveries in flight that a hunt chooses among.
pub const HUNT_FLIGHTS: usize = 4;

/// Once in so many times that there is nothing of what is hunted, a hunt takes anything rare; half
/// of the times, what is hard to come by.
pub const HUNT_OTHERS: usize = 8;

/// Calls of services that are open while a hunt is for what becomes a reference.
pub const HUNT_CALLS: usize = 4;

/// Links of a chain of promises that a hunt follows. Chains are short.
pub const HUNT_LINKS_MAX: usize = 8;

/// Reads within which a failing one comes. Most steps read less, for the core remembers much.
pub const FAILING_READ_WITHIN: usize = 24;

/// Clients that wait at a channel to be accepted, as the driver bounds them.
pub(crate) const WAITING_MAX: usize = 4;

/// One client in so many has left by the time it is accepted.
pub(crate) const CLIENT_LEAVES_ONE_IN: u64 = 7;

/// Milliseconds that pass at once, at most: some timers fire together, some do not.
pub(crate) const TIME_STEP_MS: usize = 20_000;

/// URLs that are remembered, of the host's own and of those vats have been told of.
pub(crate) const URLS_KNOWN_MAX: usize = 32;

/// Milliseconds that a URL is good, at most: about as many as pass between two of its uses.
pub(crate) const URL_LIFETIME_MS_MAX: usize = 60_000;
