//! What a store promises, over real files, real processes and real kills.

// Helpers of tests are tests too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod crash;
mod draft;
mod fencing;
mod format;
mod inspection;
mod lock;
mod model;

use std::collections::BTreeMap;

use ocap_store::{Batch, Reader};

/// A batch of puts (`Some`) and deletes (`None`).
fn batch(seq: u64, writes: &[(&str, Option<&str>)]) -> Batch {
    let owned = |(key, value): &(&str, Option<&str>)| ((*key).to_owned(), value.map(str::to_owned));
    Batch { seq, writes: writes.iter().map(owned).collect() }
}

/// Everything in the store.
fn contents(reader: &dyn Reader) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    // No key sorts before "", and nothing here stores that one.
    let mut after = String::new();
    while let Some((key, value)) = reader.next("", &after).unwrap() {
        after.clone_from(&key);
        all.insert(key, value);
    }
    all
}
