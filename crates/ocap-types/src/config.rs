//! Cluster, vat and IO configs (kernel.md section 19).
//!
//! [`ClusterConfig::from_json`] is the way in for whatever a client or a file says: it knows every
//! key and names the one that is wrong. The serde forms are for what the kernel itself has stored.

mod check;
mod names;
mod problem;

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

pub use names::{GLOBAL_NAMES, NameError, check_name};
pub use problem::ConfigError;

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
    /// Given to `buildRootObject`. `Some(Null)` is JavaScript's `null`, `None` its `undefined`.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "present")]
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

/// A value that is there, even if it is `null`.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Where a vat's code comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeSpec<'a> {
    /// An ES module.
    Source(&'a str),
    /// A bundle in the reference's format.
    Bundle(&'a str),
    /// A key of the cluster's `bundles`.
    Named(&'a str),
}

impl ClusterConfig {
    /// Reads and checks a config, including that `bootstrap` and each `bundleName` name something.
    /// `root` is what the path in an error begins with; it may be empty.
    pub fn from_json(value: &Value, root: &str) -> Result<ClusterConfig, ConfigError> {
        check::cluster(value, root)
    }

    /// Where a vat's code comes from, looked up in `bundles` if need be: never `Named`. None only
    /// if there is no such vat, or the config was not made by [`ClusterConfig::from_json`].
    pub fn code_spec(&self, vat: &str) -> Option<CodeSpec<'_>> {
        match self.vats.get(vat)?.spec()? {
            CodeSpec::Named(name) => match self.bundles.as_ref()?.get(name)?.spec()? {
                CodeSpec::Named(_) => None,
                spec => Some(spec),
            },
            spec => Some(spec),
        }
    }
}

impl VatConfig {
    /// Reads and checks the config of one vat. `path` is where it lies.
    pub fn from_json(value: &Value, path: &str) -> Result<VatConfig, ConfigError> {
        check::vat(value, path)
    }

    /// The spec it has, if it has exactly one.
    pub fn spec(&self) -> Option<CodeSpec<'_>> {
        match (&self.source_spec, &self.bundle_spec, &self.bundle_name) {
            (Some(spec), None, None) => Some(CodeSpec::Source(spec)),
            (None, Some(spec), None) => Some(CodeSpec::Bundle(spec)),
            (None, None, Some(name)) => Some(CodeSpec::Named(name)),
            _ => None,
        }
    }

    /// The limits it asks for.
    pub fn limits(&self) -> Result<VatLimits, ConfigError> {
        check::creation_options(self.creation_options.as_ref(), "creationOptions")
    }
}

impl IoConfig {
    /// Reads and checks the config of one channel. `path` is where it lies.
    pub fn from_json(value: &Value, path: &str) -> Result<IoConfig, ConfigError> {
        check::io(value, path)
    }
}

/// `creationOptions.limits`: what a vat asks for. What it leaves out has a default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VatLimits {
    /// `crankTicks`: engine interrupts per crank.
    pub crank_ticks: Option<u64>,
    /// `crankCpuMs`: CPU time per crank, in milliseconds.
    pub crank_cpu_ms: Option<u64>,
    /// `heapBytes`: heap.
    pub heap_bytes: Option<u64>,
    /// `stackBytes`: stack of the engine.
    pub stack_bytes: Option<u64>,
    /// `crankSyscalls`: syscalls per crank.
    pub crank_syscalls: Option<u64>,
    /// `crankBytes`: bytes of syscalls and vatstore writes per crank.
    pub crank_bytes: Option<u64>,
    /// `storeBytes`: keys and values of the vat's own store.
    pub store_bytes: Option<u64>,
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
    /// Who calls whom, for a socket; the kernel listens unless given.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mode: Option<IoMode>,
    /// What becomes of a write while nobody is connected; it is rejected unless given.
    #[serde(rename = "whenDisconnected", skip_serializing_if = "Option::is_none", default)]
    pub when_disconnected: Option<WhenDisconnected>,
    /// How many clients a channel that listens has at a time; one unless given.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub clients: Option<IoClients>,
}

impl IoConfig {
    /// A channel of this kind, all else left out.
    pub fn new(kind: IoKind) -> Self {
        IoConfig {
            kind,
            direction: None,
            unit: None,
            mode: None,
            when_disconnected: None,
            clients: None,
        }
    }

    /// Whether it has a connection of its own for each client.
    pub fn has_many_clients(&self) -> bool {
        self.clients == Some(IoClients::Many)
    }
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
    /// A regular file that is read or appended to, or a named pipe.
    File {
        /// Path.
        path: String,
    },
    /// A Unix socket the kernel listens on, or connects to.
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

/// Who calls whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IoMode {
    /// The kernel listens.
    Listen,
    /// The kernel connects, and connects again when the connection is lost.
    Connect,
}

/// What becomes of a write while nobody is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenDisconnected {
    /// It is rejected.
    Reject,
    /// It waits for somebody, within the channel's bounds.
    Wait,
    /// It succeeds, and nobody gets it.
    Drop,
}

/// How many clients a channel that listens has at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IoClients {
    /// One; the channel itself is read and written.
    One,
    /// Any number, within limits; the channel's `accept()` answers with an object for each.
    Many,
}

/// How a stream is cut into units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IoUnit {
    /// Text up to a newline.
    Line,
    /// Text as it arrives, in pieces of any length.
    String,
    /// Single characters.
    Chars,
    /// Bytes as they arrive, in pieces of any length; base64 text at the vat.
    Bytes,
}

#[cfg(test)]
mod tests;
