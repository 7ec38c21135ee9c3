//! `kill -9` at any moment, and a write-ahead log torn anywhere: what was acknowledged is there, and
//! what is there is whole batches from the first to some last one.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use ocap_store::{Batch, sqlite};

use crate::contents;

/// Batch `seq` of a fixed history: it writes, overwrites and deletes.
fn history(seq: u64) -> Batch {
    let mut writes = BTreeMap::new();
    for i in 0..20 {
        let key = format!("k{}", (seq * 7 + i * i) % 97);
        let value = (!(seq + i).is_multiple_of(5)).then(|| format!("{seq} ").repeat(i as usize));
        writes.insert(key, value);
    }
    writes.insert("seq".into(), Some(seq.to_string()));
    Batch { seq, writes }
}

/// What the store holds after batch `last`.
fn after(last: u64) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (key, value) in (1..=last).flat_map(|seq| history(seq).writes) {
        match value {
            Some(value) => all.insert(key, value),
            None => all.remove(&key),
        };
    }
    all
}

const PATH: &str = "OCAP_STORE_TEST_PATH";

/// Not a test: the process that is killed.
#[test]
#[ignore = "run by the other tests in a process of its own"]
fn child() {
    // Somebody ran every ignored test.
    let Some(path) = std::env::var_os(PATH) else { return };
    let mut store = sqlite::open(path).unwrap();
    let mut out = std::io::stdout();
    // It is killed long before; if its parent is gone, the print fails.
    for seq in store.last_seq + 1.. {
        store.writer.commit(&history(seq)).unwrap();
        out.write_all(format!("\ncommitted {seq}\n").as_bytes()).unwrap();
    }
}

/// Runs the child until it has acknowledged `count` batches, kills it, and answers with the number
/// of the last one acknowledged.
fn run_and_kill(path: &Path, count: usize) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "crash::child", "--nocapture", "--test-threads=1"])
        .env(PATH, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .filter_map(|line| line.unwrap().strip_prefix("committed ").map(|n| n.parse().unwrap()));
    let seen: Option<u64> = acknowledged.by_ref().take(count).last();
    child.kill().unwrap();
    child.wait().unwrap();
    // What it still managed to say counts as well.
    acknowledged.last().or(seen).expect("the child committed nothing")
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kernel.sqlite");
    let mut last = 0;
    // Later rounds start from a log that the round before left behind.
    for round in 0..20 {
        let acknowledged = run_and_kill(&path, 1 + round * 13 % 23);
        assert!(acknowledged > last);
        let store = sqlite::open(&path).unwrap();
        assert!((acknowledged..=acknowledged + 1).contains(&store.last_seq));
        assert_eq!(contents(&*store.reader), after(store.last_seq));
        last = store.last_seq;
    }
}

#[test]
fn a_torn_log_opens_at_an_earlier_batch() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kernel.sqlite");
    run_and_kill(&path, 30);
    let database = std::fs::read(&path).unwrap();
    let log = std::fs::read(folder.path().join("kernel.sqlite-wal")).unwrap();
    let torn = folder.path().join("torn.sqlite");
    let torn_log = folder.path().join("torn.sqlite-wal");
    let is_consistent = |log: &[u8]| {
        std::fs::write(&torn, &database).unwrap();
        std::fs::write(&torn_log, log).unwrap();
        let _ = std::fs::remove_file(folder.path().join("torn.sqlite-shm"));
        let store = sqlite::open(&torn).unwrap();
        assert_eq!(contents(&*store.reader), after(store.last_seq));
        store.last_seq
    };
    let whole = is_consistent(&log);
    assert!(whole >= 30);
    let mut seen = std::collections::BTreeSet::new();
    for part in 0..60 {
        let cut = log.len() * part / 60 + part % 3;
        let last = is_consistent(&log[..cut]);
        assert!(last <= whole);
        seen.insert(last);
        // A page that never arrived, with later ones that did.
        let mut holed = log.clone();
        let end = (cut + 4096).min(log.len());
        holed[cut..end].fill(0);
        assert!(is_consistent(&holed) <= whole);
    }
    assert!(seen.len() > 10, "{seen:?}");
}
