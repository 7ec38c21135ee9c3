//! Values for people to read: JSON in which what JSON cannot say is said in brackets.

use std::fmt::Display;

use serde_json::{Map, Value};

use super::decode::{SmallcapsError, parse, slot_index};
use super::{decode, encode};
use crate::capdata::CapData;
use crate::refs::Reference;

/// Renders a value: references as `<ko5> (Alleged: X)`, bigints as `5n`, constants as
/// `[undefined]`, symbols as `[Symbol: x]`, tagged values as `{"[Tagged: t]": payload}`, errors as
/// `[TypeError: message]`, all else as it is. For the eye only: there is no way back, and what
/// is wrong in the value is shown rather than refused.
pub fn prettify<R: Reference + Display>(data: &CapData<R>) -> Result<Value, SmallcapsError> {
    match data.body.strip_prefix('#') {
        Some(json) => Ok(render(parse(json)?, &data.slots)),
        None => prettify(&encode(&decode(data)?)),
    }
}

/// Recursion is bounded by the depth of the JSON.
fn render<R: Display>(value: Value, slots: &[R]) -> Value {
    match value {
        Value::String(text) => Value::String(render_string(text, slots)),
        Value::Array(items) => items.into_iter().map(|item| render(item, slots)).collect(),
        Value::Object(mut entries) => {
            let mut shown = |field: &str| entries.remove(field).map(|v| plain(render(v, slots)));
            if let Some(tag) = shown("#tag") {
                let payload = entries.remove("payload").unwrap_or_default();
                let key = format!("[Tagged: {tag}]");
                return Value::Object(Map::from_iter([(key, render(payload, slots))]));
            }
            if let Some(message) = shown("#error") {
                let name = shown("name").unwrap_or_else(|| "Error".to_owned());
                return Value::String(format!("[{name}: {message}]"));
            }
            let entries = entries.into_iter().map(|(key, value)| {
                let key = key.strip_prefix('!').map(str::to_owned).unwrap_or(key);
                (key, render(value, slots))
            });
            Value::Object(entries.collect())
        }
        other => other,
    }
}

fn render_string<R: Display>(text: String, slots: &[R]) -> String {
    let Some(rest) = text.get(1..) else { return text };
    match text.as_bytes()[0] {
        b'!' => rest.to_owned(),
        b'+' => format!("{rest}n"),
        b'-' => format!("{text}n"),
        b'#' => format!("[{rest}]"),
        b'%' => format!("[Symbol: {rest}]"),
        b'$' | b'&' => {
            let (number, iface) =
                rest.split_once('.').map_or((rest, None), |(number, iface)| (number, Some(iface)));
            let Some(index) = slot_index(number) else { return text };
            let slot = slots.get(index).map_or_else(|| format!("?{index}"), ToString::to_string);
            iface.map_or_else(|| format!("<{slot}>"), |iface| format!("<{slot}> ({iface})"))
        }
        _ => text,
    }
}

/// A string without its quotation marks, anything else as JSON.
fn plain(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}
