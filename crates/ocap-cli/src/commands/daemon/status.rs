//! `ocap daemon status`: what runs, and what is wrong with it.

use std::fmt::Write as _;
use std::path::Path;

use clap::Args;
use ocap_daemon::Home;
use ocap_daemon::home::display;
use serde_json::Value;

use crate::commands::ls;
use crate::failure::Failure;
use crate::output;
use crate::status::{self, items, of_subcluster, text, text_or_dash};
use crate::table::{Cell, Table};
use crate::terminal::{self, HEADING, REFERENCE, styled};

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
            status_text(&status, terminal::width())
        );
        Ok(output::result(text.trim_end())?)
    }
}

fn status_text(status: &Value, width: Option<usize>) -> String {
    let subclusters = items(status, "subclusters");
    if subclusters.is_empty() {
        return ls::list(status, width);
    }
    let mut shown = String::new();
    for subcluster in subclusters {
        let (id, root) = (text(subcluster, "id"), text(subcluster, "rootKref"));
        let name = styled(HEADING, &text_or_dash(subcluster, "name"));
        let _ = writeln!(shown, "\nCluster {id} {name}, root {}", styled(REFERENCE, &root));
        let mut table = Table::indented("  ");
        for vat in of_subcluster(status, "vats", &subcluster["id"]) {
            let mut notes = status::vat_notes(vat);
            if let Some(queued @ 1..) = vat["queued"].as_u64() {
                let sign = if notes.is_empty() { "" } else { "; " };
                let _ = write!(notes, "{sign}{queued} waiting");
            }
            let state = Cell::state(text(vat, "state"));
            table.row([
                "vat".into(),
                text(vat, "id").into(),
                text(vat, "name").into(),
                state,
                notes.into(),
            ]);
        }
        shown.push_str(&table.render(width));
        let mut table = Table::indented("  ");
        for channel in of_subcluster(status, "channels", &subcluster["id"]) {
            let mut notes = status::channel_notes(channel);
            if let Some(units @ 1..) = channel["bufferedUnits"].as_u64() {
                let sign = if notes.is_empty() { "" } else { "; " };
                let _ = write!(notes, "{sign}{units} units unread");
            }
            let name = format!("{} ({})", text(channel, "name"), status::place(channel));
            let kref = Cell::reference(text(channel, "kref"));
            let state = Cell::state(text(channel, "state"));
            table.row(["channel".into(), kref, name.into(), state, notes.into()]);
        }
        shown.push_str(&table.render(width));
    }
    shown
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
            anstream::adapter::strip_str(&status_text(&sample(), None)).to_string(),
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
