//! A store that is being made from something else, beside the place where it will be: a copy of
//! another store, or entries from outside. It gets its place once it is complete, in one step; until
//! then, whatever happens, there is nothing at that place that was not there before.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use rustix::fs::{CWD, FlockOperation, OFlags, RenameFlags, flock, renameat_with};
use rustix::io::Errno;

use crate::StoreError;
use crate::limits::{COPY_STEP_PAGES, DRAFT_CACHE_KIB};
use crate::sqlite::lock::{Lock, beside};
use crate::sqlite::{connection, failure, format, inspection, lock, writer};

/// Where a copy is taken from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// A store that a kernel of this process has open, and goes on writing to.
    Open(&'a Path),
    /// One that no kernel has open; kernels are kept out while it is copied.
    Closed(&'a Path),
}

/// What a store is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A backup.
    Backup {
        /// Whether an earlier backup may be there, which then goes.
        replace: bool,
    },
    /// The store of a kernel that has none. Kernels are kept out until it is there.
    Store,
}

/// How far a copy has come, in pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What has been copied.
    pub done: u64,
    /// What there is to copy.
    pub total: u64,
}

/// See the module. What is not placed is removed.
#[derive(Debug)]
pub struct Draft {
    path: PathBuf,
    target: PathBuf,
    place: Place,
    // Locked, so that no two drafts are made for one place at once. SQLite loses its locks on a file
    // when any descriptor of it is closed; this one outlives SQLite's.
    file: File,
    last_seq: u64,
    placed: bool,
    _lock: Option<Lock>,
}

/// A draft that takes entries.
#[derive(Debug)]
pub struct Loading {
    // Before the draft: SQLite has closed the file when the draft goes.
    connection: Connection,
    draft: Draft,
}

impl Draft {
    /// Copies a store as it is at this moment, whatever is committed meanwhile. `goes_on` hears of
    /// the progress now and then; the copy ends once it says `false`.
    ///
    /// # Errors
    /// `Busy` if a kernel has open what should be closed, or the place is being filled by somebody
    /// else; `Format` if the source is no store, or something is at the place that must stay;
    /// `Stopped` if `goes_on` said so; else `Corrupt`, `Full` or `Io`.
    pub fn copy(
        source: Source<'_>,
        target: &Path,
        place: Place,
        goes_on: impl FnMut(Progress) -> bool,
    ) -> Result<Draft, StoreError> {
        let (path, open) = match source {
            Source::Open(path) => (path, true),
            Source::Closed(path) => (path, false),
        };
        let path = inspection::find(path)?;
        // Before anything opens the target: to close the store's own file would cost SQLite its locks.
        if same_file(&path, target) {
            let problem = "is the store itself; choose another file for the backup";
            return Err(format::refuse(target, problem));
        }
        // The lock outlives the connection: variables go in the reverse of their order.
        let _lock = if open { None } else { lock::share(&path)? };
        let from = if open { connection::for_reading(&path)? } else { inspection::connect(&path)? };
        let mut draft = Draft::begin(target, place)?;
        draft.last_seq = draft.fill_from(&from, goes_on)?;
        Ok(draft)
    }

    /// Begins a store that gets its entries from outside. `epoch` and `last_seq` are what the last
    /// writer of these entries had.
    ///
    /// # Errors
    /// As [`Draft::copy`].
    pub fn load(
        target: &Path,
        place: Place,
        epoch: u64,
        last_seq: u64,
    ) -> Result<Loading, StoreError> {
        let mut draft = Draft::begin(target, place)?;
        draft.last_seq = last_seq;
        let connection = draft.connect()?;
        let sorted = |error| failure::sqlite(&error);
        format::fill(&connection).map_err(sorted)?;
        connection.execute_batch("BEGIN IMMEDIATE").map_err(sorted)?;
        writer::set_meta(&connection, epoch, last_seq)?;
        Ok(Loading { connection, draft })
    }

