//! `ocap launch`.

use std::path::PathBuf;

use clap::Args;
use ocap_daemon::Home;
use serde_json::{Value, json};

use crate::background::call_once;
use crate::cluster_file::{self, make_specs_absolute};
use crate::failure::Failure;
use crate::output::{self, say};

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Launch {
    /// The cluster's config
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Name to find it by
    #[arg(long)]
    name: Option<String>,
}

impl Launch {
    /// Launches the cluster of a file in the background kernel.
    pub(crate) fn carry_out(self, home: &Home) -> Result<(), Failure> {
        let cluster = cluster_file::read(&self.file)?;
        let mut config = cluster.value;
        make_specs_absolute(&mut config, &cluster.folder);
        if let Some(name) = self.name {
            config["name"] = Value::String(name);
        }
        let launched = call_once(home, "launchSubcluster", &json!({ "config": config }), None)?;
        let text = |key: &str| launched.get(key).and_then(Value::as_str).unwrap_or("?").to_owned();
        say(&format!("Launched as {}, root {}.", text("subclusterId"), text("rootKref")));
        Ok(output::json(&launched)?)
    }
}
