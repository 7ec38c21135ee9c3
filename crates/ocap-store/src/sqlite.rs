//! The SQLite engine: one file, its write-ahead log, and a lock file beside it.
//!
//! Opening goes in this order, and whatever fails leaves the files behind it alone:
//!
//! 1. the lock on `<path>.lock` ([`lock`]), which keeps a second kernel out;
//! 2. a look at the file's first bytes ([`format`]): is it a store of ours, of a version we know?
//! 3. SQLite, and migrations if the file is older;
//! 4. the epoch, one more than the last.
//!
//! The lock is held as long as the writer or a reader exists. It is on a file of its own because a
//! process loses SQLite's locks when it closes *any* descriptor of the database; for the same
//! reason the look at the first bytes comes before SQLite has the file open.

use std::path::Path;
use std::sync::Arc;

use crate::{Opened, StoreError};

mod connection;
mod draft;
mod failure;
mod format;
mod inspection;
mod lock;
mod query;
mod reader;
mod writer;

pub use draft::{Draft, Loading, Place, Progress, Source};
pub use inspection::{Inspection, inspect};
pub use query::{Answer, Cell, query};

/// Opens the store at `path`, or creates it. A missing parent folder is created with mode 0700;
/// files get mode 0600.
///
/// # Errors
/// `Busy` if another kernel has it open, `Format` if the file is not a store or was written by a
/// newer version (it is then untouched), `Corrupt` if it is damaged, else `Full` or `Io`.
pub fn open(path: impl AsRef<Path>) -> Result<Opened, StoreError> {
    let path = lock::resolve(path.as_ref())?;
    let lock = Arc::new(lock::Lock::take(&path)?);
    format::prepare(&path)?;
    let mut connection = connection::for_writing(&path)?;
    format::migrate(&path, &connection)?;
    let (epoch, last_seq) = writer::take_over(&mut connection)?;
    let reader = reader::SqliteReader::open(&path, Arc::clone(&lock))?;
    Ok(Opened {
        reader: Arc::new(reader),
        writer: Box::new(writer::SqliteWriter::new(connection, epoch, lock)),
        epoch,
        last_seq,
    })
}
