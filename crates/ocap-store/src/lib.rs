//! An ordered key-value store with atomic batches and one writer.
//!
//! The kernel keeps all its state here. It reads one key at a time or in key order, and writes
//! whole batches: a [`Batch`] is on disk entirely or not at all. Keys and values are text; keys are
//! ordered bytewise. What a store promises is in [`Reader`] and [`Writer`]; the engines are
//! the memory engine and SQLite.

use std::collections::BTreeMap;
use std::sync::Arc;

pub mod limits;
pub mod memory;
mod prefix;
pub mod sqlite;

/// What went wrong, by what the caller should do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another kernel has this store open. Stop it, or use another home.
    #[error("{0}")]
    Busy(String),
    /// Another writer has taken this store over. Stop at once and release nothing.
    #[error("another kernel has taken this store over (epoch {theirs}, ours was {ours})")]
    Fenced {
        /// The epoch this writer held.
        ours: u64,
        /// The epoch found in the store.
        theirs: u64,
    },
    /// The batch is not the one that comes next: a fault of the caller. Nothing was written.
    #[error("batch {seq} does not follow batch {last}, the last one stored")]
    Sequence {
        /// The number of the batch that was given.
        seq: u64,
        /// The number of the last batch the store holds.
        last: u64,
    },
    /// The disk is full. Nothing was written; the same batch may be tried again.
    #[error("no room left: {0}")]
    Full(String),
    /// The file was written by a newer version, or is no store of ours. Nothing was touched.
    #[error("{0}")]
    Format(String),
    /// The file is damaged.
    #[error("damaged store: {0}")]
    Corrupt(String),
    /// Somebody asked to stop before it was done. Nothing was changed.
    #[error("stopped before it was done")]
    Stopped,
    /// The operating system failed. After a failed commit the outcome is unknown until the store is
    /// opened again and its last batch number compared.
    #[error("{0}")]
    Io(String),
}

/// A set of writes that become visible and durable together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// One more than the batch before it; the store remembers the last one it holds.
    pub seq: u64,
    /// New value per key; `None` deletes.
    pub writes: BTreeMap<String, Option<String>>,
}

impl Batch {
    /// Whether this is the batch that comes after batch `last`.
    fn follows(&self, last: u64) -> Result<(), StoreError> {
        if last.checked_add(1) == Some(self.seq) {
            Ok(())
        } else {
            Err(StoreError::Sequence { seq: self.seq, last })
        }
    }
}

/// Reads of what has been committed. Cheap to call often; safe from any thread, also while a
/// commit is under way (a read then sees the state before or after it, never between).
pub trait Reader: Send + Sync {
    /// The value of a key.
    fn get(&self, key: &str) -> Result<Option<String>, StoreError>;
    /// The first entry whose key starts with `prefix` and is greater than `after` bytewise.
    /// Pass `after = ""` (or anything not greater than `prefix`, other than a key) to begin.
    fn next(&self, prefix: &str, after: &str) -> Result<Option<(String, String)>, StoreError>;
}

/// The one writer of a store.
pub trait Writer: Send {
    /// Makes a batch durable. When this returns `Ok`, the batch survives power loss.
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError>;
}

/// An opened store.
pub struct Opened {
    /// Shared read access.
    pub reader: Arc<dyn Reader>,
    /// The only write access; whoever held it before is fenced.
    pub writer: Box<dyn Writer>,
    /// This writer's epoch: one more than the last.
    pub epoch: u64,
    /// The number of the last batch the store holds; 0 for a fresh store.
    pub last_seq: u64,
}
