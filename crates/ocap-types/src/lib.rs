//! The vocabulary every other crate shares: references, marshalled data, cluster configs, error
//! codes and what passes between the kernel and a vat. Pure data: no I/O, no clock, no state.

pub mod capdata;
pub mod config;
pub mod crank;
pub mod error;
pub mod limits;
pub mod passable;
mod quote;
pub mod refs;
pub mod secret;
pub mod smallcaps;
pub mod url;

pub use capdata::{CapData, KCapData, VCapData};
pub use error::KernelErrorCode;
pub use passable::Passable;
pub use refs::{ERef, EndpointId, KRef, RRef, Reference, SubclusterId, VRef, VatId};
pub use secret::Secret;
pub use url::OcapUrl;
