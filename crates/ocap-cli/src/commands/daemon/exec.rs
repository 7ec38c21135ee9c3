//! `ocap daemon exec`: any RPC method.

use clap::Args;
use ocap_daemon::Home;
use serde_json::{Value, json};

use crate::args::Patience;
use crate::background::call;
use crate::cluster_file::make_specs_absolute;
use crate::failure::Failure;
use crate::output;

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Exec {
    /// The method
    #[arg(default_value = "getStatus")]
    method: String,
    /// Its parameters, e.g. '{"id":"v1"}'
    #[arg(value_name = "PARAMS-JSON")]
    params: Option<String>,
    #[command(flatten)]
    patience: Patience,
}

impl Exec {
    /// Calls the method and prints its result.
    pub(crate) fn carry_out(self, home: &Home) -> Result<(), Failure> {
        let mut params: Value = match self.params {
            None => json!([]),
            Some(text) => serde_json::from_str(&text)
                .map_err(|error| Failure::new(format!("the parameters are not JSON: {error}")))?,
        };
        if self.method == "launchSubcluster"
            && let Some(config) = params.get_mut("config")
        {
            make_specs_absolute(config, &std::env::current_dir()?);
        }
        Ok(output::json(&call(home, &self.method, &params, self.patience.timeout)?)?)
    }
}
