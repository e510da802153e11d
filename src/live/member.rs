//! A subscriber of a feed: it reads its own way up to the feed, and from there on gets what all others get.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch;

use super::Live;
use super::feed::{Entry, Feed, FeedRequest, Told};
use super::follow::{Follower, Read};
use super::measures::{HandedOut, Measures};
use super::progress::Progress;
use super::router::Router;
use crate::event::Position;
use crate::log::ResumeError;

/// A subscriber's place in the log, and its feed.
#[derive(Debug)]
pub struct Member {
    follower: Follower,
    feed: Membership,
    grown: watch::Receiver<()>,
    /// What was read and is still to be handed out.
    pending: VecDeque<Entry>,
    handed_out: Option<HandedOut>,
}

/// How many events are handed out at once.
const BATCH: usize = 64;

/// How many bytes of them, if it is more than one: others on the same socket have their turn then.
const BATCH_BYTES: usize = 64 << 10;

/// A subscriber's part in a feed, given back when it goes.
#[derive(Debug)]
struct Membership {
    feed: Arc<Feed>,
    router: Arc<Router>,
    measures: Arc<Measures>,
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.router.leave(&self.feed);
    }
}

impl Live {
    /// Subscribes to a feed, from after a position or from now on.
    ///
    /// # Errors
    /// The position cannot be resumed from.
    pub async fn join(
        &self,
        request: FeedRequest,
        after: Option<Position>,
        progress: Progress,
    ) -> Result<Member, ResumeError> {
        let follower = self.follow(after, progress.clone()).await?;
        let membership = Membership {
            feed: self.router.join(request),
            router: Arc::clone(&self.router),
            measures: Arc::clone(&self.measures),
        };
        follower.tell_progress();
        progress.stands_with(&membership.feed, &self.router);
        Ok(Member {
            follower,
            grown: membership.feed.grown(),
            feed: membership,
            pending: VecDeque::new(),
            handed_out: None,
        })
    }
}

impl Member {
    /// What comes next, at least one event; waits until there is one. While the database is away it waits, too. What was
    /// handed out before counts as told.
    ///
    /// # Errors
    /// The log was replaced by one that does not go on from here.
    pub async fn next(&mut self) -> Result<Vec<Told>, ResumeError> {
        if let Some(handed_out) = self.handed_out.take() {
            self.feed.measures.delivered(&handed_out, self.feed.router.through());
            if !self.pending.is_empty() {
                self.follower.tell_progress_through(handed_out.last);
                return Ok(self.hand_out(HandedOut::history).await);
            }
        }
        loop {
            self.follower.tell_progress();
            self.grown.borrow_and_update();
            if let Some(entries) = self.take_from_feed() {
                if !entries.is_empty() {
                    self.pending = entries.into();
                    return Ok(self.hand_out(HandedOut::live).await);
                }
                if self.grown.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
                continue;
            }
            // Boxed, as it is large, and most subscribers wait for their feed.
            match Box::pin(self.follower.read_patiently(&self.feed.feed)).await? {
                Read::Entries(entries) if entries.is_empty() => {}
                Read::Entries(entries) => {
                    self.pending = entries.into();
                    return Ok(self.hand_out(HandedOut::history).await);
                }
                Read::AtEnd => self.follower.wait().await,
            }
        }
    }

    /// Tells some of what was read.
    async fn hand_out(&mut self, measured: fn(&[Told]) -> Option<HandedOut>) -> Vec<Told> {
        let mut bytes = 0;
        let fits = |entry: &&Entry| {
            bytes += entry.size();
            bytes <= BATCH_BYTES
        };
        let most = self.pending.iter().take(BATCH).take_while(fits).count().max(1);
        let entries: Vec<_> = self.pending.drain(..most.min(self.pending.len())).collect();
        let told = match Entry::all_told(entries) {
            Ok(told) => told,
            Err(entries) => Box::pin(Entry::tell_all(entries)).await,
        };
        self.handed_out = measured(&told);
        told
    }

    /// What the feed has after this place; None where the feed does not reach it.
    fn take_from_feed(&mut self) -> Option<Vec<Entry>> {
        // Read first: every feed has what it wants through there.
        let through = self.feed.router.through();
        if !self.follower.is_in_era(through) || self.follower.at() > through {
            return None;
        }
        let entries = self.feed.feed.after(self.follower.at(), BATCH)?;
        self.follower.move_to(entries.last().map_or(through, Entry::position));
        Some(entries)
    }
}