    /// Where it is until it is placed, to be looked at.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where it will be.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// The number of the last batch it holds.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Makes it durable and puts it where it belongs. Answers with its size in bytes.
    ///
    /// # Errors
    /// `Format` if something is there that must stay, else `Full` or `Io`. The draft is gone then.
    pub fn place(mut self) -> Result<u64, StoreError> {
        self.file.sync_all().map_err(|error| failure::file("sync", &self.path, error))?;
        let metadata =
            self.file.metadata().map_err(|error| failure::file("look at", &self.path, error))?;
        check_place(&self.target, self.place)?;
        self.rename()?;
        self.placed = true;
        sync_folder(&self.target)?;
        Ok(metadata.len())
    }

    fn begin(target: &Path, place: Place) -> Result<Draft, StoreError> {
        let target = resolve(target)?;
        let lock = match place {
            Place::Store => Some(Lock::take(&target)?),
            Place::Backup { .. } => None,
        };
        check_place(&target, place)?;
        let path = beside(&target, ".partial");
        let file = lock_draft(&path)?;
        let draft = Draft { path, target, place, file, last_seq: 0, placed: false, _lock: lock };
        for ending in ["-wal", "-shm", "-journal"] {
            // SQLite would take what an earlier one has left for part of this one.
            remove(&beside(&draft.path, ending))?;
        }
        draft.file.set_len(0).map_err(|error| failure::file("empty", &draft.path, error))?;
        draft
            .file
            .set_permissions(std::fs::Permissions::from_mode(0o600))
            .map_err(|error| failure::file("set the mode of", &draft.path, error))?;
        Ok(draft)
    }

