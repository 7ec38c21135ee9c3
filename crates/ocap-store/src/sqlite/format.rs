//! What a store's file looks like, how one comes into being, and how older ones are brought up.
//!
//! The header carries SQLite's `application_id`, which says that the file is ours, and
//! `user_version`, the number of migrations it has seen. A new file is made complete under another
//! name and then renamed, so a file at the store's path always has both.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use rustix::fs::OFlags;

use crate::StoreError;
use crate::limits::SCHEMA_ITEMS;
use crate::sqlite::failure;
use crate::sqlite::lock::beside;

/// "ocap" in ASCII.
pub(super) const APPLICATION_ID: u32 = 0x6f63_6170;

const KV_TABLE: &str =
    "CREATE TABLE kv(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID";
const META_TABLE: &str = "CREATE TABLE meta(id INTEGER PRIMARY KEY CHECK(id = 1), \
     epoch INTEGER NOT NULL, last_seq INTEGER NOT NULL) STRICT";

/// What a file of the present version holds, by name; any more and it is not ours.
const SCHEMA: [(&str, &str); 2] = [("kv", KV_TABLE), ("meta", META_TABLE)];

/// Statements that bring a file from version *i* to *i + 1*. Only ever added to.
const MIGRATIONS: [&[&str]; 1] =
    [&[KV_TABLE, META_TABLE, "INSERT INTO meta(id, epoch, last_seq) VALUES (1, 0, 0)"]];

/// The version this program writes.
pub(super) const VERSION: u32 = MIGRATIONS.len() as u32;

const HEADER_BYTES: usize = 100;
const MAGIC: &[u8] = b"SQLite format 3\0";
const USER_VERSION_AT: usize = 60;
const APPLICATION_ID_AT: usize = 68;

/// Sees to it that there is a store's file at `path`: looks at the one that is there, without
/// SQLite, or makes one.
pub(super) fn prepare(path: &Path) -> Result<(), StoreError> {
    let file = match open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return create(path),
        Err(error) => return Err(failure::file("open", path, error)),
    };
    let metadata = file.metadata().map_err(|error| failure::file("look at", path, error))?;
    if metadata.is_file() && metadata.len() == 0 {
        drop(file);
        return create(path);
    }
    check_file(path, &file, &metadata)?;
    if metadata.permissions().mode() & 0o077 != 0 {
        file.set_permissions(std::fs::Permissions::from_mode(0o600))
            .map_err(|error| failure::file("set the mode of", path, error))?;
    }
    Ok(())
}

/// Looks at the file that has to be at `path`, without SQLite, and changes nothing.
pub(super) fn look(path: &Path) -> Result<(), StoreError> {
    let file = open(path).map_err(|error| failure::file("open", path, error))?;
    let metadata = file.metadata().map_err(|error| failure::file("look at", path, error))?;
    check_file(path, &file, &metadata)
}

