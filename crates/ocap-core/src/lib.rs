//! The ocap kernel as a state machine.
//!
//! No I/O, no async, no threads, no clock, no randomness: inputs are method calls, outputs are
//! values, and state is the key space of a store read through [`ocap_store::Reader`] and written
//! as [`ocap_store::Batch`]es that the driver commits.
//!
//! A driver opens a [`Core`], hands every [`api::Dispatch`] of [`Core::dispatch`] to a worker and
//! the outcome to [`Core::settle`], carries out [`Core::take_commands`] at once, and from time to
//! time takes what [`Core::seal`] gives, commits the batch, says [`Core::committed`], and only then
//! releases the effects, in order.
//!
//! Modules, from the outside in: `launch`, `system`, `registry`, `host`, `upkeep`, `boot` and
//! `status` are what the driver asks for; `dispatch` and `settle` are cranks; `incarnation`, `sweep`, `remains`, `service` and
//! `channel` the kernel's own affairs; `route`, `queue`, `promise`, `clist`, `refcount`, `gc` and
//! `reap` the rules; `rows`, `text`, `keys` and `space` the state; `check` proves it sound.

#![forbid(unsafe_code)]

pub mod api;
mod ask;
mod boot;
mod channel;
mod check;
mod clist;
mod connection;
mod core;
mod dispatch;
mod errors;
mod gc;
mod host;
mod identity;
mod incarnation;
mod inspect;
mod key;
mod keys;
mod launch;
pub mod limits;
mod metering;
mod observe;
mod once;
mod parameters;
mod promise;
mod queue;
mod reap;
mod refcount;
mod registry;
mod remains;
mod replace;
mod route;
mod rows;
mod service;
mod settle;
mod space;
mod status;
mod sweep;
mod system;
mod text;
mod timer;
mod upkeep;
mod url;
mod url_service;
mod value;

pub use crate::check::{Watch, WatchedSubcluster, WatchedVat, check_store};
pub use crate::core::Core;
pub use crate::identity::{identity_batch, stored_identity};
pub use crate::timer::NAME as TIMER_SERVICE;
pub use crate::url_service::{ISSUER as URL_ISSUER, REDEEMER as URL_REDEEMER};

/// What the keys of rows begin with that nobody outside may see.
pub const HIDDEN_KEYS: [&str; 1] = ["secret."];
