//! Channels against real sockets, files and pipes.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests are tests")]

mod console;
mod faults;
mod pressure;
mod rig;
mod serving;
