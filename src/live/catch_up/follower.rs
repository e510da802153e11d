//! A follower: a subscriber's position in the log while the subscriber is behind its feed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::shared::LogRange;
use super::{CatchUp, RangeError};
use crate::abort_on_drop::spawn_abort_on_drop;
use crate::backoff::Backoff;
use crate::event::Position;
use crate::live::feed::Feed;
use crate::live::feed::rendered::FeedEntry;
use crate::live::progress::Progress;
use crate::log::{ResumeError, View};
use crate::store::StoreError;

/// Time that the window has to receive events that the log already has.
const WINDOW_DELAY: Duration = Duration::from_secs(1);

/// Time that the window has, once a follower has found the log's end in the store.
const END_DELAY: Duration = Duration::from_millis(100);

/// Number of positions of the window that are read at once.
const WINDOW_READ: u16 = 256;

/// Number of positions of the log that one read of the store covers.
const STORE_READ: u16 = 1024;

/// Smaller number for events as Okta sent them: these texts are most of an event's bytes.
const STORE_READ_WITH_DETAILS: u16 = 256;

/// A reader's position in the log. Nothing is buffered for it: each read starts at its position.
#[derive(Debug)]
pub(in crate::live) struct Follower {
    catch_up: Arc<CatchUp>,
    progress: Progress,
    position: Position,
    /// The start of the era in which the log is known to end. A window that ends before it may hold events that were lost.
    era: Position,
    /// The position through which the window has the log.
    window_through: watch::Receiver<Position>,
}

/// The result of a follower's read.
#[derive(Debug)]
pub(in crate::live) enum CatchUpRead {
    /// The feed's entries in a part of the log, perhaps none.
    Entries(Vec<FeedEntry>),
    /// The log ends at the follower's position.
    AtEnd,
}

impl Follower {
    /// Starts to follow the log after a position, or from now on.
    ///
    /// # Errors
    /// The log cannot be resumed from the position, or the database cannot tell where the log ends.
    pub(in crate::live) async fn start(
        catch_up: Arc<CatchUp>,
        view: &View,
        after: Option<Position>,
        progress: Progress,
    ) -> Result<Self, ResumeError> {
        let mut window_through = catch_up.window.through();
        let (position, era) = if let Some(after) = after {
            (after, view.check_resume(after).await?)
        } else {
            let head = view.head_now().await?;
            // Without this wait, each new subscriber would read from the store events that the window is about to receive.
            _ = timeout(WINDOW_DELAY, window_through.wait_for(|through| *through >= head)).await;
            (head, head.era_start())
        };
        Ok(Self { catch_up, progress, position, era, window_through })
    }

    /// The follower's position. The subscriber was given, or has read, everything that matches through there.
    pub(in crate::live) const fn position(&self) -> Position {
        self.position
    }

    pub(in crate::live) const fn move_to(&mut self, position: Position) {
        self.position = position;
    }

    /// Reports the follower's position as the subscriber's progress.
    pub(in crate::live) fn report_progress(&self) {
        self.progress.set(self.position);
    }

    /// Returns the subscriber's progress, as it was last reported.
    pub(in crate::live) const fn progress(&self) -> &Progress {
        &self.progress
    }

    /// True if reads through a position have reached the era in which the log is known to end.
    pub(in crate::live) fn is_in_era(&self, through: Position) -> bool {
        through >= self.era
    }

