//! A subscriber's place in the log, on its way up to what its feed holds.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::shared::Stretch;
use crate::apart::apart;
use crate::event::{Position, SyncEvent};
use crate::live::feed::{Entry, Feed, FeedRequest};
use crate::live::{Live, Progress};
use crate::log::ResumeError;
use crate::store::StoreError;

/// A reader's place in the log. Nothing is kept for it in between: it reads on when it is asked to.
#[derive(Debug)]
pub(in crate::live) struct Follower {
    live: Live,
    progress: Progress,
    at: Position,
    /// The era in which the log is known to end: a window that has not come there yet may hold what was lost.
    era: Position,
    grown: watch::Receiver<Position>,
}

/// Time that the window has to receive events that the log already has.
const LEARNING: Duration = Duration::from_secs(1);

/// How many positions of the window are gone through at once.
const STRETCH: u16 = 256;

/// How many positions of the log one read of the store goes through.
const READ: u16 = 1024;

/// The same where the events come as Okta sent them, which is most of their bytes.
const READ_WITH_DETAILS: u16 = 256;

impl Live {
    /// Follows the log from a position, or from now.
    ///
    /// # Errors
    /// The position cannot be resumed from, or the database cannot tell where the log ends.
    pub(in crate::live) async fn follow(
        &self,
        after: Option<Position>,
        progress: Progress,
    ) -> Result<Follower, ResumeError> {
        let mut grown = self.window.through();
        let (at, era) = if let Some(after) = after {
            (after, self.log.check_resume(after).await?)
        } else {
            let head = self.log.head_now().await?;
            // Without this wait, each new subscriber would read from the store events that the window is about to receive.
            _ = timeout(LEARNING, grown.wait_for(|through| *through >= head)).await;
            (head, head.era_start())
        };
        Ok(Follower { live: self.clone(), progress, at, era, grown })
    }
}

/// What a follower read.
#[derive(Debug)]
pub(in crate::live) enum Read {
    /// What its feed tells of a part of the log.
    Entries(Vec<Entry>),
    /// Nothing: the log ends here.
    AtEnd,
}

/// Why a stretch of the log was not read.
enum StretchError {
    Store(StoreError),
    /// It does not go on to its end: the log ends before, or another era begins.
    Incomplete,
}

impl Follower {
    /// Where it stands: what matches up to there was handed out.
    pub(in crate::live) const fn at(&self) -> Position {
        self.at
    }

    pub(in crate::live) const fn move_to(&mut self, position: Position) {
        self.at = position;
    }

    pub(in crate::live) fn tell_progress(&self) {
        self.tell_progress_through(self.at);
    }

    /// The same, while some of what was read is still to be handed out.
    pub(in crate::live) fn tell_progress_through(&self, position: Position) {
        self.progress.set(position);
    }

    /// Whether what was read through a position has come to the era in which the log is known to end.
    pub(in crate::live) fn is_in_era(&self, through: Position) -> bool {
        through >= self.era
    }

    /// Waits until there is more in the window.
    pub(in crate::live) async fn wait(&mut self) {
        if self.grown.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Reads on. While the database is away it waits.
    pub(in crate::live) async fn read_patiently(&mut self, feed: &Arc<Feed>) -> Result<Read, ResumeError> {
        let mut pause = Duration::from_millis(50);
        loop {
            match self.read(feed).await {
                // The log was restored to a state before this position's era: the position is lost, the database works.
                Err(ResumeError::Store(StoreError::UnknownEra(_))) => {
                    self.era = self.live.log.check_resume(self.at).await?;
                }
                Err(ResumeError::Store(error)) => {
                    if !error.is_logged() {
                        tracing::warn!(%error, "could not read the log for a subscriber; trying again");
                    }
                    sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(2));
                }
                read => return read,
            }
        }
    }

    /// Reads on: together with others where there are some, else in the window, or in the store where the window does
    /// not reach.
    async fn read(&mut self, feed: &Arc<Feed>) -> Result<Read, ResumeError> {
        let through = *self.grown.borrow_and_update();
        if self.is_in_era(through) {
            if feed.is_shared()
                && let Some(entries) = self.read_together(feed, through).await?
            {
                return Ok(Read::Entries(entries));
            }
            if let Some(part) = self.live.window.after(self.at, STRETCH.into()) {
                let stands = part.through == self.at;
                self.at = part.through;
                return Ok(if stands { Read::AtEnd } else { Read::Entries(self.live.entries(feed, &part.events)) });
            }
        }
        self.read_store(feed).await.map(Read::Entries)
    }

