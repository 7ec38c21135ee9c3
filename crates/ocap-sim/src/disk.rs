//! A disk that fails: the memory engine, whose state is what has become durable, behind a writer
//! that does on command what disks do.

use std::sync::Arc;

use ocap_store::memory::MemoryStore;
use ocap_store::{Batch, Reader, StoreError, Writer};

/// How a commit goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// As it should.
    Good,
    /// There is no room.
    Full,
    /// It fails, and nothing was written.
    Lost,
    /// It fails, but all was written.
    Kept,
}

/// The disk, and whoever has it open.
pub(crate) struct Disk {
    store: MemoryStore,
    writer: FaultyWriter,
    /// Who had it open before, and the batch that would have come next then.
    stale: Option<(Box<dyn Writer>, u64)>,
}

/// A writer that can be told to fail.
struct FaultyWriter {
    inner: Box<dyn Writer>,
    fate: Fate,
}

impl Writer for FaultyWriter {
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        match std::mem::replace(&mut self.fate, Fate::Good) {
            Fate::Good => self.inner.commit(batch),
            Fate::Full => Err(StoreError::Full("a test".to_owned())),
            Fate::Lost => Err(StoreError::Io("the disk did not answer".to_owned())),
            Fate::Kept => {
                self.inner.commit(batch)?;
                Err(StoreError::Io("the disk did not answer".to_owned()))
            }
        }
    }
}

impl Disk {
    /// An empty disk, opened: with the reader and the number of its last batch.
    pub(crate) fn new() -> (Disk, Arc<dyn Reader>, u64) {
        let store = MemoryStore::new();
        let opened = store.open();
        let writer = FaultyWriter { inner: opened.writer, fate: Fate::Good };
        (Disk { store, writer, stale: None }, opened.reader, opened.last_seq)
    }

    /// Opens it again, as another process does.
    pub(crate) fn reopen(&mut self) -> (Arc<dyn Reader>, u64) {
        let opened = self.store.open();
        let writer = FaultyWriter { inner: opened.writer, fate: Fate::Good };
        let before = std::mem::replace(&mut self.writer, writer);
        self.stale = Some((before.inner, opened.last_seq + 1));
        (opened.reader, opened.last_seq)
    }

    /// Commits a batch.
    pub(crate) fn commit(&mut self, batch: &Batch, fate: Fate) -> Result<(), StoreError> {
        self.writer.fate = fate;
        self.writer.commit(batch)
    }

    /// Whoever had it open before writes; `None` if there is nobody.
    pub(crate) fn stale_write(&mut self) -> Option<Result<(), StoreError>> {
        let (writer, seq) = self.stale.as_mut()?;
        let writes = [("stale".to_owned(), Some("1".to_owned()))].into();
        Some(writer.commit(&Batch { seq: *seq, writes }))
    }

    /// What is durable.
    pub(crate) fn reader(&self) -> &dyn Reader {
        &self.store
    }
}
