//! The progress of a subscriber through the log, as it is reported to the client.

use std::sync::{Arc, OnceLock, Weak};

use super::atomic_position::AtomicPosition;
use super::feed::Feed;
use super::push::parked::ParkedSubscriber;
use crate::event::Position;

/// The position through which a subscriber was given everything that matches its filter: a client that resumes from there
/// misses nothing. The position also moves past events that do not match. All clones share it.
#[derive(Clone, Debug)]
pub struct Progress(Arc<SharedProgress>);

#[derive(Debug)]
struct SharedProgress {
    position: Arc<AtomicPosition>,
    /// The subscriber's feed, and the place where it parks, once it has joined.
    joined: OnceLock<(Weak<Feed>, Weak<ParkedSubscriber>)>,
}

/// Stands for a position that is not known yet.
const UNKNOWN: Position = Position::new(u128::MAX);

impl Default for Progress {
    fn default() -> Self {
        let position = Arc::new(AtomicPosition::new(UNKNOWN));
        Self(Arc::new(SharedProgress { position, joined: OnceLock::new() }))
    }
}

impl Progress {
    /// Stops the workers from sending to the subscriber, and returns its position; None before it has started. The outlet
    /// stays quiet until the subscriber is asked for its next events, so that a client receives this position before any
    /// event after it.
    pub fn hold(&self) -> Option<Position> {
        let joined = self.0.joined.get().and_then(|(feed, parked)| Some((feed.upgrade()?, parked.upgrade()?)));
        if let Some((_, parked)) = &joined {
            parked.wake();
        }
        let position = Some(self.0.position.get()).filter(|position| *position != UNKNOWN)?;
        // A parked subscriber is not woken for events that do not match. While its feed has nothing for it, it is as far as
        // the router is.
        let routed = joined.and_then(|(feed, _)| {
            // The router's position is read first: by then the feed has everything that it wants through there.
            let routed = feed.routed();
            feed.has_nothing_after(position).then_some(routed)
        });
        Some(routed.map_or(position, |routed| routed.max(position)))
    }

    /// Moves to a position.
    pub(super) fn set(&self, position: Position) {
        self.0.position.set(position);
    }

    /// The position itself, for the parked subscriber that the workers move.
    pub(super) fn position(&self) -> Arc<AtomicPosition> {
        Arc::clone(&self.0.position)
    }

    /// Connects this with the subscriber's feed and with the place where it parks.
    pub(super) fn join(&self, feed: &Arc<Feed>, parked: &Arc<ParkedSubscriber>) {
        _ = self.0.joined.set((Arc::downgrade(feed), Arc::downgrade(parked)));
    }
}
