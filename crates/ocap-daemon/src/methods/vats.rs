//! Vats, one by one and all at once.

use serde_json::Value;

use super::{Context, Example, Method, Outcome, json, null};
use crate::params;

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "terminateVat",
        summary: "Ends a vat for good.",
        params: "{id: \"vN\"}",
        result: "null",
        example: Example { params: r#"{"id":"v1"}"#, result: "null" },
        keyed: false,
        call: |context, params| Box::pin(terminate(context, params)),
    },
    Method {
        name: "terminateAllVats",
        summary: "Ends every subcluster for good, system subclusters too.",
        params: "[]",
        result: "null",
        example: Example { params: "[]", result: "null" },
        keyed: false,
        call: |context, params| Box::pin(terminate_all(context, params)),
    },
    Method {
        name: "restartVat",
        summary: "Starts a new incarnation of a vat, from its baggage; lifts a suspension. \
                  Answers when it has started, or could not.",
        params: "{id: \"vN\"}",
        result: "null",
        example: Example { params: r#"{"id":"v1"}"#, result: "null" },
        keyed: false,
        call: |context, params| Box::pin(restart(context, params)),
    },
    Method {
        name: "pingVat",
        summary: "Whether a vat runs; an error if not.",
        params: "{id: \"vN\"}",
        result: "\"pong\"",
        example: Example { params: r#"{"id":"v1"}"#, result: r#""pong""# },
        keyed: false,
        call: |context, params| Box::pin(ping(context, params)),
    },
];

async fn terminate(context: Context, params: Value) -> Outcome {
    null(context.kernel.terminate_vat(params::vat_id(&params)?).await)
}

async fn terminate_all(context: Context, params: Value) -> Outcome {
    params::nothing(&params)?;
    null(context.kernel.terminate_all_vats().await)
}

async fn restart(context: Context, params: Value) -> Outcome {
    null(context.kernel.restart_vat(params::vat_id(&params)?).await)
}

async fn ping(context: Context, params: Value) -> Outcome {
    let pinged = context.kernel.ping_vat(params::vat_id(&params)?).await;
    json(pinged.map(|()| "pong"))
}
