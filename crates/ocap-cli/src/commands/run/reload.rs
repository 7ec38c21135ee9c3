//! `ocap run --watch` and `--update`: code that changes while a cluster lives.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ocap_kernel::{CodeUpdate, Kernel, LaunchRequest};
use ocap_types::SubclusterId;

use crate::cluster_file::{self, ClusterFile};
use crate::failure::Failure;
use crate::output::{printable, say};
use crate::source_watch::SourceWatch;

/// The folders a cluster's files lie in.
pub(super) fn folders(file: &ClusterFile) -> Vec<PathBuf> {
    let config = &file.config;
    let specs = config.vats.values().chain(config.bundles.iter().flat_map(|all| all.values()));
    let specs = specs.flat_map(|vat| [&vat.source_spec, &vat.bundle_spec]).flatten();
    let paths = specs.map(|spec| file.folder.join(spec.trim_start_matches("file://")));
    let mut folders: BTreeSet<PathBuf> =
        paths.filter_map(|path| path.parent().map(Path::to_path_buf)).collect();
    folders.insert(file.folder.clone());
    folders.into_iter().filter(|folder| folder.is_dir()).collect()
}

/// Gives a cluster's vats new code whenever there is some. Ends only if files cannot be watched.
pub(super) async fn keep_up(
    kernel: &Kernel,
    path: &Path,
    request: LaunchRequest,
    mut watch: SourceWatch,
) -> Failure {
    loop {
        if let Err(failure) = watch.changed().await {
            return failure;
        }
        if let Err(failure) = look_again(kernel, path, &request).await {
            say(&format!("Not reloaded: {}", printable(&failure.text())));
        }
    }
}

async fn look_again(kernel: &Kernel, path: &Path, request: &LaunchRequest) -> Result<(), Failure> {
    let file = cluster_file::read(path)?;
    if file.config != request.config {
        let path = path.display();
        return Err(Failure::new(format!(
            "{path} has changed; press Ctrl-C and run it with --replace to launch it anew"
        )));
    }
    let status = kernel.status().await?;
    let mut clusters = status.subclusters.iter();
    let id = clusters.find(|cluster| cluster.name == request.name).map(|cluster| cluster.id);
    let id = id.ok_or_else(|| Failure::new("the cluster has been terminated"))?;
    update(kernel, id, request.clone()).await
}

/// Gives the vats whose code has changed the new code, and says what became of each.
pub(super) async fn update(
    kernel: &Kernel,
    id: SubclusterId,
    request: LaunchRequest,
) -> Result<(), Failure> {
    for CodeUpdate { vat, name, result } in kernel.update_code(id, request).await? {
        let name = printable(&name);
        match result {
            Ok(()) => say(&format!("Vat {name} ({vat}) runs its new code.")),
            Err(problem) => say(&format!("Vat {name} ({vat}): {}", printable(&problem))),
        }
    }
    Ok(())
}
