//! Channels against real sockets, files and pipes.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests are tests")]

mod accepting;
mod console;
mod dialing;
mod faults;
mod files;
mod pressure;
mod rig;
mod serving;
mod units;
