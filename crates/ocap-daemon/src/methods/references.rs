//! References: what the host holds, what is known of one, and messages that pass them on.

use serde_json::Value;

use super::{Context, Example, Method, Outcome, json};
use crate::params;

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "sendMessage",
        summary: "Like `queueMessage`, with arguments that may hold references: `args` is the \
                  CapData of an array. References in it must be held by the host or be roots of \
                  vats.",
        params: "{target: kref, method: string, args: CapData}",
        result: "CapData",
        example: Example {
            params: r##"{"target":"ko4","method":"meet","args":{"body":"#[\"$0\"]","slots":["ko6"]}}"##,
            result: r##"{"body":"#\"#undefined\"","slots":[]}"##,
        },
        keyed: true,
        call: |context, params| Box::pin(send_message(context, params)),
    },
    Method {
        name: "inspect",
        summary: "What is known of a reference: its owner and counts, or the state of a promise, \
                  and who holds it.",
        params: "{kref: \"koN\" or \"kpN\"}",
        result: "{kref, kind, holders: [...], partial: boolean, ...}",
        example: Example {
            params: r#"{"kref":"ko4"}"#,
            result: r#"{"kref":"ko4","kind":"object","owner":{"type":"vat","id":"v1","name":"book","subclusterId":"s1","vref":"o+0"},"reachable":1,"recognizable":1,"revoked":false,"holders":[{"by":"kernel"}],"partial":false}"#,
        },
        keyed: false,
        call: |context, params| Box::pin(inspect(context, params)),
    },
    Method {
        name: "listRefs",
        summary: "Every reference the host holds: because an answer mentioned it, or because it was \
                  asked to.",
        params: "[]",
        result: "[kref, ...]",
        example: Example { params: "[]", result: r#"["ko7","kp12"]"# },
        keyed: false,
        call: |context, params| Box::pin(list_refs(context, params)),
    },
    Method {
        name: "releaseRef",
        summary: "Gives up a reference that the host holds; `false` if it does not.",
        params: "{kref: \"koN\" or \"kpN\"}",
        result: "boolean",
        example: Example { params: r#"{"kref":"ko7"}"#, result: "true" },
        keyed: false,
        call: |context, params| Box::pin(release_ref(context, params)),
    },
];

async fn send_message(context: Context, params: Value) -> Outcome {
    let (target, method, args) = params::marshalled_message(params)?;
    json(context.kernel.send_held(target, &method, args, context.key.as_deref()).await)
}

async fn inspect(context: Context, params: Value) -> Outcome {
    json(context.kernel.inspect(params::kref(&params)?).await)
}

async fn list_refs(context: Context, params: Value) -> Outcome {
    params::nothing(&params)?;
    json(context.kernel.held_refs().await)
}

async fn release_ref(context: Context, params: Value) -> Outcome {
    json(context.kernel.release(params::kref(&params)?).await)
}
