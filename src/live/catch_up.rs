//! The way up to a feed: a subscriber that is behind reads the window, or the store where the window does not reach.

pub(super) mod follower;
pub(super) mod shared;

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::feed::Feed;
use super::feed::rendered::FeedEntry;
use super::feed::request::FeedRequest;
use super::measures::LiveMetrics;
use super::tail::window::Window;
use crate::event::{Position, SyncEvent};
use crate::store::StoreError;
use shared::{LogRange, SharedHistory};

/// The readers, limits and caches that all subscribers share to catch up.
#[derive(Debug)]
pub(super) struct CatchUp {
    window: Arc<Window>,
    shared: Arc<SharedHistory>,
    /// Permits to read the database: subscribers that catch up leave most of it to others.
    permits: Semaphore,
    metrics: Arc<LiveMetrics>,
}

/// Why a range of the log was not read.
enum RangeError {
    Store(StoreError),
    /// The log ends, or another era begins, before the range's end.
    Incomplete,
}

impl CatchUp {
    pub(super) fn new(
        window: Arc<Window>,
        shared: Arc<SharedHistory>,
        permits: usize,
        metrics: Arc<LiveMetrics>,
    ) -> Self {
        Self { window, shared, permits: Semaphore::new(permits), metrics }
    }

    /// The entries of a feed for those of some events that it wants.
    fn entries(&self, feed: &Feed, events: &[Arc<SyncEvent>]) -> Vec<FeedEntry> {
        let wanted = events.iter().filter(|event| feed.request.events.filter().matches(event));
        let entries: Vec<_> = wanted.map(|event| feed.request.entry(event)).collect();
        self.metrics.rendered(entries.len());
        entries
    }

    /// Reads the entries of a feed in a whole range of the log.
    async fn read_range(&self, feed: &Feed, range: LogRange) -> Result<Vec<FeedEntry>, RangeError> {
        let size = usize::try_from(range.end.get() - range.start.get()).unwrap_or_default();
        if let Some(part) = self.window.after(range.start, size) {
            let is_complete = part.through == range.end;
            return if is_complete { Ok(self.entries(feed, &part.events)) } else { Err(RangeError::Incomplete) };
        }
        let (events, through) = self.read_store(feed, range.start, size).await.map_err(RangeError::Store)?;
        if through == range.end { Ok(self.entries(feed, &events)) } else { Err(RangeError::Incomplete) }
    }

    /// Reads the events of a feed from the store, in so many positions after one. Also returns the position through which
    /// was read.
    async fn read_store(
        &self,
        feed: &Feed,
        after: Position,
        size: usize,
    ) -> Result<(Vec<Arc<SyncEvent>>, Position), StoreError> {
        let FeedRequest { events, with_details, .. } = &feed.request;
        let read = {
            let _permit = self.permits.acquire().await;
            events.read_after(after, size, *with_details).await?
        };
        metrics::counter!("sluice_catch_up_reads_total").increment(1);
        Ok((read.events.into_iter().map(Arc::new).collect(), read.through))
    }
}
