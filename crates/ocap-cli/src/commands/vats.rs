//! `ocap vats`.

use clap::Args;
use ocap_daemon::Home;
use serde_json::Value;

use crate::failure::Failure;
use crate::output;
use crate::quantity;
use crate::status::{self, cluster_name, items, text, vat_notes};
use crate::table::{Cell, Table};
use crate::terminal;

/// What is shown in place of vats if there are none.
pub(crate) const NONE: &str = "No vats. `ocap launch FILE` or `ocap run FILE` brings some.";

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Vats {
    /// Only this one, by id or name
    #[arg(value_name = "VAT")]
    vat: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Vats {
    /// Lists vats, how they are and what they cost.
    pub(crate) fn carry_out(self, home: &Home) -> Result<(), Failure> {
        let status = status::fetch(home)?;
        let vats = match &self.vat {
            Some(written) => std::slice::from_ref(status::vat_named(&status, written)?),
            None => items(&status, "vats"),
        };
        if self.json {
            return Ok(output::json(&Value::from(vats))?);
        }
        Ok(output::result(list(&status, vats, terminal::width()).trim_end())?)
    }
}

fn list(status: &Value, vats: &[Value], width: Option<usize>) -> String {
    if vats.is_empty() {
        return NONE.to_owned();
    }
    let mut table = Table::new(&[
        "ID", "NAME", "CLUSTER", "STATE", "CRANKS", "CPU", "HEAP", "STORED", "QUEUE", "",
    ]);
    for vat in vats {
        let usage = &vat["usage"];
        let number = |key: &str| usage[key].as_u64().unwrap_or(0);
        table.row([
            text(vat, "id").into(),
            text(vat, "name").into(),
            cluster_name(status, &vat["subclusterId"]).into(),
            Cell::state(text(vat, "state")),
            Cell::number(number("cranks")),
            Cell::number(quantity::time(number("cpuUs"))),
            Cell::number(quantity::bytes(number("heapBytes"))),
            Cell::number(quantity::bytes(number("vatstoreBytes"))),
            Cell::number(vat["queued"].as_u64().unwrap_or(0)),
            vat_notes(vat).into(),
        ]);
    }
    table.render(width)
}
