//! From a text anybody may have written to a value.

use serde_json::{Map, Value};

use super::{is_special, legacy};
use crate::capdata::CapData;
use crate::limits::{DECODED_DEPTH_MAX, DECODED_VALUES_MAX};
use crate::passable::{BigInt, ParseBigIntError, Passable};
use crate::quote::quoted;
use crate::refs::Reference;

/// Why a text is no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SmallcapsError {
    /// It is not JSON.
    #[error("not JSON: {0}")]
    Json(String),
    /// It is nested too deeply.
    #[error("nested more than {DECODED_DEPTH_MAX} levels deep")]
    TooDeep,
    /// It has too many parts.
    #[error("more than {DECODED_VALUES_MAX} values in one")]
    TooMany,
    /// A `#` string that is none of the known constants.
    #[error("unknown constant {0}")]
    UnknownConstant(String),
    /// A string beginning with a character that means nothing yet.
    #[error("{0} begins with a reserved character")]
    Reserved(String),
    /// A record with a `#` key that is neither a tag nor an error.
    #[error("unknown record type {0}")]
    UnknownRecord(String),
    /// A reference with an index that is no number or has no slot.
    #[error("{0} refers to no slot")]
    Slot(String),
    /// A promise mentioned as an object, or an object as a promise.
    #[error("{0} is not the kind of reference its slot holds")]
    SlotKind(String),
    /// A bigint that is none.
    #[error(transparent)]
    BigInt(#[from] ParseBigIntError),
    /// A symbol in the form of a well-known one that nobody knows.
    #[error("unknown well-known symbol {0}")]
    Symbol(String),
    /// A tag or an error with a field that is missing, of the wrong type, or not allowed.
    #[error("{record} with a bad field {field}")]
    Field {
        /// Which kind of record.
        record: &'static str,
        /// The field.
        field: String,
    },
    /// In the older encoding, a `@qclass` that is unknown.
    #[error("unknown @qclass {0}")]
    UnknownClass(String),
    /// It is a value, but no message.
    #[error("not a message of the form [method, args]")]
    NoMessage,
}

/// Reads a value. See [`SmallcapsError`] for what is refused. Of keys that occur twice the last one
/// counts, as in JavaScript. Every mention of an object gets the interface its first one names.
pub fn decode<R: Reference>(data: &CapData<R>) -> Result<Passable<R>, SmallcapsError> {
    let Some(json) = data.body.strip_prefix('#') else {
        let value = parse(&data.body)?;
        return legacy::Decoder { slots: &data.slots }.value(value);
    };
    let value = parse(json)?;
    let mut decoder = Decoder { slots: &data.slots, ifaces: vec![None; data.slots.len()] };
    decoder.collect_ifaces(&value);
    decoder.value(value)
}

/// Reads JSON of bounded depth and size.
pub(super) fn parse(json: &str) -> Result<Value, SmallcapsError> {
    measure(json)?;
    serde_json::from_str(json).map_err(|e| SmallcapsError::Json(e.to_string()))
}

/// Refuses what would take too much stack or memory to read. Looks at brackets and commas only, and
/// is exact for everything that is JSON.
fn measure(json: &str) -> Result<(), SmallcapsError> {
    let (mut depth, mut values) = (0_usize, 1_usize);
    let (mut in_string, mut escaped) = (false, false);
    for byte in json.bytes() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => {
                depth += 1;
                values += 1;
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => values += 1,
            _ => {}
        }
        if depth > DECODED_DEPTH_MAX {
            return Err(SmallcapsError::TooDeep);
        }
        if values > DECODED_VALUES_MAX {
            return Err(SmallcapsError::TooMany);
        }
    }
    Ok(())
}

/// Recursion in it is bounded by `DECODED_DEPTH_MAX`.
struct Decoder<'a, R> {
    slots: &'a [R],
    ifaces: Vec<Option<String>>,
}

