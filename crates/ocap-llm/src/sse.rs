//! Answers that come as a stream of events although nobody asked for one.

use serde_json::{Value, json};

use crate::client::clipped;

/// Puts the pieces of a streamed completion together; what it says in one message.
///
/// # Errors
/// If an event is no piece of a completion.
pub(crate) fn completion(text: &str) -> Result<Value, String> {
    let mut content = String::new();
    let mut whole = json!({});
    let mut finish = Value::Null;
    let mut any = false;
    for line in text.lines() {
        // Comments, names of events and empty lines say nothing.
        let Some(data) = line.strip_prefix("data:") else { continue };
        let data = data.trim();
        if data == "[DONE]" {
            break;
        }
        let piece: Value = serde_json::from_str(data)
            .map_err(|error| format!("an event is no JSON ({error}): {}", clipped(data)))?;
        any = true;
        for key in ["id", "model", "usage"] {
            if let Some(value) = piece.get(key).filter(|value| !value.is_null()) {
                whole[key] = value.clone();
            }
        }
        let Some(choice) = piece.get("choices").and_then(|choices| choices.get(0)) else {
            continue;
        };
        let delta = choice.get("delta").or_else(|| choice.get("message"));
        if let Some(said) = delta.and_then(|delta| delta.get("content")).and_then(Value::as_str) {
            content.push_str(said);
        }
        if let Some(reason) = choice.get("finish_reason").filter(|reason| !reason.is_null()) {
            finish = reason.clone();
        }
    }
    if !any {
        return Err("a stream without events".to_owned());
    }
    let message = json!({"role": "assistant", "content": content});
    whole["choices"] = json!([{"index": 0, "message": message, "finish_reason": finish}]);
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_a_message() {
        let text = ": hi\r\n\
            data: {\"id\":\"c1\",\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\n\
            event: x\n\
            data:{\"choices\":[{\"delta\":{\"content\":\"He\"}}]}\n\n\
            data: {\"choices\":[{\"delta\":{\"content\":\"llo\"},\"finish_reason\":\"stop\"}]}\n\n\
            data: {\"choices\":[],\"usage\":{\"total_tokens\":3}}\n\n\
            data: [DONE]\n\ndata: never read\n";
        let whole = completion(text).unwrap();
        assert_eq!(whole["choices"][0]["message"]["content"], "Hello");
        assert_eq!(whole["choices"][0]["finish_reason"], "stop");
        assert_eq!((&whole["id"], &whole["usage"]["total_tokens"]), (&json!("c1"), &json!(3)));
        assert!(completion("").is_err());
        assert!(completion("data: nonsense\n").unwrap_err().contains("no JSON"));
    }
}
