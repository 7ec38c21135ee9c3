//! From a value to its one canonical text.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::is_special;
use super::number::write_number;
use crate::capdata::CapData;
use crate::passable::Passable;
use crate::refs::Reference;

/// Writes a value. The same value always gives the same body and slots:
///
/// * The slots are in order of first mention, where a record's entries are visited in the order of
///   their keys compared as UTF-16 (JavaScript's `sort`).
/// * In the body a record's entries are in that order too, but keys that are array indices come
///   first in numeric order: that is where any JavaScript engine puts them, so that a body made
///   here is letter for letter what a vat would have made.
pub fn encode<R: Reference>(value: &Passable<R>) -> CapData<R> {
    let mut encoder = Encoder { out: String::from("#"), slots: Vec::new(), index: BTreeMap::new() };
    encoder.value(value);
    CapData { body: encoder.out, slots: encoder.slots }
}

struct Encoder<R> {
    out: String,
    slots: Vec<R>,
    index: BTreeMap<R, usize>,
}

impl<R: Reference> Encoder<R> {
    fn value(&mut self, value: &Passable<R>) {
        match value {
            Passable::Undefined => self.out.push_str("\"#undefined\""),
            Passable::Null => self.out.push_str("null"),
            Passable::Bool(true) => self.out.push_str("true"),
            Passable::Bool(false) => self.out.push_str("false"),
            Passable::Number(n) if n.is_nan() => self.out.push_str("\"#NaN\""),
            Passable::Number(f64::INFINITY) => self.out.push_str("\"#Infinity\""),
            Passable::Number(f64::NEG_INFINITY) => self.out.push_str("\"#-Infinity\""),
            Passable::Number(n) => write_number(&mut self.out, *n),
            Passable::BigInt(n) if n.is_negative() => self.raw_string("", n.as_str()),
            Passable::BigInt(n) => self.raw_string("+", n.as_str()),
            Passable::String(text) => self.string(text),
            Passable::Symbol(name) => self.raw_string("%", name),
            Passable::Array(items) => {
                self.out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        self.out.push(',');
                    }
                    self.value(item);
                }
                self.out.push(']');
            }
            Passable::Record(entries) => self.record(entries),
            Passable::Tagged { tag, payload } => {
                self.out.push_str("{\"#tag\":");
                self.string(tag);
                self.out.push_str(",\"payload\":");
                self.value(payload);
                self.out.push('}');
            }
            Passable::Error { name, message, error_id } => {
                self.out.push_str("{\"#error\":");
                self.string(message);
                if let Some(id) = error_id {
                    self.out.push_str(",\"errorId\":");
                    self.string(id);
                }
                self.out.push_str(",\"name\":");
                self.string(name);
                self.out.push('}');
            }
            Passable::Remotable { slot, iface } => {
                let (index, first) = self.slot(slot);
                match iface {
                    Some(iface) if first => self.raw_string(&format!("${index}."), iface),
                    _ => self.raw_string("$", &index.to_string()),
                }
            }
            Passable::Promise(slot) => {
                let (index, _) = self.slot(slot);
                self.raw_string("&", &index.to_string());
            }
        }
    }

    /// The index of a reference, and whether this is its first mention.
    fn slot(&mut self, slot: &R) -> (usize, bool) {
        match self.index.entry(slot.clone()) {
            Entry::Occupied(known) => (*known.get(), false),
            Entry::Vacant(free) => {
                let index = *free.insert(self.slots.len());
                self.slots.push(slot.clone());
                (index, true)
            }
        }
    }

    fn record(&mut self, entries: &BTreeMap<String, Passable<R>>) {
        let mut sorted: Vec<_> = entries.iter().collect();
        // Bytewise order differs from UTF-16 order only where there are characters beyond U+FFFF.
        sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));

        // Visited in sorted order, because that numbers the slots; then put where they belong.
        let body = std::mem::take(&mut self.out);
        let mut numbered = Vec::new();
        let mut named = String::new();
        for (key, value) in sorted {
            self.string(key);
            self.out.push(':');
            self.value(value);
            if let Some(index) = array_index(key) {
                numbered.push((index, std::mem::take(&mut self.out)));
            } else {
                if !named.is_empty() {
                    named.push(',');
                }
                named.push_str(&self.out);
                self.out.clear();
            }
        }
        numbered.sort_by_key(|(index, _)| *index);
        self.out = body;
        self.out.push('{');
        for (i, (_, text)) in numbered.iter().enumerate() {
            if i > 0 {
                self.out.push(',');
            }
            self.out.push_str(text);
        }
        if !numbered.is_empty() && !named.is_empty() {
            self.out.push(',');
        }
        self.out.push_str(&named);
        self.out.push('}');
    }

    /// A string value, escaped if it could be taken for something else.
    fn string(&mut self, text: &str) {
        self.raw_string(if is_special(text) { "!" } else { "" }, text);
    }

    /// A JSON string made of a prefix that needs no escapes, and a text.
    fn raw_string(&mut self, prefix: &str, text: &str) {
        let start = self.out.len();
        // Displaying a JSON string cannot fail.
        self.out.push_str(&serde_json::Value::from(text).to_string());
        self.out.insert_str(start + 1, prefix);
    }
}

/// The number a key stands for if JavaScript orders it as an array index: canonical decimal below
/// 2^32 - 1.
fn array_index(key: &str) -> Option<u32> {
    let canonical = key == "0" || (!key.starts_with(['0', '+']) && key.len() <= 10);
    canonical.then(|| key.parse().ok()).flatten().filter(|n| *n != u32::MAX)
}
