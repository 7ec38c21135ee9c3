//! The key space as a turn sees it: the open batch over batches on their way to the disk over the
//! store.
//!
//! What is written under a short key stays a value of its type above the store, so that reading it
//! again costs no parsing; the text of a batch is made when it is sealed.
//!
//! Invariants:
//! * Every write since the start of the turn can be undone ([`Space::rollback`]).
//! * An entry that lower layers lack and that is deleted again leaves the open batch without trace.
//! * The cache holds what the store holds, or what a batch above it overrides until it does: it
//!   follows each commit, and no turn writes to it, so no rollback can leave it stale.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use ocap_store::{Batch, Reader, StoreError};

use crate::api::CoreError;
use crate::key::{Key, Kind, Short};
use crate::keys;
use crate::limits;
use crate::rows::{Row, corrupt};
use crate::value::Value;

/// One write of the open batch.
#[derive(Clone, Debug)]
struct Entry {
    value: Option<Value>,
    /// Known to be absent from every lower layer.
    fresh: bool,
}

/// The open batch.
#[derive(Default)]
struct Open {
    short: BTreeMap<Short, Entry>,
    long: BTreeMap<String, Entry>,
    /// The texts of the short keys, from the first question on that is about their order.
    texts: RefCell<Option<BTreeSet<String>>>,
}

impl Open {
    fn get(&self, key: &Key) -> Option<&Entry> {
        match key {
            Key::Short(short) => self.short.get(short),
            Key::Long(text) => self.long.get(text),
        }
    }

    /// Writes an entry, or takes it out; returns what was there.
    fn set(&mut self, key: &Key, entry: Option<Entry>) -> Option<Entry> {
        let short = match key {
            Key::Short(short) => *short,
            Key::Long(text) => {
                return match entry {
                    Some(entry) => self.long.insert(text.clone(), entry),
                    None => self.long.remove(text),
                };
            }
        };
        if let Some(texts) = self.texts.get_mut() {
            if entry.is_some() {
                texts.insert(short.text());
            } else {
                texts.remove(&short.text());
            }
        }
        match entry {
            Some(entry) => self.short.insert(short, entry),
            None => self.short.remove(&short),
        }
    }

    fn is_empty(&self) -> bool {
        self.short.is_empty() && self.long.is_empty()
    }

    /// The first key with the prefix that is greater than `after`.
    fn first(&self, prefix: &str, after: &str) -> Option<String> {
        let mut texts = self.texts.borrow_mut();
        let texts = texts.get_or_insert_with(|| self.short.keys().map(|key| key.text()).collect());
        let short = texts.range::<str, _>(from(prefix, after)).next();
        let short = short.map(String::as_str).filter(|key| key.starts_with(prefix));
        let long = first_in(&self.long, prefix, after);
        short.into_iter().chain(long).min().map(str::to_owned)
    }
}

/// A batch on its way to the disk.
struct SealedBatch {
    batch: Arc<Batch>,
    /// Its writes under short keys.
    short: BTreeMap<Short, Option<Value>>,
}

/// Short values (and absences) lately read from the store.
#[derive(Default)]
struct Cache {
    short: BTreeMap<Short, Option<Value>>,
    /// What vats name themselves (their own stores) is never put here.
    long: BTreeMap<String, Option<String>>,
}

impl Cache {
    fn make_room(&mut self) {
        if self.short.len() + self.long.len() >= limits::CACHED_ROWS_MAX {
            self.short.clear();
            self.long.clear();
        }
    }
}

pub(crate) struct Space {
    reader: Arc<dyn Reader>,
    cache: RefCell<Cache>,
    /// Oldest first.
    sealed: VecDeque<SealedBatch>,
    open: Open,
    /// What the open batch held before each write of this turn.
    undo: Vec<(Key, Option<Entry>)>,
    /// Keys written by turns, if somebody watches.
    written: Option<Vec<Key>>,
    seq: u64,
}

impl Space {
    pub(crate) fn new(reader: Arc<dyn Reader>, last_seq: u64) -> Space {
        Space {
            reader,
            cache: RefCell::default(),
            sealed: VecDeque::new(),
            open: Open::default(),
            undo: Vec::new(),
            written: None,
            seq: last_seq,
        }
    }

    /// Drops the reader and takes the one this gives.
    pub(crate) fn reopen<E>(
        &mut self,
        open: impl FnOnce() -> Result<Arc<dyn Reader>, E>,
    ) -> Result<(), E> {
        self.reader = Arc::new(Closed);
        *self.cache.get_mut() = Cache::default();
        self.reader = open()?;
        Ok(())
    }

