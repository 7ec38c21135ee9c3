//! Every limit of this crate, with its unit and its reason.

use std::time::Duration;

/// How long a commit waits for a lock that a tool (a backup, the `sqlite3` shell) has on the
/// database. Kernels never wait for one another: the lock file keeps them apart.
pub const BUSY_WAIT: Duration = Duration::from_secs(1);

/// Read connections per database: one for the kernel, one for a vat's reads beside it.
pub const READERS: usize = 2;

/// Pages (of 4 KiB) in the write-ahead log before they are moved into the database. More means fewer
/// syncs under load, and longer to read back after a crash.
pub const WAL_PAGES: u32 = 2_000;

/// Bytes the write-ahead log's file keeps after one unusually large batch.
pub const WAL_FILE_BYTES: u32 = 32 << 20;

/// KiB of page cache of the writing connection.
pub const WRITER_CACHE_KIB: u32 = 16 << 10;

/// KiB of page cache of each reading connection.
pub const READER_CACHE_KIB: u32 = 8 << 10;

/// Prepared statements a connection keeps: more than this crate has.
pub const STATEMENTS: usize = 16;

/// Bytes of a lock file that are looked at: a process id and its line end need fewer.
pub const LOCK_FILE_BYTES: u64 = 32;

/// Tables, indices, views and triggers of a database that are looked at; ours has two.
pub const SCHEMA_ITEMS: usize = 16;

/// Lines of SQLite's report on a damaged file: enough to see what it is about.
pub const DAMAGE_MAX: u32 = 100;

/// Pages (of 4 KiB) copied at a time when a store is backed up: short enough to end soon when the
/// kernel stops.
pub const COPY_STEP_PAGES: i32 = 256;

/// KiB of page cache for a store that is being made from another one.
pub const DRAFT_CACHE_KIB: u32 = 8 << 10;

/// How long a question in SQL may take: longer than any honest one, and short for whoever waits.
pub const QUERY_TIME: Duration = Duration::from_secs(2);

/// Steps of SQLite's machine between two looks at the clock: some microseconds.
pub const QUERY_STEPS: i32 = 1_000;

/// Rows in the answer to a question.
pub const QUERY_ROWS: usize = 100_000;

/// Bytes of the values in it.
pub const QUERY_BYTES: usize = 32 << 20;

/// Bytes of one value that a question handles, also in between.
pub const QUERY_CELL_BYTES: i32 = 64 << 20;

/// SELECTs of one query: SQLite's work on nested ones can double with each level.
pub const QUERY_SELECTS_MAX: usize = 8;
