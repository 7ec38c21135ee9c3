//! What a kernel says of itself, as the commands that show it read it.

use ocap_daemon::Home;
use serde_json::Value;

use crate::background::status_of_running;
use crate::failure::Failure;
use crate::output::printable;
use crate::suggestion::did_you_mean;

/// Asks the kernel that runs on the home.
pub(crate) fn fetch(home: &Home) -> Result<Value, Failure> {
    status_of_running(home)
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

/// What there is to say about a vat besides its state.
pub(crate) fn vat_notes(vat: &Value) -> String {
    let mut notes = Vec::new();
    let reason = text(vat, "reason");
    if let Some(faults @ 1..) = vat["faults"].as_u64() {
        let last = text(vat, "lastFault");
        notes.push(match faults {
            // It was told already.
            1 if last == reason => "1 fault".to_owned(),
            _ if last == reason => format!("{faults} faults"),
            1 => format!("1 fault: {last}"),
            _ => format!("{faults} faults, the last: {last}"),
        });
    }
    if !reason.is_empty() {
        notes.insert(0, reason);
    }
    notes.join("; ")
}

/// What there is to say about a channel besides its state.
pub(crate) fn channel_notes(channel: &Value) -> String {
    let mut notes = Vec::new();
    let reason = text(channel, "reason");
    if !reason.is_empty() {
        let again = channel["retryMs"].as_u64();
        let again = again.map(|ms| format!(" (next try within {} s)", ms.div_ceil(1000)));
        notes.push(format!("{reason}{}", again.unwrap_or_default()));
    }
    if let Some(clients) = channel["connections"].as_u64() {
        notes.push(format!("{clients} client{}", if clients == 1 { "" } else { "s" }));
    }
    if let Some(waiting @ 1..) = channel["waiting"].as_u64() {
        notes.push(format!("{waiting} waiting to be accepted"));
    }
    notes.join("; ")
}

/// Where a channel leads.
pub(crate) fn place(channel: &Value) -> String {
    let config = &channel["config"];
    let place = [text(config, "type"), text(config, "path"), text(config, "hostport")];
    let words: Vec<_> = place.iter().map(String::as_str).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// What a cluster is called: by its name, or else its id.
pub(crate) fn cluster_name(status: &Value, id: &Value) -> String {
    let found = items(status, "subclusters").iter().find(|cluster| cluster["id"] == *id);
    let name = found.map(|cluster| text(cluster, "name")).unwrap_or_default();
    if name.is_empty() { id.as_str().map(printable).unwrap_or_default() } else { name }
}

/// The vat of that id or name.
pub(crate) fn vat_named<'a>(status: &'a Value, written: &str) -> Result<&'a Value, Failure> {
    let vats = items(status, "vats");
    let is = |vat: &&Value, key: &str| vat[key].as_str() == Some(written);
    let mut named = vats.iter().filter(|vat| is(vat, "name"));
    if let Some(vat) = vats.iter().find(|vat| is(vat, "id")) {
        return Ok(vat);
    }
    match (named.next(), named.next()) {
        (Some(vat), None) => Ok(vat),
        (Some(one), Some(other)) => Err(Failure::new(format!(
            "several vats are called {written}, such as {} and {}; give an id",
            text(one, "id"),
            text(other, "id")
        ))),
        (None, _) => {
            let names = vats.iter().filter_map(|vat| vat["name"].as_str());
            let meant = did_you_mean(written, names);
            Err(Failure::new(format!("there is no vat {written}{meant} (`ocap vats` lists them)")))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_vat_is_found_by_id_and_by_a_name_that_only_it_has() {
        let status = json!({"vats": [
            {"id": "v1", "name": "book"}, {"id": "v2", "name": "a"}, {"id": "v3", "name": "a"},
        ]});
        assert_eq!(vat_named(&status, "book").unwrap()["id"], "v1");
        assert_eq!(vat_named(&status, "v3").unwrap()["id"], "v3");
        for (wrong, says) in [("a", "v2 and v3"), ("bok", "did you mean book?"), ("v9", "no vat")] {
            let failure = format!("{:?}", vat_named(&status, wrong).unwrap_err());
            assert!(failure.contains(says), "{failure}");
        }
    }
}
