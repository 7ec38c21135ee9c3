//! SQLite connections and their settings.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::StoreError;
use crate::limits::{
    BUSY_WAIT, READER_CACHE_KIB, STATEMENTS, WAL_FILE_BYTES, WAL_PAGES, WRITER_CACHE_KIB,
};
use crate::sqlite::{failure, format};

/// The one connection that writes. The file exists.
pub(super) fn for_writing(path: &Path) -> Result<Connection, StoreError> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // `synchronous=FULL` syncs the log at every commit: that is what makes a batch durable.
    settings(
        &connection,
        &format!(
            "PRAGMA synchronous=FULL;
             PRAGMA wal_autocheckpoint={WAL_PAGES};
             PRAGMA journal_size_limit={WAL_FILE_BYTES};
             PRAGMA cache_size=-{WRITER_CACHE_KIB};"
        ),
    )?;
    let mode: String = connection
        .query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0))
        .map_err(|error| failure::sqlite(&error))?;
    if mode != "wal" {
        return Err(StoreError::Io(format!(
            "the file system of {} cannot hold a write-ahead log",
            path.display()
        )));
    }
    Ok(connection)
}

/// A connection that cannot write.
pub(super) fn for_reading(path: &Path) -> Result<Connection, StoreError> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    settings(&connection, &format!("PRAGMA cache_size=-{READER_CACHE_KIB};"))?;
    Ok(connection)
}

/// A connection that changes no byte on disk, for a store that no kernel has open. `logged` says
/// whether there is a write-ahead log with something in it.
pub(super) fn for_inspecting(path: &Path, logged: bool) -> Result<Connection, StoreError> {
    let connection = if logged {
        let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // Before the first read: then the log's index is in memory, not in a file. Only a
        // connection that could write may have the exclusive lock this takes.
        connection
            .execute_batch("PRAGMA locking_mode=EXCLUSIVE; PRAGMA query_only=ON;")
            .map_err(|error| failure::sqlite(&error))?;
        format::keep_log(&connection, true).map_err(|error| failure::sqlite(&error))?;
        connection
    } else {
        // Without a log, SQLite would make one; not if it is told that nothing ever changes.
        let access = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        open(Path::new(&immutable(path)), access)?
    };
    settings(&connection, &format!("PRAGMA cache_size=-{READER_CACHE_KIB};"))?;
    Ok(connection)
}

/// The path as a URI that says so. Every byte that might mean something in one is escaped.
fn immutable(path: &Path) -> String {
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri + "?immutable=1"
}

fn open(path: &Path, access: OpenFlags) -> Result<Connection, StoreError> {
    // No mutex: a connection is only ever used by whoever owns it or holds its lock. No URI, unless
    // we made it: a path is a path. No links: the path has been resolved, and the lock file belongs to it.
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection =
        Connection::open_with_flags(path, flags).map_err(|error| failure::sqlite(&error))?;
    harden(&connection).map_err(|error| failure::sqlite(&error))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// The file may have been made by somebody else: nothing in it may run.
fn harden(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_WAIT)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    Ok(())
}

fn settings(connection: &Connection, pragmas: &str) -> Result<(), StoreError> {
    // A damaged page is noticed when read. Memory mapping stays off: a file that shrinks under a
    // mapping would kill the process.
    connection
        .execute_batch(&format!(
            "PRAGMA cell_size_check=ON;
             PRAGMA mmap_size=0;
             PRAGMA temp_store=MEMORY;
             {pragmas}"
        ))
        .map_err(|error| failure::sqlite(&error))
}
