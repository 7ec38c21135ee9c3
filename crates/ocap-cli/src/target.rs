//! Whom a command is about: an object by its reference, or a cluster by its name.

use ocap_daemon::Home;
use ocap_types::KRef;
use serde_json::Value;

use crate::background::ensure_running;
use crate::failure::Failure;
use crate::status::{self, items};
use crate::suggestion::did_you_mean;

/// The reference that a text on the command line means. A name of a cluster, or its id, means its
/// root. Starts the kernel if the text is none.
pub(crate) fn resolve(home: &Home, text: &str) -> Result<KRef, Failure> {
    let written = text.strip_prefix('@').unwrap_or(text);
    if let Ok(kref) = written.parse() {
        return Ok(kref);
    }
    ensure_running(home, crate::args::Cage::default())?;
    root_of(&status::fetch(home)?, text)
}

fn root_of(status: &Value, text: &str) -> Result<KRef, Failure> {
    let clusters = items(status, "subclusters");
    let is = |cluster: &&Value, key: &str| cluster[key].as_str() == Some(text);
    let named = clusters.iter().find(|cluster| is(cluster, "name"));
    let found = named.or_else(|| clusters.iter().find(|cluster| is(cluster, "id")));
    let root = found.and_then(|cluster| cluster["rootKref"].as_str()?.parse().ok());
    root.ok_or_else(|| {
        let names = clusters.iter().filter_map(|cluster| cluster["name"].as_str());
        let meant = did_you_mean(text, names);
        Failure::new(format!(
            "{text} is neither a reference, such as ko4, nor the name of a cluster{meant} \
             (`ocap ls` lists clusters and their roots)"
        ))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cluster_is_found_by_name_and_by_id() {
        let status = json!({"subclusters": [
            {"id": "s1", "name": "guestbook", "rootKref": "ko6"},
            {"id": "s2", "rootKref": "ko9"},
            {"id": "s3", "name": "s2", "rootKref": "ko12"},
        ]});
        assert_eq!(root_of(&status, "guestbook").unwrap(), KRef::Object(6));
        assert_eq!(root_of(&status, "s1").unwrap(), KRef::Object(6));
        assert_eq!(root_of(&status, "s2").unwrap(), KRef::Object(12));
        let wrong = format!("{:?}", root_of(&status, "gestbook").unwrap_err());
        assert!(wrong.contains("did you mean guestbook?"), "{wrong}");
        assert!(root_of(&json!({}), "x").is_err());
    }
}
