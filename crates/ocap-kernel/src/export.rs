//! A store as text, and back: for looking at, and for moving between versions.
//!
//! The main items in this module are [`export`] and [`import`]. The form, version
//! [`EXPORT_VERSION`], is lines of JSON:
//!
//! ```text
//! {"ocapExport":1,"batch":7,"epoch":2,"writtenBy":"0.1.0"}
//! ["c.v1.k.ko4","R o-1"]
//! ["format","1"]
//! {"rows":2,"sha256":"<of all bytes before this line, hexadecimal>"}
//! ```
//!
//! First a header; then an array of key and value per row, both as they are in the store, in
//! ascending order of the keys' bytes; last how many rows there were, which shows that nothing is
//! missing. An import believes none of it: it goes through the same walk as `ocap doctor` before it
//! counts.

use std::fmt::Write as _;
use std::io::{self, BufRead, Read as _, Write};
use std::path::Path;

use ocap_store::sqlite::{self, Draft, Loading, Place};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::api::{ErrorKind, KernelError};
use crate::backup::{of_store, place_if_sound};
use crate::doctor::Examination;
use crate::limits;

/// The version of the form.
pub const EXPORT_VERSION: u64 = 1;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Header {
    ocap_export: u64,
    batch: u64,
    epoch: u64,
    written_by: String,
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trailer {
    rows: u64,
    sha256: String,
}

/// What all versions of the first line have.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnyHeader {
    ocap_export: u64,
}

/// Writes all that is in a store that no kernel has open. Answers with the number of rows. `goes_on`
/// hears that number now and then; the export ends once it says `false`.
///
/// # Errors
/// `Busy` if a kernel runs on it, `Invalid` if it is no store, `Stopped` if `goes_on` said so, else
/// `Failed`: what was written is then of no use.
pub fn export(
    store: &Path,
    out: &mut dyn Write,
    mut goes_on: impl FnMut(u64) -> bool,
) -> Result<u64, KernelError> {
    let seen = sqlite::inspect(store).map_err(of_store)?;
    if !seen.damage.is_empty() {
        let message = format!("{} is damaged; `ocap doctor` says more", store.display());
        return Err(KernelError::new(ErrorKind::Failed, message));
    }
    let mut lines = Lines { out, hash: Sha256::new() };
    lines.write(&Header {
        ocap_export: EXPORT_VERSION,
        batch: seen.last_seq,
        epoch: seen.epoch,
        written_by: env!("CARGO_PKG_VERSION").to_owned(),
    })?;
    let mut rows = 0;
    let mut after = String::new();
    while let Some((key, value)) = seen.reader.next("", &after).map_err(of_store)? {
        lines.write(&(&key, &value))?;
        rows += 1;
        after = key;
        if rows % limits::EXPORT_ROWS_PER_LOOK == 0 && !goes_on(rows) {
            return Err(stopped());
        }
    }
    let sha256 = lines.digest();
    lines.write(&Trailer { rows, sha256 })?;
    lines.out.flush().map_err(written)?;
    Ok(rows)
}

/// Makes an export the store of a kernel that has none, if the walk over it has no finding. `goes_on`
/// hears the number of rows now and then; the import ends once it says `false`.
///
/// # Errors
/// `Invalid` if it is no export of a version this program knows, is not complete, or there is a
/// store already; `Busy` if a kernel runs on that; `Stopped` if `goes_on` said so; else `Failed`.
pub fn import(
    from: &mut dyn BufRead,
    store: &Path,
    mut goes_on: impl FnMut(u64) -> bool,
) -> Result<Examination, KernelError> {
    let mut source = Exported { from, hash: Sha256::new(), line: Vec::new(), number: 0 };
    let header = source.header()?;
    let loading = Draft::load(store, Place::Store, header.epoch, header.batch);
    let mut loading = loading.map_err(of_store)?;
    let mut rows = 0;
    let mut last = String::new();
    loop {
        let before = source.hash.clone();
        if !source.next()? {
            return Err(source.wrong("the file is cut off: its last line is missing"));
        }
        if source.line.starts_with(b"{") {
            source.check_end(rows, before)?;
            break;
        }
        source.put_row(&mut loading, &mut last)?;
        rows += 1;
        if rows % limits::EXPORT_ROWS_PER_LOOK == 0 && !goes_on(rows) {
            return Err(stopped());
        }
    }
    place_if_sound(loading.finish().map_err(of_store)?)
}

