//! A disk that fails: the memory engine or SQLite, behind a writer and a reader that do on command
//! what disks do.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ocap_store::memory::MemoryStore;
use ocap_store::{Batch, Opened, Reader, StoreError, Writer, sqlite};
use tempfile::TempDir;

use crate::rng::Rng;
use crate::run::Engine;

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

/// What a failing read says.
const READ_FAILURE: &str = "the disk did not answer when it was read";

/// The disk, and whoever has it open.
pub(crate) struct Disk {
    engine: Store,
    reader: Arc<dyn Reader>,
    writer: Box<dyn Writer>,
    /// Who had it open before, and the batch that would have come next then.
    stale: Option<(Box<dyn Writer>, u64)>,
    faults: Arc<ReadFaults>,
}

enum Store {
    Memory(MemoryStore),
    Sqlite(Files),
}

/// A database in a folder of its own. Each opening gets a copy: what is on a disk when a machine
/// loses its power is what was written, and nobody closes anything.
struct Files {
    folder: TempDir,
    openings: u64,
    /// The length of the log before the last commit, if nothing but the log was written.
    log_before: Option<u64>,
}

/// A failing read to come.
#[derive(Default)]
struct ReadFaults {
    /// Reads until one fails; 0 if none is to.
    left: AtomicU64,
    failed: AtomicU64,
}

/// A reader that can be told to fail.
struct FaultyReader {
    inner: Arc<dyn Reader>,
    faults: Arc<ReadFaults>,
}

impl FaultyReader {
    fn read(&self) -> Result<(), StoreError> {
        match self.faults.left.load(Ordering::Relaxed) {
            0 => Ok(()),
            1 => {
                self.faults.left.store(0, Ordering::Relaxed);
                self.faults.failed.fetch_add(1, Ordering::Relaxed);
                Err(StoreError::Io(READ_FAILURE.to_owned()))
            }
            left => {
                self.faults.left.store(left - 1, Ordering::Relaxed);
                Ok(())
            }
        }
    }
}

impl Reader for FaultyReader {
    fn get(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.read()?;
        self.inner.get(key)
    }

    fn next(&self, prefix: &str, after: &str) -> Result<Option<(String, String)>, StoreError> {
        self.read()?;
        self.inner.next(prefix, after)
    }
}

fn failed(what: &str, error: &io::Error) -> StoreError {
    StoreError::Io(format!("the simulator cannot {what}: {error}"))
}

impl Files {
    fn new() -> Result<Files, StoreError> {
        let folder = tempfile::Builder::new().prefix("ocap-sim-").tempdir();
        let folder = folder.map_err(|error| failed("make a folder", &error))?;
        Ok(Files { folder, openings: 0, log_before: None })
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(format!("{}.sqlite", self.openings))
    }

    /// Opens a copy of what is there, with the end of the log cut off if its last commit was torn.
    fn open(&mut self, torn: Option<&mut Rng>) -> Result<Opened, StoreError> {
        let before = self.path();
        self.openings += 1;
        let copied = |error: io::Error| failed("copy the database", &error);
        if before.exists() {
            let path = self.path();
            fs::copy(&before, &path).map_err(copied)?;
            if log(&before).exists() {
                fs::copy(log(&before), log(&path)).map_err(copied)?;
            }
            if let (Some(rng), Some(length)) = (torn, self.log_before) {
                let file = fs::OpenOptions::new().write(true).open(log(&path)).map_err(copied)?;
                let written = file.metadata().map_err(copied)?.len().saturating_sub(length);
                let kept = rng.below(usize::try_from(written).unwrap_or(usize::MAX)) as u64;
                file.set_len(length + kept).map_err(copied)?;
            }
        }
        self.log_before = None;
        sqlite::open(self.path())
    }

    /// What is beside the log, and how long the log is.
    fn look(&self) -> (Option<u64>, Option<std::time::SystemTime>) {
        let path = self.path();
        let length = fs::metadata(log(&path)).map(|file| file.len()).ok();
        (length, fs::metadata(&path).and_then(|file| file.modified()).ok())
    }
}

