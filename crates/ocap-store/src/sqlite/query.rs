//! Questions in SQL to a store that a kernel has open, from somebody who may see most of it and
//! change nothing.
//!
//! A question gets a connection of its own that cannot write, a table `kv` of keys and values without
//! the rows that are hidden, and nothing else: SQLite asks [`Guard`] about everything a statement
//! would do before it runs. `kv` is a view of a view whose name nobody can know, because only what
//! that inner one reads is the real table: whatever a statement calls `kv` itself gets nowhere.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, Rows};

use crate::limits;
use crate::sqlite::{connection, inspection};

/// What a question finds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Names of the columns, in order.
    pub columns: Vec<String>,
    /// As many cells as there are columns, for each row.
    pub rows: Vec<Vec<Cell>>,
}

/// A value as SQLite has it.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Nothing.
    Null,
    /// A whole number.
    Integer(i64),
    /// Another number.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

/// Functions a statement may call: none that makes much out of little, reaches outside, or tells
/// about the connection.
const FUNCTIONS: &[&str] = &[
    "abs",
    "avg",
    "coalesce",
    "concat",
    "count",
    "glob",
    "group_concat",
    "hex",
    "ifnull",
    "iif",
    "instr",
    "json_array_length",
    "json_extract",
    "json_type",
    "json_valid",
    "->",
    "->>",
    "length",
    "like",
    "lower",
    "ltrim",
    "max",
    "min",
    "nullif",
    "octet_length",
    "round",
    "rtrim",
    "sign",
    "string_agg",
    "substr",
    "substring",
    "sum",
    "total",
    "trim",
    "typeof",
    "unicode",
    "upper",
];

/// Asks a store that is open in this process. Rows whose key begins with one of `hidden` are not
/// there for it. The error is a text for whoever asked.
pub fn query(path: &Path, sql: &str, hidden: &[&str]) -> Result<Answer, String> {
    let path = inspection::find(path).map_err(|error| error.to_string())?;
    let mut connection = connection::for_reading(&path).map_err(|error| error.to_string())?;
    let inner = show(&connection, hidden).map_err(|error| text(&error))?;
    let refused = Arc::new(AtomicBool::new(false));
    let guard = Guard { inner, writes: Arc::clone(&refused) };
    let deadline = Instant::now() + limits::QUERY_TIME;
    guard.watch(&mut connection, deadline).map_err(|error| text(&error))?;
    let told = |error: rusqlite::Error| match error.sqlite_error_code() {
        _ if refused.load(Ordering::Relaxed) => {
            "this only reads; the statement was not carried out".to_owned()
        }
        Some(ErrorCode::OperationInterrupted) => {
            format!("the query took longer than {} s", limits::QUERY_TIME.as_secs())
        }
        Some(ErrorCode::AuthorizationForStatementDenied) => format!(
            "{}: a query reads the table kv (key, value), with the common functions, and nothing \
             else",
            text(&error)
        ),
        _ => text(&error),
    };
    // Flattening one into the other doubles what each level repeats, before any limit of SQLite counts.
    if sql.to_ascii_lowercase().matches("select").count() > limits::QUERY_SELECTS_MAX {
        let most = limits::QUERY_SELECTS_MAX;
        return Err(format!("the query is too big: at most {most} SELECTs"));
    }
    let mut statement = connection.prepare(sql).map_err(told)?;
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    if columns.is_empty() {
        return Err("this only reads; the statement was not carried out".to_owned());
    }
    let rows = collect(statement.query([]).map_err(told)?, columns.len(), &told)?;
    Ok(Answer { columns, rows })
}

/// Makes the view `kv`; the name of the one behind it.
fn show(connection: &Connection, hidden: &[&str]) -> rusqlite::Result<String> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, true)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, limits::QUERY_CELL_BYTES)?;
    let inner: String =
        connection.query_row("SELECT 'v' || hex(randomblob(16))", [], |row| row.get(0))?;
    let shown: Vec<String> = hidden
        .iter()
        .map(|prefix| {
            let prefix = prefix.replace('\'', "''");
            format!("substr(key, 1, length('{prefix}')) <> '{prefix}'")
        })
        .collect();
    let shown = if shown.is_empty() { "1".to_owned() } else { shown.join(" AND ") };
    connection.execute_batch(&format!(
        "CREATE TEMP VIEW {inner} AS SELECT key, value FROM main.kv WHERE {shown};
         CREATE TEMP VIEW kv AS SELECT key, value FROM temp.{inner};"
    ))?;
    Ok(inner)
}

