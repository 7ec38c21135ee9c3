//! The kernel a host embeds: core, store, vats, IO channels and services wired together.
//!
//! [`Kernel::start`] opens a store and brings everything back; the value it returns is a handle
//! that any thread may clone and use. Behind it is one thread, the driver, which owns the core
//! and never blocks; a second one commits batches; vats run in processes of their own. What this
//! crate adds to the core is only the outside: files, clocks, processes, sockets.

mod api;
mod asks;
mod backup;
mod bytecode;
mod code;
mod collection;
mod committer;
mod doctor;
mod driver;
mod export;
mod facet;
mod failpoint;
#[cfg(feature = "fetch")]
mod fetch;
mod files;
mod identity;
mod inbox;
mod kernel;
pub mod limits;
mod message;
mod query;
mod reach;
mod release;
mod requests;
mod service;
mod services;
mod settings;
mod store;
mod trace;
mod urls;
mod workers;

pub use api::*;
pub use backup::{Backup, CopyProgress, backup, restore};
pub use code::Loader;
pub use doctor::{Examination, examine};
pub use export::{EXPORT_VERSION, export, import};
pub use identity::{adopt_identity, identity_of, identity_of_seed, identity_of_words};
pub use kernel::Kernel;
pub use ocap_vat::engine::Bundle;
pub use query::{Cell, Table};
pub use service::{KernelService, ServiceCall, ServiceReply};
pub use trace::{About, Cause, TraceEvent, TracePage, Traced};

#[cfg(feature = "unstable-fuzzing")]
pub use code::fuzzing;