    /// Waits until the window has more of the log.
    pub(in crate::live) async fn wait_for_window(&mut self) {
        if self.window_through.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Reads on. Retries with backoff while the database is unavailable.
    pub(in crate::live) async fn read_with_retries(&mut self, feed: &Arc<Feed>) -> Result<CatchUpRead, ResumeError> {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2)).with_jitter();
        loop {
            match self.read(feed).await {
                // The log was restored to a state before this position's era: the position is lost, the database works.
                Err(ResumeError::Store(StoreError::UnknownEra(_))) => {
                    self.era = feed.request.view().check_resume(self.position).await?;
                }
                Err(ResumeError::Store(error)) => {
                    if !error.is_logged() {
                        tracing::warn!(%error, "could not read the log for a subscriber; trying again");
                    }
                    sleep(backoff.pause()).await;
                }
                read => return read,
            }
        }
    }

    /// Reads on: a shared range if the feed has other subscribers, else the window, or the store where the window does not
    /// reach.
    async fn read(&mut self, feed: &Arc<Feed>) -> Result<CatchUpRead, ResumeError> {
        let window_through = *self.window_through.borrow_and_update();
        if self.is_in_era(window_through) {
            if feed.subscribers() > 1
                && let Some(entries) = self.read_shared(feed, window_through).await?
            {
                return Ok(CatchUpRead::Entries(entries));
            }
            if let Some(part) = self.catch_up.window.after(self.position, WINDOW_READ.into()) {
                let is_at_end = part.through == self.position;
                self.position = part.through;
                return Ok(if is_at_end {
                    CatchUpRead::AtEnd
                } else {
                    CatchUpRead::Entries(self.catch_up.entries(feed, &part.events))
                });
            }
        }
        self.read_store(feed).await.map(CatchUpRead::Entries)
    }

    /// Reads the rest of the aligned range that contains the next position, together with other subscribers of the feed.
    /// Returns None if the log does not reach the range's end yet.
    async fn read_shared(
        &mut self,
        feed: &Arc<Feed>,
        window_through: Position,
    ) -> Result<Option<Vec<FeedEntry>>, ResumeError> {
        let in_window = LogRange::around(self.position, WINDOW_READ);
        let in_store = LogRange::around(self.position, store_read_size(feed));
        // In the window small ranges cost no more, and less is left at the end for each subscriber to read by itself.
        let is_in_window = in_store.end > window_through || self.catch_up.window.after(in_window.start, 0).is_some();
        let range = if is_in_window { in_window } else { in_store };
        if range.end > window_through {
            return Ok(None);
        }
        let entries = if let Some(entries) = self.catch_up.shared.get(feed.number, range) {
            entries
        } else {
            let (catch_up, feed) = (Arc::clone(&self.catch_up), Arc::clone(feed));
            let read = async move {
                let read = catch_up.read_range(&feed, range);
                catch_up.shared.get_or_read(feed.number, range, read).await
            };
            match spawn_abort_on_drop(read).await {
                Ok(entries) => entries,
                Err(RangeError::Store(error)) => return Err(error.into()),
                Err(RangeError::Incomplete) => return Ok(None),
            }
        };
        let from = entries.partition_point(|entry| entry.position() <= self.position);
        self.position = range.end;
        Ok(Some(entries[from..].to_vec()))
    }

    async fn read_store(&mut self, feed: &Arc<Feed>) -> Result<Vec<FeedEntry>, ResumeError> {
        let size = store_read_size(feed);
        let known_era = self.era;
        let (catch_up, feed_of_read, position) = (Arc::clone(&self.catch_up), Arc::clone(feed), self.position);
        let read = async move { catch_up.read_store(&feed_of_read, position, size.into()).await };
        let (events, through) = spawn_abort_on_drop(read).await?;
        if through.era_start() > self.position {
            // Between the eras something may have been lost that this reader has seen.
            self.era = feed.request.view().check_resume(self.position).await?;
        }
        if through == self.position {
            // The log ends here: the window may be ahead of a restored log, or may not have learned of this end yet.
            self.era = feed.request.view().check_resume(self.position).await?;
            if known_era > self.position {
                // The read began after that era did, so no event lies between the old position and the era's start.
                self.position = known_era;
                return Ok(Vec::new());
            }
            _ = timeout(END_DELAY, self.window_through.changed()).await;
        }
        self.position = through;
        Ok(self.catch_up.entries(feed, &events))
    }
}

fn store_read_size(feed: &Feed) -> u16 {
    if feed.request.with_details { STORE_READ_WITH_DETAILS } else { STORE_READ }
}
