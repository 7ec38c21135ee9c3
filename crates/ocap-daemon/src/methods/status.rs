//! The kernel at a glance.

use serde_json::Value;

use super::{Context, Example, Method, Outcome};
use crate::params;

pub(super) const METHODS: &[Method] = &[Method {
    name: "getStatus",
    summary: "The whole kernel at a glance: vats, subclusters, IO channels, what they cost.",
    params: "[]",
    result: "{vats: [{id, config, subclusterId, state, usage, ...}], subclusters: [{id, config, \
             vats, ...}], channels: [...], remoteComms: {state, peerId}, daemon: {version, settings: the \
             path of the config.toml that was read, or null}}",
    example: Example {
        params: "[]",
        result: r#"{"vats":[],"subclusters":[],"channels":[],"remoteComms":{"state":"identity-only","peerId":"12D3KooWP7CwQswqLKZbwvYd9wrEynnL9F2aKVP1X9huNASBTuqj"},"daemon":{"version":"0.1.0","settings":null}}"#,
    },
    keyed: false,
    call: |context, params| Box::pin(get_status(context, params)),
}];

async fn get_status(context: Context, params: Value) -> Outcome {
    params::nothing(&params)?;
    Ok(context.reports.report().await?.text.clone())
}
