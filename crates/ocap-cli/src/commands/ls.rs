//! `ocap ls`.

use clap::Args;
use ocap_daemon::Home;
use serde_json::Value;

use crate::failure::Failure;
use crate::output;
use crate::status::{self, items, of_subcluster, text, text_or_dash};
use crate::table::{Cell, Table};
use crate::terminal;

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
        Ok(output::result(list(&status, terminal::width()).trim_end())?)
    }
}

/// The lines; a hint if there are none.
pub(crate) fn list(status: &Value, width: Option<usize>) -> String {
    let subclusters = items(status, "subclusters");
    if subclusters.is_empty() {
        return "No clusters. `ocap launch FILE` or `ocap run FILE` brings one.".to_owned();
    }
    let mut table = Table::new(&["ID", "NAME", "ROOT", "VATS"]);
    for subcluster in subclusters {
        let vats = of_subcluster(status, "vats", &subcluster["id"]);
        let vats: Vec<String> = vats.iter().map(|vat| vat_in_list(vat)).collect();
        table.row([
            text(subcluster, "id").into(),
            text_or_dash(subcluster, "name").into(),
            Cell::reference(text(subcluster, "rootKref")),
            vats.join(", ").into(),
        ]);
    }
    table.render(width)
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
            anstream::adapter::strip_str(&list(&sample(), None)).to_string(),
            "ID  NAME       ROOT  VATS\n\
             s1  guestbook  ko6   v1 book\n\
             s2  -          ko9   v2 x failed\n"
        );
        assert!(list(&json!({}), None).starts_with("No clusters."));
    }
}