    /// What `look` makes of the value below the open batch. `keep` may say what to remember instead
    /// of a text that was read from the store.
    fn below<T>(
        &self,
        key: &Key,
        look: impl FnOnce(Option<&Value>) -> T,
        keep: impl FnOnce(&T) -> Option<Value>,
    ) -> Result<T, CoreError> {
        match key {
            Key::Short(short) => self.below_short(*short, look, keep),
            Key::Long(text) => {
                let value = self.below_long(text)?;
                Ok(look(value.map(|text| Value::Text(text.into_owned())).as_ref()))
            }
        }
    }

    fn below_short<T>(
        &self,
        key: Short,
        look: impl FnOnce(Option<&Value>) -> T,
        keep: impl FnOnce(&T) -> Option<Value>,
    ) -> Result<T, CoreError> {
        for sealed in self.sealed.iter().rev() {
            if let Some(value) = sealed.short.get(&key) {
                return Ok(look(value.as_ref()));
            }
        }
        let mut cache = self.cache.borrow_mut();
        if let Some(value) = cache.short.get(&key) {
            return Ok(look(value.as_ref()));
        }
        let value = self.reader.get(&key.text())?.map(Value::Text);
        let seen = look(value.as_ref());
        if is_short(value.as_ref()) {
            cache.make_room();
            let value = if value.is_some() { keep(&seen).or(value) } else { None };
            cache.short.insert(key, value);
        }
        Ok(seen)
    }

