//! Looking at a store from outside, for diagnosis: no byte of it changes, no file is made, and no
//! kernel can open it meanwhile.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

use crate::limits::DAMAGE_MAX;
use crate::sqlite::{connection, failure, format, lock, reader, writer};
use crate::{Reader, StoreError};

/// A store that is being looked at.
pub struct Inspection {
    /// What is in it: everything that was committed, also what is still in its log.
    pub reader: Arc<dyn Reader>,
    /// The epoch of the last writer.
    pub epoch: u64,
    /// The number of the last batch.
    pub last_seq: u64,
    /// What SQLite finds wrong with the file itself, one line each; at most
    /// [`DAMAGE_MAX`] lines.
    pub damage: Vec<String>,
}

/// Opens the store at `path` to look at it. Kernels are kept out while the reader lives, unless
/// the store has no lock file: then no kernel has ever had it open where it is.
///
/// # Errors
/// `Busy` if a kernel has it open, `Format` if there is none or it is not of the present version,
/// `Corrupt` if it is too damaged to be read at all, else `Io`.
pub fn inspect(path: impl AsRef<Path>) -> Result<Inspection, StoreError> {
    let path = find(path.as_ref())?;
    let lock = lock::share(&path)?;
    let connection = connect(&path)?;
    let (epoch, last_seq) = writer::meta(&connection)?;
    let damage = damage(&connection).map_err(|error| failure::sqlite(&error))?;
    let reader = Arc::new(InspectionReader { connection: Mutex::new(connection), _lock: lock });
    Ok(Inspection { reader, epoch, last_seq, damage })
}

/// The path of a store that is there, whatever links lead to it.
pub(super) fn find(path: &Path) -> Result<PathBuf, StoreError> {
    path.canonicalize().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            StoreError::Format(format!("there is no store at {}", path.display()))
        }
        _ => failure::file("find", path, error),
    })
}

/// A connection to a store of the present version that no kernel has open.
pub(super) fn connect(path: &Path) -> Result<Connection, StoreError> {
    format::look(path)?;
    if holds_something(&lock::beside(path, "-journal")) {
        return Err(StoreError::Format(format!(
            "{} has a rollback journal, which no kernel leaves; nothing was changed",
            path.display()
        )));
    }
    let logged = holds_something(&lock::beside(path, "-wal"));
    let connection = connection::for_inspecting(path, logged)?;
    format::check_current(path, &connection)?;
    Ok(connection)
}

fn holds_something(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0)
}

fn damage(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(&format!("PRAGMA integrity_check({DAMAGE_MAX})"))?;
    let lines: Vec<String> =
        statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}

/// Reads of one connection.
struct InspectionReader {
    connection: Mutex<Connection>,
    // After the connection: it closes before the lock is given back.
    _lock: Option<lock::Lock>,
}

impl Reader for InspectionReader {
    fn get(&self, key: &str) -> Result<Option<String>, StoreError> {
        reader::get(&self.connection.lock().unwrap_or_else(PoisonError::into_inner), key)
    }

    fn next(&self, prefix: &str, after: &str) -> Result<Option<(String, String)>, StoreError> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        reader::next(&connection, prefix, after)
    }
}
