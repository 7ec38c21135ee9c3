//! Sending chats to an endpoint.

use std::io::Read;
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::http;

use crate::endpoint::Endpoint;
use crate::{limits, sse};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The endpoint could not be reached, or broke off.
    #[error("the model's endpoint cannot be reached: {0}")]
    Unreachable(String),
    /// It took too long.
    #[error("the model did not answer within {} s", .0.as_secs())]
    Late(Duration),
    /// The endpoint refused.
    #[error("the model's endpoint returned HTTP {status}: {said}")]
    Status {
        /// Its code.
        status: u16,
        /// The beginning of what it says.
        said: String,
    },
    /// What it said is no answer.
    #[error("the model's endpoint answered with what is no chat completion: {0}")]
    Malformed(String),
    /// A tape has no such exchange.
    #[error("the tape has no answer to this request")]
    NotOnTape,
}

impl ModelError {
    /// Whether the same request may succeed a moment later.
    fn may_pass(&self) -> bool {
        match self {
            ModelError::Unreachable(_) => true,
            ModelError::Status { status, .. } => matches!(status, 429 | 500 | 502 | 503 | 504),
            ModelError::Late(_) | ModelError::Malformed(_) | ModelError::NotOnTape => false,
        }
    }

    /// The same without anything that the other side has written.
    pub fn summary(&self) -> String {
        match self {
            ModelError::Status { status, .. } => {
                format!("the model's endpoint returned HTTP {status}")
            }
            ModelError::Malformed(_) => "the model's answer is no chat completion".to_owned(),
            other => other.to_string(),
        }
    }
}

/// A client of one endpoint. Any number of threads may use it.
#[derive(Clone, Debug)]
pub struct Client {
    endpoint: Endpoint,
    agent: Agent,
}

impl Client {
    /// A client. Nothing is sent yet.
    pub fn new(endpoint: Endpoint) -> Client {
        let config = Agent::config_builder()
            // A redirect would take the key elsewhere.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .user_agent("ocap")
            .timeout_global(Some(endpoint.time_max))
            .build();
        Client { endpoint, agent: Agent::new_with_config(config) }
    }

    /// The endpoint.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends the body of a chat request, as the API has it; the body of the answer. Blocks. What may
    /// pass is tried again.
    ///
    /// # Errors
    /// If there is no answer with the text of a message.
    pub fn complete(&self, body: &Value) -> Result<Value, ModelError> {
        let mut pause = limits::RETRY_PAUSE;
        for _ in 1..limits::TRIES_MAX {
            match self.complete_once(body) {
                Err(error) if error.may_pass() => sleep(pause),
                outcome => return outcome,
            }
            pause *= 4;
        }
        self.complete_once(body)
    }

    fn complete_once(&self, body: &Value) -> Result<Value, ModelError> {
        let mut request = http::Request::builder()
            .method("POST")
            .uri(self.endpoint.url())
            .header("content-type", "application/json")
            .header("accept", "application/json");
        if let Some(key) = &self.endpoint.key {
            request = request.header("authorization", key.bearer());
        }
        let request = request
            .body(body.to_string())
            .map_err(|error| ModelError::Unreachable(error.to_string()))?;
        let mut response = self.agent.run(request).map_err(|error| self.failed(error))?;
        let status = response.status().as_u16();
        let is_stream = response
            .headers()
            .get("content-type")
            .and_then(|kind| kind.to_str().ok())
            .is_some_and(|kind| kind.starts_with("text/event-stream"));
        let mut bytes = Vec::new();
        let reader = response.body_mut().as_reader();
        let read = reader.take(limits::ANSWER_BYTES_MAX + 1).read_to_end(&mut bytes);
        read.map_err(|error| self.broken(&error))?;
        if bytes.len() as u64 > limits::ANSWER_BYTES_MAX {
            let most = limits::ANSWER_BYTES_MAX;
            return Err(ModelError::Malformed(format!("longer than {most} bytes")));
        }
        let text = String::from_utf8_lossy(&bytes);
        if !(200..300).contains(&status) {
            return Err(ModelError::Status { status, said: clipped(text.trim()) });
        }
        let answer = if is_stream {
            sse::completion(&text).map_err(ModelError::Malformed)?
        } else {
            serde_json::from_str(&text).map_err(|error| ModelError::Malformed(error.to_string()))?
        };
        if content(&answer).is_none() {
            let problem = "it has no text in choices[0].message.content";
            return Err(ModelError::Malformed(problem.to_owned()));
        }
        Ok(answer)
    }

    fn failed(&self, error: ureq::Error) -> ModelError {
        match error {
            ureq::Error::Timeout(_) => ModelError::Late(self.endpoint.time_max),
            other => ModelError::Unreachable(other.to_string()),
        }
    }

    fn broken(&self, error: &std::io::Error) -> ModelError {
        match error.kind() {
            std::io::ErrorKind::TimedOut => ModelError::Late(self.endpoint.time_max),
            _ => ModelError::Unreachable(error.to_string()),
        }
    }
}

/// What the model says in an answer. A message that only calls tools says nothing.
pub(crate) fn content(answer: &Value) -> Option<&str> {
    let message = answer.get("choices")?.get(0)?.get("message")?;
    match message.get("content") {
        Some(Value::String(text)) => Some(text),
        Some(Value::Null) | None if message.get("tool_calls").is_some_and(Value::is_array) => {
            Some("")
        }
        _ => None,
    }
}

/// The beginning of a text.
pub(crate) fn clipped(text: &str) -> String {
    text.chars().take(limits::QUOTED_CHARS_MAX).collect()
}
