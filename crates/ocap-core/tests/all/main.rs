//! The core against scripted vats, over the memory store.

#![allow(unreachable_pub)]

mod channels;
mod cranks;
mod launches;
mod messages;
mod random;
mod walk;
mod world;
