//! The daemon around an ocap kernel: a JSON-RPC socket, a home folder with its lock, a log, and an
//! orderly end.
//!
//! [`Daemon`] is the whole of it, for hosts that want just that; [`client`] talks to one;
//! [`Home`] says where its files are, [`settings`] what is set there.

pub mod client;
pub mod config;
mod daemon;
mod feeds;
pub mod home;
pub mod language_model;
pub mod limits;
pub mod log;
mod methods;
mod params;
pub mod rpc;
pub mod server;
pub mod service_manager;
pub mod settings;
mod status;

pub use daemon::{Daemon, DaemonError, DaemonOptions, StopReason};
pub use home::{Home, HomeError, HomeLock};
pub use methods::{Example, Method, methods};
