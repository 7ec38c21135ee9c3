//! Limits of the driver, each with its unit and reason.

/// Host requests under way at once. More are refused: a host that never reads its answers must not
/// fill the kernel's memory.
pub const HOST_REQUESTS_MAX: usize = 65_536;

/// Inputs taken from the inbox in one turn of the loop, so that workers are not starved.
pub const INBOX_BATCH: usize = 4_096;

/// Deliveries handed out in one turn of the loop, so that the inbox is not starved.
pub const DISPATCH_BATCH: usize = 4_096;

/// Requests and file operations of one vat that are carried out at once; more wait.
pub const VAT_ERRANDS_MAX: usize = 16;

/// The same over all vats: each takes a thread.
pub const ERRANDS_MAX: usize = 64;

/// Bytes of a request's or an answer's body. With its encoding it fits into a message.
pub const FETCH_BODY_BYTES_MAX: u64 = 4 << 20;

/// Redirects followed for one request: what browsers do.
pub const FETCH_REDIRECTS_MAX: usize = 20;

/// How long one request may take with all its redirects, in milliseconds.
pub const FETCH_MS_MAX: u64 = 30_000;

/// Bytes of a file that a vat reads, likewise.
pub const FILE_BYTES_MAX: u64 = 4 << 20;

/// Bytes of a path from a vat; the system takes no more.
pub const FILE_PATH_BYTES_MAX: usize = 4_096;

/// Timers fired in one turn of the loop, so that neither inbox nor workers are starved.
pub const TIMERS_BATCH: usize = 4_096;

/// How long a wait for a timer of the service `timer` may be before the wall clock is looked at, in
/// milliseconds: somebody may set it, and it does not stand still while the machine sleeps.
pub const CLOCK_LOOK_MS: u64 = 5_000;

/// Rounds of one collection of garbage. One link of a chain from vat to vat takes a round; a kernel
/// that makes garbage all the time would never end.
pub const COLLECTION_ROUNDS_MAX: u32 = 100;

/// Bytes of the name of a service or a system subcluster.
pub const NAME_BYTES_MAX: usize = 256;

/// Bytes read from one worker in one turn of the loop.
pub const WORKER_READ_BYTES: usize = 256 * 1024;

/// How often cranks in flight are held against their deadlines, in milliseconds.
pub const WATCH_INTERVAL_MS: u64 = 50;

/// Wall time a crank may take, as a multiple of its CPU time: an innocent vat on a busy machine
/// must not fault.
pub const WALL_FACTOR: u64 = 20;

/// CPU time beyond a crank's own limit before the kernel ends the worker, in milliseconds. The
/// worker notices by itself first, unless it is inside a builtin that never ticks.
pub const CPU_SLACK_MS: u64 = 500;

/// Longest log line taken from a vat, in bytes; the rest is cut.
pub const LOG_LINE_BYTES_MAX: usize = 8 * 1024;

/// Log lines taken from one vat in a second; what is beyond is counted and dropped, so that no vat
/// can fill the disk.
pub const LOG_LINES_PER_SECOND_MAX: u32 = 500;

/// Largest bundle or module file, in bytes.
pub const CODE_FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// How long a code loader may take, in milliseconds.
pub const COLLECT_MS_MAX: u64 = 30_000;

/// Log lines of one loading of code.
pub const LOADER_LINES_MAX: u32 = 200;

/// Batches without an effect are committed at the latest after this many milliseconds.
pub const QUIET_COMMIT_MS: u64 = 100;

/// Turns of the loop for which an answer may wait for others to be committed with, while each turn
/// brings news. A turn takes some ten microseconds.
pub const GATHER_TURNS_MAX: u32 = 16;

/// How long nothing has been delivered before vats that may hold garbage are asked for it, in
/// milliseconds. Asking costs about as much as a message, so not after each of a lively exchange.
pub const REST_MS: u64 = 500;

/// How long the driver waits for the exit status of a worker whose stream has ended, in
/// milliseconds. A process closes its files an instant before it can be reaped; one that closes its
/// socket and lives on is not worth more.
pub const EXIT_WAIT_MS: u64 = 50;

/// How long a batch that found the disk full waits before it is tried again, in milliseconds.
pub const FULL_RETRY_MS: u64 = 500;

/// How often the store is opened again without a commit that goes well in between. A disk that fails
/// once may have had a bad moment; one that goes on failing is a matter for a person.
pub const REOPENS_MAX: u32 = 3;

/// Bytes of one vat's compiled code that are kept. That of a bundle is about as large as its text.
pub const BYTECODE_FILE_BYTES_MAX: usize = ocap_vat::limits::BYTECODE_BYTES_MAX;

/// Bytes of compiled code kept in memory; what was asked for longest ago goes first.
pub const BYTECODE_MEMORY_BYTES_MAX: usize = 32 << 20;

/// Bytes of compiled code kept in the home; the oldest files go first.
pub const BYTECODE_FOLDER_BYTES_MAX: u64 = 256 << 20;

/// Events of the trace that are kept: some seconds of a busy kernel, and 1.5 MiB.
pub const TRACE_EVENTS_MAX: usize = 16_384;

/// Bytes a worker's empty outbound buffer may keep allocated: enough for lively traffic.
pub const IDLE_BUFFER_BYTES_MAX: usize = 64 << 10;

/// Bytes of a line of an export: the largest code twice escaped. An import that is larger somewhere is
/// none of ours.
pub const EXPORT_LINE_BYTES_MAX: u64 = 128 << 20;

/// Rows of an export or import between two looks whether it is to go on.
pub const EXPORT_ROWS_PER_LOOK: u64 = 1_000;

/// The highest batch number and epoch an import may bring: those above are not exact in JSON, and no
/// kernel lives to count so far.
pub const COUNTED_MAX: u64 = 1 << 53;

/// Questions in SQL that are worked on at the same time: each takes a thread, and a connection with
/// its caches.
pub const QUERIES_MAX: usize = 2;
