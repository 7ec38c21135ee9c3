//! The table, row by row.

use std::fmt::Write as _;
use std::future::Future;

use crate::limits::ROW_MAX;
use crate::options::Options;
use crate::{Failure, machine};

/// What a row is about; figures of the reference and aims are those of the project's comparison.
pub(crate) struct Row {
    /// What is measured. Filters look here.
    pub(crate) name: &'static str,
    /// What the TypeScript kernel does on a machine of this class.
    pub(crate) reference: &'static str,
    /// What we want.
    pub(crate) aim: &'static str,
}

/// The rows measured so far.
pub(crate) struct Report {
    filters: Vec<String>,
    lines: String,
    is_complete: bool,
}

impl Report {
    pub(crate) fn new(options: &Options) -> Self {
        Self { filters: options.filters.clone(), lines: String::new(), is_complete: true }
    }

    /// Measures a row, unless it is filtered out, and adds what came of it.
    pub(crate) async fn add(
        &mut self,
        row: Row,
        measure: impl Future<Output = Result<String, Failure>>,
    ) {
        if !self.wants(&row) {
            return;
        }
        eprintln!("measuring: {}", row.name);
        let busy = machine::busy_percent().await;
        let result = match tokio::time::timeout(ROW_MAX, measure).await {
            Ok(Ok(figure)) => figure,
            Ok(Err(error)) => {
                self.is_complete = false;
                format!("failed: {error}")
            }
            Err(_) => {
                self.is_complete = false;
                format!("not done after {} s", ROW_MAX.as_secs())
            }
        };
        eprintln!("    {result}");
        self.line(&row, &result, busy);
    }

    /// Adds a row that cannot be measured here, and why.
    pub(crate) fn skip(&mut self, row: &Row, why: &str) {
        if self.wants(row) {
            self.line(row, &format!("not measured: {why}"), None);
        }
    }

    fn wants(&self, row: &Row) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|part| row.name.contains(part))
    }

    fn line(&mut self, row: &Row, result: &str, busy: Option<f64>) {
        let cell = result.replace('|', "\\|").replace('\n', " ");
        let Row { name, reference, aim } = row;
        let busy = busy.map_or_else(|| "-".to_owned(), |percent| format!("{percent:.0} %"));
        // Writing to a string cannot fail.
        let _ = writeln!(self.lines, "| {name} | {reference} | {aim} | {cell} | {busy} |");
    }

    /// Whether every row that was asked for gave a figure.
    pub(crate) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// The table in Markdown.
    pub(crate) fn table(&self) -> String {
        format!("| | reference | aim | ocap | busy |\n|---|---|---|---|---|\n{}", self.lines)
    }
}
