//! The key space as a turn sees it: the open batch over batches on their way to the disk over the
//! store.
//!
//! Invariants:
//! * Every write since the start of the turn can be undone ([`Space::rollback`]).
//! * An entry that lower layers lack and that is deleted again leaves the open batch without trace.
//! * The cache holds what the store holds, or what a batch above it overrides until it does: it
//!   follows each commit, and no turn writes to it, so no rollback can leave it stale.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::ops::Bound;
use std::sync::Arc;

use indexmap::IndexMap;
use ocap_store::{Batch, Reader, StoreError};

use crate::api::CoreError;
use crate::keys;
use crate::limits;
use crate::rows::{Row, corrupt};

/// One write of the open batch.
#[derive(Clone, Debug)]
struct Entry {
    value: Option<String>,
    /// Known to be absent from every lower layer.
    fresh: bool,
}

/// Looked up by key only. The hasher has no key of chance in it; what vats name themselves (their
/// own stores) is never put here, so nobody can fill one bucket.
type Cache = IndexMap<String, Option<String>, BuildHasherDefault<DefaultHasher>>;

pub(crate) struct Space {
    reader: Arc<dyn Reader>,
    /// Short values (and absences) lately read from the store.
    cache: RefCell<Cache>,
    /// Oldest first.
    sealed: VecDeque<Arc<Batch>>,
    open: BTreeMap<String, Entry>,
    /// What the open batch held before each write of this turn.
    undo: Vec<(String, Option<Entry>)>,
    seq: u64,
}

impl Space {
    pub(crate) fn new(reader: Arc<dyn Reader>, last_seq: u64) -> Space {
        Space {
            reader,
            cache: RefCell::default(),
            sealed: VecDeque::new(),
            open: BTreeMap::new(),
            undo: Vec::new(),
            seq: last_seq,
        }
    }

    /// Drops the reader and takes the one this gives.
    pub(crate) fn reopen<E>(
        &mut self,
        open: impl FnOnce() -> Result<Arc<dyn Reader>, E>,
    ) -> Result<(), E> {
        self.reader = Arc::new(Closed);
        self.cache.get_mut().clear();
        self.reader = open()?;
        Ok(())
    }

