//! Looking at a store changes nothing, whatever state it was left in.

use std::collections::BTreeMap;
use std::path::Path;

use ocap_store::{StoreError, sqlite};

use crate::{batch, contents};

/// Every file of a folder, with its bytes and when it was last written.
fn snapshot(folder: &Path) -> BTreeMap<String, (Vec<u8>, std::time::SystemTime)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| {
            let modified = entry.metadata().unwrap().modified().unwrap();
            let bytes = std::fs::read(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), (bytes, modified))
        })
        .collect()
}

/// A store as a kill leaves it: two batches, the second one only in the log.
fn killed(folder: &Path) {
    let live = tempfile::tempdir().unwrap();
    let mut store = sqlite::open(live.path().join("kernel.sqlite")).unwrap();
    store.writer.commit(&batch(1, &[("a", Some("1")), ("b", Some("2"))])).unwrap();
    store.writer.commit(&batch(2, &[("b", None), ("c", Some("3"))])).unwrap();
    for name in ["kernel.sqlite", "kernel.sqlite-wal", "kernel.sqlite-shm", "kernel.sqlite.lock"] {
        std::fs::copy(live.path().join(name), folder.join(name)).unwrap();
    }
}

#[test]
fn a_look_changes_no_byte_and_sees_the_log() {
    let folder = tempfile::tempdir().unwrap();
    killed(folder.path());
    let path = folder.path().join("kernel.sqlite");
    let before = snapshot(folder.path());
    let seen = sqlite::inspect(&path).unwrap();
    assert_eq!((seen.epoch, seen.last_seq), (1, 2));
    assert_eq!(seen.damage, Vec::<String>::new());
    let found: Vec<_> = contents(&*seen.reader).into_iter().collect();
    assert_eq!(found, [("a".into(), "1".into()), ("c".into(), "3".into())]);
    assert_eq!(seen.reader.get("c").unwrap().as_deref(), Some("3"));
    drop(seen);
    assert_eq!(snapshot(folder.path()), before);
    // The same of a store that was closed well, and of one without any file beside it, at a path
    // that would mean something else in a URI.
    drop(sqlite::open(&path).unwrap());
    let odd = folder.path().join("a?immutable=0&b#c%20\u{fc}.sqlite");
    std::fs::copy(&path, &odd).unwrap();
    let before = snapshot(folder.path());
    for path in [&path, &odd] {
        let seen = sqlite::inspect(path).unwrap();
        assert_eq!((seen.epoch, seen.last_seq, contents(&*seen.reader).len()), (2, 2, 2));
    }
    assert_eq!(snapshot(folder.path()), before);
}

#[test]
fn kernels_and_those_who_look_keep_each_other_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kernel.sqlite");
    let store = sqlite::open(&path).unwrap();
    let error = sqlite::inspect(&path).err().unwrap();
    assert!(matches!(&error, StoreError::Busy(_)), "{error}");
    assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
    drop(store);
    let seen = sqlite::inspect(&path).unwrap();
    assert!(matches!(sqlite::open(&path).err().unwrap(), StoreError::Busy(_)));
    drop(seen);
    sqlite::open(&path).unwrap();
}

#[test]
fn what_is_no_store_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let missing = sqlite::inspect(at("none.sqlite")).err().unwrap();
    assert!(missing.to_string().contains("there is no store at"), "{missing}");
    for (name, bytes) in [("empty", &b""[..]), ("poem", b"not a database, a poem")] {
        std::fs::write(at(name), bytes).unwrap();
        let error = sqlite::inspect(at(name)).err().unwrap();
        assert!(matches!(&error, StoreError::Format(_)), "{error}");
    }
    killed(folder.path());
    std::fs::write(at("kernel.sqlite-journal"), "hot").unwrap();
    let before = snapshot(folder.path());
    let error = sqlite::inspect(at("kernel.sqlite")).err().unwrap();
    assert!(error.to_string().contains("rollback journal"), "{error}");
    assert_eq!(snapshot(folder.path()), before);
}

#[test]
fn damage_of_the_file_is_told_without_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kernel.sqlite");
    let mut store = sqlite::open(&path).unwrap();
    let rows: Vec<_> = (0..2_000).map(|n| format!("key{n}")).collect();
    let writes: Vec<_> = rows.iter().map(|key| (key.as_str(), Some("some value"))).collect();
    store.writer.commit(&batch(1, &writes)).unwrap();
    drop(store);
    let whole = std::fs::read(&path).unwrap();
    let mut noticed = 0;
    for at in (100..whole.len()).step_by(997) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        std::fs::write(&path, &bytes).unwrap();
        match sqlite::inspect(&path) {
            Ok(seen) => noticed += usize::from(!seen.damage.is_empty()),
            Err(_) => noticed += 1,
        }
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
    assert!(noticed > 0, "no damage is ever noticed");
}
