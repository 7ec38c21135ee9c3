//! `ocap inspect`: everything about one reference.

use std::fmt::Write as _;

use clap::Args;
use ocap_daemon::Home;
use serde_json::{Value, json};

use crate::argument;
use crate::background::call_running;
use crate::commands::send::prettified;
use crate::failure::Failure;
use crate::limits;
use crate::output::{self, printable};
use crate::status::{items, text};
use crate::target;
use crate::terminal::{FAINT, HEADING, REFERENCE, of_state, styled};

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// The object or promise, or the name of a cluster for its root
    #[arg(value_name = "TARGET")]
    target: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Do not ask the object for its methods
    #[arg(long)]
    no_methods: bool,
}

impl Inspect {
    /// Shows owner, counts, holders, and methods or value.
    pub(crate) fn carry_out(self, home: &Home) -> Result<(), Failure> {
        let kref = target::resolve(home, &self.target)?;
        let mut found = call_running(home, "inspect", &json!({ "kref": kref }), None)?;
        let answers = found["owner"]["type"] == "vat" && found["revoked"] != true;
        if !self.no_methods && found["kind"] == "object" && answers {
            found["methods"] = Value::from(methods(home, kref));
        }
        if self.json {
            return Ok(output::json(&found)?);
        }
        Ok(output::result(describe(&found).trim_end())?)
    }
}

/// The methods an object says it has, if it answers soon.
pub(crate) fn methods(home: &Home, kref: ocap_types::KRef) -> Option<Vec<String>> {
    let params = argument::message(kref, "__getMethodNames__", Vec::new());
    let answer = call_running(home, "sendMessage", &params, Some(limits::METHODS_TIME_MAX)).ok()?;
    serde_json::from_value(prettified(answer)).ok()
}

/// A reference in a few words.
pub(crate) struct Summary {
    pub(crate) kind: String,
    /// Whose it is.
    pub(crate) of: String,
    pub(crate) state: String,
}

impl Summary {
    pub(crate) fn of(found: &Value) -> Summary {
        let party = if found["kind"] == "promise" { &found["decider"] } else { &found["owner"] };
        let state = match (&found["state"], &found["revoked"]) {
            (Value::String(state), _) => state.clone(),
            (_, Value::Bool(true)) => "revoked".to_owned(),
            _ => String::new(),
        };
        Summary { kind: text(found, "kind"), of: whose(party), state }
    }
}

/// `v1 book in s1`, `the service io:s1:line`, `the kernel`, or nothing.
fn whose(party: &Value) -> String {
    match party["type"].as_str() {
        Some("vat") => {
            let (id, name) = (text(party, "id"), text(party, "name"));
            match text(party, "subclusterId") {
                cluster if cluster.is_empty() => format!("{id} (ended)"),
                cluster => format!("{id} {name} in {cluster}"),
            }
        }
        Some("kernel") => match text(party, "service") {
            service if service.is_empty() => "the kernel".to_owned(),
            service => format!("the service {service}"),
        },
        _ => String::new(),
    }
}

fn describe(found: &Value) -> String {
    let mut shown = String::new();
    let mut line = |label: &str, value: &str| {
        if !value.is_empty() {
            let label = if label.is_empty() { String::new() } else { format!("{label}:") };
            let _ = writeln!(shown, "  {label:<12} {value}");
        }
    };
    let iface = text(found, "iface");
    line("says it is", &iface);
    if found["kind"] == "promise" {
        promise(found, &mut line);
    } else {
        object(found, &mut line);
    }
    for (place, holder) in items(found, "holders").iter().enumerate() {
        line(if place == 0 { "held by" } else { "" }, &describe_holder(holder));
    }
    if items(found, "holders").is_empty() {
        line("held by", "nobody that was found");
    }
    if found["partial"] == true {
        line("", &styled(FAINT, "and maybe others: there is too much to look through"));
    }
    match found.get("methods") {
        Some(Value::Null) => line("methods", &styled(FAINT, "it does not say")),
        Some(_) => {
            let names = items(found, "methods").iter().filter_map(Value::as_str);
            // What every object of ours has says nothing about this one.
            let names: Vec<String> =
                names.filter(|name| !name.starts_with("__")).map(printable).collect();
            line("methods", &names.join(", "));
        }
        None => {}
    }
    let Summary { kind, state, .. } = Summary::of(found);
    let state =
        if state.is_empty() { state } else { format!(", {}", styled(of_state(&state), &state)) };
    let kref = styled(REFERENCE, &text(found, "kref"));
    format!("{kref}: {}{state}\n{shown}", styled(HEADING, &kind))
}