    /// Reads on through the stretch around its place as all do who are in it. None where the stretch is not complete.
    async fn read_together(&mut self, feed: &Arc<Feed>, through: Position) -> Result<Option<Vec<Entry>>, ResumeError> {
        let near = Stretch::around(self.at, STRETCH);
        let far = Stretch::around(self.at, if feed.request.with_details { READ_WITH_DETAILS } else { READ });
        // In the window small stretches cost no more, and less of them is left to each for itself at the end.
        let is_near = far.end > through || self.live.window.after(near.start, 0).is_some();
        let stretch = if is_near { near } else { far };
        if stretch.end > through {
            return Ok(None);
        }
        let entries = if let Some(entries) = self.live.router.history().kept_of(feed, stretch) {
            entries
        } else {
            let (live, shared) = (self.live.clone(), Arc::clone(feed));
            let read = async move {
                let read = live.read_stretch(&shared, stretch);
                live.router.history().of(&shared, stretch, read).await
            };
            match apart(read).await {
                Ok(entries) => entries,
                Err(StretchError::Store(error)) => return Err(error.into()),
                Err(StretchError::Incomplete) => return Ok(None),
            }
        };
        let from = entries.partition_point(|entry| entry.position() <= self.at);
        self.at = stretch.end;
        Ok(Some(entries[from..].to_vec()))
    }

    async fn read_store(&mut self, feed: &Arc<Feed>) -> Result<Vec<Entry>, ResumeError> {
        let size = if feed.request.with_details { READ_WITH_DETAILS } else { READ };
        let (live, asking, at) = (self.live.clone(), Arc::clone(feed), self.at);
        let known_era = self.era;
        let (events, through) = apart(async move { live.ask_store(&asking, at, size.into()).await }).await?;
        if through.era_start() > self.at {
            // Between the eras something may have been lost that this reader has seen.
            self.era = self.live.log.check_resume(self.at).await?;
        }
        if through == self.at {
            // Beyond the end of the log that the window knows, or at its end just before the window learns of it.
            self.era = self.live.log.check_resume(self.at).await?;
            if known_era > self.at {
                // The read began after that era did, so no event lies between the old position and the era's start.
                self.at = known_era;
                return Ok(Vec::new());
            }
            _ = timeout(Duration::from_millis(100), self.grown.changed()).await;
        }
        self.at = through;
        Ok(self.live.entries(feed, &events))
    }
}

impl Live {
    /// What a feed tells of events, newly put into words.
    fn entries(&self, feed: &Feed, events: &[Arc<SyncEvent>]) -> Vec<Entry> {
        let wanted = events.iter().filter(|event| feed.request.filter.matches(event));
        let entries: Vec<_> = wanted.map(|event| Entry::new(&feed.request.teller, event)).collect();
        self.measures.told(entries.len());
        entries
    }

    async fn read_stretch(&self, feed: &Feed, stretch: Stretch) -> Result<Vec<Entry>, StretchError> {
        let size = usize::try_from(stretch.end.get() - stretch.start.get()).unwrap_or_default();
        if let Some(part) = self.window.after(stretch.start, size) {
            let is_complete = part.through == stretch.end;
            return if is_complete { Ok(self.entries(feed, &part.events)) } else { Err(StretchError::Incomplete) };
        }
        let (events, through) = self.ask_store(feed, stretch.start, size).await.map_err(StretchError::Store)?;
        if through == stretch.end { Ok(self.entries(feed, &events)) } else { Err(StretchError::Incomplete) }
    }

    /// Asks the store for what a feed wants of a part of the log, and through where that part goes.
    async fn ask_store(
        &self,
        feed: &Feed,
        after: Position,
        size: usize,
    ) -> Result<(Vec<Arc<SyncEvent>>, Position), StoreError> {
        let FeedRequest { filter, with_details, .. } = &feed.request;
        let read = {
            // Those who catch up leave the database to others, too.
            let _turn = self.catching_up.acquire().await;
            self.history.read_after(after, size, filter, *with_details).await?
        };
        metrics::counter!("sluice_catch_up_reads_total").increment(1);
        Ok((read.events.into_iter().map(Arc::new).collect(), read.through))
    }
}
