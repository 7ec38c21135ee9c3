//! How much one channel, or one connection of a channel with many clients, may hold.

use crate::limits;

/// Limits of what is on its way in and out. Those of [`limits`] explain each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) unit_bytes: usize,
    pub(crate) inbound_units: u64,
    pub(crate) inbound_bytes: u64,
    pub(crate) outbound_calls: usize,
    pub(crate) outbound_bytes: usize,
}

/// Of a channel that is read and written itself.
pub(crate) const CHANNEL: Bounds = Bounds {
    unit_bytes: limits::UNIT_BYTES_MAX,
    inbound_units: limits::INBOUND_UNITS_MAX,
    inbound_bytes: limits::INBOUND_BYTES_MAX,
    outbound_calls: limits::OUTBOUND_CALLS_MAX,
    outbound_bytes: limits::OUTBOUND_BYTES_MAX,
};

/// Of one connection among many.
pub(crate) const CONNECTION: Bounds = Bounds {
    unit_bytes: limits::CONNECTION_UNIT_BYTES_MAX,
    inbound_units: limits::CONNECTION_INBOUND_UNITS_MAX,
    inbound_bytes: limits::CONNECTION_INBOUND_BYTES_MAX,
    outbound_calls: limits::CONNECTION_OUTBOUND_CALLS_MAX,
    outbound_bytes: limits::CONNECTION_OUTBOUND_BYTES_MAX,
};
