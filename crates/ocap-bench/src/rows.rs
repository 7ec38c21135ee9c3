//! The rows, one module per kind.

pub(crate) mod deliveries;
pub(crate) mod isolation;
pub(crate) mod launch;
pub(crate) mod leftovers;
pub(crate) mod lines;
pub(crate) mod many;
pub(crate) mod memory;
pub(crate) mod messages;
pub(crate) mod objects;
pub(crate) mod restart;
pub(crate) mod soak;
pub(crate) mod socket;
pub(crate) mod start;
pub(crate) mod storage;
pub(crate) mod tracing;
pub(crate) mod urls;
