//! Cluster configs in files.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use ocap_kernel::LaunchRequest;
use ocap_types::config::ClusterConfig;
use serde_json::Value;

use crate::failure::Failure;
use crate::limits;

/// A config and where it was found.
#[derive(Debug)]
pub(crate) struct ClusterFile {
    /// The folder of the file: relative specs start there.
    pub(crate) folder: PathBuf,
    /// What the file says.
    pub(crate) config: ClusterConfig,
    /// The same, as it was written.
    pub(crate) value: Value,
}

/// Reads and checks a config.
pub(crate) fn read(path: &Path) -> Result<ClusterFile, Failure> {
    let at = |problem: String| Failure::new(format!("{}: {problem}", path.display()));
    let path_found = path.canonicalize().map_err(|error| at(error.to_string()))?;
    let file = File::open(&path_found).map_err(|error| at(error.to_string()))?;
    if !file.metadata()?.is_file() {
        return Err(at("is not a file; give the cluster's config, e.g. cluster.json".to_owned()));
    }
    let mut text = String::new();
    let read = file.take(limits::CONFIG_BYTES_MAX + 1).read_to_string(&mut text);
    read.map_err(|error| at(error.to_string()))?;
    if text.len() as u64 > limits::CONFIG_BYTES_MAX {
        return Err(at(format!("longer than {} bytes", limits::CONFIG_BYTES_MAX)));
    }
    let value: Value =
        serde_json::from_str(&text).map_err(|error| at(format!("is not JSON: {error}")))?;
    let config = ClusterConfig::from_json(&value, "").map_err(|error| at(error.to_string()))?;
    let folder = path_found.parent().map(Path::to_path_buf).unwrap_or_default();
    Ok(ClusterFile { folder, config, value })
}

impl ClusterFile {
    /// A request to launch it under a name.
    pub(crate) fn request(&self, name: &str) -> LaunchRequest {
        LaunchRequest {
            config: self.config.clone(),
            name: Some(name.to_owned()),
            base: Some(self.folder.clone()),
        }
    }

    /// The name for a cluster that has none of its own.
    pub(crate) fn folder_name(&self) -> Option<String> {
        self.folder.file_name().and_then(|name| name.to_str()).map(str::to_owned)
    }
}

/// Makes the paths among the specs of a config (given as JSON of any shape) absolute.
pub(crate) fn make_specs_absolute(config: &mut Value, folder: &Path) {
    for table in ["vats", "bundles"] {
        let Some(Value::Object(entries)) = config.get_mut(table) else { continue };
        for vat in entries.values_mut() {
            for key in ["sourceSpec", "bundleSpec"] {
                if let Some(Value::String(spec)) = vat.get_mut(key)
                    && ocap_daemon::config::is_relative(spec)
                    && let Some(path) = folder.join(&*spec).to_str()
                {
                    path.clone_into(spec);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_relative_paths_change() {
        let mut config = json!({
            "vats": {
                "a": {"sourceSpec": "./a.js"},
                "b": {"bundleSpec": "https://x/b.bundle"},
                "c": {"bundleSpec": "/c.bundle"},
                "d": {"sourceSpec": 5},
                "e": null,
            },
            "bundles": {"f": {"bundleSpec": "f.bundle"}},
        });
        make_specs_absolute(&mut config, Path::new("/x/y"));
        assert_eq!(config["vats"]["a"]["sourceSpec"], "/x/y/./a.js");
        assert_eq!(config["vats"]["b"]["bundleSpec"], "https://x/b.bundle");
        assert_eq!(config["vats"]["c"]["bundleSpec"], "/c.bundle");
        assert_eq!(config["bundles"]["f"]["bundleSpec"], "/x/y/f.bundle");
        for mut odd in [json!(null), json!([]), json!({"vats": 5})] {
            let before = odd.clone();
            make_specs_absolute(&mut odd, Path::new("/x"));
            assert_eq!(odd, before);
        }
    }
}
