//! History that subscribers of one feed share: when many were cut off together, one of them reads each range of the log
//! and the others use what it has rendered.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::OnceCell;

use crate::event::Position;
use crate::live::feed::rendered::FeedEntry;
use crate::lru_cache::LruCache;

/// A range of positions that begins and ends at a multiple of its size, so that subscribers from different positions come
/// to the same ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct LogRange {
    /// The position before the first one.
    pub(super) start: Position,
    /// The last position.
    pub(super) end: Position,
}

impl LogRange {
    /// The range of so many positions that contains the next position after this one.
    pub(super) fn around(position: Position, size: u16) -> Self {
        let size = u128::from(size);
        let start = position.get() - position.get() % size;
        Self { start: Position::new(start), end: Position::new(start + size) }
    }
}

/// A cache of what feeds have in ranges of the log.
#[derive(Debug)]
pub(in crate::live) struct SharedHistory {
    cache: Mutex<LruCache<HistoryKey, SharedEntries>>,
    /// Number of times that the cache became invalid.
    generation: AtomicU64,
}

/// The generation, the feed's number and the range.
type HistoryKey = (u64, u64, LogRange);

/// The entries of a range, once somebody has read them.
type SharedEntries = Arc<OnceCell<Arc<[FeedEntry]>>>;

impl SharedHistory {
    /// A cache of so many bytes.
    pub(in crate::live) fn new(max_bytes: usize) -> Self {
        Self { cache: Mutex::new(LruCache::new(max_bytes)), generation: AtomicU64::new(0) }
    }

    fn key(&self, feed: u64, range: LogRange) -> HistoryKey {
        (self.generation.load(Ordering::Acquire), feed, range)
    }

    /// The entries of a feed in a range, if they are cached. Feeds are given by their numbers.
    pub(super) fn get(&self, feed: u64, range: LogRange) -> Option<Arc<[FeedEntry]>> {
        self.cache.lock().get(&self.key(feed, range))?.get().cloned()
    }

    /// The entries of a feed in a range. The first caller reads them while the others wait (single-flight).
    ///
    /// # Errors
    /// The error of `read`. The next caller reads then.
    pub(super) async fn get_or_read<E>(
        &self,
        feed: u64,
        range: LogRange,
        read: impl Future<Output = Result<Vec<FeedEntry>, E>>,
    ) -> Result<Arc<[FeedEntry]>, E> {
        let key = self.key(feed, range);
        let cell = self.cache.lock().get_or_insert(&key, SharedEntries::default);
        let entries = cell
            .get_or_try_init(|| async {
                let entries: Arc<[FeedEntry]> = read.await?.into();
                self.cache.lock().resize(&key, entries.iter().map(FeedEntry::size).sum());
                Ok(entries)
            })
            .await?;
        Ok(Arc::clone(entries))
    }

    /// Makes all cached entries invalid, as when the log was replaced by an older copy.
    pub(in crate::live) fn invalidate(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Timestamp;
    use crate::live::feed::renderer::RenderedEvent;

    #[test]
    fn ranges_are_aligned_and_contain_the_next_position() {
        for (position, start, end) in [(0, 0, 256), (1, 0, 256), (255, 0, 256), (256, 256, 512)] {
            let expected = LogRange { start: Position::new(start), end: Position::new(end) };
            assert_eq!(LogRange::around(Position::new(position), 256), expected, "{position}");
        }
        // Eras start where ranges do.
        let era = Position::in_era(1_795_945_000_123_456, 0);
        for size in [256, 1024] {
            assert_eq!(LogRange::around(era, size).start, era);
        }
    }
    /// Entries at some positions, as large as the texts together.
    fn entries(positions: std::ops::Range<u128>, size: usize) -> Vec<FeedEntry> {
        let entry = |position| {
            let (position, texts) = (Position::new(position), std::iter::once("x".repeat(size).into()).collect());
            FeedEntry::Rendered(RenderedEvent { position, stored_at: Timestamp::now(), texts, errors: None })
        };
        positions.map(entry).collect()
    }

    #[tokio::test]
    async fn a_range_is_read_once_for_each_feed_until_the_cache_is_invalid() {
        let shared = SharedHistory::new(1 << 20);
        let (first, second) = (LogRange::around(Position::START, 256), LogRange::around(Position::new(256), 256));
        let reads = AtomicU64::new(0);
        let read = async |feed, range| {
            let read = async {
                reads.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Ok::<_, &str>(entries(1..4, 1))
            };
            shared.get_or_read(feed, range, read).await.unwrap().len()
        };
        assert!(shared.get(1, first).is_none());
        let (one, other) = tokio::join!(read(1, first), read(1, first));
        assert_eq!((one, other, reads.load(Ordering::Relaxed)), (3, 3, 1), "the second caller waits for the first");
        assert_eq!(shared.get(1, first).map(|entries| entries.len()), Some(3));
        assert!(shared.get(1, second).is_none() && shared.get(2, first).is_none());
        read(2, first).await;
        read(1, second).await;
        read(1, first).await;
        assert_eq!(reads.load(Ordering::Relaxed), 3);
        shared.invalidate();
        assert!(shared.get(1, first).is_none());
        read(1, first).await;
        assert_eq!(reads.load(Ordering::Relaxed), 4);
    }

    #[tokio::test]
    async fn a_read_that_fails_is_not_kept_and_what_is_kept_is_bounded() {
        let shared = SharedHistory::new(4000);
        let range = |number: u128| LogRange::around(Position::new(number * 256), 256);
        let failed = shared.get_or_read(1, range(0), std::future::ready(Err("away"))).await;
        assert_eq!(failed.err(), Some("away"));
        for number in 0..3 {
            let read = std::future::ready(Ok::<_, &str>(entries(0..10, 100)));
            assert_eq!(shared.get_or_read(1, range(number), read).await.map(|entries| entries.len()), Ok(10));
        }
        // Each of the three takes 1,000 bytes and its place in the table.
        let kept = [0, 1, 2].map(|number| shared.get(1, range(number)).is_some());
        assert_eq!(kept, [true, true, true]);
        _ = shared.get_or_read(1, range(3), std::future::ready(Ok::<_, &str>(entries(0..10, 100)))).await;
        assert!(shared.get(1, range(0)).is_none() && shared.get(1, range(3)).is_some());
    }
}
