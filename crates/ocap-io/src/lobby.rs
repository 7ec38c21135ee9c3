//! Clients of a channel with many that have connected and are not accepted yet, and the seats that
//! bound how many there are.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::channel::lock;
use crate::door::Stream;
use crate::limits::{CONNECTIONS_KERNEL_MAX, CONNECTIONS_MAX, WAITING_MAX};

/// A client, with its seats: one of its channel's and one of the kernel's, free again when this is
/// dropped.
pub(crate) struct Guest {
    pub(crate) stream: Stream,
    pub(crate) seats: [OwnedSemaphorePermit; 2],
}

/// What all lobbies of a kernel share.
pub(crate) struct House {
    seats: Arc<Semaphore>,
    /// No two clients of a run have the same number, whatever channel they come to.
    next: AtomicU64,
}

impl House {
    pub(crate) fn new() -> House {
        let seats = Arc::new(Semaphore::new(CONNECTIONS_KERNEL_MAX));
        House { seats, next: AtomicU64::new(1) }
    }
}

/// See the module.
pub(crate) struct Lobby {
    house: Arc<House>,
    seats: Arc<Semaphore>,
    waiting: Mutex<HashMap<u64, Guest>>,
}

impl Lobby {
    /// An empty one.
    pub(crate) fn new(house: Arc<House>) -> Lobby {
        let seats = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        Lobby { house, seats, waiting: Mutex::default() }
    }

    /// Lets a client wait; answers with its number, or why there is no room, and turns it away.
    pub(crate) fn admit(&self, stream: Stream) -> Result<u64, &'static str> {
        self.seat(stream).map_err(|(stream, why)| {
            stream.part();
            why
        })
    }

    fn seat(&self, stream: Stream) -> Result<u64, (Stream, &'static str)> {
        let seat = |seats: &Arc<Semaphore>| Arc::clone(seats).try_acquire_owned();
        let Ok(own) = seat(&self.seats) else { return Err((stream, "the channel has too many")) };
        let Ok(general) = seat(&self.house.seats) else {
            return Err((stream, "the kernel has too many"));
        };
        let mut waiting = lock(&self.waiting);
        if waiting.len() >= WAITING_MAX {
            return Err((stream, "too many wait to be accepted"));
        }
        let number = self.house.next.fetch_add(1, Ordering::Relaxed);
        waiting.insert(number, Guest { stream, seats: [own, general] });
        Ok(number)
    }

    /// A client that waits, who then does not any more.
    pub(crate) fn take(&self, number: u64) -> Option<Guest> {
        lock(&self.waiting).remove(&number)
    }

    /// Turns everybody away.
    pub(crate) fn clear(&self) {
        for (_, guest) in lock(&self.waiting).drain() {
            guest.stream.part();
        }
    }
}
