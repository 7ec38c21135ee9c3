//! The code a cluster config names.

use ocap_types::config::{ClusterConfig, VatConfig};

/// Every `sourceSpec` and `bundleSpec` of a config, with its path in it.
pub fn specs(config: &ClusterConfig) -> impl Iterator<Item = (String, &str)> {
    let vats = config.vats.iter().map(|(name, vat)| (format!("vats.{name}"), vat));
    let bundles = config.bundles.iter().flatten();
    let bundles = bundles.map(|(name, vat)| (format!("bundles.{name}"), vat));
    vats.chain(bundles).flat_map(|(path, vat)| of_vat(path, vat))
}

fn of_vat(path: String, vat: &VatConfig) -> impl Iterator<Item = (String, &str)> {
    let specs = [("sourceSpec", &vat.source_spec), ("bundleSpec", &vat.bundle_spec)];
    specs
        .into_iter()
        .filter_map(move |(key, spec)| spec.as_deref().map(|spec| (format!("{path}.{key}"), spec)))
}

/// Whether a spec is a path that means nothing without a folder to start from.
pub fn is_relative(spec: &str) -> bool {
    !spec.contains("://") && !spec.starts_with("data:") && !spec.starts_with('/')
}
