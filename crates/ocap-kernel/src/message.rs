//! What the answers of messages mean to a host.

use ocap_types::KCapData;
use ocap_types::smallcaps::{self, prettify};
use serde_json::Value;

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
