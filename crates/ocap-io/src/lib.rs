//! IO channels: what lets the vats of one subcluster talk to the world outside the kernel.
//!
//! The main items are [`IoHost`], which owns every channel of a kernel; [`ChannelKey`], its name;
//! and [`ChannelEvent`], what happens to it. A channel is opened once and then looks after itself:
//! whatever keeps it from serving is reported as [`ChannelEvent::Unavailable`] and retried until
//! the cause is gone or the channel is closed.
//!
//! There are Unix sockets and TCP ports that serve one client at a time, or many, each accepted by
//! [`IoHost::accept`] as a channel of its own; connections that the kernel makes and makes again, files,
//! named pipes and the console. Nothing here knows vats or promises.
//! Invariants:
//!
//! * Units arrive in order, each client's between its `Connected` and its `End`; no unit is
//!   dropped, merged with another client's or altered. What cannot be a unit is a `Bad` in its
//!   place.
//! * At most [`limits::INBOUND_UNITS_MAX`] units and [`limits::INBOUND_BYTES_MAX`] bytes per
//!   channel are handed out and not yet given back by [`IoHost::consumed`]; beyond that the peer
//!   waits. A connection among many has less.
//! * At most [`limits::CONNECTIONS_MAX`] clients of a channel are there, and
//!   [`limits::WAITING_MAX`] of them not yet accepted; others are turned away.
//! * Every [`IoHost::write`] leads to exactly one [`ChannelEvent::WriteDone`].
//! * No file is ever removed but a Unix socket that nobody holds, or our own.

mod bounds;
mod channel;
mod claims;
mod client;
mod connection;
mod console;
mod door;
mod file;
mod framing;
mod host;
pub mod limits;
mod lobby;
mod outbox;
mod place;
mod reception;
mod retry;
mod server;
mod socket;

pub use channel::{ChannelEvent, ChannelKey, EventSink};
pub use console::Console;
pub use host::IoHost;
