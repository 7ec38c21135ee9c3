//! The status as text: made once for every version of the kernel, however many ask.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use ocap_kernel::{Kernel, KernelError, Status};
use serde::Serialize;
use tokio::sync::Mutex;

use crate::rpc::{self, RpcError};

/// The kernel's own report; the reference's key for remote communication, which this kernel does not
/// have yet; and what is to be known of the daemon.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusReply<'a> {
    #[serde(flatten)]
    status: &'a Status,
    remote_comms: RemoteComms,
    daemon: &'a About,
}

/// What a daemon says of itself.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct About {
    /// This program's.
    pub(crate) version: &'static str,
    /// The settings that were read when it started, if there were any.
    pub(crate) settings: Option<PathBuf>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RemoteComms {
    state: &'static str,
    peer_id: String,
}

/// A status.
pub(crate) struct Report {
    version: u64,
    status: Status,
    /// What `getStatus` answers.
    pub(crate) text: String,
    items: OnceLock<Items>,
}

/// A status in parts: each by its list and id, as JSON text.
type Items = BTreeMap<(&'static str, String), String>;

/// The latest report.
#[derive(Clone)]
pub(crate) struct Reports {
    kernel: Kernel,
    about: Arc<About>,
    latest: Arc<Mutex<Option<Arc<Report>>>>,
}

impl Reports {
    pub(crate) fn new(kernel: Kernel, about: About) -> Reports {
        Reports { kernel, about: Arc::new(about), latest: Arc::default() }
    }

    /// A report that has everything the caller can know of.
    pub(crate) async fn report(&self) -> Result<Arc<Report>, RpcError> {
        // One asks; who comes meanwhile takes what that one got, unless it has aged.
        let mut latest = self.latest.lock().await;
        let version = self.kernel.version();
        if let Some(report) = &*latest
            && report.version == version
        {
            return Ok(Arc::clone(report));
        }
        let status = self.kernel.status().await.map_err(of_kernel)?;
        // There is no network between kernels yet, only the name.
        let peer_id = self.kernel.peer_id().to_owned();
        let remote_comms = RemoteComms { state: "identity-only", peer_id };
        let reply = StatusReply { status: &status, remote_comms, daemon: &self.about };
        let text = serde_json::to_string(&reply).map_err(unwritten)?;
        let report = Arc::new(Report { version, status, text, items: OnceLock::new() });
        *latest = Some(Arc::clone(&report));
        Ok(report)
    }

    /// Whether a report is still the latest there could be.
    pub(crate) fn is_current(&self, report: &Report) -> bool {
        report.version == self.kernel.version()
    }
}

impl Report {
    fn items(&self) -> &Items {
        self.items.get_or_init(|| {
            let mut items = Items::new();
            let Status { vats, subclusters, channels } = &self.status;
            for vat in vats {
                put(&mut items, "vats", vat.id.to_string(), vat);
            }
            for subcluster in subclusters {
                put(&mut items, "subclusters", subcluster.id.to_string(), subcluster);
            }
            for channel in channels {
                let id = format!("io:{}:{}", channel.subcluster_id, channel.name);
                put(&mut items, "channels", id, channel);
            }
            items
        })
    }

    /// What is other than it was, and what is not there any more, as fields of a JSON object;
    /// `None` if nothing.
    pub(crate) fn changes_since(&self, before: &Report) -> Option<String> {
        let (old, new) = (before.items(), self.items());
        let changed = new.iter().filter(|(key, text)| old.get(*key) != Some(*text));
        let changed = by_list(changed.map(|((list, _), text)| (*list, text.clone())));
        let removed = old.keys().filter(|key| !new.contains_key(*key));
        let removed = by_list(
            removed.map(|(list, id)| (*list, serde_json::Value::from(id.as_str()).to_string())),
        );
        (changed != removed || changed != "{}")
            .then(|| format!("\"changed\":{changed},\"removed\":{removed}"))
    }
}

fn put<T: Serialize>(items: &mut Items, list: &'static str, id: String, item: &T) {
    if let Ok(text) = serde_json::to_string(item) {
        items.insert((list, id), text);
    }
}

/// `{"vats":[...],...}` of JSON texts that come list by list.
fn by_list(items: impl Iterator<Item = (&'static str, String)>) -> String {
    let mut lists: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (list, text) in items {
        lists.entry(list).or_default().push(text);
    }
    let lists = lists.into_iter().map(|(list, texts)| format!("\"{list}\":[{}]", texts.join(",")));
    format!("{{{}}}", lists.collect::<Vec<_>>().join(","))
}

#[allow(clippy::needless_pass_by_value, reason = "the shape `map_err` wants")]
fn of_kernel(error: KernelError) -> RpcError {
    RpcError::new(rpc::INTERNAL_ERROR, error.message)
}

#[allow(clippy::needless_pass_by_value, reason = "the shape `map_err` wants")]
fn unwritten(error: serde_json::Error) -> RpcError {
    RpcError::new(rpc::INTERNAL_ERROR, format!("the answer cannot be written: {error}"))
}