/// Lines that are written, and what they amount to.
struct Lines<'a> {
    out: &'a mut dyn Write,
    hash: Sha256,
}

impl Lines<'_> {
    fn write(&mut self, line: &impl Serialize) -> Result<(), KernelError> {
        let mut text = serde_json::to_vec(line).map_err(|error| written(error.into()))?;
        text.push(b'\n');
        if text.len() as u64 > limits::EXPORT_LINE_BYTES_MAX {
            let max = limits::EXPORT_LINE_BYTES_MAX;
            let message = format!("a row takes more than {max} bytes as text");
            return Err(KernelError::new(ErrorKind::Limit, message));
        }
        self.hash.update(&text);
        self.out.write_all(&text).map_err(written)
    }

    fn digest(&self) -> String {
        hexadecimal(&self.hash.clone().finalize())
    }
}

/// An export that is read.
struct Exported<'a> {
    from: &'a mut dyn BufRead,
    hash: Sha256,
    line: Vec<u8>,
    number: u64,
}

impl Exported<'_> {
    /// Reads the next line; `false` at the end.
    fn next(&mut self) -> Result<bool, KernelError> {
        self.line.clear();
        let max = limits::EXPORT_LINE_BYTES_MAX;
        let read = (&mut *self.from).take(max).read_until(b'\n', &mut self.line);
        read.map_err(|error| KernelError::new(ErrorKind::Failed, error.to_string()))?;
        self.number += 1;
        if self.line.is_empty() {
            return Ok(false);
        }
        self.hash.update(&self.line);
        match self.line.pop() {
            Some(b'\n') => Ok(true),
            _ if self.line.len() as u64 + 1 == max => {
                Err(self.wrong(&format!("longer than {max} bytes")))
            }
            _ => Err(self.wrong("the file is cut off within this line")),
        }
    }

    fn header(&mut self) -> Result<Header, KernelError> {
        self.next()?;
        let version =
            serde_json::from_slice(&self.line).map(|AnyHeader { ocap_export }| ocap_export);
        match version {
            Ok(EXPORT_VERSION) => {}
            Ok(other) => {
                return Err(self.wrong(&format!(
                    "an export of version {other}; this program knows {EXPORT_VERSION}"
                )));
            }
            Err(_) => return Err(self.wrong("no export of ocap: it has no header")),
        }
        let header: Header =
            serde_json::from_slice(&self.line).map_err(|error| self.wrong(&error.to_string()))?;
        if header.batch > limits::COUNTED_MAX || header.epoch > limits::COUNTED_MAX {
            return Err(self.wrong("a batch or an epoch that no kernel reaches"));
        }
        Ok(header)
    }

    fn put_row(&mut self, loading: &mut Loading, last: &mut String) -> Result<(), KernelError> {
        let row = serde_json::from_slice(&self.line);
        let (key, value): (String, String) =
            row.map_err(|error| self.wrong(&format!("no row: {error}")))?;
        if key <= *last {
            return Err(self.wrong("a key that is not above the one before it"));
        }
        loading.put(&key, &value).map_err(of_store)?;
        *last = key;
        Ok(())
    }

    /// Checks the last line, and that it is. `before` is what all lines before it amount to.
    fn check_end(&mut self, rows: u64, before: Sha256) -> Result<(), KernelError> {
        let trailer: Trailer = serde_json::from_slice(&self.line)
            .map_err(|error| self.wrong(&format!("neither a row nor the end: {error}")))?;
        if trailer.rows != rows {
            let said = trailer.rows;
            return Err(self.wrong(&format!("there are {rows} rows, not {said} as this says")));
        }
        if trailer.sha256 != hexadecimal(&before.finalize()) {
            return Err(self.wrong("the file has been changed: its hash is another"));
        }
        if self.next()? {
            return Err(self.wrong("something after the end"));
        }
        Ok(())
    }

    fn wrong(&self, problem: &str) -> KernelError {
        KernelError::new(ErrorKind::Invalid, format!("line {}: {problem}", self.number))
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn stopped() -> KernelError {
    KernelError::new(ErrorKind::Stopped, "stopped before it was done")
}

#[allow(clippy::needless_pass_by_value, reason = "the shape `map_err` wants")]
fn written(error: io::Error) -> KernelError {
    KernelError::new(ErrorKind::Failed, format!("cannot write the export: {error}"))
}
