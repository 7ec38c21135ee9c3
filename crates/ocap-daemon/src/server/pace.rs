//! How fast bytes are taken that few honest clients send.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Shares a number of bytes a second among all who ask, first come, first served. A burst after a
/// pause does not wait.
#[derive(Debug)]
pub(super) struct Pace {
    bytes_per_second: u64,
    /// How far ahead of the clock the bytes of a burst may be.
    burst: Duration,
    /// When all bytes so far would have come at an even pace.
    even: Mutex<Instant>,
}

impl Pace {
    pub(super) fn new(bytes_per_second: u64, burst_bytes: u64) -> Pace {
        let even = Mutex::new(Instant::now());
        Pace { bytes_per_second, burst: span(burst_bytes, bytes_per_second), even }
    }

    /// Counts bytes that were taken at `now`: when the next may be.
    pub(super) fn count(&self, bytes: usize, now: Instant) -> Instant {
        let mut even = self.even.lock().unwrap_or_else(PoisonError::into_inner);
        *even = now.max(*even) + span(bytes as u64, self.bytes_per_second);
        now.max(even.checked_sub(self.burst).unwrap_or(now))
    }
}

fn span(bytes: u64, bytes_per_second: u64) -> Duration {
    Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / bytes_per_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_what_follows_comes_evenly() {
        let pace = Pace::new(1_000, 300);
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(pace.count(100, start), start);
        }
        // From here on 100 bytes take 100 ms, for whoever sends them.
        for tenths in 1..=5 {
            assert_eq!(pace.count(100, start), start + Duration::from_millis(100 * tenths));
        }
        // A pause makes up for it, and for no more than a burst.
        let later = start + Duration::from_secs(10);
        assert_eq!(pace.count(300, later), later);
        assert_eq!(pace.count(100, later), later + Duration::from_millis(100));
    }
}
