//! The `ocap` command from outside: real processes, real sockets, real files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod authoring;
mod backup;
mod behaviours;
mod bundled;
mod bundling;
mod chat;
mod commands;
mod crash;
mod crash_load;
mod database;
mod discovery;
mod doctor;
mod flow;
mod guestbook;
mod guide;
mod hostile;
mod io;
mod lifecycle;
mod load;
mod once;
mod output;
mod picture;
mod privacy;
mod reload;
mod rig;
mod rpc;
mod service_manager;
mod session;
mod settings;
mod stopping;
mod terminal;
mod timers;
mod transcript;
mod urls;
mod vats;