/// Says what a statement may do.
struct Guard {
    inner: String,
    /// Set when it was going to write.
    writes: Arc<AtomicBool>,
}

impl Guard {
    fn watch(self, connection: &mut Connection, deadline: Instant) -> rusqlite::Result<()> {
        let late = move || Instant::now() > deadline;
        connection.progress_handler(limits::QUERY_STEPS, Some(late))?;
        connection.authorizer(Some(move |asked: AuthContext<'_>| self.judge(&asked)))
    }

    fn judge(&self, asked: &AuthContext<'_>) -> Authorization {
        let allowed = match asked.action {
            AuthAction::Select => true,
            AuthAction::Read { table_name, .. } => match asked.database_name {
                Some("temp") => table_name == "kv" || table_name == self.inner,
                Some("main") => table_name == "kv" && asked.accessor == Some(&self.inner),
                _ => false,
            },
            AuthAction::Function { function_name } => {
                FUNCTIONS.iter().any(|name| name.eq_ignore_ascii_case(function_name))
            }
            AuthAction::Insert { .. } | AuthAction::Update { .. } | AuthAction::Delete { .. } => {
                self.writes.store(true, Ordering::Relaxed);
                false
            }
            _ => false,
        };
        if allowed { Authorization::Allow } else { Authorization::Deny }
    }
}

fn collect(
    mut found: Rows<'_>,
    columns: usize,
    told: &impl Fn(rusqlite::Error) -> String,
) -> Result<Vec<Vec<Cell>>, String> {
    let (mut rows, mut bytes) = (Vec::new(), 0_usize);
    while let Some(row) = found.next().map_err(told)? {
        if rows.len() >= limits::QUERY_ROWS {
            let max = limits::QUERY_ROWS;
            return Err(format!("more than {max} rows; ask for fewer, with WHERE or LIMIT"));
        }
        let mut cells = Vec::with_capacity(columns);
        for place in 0..columns {
            let cell = match row.get_ref(place).map_err(told)? {
                ValueRef::Null => Cell::Null,
                ValueRef::Integer(number) => Cell::Integer(number),
                ValueRef::Real(number) => Cell::Real(number),
                ValueRef::Text(text) => Cell::Text(String::from_utf8_lossy(text).into_owned()),
                ValueRef::Blob(bytes) => Cell::Blob(bytes.to_vec()),
            };
            bytes = bytes.saturating_add(match &cell {
                Cell::Text(text) => text.len(),
                Cell::Blob(blob) => blob.len(),
                _ => 8,
            });
            cells.push(cell);
        }
        if bytes > limits::QUERY_BYTES {
            let max = limits::QUERY_BYTES;
            return Err(format!("more than {max} bytes; ask for fewer, with WHERE or LIMIT"));
        }
        rows.push(cells);
    }
    Ok(rows)
}

/// What SQLite says, without the statement it says it of.
fn text(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{Batch, Opened};

    struct Fixture {
        folder: tempfile::TempDir,
        _opened: Opened,
    }

    fn store() -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let mut opened = crate::sqlite::open(folder.path().join("s")).unwrap();
        let rows = [("a", "1"), ("b", "2"), ("secret.seed", "hidden"), ("secret-like", "shown")];
        let writes: BTreeMap<_, _> = rows
            .iter()
            .map(|(key, value)| ((*key).to_owned(), Some((*value).to_owned())))
            .collect();
        opened.writer.commit(&Batch { seq: 1, writes }).unwrap();
        Fixture { folder, _opened: opened }
    }

    fn ask(fixture: &Fixture, sql: &str) -> Result<Answer, String> {
        query(&fixture.folder.path().join("s"), sql, &["secret."])
    }

    #[test]
    fn what_is_not_hidden_can_be_asked_for() {
        let fixture = store();
        let answer = ask(&fixture, "SELECT value, key FROM kv WHERE key IN ('a', 'b')").unwrap();
        assert_eq!(answer.columns, ["value", "key"]);
        let text = |text: &str| Cell::Text(text.to_owned());
        assert_eq!(answer.rows, [[text("1"), text("a")], [text("2"), text("b")]]);
        let answer = ask(
            &fixture,
            "WITH both AS (SELECT * FROM kv UNION ALL SELECT * FROM temp.kv)
             SELECT count(*), sum(length(value)), 1.5, NULL, max(upper(key)) FROM both
             WHERE key LIKE 'secret%' GROUP BY key ORDER BY key",
        )
        .unwrap();
        let row =
            [Cell::Integer(2), Cell::Integer(10), Cell::Real(1.5), Cell::Null, text("SECRET-LIKE")];
        assert_eq!(answer.rows, [row]);
    }

    #[test]
    fn what_is_hidden_stays_hidden() {
        let fixture = store();
        for sql in [
            "SELECT * FROM main.kv",
            "SELECT count(*) FROM main.kv",
            "SELECT 1 FROM main.kv",
            "WITH kv AS (SELECT * FROM main.kv) SELECT * FROM kv",
            "WITH v AS (SELECT * FROM main.kv) SELECT * FROM v",
            "SELECT * FROM (SELECT * FROM main.kv) AS kv",
            "SELECT (SELECT group_concat(value) FROM main.kv) FROM kv",
            "SELECT * FROM kv WHERE EXISTS (SELECT 1 FROM main.kv AS kv WHERE kv.value = 'hidden')",
            "SELECT * FROM meta",
            "SELECT * FROM sqlite_schema",
            "SELECT * FROM sqlite_temp_schema",
            "SELECT * FROM temp.sqlite_schema",
            "SELECT * FROM pragma_table_info('kv')",
            "SELECT * FROM dbstat",
            "SELECT * FROM json_each('[1]')",
            "VALUES (load_extension('x'))",
            "SELECT randomblob(1000000000)",
            "SELECT zeroblob(1000000000)",
            "SELECT printf('%.*c', 1000000000, 'x')",
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
            "PRAGMA table_list",
            "PRAGMA query_only = OFF",
            "ATTACH ':memory:' AS more",
            "VACUUM INTO '/tmp/copy'",
            "BEGIN",
            "CREATE TABLE t (x)",
            "CREATE TEMP TABLE t AS SELECT * FROM main.kv",
            "CREATE TEMP VIEW w AS SELECT * FROM main.kv",
            "UPDATE kv SET value = 'x'",
            "UPDATE main.kv SET value = 'x' RETURNING value",
            "INSERT INTO main.kv VALUES ('x', 'y')",
            "DELETE FROM main.kv RETURNING key",
            "DROP VIEW kv",
            "",
            "-- nothing",
        ] {
            let answer = ask(&fixture, sql);
            assert!(answer.is_err(), "{sql}: {answer:?}");
        }
        let kept = ask(&fixture, "SELECT key FROM kv ORDER BY key").unwrap().rows;
        assert_eq!(kept.len(), 3);
        let found = ask(&fixture, "SELECT * FROM kv WHERE key = 'secret.seed' OR value = 'hidden'");
        assert_eq!(found.unwrap().rows, Vec::<Vec<Cell>>::new());
    }

    #[test]
    fn questions_end() {
        let fixture = store();
        assert_eq!(ask(&fixture, "SELEKT 1").unwrap_err(), "near \"SELEKT\": syntax error");
        assert_eq!(ask(&fixture, "SELECT * FROM nope").unwrap_err(), "no such table: nope");
        let refused = ask(&fixture, "UPDATE kv SET value='x' WHERE key='zz'").unwrap_err();
        assert_eq!(refused, "cannot modify kv because it is a view");
        let refused = ask(&fixture, "DELETE FROM main.kv").unwrap_err();
        assert!(refused.starts_with("this only reads"), "{refused}");
        let doubled = "(SELECT max(value) AS v FROM kv)".to_owned();
        let long = (0..40).fold(doubled, |inner, _| format!("(SELECT v || v AS v FROM {inner})"));
        let refused = ask(&fixture, &format!("SELECT length(v) FROM {long}")).unwrap_err();
        assert!(refused.contains("too big") || refused.contains("longer than"), "{refused}");
        let many = (0..40).map(|n| format!("kv AS k{n}")).collect::<Vec<_>>().join(", ");
        let refused = ask(&fixture, &format!("SELECT count(*) FROM {many}")).unwrap_err();
        assert!(refused.contains("longer than"), "{refused}");
        let many = (0..12).map(|n| format!("kv AS k{n}")).collect::<Vec<_>>().join(", ");
        let refused = ask(&fixture, &format!("SELECT k0.key FROM {many}")).unwrap_err();
        assert!(refused.contains("rows; ask for fewer"), "{refused}");
    }
}