    /// The value below the open batch.
    fn below(&self, key: &str) -> Result<Option<Cow<'_, str>>, CoreError> {
        for batch in self.sealed.iter().rev() {
            if let Some(value) = batch.writes.get(key) {
                return Ok(value.as_deref().map(Cow::Borrowed));
            }
        }
        if key.starts_with(keys::VATSTORES) {
            return Ok(self.reader.get(key)?.map(Cow::Owned));
        }
        let mut cache = self.cache.borrow_mut();
        if let Some(value) = cache.get(key) {
            return Ok(value.clone().map(Cow::Owned));
        }
        let value = self.reader.get(key)?;
        if value.as_ref().is_none_or(|value| value.len() <= limits::CACHED_BYTES_MAX) {
            if cache.len() >= limits::CACHED_ROWS_MAX {
                cache.clear();
            }
            cache.insert(key.to_owned(), value.clone());
        }
        Ok(value.map(Cow::Owned))
    }

    pub(crate) fn get(&self, key: &str) -> Result<Option<Cow<'_, str>>, CoreError> {
        match self.open.get(key) {
            Some(entry) => Ok(entry.value.as_deref().map(Cow::Borrowed)),
            None => self.below(key),
        }
    }

    pub(crate) fn contains(&self, key: &str) -> Result<bool, CoreError> {
        Ok(self.get(key)?.is_some())
    }

    /// A row as a value of its type.
    pub(crate) fn row<T: Row>(&self, key: &str) -> Result<Option<T>, CoreError> {
        match self.get(key)? {
            None => Ok(None),
            Some(text) => match T::read(&text) {
                Some(row) => Ok(Some(row)),
                None => Err(corrupt(key, "not a value of its type")),
            },
        }
    }

    /// A row that an invariant says is there.
    pub(crate) fn required<T: Row>(&self, key: &str) -> Result<T, CoreError> {
        self.row(key)?.ok_or_else(|| corrupt(key, "missing"))
    }

    fn set(&mut self, key: String, entry: Option<Entry>) {
        let before = match entry {
            Some(entry) => self.open.insert(key.clone(), entry),
            None => self.open.remove(&key),
        };
        self.undo.push((key, before));
    }

    pub(crate) fn put(&mut self, key: String, value: String) {
        let fresh = self.open.get(&key).is_some_and(|entry| entry.fresh);
        self.set(key, Some(Entry { value: Some(value), fresh }));
    }

    /// Writes a key that has just been seen to be absent, or cannot exist yet.
    pub(crate) fn put_new(&mut self, key: String, value: String) {
        let fresh = self.open.get(&key).is_none_or(|entry| entry.fresh);
        self.set(key, Some(Entry { value: Some(value), fresh }));
    }

    pub(crate) fn write<T: Row>(&mut self, key: String, row: &T) {
        self.put(key, row.write());
    }

    pub(crate) fn delete(&mut self, key: String) -> Result<(), CoreError> {
        let fresh = match self.open.get(&key) {
            Some(entry) if entry.value.is_none() => return Ok(()),
            Some(entry) if entry.fresh => true,
            _ => self.below(&key)?.is_none(),
        };
        if fresh {
            if self.open.contains_key(&key) {
                self.set(key, None);
            }
        } else {
            self.set(key, Some(Entry { value: None, fresh: false }));
        }
        Ok(())
    }

    /// The first row whose key starts with `prefix` and is greater than `after`.
    pub(crate) fn next(
        &self,
        prefix: &str,
        after: &str,
    ) -> Result<Option<(String, Cow<'_, str>)>, CoreError> {
        let mut after = Cow::Borrowed(after);
        loop {
            let mut first: Option<Cow<'_, str>> = None;
            let mut offer = |key: Cow<'_, str>| {
                if first.as_ref().is_none_or(|best| key < *best) {
                    first = Some(Cow::Owned(key.into_owned()));
                }
            };
            if let Some(key) = first_in(&self.open, prefix, &after) {
                offer(Cow::Borrowed(key));
            }
            for batch in &self.sealed {
                if let Some(key) = first_in(&batch.writes, prefix, &after) {
                    offer(Cow::Borrowed(key));
                }
            }
            let stored = self.reader.next(prefix, &after)?;
            if let Some((key, _)) = &stored {
                offer(Cow::Borrowed(key));
            }
            let Some(key) = first else { return Ok(None) };
            let in_batches = self.open.contains_key(&*key)
                || self.sealed.iter().any(|batch| batch.writes.contains_key(&*key));
            if !in_batches
                && let Some((stored_key, value)) = stored
                && stored_key == *key
            {
                return Ok(Some((stored_key, Cow::Owned(value))));
            }
            if let Some(value) = self.get(&key)? {
                return Ok(Some((key.into_owned(), value)));
            }
            after = Cow::Owned(key.into_owned());
        }
    }

    /// Every row whose key starts with `prefix`: key and value, in key order. For use where the
    /// number of rows is that of one vat's holdings or less.
    pub(crate) fn scan(&self, prefix: &str) -> Result<Vec<(String, String)>, CoreError> {
        let mut rows = Vec::new();
        let mut after = String::new();
        while let Some((key, value)) = self.next(prefix, &after)? {
            rows.push((key.clone(), value.into_owned()));
            after = key;
        }
        Ok(rows)
    }

    /// Deletes every row whose key starts with `prefix`.
    pub(crate) fn delete_all(&mut self, prefix: &str) -> Result<(), CoreError> {
        let mut after = String::new();
        loop {
            let Some(key) = self.next(prefix, &after)?.map(|(key, _)| key) else { return Ok(()) };
            self.delete(key.clone())?;
            after = key;
        }
    }

    /// Where this turn has got to.
    pub(crate) fn mark(&self) -> usize {
        self.undo.len()
    }

    /// Undoes every write since the mark; returns the keys.
    pub(crate) fn rollback(&mut self, mark: usize) -> Vec<String> {
        let mut keys = Vec::new();
        while self.undo.len() > mark {
            let Some((key, before)) = self.undo.pop() else { break };
            match before {
                Some(entry) => self.open.insert(key.clone(), entry),
                None => self.open.remove(&key),
            };
            keys.push(key);
        }
        keys
    }

    /// Ends a turn: its writes belong to the open batch.
    pub(crate) fn keep(&mut self) {
        self.undo.clear();
    }

    pub(crate) fn has_writes(&self) -> bool {
        !self.open.is_empty()
    }

    /// Closes the open batch.
    pub(crate) fn seal(&mut self) -> Arc<Batch> {
        let open = std::mem::take(&mut self.open);
        let writes = open.into_iter().map(|(key, entry)| (key, entry.value)).collect();
        self.seq += 1;
        let batch = Arc::new(Batch { seq: self.seq, writes });
        self.sealed.push_back(Arc::clone(&batch));
        batch
    }

    /// The store holds every batch up to `seq`.
    pub(crate) fn committed(&mut self, seq: u64) {
        let cache = self.cache.get_mut();
        while self.sealed.front().is_some_and(|batch| batch.seq <= seq) {
            let Some(batch) = self.sealed.pop_front() else { break };
            for (key, value) in &batch.writes {
                if value.as_ref().is_some_and(|value| value.len() > limits::CACHED_BYTES_MAX) {
                    cache.swap_remove(key);
                } else if let Some(cached) = cache.get_mut(key) {
                    cached.clone_from(value);
                }
            }
        }
    }
}

