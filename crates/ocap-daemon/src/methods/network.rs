//! What needs a network between kernels, which this version does not have.

use serde_json::Value;

use super::{Example, Method, Outcome};
use crate::params;
use crate::rpc::{INTERNAL_ERROR, RpcError};

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "initRemoteComms",
        summary: "Begins to listen for other kernels. This version has no network: good \
                  parameters get an error that says so.",
        params: "{relays?, directListenAddresses?, allowedWsHosts?: [string], maxRetryAttempts?, \
                 maxQueue?: number from 0, maxUrlRelayHints?, maxKnownRelays?: number from 1}",
        result: "null",
        example: Example { params: r#"{"relays":[],"maxQueue":200}"#, result: "null" },
        keyed: false,
        call: |_, params| Box::pin(std::future::ready(init(&params))),
    },
    Method {
        name: "registerLocationHints",
        summary: "Says where another kernel can be found. This version has no network: good \
                  parameters get an error that says so.",
        params: "{peerId: string, hints: [string]}",
        result: "null",
        example: Example {
            params: r#"{"peerId":"12D3KooWEjzxKx3fn4F2Sz3LuSgJPhSBiu1pPR6rgt8skL6S7Q19","hints":[]}"#,
            result: "null",
        },
        keyed: false,
        call: |_, params| Box::pin(std::future::ready(register(&params))),
    },
];

fn init(params: &Value) -> Outcome {
    params::remote_comms(params)?;
    let message = "Remote comms are not available: this version has no network between kernels";
    Err(RpcError::new(INTERNAL_ERROR, message))
}

fn register(params: &Value) -> Outcome {
    params::location_hints(params)?;
    Err(RpcError::new(INTERNAL_ERROR, "Remote comms not initialized"))
}
