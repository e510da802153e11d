//! How far a subscriber has been told of the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::event::Position;

/// A place in the log through which a subscriber was handed everything that matches: who resumes from there misses
/// nothing. It moves on through what does not match, too. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Progress(Arc<AtomicI64>);

/// Before it is known where a subscriber starts.
const NOWHERE: i64 = -1;

impl Default for Progress {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(NOWHERE)))
    }
}

impl Progress {
    /// The place; None before it is known where the subscriber starts.
    pub fn get(&self) -> Option<Position> {
        let number = self.0.load(Ordering::Acquire);
        (number != NOWHERE).then(|| Position::new(number))
    }

    /// Moves to a place.
    pub fn set(&self, position: Position) {
        self.0.store(position.get(), Ordering::Release);
    }
}
