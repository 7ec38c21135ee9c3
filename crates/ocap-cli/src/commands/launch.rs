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
    /// Set a parameter of a vat, e.g. --parameter echo.matcherUrl=ocap:...; a value that is JSON is
    /// taken as such, anything else as text
    #[arg(long = "parameter", value_name = "VAT.NAME=VALUE")]
    parameters: Vec<String>,
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
        for parameter in &self.parameters {
            set_parameter(&mut config, parameter)?;
        }
        let mut params = json!({ "config": config });
        if let Some(folder) = cluster.folder.to_str() {
            params["folder"] = folder.into();
        }
        let launched = call_once(home, "launchSubcluster", &params, None);
        let launched = launched.map_err(Failure::of_launch)?;
        let text = |key: &str| launched.get(key).and_then(Value::as_str).unwrap_or("?").to_owned();
        say(&format!("Launched as {}, root {}.", text("subclusterId"), text("rootKref")));
        Ok(output::json(&launched)?)
    }
}

/// Sets what `VAT.NAME=VALUE` says in a config.
fn set_parameter(config: &mut Value, text: &str) -> Result<(), Failure> {
    let parts = text.split_once('=').and_then(|(place, value)| {
        let (vat, name) = place.split_once('.')?;
        Some((vat, name, value))
    });
    let Some((vat, name, value)) = parts else {
        return Err(Failure::new(format!("--parameter {text}: write it as VAT.NAME=VALUE")));
    };
    let Some(vat_config) = config["vats"].get_mut(vat) else {
        return Err(Failure::new(format!("--parameter {text}: the cluster has no vat {vat:?}")));
    };
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    let parameters = &mut vat_config["parameters"];
    match parameters {
        Value::Null | Value::Object(_) => parameters[name] = value,
        _ => {
            let problem = format!("--parameter {text}: the parameters of {vat} are no record");
            return Err(Failure::new(problem));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_set_by_vat_and_name() {
        let mut config =
            json!({"vats": {"a": {"parameters": {"x": 1}}, "b": {}, "c": {"parameters": 5}}});
        set_parameter(&mut config, "a.x=2").unwrap();
        set_parameter(&mut config, "a.y=ocap:z1@2,/ip4=x").unwrap();
        set_parameter(&mut config, "b.z={\"k\":[true]}").unwrap();
        assert_eq!(config["vats"]["a"]["parameters"], json!({"x": 2, "y": "ocap:z1@2,/ip4=x"}));
        assert_eq!(config["vats"]["b"]["parameters"], json!({"z": {"k": [true]}}));
        for bad in ["", "a", "a=1", "a.x", "d.x=1", "c.x=1"] {
            assert!(set_parameter(&mut config, bad).is_err(), "{bad}");
        }
    }
}
