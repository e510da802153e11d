//! One reader of the log that waits at its end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::{Live, Progress};
use crate::event::{Filter, Position, SyncEvent};
use crate::log::ResumeError;

/// What somebody wants to follow.
#[derive(Clone, Debug)]
pub struct FollowRequest {
    /// Which events.
    pub filter: Filter,
    /// After which position; from now where it is left out.
    pub after: Option<Position>,
    /// Whether the events are wanted as Okta sent them, too.
    pub with_details: bool,
    /// Where to tell how far the reader has come.
    pub progress: Progress,
}

/// A reader's place in the log. Nothing is kept for it in between: it reads on when it is asked for the next event.
#[derive(Debug)]
pub struct Follower {
    live: Live,
    request: FollowRequest,
    at: Position,
    /// The era in which the log is known to end: a window that has not come there yet may hold what was lost.
    era: Position,
    ready: VecDeque<Arc<SyncEvent>>,
    /// The event that was handed out last.
    told: Option<Position>,
    grown: watch::Receiver<Position>,
}

/// How many events of the window are looked at in one go.
const STRETCH: usize = 256;

/// How many events of the log one read of the store goes through.
const READ: usize = 1000;

/// The same where the events come as Okta sent them, which is most of their bytes.
const READ_WITH_DETAILS: usize = 250;

impl Live {
    /// Follows the log from a position, or from now.
    ///
    /// # Errors
    /// The position cannot be resumed from.
    pub async fn follow(&self, request: FollowRequest) -> Result<Follower, ResumeError> {
        let grown = self.window.through();
        let (at, era) = match request.after {
            Some(after) => (after, self.log.check_resume(after).await?),
            None => (*grown.borrow(), Position::START),
        };
        Ok(Follower { live: self.clone(), request, at, era, ready: VecDeque::new(), told: None, grown })
    }
}

/// What a follower read.
#[derive(Debug)]
pub(super) enum Read {
    /// What matches of a stretch of the log.
    Events(Vec<Arc<SyncEvent>>),
    /// Nothing: the log ends here.
    AtEnd,
}

impl Follower {
    /// The next event that matches; waits until there is one. While the database is away it waits, too.
    ///
    /// # Errors
    /// The log was replaced by one that does not go on from here.
    pub async fn next(&mut self) -> Result<Arc<SyncEvent>, ResumeError> {
        // Who asks for the next event has told the one before.
        if let Some(told) = self.told {
            self.request.progress.set(told);
        }
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.told = Some(event.position);
                return Ok(event);
            }
            self.tell_progress();
            match self.read_patiently().await? {
                Read::Events(events) => self.ready.extend(events),
                Read::AtEnd => self.wait().await,
            }
        }
    }

    /// Where it stands: what matches up to there was handed out.
    pub(super) const fn at(&self) -> Position {
        self.at
    }

    pub(super) const fn move_to(&mut self, position: Position) {
        self.at = position;
    }

    pub(super) fn tell_progress(&self) {
        self.request.progress.set(self.at);
    }

    /// Whether what was read through a position has come to the era in which the log is known to end.
    pub(super) fn is_in_era(&self, through: Position) -> bool {
        through >= self.era
    }

    /// Waits until there is more in the window.
    pub(super) async fn wait(&mut self) {
        if self.grown.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Reads on. While the database is away it waits.
    pub(super) async fn read_patiently(&mut self) -> Result<Read, ResumeError> {
        let mut pause = Duration::from_millis(50);
        loop {
            match self.read().await {
                Err(ResumeError::Store(error)) => {
                    tracing::warn!(%error, "could not read the log for a subscriber; trying again");
                    sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(2));
                }
                read => return read,
            }
        }
    }

    /// Reads on in the window, or in the store where the window does not reach.
    async fn read(&mut self) -> Result<Read, ResumeError> {
        let through = *self.grown.borrow_and_update();
        if self.is_in_era(through)
            && let Some(stretch) = self.live.window.after(self.at, STRETCH)
        {
            let stands = stretch.through == self.at;
            self.at = stretch.through;
            let matching = stretch.events.into_iter().filter(|event| self.request.filter.matches(event));
            return Ok(if stands { Read::AtEnd } else { Read::Events(matching.collect()) });
        }
        self.read_store().await.map(Read::Events)
    }

    async fn read_store(&mut self) -> Result<Vec<Arc<SyncEvent>>, ResumeError> {
        let FollowRequest { filter, with_details, .. } = &self.request;
        let window = if *with_details { READ_WITH_DETAILS } else { READ };
        let read = {
            // Those who catch up leave the database to others, too.
            let _turn = self.live.catching_up.acquire().await;
            self.live.log.store().read_after(self.at, window, filter, *with_details).await?
        };
        metrics::counter!("sluice_catch_up_reads_total").increment(1);
        if read.through.era_start() > self.at {
            // Between the eras something may have been lost that this reader has seen.
            self.era = self.live.log.check_resume(self.at).await?;
        }
        if read.through == self.at {
            // Beyond the end of the log that the window knows, or at its end just before the window learns of it.
            self.era = self.live.log.check_resume(self.at).await?;
            _ = tokio::time::timeout(Duration::from_millis(100), self.grown.changed()).await;
        }
        self.at = read.through;
        Ok(read.events.into_iter().map(Arc::new).collect())
    }
}
