//! A subscriber of a feed: it reads its own way up to the feed, and from there on gets what all others get.

use std::sync::Arc;

use tokio::sync::watch;

use super::Live;
use super::feed::{Feed, FeedRequest, Told};
use super::follow::{FollowRequest, Follower, Read};
use super::progress::Progress;
use super::router::Router;
use crate::event::{Position, SyncEvent};
use crate::log::ResumeError;

/// A subscriber's place in the log, and its feed.
#[derive(Debug)]
pub struct Member {
    follower: Follower,
    feed: Membership,
    grown: watch::Receiver<()>,
}

/// How many events are handed out at once.
const BATCH: usize = 256;

/// A subscriber's part in a feed, given back when it goes.
#[derive(Debug)]
struct Membership {
    feed: Arc<Feed>,
    router: Arc<Router>,
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.router.leave(&self.feed);
        metrics::gauge!("sluice_subscribers").decrement(1);
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
        let following = FollowRequest {
            filter: request.filter.clone(),
            after,
            with_details: request.with_details,
            progress: progress.clone(),
        };
        let follower = self.follow(following).await?;
        let membership = Membership { feed: self.router.join(request), router: Arc::clone(&self.router) };
        metrics::gauge!("sluice_subscribers").increment(1);
        follower.tell_progress();
        progress.stands_with(&membership.feed, &self.router);
        Ok(Member { follower, grown: membership.feed.grown(), feed: membership })
    }
}

impl Member {
    /// What comes next, at least one event; waits until there is one. While the database is away it waits, too. What was
    /// handed out before counts as told.
    ///
    /// # Errors
    /// The log was replaced by one that does not go on from here.
    pub async fn next(&mut self) -> Result<Vec<Told>, ResumeError> {
        loop {
            self.follower.tell_progress();
            self.grown.borrow_and_update();
            if let Some(told) = self.take_from_feed() {
                if !told.is_empty() {
                    return Ok(told);
                }
                if self.grown.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
                continue;
            }
            match self.follower.read_patiently().await? {
                Read::Events(events) if events.is_empty() => {}
                Read::Events(events) => {
                    let tell = &self.feed.feed.request.tell;
                    let told = |event: &Arc<SyncEvent>| Told { position: event.position, text: tell(event) };
                    return Ok(events.iter().map(told).collect());
                }
                Read::AtEnd => self.follower.wait().await,
            }
        }
    }

    /// What the feed has after this place; None where the feed does not reach it.
    fn take_from_feed(&mut self) -> Option<Vec<Told>> {
        // Read first: every feed has what it wants through there.
        let through = self.feed.router.through();
        if !self.follower.is_in_era(through) || self.follower.at() > through {
            return None;
        }
        let told = self.feed.feed.after(self.follower.at(), BATCH)?;
        self.follower.move_to(told.last().map_or(through, |last| last.position));
        Some(told)
    }
}
