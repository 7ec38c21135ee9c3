//! A writer whose epoch is gone, or whose batch does not come next, writes nothing.

use ocap_store::{Opened, StoreError, memory, sqlite};

use crate::{batch, contents};

#[test]
fn a_memory_store_opened_again_fences_the_older_writer() {
    let store = memory::MemoryStore::new();
    let mut old = store.open();
    old.writer.commit(&batch(1, &[("a", Some("1"))])).unwrap();
    let mut new = store.open();
    assert_eq!((new.epoch, new.last_seq), (old.epoch + 1, 1));
    let error = old.writer.commit(&batch(2, &[("a", Some("2"))])).unwrap_err();
    assert!(matches!(error, StoreError::Fenced { ours: 1, theirs: 2 }), "{error}");
    assert_eq!(new.reader.get("a").unwrap().as_deref(), Some("1"));
    new.writer.commit(&batch(2, &[("a", None)])).unwrap();
    assert!(contents(&*old.reader).is_empty());
}

#[test]
fn an_epoch_taken_behind_the_lock_fences_the_sqlite_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kernel.sqlite");
    let Opened { reader, mut writer, epoch, .. } = sqlite::open(&path).unwrap();
    writer.commit(&batch(1, &[("a", Some("1"))])).unwrap();
    let thief = rusqlite::Connection::open(&path).unwrap();
    thief.execute("UPDATE meta SET epoch = epoch + 1", []).unwrap();
    let error = writer.commit(&batch(2, &[("a", Some("2"))])).unwrap_err();
    assert!(
        matches!(error, StoreError::Fenced { ours, theirs } if ours == epoch && theirs == epoch + 1),
        "{error}"
    );
    assert_eq!(reader.get("a").unwrap().as_deref(), Some("1"));
    // It never comes back, not even if the epoch did.
    thief.execute("UPDATE meta SET epoch = epoch - 1", []).unwrap();
    assert!(writer.commit(&batch(2, &[("a", Some("2"))])).is_err());
    assert_eq!(reader.get("a").unwrap().as_deref(), Some("1"));
}

#[test]
fn a_batch_out_of_turn_is_refused_and_the_writer_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    for mut store in [memory::open(), sqlite::open(folder.path().join("k.sqlite")).unwrap()] {
        store.writer.commit(&batch(1, &[("a", Some("1"))])).unwrap();
        for seq in [0, 1, 3, u64::MAX] {
            let error = store.writer.commit(&batch(seq, &[("a", None)])).unwrap_err();
            assert!(matches!(error, StoreError::Sequence { last: 1, .. }), "{error}");
        }
        store.writer.commit(&batch(2, &[("b", Some("2"))])).unwrap();
        assert_eq!(contents(&*store.reader).len(), 2);
    }
}

#[test]
fn a_tool_that_holds_the_database_delays_a_commit_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kernel.sqlite");
    let mut store = sqlite::open(&path).unwrap();
    let tool = rusqlite::Connection::open(&path).unwrap();
    tool.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store.writer.commit(&batch(1, &[("a", Some("1"))])).unwrap_err();
    assert!(matches!(error, StoreError::Busy(_)), "{error}");
    tool.execute_batch("ROLLBACK").unwrap();
    store.writer.commit(&batch(1, &[("a", Some("1"))])).unwrap();
    assert_eq!(store.reader.get("a").unwrap().as_deref(), Some("1"));
}
