//! Cluster configs as they come from clients and files.

use ocap_types::config::{ClusterConfig, VatConfig};
use serde_json::Value;

use crate::params::invalid;
use crate::rpc::RpcError;

/// Checks a config; `path` is where it lies, for the message.
pub(crate) fn parse(value: &Value, path: &str) -> Result<ClusterConfig, RpcError> {
    serde_json::from_value(value.clone())
        .map_err(|error| invalid(format_args!("At path: {path} -- {error}")))
}

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
