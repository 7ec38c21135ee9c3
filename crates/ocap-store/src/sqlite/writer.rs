//! Commits: one transaction per batch, with the epoch checked and the batch number set in it.

use std::sync::Arc;

use rusqlite::{Connection, TransactionBehavior};

use crate::sqlite::failure;
use crate::sqlite::lock::Lock;
use crate::{Batch, StoreError, Writer};

const META: &str = "SELECT epoch, last_seq FROM meta WHERE id = 1";
const TAKE_OVER: &str = "UPDATE meta SET epoch = ?1 WHERE id = 1";
const ADVANCE: &str = "UPDATE meta SET last_seq = ?1 WHERE id = 1";
const PUT: &str = "INSERT INTO kv(key, value) VALUES (?1, ?2)
    ON CONFLICT(key) DO UPDATE SET value = excluded.value";
const DELETE: &str = "DELETE FROM kv WHERE key = ?1";

/// Makes this process the store's writer. Answers with its epoch and the last batch's number.
pub(super) fn take_over(connection: &mut Connection) -> Result<(u64, u64), StoreError> {
    let sorted = |error| failure::sqlite(&error);
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sorted)?;
    let (epoch, last_seq) = meta(&transaction)?;
    let epoch = stored(epoch)
        .ok()
        .and_then(|epoch| epoch.checked_add(1))
        .ok_or_else(|| StoreError::Corrupt("the epoch has no successor".into()))?;
    transaction.execute(TAKE_OVER, [epoch]).map_err(sorted)?;
    transaction.commit().map_err(sorted)?;
    Ok((epoch.cast_unsigned(), last_seq))
}

/// The epoch and the number of the last batch.
pub(super) fn meta(connection: &Connection) -> Result<(u64, u64), StoreError> {
    connection
        .prepare_cached(META)
        .and_then(|mut statement| {
            statement.query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
        })
        .map_err(|error| failure::sqlite(&error))
        .and_then(|(epoch, last_seq)| match (u64::try_from(epoch), u64::try_from(last_seq)) {
            (Ok(epoch), Ok(last_seq)) => Ok((epoch, last_seq)),
            _ => Err(StoreError::Corrupt("a negative epoch or batch number".into())),
        })
}

/// Makes these the epoch and the number of the last batch.
pub(super) fn set_meta(
    connection: &Connection,
    epoch: u64,
    last_seq: u64,
) -> Result<(), StoreError> {
    let (epoch, last_seq) = (stored(epoch)?, stored(last_seq)?);
    let sorted = |error| failure::sqlite(&error);
    connection.execute(TAKE_OVER, [epoch]).map_err(sorted)?;
    connection.execute(ADVANCE, [last_seq]).map_err(sorted)?;
    Ok(())
}

/// A number as SQLite stores it.
fn stored(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError::Io(format!("{number} is too large to store")))
}

/// The one writer.
pub(super) struct SqliteWriter {
    connection: Connection,
    epoch: u64,
    // Set by a failure whose outcome is unknown, or by a successor: nothing more may be written.
    closed: bool,
    // After the connection: it closes before the lock is given back.
    _lock: Arc<Lock>,
}

impl SqliteWriter {
    pub(super) fn new(connection: Connection, epoch: u64, lock: Arc<Lock>) -> Self {
        Self { connection, epoch, closed: false, _lock: lock }
    }

    fn attempt(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let sorted = |error| failure::sqlite(&error);
        // Dropping a transaction rolls it back.
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(sorted)?;
        let (epoch, last_seq) = meta(&transaction)?;
        if epoch != self.epoch {
            return Err(StoreError::Fenced { ours: self.epoch, theirs: epoch });
        }
        batch.follows(last_seq)?;
        {
            let mut put = transaction.prepare_cached(PUT).map_err(sorted)?;
            let mut delete = transaction.prepare_cached(DELETE).map_err(sorted)?;
            for (key, value) in &batch.writes {
                match value {
                    Some(value) => put.execute([key, value]),
                    None => delete.execute([key]),
                }
                .map_err(sorted)?;
            }
            let mut advance = transaction.prepare_cached(ADVANCE).map_err(sorted)?;
            advance.execute([stored(batch.seq)?]).map_err(sorted)?;
        }
        transaction.commit().map_err(sorted)
    }
}

impl Writer for SqliteWriter {
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        if self.closed {
            return Err(StoreError::Io(
                "an earlier commit failed: the store must be opened again".into(),
            ));
        }
        let result = self.attempt(batch);
        // Still inside a transaction: the rollback failed too.
        let stuck = !self.connection.is_autocommit();
        let result = match result {
            Err(StoreError::Full(text) | StoreError::Busy(text)) if stuck => {
                Err(StoreError::Io(text))
            }
            other => other,
        };
        self.closed = matches!(
            result,
            Err(StoreError::Io(_) | StoreError::Corrupt(_) | StoreError::Fenced { .. })
        );
        result
    }
}

impl Drop for SqliteWriter {
    fn drop(&mut self) {
        // Readers may outlive the writer, and they cannot move the log into the database. After a
        // failure the next one to open the store does it; and if this fails, also.
        if !self.closed {
            let _ = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{SqliteWriter, take_over};
    use crate::sqlite::{connection, format, lock};
    use crate::{Batch, StoreError, Writer as _};

    #[test]
    fn a_full_disk_refuses_a_batch_and_takes_it_once_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kernel.sqlite");
        let lock = Arc::new(lock::Lock::take(&path).unwrap());
        format::prepare(&path).unwrap();
        let mut connection = connection::for_writing(&path).unwrap();
        let (epoch, _) = take_over(&mut connection).unwrap();
        // SQLite's own limit on the file's size ends in the same code as a full disk.
        let limit = |writer: &SqliteWriter, pages: u32| {
            writer.connection.pragma_update(None, "max_page_count", pages).unwrap();
        };
        let mut writer = SqliteWriter::new(connection, epoch, lock);
        limit(&writer, 20);
        let large = Batch { seq: 1, writes: [("a".into(), Some("x".repeat(1 << 20)))].into() };
        for _ in 0..2 {
            let error = writer.commit(&large).unwrap_err();
            assert!(matches!(error, StoreError::Full(_)), "{error:?}");
        }
        limit(&writer, 1_000_000);
        writer.commit(&large).unwrap();
        let read: String = writer
            .connection
            .query_row("SELECT value FROM kv WHERE key = 'a'", [], |row| row.get(0))
            .unwrap();
        assert_eq!(read.len(), 1 << 20);
    }
}