fn open(path: &Path) -> std::io::Result<File> {
    // Non-blocking, because opening a pipe would wait for its writer.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

fn check_file(path: &Path, file: &File, metadata: &std::fs::Metadata) -> Result<(), StoreError> {
    if !metadata.is_file() {
        return Err(refuse(path, "is not a regular file"));
    }
    let mut header = Vec::with_capacity(HEADER_BYTES);
    file.take(HEADER_BYTES as u64)
        .read_to_end(&mut header)
        .map_err(|error| failure::file("read", path, error))?;
    check_header(path, &header)
}

fn check_header(path: &Path, header: &[u8]) -> Result<(), StoreError> {
    let number = |at: usize| {
        let bytes = header.get(at..at + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    };
    let (Some(version), Some(application), true) = (
        number(USER_VERSION_AT),
        number(APPLICATION_ID_AT),
        header.starts_with(MAGIC) && header.len() == HEADER_BYTES,
    ) else {
        return Err(refuse(path, "is not a store of ocap: it is not an SQLite database"));
    };
    if application != APPLICATION_ID {
        return Err(refuse(path, "is not a store of ocap: it is a database of another program"));
    }
    check_version(path, version)
}

fn check_version(path: &Path, version: u32) -> Result<(), StoreError> {
    match version {
        1..=VERSION => Ok(()),
        0 => Err(refuse(path, "has no format version")),
        _ => Err(refuse(
            path,
            &format!(
                "was written by a newer version of ocap: its format is {version}, this program \
                 knows {VERSION}"
            ),
        )),
    }
}

pub(super) fn refuse(path: &Path, why: &str) -> StoreError {
    StoreError::Format(format!("{} {why}; nothing was changed", path.display()))
}

/// Refuses to make a database where the log of another one lies: SQLite would apply that to it.
pub(super) fn refuse_logs(path: &Path) -> Result<(), StoreError> {
    for ending in ["-wal", "-journal"] {
        let log = beside(path, ending);
        if std::fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
            return Err(refuse(
                path,
                &format!(
                    "is missing or empty, but its log {} is there: put the database back, or \
                     remove the log to start afresh",
                    log.display()
                ),
            ));
        }
    }
    Ok(())
}

/// Makes a new store: complete and durable under another name, then renamed.
fn create(path: &Path) -> Result<(), StoreError> {
    refuse_logs(path)?;
    let draft = beside(path, ".new");
    for ending in ["", "-wal", "-shm", "-journal"] {
        let left = beside(&draft, ending);
        match std::fs::remove_file(&left) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failure::file("remove", &left, error));
            }
            _ => {}
        }
    }
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags((OFlags::NOFOLLOW | OFlags::CLOEXEC).bits().cast_signed())
        .open(&draft)
        .map_err(|error| failure::file("create", &draft, error))?;
    // SQLite has closed the draft before it gets its name, so closing this descriptor is harmless.
    fill_draft(&draft).map_err(|error| failure::sqlite(&error))?;
    file.sync_all().map_err(|error| failure::file("sync", &draft, error))?;
    std::fs::rename(&draft, path).map_err(|error| failure::file("create", path, error))?;
    let parent = path.parent().unwrap_or(Path::new("/"));
    File::open(parent)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| failure::file("sync the folder", parent, error))
}

fn fill_draft(draft: &Path) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(draft, flags)?;
    // Nobody needs the draft after a crash, and the file is synced as a whole at the end.
    connection.execute_batch("PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF;")?;
    fill(&connection)?;
    connection.execute_batch("PRAGMA journal_mode=WAL;")?;
    connection.close().map_err(|(_, error)| error)
}

/// Makes an empty store of an empty file.
pub(super) fn fill(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    bring_up(connection, 0)
}

/// Brings an older file up, and checks that the tables are the ones we know.
pub(super) fn migrate(path: &Path, connection: &Connection) -> Result<(), StoreError> {
    let sorted = |error| failure::sqlite(&error);
    // The version may be newer than the header says if it is still in the log. Then leave the log
    // where it is.
    keep_log(connection, true).map_err(sorted)?;
    let version = connection
        .pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0))
        .map_err(sorted)?;
    check_version(path, version)?;
    bring_up(connection, version).map_err(sorted)?;
    check_schema(path, connection)?;
    keep_log(connection, false).map_err(sorted)
}

/// Checks that a file is of the present version and has its tables, without bringing it up.
pub(super) fn check_current(path: &Path, connection: &Connection) -> Result<(), StoreError> {
    let version = connection
        .pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0))
        .map_err(|error| failure::sqlite(&error))?;
    check_version(path, version)?;
    if version < VERSION {
        return Err(refuse(path, "was written by an older version; run a kernel on it once"));
    }
    check_schema(path, connection)
}

fn check_schema(path: &Path, connection: &Connection) -> Result<(), StoreError> {
    let found = schema(connection).map_err(|error| failure::sqlite(&error))?;
    let same = found.len() == SCHEMA.len()
        && found
            .iter()
            .zip(SCHEMA)
            .all(|((name, sql), ours)| (name.as_str(), sql.as_str()) == ours);
    if same { Ok(()) } else { Err(refuse(path, "has tables that a store of ocap does not have")) }
}

/// Whether the log stays as it is when the connection closes.
pub(super) fn keep_log(connection: &Connection, keep: bool) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep).map(|_| ())
}

fn bring_up(connection: &Connection, version: u32) -> rusqlite::Result<()> {
    for (statements, next) in MIGRATIONS.iter().zip(1..=VERSION).skip(version as usize) {
        let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
        for statement in *statements {
            transaction.execute_batch(statement)?;
        }
        transaction.pragma_update(None, "user_version", next)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Names and definitions, by name. What SQLite's own tools leave behind (`ANALYZE`) is left out.
fn schema(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let mut statement = connection.prepare(
        "SELECT name, coalesce(sql, '') FROM sqlite_schema
         WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name LIMIT ?1",
    )?;
    let rows = statement.query_map([SCHEMA_ITEMS as u32], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}
