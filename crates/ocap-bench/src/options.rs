//! The command line.

use std::path::PathBuf;

use crate::Failure;
use crate::limits::{RUNS, RUNS_QUICK};

/// What was asked for.
pub(crate) struct Options {
    /// Fewer and shorter runs.
    pub(crate) quick: bool,
    /// Where stores are made.
    pub(crate) folder: PathBuf,
    /// Rows to measure; all if empty.
    pub(crate) filters: Vec<String>,
}

impl Options {
    pub(crate) fn from_args() -> Result<Self, Failure> {
        let mut options = Self { quick: false, folder: std::env::temp_dir(), filters: Vec::new() };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--quick" => options.quick = true,
                "--dir" => options.folder = args.next().ok_or("--dir needs a folder")?.into(),
                _ if arg.starts_with('-') => {
                    return Err(format!(
                        "{arg} is no option; usage: ocap-bench [--quick] [--dir FOLDER] [FILTER...]"
                    )
                    .into());
                }
                _ => options.filters.push(arg),
            }
        }
        Ok(options)
    }

    pub(crate) fn runs(&self) -> usize {
        if self.quick { RUNS_QUICK } else { RUNS }
    }

    /// The arguments as they would be typed.
    pub(crate) fn command(&self) -> String {
        let quick = if self.quick { ["--quick"].as_slice() } else { &[] };
        let arguments: Vec<&str> =
            quick.iter().copied().chain(self.filters.iter().map(String::as_str)).collect();
        let separator = if arguments.is_empty() { "" } else { " -- " };
        format!("cargo run --release -p ocap-bench{separator}{}", arguments.join(" "))
    }
}
