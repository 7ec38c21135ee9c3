//! What concerns the kernel as a whole: garbage, forgetting, the end.

use serde_json::Value;

use super::{Context, Example, Method, Outcome, json, null};
use crate::params;

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "collectGarbage",
        summary: "Has every vat give up what it no longer needs, and answers when nothing is \
                  left to collect.",
        params: "[]",
        result: "null",
        example: Example { params: "[]", result: "null" },
        keyed: false,
        call: |context, params| Box::pin(collect_garbage(context, params)),
    },
    Method {
        name: "clearState",
        summary: "Ends everything and forgets it. Whoever waits for an answer gets an error.",
        params: "[]",
        result: "null",
        example: Example { params: "[]", result: "null" },
        keyed: false,
        call: |context, params| Box::pin(clear_state(context, params)),
    },
    Method {
        name: "shutdown",
        summary: "Stops the daemon cleanly. What it has committed is there at its next start.",
        params: "anything",
        result: "{status: \"shutting down\"}",
        example: Example { params: "[]", result: r#"{"status":"shutting down"}"# },
        keyed: false,
        call: |context, _| Box::pin(std::future::ready(shutdown(&context))),
    },
];

async fn collect_garbage(context: Context, params: Value) -> Outcome {
    params::nothing(&params)?;
    null(context.kernel.collect_garbage().await)
}

async fn clear_state(context: Context, params: Value) -> Outcome {
    params::nothing(&params)?;
    null(context.kernel.reset().await)
}

fn shutdown(context: &Context) -> Outcome {
    context.shutdown.notify_one();
    json(Ok(serde_json::json!({"status": "shutting down"})))
}
