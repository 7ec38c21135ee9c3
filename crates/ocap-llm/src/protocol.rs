//! What a matcher and a bridge say to each other: lines of JSON, a request and its reply.
//!
//! `ingest` and `query` without an id are the reference's; they are answered one after the other. A
//! matcher that begins with `hello` sends ids, which its replies repeat, in whatever order they come.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::client::clipped;

/// A service, as a matcher tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// What the matcher calls it.
    pub id: String,
    /// What it is good for.
    pub description: String,
    /// What it can do.
    pub methods: Vec<Method>,
}

/// A method of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Method {
    /// Its name.
    pub name: String,
    /// What it does.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
}

/// What a matcher wants.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Request {
    /// To know which services of this registry the bridge has.
    Hello { protocol: u32, registry: String },
    /// The bridge to know a service.
    Ingest { service: Service },
    /// The bridge to know what this registry holds: nothing of before if `clear`.
    Sync { registry: String, clear: bool, forget: Vec<String>, services: Vec<Service> },
    /// The bridge to know services no more.
    Forget { ids: Vec<String> },
    /// Services that fit.
    Query { query: String },
}

impl Request {
    /// For the log.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Request::Hello { .. } => "hello",
            Request::Ingest { .. } => "ingest",
            Request::Sync { .. } => "sync",
            Request::Forget { .. } => "forget",
            Request::Query { .. } => "query",
        }
    }
}

/// A request's line: its id, if it has one, and the request or what is wrong with it.
pub(crate) fn parse(line: &str) -> (Option<Value>, Result<Request, String>) {
    let value: Result<Map<String, Value>, _> = serde_json::from_str(line);
    let Ok(mut fields) = value else {
        let problem = if serde_json::from_str::<Value>(line).is_ok() {
            "unrecognized request shape"
        } else {
            "could not parse JSON"
        };
        return (None, Err(format!("{problem}: {}", clipped(line))));
    };
    let id = fields.remove("id");
    let request = serde_json::from_value(Value::Object(fields));
    (id, request.map_err(|_| format!("unrecognized request shape: {}", clipped(line))))
}

/// A service that a query leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    /// The service.
    pub id: String,
    /// Why it fits.
    pub rationale: String,
}

/// What a bridge says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Hello { registry: Option<String>, has: Vec<String> },
    Ingested,
    Synced,
    Forgotten,
    Matches(Vec<Match>),
    Error(String),
}

impl Reply {
    /// As a line.
    pub(crate) fn line(&self, id: Option<&Value>) -> String {
        let mut value = match self {
            Reply::Hello { registry, has } => {
                json!({"kind": "hello", "protocol": 1, "registry": registry, "has": has})
            }
            Reply::Ingested => json!({"kind": "ingested"}),
            Reply::Synced => json!({"kind": "synced"}),
            Reply::Forgotten => json!({"kind": "forgotten"}),
            Reply::Matches(matches) => json!({"kind": "matches", "matches": matches}),
            Reply::Error(message) => json!({"kind": "error", "message": message}),
        };
        if let Some(id) = id {
            value["id"] = id.clone();
        }
        format!("{value}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_with_and_without_ids_are_read() {
        let line = r#"{"kind":"ingest","service":{"id":"svc:0","description":"d","methods":[{"name":"m"}]}}"#;
        let (id, request) = parse(line);
        assert_eq!(id, None);
        let Ok(Request::Ingest { service }) = request else { panic!("{request:?}") };
        assert_eq!(service.methods, [Method { name: "m".into(), description: None }]);
        let (id, request) = parse(r#"{"id":7,"kind":"query","query":"q"}"#);
        assert_eq!((id, request), (Some(json!(7)), Ok(Request::Query { query: "q".into() })));
    }

    #[test]
    fn what_is_no_request_is_refused_with_its_beginning() {
        for (line, problem) in [
            ("{", "could not parse JSON: {"),
            ("[]", "unrecognized request shape: []"),
            (r#"{"kind":"dance"}"#, "unrecognized request shape: "),
            (r#"{"kind":"query","query":"q","more":1}"#, "unrecognized request shape: "),
            (r#"{"kind":"query","query":5}"#, "unrecognized request shape: "),
        ] {
            let (_, request) = parse(line);
            assert!(request.clone().unwrap_err().starts_with(problem), "{line}: {request:?}");
        }
        let long = format!("{{{}", "x".repeat(10_000));
        assert!(parse(&long).1.unwrap_err().len() < 300);
    }

    #[test]
    fn replies_repeat_the_id() {
        assert_eq!(Reply::Ingested.line(None), "{\"kind\":\"ingested\"}\n");
        let line = Reply::Error("x".into()).line(Some(&json!(7)));
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line, json!({"id": 7, "kind": "error", "message": "x"}));
    }
}
