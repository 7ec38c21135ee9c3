//! `ocap ls`.

use clap::Args;
use ocap_daemon::Home;
use serde_json::Value;

use crate::failure::Failure;
use crate::output::{self, table};
use crate::status::{self, items, of_subcluster, text, text_or_dash};

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Ls {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Ls {
    /// Lists clusters, a line for each.
    pub(crate) fn carry_out(self, home: &Home) -> Result<(), Failure> {
        let status = status::fetch(home)?;
        if self.json {
            return Ok(output::json(&status["subclusters"])?);
        }
        Ok(output::result(list(&status).trim_end())?)
    }
}

/// The lines; a hint if there are none.
pub(crate) fn list(status: &Value) -> String {
    let subclusters = items(status, "subclusters");
    if subclusters.is_empty() {
        return "No clusters. `ocap launch FILE` or `ocap run FILE` brings one.".to_owned();
    }
    let mut rows = vec![["ID", "NAME", "ROOT", "VATS"].map(str::to_owned).to_vec()];
    for subcluster in subclusters {
        let vats = of_subcluster(status, "vats", &subcluster["id"]);
        let vats: Vec<String> = vats.iter().map(|vat| vat_in_list(vat)).collect();
        rows.push(vec![
            text(subcluster, "id"),
            text_or_dash(subcluster, "name"),
            text(subcluster, "rootKref"),
            vats.join(", "),
        ]);
    }
    table("", &rows)
}

fn vat_in_list(vat: &Value) -> String {
    let state = match text(vat, "state").as_str() {
        "running" | "" => String::new(),
        other => format!(" {other}"),
    };
    format!("{} {}{state}", text(vat, "id"), text(vat, "name"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sample() -> Value {
        json!({
            "vats": [
                {"id": "v1", "name": "book", "subclusterId": "s1", "state": "running"},
                {"id": "v2", "name": "x", "subclusterId": "s2", "state": "failed"},
            ],
            "subclusters": [
                {"id": "s1", "name": "guestbook", "rootKref": "ko6"},
                {"id": "s2", "rootKref": "ko9"},
            ],
        })
    }

    #[test]
    fn a_list_has_a_line_per_cluster() {
        assert_eq!(
            list(&sample()),
            "ID  NAME       ROOT  VATS\n\
             s1  guestbook  ko6   v1 book\n\
             s2  -          ko9   v2 x failed\n"
        );
        assert!(list(&json!({})).starts_with("No clusters."));
    }
}
