//! Copies of stores, and stores made of entries: complete at their place, or not there.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ocap_store::sqlite::{self, Draft, Place, Source};
use ocap_store::{Opened, StoreError};

use crate::{batch, contents};

const BACKUP: Place = Place::Backup { replace: false };
const REPLACING: Place = Place::Backup { replace: true };

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// A store with some megabytes in it.
fn large(path: &Path) -> Opened {
    let mut store = sqlite::open(path).unwrap();
    let filler = "x".repeat(32 * 1024);
    for seq in 1..=3 {
        let keys: Vec<String> = (0..64).map(|n| format!("k{n:03}")).collect();
        let value = format!("{seq} {filler}");
        let writes: Vec<_> = keys.iter().map(|key| (key.as_str(), Some(value.as_str()))).collect();
        store.writer.commit(&batch(seq, &writes)).unwrap();
    }
    store
}

#[test]
fn a_copy_holds_one_moment_of_a_store_that_is_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kernel.sqlite");
    let mut store = large(&path);
    let (copying, committed) = (AtomicBool::new(true), AtomicU64::new(0));
    let target = folder.path().join("copy.sqlite");
    let mut looks = 0;
    let draft = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let filler = "y".repeat(32 * 1024);
            let mut seq = 3;
            while copying.load(Ordering::Relaxed) {
                seq += 1;
                let value = format!("{seq} {filler}");
                // Every batch writes all keys: a copy of two moments would show.
                let keys: Vec<String> = (0..64).map(|n| format!("k{n:03}")).collect();
                let writes: Vec<_> =
                    keys.iter().map(|key| (key.as_str(), Some(value.as_str()))).collect();
                store.writer.commit(&batch(seq, &writes)).unwrap();
                committed.fetch_add(1, Ordering::Relaxed);
            }
        });
        let copied = Draft::copy(Source::Open(&path), &target, BACKUP, |progress| {
            assert!(progress.done <= progress.total);
            looks += 1;
            // On, once something has been committed after the copy has begun.
            let before = committed.load(Ordering::Relaxed);
            while looks == 1 && committed.load(Ordering::Relaxed) == before {
                assert!(!writer.is_finished(), "the writer failed");
                std::thread::yield_now();
            }
            true
        });
        copying.store(false, Ordering::Relaxed);
        writer.join().unwrap();
        copied.unwrap()
    });
    assert!(looks > 1, "{looks}");
    assert!(!target.exists(), "nothing is there before it is placed");
    let last_seq = draft.last_seq();
    draft.place().unwrap();
    let mode = std::fs::metadata(&target).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let seen = sqlite::inspect(&target).unwrap();
    assert_eq!(seen.damage, Vec::<String>::new());
    assert_eq!((seen.epoch, seen.last_seq), (1, last_seq));
    let found = contents(&*seen.reader);
    assert_eq!(found.len(), 64);
    let seq = last_seq.to_string();
    assert!(found.values().all(|value| value.split(' ').next() == Some(&seq)), "two moments");
    assert!(!names(folder.path()).contains("copy.sqlite.partial"));
    // And it is a store like any other, with an epoch of its own.
    drop(seen);
    let mut copy = sqlite::open(&target).unwrap();
    assert_eq!((copy.epoch, copy.last_seq), (2, last_seq));
    copy.writer.commit(&batch(last_seq + 1, &[("new", Some("1"))])).unwrap();
}

#[test]
fn a_copy_that_is_stopped_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kernel.sqlite");
    drop(large(&path));
    let before = names(folder.path());
    let target = folder.path().join("copy.sqlite");
    let stopped = Draft::copy(Source::Closed(&path), &target, BACKUP, |_| false);
    assert!(matches!(stopped, Err(StoreError::Stopped)), "{stopped:?}");
    assert_eq!(names(folder.path()), before);
    let unplaced = Draft::copy(Source::Closed(&path), &target, BACKUP, |_| true).unwrap();
    drop(unplaced);
    assert_eq!(names(folder.path()), before);
}

#[test]
fn what_an_earlier_attempt_left_is_no_obstacle_and_two_at_once_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kernel.sqlite");
    drop(large(&path));
    let target = folder.path().join("copy.sqlite");
    // As a kill leaves it.
    std::fs::write(folder.path().join("copy.sqlite.partial"), "half a page").unwrap();
    std::fs::write(folder.path().join("copy.sqlite.partial-journal"), "of something").unwrap();
    let first = Draft::copy(Source::Closed(&path), &target, BACKUP, |_| true).unwrap();
    let second = Draft::copy(Source::Closed(&path), &target, BACKUP, |_| true);
    assert!(matches!(second, Err(StoreError::Busy(_))), "{second:?}");
    first.place().unwrap();
    assert_eq!(sqlite::inspect(&target).unwrap().last_seq, 3);
    assert!(!names(folder.path()).contains("copy.sqlite.partial-journal"));
}

