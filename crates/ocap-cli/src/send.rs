//! Requests to the background kernel: `ocap send`, `launch`, `daemon exec`, `daemon queueMessage`.

use std::path::Path;
use std::time::Duration;

use ocap_daemon::Home;
use ocap_types::{KCapData, smallcaps};
use serde_json::{Value, json};

use crate::args::Message;
use crate::cluster_file::{self, make_specs_absolute};
use crate::daemon::call;
use crate::failure::Failure;
use crate::output::{self, say};

/// Sends a message and prints the answer.
pub(crate) fn send(home: &Home, message: &Message) -> Result<(), Failure> {
    let args: Value = serde_json::from_str(&message.args)
        .map_err(|error| Failure::new(format!("the arguments are not JSON: {error}")))?;
    if !args.is_array() {
        let hint = "the arguments must be a JSON array, e.g. '[\"Alice\", 3]'";
        return Err(Failure::new(hint));
    }
    let params = json!([message.target, message.method, args]);
    let answer = call(home, "queueMessage", &params, message.timeout)?;
    let shown = if message.raw { answer } else { prettified(answer) };
    Ok(output::json(&shown)?)
}

/// Marshalled data as people read it; what is no marshalled data as it is.
fn prettified(answer: Value) -> Value {
    let parsed: Result<KCapData, _> = serde_json::from_value(answer.clone());
    parsed.ok().and_then(|data| smallcaps::prettify(&data).ok()).unwrap_or(answer)
}

/// Calls any RPC method and prints its result.
pub(crate) fn exec(
    home: &Home,
    method: &str,
    params: Option<&str>,
    timeout: Option<Duration>,
) -> Result<(), Failure> {
    let mut params: Value = match params {
        None => json!([]),
        Some(text) => serde_json::from_str(text)
            .map_err(|error| Failure::new(format!("the parameters are not JSON: {error}")))?,
    };
    if method == "launchSubcluster"
        && let Some(config) = params.get_mut("config")
    {
        make_specs_absolute(config, &std::env::current_dir()?);
    }
    Ok(output::json(&call(home, method, &params, timeout)?)?)
}

/// Launches the cluster of a file in the background kernel.
pub(crate) fn launch(home: &Home, file: &Path, name: Option<String>) -> Result<(), Failure> {
    let cluster = cluster_file::read(file)?;
    let mut config = cluster.value;
    make_specs_absolute(&mut config, &cluster.folder);
    if let Some(name) = name {
        config["name"] = Value::String(name);
    }
    let launched = call(home, "launchSubcluster", &json!({ "config": config }), None)?;
    let text = |key: &str| launched.get(key).and_then(Value::as_str).unwrap_or("?").to_owned();
    say(&format!("Launched as {}, root {}.", text("subclusterId"), text("rootKref")));
    Ok(output::json(&launched)?)
}
