//! A position that one task moves while others read it, without a lock.

use std::sync::atomic::Ordering;

use portable_atomic::AtomicU128;

use crate::event::Position;

/// A position that several threads share.
#[derive(Debug)]
pub(super) struct AtomicPosition(AtomicU128);

impl AtomicPosition {
    pub(super) const fn new(position: Position) -> Self {
        Self(AtomicU128::new(position.get()))
    }

    /// The current position. Whatever the mover wrote before it moved here is visible to the caller.
    pub(super) fn get(&self) -> Position {
        Position::new(self.0.load(Ordering::Acquire))
    }

    /// Moves to a position.
    pub(super) fn set(&self, position: Position) {
        self.0.store(position.get(), Ordering::Release);
    }
}
