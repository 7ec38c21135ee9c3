//! The lock that keeps a second kernel out: an exclusive `flock` on a file beside the database.
//!
//! The file is never removed: a lock on a removed file would exclude nobody. It holds the process
//! id of whoever has the lock, or had it last, for the message to the one who comes second.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use crate::StoreError;
use crate::limits::LOCK_FILE_BYTES;
use crate::sqlite::failure;

/// The lock; held until dropped.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone would not do: a process that was forked meanwhile and has not yet executed
        // its program has the file open too.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

impl Lock {
    /// Takes the lock for the database at `path`, or says who has it.
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        let lock_path = beside(path, ".lock");
        // Non-blocking: to open a pipe that somebody put there must not wait for a writer.
        let flags = OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(flags.bits().cast_signed())
            .open(&lock_path)
            .map_err(|error| failure::file("open the lock file", &lock_path, error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(busy(path, &file)),
            Err(error) => return Err(failure::file("lock", &lock_path, error)),
        }
        write_pid(&mut file)
            .map_err(|error| failure::file("write the lock file", &lock_path, error))?;
        Ok(Self { file })
    }
}

/// Keeps kernels out while somebody only looks: the same lock, but nothing is written or created.
/// `None` if there is no lock file; then no kernel has the database open.
pub(super) fn share(path: &Path) -> Result<Option<Lock>, StoreError> {
    let lock_path = beside(path, ".lock");
    let flags = OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened =
        OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(&lock_path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failure::file("open the lock file", &lock_path, error)),
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(Some(Lock { file })),
        Err(Errno::WOULDBLOCK) => Err(busy(path, &file)),
        Err(error) => Err(failure::file("lock", &lock_path, error)),
    }
}

fn write_pid(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn busy(path: &Path, file: &File) -> StoreError {
    let mut text = String::new();
    let holder = match file.take(LOCK_FILE_BYTES).read_to_string(&mut text) {
        Ok(_) => text.trim().parse::<u32>().ok(),
        Err(_) => None,
    };
    let who = holder.map_or_else(String::new, |pid| format!(" (process {pid})"));
    StoreError::Busy(format!(
        "another kernel{who} has {} open; stop it, or use another home",
        path.display()
    ))
}

/// The one path of the database at `path`, whatever links lead to it: its lock file must be the same
/// for all who open it. Creates a missing parent folder.
pub(super) fn resolve(path: &Path) -> Result<PathBuf, StoreError> {
    let Some(name) = path.file_name() else {
        return Err(StoreError::Format(format!("{} is not the path of a file", path.display())));
    };
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(parent)
        .map_err(|error| failure::file("create the folder", parent, error))?;
    match path.canonicalize() {
        Ok(path) => Ok(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if path.is_symlink() {
                return Err(StoreError::Format(format!(
                    "{} is a link to a file that does not exist",
                    path.display()
                )));
            }
            parent
                .canonicalize()
                .map(|parent| parent.join(name))
                .map_err(|error| failure::file("find", parent, error))
        }
        Err(error) => Err(failure::file("find", path, error)),
    }
}

/// The path of a file beside the database, by what its name ends in.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    PathBuf::from(name)
}
