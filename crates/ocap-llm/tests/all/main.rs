//! The client and the bridge against a real endpoint: a small server in this process.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

mod bridge;
mod client;
mod model_server;
