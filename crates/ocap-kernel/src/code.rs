//! Loading a vat's code when it is launched: bundles, and modules with all they import.
//!
//! The kernel only moves text here. What a vat's author wrote is parsed in a caged worker, which
//! asks for each import and is given files below one folder, and nothing else.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use ocap_core::api::CodeHash;
use ocap_types::config::{ClusterConfig, VatConfig};
use ocap_vat::codec::{self, FrameBuffer};
use ocap_vat::engine::{LogLevel, ModuleGraph, VatCode};
use ocap_vat::fault_of_exit;
use ocap_vat::frame::{FromWorker, ToWorker};
use ocap_vat::limits::{FRAME_FROM_WORKER_BYTES_MAX, FRAME_TO_WORKER_BYTES_MAX};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::api::{ErrorKind, KernelError};
use crate::limits;
use crate::workers::Nursery;

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
    if path.is_absolute() {
        return Ok(path);
    }
    match base {
        Some(base) => Ok(base.join(path)),
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
    let told = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let file = std::fs::File::open(path).map_err(told)?;
    let kind = file.metadata().map_err(told)?;
    if !kind.is_file() {
        return Err(format!("{} is not a file", path.display()));
    }
    let mut text = String::new();
    file.take(limits::CODE_FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(told)?;
    if text.len() as u64 > limits::CODE_FILE_BYTES_MAX {
        let max = limits::CODE_FILE_BYTES_MAX;
        return Err(format!("{} is larger than {max} bytes", path.display()));
    }
    Ok(text)
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
    let folder = ModuleFolder { root };
    collect(nursery, &entry, &folder).map(VatCode::Modules)
}

/// The files a module graph may be made of.
struct ModuleFolder {
    root: PathBuf,
}

impl ModuleFolder {
    /// The name and text of what `specifier` means in `referrer`; `None` if it names no file.
    fn load(&self, referrer: &str, specifier: &str) -> Result<Option<(String, String)>, String> {
        if !(specifier.starts_with("./") || specifier.starts_with("../")) {
            return Ok(None);
        }
        let wanted = wanted(referrer, specifier).ok_or_else(|| {
            let root = self.root.display();
            format!("import {specifier:?} in {referrer} leads outside {root}")
        })?;
        // Links are followed here, and where they lead counts.
        let path = std::fs::canonicalize(self.root.join(&wanted))
            .map_err(|error| format!("import {specifier:?} in {referrer}: {error}"))?;
        let name = path.strip_prefix(&self.root).map_err(|_| {
            format!("import {specifier:?} in {referrer} leads outside {}", self.root.display())
        })?;
        let text = read_file(&path)?;
        Ok(Some((name.to_string_lossy().into_owned(), text)))
    }
}

/// The path below the root that an import names; `None` if it leads out.
fn wanted(referrer: &str, specifier: &str) -> Option<PathBuf> {
    let folder = Path::new(referrer).parent().unwrap_or(Path::new(""));
    normal(&folder.join(specifier))
}

/// A relative path without `.` and `..`; `None` if it climbs out.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !out.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(out)
}

/// Has a caged worker parse the entry and everything it imports.
fn collect(nursery: &Nursery, entry: &Path, folder: &ModuleFolder) -> Result<ModuleGraph, String> {
    let told = |error: std::io::Error| format!("the code loader failed: {error}");
    let name = entry.strip_prefix(&folder.root).unwrap_or(entry);
    let entry_specifier = format!("./{}", name.display());
    let worker = nursery.spawn().map_err(told)?;
    worker.stream.set_nonblocking(false).map_err(told)?;
    let deadline = Instant::now() + Duration::from_millis(limits::COLLECT_MS_MAX);
    let mut frames = FrameBuffer::new(FRAME_FROM_WORKER_BYTES_MAX);
    let mut buffer = vec![0; 64 * 1024];
    let mut lines = 0;
    let send = |frame: &ToWorker| {
        let bytes =
            codec::encode(frame, FRAME_TO_WORKER_BYTES_MAX).map_err(std::io::Error::other)?;
        // One that asks and does not read must not hold us up.
        let left = deadline.saturating_duration_since(Instant::now());
        worker.stream.set_write_timeout(Some(left.max(Duration::from_millis(1))))?;
        (&worker.stream).write_all(&bytes)
    };
    send(&ToWorker::Collect { entry: entry_specifier }).map_err(told)?;
    loop {
        while let Some(frame) = frames.next::<FromWorker>().map_err(|e| e.to_string())? {
            match frame {
                FromWorker::LoadModule { referrer, specifier } => {
                    send(&ToWorker::Module(folder.load(&referrer, &specifier))).map_err(told)?;
                }
                FromWorker::Collected(graph) => return graph,
                FromWorker::Fault(fault) => return Err(fault.detail),
                FromWorker::Log { level, message } => {
                    lines += 1;
                    if level >= LogLevel::Warn && lines <= limits::LOADER_LINES_MAX {
                        tracing::warn!(target: "ocap::loader", "{message}");
                    }
                }
                FromWorker::Done(_)
                | FromWorker::Get { .. }
                | FromWorker::NextKey { .. }
                | FromWorker::Exists { .. }
                | FromWorker::Compiled(_) => {
                    return Err("the code loader broke the protocol".into());
                }
            }
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(format!("loading took longer than {} ms", limits::COLLECT_MS_MAX));
        }
        worker.stream.set_read_timeout(Some(left)).map_err(told)?;
        match (&worker.stream).read(&mut buffer) {
            Ok(0) => {
                let exit = worker.wait_exit(Duration::from_millis(limits::EXIT_WAIT_MS));
                return Err(format!("the code loader failed: {}", fault_of_exit(exit).detail));
            }
            Ok(count) => frames.fill(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(told(error)),
        }
    }
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
        super::wanted(referrer, specifier)
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
    fn imports_stay_below_the_root() {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().canonicalize().unwrap().join("in");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(root.join("a.js"), "a").unwrap();
        std::fs::write(outer.path().join("secret.js"), "s").unwrap();
        std::os::unix::fs::symlink("../secret.js", root.join("link.js")).unwrap();
        let folder = ModuleFolder { root };
        assert_eq!(folder.load("m.js", "./a.js"), Ok(Some(("a.js".into(), "a".into()))));
        assert_eq!(folder.load("m.js", "@endo/far"), Ok(None));
        assert!(folder.load("m.js", "../secret.js").is_err_and(|m| m.contains("outside")));
        assert!(folder.load("m.js", "./link.js").is_err_and(|m| m.contains("outside")));
        assert!(folder.load("m.js", "./none.js").is_err());
    }
}
