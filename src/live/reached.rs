//! The position that a subscriber has reached, and the number of events that it was sent on the way.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::atomic_position::AtomicPosition;
use super::measures::HandedOut;
use crate::event::Position;

/// The position that a subscriber has reached, and the number of events that it was sent.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) position: AtomicPosition,
    events: AtomicU64,
    /// The events that were handed out last, until they are sent.
    handed_out: Mutex<Option<HandedOut>>,
}

impl Reached {
    pub(super) const fn new(position: Position) -> Self {
        Self { position: AtomicPosition::new(position), events: AtomicU64::new(0), handed_out: Mutex::new(None) }
    }

    pub(super) fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    /// Counts events that were sent.
    pub(super) fn add_events(&self, events: usize) {
        self.events.fetch_add(events as u64, Ordering::Relaxed);
    }

    /// Keeps events that were handed out and are still to be sent.
    pub(super) fn hand_out(&self, events: Option<HandedOut>) {
        *self.handed_out.lock() = events;
    }

    /// Moves to the last of the events that were handed out, and counts them. Returns them; None if there are none, or if they
    /// were counted before.
    pub(super) fn sent(&self) -> Option<HandedOut> {
        let sent = self.handed_out.lock().take()?;
        self.add_events(sent.events);
        self.position.set(sent.last);
        Some(sent)
    }
}
