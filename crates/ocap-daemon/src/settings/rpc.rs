//! `[rpc]`: what clients of the socket may use.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::limits;
use crate::settings::ranged;

/// `[rpc]`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RpcSettings {
    /// Connections at the same time. The next one is told so and closed.
    #[serde(deserialize_with = "connections")]
    pub connections: usize,
    /// How long a session may be silent while nothing is being done for it.
    #[serde(rename = "session_idle_seconds", deserialize_with = "session_idle")]
    pub session_idle: Duration,
}

impl Default for RpcSettings {
    fn default() -> RpcSettings {
        RpcSettings { connections: limits::CONNECTIONS_MAX, session_idle: limits::SESSION_IDLE_MAX }
    }
}

fn connections<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    ranged(from, 1, limits::CONNECTIONS_MAX as u64).map(|number| number as usize)
}

fn session_idle<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    ranged(from, 1, limits::SESSION_IDLE_SETTABLE.as_secs()).map(Duration::from_secs)
}
