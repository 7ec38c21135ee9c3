//! `ocap send`.

use clap::Args;
use ocap_daemon::Home;
use ocap_types::{KCapData, smallcaps};
use serde_json::{Value, json};

use crate::args::Patience;
use crate::background::call;
use crate::failure::Failure;
use crate::output;

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Send {
    /// The object
    #[arg(value_name = "KREF")]
    target: String,
    /// The method
    method: String,
    /// The arguments, as a JSON array
    #[arg(value_name = "ARGS-JSON", default_value = "[]", allow_hyphen_values = true)]
    args: String,
    /// Print the answer as it was marshalled
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    patience: Patience,
}

impl Send {
    /// Sends the message and prints the answer.
    pub(crate) fn carry_out(self, home: &Home) -> Result<(), Failure> {
        let args = arguments(&self.args)?;
        let params = json!([self.target, self.method, Value::Array(args)]);
        let answer = call(home, "queueMessage", &params, self.patience.timeout)?;
        show_answer(answer, self.raw)
    }
}

/// The arguments of a message as they are given on a command line.
pub(crate) fn arguments(text: &str) -> Result<Vec<Value>, Failure> {
    let args: Value = serde_json::from_str(text)
        .map_err(|error| Failure::new(format!("the arguments are not JSON: {error}")))?;
    match args {
        Value::Array(items) => Ok(items),
        _ => Err(Failure::new("the arguments must be a JSON array, e.g. '[\"Alice\", 3]'")),
    }
}

/// Prints what a message was answered.
pub(crate) fn show_answer(answer: Value, raw: bool) -> Result<(), Failure> {
    let shown = if raw { answer } else { prettified(answer) };
    Ok(output::json(&shown)?)
}

/// Marshalled data as people read it; what is no marshalled data as it is.
fn prettified(answer: Value) -> Value {
    let parsed: Result<KCapData, _> = serde_json::from_value(answer.clone());
    parsed.ok().and_then(|data| smallcaps::prettify(&data).ok()).unwrap_or(answer)
}
