//! The wire form of requests and answers: JSON-RPC 2.0, one line each.
//!
//! The main items in this module are [`Request`], [`RpcError`] and [`response_line`]. Lenient where
//! the reference's clients are: `jsonrpc` is not checked, a missing `id` is null, missing `params`
//! are an empty array.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::limits;

/// The request is not JSON, or not UTF-8.
pub const PARSE_ERROR: i64 = -32700;
/// The JSON is not a request.
pub const INVALID_REQUEST: i64 = -32600;
/// There is no such method.
pub const METHOD_NOT_FOUND: i64 = -32601;
/// Everything else, bad parameters included: what the reference's clients expect.
pub const INTERNAL_ERROR: i64 = -32603;
/// The daemon has no room for this client now, or it took too long.
pub const OVERLOADED: i64 = -32000;
/// The client is somebody else's.
pub const FORBIDDEN: i64 = -32001;
/// The request's own deadline is over. It may still be carried out.
pub const DEADLINE: i64 = -32002;

/// An error as it goes to a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message} (code {code})")]
pub struct RpcError {
    /// One of the constants of this module.
    pub code: i64,
    /// For a person.
    pub message: String,
}

impl RpcError {
    /// An error with one of this module's codes.
    pub fn new(code: i64, message: impl Into<String>) -> RpcError {
        RpcError { code, message: message.into() }
    }
}

/// A request that has been understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Given back in the answer, whatever it is.
    pub id: Value,
    /// The method.
    pub method: String,
    /// Its parameters; `[]` if there were none.
    pub params: Value,
    /// The client's name for this request, by which it can ask for its outcome again.
    pub idempotency_key: Option<String>,
    /// How long the client wants to wait.
    pub deadline: Option<Duration>,
}

/// Reads a request line (without its newline). The error comes with the id to answer to.
pub fn parse_request(line: &[u8]) -> Result<Request, (Value, RpcError)> {
    let parse_error = |message: String| (Value::Null, RpcError::new(PARSE_ERROR, message));
    let text = std::str::from_utf8(line).map_err(|error| {
        parse_error(format!("Parse error: invalid UTF-8 at byte {}", error.valid_up_to()))
    })?;
    let value: Value =
        serde_json::from_str(text).map_err(|error| parse_error(format!("Parse error: {error}")))?;
    let missing = || RpcError::new(INVALID_REQUEST, "Invalid request: missing method");
    let Value::Object(mut fields) = value else { return Err((Value::Null, missing())) };
    let id = fields.remove("id").unwrap_or(Value::Null);
    let Some(Value::String(method)) = fields.remove("method") else { return Err((id, missing())) };
    let params = fields.remove("params").unwrap_or_else(|| Value::Array(Vec::new()));
    let key = match fields.remove("idempotencyKey") {
        None => None,
        Some(Value::String(key))
            if (1..=limits::IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len()) =>
        {
            Some(key)
        }
        Some(_) => {
            let max = limits::IDEMPOTENCY_KEY_BYTES_MAX;
            let message =
                format!("Invalid request: idempotencyKey must be a string of 1 to {max} bytes");
            return Err((id, RpcError::new(INVALID_REQUEST, message)));
        }
    };
    let deadline = match fields.remove("deadlineMs") {
        None => None,
        Some(ms) => {
            let Some(ms @ 1..=limits::DEADLINE_MS_MAX) = ms.as_u64() else {
                let max = limits::DEADLINE_MS_MAX;
                let message =
                    format!("Invalid request: deadlineMs must be a whole number from 1 to {max}");
                return Err((id, RpcError::new(INVALID_REQUEST, message)));
            };
            Some(Duration::from_millis(ms))
        }
    };
    Ok(Request { id, method, params, idempotency_key: key, deadline })
}

/// The line that answers a request: `result` is JSON text.
pub fn response_line(id: &Value, outcome: Result<&str, &RpcError>) -> String {
    match outcome {
        Ok(result) => format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}\n"),
        Err(error) => {
            let error = serde_json::json!({ "code": error.code, "message": error.message });
            format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{error}}}\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requests_are_read_leniently() {
        let request = parse_request(br#"{"method":"getStatus"}"#).unwrap();
        assert_eq!(request.id, Value::Null);
        assert_eq!(request.params, serde_json::json!([]));
        let request =
            parse_request(b"{\"id\":{\"x\":1},\"method\":\"a\",\"params\":{}}\r").unwrap();
        assert_eq!(request.id, serde_json::json!({"x": 1}));
    }

    #[test]
    fn what_is_no_request_gets_the_right_code() {
        let code = |line: &[u8]| parse_request(line).unwrap_err().1.code;
        assert_eq!(code(b""), PARSE_ERROR);
        assert_eq!(code(b"{\"id\":1,"), PARSE_ERROR);
        assert_eq!(code(b"{\"id\":\"\xff\"}"), PARSE_ERROR);
        assert_eq!(code("[".repeat(100_000).as_bytes()), PARSE_ERROR);
        assert_eq!(code(b"null"), INVALID_REQUEST);
        assert_eq!(code(b"[{\"method\":\"getStatus\"}]"), INVALID_REQUEST);
        assert_eq!(code(b"{\"id\":7,\"method\":8}"), INVALID_REQUEST);
        assert_eq!(parse_request(b"{\"id\":7}").unwrap_err().0, Value::from(7));
    }

    proptest! {
        #[test]
        fn any_bytes_lead_to_a_defined_outcome(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Err((_, error)) = parse_request(&line) {
                prop_assert!([PARSE_ERROR, INVALID_REQUEST].contains(&error.code));
            }
        }

        #[test]
        fn an_id_comes_back_as_it_was(id in "\\PC{0,20}") {
            let line = serde_json::json!({"id": id, "method": "m"}).to_string();
            let request = parse_request(line.as_bytes()).unwrap();
            let answer = response_line(&request.id, Ok("null"));
            let answer: Value = serde_json::from_str(&answer).unwrap();
            prop_assert_eq!(answer["id"].as_str(), Some(id.as_str()));
        }
    }
}
