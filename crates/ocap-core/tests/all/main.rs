//! The core against scripted vats, over the memory store.

// A test that cannot go on says where.
#![allow(
    unreachable_pub,
    clippy::wildcard_imports,
    clippy::manual_is_multiple_of,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod asks;
mod channels;
mod collection;
mod connections;
mod cranks;
mod defects;
mod failures;
mod in_flight;
mod launches;
mod messages;
mod metering;
mod onces;
mod random;
mod references;
mod remains;
mod replace;
mod timers;
mod upkeep;
mod urls;
mod walk;
mod world;
