//! Language models: a client of OpenAI-compatible endpoints, and the bridge through which a matcher
//! asks one which services fit.
//!
//! The main items in this crate are [`Client`], which sends chats to an [`Endpoint`]; [`Model`], a client
//! or a recorded tape; and [`Bridge`], which connects to a matcher's socket and serves it for ever. What
//! providers write about their services is data for the model, delimited and bounded
//! ([`prompt`](mod@prompt)). Nothing here knows the kernel.

pub mod bridge;
mod catalog;
mod client;
mod endpoint;
pub mod limits;
mod model;
pub mod prompt;
mod protocol;
mod sse;
mod tape;

pub use bridge::{Bridge, BridgeOptions};
pub use catalog::Catalog;
pub use client::{Client, ModelError};
pub use endpoint::{Endpoint, EndpointError, Key};
pub use model::Model;
pub use protocol::{Match, Method, Service};
