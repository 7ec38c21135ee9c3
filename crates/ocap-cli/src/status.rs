//! What a kernel says of itself, as the commands that show it read it.

use ocap_daemon::Home;
use serde_json::{Value, json};

use crate::background::call_running;
use crate::failure::Failure;
use crate::limits;
use crate::output::printable;

/// Asks the kernel that runs on the home.
pub(crate) fn fetch(home: &Home) -> Result<Value, Failure> {
    call_running(home, "getStatus", &json!([]), Some(limits::PING_TIME_MAX))
}

/// A text of an object, on one line and fit for a terminal.
pub(crate) fn text(of: &Value, key: &str) -> String {
    match &of[key] {
        Value::Null => String::new(),
        Value::String(text) => printable(text).replace('\n', " "),
        other => printable(&other.to_string()),
    }
}

/// The same, or a dash.
pub(crate) fn text_or_dash(of: &Value, key: &str) -> String {
    let text = text(of, key);
    if text.is_empty() { "-".to_owned() } else { text }
}

/// A list in an object; empty if there is none.
pub(crate) fn items<'a>(of: &'a Value, key: &str) -> &'a [Value] {
    of[key].as_array().map_or(&[], Vec::as_slice)
}

/// What of a list belongs to a subcluster.
pub(crate) fn of_subcluster<'a>(status: &'a Value, key: &str, id: &Value) -> Vec<&'a Value> {
    items(status, key).iter().filter(|item| item["subclusterId"] == *id).collect()
}