    fn below_long(&self, key: &str) -> Result<Option<Cow<'_, str>>, CoreError> {
        for sealed in self.sealed.iter().rev() {
            if let Some(value) = sealed.batch.writes.get(key) {
                return Ok(value.as_deref().map(Cow::Borrowed));
            }
        }
        if key.starts_with(keys::VATSTORES) {
            return Ok(self.reader.get(key)?.map(Cow::Owned));
        }
        let mut cache = self.cache.borrow_mut();
        if let Some(value) = cache.long.get(key) {
            return Ok(value.clone().map(Cow::Owned));
        }
        let value = self.reader.get(key)?;
        if value.as_ref().is_none_or(|value| value.len() <= limits::CACHED_BYTES_MAX) {
            cache.make_room();
            cache.long.insert(key.to_owned(), value.clone());
        }
        Ok(value.map(Cow::Owned))
    }

    fn is_below(&self, key: &Key) -> Result<bool, CoreError> {
        match key {
            Key::Short(short) => self.below_short(*short, |value| value.is_some(), |_| None),
            Key::Long(text) => Ok(self.below_long(text)?.is_some()),
        }
    }

    /// The text of a value.
    pub(crate) fn get(&self, key: &Key) -> Result<Option<Cow<'_, str>>, CoreError> {
        match (self.open.get(key), key) {
            (Some(entry), _) => Ok(entry.value.as_ref().map(Value::text)),
            (None, Key::Long(text)) => self.below_long(text),
            (None, Key::Short(short)) => {
                let text = |value: Option<&Value>| value.map(|value| value.text().into_owned());
                Ok(self.below_short(*short, text, |_| None)?.map(Cow::Owned))
            }
        }
    }

    pub(crate) fn contains(&self, key: &Key) -> Result<bool, CoreError> {
        match self.open.get(key) {
            Some(entry) => Ok(entry.value.is_some()),
            None => self.is_below(key),
        }
    }

    /// A row as a value of its type.
    pub(crate) fn row<T: Row>(&self, key: &Key) -> Result<Option<T>, CoreError> {
        let look = |value: Option<&Value>| value.map(T::of);
        let keep = |row: &Option<Option<T>>| row.as_ref()?.as_ref().map(T::value);
        let row = match self.open.get(key) {
            Some(entry) => look(entry.value.as_ref()),
            None => self.below(key, look, keep)?,
        };
        match row {
            None => Ok(None),
            Some(Some(row)) => Ok(Some(row)),
            Some(None) => Err(corrupt(key, "not a value of its type")),
        }
    }

    /// A row that an invariant says is there.
    pub(crate) fn required<T: Row>(&self, key: &Key) -> Result<T, CoreError> {
        self.row(key)?.ok_or_else(|| corrupt(key, "missing"))
    }

    fn set(&mut self, key: Key, entry: Option<Entry>) {
        let before = self.open.set(&key, entry);
        self.undo.push((key, before));
    }

    pub(crate) fn put(&mut self, key: Key, value: impl Into<Value>) {
        let fresh = self.open.get(&key).is_some_and(|entry| entry.fresh);
        self.set(key, Some(Entry { value: Some(value.into()), fresh }));
    }

    /// Writes a key that has just been seen to be absent, or cannot exist yet.
    pub(crate) fn put_new(&mut self, key: impl Into<Key>, value: impl Into<Value>) {
        let key = key.into();
        let fresh = self.open.get(&key).is_none_or(|entry| entry.fresh);
        self.set(key, Some(Entry { value: Some(value.into()), fresh }));
    }

    pub(crate) fn write<T: Row>(&mut self, key: Key, row: &T) {
        self.put(key, row.value());
    }

    /// Writes a row under a key that has just been seen to be absent, or cannot exist yet.
    pub(crate) fn write_new<T: Row>(&mut self, key: Key, row: &T) {
        self.put_new(key, row.value());
    }

    pub(crate) fn delete(&mut self, key: impl Into<Key>) -> Result<(), CoreError> {
        let key = key.into();
        let (there, fresh) = match self.open.get(&key) {
            Some(entry) if entry.value.is_none() => return Ok(()),
            Some(entry) => (true, entry.fresh),
            None => (false, false),
        };
        if !fresh && self.is_below(&key)? {
            self.set(key, Some(Entry { value: None, fresh: false }));
        } else if there {
            self.set(key, None);
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
            let stored = self.reader.next(prefix, &after)?;
            let sealed = self.sealed.iter();
            let sealed = sealed.filter_map(|sealed| first_in(&sealed.batch.writes, prefix, &after));
            let first = sealed.min().map(str::to_owned);
            let open = self.open.first(prefix, &after);
            let unstored = first.into_iter().chain(open).min();
            let key = match (unstored, stored) {
                (None, None) => return Ok(None),
                (None, Some((key, value))) => return Ok(Some((key, Cow::Owned(value)))),
                (Some(unstored), Some((key, value))) if key < unstored => {
                    return Ok(Some((key, Cow::Owned(value))));
                }
                (Some(key), _) => key,
            };
            if let Some(value) = self.get(&Key::from(key.as_str()))? {
                return Ok(Some((key, value)));
            }
            after = Cow::Owned(key);
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

    /// Where this turn has got to.
    pub(crate) fn mark(&self) -> usize {
        self.undo.len()
    }

    /// Undoes every write since the mark; returns the keys.
    pub(crate) fn rollback(&mut self, mark: usize) -> Vec<Key> {
        let mut keys = Vec::new();
        while self.undo.len() > mark {
            let Some((key, before)) = self.undo.pop() else { break };
            self.open.set(&key, before);
            keys.push(key);
        }
        keys
    }

    /// Ends a turn: its writes belong to the open batch.
    pub(crate) fn keep(&mut self) {
        if let Some(written) = &mut self.written {
            written.extend(self.undo.drain(..).map(|(key, _)| key));
        }
        self.undo.clear();
    }

    /// From now on notes what turns write.
    pub(crate) fn note_writes(&mut self) {
        self.written = Some(Vec::new());
    }

    /// Keys that turns have written since this was last asked.
    pub(crate) fn take_written(&mut self) -> Vec<Key> {
        self.written.as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub(crate) fn has_writes(&self) -> bool {
        !self.open.is_empty()
    }

    /// Whether what an entry says is known to be so below: counts often go up and down again.
    fn is_unchanged(&self, key: Short, entry: &Entry) -> bool {
        let Entry { value: Some(value), fresh: false } = entry else { return false };
        let same = |below: &Option<Value>| below.as_ref().is_some_and(|below| below.is(value));
        let sealed = self.sealed.iter().rev().find_map(|sealed| sealed.short.get(&key));
        sealed.map_or_else(|| self.cache.borrow().short.get(&key).is_some_and(same), same)
    }

    /// Closes the open batch.
    pub(crate) fn seal(&mut self) -> Arc<Batch> {
        let Open { short, long, .. } = std::mem::take(&mut self.open);
        let text = |value: &Value| value.text().into_owned();
        let changed = short.into_iter().filter(|(key, entry)| !self.is_unchanged(*key, entry));
        let short: BTreeMap<_, _> = changed.map(|(key, entry)| (key, entry.value)).collect();
        let writes = short.iter().map(|(key, value)| (key.text(), value.as_ref().map(text)));
        let long = long.into_iter().map(|(key, Entry { value, .. })| {
            let value = value.map(|value| match value {
                Value::Text(text) => text,
                other => text(&other),
            });
            (key, value)
        });
        let writes = writes.chain(long).collect();
        self.seq += 1;
        let batch = Arc::new(Batch { seq: self.seq, writes });
        self.sealed.push_back(SealedBatch { batch: Arc::clone(&batch), short });
        batch
    }

    /// The store holds every batch up to `seq`.
    pub(crate) fn committed(&mut self, seq: u64) {
        let cache = self.cache.get_mut();
        while self.sealed.front().is_some_and(|sealed| sealed.batch.seq <= seq) {
            let Some(SealedBatch { batch, short }) = self.sealed.pop_front() else { break };
            for (key, value) in short {
                // Absence is worth remembering where something comes and goes.
                let comes_again = matches!(key.kind(), Kind::VatWork | Kind::KernelWork);
                if is_short(value.as_ref()) && (value.is_some() || comes_again) {
                    cache.make_room();
                    cache.short.insert(key, value);
                } else {
                    cache.short.remove(&key);
                }
            }
            for (key, value) in &batch.writes {
                if value.as_ref().is_some_and(|value| value.len() > limits::CACHED_BYTES_MAX) {
                    cache.long.remove(key);
                } else if let Some(cached) = cache.long.get_mut(key) {
                    cached.clone_from(value);
                }
            }
        }
    }
}

/// Whether a value is worth remembering.
fn is_short(value: Option<&Value>) -> bool {
    let bytes = match value {
        Some(Value::Text(text)) => text.len(),
        Some(Value::Data(data)) => data.body.len() + size_of_val(&*data.slots),
        Some(Value::Promise(promise)) => size_of_val(&*promise.subscribers),
        // Read once more at most.
        Some(Value::Item(_)) => usize::MAX,
        _ => 0,
    };
    bytes <= limits::CACHED_BYTES_MAX
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

/// Where to look for the first key with the prefix that is greater than `after`.
fn from<'a>(prefix: &'a str, after: &'a str) -> (Bound<&'a str>, Bound<&'a str>) {
    let from = if after < prefix { Bound::Included(prefix) } else { Bound::Excluded(after) };
    (from, Bound::Unbounded)
}

/// The first key with the prefix that is greater than `after`.
fn first_in<'a, V>(map: &'a BTreeMap<String, V>, prefix: &str, after: &str) -> Option<&'a str> {
    let (key, _) = map.range::<str, _>(from(prefix, after)).next()?;
    key.starts_with(prefix).then_some(key.as_str())
}

