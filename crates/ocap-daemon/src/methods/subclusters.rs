//! Launching subclusters, and ending them.

use ocap_kernel::LaunchRequest;
use serde::Serialize;
use serde_json::Value;

use super::{Context, Example, Method, Outcome, json, null};
use crate::params;

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "launchSubcluster",
        summary: "Starts the vats of a cluster config and sends its bootstrap vat `bootstrap`. \
                  Answers when that has; if anything fails nothing is left.",
        params: "{config: ClusterConfig, folder?: string}; every specification of code is absolute or a \
                 URL; what lies below `folder`, an absolute path, may import what lies there (without \
                 it, what lies below its own folder)",
        result: "{subclusterId, rootKref, bootstrapResult: CapData or null}",
        example: Example {
            params: r#"{"config":{"bootstrap":"counter","vats":{"counter":{"sourceSpec":"/home/me/counter.js"}}}}"#,
            result: r##"{"subclusterId":"s1","rootKref":"ko4","bootstrapResult":{"body":"#\"#undefined\"","slots":[]}}"##,
        },
        keyed: true,
        call: |context, params| Box::pin(launch(context, params)),
    },
    Method {
        name: "terminateSubcluster",
        summary: "Ends a subcluster, its vats and its IO channels for good.",
        params: "{id: \"sN\"}",
        result: "null",
        example: Example { params: r#"{"id":"s1"}"#, result: "null" },
        keyed: false,
        call: |context, params| Box::pin(terminate(context, params)),
    },
];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LaunchReply {
    subcluster_id: ocap_types::SubclusterId,
    root_kref: ocap_types::KRef,
    bootstrap_result: ocap_types::KCapData,
}

async fn launch(context: Context, params: Value) -> Outcome {
    let (config, base) = params::launch(&params)?;
    drop(params);
    let name = config.name.clone();
    let request = LaunchRequest { config, name, base };
    let launched = match &context.key {
        Some(key) => context.kernel.launch_once(request, key).await,
        None => context.kernel.launch(request).await,
    };
    json(launched.map(|launched| LaunchReply {
        subcluster_id: launched.subcluster,
        root_kref: launched.root,
        bootstrap_result: launched.bootstrap,
    }))
}

async fn terminate(context: Context, params: Value) -> Outcome {
    let id = params::subcluster_id(&params)?;
    null(context.kernel.terminate_subcluster(id).await)
}
