//! A real kernel with real vats, in one process: vats run in worker threads here, so that these
//! tests need no executable. What needs processes is tested with the `ocap` binary.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

mod accepting;
mod bundles;
mod collection;
mod compromised;
mod crypto;
mod discovery;
mod durable;
mod endings;
mod endowments;
mod export;
mod faults;
mod hostile;
mod house;
mod io;
mod launch;
mod lives;
mod messages;
mod metering;
mod outside;
mod restart;
mod services;
mod store;
mod stories;
mod system;
mod timers;
mod urls;
