//! Every limit of the core, with its unit and why it has that value.

/// Items waiting for one endpoint before the host's sends are refused. A host that gets this far
/// ahead of a vat should wait.
pub const QUEUE_HOST_ITEMS_MAX: u64 = 20_000;

/// Items waiting for one endpoint, or messages parked on one promise, before the *sending* vat
/// faults. Above the host's limit, so that a busy host alone never makes a vat fault.
pub const QUEUE_ITEMS_MAX: u64 = 100_000;

/// Syscalls in one crank. A worker has a lower limit of its own; this one guards the kernel.
pub const CRANK_SYSCALLS_MAX: usize = 100_000;

/// Vatstore writes in one crank.
pub const CRANK_WRITES_MAX: usize = 1_000_000;

/// Bytes of one vatstore key.
pub const VATSTORE_KEY_BYTES_MAX: usize = 4_096;

/// References in one message or resolution (what liveslots allows, kernel.md section 8).
pub const SLOTS_MAX: usize = 10_000;

/// Bytes of one body (10 million characters in liveslots; a character has up to 4 bytes, and the
/// store's row limit is far above).
pub const BODY_BYTES_MAX: usize = 40_000_000;

/// References in one collection syscall.
pub const GC_SYSCALL_REFS_MAX: usize = 100_000;

/// Promises announced by one notify. Those beyond it travel as unsettled references, which the
/// vat may subscribe to.
pub const NOTIFY_BATCH_MAX: usize = 1_000;

/// Bytes of bodies after which a notify announces no further promises. One value may be longer.
pub const NOTIFY_BATCH_BYTES_MAX: usize = 10_000_000;

/// References in one collection delivery.
pub const GC_BATCH_MAX: usize = 1_000;

/// Promises followed from a message parked on one, each the result of a message parked on the next,
/// before it counts as waiting for its own result. A message with a fresh result is never followed,
/// so a pipeline may be longer than that.
pub const PARKED_CHAIN_MAX: usize = 1_000;

/// Links followed from a promise fulfilled with a promise before it counts as a cycle. Engines follow
/// promises themselves, so real chains have a link or two.
pub const PROMISE_CHAIN_MAX: usize = 200;

/// Bytes of a body that is looked at as "nothing but one reference".
pub const REFERENCE_BODY_BYTES_MAX: usize = 16_384;

/// Kernel-owned items handled before the vats get their turn again.
pub const KERNEL_STEP_ITEMS_MAX: usize = 32;

/// Deliveries to a vat between two `bringOutYourDead`, if it does not rest before. Often enough that
/// garbage stays small, rare enough that its cost is spread thin: the engine collects at least twice,
/// one to three milliseconds each.
pub const REAP_INTERVAL_DELIVERIES: u64 = 400;

/// Imports given to a vat since the last `bringOutYourDead` after which another is due, however few
/// deliveries brought them: lists of references fill c-lists fast.
pub const REAP_INTERVAL_IMPORTS: u64 = 1_000;

/// Records about objects in a vat's store that have come or gone since the last `bringOutYourDead` after
/// which another is due: as many as one crank removes.
pub const REAP_INTERVAL_RECORDS: u64 = 10_000;

/// Vats that [`crate::Core::reap_at_rest`] has brought out their dead at once. Each takes about a
/// millisecond, and messages may come meanwhile.
pub const REAP_AT_REST_VATS: usize = 64;

/// Rows looked at for what earlier incarnations knew, or removed of what vats left that have ended,
/// in one call of [`crate::Core::dispatch`], which has vats and a host waiting: some milliseconds.
pub const CHORE_ROWS: usize = 500;

/// Rows removed of what vats left in one call of [`crate::Core::dispatch`] while there are deliveries
/// to hand out: a tenth of a millisecond for each. Somebody may wait for what such a vat decides.
pub const CHORE_ROWS_BUSY: usize = 8;

/// Imports of a vat that an unfinished sweep has to leave alone. A vat that lets go of more so soon
/// after its start is swept at its next start.
pub const SWEEP_KEPT_MAX: usize = 100_000;

/// Faults after which a vat is suspended, each within [`FAULT_WINDOW_DELIVERIES`] of the one before.
pub const FAULTS_MAX: u64 = 5;

/// Deliveries without a fault after which earlier faults are forgiven.
pub const FAULT_WINDOW_DELIVERIES: u64 = 1_000;

/// Characters of a fault's or failure's text that are kept.
pub const DETAIL_CHARS_MAX: usize = 1_000;

/// Units a channel's inbound buffer holds. The driver stops reading from the peer well before.
pub const CHANNEL_BUFFER_UNITS_MAX: usize = 100_000;

/// Bytes a channel's inbound buffer holds: eight of the longest units.
pub const CHANNEL_BUFFER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Reads (or calls of `accept`, or waits for readiness) pending on one channel.
pub const CHANNEL_PENDING_MAX: usize = 1_000;

