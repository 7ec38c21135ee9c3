//! `ocap url`: OCAP URLs of the background kernel.

use std::time::Duration;

use clap::{Args, Subcommand};
use ocap_daemon::Home;
use serde_json::{Map, Value, json};

use crate::args::{Patience, positive, seconds};
use crate::background::{call, call_running};
use crate::failure::Failure;
use crate::output::{self, say};
use crate::status::{text, text_or_dash};
use crate::table::{Cell, Table};
use crate::target;
use crate::terminal;

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Url {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Issue one, and print it: whoever has it can get the object
    Issue {
        /// The object, or the name of a cluster for its root
        #[arg(value_name = "TARGET")]
        target: String,
        /// Seconds for which it is good
        #[arg(long, value_name = "S", value_parser = seconds)]
        expires: Option<Duration>,
        /// How often it is good
        #[arg(long, value_name = "N", value_parser = positive)]
        uses: Option<u64>,
        /// What `ocap url ls` shows
        #[arg(long)]
        label: Option<String>,
    },
    /// Print the reference one stands for, which is held from then on
    Redeem(Redeem),
    /// List those that can be redeemed: not their texts
    Ls {
        /// Print JSON, a line for each
        #[arg(long)]
        json: bool,
    },
    /// Revoke one
    Revoke {
        /// Its text, or its id
        #[arg(value_name = "URL|ID")]
        url: String,
    },
}

/// A URL to redeem.
#[derive(Debug, Args)]
pub(crate) struct Redeem {
    /// Its text
    #[arg(value_name = "URL")]
    url: String,
    #[command(flatten)]
    patience: Patience,
}

impl Url {
    /// Does it.
    pub(crate) fn carry_out(self, home: &Home) -> Result<(), Failure> {
        match self.command {
            Command::Issue { target, expires, uses, label } => {
                let kref = target::resolve(home, &target)?.to_string();
                let mut params = Map::from_iter([("kref".to_owned(), Value::from(kref))]);
                let expires = expires.and_then(|time| u64::try_from(time.as_millis()).ok());
                params.extend(expires.map(|ms| ("expiresMs".to_owned(), Value::from(ms))));
                params.extend(uses.map(|uses| ("uses".to_owned(), Value::from(uses))));
                params.extend(label.map(|label| ("label".to_owned(), Value::from(label))));
                let url = call(home, "issueOcapURL", &Value::Object(params), None)?;
                Ok(output::result(url.as_str().unwrap_or_default())?)
            }
            Command::Redeem(redeem) => {
                let kref = redeem.ask(home)?;
                Ok(output::result(kref.as_str().unwrap_or_default())?)
            }
            Command::Ls { json } => list(home, json),
            Command::Revoke { url } => {
                let key = if url.contains(':') { "url" } else { "id" };
                match call(home, "revokeOcapURL", &json!({ key: url }), None)? {
                    Value::Bool(true) => {
                        say("Revoked.");
                        Ok(())
                    }
                    _ => Err(Failure::new("there is no such URL, or it is void already")),
                }
            }
        }
    }
}

impl Redeem {
    /// `ocap daemon redeem-url`: the reference as JSON.
    pub(crate) fn carry_out(self, home: &Home) -> Result<(), Failure> {
        Ok(output::json(&self.ask(home)?)?)
    }

    fn ask(self, home: &Home) -> Result<Value, Failure> {
        call(home, "redeemOcapURL", &json!({ "url": self.url }), self.patience.timeout)
    }
}

fn list(home: &Home, json: bool) -> Result<(), Failure> {
    let mut urls = Vec::new();
    let mut params = json!([]);
    while let Value::Array(more) = call_running(home, "listOcapURLs", &params, None)? {
        let Some(last) = more.last() else { break };
        params = json!({ "after": text(last, "id") });
        urls.extend(more);
    }
    if json {
        return Ok(urls.iter().try_for_each(output::json)?);
    }
    if urls.is_empty() {
        say("No URLs. `ocap url issue KREF` brings one.");
        return Ok(());
    }
    Ok(output::result(rows(&urls, terminal::width()).trim_end())?)
}

/// The lines of a list.
fn rows(urls: &[Value], width: Option<usize>) -> String {
    let mut table = Table::new(&["ID", "FOR", "BY", "USES", "EXPIRES", "LABEL"]);
    for url in urls {
        let number =
            |key: &str| url[key].as_u64().map_or_else(|| "-".to_owned(), |n| n.to_string());
        table.row([
            format!("{:.12}", text(url, "id")).into(),
            Cell::reference(text(url, "kref")),
            url["issuer"].as_str().unwrap_or("host").into(),
            Cell::number(number("uses")),
            Cell::number(number("expires")),
            text_or_dash(url, "label").into(),
        ]);
    }
    table.render(width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_a_line_per_url() {
        let urls = [
            json!({"id": "6b86b273ff34fce19d6b", "kref": "ko4", "issued": 1, "issuer": "v1", "uses": 2}),
            json!({"id": "5feceb66ffc86f38d952", "kref": "ko5", "issued": 1, "label": "Bob\u{1b}"}),
        ];
        let listed = anstream::adapter::strip_str(&rows(&urls, None)).to_string();
        let lines: Vec<Vec<&str>> =
            listed.lines().map(|line| line.split_whitespace().collect()).collect();
        let expected = [
            ["ID", "FOR", "BY", "USES", "EXPIRES", "LABEL"],
            ["6b86b273ff34", "ko4", "v1", "2", "-", "-"],
            ["5feceb66ffc8", "ko5", "host", "-", "-", "Bob\\u{1b}"],
        ];
        assert_eq!(lines, expected);
    }
}
