//! The kernel a host embeds: core, store, vats, IO channels and services wired together.

mod api;

pub use api::*;
