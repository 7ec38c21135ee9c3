//! One kernel per store: the second is told so at once and changes nothing.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use ocap_store::{StoreError, sqlite};

use crate::{batch, contents};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_second_open_is_busy_and_changes_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kernel.sqlite");
    let mut first = sqlite::open(&path).unwrap();
    first.writer.commit(&batch(1, &[("a", Some("1"))])).unwrap();
    let bytes = || {
        ["", "-wal", "-shm"].map(|ending| {
            std::fs::read(folder.path().join(format!("kernel.sqlite{ending}"))).unwrap()
        })
    };
    let before = bytes();
    symlink(&path, folder.path().join("link.sqlite")).unwrap();
    for name in ["kernel.sqlite", "link.sqlite"] {
        let error = sqlite::open(folder.path().join(name)).err().unwrap();
        assert!(matches!(error, StoreError::Busy(_)), "{error}");
        let text = error.to_string();
        assert!(text.contains("kernel.sqlite"), "{text}");
        assert!(text.contains(&std::process::id().to_string()), "{text}");
    }
    assert_eq!(bytes(), before);
    first.writer.commit(&batch(2, &[("b", Some("2"))])).unwrap();
    assert_eq!(contents(&*first.reader).len(), 2);
}

#[test]
fn the_lock_is_held_until_writer_and_reader_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kernel.sqlite");
    let first = sqlite::open(&path).unwrap();
    drop(first.writer);
    assert!(matches!(sqlite::open(&path).err().unwrap(), StoreError::Busy(_)));
    drop(first.reader);
    assert_eq!(sqlite::open(&path).unwrap().epoch, 2);
}

#[test]
fn a_home_that_does_not_exist_is_made_private() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("a/b");
    let path = home.join("kernel.sqlite");
    let mut store = sqlite::open(&path).unwrap();
    store.writer.commit(&batch(1, &[("a", Some("1"))])).unwrap();
    assert_eq!(mode(&home), 0o700);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&home).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(mode(&entry.path()), 0o600, "{}", entry.path().display());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    let expected =
        ["kernel.sqlite", "kernel.sqlite-shm", "kernel.sqlite-wal", "kernel.sqlite.lock"];
    assert_eq!(names, expected);
}

#[test]
fn a_store_that_others_could_read_is_closed_to_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kernel.sqlite");
    drop(sqlite::open(&path).unwrap());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let _store = sqlite::open(&path).unwrap();
    assert_eq!(mode(&path), 0o600);
}
