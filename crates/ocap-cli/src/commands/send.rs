//! `ocap send`.

use clap::Args;
use ocap_daemon::Home;
use ocap_types::{KCapData, smallcaps};
use serde_json::Value;

use crate::args::Patience;
use crate::argument;
use crate::background::call_once;
use crate::failure::Failure;
use crate::output;
use crate::target;

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Send {
    /// The object, or the name of a cluster for its root
    #[arg(value_name = "TARGET")]
    target: String,
    /// The method
    method: String,
    /// The arguments, as a JSON array; "@ko5" in it is the object ko5, "@@" a text that begins
    /// with @
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
        let args = argument::parse(&self.args)?;
        let target = target::resolve(home, &self.target)?;
        let params = argument::message(target, &self.method, args);
        show_answer(call_once(home, "sendMessage", &params, self.patience.timeout)?, self.raw)
    }
}

/// Prints what a message was answered.
pub(crate) fn show_answer(answer: Value, raw: bool) -> Result<(), Failure> {
    let shown = if raw { answer } else { prettified(answer) };
    Ok(output::json(&shown)?)
}

/// Marshalled data as people read it; what is no marshalled data as it is.
pub(crate) fn prettified(answer: Value) -> Value {
    let parsed: Result<KCapData, _> = serde_json::from_value(answer.clone());
    parsed.ok().and_then(|data| smallcaps::prettify(&data).ok()).unwrap_or(answer)
}
