//! Which chats go on at once, so that no cluster takes all of the service.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Payer;
use crate::limits;

/// The places for chats.
pub(super) struct Places {
    all: Lane,
    /// Those of each who has chats under way or waiting.
    own: Mutex<BTreeMap<Payer, Lane>>,
}

/// So many may go on, and so many more wait.
#[derive(Clone)]
struct Lane {
    admitted: Arc<Semaphore>,
    going: Arc<Semaphore>,
}

impl Lane {
    fn new(going: usize, waiting: usize) -> Lane {
        let of = |permits| Arc::new(Semaphore::new(permits));
        Lane { admitted: of(going + waiting), going: of(going) }
    }

    fn admit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.admitted).try_acquire_owned().ok()
    }

    /// Nobody holds anything of it.
    fn is_idle(&self) -> bool {
        Arc::strong_count(&self.admitted) == 1
    }
}

/// A chat that may wait for its place.
pub(super) struct Admitted {
    own: Lane,
    all: Lane,
    held: [OwnedSemaphorePermit; 2],
}

/// A chat that may go on, while this is kept.
pub(super) struct Place {
    _held: [OwnedSemaphorePermit; 4],
}

impl Places {
    pub(super) fn new() -> Places {
        let all = Lane::new(limits::CHATS_MAX, limits::CHATS_WAITING_MAX);
        Places { all, own: Mutex::default() }
    }

    /// Lets a chat wait.
    ///
    /// # Errors
    /// If too many do already, of this payer or of all.
    pub(super) fn admit(&self, payer: Payer) -> Result<Admitted, String> {
        let mut lanes = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.retain(|_, lane| !lane.is_idle());
        let new = || Lane::new(limits::CHATS_OF_ONE_MAX, limits::CHATS_OF_ONE_WAITING_MAX);
        let own = lanes.entry(payer).or_insert_with(new);
        let Some(ours) = own.admit() else {
            return Err("too many chats of this cluster wait for the model; try again when \
                        some of them are answered"
                .to_owned());
        };
        let Some(every) = self.all.admit() else {
            return Err("too many chats wait for the model; try again later".to_owned());
        };
        Ok(Admitted { own: own.clone(), all: self.all.clone(), held: [ours, every] })
    }
}

impl Admitted {
    /// Waits for its place.
    ///
    /// # Errors
    /// If there is no service any more.
    pub(super) async fn place(self) -> Result<Place, String> {
        let Admitted { own, all, held: [ours, every] } = self;
        let ended = |_| "the service has ended".to_owned();
        // Who waits for its own does not hold up others.
        let own = own.going.acquire_owned().await.map_err(ended)?;
        let all = all.going.acquire_owned().await.map_err(ended)?;
        Ok(Place { _held: [ours, every, own, all] })
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use ocap_types::SubclusterId;

    /// The place, if it need not be waited for.
    fn at_once(admitted: Admitted) -> Option<Place> {
        let mut context = Context::from_waker(Waker::noop());
        match Box::pin(admitted.place()).as_mut().poll(&mut context) {
            Poll::Ready(place) => place.ok(),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_cluster_that_asks_without_end_leaves_places_to_others() {
        let places = Places::new();
        let (busy, other) = (Some(SubclusterId(1)), Some(SubclusterId(2)));
        let going: Vec<Place> = (0..limits::CHATS_OF_ONE_MAX)
            .map_while(|_| at_once(places.admit(busy).ok()?))
            .collect();
        assert_eq!(going.len(), limits::CHATS_OF_ONE_MAX);
        let waiting: Vec<Admitted> = std::iter::from_fn(|| places.admit(busy).ok()).collect();
        assert_eq!(waiting.len(), limits::CHATS_OF_ONE_WAITING_MAX);
        let problem = places.admit(busy).map(|_| ()).unwrap_err();
        assert!(problem.contains("of this cluster"), "{problem}");
        let others = at_once(places.admit(other).unwrap()).unwrap();
        assert!(waiting.into_iter().all(|waiting| at_once(waiting).is_none()));

        drop(going);
        assert!(at_once(places.admit(busy).unwrap()).is_some());
        drop(others);
        let _one_more = places.admit(None).unwrap();
        assert_eq!(places.own.lock().unwrap().len(), 1);
    }

    #[test]
    fn all_together_are_bounded() {
        let places = Places::new();
        let clusters = || (1..).map(|number| Some(SubclusterId(number)));
        let going: Vec<Place> =
            clusters().map_while(|one| at_once(places.admit(one).ok()?)).collect();
        assert_eq!(going.len(), limits::CHATS_MAX);
        let waiting: Vec<Admitted> = clusters().map_while(|one| places.admit(one).ok()).collect();
        assert_eq!(waiting.len(), limits::CHATS_WAITING_MAX);
    }
}
