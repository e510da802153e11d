//! The position that a subscriber has reached, and the number of events that it was sent on the way.

use std::sync::atomic::{AtomicU64, Ordering};

use super::atomic_position::AtomicPosition;
use crate::event::Position;

/// The position that a subscriber has reached, and the number of events that it was sent.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) position: AtomicPosition,
    events: AtomicU64,
}

impl Reached {
    pub(super) const fn new(position: Position) -> Self {
        Self { position: AtomicPosition::new(position), events: AtomicU64::new(0) }
    }

    pub(super) fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    /// Counts events that were sent.
    pub(super) fn add_events(&self, events: usize) {
        self.events.fetch_add(events as u64, Ordering::Relaxed);
    }
}