/// The log of a database.
fn log(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

impl Disk {
    /// An empty disk, opened: with the reader and the number of its last batch.
    pub(crate) fn new(engine: Engine) -> Result<(Disk, Arc<dyn Reader>, u64), StoreError> {
        let mut engine = match engine {
            Engine::Memory => Store::Memory(MemoryStore::new()),
            Engine::Sqlite => Store::Sqlite(Files::new()?),
        };
        let opened = match &mut engine {
            Store::Memory(store) => store.open(),
            Store::Sqlite(files) => files.open(None)?,
        };
        let faults = Arc::<ReadFaults>::default();
        let (reader, writer) = (opened.reader, opened.writer);
        let disk = Disk { engine, reader, writer, stale: None, faults };
        let reader = disk.faulty_reader();
        Ok((disk, reader, opened.last_seq))
    }

    fn faulty_reader(&self) -> Arc<dyn Reader> {
        let (inner, faults) = (Arc::clone(&self.reader), Arc::clone(&self.faults));
        Arc::new(FaultyReader { inner, faults })
    }

    /// Opens it again, as another process does. If the last commit is torn, only a part of what it
    /// wrote is there.
    pub(crate) fn reopen(
        &mut self,
        torn: Option<&mut Rng>,
    ) -> Result<(Arc<dyn Reader>, u64), StoreError> {
        self.faults.left.store(0, Ordering::Relaxed);
        let opened = match &mut self.engine {
            Store::Memory(store) => store.open(),
            Store::Sqlite(files) => files.open(torn)?,
        };
        let before = std::mem::replace(&mut self.writer, opened.writer);
        self.reader = opened.reader;
        // Who has a copy of a database open is nobody's rival.
        if matches!(self.engine, Store::Memory(_)) {
            self.stale = Some((before, opened.last_seq + 1));
        }
        Ok((self.faulty_reader(), opened.last_seq))
    }

    /// Commits a batch.
    pub(crate) fn commit(&mut self, batch: &Batch, fate: Fate) -> Result<(), StoreError> {
        let lost = StoreError::Io("the disk did not answer".to_owned());
        match fate {
            Fate::Full => return Err(StoreError::Full("a test".to_owned())),
            Fate::Lost => return Err(lost),
            Fate::Good | Fate::Kept => {}
        }
        match &mut self.engine {
            Store::Memory(_) => self.writer.commit(batch)?,
            Store::Sqlite(files) => {
                let (length, changed) = files.look();
                self.writer.commit(batch)?;
                let (now, changed_now) = files.look();
                files.log_before = length.filter(|_| changed == changed_now && now > length);
            }
        }
        if fate == Fate::Kept { Err(lost) } else { Ok(()) }
    }

    /// Whether the last commit can be found torn.
    pub(crate) fn can_tear(&self) -> bool {
        matches!(&self.engine, Store::Sqlite(files) if files.log_before.is_some())
    }

    /// Has a read fail, so many reads from now.
    pub(crate) fn fail_read(&self, reads: u64) {
        self.faults.left.store(reads, Ordering::Relaxed);
    }

    /// No read fails that has not failed yet.
    pub(crate) fn calm(&self) {
        self.fail_read(0);
    }

    /// Whether a read has failed since this was last asked.
    pub(crate) fn has_failed_to_read(&self) -> bool {
        self.faults.failed.swap(0, Ordering::Relaxed) > 0
    }

    /// Whether an error says that a read failed, and how.
    pub(crate) fn explains(text: &str) -> bool {
        text.contains(READ_FAILURE)
    }

    /// Whoever had it open before writes; `None` if there is nobody.
    pub(crate) fn stale_write(&mut self) -> Option<Result<(), StoreError>> {
        let (writer, seq) = self.stale.as_mut()?;
        let writes = [("stale".to_owned(), Some("1".to_owned()))].into();
        Some(writer.commit(&Batch { seq: *seq, writes }))
    }

    /// What is durable. Never fails on command.
    pub(crate) fn reader(&self) -> &dyn Reader {
        &*self.reader
    }
}
