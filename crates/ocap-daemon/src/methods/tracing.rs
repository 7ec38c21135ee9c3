//! What has happened lately.

use serde_json::Value;

use super::{Context, Example, Method, Outcome, json, null};
use crate::params;

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "trace",
        summary: "What has happened lately: messages sent, and by which delivery; deliveries begun \
                  and ended; promises settled. Without bodies. Events are numbered; the ones after \
                  `after` are told, at most `limit` of them. A bounded number is kept, and none \
                  over a restart.",
        params: "{after?: number, limit?: number}",
        result: "{on: boolean, first: number, last: number, events: [...]}",
        example: Example {
            params: r#"{"after":0,"limit":1}"#,
            result: r#"{"on":true,"first":1,"last":1,"events":[{"number":1,"atUs":1767225600000000,"event":"sent","by":{"type":"host"},"target":"ko4","result":"kp9","method":"greet"}]}"#,
        },
        keyed: false,
        call: |context, params| Box::pin(trace(context, params)),
    },
    Method {
        name: "setTracing",
        summary: "Notes what happens from now on, or does not any more. A daemon that starts does.",
        params: "{on: boolean}",
        result: "null",
        example: Example { params: r#"{"on":false}"#, result: "null" },
        keyed: false,
        call: |context, params| Box::pin(set_tracing(context, params)),
    },
];

async fn trace(context: Context, params: Value) -> Outcome {
    let (after, limit) = params::range(&params)?;
    json(context.kernel.trace(after, limit).await)
}

async fn set_tracing(context: Context, params: Value) -> Outcome {
    null(context.kernel.set_tracing(params::flag(&params, "on")?).await)
}
