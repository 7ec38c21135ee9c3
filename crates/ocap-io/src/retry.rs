//! What to do about a channel that cannot be opened: say so, wait, try again.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::channel::Channel;
use crate::claims::Claims;
use crate::limits::{RETRY_MS_MAX, RETRY_MS_MIN};

/// Doubles from [`RETRY_MS_MIN`] to [`RETRY_MS_MAX`].
#[derive(Debug)]
pub(crate) struct Backoff {
    next_ms: u64,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Backoff { next_ms: RETRY_MS_MIN }
    }

    /// The next delay.
    pub(crate) fn next(&mut self) -> Duration {
        let delay = Duration::from_millis(self.next_ms);
        self.next_ms = (self.next_ms * 2).min(RETRY_MS_MAX);
        delay
    }

    /// It worked: begin anew.
    pub(crate) fn reset(&mut self) {
        *self = Backoff::new();
    }
}

/// Why a channel cannot be opened, by what has to happen before trying again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Nothing can change it in this run.
    Never(String),
    /// The cause may go away.
    Later(String),
    /// Nothing is wrong, but nobody is at the other end.
    Absent(String),
    /// Another channel of this kernel has to let go.
    Held(String),
    /// A channel of this kernel that is being closed has to let go, which it will do at once.
    Closing,
}

/// The attempts of one channel.
pub(crate) struct Retry {
    backoff: Backoff,
    releases: watch::Receiver<u64>,
}

impl Retry {
    pub(crate) fn new(claims: &Claims) -> Self {
        Retry { backoff: Backoff::new(), releases: claims.releases() }
    }

    /// An attempt begins: what is released from here on may be what it lacks.
    pub(crate) fn begin(&mut self) {
        self.releases.mark_unchanged();
    }

    /// An attempt succeeded.
    pub(crate) fn succeeded(&mut self) {
        self.backoff.reset();
    }

    /// An attempt failed: reports it and returns when the next one is due or the channel closed.
    pub(crate) async fn report_and_wait(&mut self, channel: &Channel, refusal: Refusal) {
        let (reason, held) = match refusal {
            Refusal::Absent(reason) => {
                let delay = self.backoff.next();
                tracing::debug!("{}: {reason}", channel.key);
                channel.connecting(Some(reason), delay);
                tokio::select! {
                    () = channel.closed() => {}
                    () = sleep(delay) => {}
                }
                return;
            }
            Refusal::Later(reason) => (reason, false),
            Refusal::Held(reason) => (reason, true),
            Refusal::Closing => {
                tokio::select! {
                    () = channel.closed() => {}
                    _ = self.releases.changed() => {}
                }
                return;
            }
            Refusal::Never(reason) => {
                tracing::warn!("{}: {reason}", channel.key);
                channel.unavailable(reason, None);
                return channel.closed().await;
            }
        };
        let delay = self.backoff.next();
        tracing::warn!("{}: {reason}; trying again in {} ms", channel.key, delay.as_millis());
        channel.unavailable(reason, Some(delay));
        tokio::select! {
            () = channel.closed() => {}
            () = sleep(delay) => {}
            _ = self.releases.changed(), if held => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_limit_and_begins_anew() {
        let mut backoff = Backoff::new();
        let delays: Vec<u128> = (0..9).map(|_| backoff.next().as_millis()).collect();
        assert_eq!(delays, [250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
        backoff.reset();
        assert_eq!(backoff.next().as_millis(), 250);
    }
}
