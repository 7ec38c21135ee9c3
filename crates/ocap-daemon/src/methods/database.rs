//! Looking into the kernel's store.

use std::fmt::Write;

use ocap_kernel::{Cell, Table};
use serde_json::Value;

use super::{Context, Example, Method, Outcome, of_kernel};
use crate::params;

pub(super) const METHODS: &[Method] = &[Method {
    name: "executeDBQuery",
    summary: "Asks the kernel's store something in SQL. There is one table, `kv`, with the columns \
              `key` and `value`, and one statement, a SELECT, reads it as it was last committed; \
              secrets are not in it. What the keys mean is this version's own affair. Limited in \
              time (2 s), rows (100,000) and bytes (32 MiB).",
    params: "{sql: string}",
    result: "[{column: value, ...}, ...]",
    example: Example {
        params: r#"{"sql":"SELECT key, value FROM kv WHERE key = 'next.vat'"}"#,
        result: r#"[{"key":"next.vat","value":"3"}]"#,
    },
    keyed: false,
    call: |context, params| Box::pin(execute(context, params)),
}];

async fn execute(context: Context, params: Value) -> Outcome {
    let sql = params::sql(&params)?;
    let table = context.kernel.query(&sql).await.map_err(of_kernel)?;
    Ok(text(&table))
}

/// A list of objects. Where columns have the same name the last one counts, as in the reference.
fn text(table: &Table) -> String {
    let names: Vec<String> =
        table.columns.iter().map(|name| Value::from(name.as_str()).to_string()).collect();
    let kept: Vec<bool> =
        (0..names.len()).map(|place| !names[place + 1..].contains(&names[place])).collect();
    let mut text = String::from("[");
    for (n, row) in table.rows.iter().enumerate() {
        text.push_str(if n > 0 { ",{" } else { "{" });
        let cells = row.iter().zip(&names).zip(&kept).filter(|(_, kept)| **kept);
        for (place, ((cell, name), _)) in cells.enumerate() {
            text.push_str(if place > 0 { "," } else { "" });
            let _ = write!(text, "{name}:{}", value(cell));
        }
        text.push('}');
    }
    text.push(']');
    text
}

fn value(cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Integer(number) => (*number).into(),
        Cell::Real(number) => (*number).into(),
        Cell::Text(text) => text.as_str().into(),
        Cell::Blob(bytes) => {
            let mut text = String::with_capacity(2 * bytes.len());
            for byte in bytes {
                let _ = write!(text, "{byte:02x}");
            }
            text.into()
        }
    }
}
