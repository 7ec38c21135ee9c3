//! Reads through connections of their own, so that a read never waits for a commit.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use rusqlite::{Connection, OptionalExtension as _, Row, types::Value};

use crate::limits::READERS;
use crate::sqlite::lock::Lock;
use crate::sqlite::{connection, failure};
use crate::{Reader, StoreError, prefix};

const GET: &str = "SELECT value FROM kv WHERE key = ?1";
const NEXT_FROM: &str =
    "SELECT key, value FROM kv WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT 1";
const NEXT_AFTER: &str =
    "SELECT key, value FROM kv WHERE key > ?1 AND key < ?2 ORDER BY key LIMIT 1";

/// Shared reads.
pub(super) struct SqliteReader {
    connections: [Mutex<Connection>; READERS],
    // After the connections: they close before the lock is given back.
    _lock: Arc<Lock>,
}

impl SqliteReader {
    pub(super) fn open(path: &Path, lock: Arc<Lock>) -> Result<Self, StoreError> {
        let mut opened = Vec::with_capacity(READERS);
        for _ in 0..READERS {
            opened.push(Mutex::new(connection::for_reading(path)?));
        }
        let connections = <[_; READERS]>::try_from(opened)
            .map_err(|_| StoreError::Io("cannot open the database for reading".into()))?;
        Ok(Self { connections, _lock: lock })
    }

    /// A connection nobody is using, or the first one once it is free.
    fn connection(&self) -> MutexGuard<'_, Connection> {
        let [first, others @ ..] = &self.connections;
        for candidate in [first].into_iter().chain(others) {
            match candidate.try_lock() {
                Ok(guard) => return guard,
                // A statement that a panic interrupted was reset when it was dropped.
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        first.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader for SqliteReader {
    fn get(&self, key: &str) -> Result<Option<String>, StoreError> {
        get(&self.connection(), key)
    }

    fn next(&self, prefix: &str, after: &str) -> Result<Option<(String, String)>, StoreError> {
        next(&self.connection(), prefix, after)
    }
}

/// [`Reader::get`] on a connection.
pub(super) fn get(connection: &Connection, key: &str) -> Result<Option<String>, StoreError> {
    connection
        .prepare_cached(GET)
        .and_then(|mut statement| statement.query_row([key], |row| row.get(0)).optional())
        .map_err(|error| failure::sqlite(&error))
}

/// [`Reader::next`] on a connection.
pub(super) fn next(
    connection: &Connection,
    prefix: &str,
    after: &str,
) -> Result<Option<(String, String)>, StoreError> {
    // One lower bound, not two: SQLite seeks to one of them and would walk up to the other.
    let (sql, start) = if after < prefix { (NEXT_FROM, prefix) } else { (NEXT_AFTER, after) };
    // Every blob is greater than every text.
    let end = prefix::end(prefix).map_or(Value::Blob(Vec::new()), Value::Text);
    let entry = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.query_row((start, end), entry).optional())
        .map_err(|error| failure::sqlite(&error))
}

#[cfg(test)]
mod tests {
    use super::{NEXT_AFTER, NEXT_FROM};
    use crate::sqlite::connection;
    use rusqlite::types::Value;

    #[test]
    fn a_prefix_is_a_range_of_the_index() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kernel.sqlite");
        drop(crate::sqlite::open(&path).unwrap());
        let connection = connection::for_reading(&path).unwrap();
        for sql in [NEXT_FROM, NEXT_AFTER] {
            let sql = format!("EXPLAIN QUERY PLAN {sql}");
            let plan: String = connection
                .query_row(&sql, ("a", Value::Blob(Vec::new())), |row| row.get(3))
                .unwrap();
            assert_eq!(plan, "SEARCH kv USING PRIMARY KEY (key>? AND key<?)");
        }
    }
}