/// A store that is being opened again, or could not be.
struct Closed;

impl Reader for Closed {
    fn get(&self, _: &str) -> Result<Option<String>, StoreError> {
        Err(StoreError::Io("the store is closed".to_owned()))
    }

    fn next(&self, _: &str, _: &str) -> Result<Option<(String, String)>, StoreError> {
        Err(StoreError::Io("the store is closed".to_owned()))
    }
}

/// The first key with the prefix that is greater than `after`.
fn first_in<'a, V>(map: &'a BTreeMap<String, V>, prefix: &str, after: &str) -> Option<&'a str> {
    let from = if after < prefix { Bound::Included(prefix) } else { Bound::Excluded(after) };
    let (key, _) = map.range::<str, _>((from, Bound::Unbounded)).next()?;
    key.starts_with(prefix).then_some(key.as_str())
}

#[cfg(test)]
mod tests {
    use ocap_store::memory::MemoryStore;
    use proptest::prelude::*;

    use super::*;

    /// Keys with prefixes of one another and neighbours on both sides.
    const KEYS: [&str; 7] = ["a", "a.", "a.1", "a.2", "a.2.x", "a/", "b"];

    fn rows(space: &Space, prefix: &str) -> Vec<(String, String)> {
        space.scan(prefix).unwrap()
    }

    fn value_of(space: &Space, key: &str) -> Option<String> {
        space.get(key).unwrap().map(Cow::into_owned)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever is written, undone, sealed and committed: it reads like a plain map, and a
        /// batch deletes only what is there.
        #[test]
        fn reads_like_a_plain_map(
            steps in prop::collection::vec((0_u8..10, 0_usize..KEYS.len(), 0_u8..3), 1..80),
        ) {
            let store = MemoryStore::new();
            let opened = store.open();
            let mut writer = opened.writer;
            let mut space = Space::new(opened.reader, opened.last_seq);
            let mut model: BTreeMap<String, String> = BTreeMap::new();
            let mut turn = (space.mark(), model.clone());
            let mut sealed = VecDeque::new();
            for (step, key, value) in steps {
                let key = KEYS[key].to_owned();
                // Some values are too long to be remembered.
                let value = if value == 0 {
                    "x".repeat(limits::CACHED_BYTES_MAX + 1)
                } else {
                    value.to_string()
                };
                match step {
                    0..=2 => {
                        if space.contains(&key).unwrap() {
                            space.put(key.clone(), value.clone());
                        } else {
                            space.put_new(key.clone(), value.clone());
                        }
                        model.insert(key, value);
                    }
                    3 => {
                        space.put(key.clone(), value.clone());
                        model.insert(key, value);
                    }
                    4 | 5 => {
                        space.delete(key.clone()).unwrap();
                        model.remove(&key);
                    }
                    6 => {
                        space.rollback(turn.0);
                        model = turn.1.clone();
                    }
                    7 => {
                        space.keep();
                        turn = (space.mark(), model.clone());
                    }
                    8 => {
                        space.keep();
                        let below: Vec<bool> =
                            KEYS.iter().map(|key| space.below(key).unwrap().is_some()).collect();
                        let batch = space.seal();
                        for (key, there) in KEYS.iter().zip(below) {
                            let deleted = batch.writes.get(*key).is_some_and(Option::is_none);
                            prop_assert!(there || !deleted, "{key} was never there");
                        }
                        sealed.push_back(batch);
                        turn = (space.mark(), model.clone());
                    }
                    _ => {
                        if let Some(batch) = sealed.pop_front() {
                            writer.commit(&batch).unwrap();
                            // Reads between the commit and the news of it change nothing.
                            for key in KEYS {
                                prop_assert_eq!(value_of(&space, key), model.get(key).cloned());
                            }
                            space.committed(batch.seq);
                        }
                    }
                }
                for key in KEYS {
                    prop_assert_eq!(value_of(&space, key), model.get(key).cloned());
                }
                for prefix in ["", "a", "a.", "a.2", "c"] {
                    let expected: Vec<_> = model
                        .iter()
                        .filter(|(key, _)| key.starts_with(prefix))
                        .map(|(key, value)| (key.clone(), value.clone()))
                        .collect();
                    prop_assert_eq!(rows(&space, prefix), expected);
                }
            }
        }
    }
}
