//! The vocabulary every other crate shares: references, marshalled data, cluster configs, error
//! codes and what passes between the kernel and a vat. Pure data: no I/O, no clock, no state.

pub mod capdata;
pub mod config;
pub mod crank;
pub mod refs;

pub use capdata::{CapData, KCapData, VCapData};
pub use refs::{EndpointId, KRef, SubclusterId, VRef, VatId};
