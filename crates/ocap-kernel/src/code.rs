//! Loading a vat's code when it is launched: bundles, and modules with all they import.
//!
//! The kernel only moves text here. What a vat's author wrote is parsed in a caged worker, which
//! asks for each import and is given files below one folder, and nothing else.

use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;
use ocap_core::api::CodeHash;
use ocap_types::config::{ClusterConfig, VatConfig};
use ocap_vat::engine::VatCode;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::api::{ErrorKind, KernelError};
use crate::workers::Nursery;
use folder::ModuleFolder;
pub use loader::Loader;

mod collect;
mod folder;
mod loader;
mod package;

/// Code by vat name, as the core takes it.
pub(crate) type LoadedCode = IndexMap<String, (CodeHash, Arc<str>)>;

/// Reads the code of every vat of a cluster. Blocks; call it from a thread that may.
pub(crate) fn load(
    nursery: &Nursery,
    config: &ClusterConfig,
    base: Option<&Path>,
) -> Result<LoadedCode, KernelError> {
    let mut loaded = LoadedCode::new();
    for (name, vat) in &config.vats {
        let code = load_vat(nursery, config, vat, base).map_err(|message| {
            invalid(format!("Failed to load the code of vat {name}: {message}"))
        })?;
        let text = serde_json::to_string(&code).map_err(|e| invalid(e.to_string()))?;
        let hash = hash(&text);
        loaded.insert(name.clone(), (hash, text.into()));
    }
    Ok(loaded)
}

/// Code as it is stored, decoded.
pub(crate) fn decode(text: &str) -> Result<VatCode, String> {
    serde_json::from_str(text).map_err(|error| format!("the stored code is damaged: {error}"))
}

fn invalid(message: String) -> KernelError {
    KernelError { kind: ErrorKind::Invalid, message }
}

