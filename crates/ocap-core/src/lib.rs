//! The ocap kernel as a state machine.
//!
//! No I/O, no async, no threads, no clock, no randomness: inputs are method calls, outputs are
//! values, and state is the key space of a store read through [`ocap_store::Reader`] and written
//! as [`ocap_store::Batch`]es that the driver commits.

pub mod api;
