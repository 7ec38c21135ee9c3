//! Files that are no store of ours, or of a version we do not know, are refused and left alone.

use std::path::Path;

use ocap_store::{StoreError, sqlite};
use rusqlite::Connection;

use crate::batch;

fn is_refused(path: &Path, why: &str) {
    let before = std::fs::read(path).ok();
    let error = sqlite::open(path).err().unwrap();
    assert!(matches!(error, StoreError::Format(_)), "{error:?}");
    assert!(error.to_string().contains(why), "{error}");
    assert_eq!(std::fs::read(path).ok(), before);
}

#[test]
fn other_files_are_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);

    std::fs::write(path("text"), "dear diary").unwrap();
    is_refused(&path("text"), "not an SQLite database");
    std::fs::write(path("long text"), "dear diary ".repeat(1000)).unwrap();
    is_refused(&path("long text"), "not an SQLite database");
    std::fs::write(path("cut"), b"SQLite format 3\0").unwrap();
    is_refused(&path("cut"), "not an SQLite database");

    let other = Connection::open(path("other")).unwrap();
    other.execute_batch("CREATE TABLE kv(key, value)").unwrap();
    drop(other);
    is_refused(&path("other"), "another program");

    std::fs::create_dir(path("folder")).unwrap();
    is_refused(&path("folder"), "regular file");
    std::os::unix::fs::symlink(path("nowhere"), path("dangling")).unwrap();
    is_refused(&path("dangling"), "does not exist");
    let pipe = path("pipe");
    let (mode, kind) = (rustix::fs::Mode::RWXU, rustix::fs::FileType::Fifo);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, mode, 0).unwrap();
    let error = sqlite::open(&pipe).err().unwrap();
    assert!(error.to_string().contains("regular file"), "{error}");
}

#[test]
fn a_newer_version_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kernel.sqlite");
    drop(sqlite::open(&path).unwrap());
    let newer = Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 1_000).unwrap();
    drop(newer);
    is_refused(&path, "newer version");
    is_refused(&path, "1000");
}

#[test]
fn a_newer_version_still_in_the_log_is_refused_and_stays_there() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("kernel.sqlite"), folder.path().join("copy.sqlite"));
    drop(sqlite::open(&path).unwrap());
    let newer = Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 1_000).unwrap();
    // As a crash would leave it: the log not moved into the database.
    std::fs::copy(&path, &copy).unwrap();
    std::fs::copy(folder.path().join("kernel.sqlite-wal"), folder.path().join("copy.sqlite-wal"))
        .unwrap();
    is_refused(&copy, "newer version");
    let log = std::fs::read(folder.path().join("copy.sqlite-wal")).unwrap();
    assert_eq!(log, std::fs::read(folder.path().join("kernel.sqlite-wal")).unwrap());
}

#[test]
fn tables_and_triggers_of_others_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let additions = [
        "CREATE TABLE more(a)",
        "CREATE TRIGGER t AFTER INSERT ON kv BEGIN DELETE FROM kv; END",
        "CREATE VIEW v AS SELECT 1",
        "DROP TABLE meta",
        "DROP TABLE kv; CREATE VIEW kv AS SELECT 'a' AS key, 'b' AS value",
    ];
    for (i, addition) in additions.into_iter().enumerate() {
        let path = folder.path().join(format!("{i}.sqlite"));
        drop(sqlite::open(&path).unwrap());
        Connection::open(&path).unwrap().execute_batch(addition).unwrap();
        is_refused(&path, "tables");
    }
}

#[test]
fn values_no_store_would_write_are_damage() {
    let folder = tempfile::tempdir().unwrap();
    for (i, damage) in [
        "DELETE FROM meta",
        "UPDATE meta SET epoch = -1",
        "UPDATE meta SET last_seq = -1",
        "UPDATE meta SET epoch = 9223372036854775807",
    ]
    .into_iter()
    .enumerate()
    {
        let path = folder.path().join(format!("{i}.sqlite"));
        drop(sqlite::open(&path).unwrap());
        Connection::open(&path).unwrap().execute_batch(damage).unwrap();
        let error = sqlite::open(&path).err().unwrap();
        assert!(matches!(error, StoreError::Corrupt(_)), "{damage}: {error:?}");
    }
    let path = folder.path().join("text.sqlite");
    let store = sqlite::open(&path).unwrap();
    let outside = Connection::open(&path).unwrap();
    outside.execute_batch("INSERT INTO kv VALUES ('a', CAST(x'ff' AS TEXT))").unwrap();
    assert!(matches!(store.reader.get("a"), Err(StoreError::Corrupt(_))));
    assert!(matches!(store.reader.next("", ""), Err(StoreError::Corrupt(_))));
}

#[test]
fn a_damaged_file_is_an_error_and_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kernel.sqlite");
    let mut store = sqlite::open(&path).unwrap();
    let value = "x".repeat(200);
    let keys: Vec<String> = (0..2_000).map(|i| format!("key{i}")).collect();
    let writes: Vec<_> = keys.iter().map(|key| (key.as_str(), Some(value.as_str()))).collect();
    store.writer.commit(&batch(1, &writes)).unwrap();
    drop(store);
    let good = std::fs::read(&path).unwrap();
    let mut failures = 0;
    for cut in [4096, 4096 * 3, good.len() / 2, good.len() - 1] {
        std::fs::write(&path, &good[..cut]).unwrap();
        failures += usize::from(reads_fail(&path, &keys));
    }
    for page in 1..good.len() / 4096 {
        let mut bad = good.clone();
        for byte in &mut bad[page * 4096..page * 4096 + 512] {
            *byte ^= 0xa5;
        }
        std::fs::write(&path, &bad).unwrap();
        failures += usize::from(reads_fail(&path, &keys));
    }
    assert!(failures > good.len() / 4096 / 2, "{failures}");
}

/// Whether opening or reading reports the damage.
fn reads_fail(path: &Path, keys: &[String]) -> bool {
    match sqlite::open(path) {
        Ok(store) => keys.iter().any(|key| store.reader.get(key).is_err()),
        Err(error) => {
            assert!(matches!(error, StoreError::Corrupt(_) | StoreError::Format(_)), "{error:?}");
            true
        }
    }
}

#[test]
fn the_log_of_a_missing_database_is_not_applied_to_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kernel.sqlite");
    let log = folder.path().join("kernel.sqlite-wal");
    std::fs::write(&log, "frames").unwrap();
    is_refused(&path, "its log");
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "frames");
    assert!(!path.exists());
    std::fs::remove_file(&log).unwrap();
    assert_eq!(sqlite::open(&path).unwrap().epoch, 1);
}

#[test]
fn an_empty_file_and_a_draft_left_by_a_crash_become_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kernel.sqlite");
    std::fs::write(&path, "").unwrap();
    std::fs::write(folder.path().join("kernel.sqlite.new"), "half a database").unwrap();
    let store = sqlite::open(&path).unwrap();
    assert_eq!((store.epoch, store.last_seq), (1, 0));
    assert!(!folder.path().join("kernel.sqlite.new").exists());
}