/// Lower-case hexadecimal SHA-256.
pub(crate) fn hash(text: &str) -> CodeHash {
    let digest = Sha256::digest(text.as_bytes());
    CodeHash(digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

fn load_vat(
    nursery: &Nursery,
    cluster: &ClusterConfig,
    vat: &VatConfig,
    base: Option<&Path>,
) -> Result<VatCode, String> {
    // A `bundles` entry may not name another one, so this is at most one step.
    let spec = match &vat.bundle_name {
        Some(name) => {
            cluster.bundles.as_ref().and_then(|bundles| bundles.get(name)).ok_or_else(|| {
                format!("bundleName {name:?} is not a key of the cluster's bundles")
            })?
        }
        None => vat,
    };
    match (&spec.bundle_spec, &spec.source_spec) {
        (Some(bundle), _) => load_bundle(bundle, base),
        (None, Some(source)) => load_source(nursery, source, base),
        (None, None) => Err("it has neither bundleSpec nor sourceSpec".into()),
    }
}

/// Whether two configs say the same, with relative specs below `base`. One that was launched through
/// the socket has absolute specs, since a daemon does not know where its client stands. The names
/// do not count: whoever compares has found the one by that of the other.
pub(crate) fn same(stored: &ClusterConfig, asked: &ClusterConfig, base: Option<&Path>) -> bool {
    located(stored, base) == located(asked, base)
}

/// A config without name, whose specs are paths where they can be.
fn located(config: &ClusterConfig, base: Option<&Path>) -> ClusterConfig {
    let mut config = ClusterConfig { name: None, ..config.clone() };
    let bundles = config.bundles.iter_mut().flat_map(|bundles| bundles.values_mut());
    for vat in config.vats.values_mut().chain(bundles) {
        for spec in [&mut vat.source_spec, &mut vat.bundle_spec].into_iter().flatten() {
            if let Ok(path) = resolve(spec, base)
                && let Some(path) = path.to_str()
            {
                path.clone_into(spec);
            }
        }
    }
    config
}

/// A spec's path: a `file:` URL, or a path relative to `base`.
fn resolve(spec: &str, base: Option<&Path>) -> Result<PathBuf, String> {
    let path = if let Some(rest) = spec.strip_prefix("file://") {
        PathBuf::from(percent_decode(rest)?)
    } else if let Some((scheme, _)) = spec.split_once("://") {
        return Err(format!(
            "{spec}: {scheme} URLs are not supported; save the code in a file and name its path"
        ));
    } else {
        PathBuf::from(spec)
    };
    // Without the `.` of a `./vat.js`, which says nothing in a message.
    let plain = |path: PathBuf| path.components().collect();
    if path.is_absolute() {
        return Ok(plain(path));
    }
    match base {
        Some(base) => Ok(plain(base.join(path))),
        None => Err(format!("{spec} is a relative path; give an absolute one or a file: URL")),
    }
}

fn percent_decode(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = rest.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        bytes.push(byte.ok_or_else(|| format!("{text}: a % must be followed by two digits"))?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).map_err(|_| format!("{text} is not UTF-8"))
}

fn read_file(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    folder::read_all(file, path)
}

fn load_bundle(spec: &str, base: Option<&Path>) -> Result<VatCode, String> {
    parse_bundle(spec, &read_file(&resolve(spec, base)?)?)
}

fn parse_bundle(spec: &str, text: &str) -> Result<VatCode, String> {
    let bundle: Value = serde_json::from_str(text)
        .map_err(|error| format!("Invalid bundle: {spec} is not JSON: {error}"))?;
    let Value::Object(mut bundle) = bundle else {
        return Err("Invalid bundle: must be an object".into());
    };
    if bundle.get("moduleFormat").and_then(Value::as_str) != Some("iife") {
        let found = bundle.get("moduleFormat").unwrap_or(&Value::Null);
        let found = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
        return Err(format!("Unknown bundle format: {found}"));
    }
    match bundle.remove("code") {
        None => Err("Invalid bundle: missing code".into()),
        Some(Value::String(code)) => Ok(VatCode::Bundle(code)),
        Some(_) => Err("Invalid bundle: code must be a string".into()),
    }
}

fn load_source(nursery: &Nursery, spec: &str, base: Option<&Path>) -> Result<VatCode, String> {
    let entry = resolve(spec, base)?;
    let told = |error: std::io::Error| format!("cannot read {}: {error}", entry.display());
    let entry = std::fs::canonicalize(&entry).map_err(told)?;
    let parent = entry.parent().unwrap_or(Path::new("/")).to_path_buf();
    // Imports may reach what lies beside the config, if the entry is below it.
    let root = base
        .and_then(|base| std::fs::canonicalize(base).ok())
        .filter(|base| entry.starts_with(base))
        .unwrap_or(parent);
    let name = entry.strip_prefix(&root).unwrap_or(&entry).display().to_string();
    let folder = ModuleFolder::open(&root)?;
    collect::graph(nursery, &name, &folder).map(VatCode::Modules)
}

/// For the fuzzer.
#[cfg(feature = "unstable-fuzzing")]
pub mod fuzzing {
    /// Reads a bundle's text.
    pub fn bundle(text: &str) -> Result<ocap_vat::engine::VatCode, String> {
        super::parse_bundle("fuzz", text)
    }

    /// Where an import leads, below the root.
    pub fn import(referrer: &str, specifier: &str) -> Option<std::path::PathBuf> {
        super::folder::wanted(referrer, specifier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specs_become_paths() {
        let base = Path::new("/cluster");
        assert_eq!(resolve("a/b.js", Some(base)), Ok("/cluster/a/b.js".into()));
        assert_eq!(resolve("/x.bundle", None), Ok("/x.bundle".into()));
        assert_eq!(resolve("file:///with%20space.js", None), Ok("/with space.js".into()));
        assert!(resolve("a.js", None).is_err_and(|m| m.contains("absolute")));
        assert!(resolve("https://x/y.js", None).is_err_and(|m| m.contains("https")));
        assert!(resolve("file:///a%zz", None).is_err());
    }

    #[test]
    fn configs_are_the_same_wherever_their_specs_are_relative_to() {
        let config = |name: Option<&str>, spec: &str| {
            let value = serde_json::json!({
                "bootstrap": "a",
                "vats": {"a": {"sourceSpec": spec}, "b": {"bundleName": "c"}},
                "bundles": {"c": {"bundleSpec": spec}},
            });
            let config = ClusterConfig::from_json(&value, "").unwrap();
            ClusterConfig { name: name.map(str::to_owned), ..config }
        };
        let file = config(None, "./a.js");
        let base = Some(Path::new("/cluster"));
        for launched in ["/cluster/./a.js", "file:///cluster/a.js", "./a.js"] {
            assert!(same(&config(Some("x"), launched), &file, base), "{launched}");
        }
        for other in ["/elsewhere/a.js", "/cluster/b.js", "https://cluster/a.js", "./b.js"] {
            assert!(!same(&config(None, other), &file, base), "{other}");
        }
        assert!(same(&file, &file, None) && !same(&config(None, "/cluster/a.js"), &file, None));
    }
}
