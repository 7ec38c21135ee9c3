//! Objects by their references.

use serde_json::Value;

use super::{Context, Example, Method, Outcome, json, null};
use crate::params;

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "revoke",
        summary: "From now on every message to this object is rejected with `OBJECT_REVOKED`. \
                  Cannot be undone.",
        params: "{kref: \"koN\"}",
        result: "null",
        example: Example { params: r#"{"kref":"ko4"}"#, result: "null" },
        keyed: false,
        call: |context, params| Box::pin(revoke(context, params)),
    },
    Method {
        name: "isRevoked",
        summary: "Whether an object has been revoked. What does not exist has not.",
        params: "{kref: \"koN\"}",
        result: "boolean",
        example: Example { params: r#"{"kref":"ko4"}"#, result: "false" },
        keyed: false,
        call: |context, params| Box::pin(is_revoked(context, params)),
    },
];

async fn revoke(context: Context, params: Value) -> Outcome {
    null(context.kernel.revoke(params::kref(&params)?).await)
}

async fn is_revoked(context: Context, params: Value) -> Outcome {
    json(context.kernel.is_revoked(params::kref(&params)?).await)
}