fn object(found: &Value, line: &mut impl FnMut(&str, &str)) {
    let owner = &found["owner"];
    if owner.is_null() {
        line("owner", "nobody any more: messages to it are rejected");
    } else {
        let vref = text(owner, "vref");
        let as_ = if vref.is_empty() { vref } else { format!(", which calls it {vref}") };
        line("owner", &format!("{}{as_}", whose(owner)));
    }
    line(
        "counts",
        &format!("{} reach it, {} know it", text(found, "reachable"), text(found, "recognizable")),
    );
    if found["revoked"] == true {
        line("revoked", "every message to it is rejected");
    }
}

fn promise(found: &Value, line: &mut impl FnMut(&str, &str)) {
    if found["state"] == "unresolved" {
        let decider = whose(&found["decider"]);
        let behind = text(found, "behind");
        line(
            "decided by",
            match (decider.as_str(), behind.as_str()) {
                ("", "") => "whoever gets the message whose result it is",
                (decider, _) => decider,
            },
        );
        if !behind.is_empty() {
            line("waits for", &format!("{behind}, which its message is for"));
        }
    }
    if let Some(value) = found.get("value") {
        line("value", &printable(&prettified(value.clone()).to_string()));
    }
    let subscribers: Vec<&str> =
        items(found, "subscribers").iter().filter_map(Value::as_str).collect();
    line("to be told", &subscribers.join(", "));
    line("counts", &format!("{} hold it", text(found, "references")));
    if let Some(parked @ 1..) = found["parked"].as_u64() {
        line("waiting", &format!("{parked} messages for what it becomes"));
    }
}

fn describe_holder(holder: &Value) -> String {
    let role = text(holder, "as");
    match holder["by"].as_str().unwrap_or_default() {
        "vat" => {
            let faint =
                if holder["reachable"] == false { ", which only knows it again" } else { "" };
            let (id, name) = (text(holder, "id"), text(holder, "name"));
            format!("{id} {name}, as {}{faint}", text(holder, "vref"))
        }
        "host" => "the host (`ocap refs release` gives it up)".to_owned(),
        "kernel" => "the kernel, as a vat's root or a service".to_owned(),
        "waiter" => "a client that waits for it".to_owned(),
        "queue" => match text(holder, "of") {
            vat if vat.is_empty() => format!("the kernel's queue, as {role}"),
            vat => format!("the queue of {vat}, as {role}"),
        },
        "parked" => format!("a message that waits for {}, as {role}", text(holder, "on")),
        "value" => format!("the value of {}", text(holder, "of")),
        "call" => format!("a call of a service, as {role}"),
        "timer" => "a timer".to_owned(),
        "receipt" => "the receipt of a request, which is kept for a day".to_owned(),
        "url" => format!("the OCAP URL {:.12}", text(holder, "id")),
        other => printable(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(found: &Value) -> String {
        anstream::adapter::strip_str(&describe(found)).to_string()
    }

    #[test]
    fn an_object_is_described() {
        let found = json!({
            "kref": "ko7", "kind": "object", "iface": "Alleged: made",
            "owner": {"type": "vat", "id": "v1", "name": "a", "subclusterId": "s1", "vref": "o+5"},
            "reachable": 2, "recognizable": 3, "revoked": false,
            "holders": [{"by": "host"},
                {"by": "vat", "id": "v2", "name": "b", "vref": "o-4", "reachable": false},
                {"by": "queue", "of": "v2", "as": "argument"}, {"by": "value", "of": "kp3"}],
            "partial": false, "methods": ["hello", "__getMethodNames__"],
        });
        insta::assert_snapshot!(plain(&found));
    }

    #[test]
    fn promises_are_described() {
        let settled = json!({
            "kref": "kp7", "kind": "promise", "state": "rejected", "subscribers": [],
            "references": 1, "parked": 0, "holders": [{"by": "host"}], "partial": true,
            "value": {"body": "#{\"#error\":\"no\",\"name\":\"Error\"}", "slots": []},
        });
        let open = json!({
            "kref": "kp8", "kind": "promise", "state": "unresolved", "subscribers": ["v1", "v2"],
            "decider": {"type": "kernel"}, "references": 2, "parked": 3, "holders": [],
            "partial": false,
        });
        insta::assert_snapshot!(format!("{}\n{}", plain(&settled), plain(&open)));
    }
}