impl<R: Reference> Decoder<'_, R> {
    /// Later mentions of an object do not repeat its interface, and nothing says that a reader meets
    /// the first mention first.
    fn collect_ifaces(&mut self, value: &Value) {
        match value {
            Value::String(text) if text.starts_with('$') => {
                if let Some((index, iface)) = text[1..].split_once('.')
                    && let Some(index) = slot_index(index)
                    && let Some(known @ None) = self.ifaces.get_mut(index)
                {
                    *known = Some(iface.to_owned());
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.collect_ifaces(item)),
            Value::Object(entries) => entries.values().for_each(|item| self.collect_ifaces(item)),
            _ => {}
        }
    }

    fn value(&self, value: Value) -> Result<Passable<R>, SmallcapsError> {
        Ok(match value {
            Value::Null => Passable::Null,
            Value::Bool(b) => Passable::Bool(b),
            Value::Number(n) => Passable::Number(read_number(&n)),
            Value::String(text) if is_special(&text) => self.special(&text)?,
            Value::String(text) => Passable::String(text),
            Value::Array(items) => Passable::Array(
                items.into_iter().map(|item| self.value(item)).collect::<Result<_, _>>()?,
            ),
            Value::Object(entries) if entries.contains_key("#tag") => self.tagged(entries)?,
            Value::Object(entries) if entries.contains_key("#error") => self.error(entries)?,
            Value::Object(entries) => Passable::Record(
                entries
                    .into_iter()
                    .map(|(key, value)| Ok((record_key(&key)?, self.value(value)?)))
                    .collect::<Result<_, SmallcapsError>>()?,
            ),
        })
    }

    fn special(&self, text: &str) -> Result<Passable<R>, SmallcapsError> {
        let rest = &text[1..];
        Ok(match text.as_bytes()[0] {
            b'!' => Passable::string(rest),
            b'#' => match rest {
                "undefined" => Passable::Undefined,
                "NaN" => Passable::Number(f64::NAN),
                "Infinity" => Passable::Number(f64::INFINITY),
                "-Infinity" => Passable::Number(f64::NEG_INFINITY),
                _ => return Err(SmallcapsError::UnknownConstant(quoted(text))),
            },
            b'+' | b'-' => Passable::BigInt(text.parse::<BigInt>()?),
            b'%' => Passable::Symbol(symbol_name(rest)?),
            b'$' => {
                let index = rest.split_once('.').map_or(rest, |(index, _)| index);
                let (index, slot) = self.slot(index, text)?;
                if slot.is_promise() {
                    return Err(SmallcapsError::SlotKind(quoted(text)));
                }
                Passable::Remotable { slot, iface: self.ifaces[index].clone() }
            }
            b'&' => {
                let (_, slot) = self.slot(rest, text)?;
                if !slot.is_promise() {
                    return Err(SmallcapsError::SlotKind(quoted(text)));
                }
                Passable::Promise(slot)
            }
            _ => return Err(SmallcapsError::Reserved(quoted(text))),
        })
    }

    fn slot(&self, index: &str, text: &str) -> Result<(usize, R), SmallcapsError> {
        slot_index(index)
            .and_then(|index| Some((index, self.slots.get(index)?.clone())))
            .ok_or_else(|| SmallcapsError::Slot(quoted(text)))
    }

    fn tagged(&self, mut entries: Map<String, Value>) -> Result<Passable<R>, SmallcapsError> {
        let bad = |field: &str| SmallcapsError::Field { record: "a tag", field: quoted(field) };
        let tag = entries.remove("#tag").and_then(plain_string).ok_or_else(|| bad("#tag"))?;
        let payload = entries.remove("payload").ok_or_else(|| bad("payload"))?;
        if let Some(extra) = entries.keys().next() {
            return Err(bad(extra));
        }
        Ok(Passable::Tagged { tag, payload: Box::new(self.value(payload)?) })
    }

    /// A cause and further properties are allowed if they are values, and then dropped.
    fn error(&self, mut entries: Map<String, Value>) -> Result<Passable<R>, SmallcapsError> {
        let bad = |field: &str| SmallcapsError::Field { record: "an error", field: quoted(field) };
        let mut text = |field: &str| entries.remove(field).map(plain_string);
        let message = text("#error").flatten().ok_or_else(|| bad("#error"))?;
        let name = text("name").flatten().ok_or_else(|| bad("name"))?;
        let error_id = match text("errorId") {
            Some(None) => return Err(bad("errorId")),
            Some(id) => id,
            None => None,
        };
        if entries.contains_key("message") {
            return Err(bad("message"));
        }
        for (_, value) in entries {
            self.value(value)?;
        }
        Ok(Passable::Error { name, message, error_id })
    }
}

/// A string that stands for a string.
fn plain_string(value: Value) -> Option<String> {
    match value {
        Value::String(text) if !is_special(&text) => Some(text),
        Value::String(text) => text.strip_prefix('!').map(str::to_owned),
        _ => None,
    }
}

fn record_key(key: &str) -> Result<String, SmallcapsError> {
    plain_string(Value::from(key)).ok_or_else(|| SmallcapsError::UnknownRecord(quoted(key)))
}

/// Canonical decimal only: one reference has one spelling.
pub(super) fn slot_index(text: &str) -> Option<usize> {
    let canonical = text == "0" || !text.starts_with('0');
    (canonical && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

/// JavaScript has no negative zero in JSON that it would keep apart.
pub(super) fn read_number(number: &serde_json::Number) -> f64 {
    number.as_f64().unwrap_or(f64::NAN) + 0.0
}

/// The symbols that JavaScript itself defines.
const WELL_KNOWN: [&str; 13] = [
    "asyncIterator",
    "hasInstance",
    "isConcatSpreadable",
    "iterator",
    "match",
    "matchAll",
    "replace",
    "search",
    "species",
    "split",
    "toPrimitive",
    "toStringTag",
    "unscopables",
];

pub(super) fn symbol_name(name: &str) -> Result<String, SmallcapsError> {
    match name.strip_prefix("@@") {
        Some(known) if !known.starts_with("@@") && !WELL_KNOWN.contains(&known) => {
            Err(SmallcapsError::Symbol(quoted(name)))
        }
        _ => Ok(name.to_owned()),
    }
}
