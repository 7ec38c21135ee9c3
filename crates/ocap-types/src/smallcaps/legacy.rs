//! Reads bodies in the encoding before smallcaps: plain JSON in which an object with the key
//! `@qclass` stands for something else.

use serde_json::{Map, Value};

use super::decode::{SmallcapsError, read_number, symbol_name};
use crate::passable::Passable;
use crate::quote::quoted;
use crate::refs::Reference;

const CLASS: &str = "@qclass";

/// Recursion in it is bounded by the depth of the JSON.
pub(super) struct Decoder<'a, R> {
    pub(super) slots: &'a [R],
}

impl<R: Reference> Decoder<'_, R> {
    pub(super) fn value(&self, value: Value) -> Result<Passable<R>, SmallcapsError> {
        Ok(match value {
            Value::Null => Passable::Null,
            Value::Bool(b) => Passable::Bool(b),
            Value::Number(n) => Passable::Number(read_number(&n)),
            Value::String(text) => Passable::String(text),
            Value::Array(items) => Passable::Array(
                items.into_iter().map(|item| self.value(item)).collect::<Result<_, _>>()?,
            ),
            Value::Object(mut entries) => match entries.remove(CLASS) {
                None => self.record(entries)?,
                Some(Value::String(class)) => self.class(&class, entries)?,
                Some(_) => return Err(bad(CLASS)),
            },
        })
    }

    fn record(&self, entries: Map<String, Value>) -> Result<Passable<R>, SmallcapsError> {
        let entries = entries.into_iter().map(|(key, value)| Ok((key, self.value(value)?)));
        Ok(Passable::Record(entries.collect::<Result<_, SmallcapsError>>()?))
    }

    fn class(
        &self,
        class: &str,
        mut fields: Map<String, Value>,
    ) -> Result<Passable<R>, SmallcapsError> {
        Ok(match class {
            "undefined" => Passable::Undefined,
            "NaN" => Passable::Number(f64::NAN),
            "Infinity" => Passable::Number(f64::INFINITY),
            "-Infinity" => Passable::Number(f64::NEG_INFINITY),
            "bigint" => Passable::BigInt(text(&mut fields, "digits")?.parse()?),
            "symbol" => Passable::Symbol(symbol_name(&text(&mut fields, "name")?)?),
            "@@asyncIterator" => Passable::Symbol(class.to_owned()),
            "tagged" => Passable::Tagged {
                tag: text(&mut fields, "tag")?,
                payload: Box::new(
                    self.value(fields.remove("payload").ok_or_else(|| bad("payload"))?)?,
                ),
            },
            "error" => Passable::Error {
                name: text(&mut fields, "name")?,
                message: text(&mut fields, "message")?,
                error_id: fields
                    .contains_key("errorId")
                    .then(|| text(&mut fields, "errorId"))
                    .transpose()?,
            },
            // It does not say whether it is an object or a promise; its slot does.
            "slot" => {
                let index = fields.get("index").and_then(Value::as_u64);
                let slot = index
                    .and_then(|index| self.slots.get(usize::try_from(index).ok()?))
                    .ok_or_else(|| SmallcapsError::Slot(quoted(&format!("{index:?}"))))?;
                let iface =
                    fields.contains_key("iface").then(|| text(&mut fields, "iface")).transpose()?;
                if slot.is_promise() {
                    Passable::Promise(slot.clone())
                } else {
                    Passable::Remotable { slot: slot.clone(), iface }
                }
            }
            // A record that itself has the key `@qclass`.
            "hilbert" => {
                let original = fields.remove("original").ok_or_else(|| bad("original"))?;
                let mut record = match fields.remove("rest") {
                    None => Passable::record::<String>([]),
                    Some(rest) => self.value(rest)?,
                };
                let Passable::Record(entries) = &mut record else { return Err(bad("rest")) };
                if entries.insert(CLASS.to_owned(), self.value(original)?).is_some() {
                    return Err(bad("rest"));
                }
                record
            }
            _ => return Err(SmallcapsError::UnknownClass(quoted(class))),
        })
    }
}

fn text(fields: &mut Map<String, Value>, field: &str) -> Result<String, SmallcapsError> {
    match fields.remove(field) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(bad(field)),
    }
}

fn bad(field: &str) -> SmallcapsError {
    SmallcapsError::Field { record: "a @qclass", field: quoted(field) }
}