#[test]
fn only_an_earlier_backup_is_replaced_and_only_if_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kernel.sqlite");
    let store = large(&path);
    let copy = |target: &Path, place| {
        Draft::copy(Source::Open(&path), target, place, |_| true).and_then(Draft::place)
    };
    let target = folder.path().join("copy.sqlite");
    copy(&target, BACKUP).unwrap();
    let refused = copy(&target, BACKUP).unwrap_err();
    assert!(refused.to_string().contains("is there already"), "{refused}");
    copy(&target, REPLACING).unwrap();
    // A poem, a link, a store that a kernel runs on, the store itself, a file with a log beside it.
    let poem = folder.path().join("poem");
    std::fs::write(&poem, "a poem").unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&target, &link).unwrap();
    let other = folder.path().join("other.sqlite");
    let running = sqlite::open(&other).unwrap();
    let logged = folder.path().join("logged.sqlite");
    std::fs::write(folder.path().join("logged.sqlite-wal"), "a log").unwrap();
    let missing = folder.path().join("missing/copy.sqlite");
    // And what SQLite would take for a part of the store.
    let journal = folder.path().join("kernel.sqlite-journal");
    let itself = folder.path().join("itself.sqlite");
    std::fs::hard_link(&path, &itself).unwrap();
    for target in [&poem, &link, &other, &path, &itself, &logged, &missing, &journal] {
        for place in [BACKUP, REPLACING] {
            let before = std::fs::read(target).ok();
            let refused = copy(target, place);
            assert!(refused.is_err(), "{}: {refused:?}", target.display());
            assert!(std::fs::read(target).ok() == before, "{}", target.display());
        }
    }
    assert!(names(folder.path()).iter().all(|name| !name.contains("partial")));
    drop((running, store));
    // Also once nobody runs on it.
    let itself = Draft::copy(Source::Closed(&path), &path, REPLACING, |_| true).unwrap_err();
    assert!(itself.to_string().contains("the store itself"), "{itself}");
}

#[test]
fn a_store_is_made_where_there_is_none_and_nobody_can_open_it_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kernel.sqlite");
    drop(large(&path));
    let target = folder.path().join("new.sqlite");
    let draft = Draft::copy(Source::Closed(&path), &target, Place::Store, |_| true).unwrap();
    assert!(matches!(sqlite::open(&target), Err(StoreError::Busy(_))));
    draft.place().unwrap();
    let opened = sqlite::open(&target).unwrap();
    assert_eq!((opened.epoch, opened.last_seq), (2, 3));
    let refused = Draft::copy(Source::Closed(&path), &target, Place::Store, |_| true).unwrap_err();
    assert!(matches!(refused, StoreError::Busy(_)), "{refused}");
    drop(opened);
    let refused = Draft::copy(Source::Closed(&path), &target, Place::Store, |_| true).unwrap_err();
    assert!(refused.to_string().contains("is there already"), "{refused}");
}

#[test]
fn a_store_is_made_of_entries() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("new.sqlite");
    let mut loading = Draft::load(&target, Place::Store, 7, 30).unwrap();
    loading.put("a", "1").unwrap();
    loading.put("b\0\u{10FFFF}", "").unwrap();
    let twice = loading.put("a", "2").unwrap_err();
    assert!(twice.to_string().contains("twice"), "{twice}");
    let draft = loading.finish().unwrap();
    assert!(!target.exists());
    draft.place().unwrap();
    let opened = sqlite::open(&target).unwrap();
    assert_eq!((opened.epoch, opened.last_seq), (8, 30));
    let found: Vec<_> = contents(&*opened.reader).into_iter().collect();
    assert_eq!(found, [("a".into(), "1".into()), ("b\0\u{10FFFF}".into(), String::new())]);
}

#[test]
fn a_kill_in_the_middle_leaves_the_source_and_the_place_as_they_were() {
    // A process that is killed while it copies: this test again, told to do so by its environment.
    if let Some(folder) = std::env::var_os("OCAP_TEST_COPY") {
        let folder = Path::new(&folder);
        let (from, to) = (folder.join("kernel.sqlite"), folder.join("copy.sqlite"));
        let _ = Draft::copy(Source::Closed(&from), &to, BACKUP, |progress| {
            if progress.done > 0 {
                let me = rustix::process::getpid();
                let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
            }
            true
        });
        unreachable!("it is killed");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kernel.sqlite");
    drop(large(&path));
    let before = std::fs::read(&path).unwrap();
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "draft::a_kill_in_the_middle_leaves_the_source_and_the_place_as_they_were",
        ])
        .env("OCAP_TEST_COPY", folder.path())
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
    assert!(std::fs::read(&path).unwrap() == before);
    assert!(!folder.path().join("copy.sqlite").exists());
    assert!(folder.path().join("copy.sqlite.partial").exists(), "it was not in the middle");
    let target = folder.path().join("copy.sqlite");
    Draft::copy(Source::Closed(&path), &target, BACKUP, |_| true).unwrap().place().unwrap();
    assert_eq!(sqlite::inspect(&target).unwrap().damage, Vec::<String>::new());
    drop(sqlite::open(&path).unwrap());
}