    /// A connection to the draft. It is synced as a whole at the end, and nobody needs it after a
    /// crash, so nothing on the way is.
    fn connect(&self) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let opened = Connection::open_with_flags(&self.path, flags).and_then(|connection| {
            connection.execute_batch(&format!(
                "PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF; PRAGMA mmap_size=0;
                 PRAGMA cache_size=-{DRAFT_CACHE_KIB};"
            ))?;
            Ok(connection)
        });
        opened.map_err(|error| failure::sqlite(&error))
    }

    fn fill_from(
        &self,
        from: &Connection,
        mut goes_on: impl FnMut(Progress) -> bool,
    ) -> Result<u64, StoreError> {
        let sorted = |error| failure::sqlite(&error);
        // A transaction that has read holds its moment: without, each commit of the kernel would
        // make the copy begin again.
        from.execute_batch("BEGIN").map_err(sorted)?;
        let (_, last_seq) = writer::meta(from)?;
        let mut to = self.connect()?;
        {
            let backup = Backup::new(from, &mut to).map_err(sorted)?;
            loop {
                let step = backup.step(COPY_STEP_PAGES).map_err(sorted)?;
                let pages = |count: i32| u64::try_from(count).unwrap_or(0);
                let state = backup.progress();
                let total = pages(state.pagecount);
                let done = total.saturating_sub(pages(state.remaining));
                match step {
                    StepResult::Done => break,
                    StepResult::More if goes_on(Progress { done, total }) => {}
                    StepResult::More => return Err(StoreError::Stopped),
                    // Nobody else has the draft open, and readers of a log wait for nobody.
                    _ => {
                        let text = "another program is using the database".to_owned();
                        return Err(StoreError::Busy(text));
                    }
                }
            }
        }
        from.execute_batch("ROLLBACK").map_err(sorted)?;
        to.close().map_err(|(_, error)| failure::sqlite(&error))?;
        Ok(last_seq)
    }

    fn rename(&self) -> Result<(), StoreError> {
        let (from, to) = (&self.path, &self.target);
        let failed = |error: std::io::Error| failure::file("create", to, error);
        if self.place == (Place::Backup { replace: true }) {
            return std::fs::rename(from, to).map_err(failed);
        }
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(()),
            // Not every file system can; it has been looked at a moment ago.
            Err(Errno::INVAL | Errno::NOSYS) => std::fs::rename(from, to).map_err(failed),
            Err(error) => Err(failed(error.into())),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.placed {
            let _ = std::fs::remove_file(&self.path);
        }
        // As with stores: a child on its way to its own program may have the file open too.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

impl Loading {
    /// Adds an entry. Keys come once, and best in their order.
    ///
    /// # Errors
    /// `Format` if the key is there already, else `Full` or `Io`.
    pub fn put(&mut self, key: &str, value: &str) -> Result<(), StoreError> {
        const INSERT: &str = "INSERT OR IGNORE INTO kv(key, value) VALUES (?1, ?2)";
        let inserted = self
            .connection
            .prepare_cached(INSERT)
            .and_then(|mut statement| statement.execute([key, value]))
            .map_err(|error| failure::sqlite(&error))?;
        if inserted == 1 {
            return Ok(());
        }
        Err(StoreError::Format(format!("the key {key:?} is there twice")))
    }

    /// Ends it.
    ///
    /// # Errors
    /// `Full` or `Io`.
    pub fn finish(self) -> Result<Draft, StoreError> {
        let Loading { connection, draft } = self;
        let sorted = |error| failure::sqlite(&error);
        connection.execute_batch("COMMIT; PRAGMA journal_mode=WAL;").map_err(sorted)?;
        connection.close().map_err(|(_, error)| failure::sqlite(&error))?;
        Ok(draft)
    }
}

/// The path of a file in a folder that is there.
fn resolve(target: &Path) -> Result<PathBuf, StoreError> {
    let Some(name) = target.file_name() else {
        return Err(StoreError::Format(format!("{} is not the path of a file", target.display())));
    };
    let meant = |ending: &&str| name.as_encoded_bytes().ends_with(ending.as_bytes());
    if ["-wal", "-shm", "-journal", ".lock", ".partial"].iter().any(meant) {
        let why = "has the name of a file that belongs to another; choose another name";
        return Err(format::refuse(target, why));
    }
    let parent = match target.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let parent = parent.canonicalize().map_err(|error| failure::file("find", parent, error))?;
    Ok(parent.join(name))
}

/// Whether the target may be made: nothing is there, or an earlier backup that may go.
fn check_place(target: &Path, place: Place) -> Result<(), StoreError> {
    format::refuse_logs(target)?;
    let metadata = match std::fs::symlink_metadata(target) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failure::file("look at", target, error)),
    };
    match place {
        Place::Store => Err(format::refuse(target, "is there already, with a state")),
        Place::Backup { replace: false } => {
            let why = "is there already; choose another name, or let it be replaced";
            Err(format::refuse(target, why))
        }
        Place::Backup { replace: true } if !metadata.is_file() => {
            Err(format::refuse(target, "is not a regular file"))
        }
        Place::Backup { replace: true } => {
            // Neither somebody's poem nor what a kernel runs on.
            format::look(target)?;
            lock::share(target).map(|_| ())
        }
    }
}

/// Opens the draft's file and locks it.
fn lock_draft(path: &Path) -> Result<File, StoreError> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let busy =
        || StoreError::Busy(format!("somebody else is writing {}; wait for them", path.display()));
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(|error| failure::file("create", path, error))?;
    let metadata = file.metadata().map_err(|error| failure::file("look at", path, error))?;
    if !metadata.is_file() {
        return Err(format::refuse(path, "is not a regular file"));
    }
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Err(busy()),
        Err(error) => return Err(failure::file("lock", path, error)),
    }
    // It may have been placed between the opening and the lock.
    let still = std::fs::symlink_metadata(path);
    if still.is_ok_and(|still| (still.dev(), still.ino()) == (metadata.dev(), metadata.ino())) {
        Ok(file)
    } else {
        Err(busy())
    }
}

fn same_file(one: &Path, other: &Path) -> bool {
    match (std::fs::metadata(one), std::fs::metadata(other)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(failure::file("remove", path, error))
        }
        _ => Ok(()),
    }
}

fn sync_folder(target: &Path) -> Result<(), StoreError> {
    let parent = target.parent().unwrap_or(Path::new("/"));
    File::open(parent)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| failure::file("sync the folder", parent, error))
}
