//! What this crate makes of seeds, words and URLs is what the reference makes of them: recorded
//! from it, see `tests/data`.

// A test that cannot go on says where.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod identities;
mod urls;

use ocap_types::Secret;
use serde_json::Value;

fn vectors(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn list<'a>(vectors: &'a Value, name: &str) -> &'a [Value] {
    let list = vectors[name].as_array().unwrap();
    assert!(!list.is_empty(), "{name}");
    list
}

fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name].as_str().unwrap_or_else(|| panic!("no {name} in {vector}"))
}

fn bytes(vector: &Value, name: &str) -> Secret {
    Secret::from_hex(text(vector, name)).unwrap()
}
