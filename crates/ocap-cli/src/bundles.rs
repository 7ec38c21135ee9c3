//! Bundles in files, beside what they are made of.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use ocap_kernel::{Bundle, Loader};
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{printable, say};

/// The ending of a bundle's name.
pub(crate) const ENDING: &str = "bundle";

/// A bundle as its file has it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BundleFile<'a> {
    module_format: &'a str,
    code: &'a str,
    exports: &'a [String],
    external: [&'a str; 0],
}

/// Whether bundles are made of files of this name.
pub(crate) fn is_source(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    [".js", ".ts"].iter().any(|end| name.ends_with(end)) && !name.ends_with(".d.ts")
}

/// The sources in a folder, not in those below, sorted.
pub(crate) fn sources(folder: &Path) -> Result<BTreeSet<PathBuf>, Failure> {
    let at = |error: std::io::Error| Failure::new(format!("{}: {error}", folder.display()));
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).map_err(at)? {
        let path = entry.map_err(at)?.path();
        if is_source(&path) && path.is_file() {
            found.insert(path);
        }
    }
    Ok(found)
}

/// What is written of bundles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    /// Each.
    Always,
    /// Those that are not there already as they should be.
    Changed,
}

/// Makes the bundle of a source, and says so if it is written.
pub(crate) fn make(loader: &Loader, source: &Path, what: Write) -> Result<(), String> {
    let Bundle { code, exports, warnings } = loader.bundle(source)?;
    for warning in warnings {
        say(&printable(&format!("Warning: {warning}")));
    }
    let file = BundleFile { module_format: "iife", code: &code, exports: &exports, external: [] };
    let text = serde_json::to_vec(&file).map_err(|error| error.to_string())?;
    let path = source.with_extension(ENDING);
    if what == Write::Changed && std::fs::read(&path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    let told = |error: std::io::Error| format!("cannot write {}: {error}", path.display());
    write_whole(&path, &text).map_err(told)?;
    say(&format!("Wrote {}: {} bytes", path.display(), text.len()));
    Ok(())
}

/// Writes a file that others see as it was, or whole.
fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let draft = path.with_extension(format!("{ENDING}.{}", std::process::id()));
    let write = || {
        File::create(&draft)?.write_all(bytes)?;
        std::fs::rename(&draft, path)
    };
    write().inspect_err(|_| {
        let _ = std::fs::remove_file(&draft);
    })
}
