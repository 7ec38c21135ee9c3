//! Messages from a host, and what their answers mean to it.

use ocap_types::smallcaps::{self, prettify};
use ocap_types::{KCapData, KRef};
use serde_json::Value;

/// A message of plain JSON: nothing in it becomes a reference, whatever it looks like.
pub(crate) fn encode(method: &str, args: Vec<Value>) -> KCapData {
    smallcaps::message_from_json::<KRef>(method, args)
}

/// What a rejection says, for a person.
pub(crate) fn reason(data: &KCapData) -> String {
    if let Some(message) = smallcaps::error_message(data) {
        return message;
    }
    match prettify(data) {
        Ok(Value::String(text)) => text,
        Ok(value) => value.to_string(),
        Err(_) => data.body.clone(),
    }
}
