//! How far a subscriber has been told of the log.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, Weak};

use portable_atomic::AtomicU128;

use super::feed::Feed;
use super::feed::router::Router;
use super::push::parked::Seat;
use crate::event::Position;

/// A place in the log through which a subscriber was handed everything that matches: who resumes from there misses
/// nothing. It moves on through what does not match, too. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    place: AtomicU128,
    /// A subscriber of a feed is not woken by what does not match: while nothing is there for it, it is as far as all are.
    feed: OnceLock<(Weak<Feed>, Weak<Router>)>,
    /// Where it waits.
    seat: OnceLock<Weak<Seat>>,
}

/// Before it is known where a subscriber starts.
const NOWHERE: u128 = u128::MAX;

impl Default for Inner {
    fn default() -> Self {
        Self { place: AtomicU128::new(NOWHERE), feed: OnceLock::new(), seat: OnceLock::new() }
    }
}

impl Progress {
    /// Holds the subscriber where it is, and tells the place; None before it is known where the subscriber starts. Until the
    /// subscriber is asked for more, its outlet sends nothing: whoever sends this place before that sends it in its turn.
    pub fn hold(&self) -> Option<Position> {
        if let Some(seat) = self.0.seat.get().and_then(Weak::upgrade) {
            seat.call();
        }
        let number = self.0.place.load(Ordering::Acquire);
        let place = (number != NOWHERE).then(|| Position::new(number))?;
        let quiet = self.0.feed.get().and_then(|(feed, router)| {
            let (feed, router) = (feed.upgrade()?, router.upgrade()?);
            // Read first: what the feed wants through there is in it by then.
            let through = router.through();
            feed.is_quiet_after(place).then_some(through)
        });
        Some(quiet.map_or(place, |through| through.max(place)))
    }

    /// Moves to a place.
    pub fn set(&self, position: Position) {
        self.0.place.store(position.get(), Ordering::Release);
    }

    pub(super) fn stands_with(&self, feed: &Arc<Feed>, router: &Arc<Router>, seat: &Arc<Seat>) {
        _ = self.0.feed.set((Arc::downgrade(feed), Arc::downgrade(router)));
        _ = self.0.seat.set(Arc::downgrade(seat));
    }
}
