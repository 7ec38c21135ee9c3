//! `ocap daemon status`: what runs, and what is wrong with it.

use std::fmt::Write as _;
use std::path::Path;

use clap::Args;
use ocap_daemon::Home;
use ocap_daemon::home::display;
use serde_json::Value;

use crate::commands::ls;
use crate::failure::Failure;
use crate::output::{self, table};
use crate::status::{self, items, of_subcluster, text, text_or_dash};

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Status {
    /// Shows clusters, vats and channels.
    pub(crate) fn carry_out(self, home: &Home) -> Result<(), Failure> {
        let status = status::fetch(home)?;
        if self.json {
            return Ok(output::json(&status)?);
        }
        let pid = home.running_pid().map(|pid| format!(" (process {pid})")).unwrap_or_default();
        let socket = display(&home.socket());
        let settings = status["daemon"]["settings"].as_str();
        let settings = settings.map_or("the defaults".to_owned(), |file| display(Path::new(file)));
        let text = format!(
            "Daemon running{pid}. Socket: {socket}\nSettings: {settings}\n{}",
            status_text(&status)
        );
        Ok(output::result(text.trim_end())?)
    }
}

fn status_text(status: &Value) -> String {
    let subclusters = items(status, "subclusters");
    if subclusters.is_empty() {
        return ls::list(status);
    }
    let mut shown = String::new();
    for subcluster in subclusters {
        let (id, root) = (text(subcluster, "id"), text(subcluster, "rootKref"));
        let name = text_or_dash(subcluster, "name");
        let _ = writeln!(shown, "\nCluster {id} {name}, root {root}");
        let vats = of_subcluster(status, "vats", &subcluster["id"]);
        let rows: Vec<_> = vats.into_iter().map(vat_row).collect();
        shown.push_str(&table("  ", &rows));
        let channels = of_subcluster(status, "channels", &subcluster["id"]);
        let rows: Vec<_> = channels.into_iter().map(channel_row).collect();
        shown.push_str(&table("  ", &rows));
    }
    shown
}

fn vat_row(vat: &Value) -> Vec<String> {
    let mut notes = Vec::new();
    let reason = text(vat, "reason");
    if !reason.is_empty() {
        notes.push(reason);
    }
    if let Some(faults @ 1..) = vat["faults"].as_u64() {
        notes.push(format!("{faults} faults, the last: {}", text(vat, "lastFault")));
    }
    if let Some(queued @ 1..) = vat["queued"].as_u64() {
        notes.push(format!("{queued} waiting"));
    }
    vec!["vat".to_owned(), text(vat, "id"), text(vat, "name"), text(vat, "state"), notes.join("; ")]
}

fn channel_row(channel: &Value) -> Vec<String> {
    let config = &channel["config"];
    let place = [text(config, "type"), text(config, "path"), text(config, "hostport")];
    let place = place.join(" ").trim().to_owned();
    let mut notes = Vec::new();
    let reason = text(channel, "reason");
    if !reason.is_empty() {
        let again = channel["retryMs"].as_u64();
        let again = again.map(|ms| format!(" (next try within {} s)", ms.div_ceil(1000)));
        notes.push(format!("{reason}{}", again.unwrap_or_default()));
    }
    if let Some(clients) = channel["connections"].as_u64() {
        notes.push(format!("{clients} clients"));
    }
    if let Some(waiting @ 1..) = channel["waiting"].as_u64() {
        notes.push(format!("{waiting} waiting to be accepted"));
    }
    if let Some(units @ 1..) = channel["bufferedUnits"].as_u64() {
        notes.push(format!("{units} units unread"));
    }
    let (kref, name) = (text(channel, "kref"), text(channel, "name"));
    let name = format!("{name} ({place})");
    vec!["channel".to_owned(), kref, name, text(channel, "state"), notes.join("; ")]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sample() -> Value {
        json!({
            "vats": [
                {"id": "v1", "name": "book", "subclusterId": "s1", "state": "running",
                 "faults": 2, "lastFault": "Overrun", "queued": 0},
                {"id": "v2", "name": "x", "subclusterId": "s2", "state": "failed",
                 "reason": "no\u{1b}[2J way", "faults": 0, "queued": 3},
            ],
            "subclusters": [
                {"id": "s1", "name": "guestbook", "rootKref": "ko6"},
                {"id": "s2", "rootKref": "ko9"},
            ],
            "channels": [
                {"subclusterId": "s1", "name": "visitors", "kref": "ko5", "state": "unavailable",
                 "config": {"type": "socket", "path": "guestbook.sock"}, "bufferedUnits": 0,
                 "reason": "the folder is gone", "retryMs": 1500},
                {"subclusterId": "s1", "name": "console", "kref": "ko4", "state": "connected",
                 "config": {"type": "console"}, "bufferedUnits": 2},
            ],
        })
    }

    #[test]
    fn a_status_says_what_is_wrong() {
        assert_eq!(
            status_text(&sample()),
            "\nCluster s1 guestbook, root ko6\n\
             \x20 vat  v1  book  running  2 faults, the last: Overrun\n\
             \x20 channel  ko5  visitors (socket guestbook.sock)  unavailable  the folder is gone \
             (next try within 2 s)\n\
             \x20 channel  ko4  console (console)                 connected    2 units unread\n\
             \nCluster s2 -, root ko9\n\
             \x20 vat  v2  x  failed  no\\u{1b}[2J way; 3 waiting\n"
        );
    }
}
