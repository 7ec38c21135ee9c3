//! Messages from outside.

use ocap_types::passable::Passable;
use serde_json::Value;

use super::{Context, Example, Method, Outcome, json};
use crate::params;

pub(super) const METHODS: &[Method] = &[Method {
    name: "queueMessage",
    summary: "Sends an object a message whose arguments are plain JSON, and answers with its \
              settled result, which is durable then. A rejection is an error with the reason's \
              message. References in the result are the host's until it releases them.",
    params: "[kref, method, args: [...]]",
    result: "CapData",
    example: Example {
        params: r#"["ko4","greet",["you"]]"#,
        result: r##"{"body":"#\"hello you\"","slots":[]}"##,
    },
    keyed: true,
    call: |context, params| Box::pin(queue_message(context, params)),
}];

async fn queue_message(context: Context, params: Value) -> Outcome {
    let (target, method, args) = params::message(params)?;
    let args = args.into_iter().map(Passable::from_json).collect();
    json(match &context.key {
        Some(key) => context.kernel.send_once(target, &method, args, key).await,
        None => context.kernel.send(target, &method, args).await,
    })
}
