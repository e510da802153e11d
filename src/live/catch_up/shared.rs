//! Stretches of the log as feeds tell them, kept for a while: subscribers that were cut off together catch up together.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

use crate::event::Position;
use crate::live::feed::{Entry, Feed};
use crate::recent::Recent;

/// A stretch of the log that starts and ends where all stretches of its size do, so that whoever goes through meets there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::live) struct Stretch {
    /// It begins after this.
    pub(in crate::live) start: Position,
    /// Its last position.
    pub(in crate::live) end: Position,
}

impl Stretch {
    /// The stretch of so many positions in which what comes next after a position is.
    pub(in crate::live) fn around(at: Position, size: u16) -> Self {
        let size = u128::from(size);
        let start = at.get() - at.get() % size;
        Self { start: Position::new(start), end: Position::new(start + size) }
    }
}

/// What feeds told of stretches.
#[derive(Debug)]
pub(in crate::live) struct History {
    kept: Mutex<Recent<Key, Cell>>,
    /// How often what was told has become void.
    voided: AtomicU64,
}

/// What a feed tells of a stretch, and when: as of how many times that all became void.
type Key = (u64, u64, Stretch);

/// What is told of a stretch, once somebody has read it.
type Cell = Arc<OnceCell<Arc<[Entry]>>>;

impl History {
    /// Keeps so many bytes of what was told.
    pub(in crate::live) fn new(most_bytes: usize) -> Self {
        Self { kept: Mutex::new(Recent::new(most_bytes)), voided: AtomicU64::new(0) }
    }

    fn kept(&self) -> MutexGuard<'_, Recent<Key, Cell>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn key(&self, feed: &Feed, stretch: Stretch) -> Key {
        (self.voided.load(Ordering::Acquire), feed.number, stretch)
    }

    /// What a feed tells of a stretch, where somebody has read it.
    pub(in crate::live) fn kept_of(&self, feed: &Feed, stretch: Stretch) -> Option<Arc<[Entry]>> {
        self.kept().get(&self.key(feed, stretch))?.get().cloned()
    }

    /// What a feed tells of a stretch: read by the first who asks, while the others wait.
    ///
    /// # Errors
    /// That of `read`; the next who asks reads then.
    pub(in crate::live) async fn of<E>(
        &self,
        feed: &Feed,
        stretch: Stretch,
        read: impl Future<Output = Result<Vec<Entry>, E>>,
    ) -> Result<Arc<[Entry]>, E> {
        let key = self.key(feed, stretch);
        let cell = self.kept().get_or_keep(&key, Cell::default);
        let told = cell
            .get_or_try_init(|| async {
                let entries: Arc<[Entry]> = read.await?.into();
                self.kept().weigh(&key, entries.iter().map(Entry::size).sum());
                Ok(entries)
            })
            .await?;
        Ok(Arc::clone(told))
    }

    /// Forgets everything, as when the log was replaced by an older one.
    pub(in crate::live) fn void(&self) {
        self.voided.fetch_add(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_meet_and_hold_what_comes_next() {
        for (at, start, end) in [(0, 0, 256), (1, 0, 256), (255, 0, 256), (256, 256, 512)] {
            let expected = Stretch { start: Position::new(start), end: Position::new(end) };
            assert_eq!(Stretch::around(Position::new(at), 256), expected, "{at}");
        }
        // Eras start where stretches do.
        let era = Position::in_era(1_795_945_000_123_456, 0);
        for size in [256, 1024] {
            assert_eq!(Stretch::around(era, size).start, era);
        }
    }
}
