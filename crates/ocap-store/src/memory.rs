//! The memory engine: what it holds is gone with the process.
//!
//! A [`MemoryStore`] can be opened again, which models a restart: the state is what was committed,
//! and the writer from before is fenced.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::{Batch, Opened, Reader, StoreError, Writer};

/// Opens a store of its own that nobody can open again.
pub fn open() -> Opened {
    MemoryStore::default().open()
}

/// A store in memory. Clones are the same store.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    state: Arc<RwLock<State>>,
}

#[derive(Debug, Default)]
struct State {
    entries: BTreeMap<String, String>,
    epoch: u64,
    last_seq: u64,
}

impl MemoryStore {
    /// A new, empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens the store, or takes it over from whoever has it open: that writer is fenced.
    pub fn open(&self) -> Opened {
        let (epoch, last_seq) = {
            let mut state = self.write();
            // It would take longer than the machine lasts to count to the end.
            state.epoch = state.epoch.saturating_add(1);
            (state.epoch, state.last_seq)
        };
        Opened {
            reader: Arc::new(self.clone()),
            writer: Box::new(MemoryWriter { store: self.clone(), epoch }),
            epoch,
            last_seq,
        }
    }

    // A panic cannot leave the state half written in a way that matters: the process that holds
    // it is a test or about to end.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader for MemoryStore {
    fn get(&self, key: &str) -> Result<Option<String>, StoreError> {
        Ok(self.read().entries.get(key).cloned())
    }

    fn next(&self, prefix: &str, after: &str) -> Result<Option<(String, String)>, StoreError> {
        let start = if after < prefix { Bound::Included(prefix) } else { Bound::Excluded(after) };
        let state = self.read();
        let first = state.entries.range::<str, _>((start, Bound::Unbounded)).next();
        Ok(first
            .filter(|(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.clone(), value.clone())))
    }
}

struct MemoryWriter {
    store: MemoryStore,
    epoch: u64,
}

impl Writer for MemoryWriter {
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let mut state = self.store.write();
        if state.epoch != self.epoch {
            return Err(StoreError::Fenced { ours: self.epoch, theirs: state.epoch });
        }
        batch.follows(state.last_seq)?;
        for (key, value) in &batch.writes {
            match (value, state.entries.get_mut(key)) {
                (Some(value), Some(there)) => there.clone_from(value),
                (Some(value), None) => {
                    state.entries.insert(key.clone(), value.clone());
                }
                (None, Some(_)) => {
                    state.entries.remove(key);
                }
                (None, None) => {}
            }
        }
        state.last_seq = batch.seq;
        Ok(())
    }
}
