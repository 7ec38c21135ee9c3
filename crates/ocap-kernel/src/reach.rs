//! What of this machine a vat's config lets it reach.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ocap_types::config::VatConfig;
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::limits;

/// See the module. Made anew at each start of the vat.
pub(crate) struct Reach {
    /// Hosts of `fetch`; `None` if it has none.
    pub(crate) hosts: Option<Vec<String>>,
    /// The folder and operations of `fs`; `None` if it has none.
    pub(crate) files: Option<Files>,
    /// Lets some requests at a time through.
    pub(crate) gate: Arc<Semaphore>,
}

/// The global `fs`.
#[derive(Clone)]
pub(crate) struct Files {
    /// Everything lies below it.
    pub(crate) root: PathBuf,
    pub(crate) exists: bool,
    pub(crate) read: bool,
    pub(crate) access: bool,
}

impl Reach {
    /// What this config says. A stored config has been checked when it was launched; what is
    /// damaged since is not there. Relative folders lie under `home`.
    pub(crate) fn of(config: &VatConfig, home: &Path) -> Reach {
        let asked = config.globals.iter().flatten().any(|name| name == "fetch");
        let hosts = config.network.as_ref().and_then(|network| network.get("allowedHosts"));
        let hosts = hosts
            .and_then(Value::as_array)
            .filter(|_| asked)
            .map(|hosts| hosts.iter().filter_map(Value::as_str).map(str::to_owned).collect());
        let files = config.platform_config.as_ref().and_then(|platform| platform.get("fs"));
        let flag = |value: Option<&Value>| value.and_then(Value::as_bool) == Some(true);
        let files = files.and_then(|fs| {
            let promises = fs.get("promises");
            Some(Files {
                root: home.join(fs.get("rootDir")?.as_str()?),
                exists: flag(fs.get("existsSync")),
                read: flag(promises.and_then(|promises| promises.get("readFile"))),
                access: flag(promises.and_then(|promises| promises.get("access"))),
            })
        });
        Reach { hosts, files, gate: Arc::new(Semaphore::new(limits::VAT_ERRANDS_MAX)) }
    }
}
