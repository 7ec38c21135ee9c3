//! Every limit of this crate.

/// Bytes of one unit, without its newline, in either direction. A line longer than this is an error
/// in its place; a write longer than this is rejected.
pub const UNIT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Units of one channel handed out and not yet consumed. At this many its peer is no longer read.
/// Enough to keep a busy vat fed, small enough that empty lines cannot fill the memory.
pub const INBOUND_UNITS_MAX: u64 = 1024;

/// Bytes of those units. One unit may always pass, whatever its length.
pub const INBOUND_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Writes of one channel not yet handed to the system. Beyond it they are rejected.
pub const OUTBOUND_CALLS_MAX: usize = 1024;

/// Bytes of those writes, newlines included. One write may always pass.
pub const OUTBOUND_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes taken from a peer at once: a few socket buffers' worth of small lines.
pub const READ_CHUNK_BYTES: usize = 64 * 1024;

/// Writes done for one client before its channel looks at anything else, so that a fast reader
/// does not keep its channel from closing.
pub const WRITES_PER_TURN: usize = 64;

/// Bytes of a socket's path, as the operating system's address structure has them (a terminating
/// zero not counted).
pub const SOCKET_PATH_BYTES_MAX: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Connections the system holds for us until we take them, which we do at once: only a burst has to
/// fit.
pub const LISTEN_BACKLOG: i32 = 64;

/// Clients of a channel with many that wait for its vat to accept them. Further ones are turned
/// away. A burst that a vat gets through within a moment.
pub const WAITING_MAX: usize = 64;

/// Clients of one channel with many, those that wait included. Further ones are turned away.
pub const CONNECTIONS_MAX: usize = 256;

/// The same over all channels of a kernel. Most systems give a process 1,024 descriptors, and vats
/// need some too.
pub const CONNECTIONS_KERNEL_MAX: usize = 700;

/// Bytes of one unit of a connection of a channel with many clients, as [`UNIT_BYTES_MAX`]. There
/// may be hundreds of them, whose peers nobody knows.
pub const CONNECTION_UNIT_BYTES_MAX: usize = 1024 * 1024;

/// Units of one such connection handed out and not yet consumed.
pub const CONNECTION_INBOUND_UNITS_MAX: u64 = 256;

/// Bytes of those units. One unit may always pass, whatever its length.
pub const CONNECTION_INBOUND_BYTES_MAX: u64 = 1024 * 1024;

/// Writes of one such connection not yet handed to the system.
pub const CONNECTION_OUTBOUND_CALLS_MAX: usize = 256;

/// Bytes of those writes, newlines included. One write may always pass, if it has one unit.
pub const CONNECTION_OUTBOUND_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes taken from the peer of such a connection at once.
pub const CONNECTION_CHUNK_BYTES: usize = 16 * 1024;

/// Milliseconds before the first retry of a channel that could not be opened; doubled each time.
pub const RETRY_MS_MIN: u64 = 250;

/// Milliseconds between retries at most: how long a channel takes to notice that it can heal.
pub const RETRY_MS_MAX: u64 = 30_000;

/// Milliseconds between looks at whether a listening socket's file is still there.
pub const CHECK_MS: u64 = 1_000;

/// Milliseconds without accepting after the system refused to accept (no descriptors left).
pub const ACCEPT_PAUSE_MS: u64 = 250;

/// Milliseconds without accepting after a client that sent nothing, so that a peer that only
/// connects and disconnects cannot flood the kernel with events that no back-pressure covers.
pub const EMPTY_CLIENT_PAUSE_MS: u64 = 2;

/// Milliseconds a client that ended its input, and whose units are all consumed, is still written
/// to: long enough for an answer, short enough that a client which waits for our end gets it.
pub const LINGER_MS: u64 = 2_000;

/// Milliseconds a closing channel waits for the console, or the peer of one connection of many, to
/// take what was already written to it.
pub const CLOSE_FLUSH_MS: u64 = 250;

/// Bytes of unread input passed over at once when a connection among many is closed.
pub const PART_CHUNK_BYTES: usize = 16 * 1024;

/// How often that is done: a socket's buffer is passed over, a peer that goes on sending is not.
pub const PART_CHUNKS_MAX: usize = 512;

/// Milliseconds closing all channels may take in total; a hung file system must not hang the stop.
pub const CLOSE_ALL_MS: u64 = 5_000;

/// Milliseconds one attempt to connect may take. A subcluster's vats start after the first one.
pub const DIAL_MS_MAX: u64 = 3_000;
