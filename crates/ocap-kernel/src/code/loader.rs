//! Reading code without a kernel: to see whether it can be read, and to make bundles.

use std::path::{Path, PathBuf};

use ocap_types::config::ClusterConfig;
use ocap_vat::engine::{Bundle, VatCode};

use super::folder::ModuleFolder;
use super::{collect, load_vat};
use crate::api::{ErrorKind, KernelError, WorkerMode};
use crate::workers::{Nursery, StartingNursery};

/// Reads code in caged workers. None of it runs.
pub struct Loader {
    nursery: Nursery,
}

impl Loader {
    /// Prepares for it.
    ///
    /// # Errors
    /// `Failed` if workers cannot be had.
    pub fn start(mode: &WorkerMode) -> Result<Loader, KernelError> {
        let failed = |error: std::io::Error| KernelError::new(ErrorKind::Failed, error.to_string());
        Ok(Loader {
            nursery: Nursery::begin(mode).and_then(StartingNursery::ready).map_err(failed)?,
        })
    }

    /// Reads the code of every vat of a cluster, and says of each what is wrong with it: what cannot
    /// be found or parsed, what a module imports and another does not export.
    pub fn check(
        &self,
        config: &ClusterConfig,
        base: Option<&Path>,
    ) -> Vec<(String, Result<(), String>)> {
        let check = |vat| match load_vat(&self.nursery, config, vat, base)? {
            VatCode::Bundle(code) => collect::parse(&self.nursery, code),
            VatCode::Modules(graph) => collect::link(&self.nursery, graph),
        };
        config.vats.iter().map(|(name, vat)| (name.clone(), check(vat))).collect()
    }

    /// Makes one script of a module and all it imports. It may import what lies below the nearest
    /// folder above it that has a `package.json` (below its own folder if none has): that is where
    /// npm puts packages.
    ///
    /// # Errors
    /// What is wrong with which module, for its author.
    pub fn bundle(&self, file: &Path) -> Result<Bundle, String> {
        let told = |error: std::io::Error| format!("cannot read {}: {error}", file.display());
        let entry = std::fs::canonicalize(file).map_err(told)?;
        let root = package_root(&entry);
        let name = entry.strip_prefix(&root).unwrap_or(&entry);
        let name = name.to_str().ok_or_else(|| format!("{}: not UTF-8", name.display()))?;
        collect::bundle(&self.nursery, name, &ModuleFolder::open(&root)?)
    }
}

fn package_root(entry: &Path) -> PathBuf {
    let parent = entry.parent().unwrap_or(Path::new("/"));
    let root = parent.ancestors().find(|folder| folder.join("package.json").is_file());
    root.unwrap_or(parent).to_path_buf()
}
