//! Copies of the kernel's state.

use serde::Serialize;
use serde_json::Value;

use super::{Context, Example, Method, Outcome, json};
use crate::params;

pub(super) const METHODS: &[Method] = &[Method {
    name: "backup",
    summary: "Copies what has been committed to a file, which is there once it is complete, with \
              mode 0600; the kernel goes on meanwhile. Refuses if something is there, unless that \
              is an earlier backup and `replace` is true. The path is absolute, as the daemon \
              sees it. One at a time; ends when the kernel stops.",
    params: "{path: string, replace?: boolean}",
    result: "{bytes: number, batch: number}",
    example: Example {
        params: r#"{"path":"/backups/ocap.sqlite","replace":true}"#,
        result: r#"{"bytes":1048576,"batch":4711}"#,
    },
    keyed: false,
    call: |context, params| Box::pin(backup(context, params)),
}];

/// A backup that has been made.
#[derive(Serialize)]
struct Reply {
    bytes: u64,
    batch: u64,
}

async fn backup(context: Context, params: Value) -> Outcome {
    let (path, replace) = params::backup(&params)?;
    let made = context.kernel.backup(&path, replace).await;
    match &made {
        Ok(made) => tracing::info!("Backup: {}, {} bytes", path.display(), made.bytes),
        Err(error) => tracing::warn!("Backup to {} failed: {error}", path.display()),
    }
    json(made.map(|made| Reply { bytes: made.bytes, batch: made.last_batch }))
}
