//! The kernel at a glance.

use serde::Serialize;
use serde_json::Value;

use super::{Context, Example, Method, Outcome, json};
use crate::params;

pub(super) const METHODS: &[Method] = &[Method {
    name: "getStatus",
    summary: "The whole kernel at a glance: vats, subclusters, IO channels, what they cost.",
    params: "[]",
    result: "{vats: [{id, config, subclusterId, state, usage, ...}], subclusters: [{id, config, \
             vats, ...}], channels: [...], remoteComms: {state}}",
    example: Example {
        params: "[]",
        result: r#"{"vats":[],"subclusters":[],"channels":[],"remoteComms":{"state":"disconnected"}}"#,
    },
    call: |context, params| Box::pin(get_status(context, params)),
}];

/// The kernel's own report, and the reference's key for remote communication, which this kernel
/// does not have yet.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusReply {
    #[serde(flatten)]
    status: ocap_kernel::Status,
    remote_comms: RemoteComms,
}

#[derive(Serialize)]
struct RemoteComms {
    state: &'static str,
}

async fn get_status(context: Context, params: Value) -> Outcome {
    params::nothing(&params)?;
    let status = context.kernel.status().await;
    let remote_comms = RemoteComms { state: "disconnected" };
    json(status.map(|status| StatusReply { status, remote_comms }))
}
