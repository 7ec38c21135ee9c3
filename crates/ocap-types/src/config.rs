//! Cluster, vat and IO configs (kernel.md section 19).

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A subcluster as its author writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterConfig {
    /// The name `ocap run` and `ocap launch` use unless told otherwise.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    /// The vat whose root receives `bootstrap(roots, services)`.
    pub bootstrap: String,
    /// Accepted for compatibility; has no effect.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub force_reset: Option<bool>,
    /// Kernel services and channels for the bootstrap vat.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub services: Option<Vec<String>>,
    /// IO channels by name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub io: Option<IndexMap<String, IoConfig>>,
    /// Vats by name, started in this order.
    pub vats: IndexMap<String, VatConfig>,
    /// Named code for `bundleName`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bundles: Option<IndexMap<String, VatConfig>>,
}

/// One vat. Exactly one of the three specs is given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VatConfig {
    /// An ES module.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source_spec: Option<String>,
    /// A bundle in the reference's format.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bundle_spec: Option<String>,
    /// A key of the cluster's `bundles`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bundle_name: Option<String>,
    /// Limits and policies.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub creation_options: Option<serde_json::Map<String, Value>>,
    /// Given to `buildRootObject`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parameters: Option<Value>,
    /// Platform capabilities.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub platform_config: Option<Value>,
    /// Host globals the vat asks for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub globals: Option<Vec<String>>,
    /// Hosts `fetch` may reach.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub network: Option<Value>,
}

/// One IO channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IoConfig {
    /// What it is.
    #[serde(flatten)]
    pub kind: IoKind,
    /// Which way data flows; both unless given.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub direction: Option<IoDirection>,
    /// How data is cut; lines unless given.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unit: Option<IoUnit>,
}

/// What a channel is connected to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum IoKind {
    /// The kernel process's standard input and output.
    Console,
    /// A TCP server.
    Listen {
        /// Address.
        hostport: String,
    },
    /// A TCP client.
    Network {
        /// Address.
        hostport: String,
    },
    /// A file.
    File {
        /// Path.
        path: String,
    },
    /// A Unix socket the kernel listens on.
    Socket {
        /// Path; relative ones lie under the home.
        path: String,
    },
}

/// Which way data flows, from the vat's point of view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IoDirection {
    /// The vat only reads.
    In,
    /// The vat only writes.
    Out,
    /// Both.
    Inout,
}

/// How a stream is cut into units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IoUnit {
    /// Text up to a newline.
    Line,
    /// Text of any length.
    String,
    /// Single characters.
    Chars,
    /// Raw bytes.
    Bytes,
}
