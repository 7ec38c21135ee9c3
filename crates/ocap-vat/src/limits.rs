//! Every limit of the worker processes and of the protocol they speak. Limits of a vat's crank are
//! in [`crate::engine::Limits`].

/// Bytes of one frame from the kernel to a worker. The largest is `Init`, which carries a vat's
/// code.
pub const FRAME_TO_WORKER_BYTES_MAX: usize = 64 << 20;

/// Bytes of one frame from a worker to the kernel. A crank's report holds at most what
/// `crank_bytes_max` allows and its references; module graphs carry a vat's code.
pub const FRAME_FROM_WORKER_BYTES_MAX: usize = 64 << 20;

/// Bytes of one vat's compiled code that the kernel is told. That of a bundle is about as large as
/// its text.
pub const BYTECODE_BYTES_MAX: usize = 16 << 20;

/// Free places in a zygote's heap that are filled before workers are forked, in bytes: from the
/// largest (below what libc maps by itself), in steps of libc's alignment, to the smallest it knows.
pub(crate) const HOLE_BYTES_MAX: usize = 64 << 10;
/// See [`HOLE_BYTES_MAX`].
pub(crate) const HOLE_BYTES_STEP: usize = 16;
/// See [`HOLE_BYTES_MAX`].
pub(crate) const HOLE_BYTES_MIN: usize = 24;

/// Bytes a worker reads at once until it has more to read than that. Most workers are idle.
pub const READ_FIRST_BYTES: usize = 4 << 10;

/// Bytes read from a socket at once: enough for some hundred small deliveries.
pub const READ_CHUNK_BYTES: usize = 64 << 10;

/// List elements in one frame from a worker. A list element of a byte or two on the wire can take
/// a hundred bytes in memory, so bytes alone do not bound what decoding allocates.
pub const FRAME_ELEMENTS_MAX: usize = 1 << 20;

/// Deliveries a worker holds while one of its cranks waits for the answer to an up-call. The
/// kernel sends fewer.
pub const DELIVERIES_QUEUED_MAX: usize = 4096;

/// Log lines of one crank. A vat that prints in a loop must not fill the disk or the socket.
pub const CRANK_LOG_LINES_MAX: u32 = 200;

/// Bytes of log lines of one crank.
pub const CRANK_LOG_BYTES_MAX: usize = 256 << 10;

/// Bytes of one log line; the rest is cut off.
pub const LOG_LINE_BYTES_MAX: usize = 16 << 10;

/// Characters of a fault's detail or of an error text that comes from a panic.
pub const DETAIL_CHARS_MAX: usize = 400;

/// Address space a worker may use beyond its vat's heap and what it shared with the zygote when it
/// was forked: a frame being read, the same decoded, a report being written, and the engine's stack.
pub const MEMORY_SLACK_BYTES: u64 = 4 * FRAME_TO_WORKER_BYTES_MAX as u64 + WORKER_STACK_BYTES;

/// Heap a worker may use before its `Init` frame says how much its vat has, and the most any vat
/// can be given.
pub const HEAP_BYTES_MAX: u64 = 4 << 30;

/// Heap of a worker that collects a module graph, in bytes. The engine's own limit is lower.
pub const COLLECT_HEAP_BYTES_MAX: u64 = 1 << 30;

/// Stack of a worker. The engine's own limit is lower.
pub const WORKER_STACK_BYTES: u64 = 64 << 20;

/// Stack of a worker that is a thread: address space, touched only when used.
pub const THREAD_STACK_BYTES: usize = 32 << 20;

/// Open files of a worker: standard input, output and error (all `/dev/null`) and its socket.
pub const WORKER_FILES_MAX: u64 = 4;

/// How long a zygote may take to prepare, in milliseconds. It takes some twenty; a machine may be
/// very busy.
pub const ZYGOTE_READY_MS_MAX: u64 = 30_000;

/// How long a zygote may take to fork, in milliseconds. It takes about one.
pub const SPAWN_MS_MAX: u64 = 15_000;

/// How long a zygote that is to end may take to say which worker it has forked last, in milliseconds.
pub const LAST_ANSWER_MS_MAX: u64 = 1_000;

/// Bytes of a message on the zygote's control socket.
pub const CONTROL_BYTES_MAX: usize = 4096;

/// Address space that a zygote's program, libraries and prepared engine may already take.
pub const ZYGOTE_MAPPED_BYTES: u64 = 1 << 30;
