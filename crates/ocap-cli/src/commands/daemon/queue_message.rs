//! `ocap daemon queueMessage`: a message whose arguments are plain data, as in the reference.

use clap::Args;
use ocap_daemon::Home;
use serde_json::{Value, json};

use crate::args::Patience;
use crate::argument;
use crate::background::call_once;
use crate::commands::send::show_answer;
use crate::failure::Failure;

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct QueueMessage {
    /// The object
    #[arg(value_name = "KREF")]
    target: String,
    /// The method
    method: String,
    /// The arguments, as a JSON array; nothing in it becomes a reference
    #[arg(value_name = "ARGS-JSON", default_value = "[]", allow_hyphen_values = true)]
    args: String,
    /// Print the answer as it was marshalled
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    patience: Patience,
}

impl QueueMessage {
    /// Sends the message and prints the answer.
    pub(crate) fn carry_out(self, home: &Home) -> Result<(), Failure> {
        let args = argument::plain(&self.args)?;
        let params = json!([self.target, self.method, Value::Array(args)]);
        let answer = call_once(home, "queueMessage", &params, self.patience.timeout)?;
        show_answer(answer, self.raw)
    }
}
