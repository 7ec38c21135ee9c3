//! What a connection itself can do. The server carries these out, when they come where they may.

use serde_json::{Value, json};

use super::{Example, Method, Outcome, methods};
use crate::params;
use crate::rpc::{self, RpcError};

/// The version of the socket's protocol, which grows when a client has to know.
const PROTOCOL: u64 = 1;

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "hello",
        summary: "As the first request of a connection it makes that a session. Says who \
                  answers, and what can be asked.",
        params: "{client: \"any name\"}; the name is optional",
        result: "{server: \"ocap\", version, protocol: 1, methods: [...]}",
        example: Example {
            params: r#"{"client":"example"}"#,
            result: r#"{"server":"ocap","version":"0.1.0","protocol":1,"methods":["hello","subscribe"]}"#,
        },
        keyed: false,
        call: |_, _| out_of_place(),
    },
    Method {
        name: "subscribe",
        summary: "Has a session told of changes, by notifications. `status`: first `status`, \
                  the whole; then `changed`, the entries that are new or other than before, \
                  and `removed`, the ids of those that are gone. `log`: lines of the daemon's log, \
                  as `{timeMs, level, target, message, values}`, or `{missed: n}` where the client \
                  was too slow; nothing finer than what the log itself takes.",
        params: "{topic: \"status\"} or {topic: \"log\", level: \"info\", targets: [\"ocap::vat\"]}; \
                 level and targets are optional, a target is what its name begins with",
        result: "{subscription: number}",
        example: Example { params: r#"{"topic":"status"}"#, result: r#"{"subscription":1}"# },
        keyed: false,
        call: |_, _| out_of_place(),
    },
    Method {
        name: "unsubscribe",
        summary: "Ends a subscription of this session. False if there is no such.",
        params: "{subscription: number}",
        result: "boolean",
        example: Example { params: r#"{"subscription":1}"#, result: "true" },
        keyed: false,
        call: |_, _| out_of_place(),
    },
];

fn out_of_place() -> super::Pending {
    let message = "Invalid request: only within a session; say hello first";
    let error = RpcError::new(rpc::INVALID_REQUEST, message);
    Box::pin(std::future::ready(Err(error)))
}

/// The result of `hello`.
pub(super) fn hello(params: &Value) -> Outcome {
    if *params != json!([]) {
        params::closed(params, &["client"])?;
    }
    let names: Vec<&str> = methods().map(|row| row.name).collect();
    let version = env!("CARGO_PKG_VERSION");
    Ok(json!({"server": "ocap", "version": version, "protocol": PROTOCOL, "methods": names})
        .to_string())
}
