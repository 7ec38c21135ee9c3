//! `ocap refs`: the references that the host holds.

use clap::{Args, Subcommand};
use ocap_daemon::Home;
use ocap_types::KRef;
use serde_json::{Value, json};

use crate::background::call_running;
use crate::failure::Failure;
use crate::output::{self, say};
use crate::suggestion::did_you_mean;
use crate::table::{Cell, Table};
use crate::terminal;

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Refs {
    #[command(subcommand)]
    command: Option<Command>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Give references up; what nobody else holds is collected
    Release {
        /// The references
        #[arg(value_name = "KREF", required_unless_present = "all")]
        krefs: Vec<String>,
        /// All of them
        #[arg(long, conflicts_with = "krefs")]
        all: bool,
    },
}

impl Refs {
    /// Lists them, or gives some up.
    pub(crate) fn carry_out(self, home: &Home) -> Result<(), Failure> {
        match self.command {
            None => list(home, self.json),
            Some(Command::Release { krefs, all }) => release(home, krefs, all),
        }
    }
}

fn held(home: &Home) -> Result<Vec<String>, Failure> {
    let held = call_running(home, "listRefs", &json!([]), None)?;
    Ok(serde_json::from_value(held)?)
}

fn list(home: &Home, as_json: bool) -> Result<(), Failure> {
    let held = held(home)?;
    if as_json {
        return Ok(output::json(&Value::from(held))?);
    }
    if held.is_empty() {
        return Ok(output::result("The host holds no references.")?);
    }
    let mut table = Table::new(&["KREF", "KIND", "OF", "STATE"]);
    for kref in held {
        // It may be gone by now.
        let Ok(found) = call_running(home, "inspect", &json!({ "kref": kref }), None) else {
            continue;
        };
        let inspected = super::inspect::Summary::of(&found);
        table.row([
            Cell::reference(kref),
            inspected.kind.into(),
            inspected.of.into(),
            Cell::state(inspected.state),
        ]);
    }
    Ok(output::result(table.render(terminal::width()).trim_end())?)
}

fn release(home: &Home, krefs: Vec<String>, all: bool) -> Result<(), Failure> {
    let krefs = if all { held(home)? } else { krefs };
    for written in &krefs {
        let kref = written.strip_prefix('@').unwrap_or(written);
        if kref.parse::<KRef>().is_err() {
            let text = format!("{written} is no reference; references are like ko4 and kp7");
            return Err(Failure::new(text));
        }
        let released = call_running(home, "releaseRef", &json!({ "kref": kref }), None)?;
        if released != Value::Bool(true) {
            let held = held(home)?;
            let meant = did_you_mean(kref, held.iter().map(String::as_str));
            return Err(Failure::new(format!("the host does not hold {kref}{meant}")));
        }
        say(&format!("Released {kref}."));
    }
    if krefs.is_empty() {
        say("The host holds no references.");
    }
    Ok(())
}