#[cfg(test)]
mod tests {
    use ocap_store::memory::MemoryStore;
    use proptest::prelude::*;

    use super::*;

    /// Keys with prefixes of one another and neighbours on both sides. Some have a short form, whose
    /// order is another.
    const KEYS: [&str; 12] =
        ["a", "a.", "a.1", "a.2", "a.2.x", "a/", "b", "o.ko1", "o.ko10", "o.ko2", "p.kp1", "w.v1"];

    fn rows(space: &Space, prefix: &str) -> Vec<(String, String)> {
        space.scan(prefix).unwrap()
    }

    fn value_of(space: &Space, key: &str) -> Option<String> {
        space.get(&key.into()).unwrap().map(Cow::into_owned)
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
                        if space.contains(&key.as_str().into()).unwrap() {
                            space.put(key.as_str().into(), value.clone());
                        } else {
                            space.put_new(key.clone(), value.clone());
                        }
                        model.insert(key, value);
                    }
                    3 => {
                        // As a value of its type, if it can be one.
                        match u64::read(&value) {
                            Some(number) => space.write(key.as_str().into(), &number),
                            None => space.put(key.as_str().into(), value.clone()),
                        }
                        model.insert(key, value);
                    }
                    4 | 5 => {
                        space.delete(key.as_str()).unwrap();
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
                            KEYS.iter().map(|key| space.is_below(&Key::from(*key)).unwrap()).collect();
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
                    let expected = model.get(key).cloned();
                    let number = match expected.as_deref() {
                        Some(text) => u64::read(text).map(Some),
                        None => Some(None),
                    };
                    prop_assert_eq!(space.row::<u64>(&key.into()).ok(), number);
                    prop_assert_eq!(value_of(&space, key), expected);
                }
                for prefix in ["", "a", "a.", "a.2", "c", "o", "o.ko1", "w."] {
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