/// What one vat has asked of its host and not yet been told of: timers, mostly. The supervisor
/// refuses more than this to the vat's code; a vat that gets past it faults.
pub const ASKS_MAX: u64 = 1_000;

/// Timers of one vat that stand at once. A vat with more to wait for keeps its own list, in order,
/// and a timer for the first.
pub const VAT_TIMERS_MAX: u64 = 1_000;

/// The same for all vats of a subcluster.
pub const SUBCLUSTER_TIMERS_MAX: u64 = 10_000;

/// Timers that fire in one turn: a few milliseconds.
pub const TIMERS_FIRED_MAX: usize = 200;

/// How long a timer that is due waits for a vat that takes nothing, before it is tried again, in
/// milliseconds. Each time is a write, so it is as long as the timer is late already, within this
/// and [`TIMER_RETRY_MS_MAX`]. A vat that is restarted gets its own at once.
pub const TIMER_RETRY_MS_MIN: u64 = 10_000;

/// See [`TIMER_RETRY_MS_MIN`].
pub const TIMER_RETRY_MS_MAX: u64 = 600_000;

/// The latest moment there is, in milliseconds since 1970: what a number of a vat holds exactly.
pub const MOMENT_MS_MAX: u64 = (1 << 53) - 1;

/// URLs that stand at once. Some hundred bytes each, and a boot does not look at them.
pub const URLS_MAX: u64 = 1_000_000;

/// URLs that one vat has issued and that stand at once, so that one that never revokes any leaves
/// room for others.
pub const VAT_URLS_MAX: u64 = 10_000;

/// Bytes of a URL's label.
pub const URL_LABEL_BYTES_MAX: usize = 256;

/// Characters of a URL's id that are enough to revoke it by: chance does not make two alike.
pub const URL_ID_CHARS_MIN: usize = 12;

/// Calls of services and channels under way, over all callers.
pub const CALLS_MAX: u64 = 100_000;

/// Objects of vats registered as services.
pub const OBJECT_SERVICES_MAX: usize = 1_000;

/// Bytes of the name of such a service.
pub const NAME_BYTES_MAX: usize = 256;

/// References the host's c-list holds. A host that needs more releases some first.
pub const HOST_REFS_MAX: u64 = 100_000;

/// Requests that are to happen once and are remembered. The oldest is forgotten for the next.
pub const RECEIPTS_MAX: u64 = 10_000;

/// How long they are remembered, in milliseconds: a day. Who asks again for an answer that was lost
/// does so within minutes.
pub const RECEIPT_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// Requests forgotten for each that is remembered: more than one, so that those whose time is over
/// become fewer.
pub const RECEIPTS_FORGOTTEN_MAX: usize = 4;

/// Vats in one subcluster.
pub const SUBCLUSTER_VATS_MAX: usize = 10_000;

/// Channels in one subcluster.
pub const SUBCLUSTER_CHANNELS_MAX: usize = 1_000;

/// Nesting of a vat's parameters. What JSON parsers accept, less what the store wraps around it.
pub const PARAMETERS_DEPTH_MAX: usize = 100;

/// Findings one walk over the store reports. More say nothing new.
pub const FINDINGS_MAX: usize = 1_000;

/// Rows of the store remembered between turns. About 10 MiB; the working set of a busy kernel.
pub const CACHED_ROWS_MAX: usize = 50_000;

/// Bytes of a value worth remembering. Longer ones are bodies and code, which are read once.
pub const CACHED_BYTES_MAX: usize = 512;

/// Entries of a vat's c-list before its own exports make it fault. What others give it is not
/// refused: that would let it harm them.
pub const CLIST_ENTRIES_MAX: u64 = 1_000_000;

/// Deliveries handed to one vat's worker at once, so that it need not wait for the kernel between
/// two of them. What a fault throws away is at most this.
pub const IN_FLIGHT_DELIVERIES_MAX: usize = 64;

/// Bytes of bodies handed to one vat's worker at once, beyond which it gets no further delivery.
pub const IN_FLIGHT_BYTES_MAX: usize = 1 << 20;

/// Parked messages that one crank's resolutions may set in motion: several full queues.
pub const CRANK_MOVES_MAX: u64 = 4 * QUEUE_ITEMS_MAX;

/// Settled promises looked at in one turn to see whether they only hold each other (some tens of
/// milliseconds). Larger knots stay until the next boot, which looks at them all.
pub const KNOT_PROMISES_MAX: usize = 5_000;

/// Rows looked through for mentions of one reference that is inspected. Everything waits meanwhile,
/// some ten milliseconds.
pub const INSPECT_ROWS_MAX: usize = 5_000;

/// Holders of one reference that are listed.
pub const INSPECT_HOLDERS_MAX: usize = 200;

/// Characters of what a reference is said to be.
pub const INSPECT_IFACE_CHARS_MAX: usize = 200;
