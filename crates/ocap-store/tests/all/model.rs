//! Both engines do the same as a plain map, for any batches and reads, also across reopening.

use std::collections::BTreeMap;

use ocap_store::{Batch, Opened, memory, sqlite};
use proptest::prelude::*;

/// Short keys that share prefixes, with the characters at the edges of UTF-8's lengths.
fn key() -> impl Strategy<Value = String> {
    let character = prop::sample::select(vec![
        'a',
        'b',
        '.',
        '%',
        '_',
        '\0',
        '\u{7f}',
        '\u{80}',
        '\u{7ff}',
        '\u{800}',
        '\u{d7ff}',
        '\u{e000}',
        '\u{ffff}',
        '\u{10000}',
        '\u{10ffff}',
    ]);
    prop::collection::vec(character, 0..4).prop_map(String::from_iter)
}

#[derive(Clone, Debug)]
enum Step {
    Commit(BTreeMap<String, Option<String>>),
    Get(String),
    Next(String, String),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let writes = prop::collection::btree_map(key(), prop::option::of("\\PC{0,12}"), 0..12);
    prop_oneof![
        4 => writes.prop_map(Step::Commit),
        4 => key().prop_map(Step::Get),
        8 => (key(), key()).prop_map(|(prefix, after)| Step::Next(prefix, after)),
        // The way a prefix is walked: from a key below it.
        8 => (key(), key()).prop_map(|(prefix, rest)| Step::Next(prefix.clone(), prefix + &rest)),
        1 => Just(Step::Reopen),
    ]
}

fn next_in(map: &BTreeMap<String, String>, prefix: &str, after: &str) -> Option<(String, String)> {
    map.iter()
        .find(|(key, _)| key.as_str() > after && key.starts_with(prefix))
        .map(|(key, value)| (key.clone(), value.clone()))
}

proptest! {
    // Each case syncs real files.
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn engines_agree_with_a_map(steps in prop::collection::vec(step(), 1..60)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kernel.sqlite");
        let memory_store = memory::MemoryStore::new();
        let open = || [memory_store.open(), sqlite::open(&path).unwrap()];
        let mut stores = open();
        let mut map = BTreeMap::new();
        let (mut seq, mut epoch) = (0, 1);
        for step in steps {
            match step {
                Step::Commit(writes) => {
                    seq += 1;
                    for (key, value) in &writes {
                        match value {
                            Some(value) => map.insert(key.clone(), value.clone()),
                            None => map.remove(key),
                        };
                    }
                    let batch = Batch { seq, writes };
                    for store in &mut stores {
                        store.writer.commit(&batch).unwrap();
                    }
                }
                Step::Get(key) => {
                    for store in &stores {
                        prop_assert_eq!(store.reader.get(&key).unwrap(), map.get(&key).cloned());
                    }
                }
                Step::Next(prefix, after) => {
                    let expected = next_in(&map, &prefix, &after);
                    for store in &stores {
                        prop_assert_eq!(store.reader.next(&prefix, &after).unwrap(), expected.clone());
                    }
                }
                Step::Reopen => {
                    drop(stores);
                    stores = open();
                    epoch += 1;
                    for Opened { epoch: found, last_seq, .. } in &stores {
                        prop_assert_eq!((*found, *last_seq), (epoch, seq));
                    }
                }
            }
        }
    }
}

#[test]
fn reads_go_on_while_batches_are_committed_and_see_whole_ones() {
    let folder = tempfile::tempdir().unwrap();
    let Opened { reader, mut writer, .. } = sqlite::open(folder.path().join("k.sqlite")).unwrap();
    let value = |seq: u64| Some(format!("{seq}"));
    let both =
        |seq| Batch { seq, writes: [("a".into(), value(seq)), ("b".into(), value(seq))].into() };
    writer.commit(&both(1)).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let reader = &reader;
            scope.spawn(move || {
                let number = |key| reader.get(key).unwrap().unwrap().parse::<u64>().unwrap();
                loop {
                    // Read in this order, `b` is never older than `a`.
                    let (a, b) = (number("a"), number("b"));
                    assert!(a <= b, "a batch was seen in part: a={a} b={b}");
                    if b == 60 {
                        break;
                    }
                }
            });
        }
        for seq in 2..=60 {
            writer.commit(&both(seq)).unwrap();
        }
    });
}
