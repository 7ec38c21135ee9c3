//! `ocap io`.

use clap::Args;
use ocap_daemon::Home;
use serde_json::Value;

use crate::failure::Failure;
use crate::output;
use crate::status::{self, channel_notes, cluster_name, items, place, text};
use crate::table::{Cell, Table};
use crate::terminal;

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Io {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Io {
    /// Lists IO channels, where they lead and how they are.
    pub(crate) fn carry_out(self, home: &Home) -> Result<(), Failure> {
        let status = status::fetch(home)?;
        if self.json {
            return Ok(output::json(&status["channels"])?);
        }
        Ok(output::result(list(&status, terminal::width()).trim_end())?)
    }
}

fn list(status: &Value, width: Option<usize>) -> String {
    let channels = items(status, "channels");
    if channels.is_empty() {
        return "No IO channels. A cluster's config declares them under `io`.".to_owned();
    }
    let mut table =
        Table::new(&["KREF", "NAME", "CLUSTER", "PLACE", "STATE", "UNREAD", "READS", ""]);
    for channel in channels {
        table.row([
            Cell::reference(text(channel, "kref")),
            text(channel, "name").into(),
            cluster_name(status, &channel["subclusterId"]).into(),
            place(channel).into(),
            Cell::state(text(channel, "state")),
            Cell::number(channel["bufferedUnits"].as_u64().unwrap_or(0)),
            Cell::number(channel["pendingReads"].as_u64().unwrap_or(0)),
            channel_notes(channel).into(),
        ]);
    }
    table.render(width)
}
