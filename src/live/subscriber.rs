//! A subscriber of a feed: it reads its own way up to the feed, and from there on gets what all others get.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;

use super::Live;
use super::catch_up::follower::{Follower, Read};
use super::feed::router::Router;
use super::feed::{BATCH, Entry, Feed, FeedRequest, Told};
use super::measures::{HandedOut, Measures};
use super::progress::Progress;
use super::push::parked::{Called, Outlet, Seat};
use crate::apart::apart;
use crate::event::Position;
use crate::log::ResumeError;

/// A subscriber's place in the log, and its feed.
#[derive(Debug)]
pub struct Member {
    follower: Follower,
    feed: Membership,
    /// What was read and is still to be handed out.
    pending: VecDeque<Entry>,
    handed_out: Option<HandedOut>,
}

/// A subscriber's part in a feed, given back when it goes.
#[derive(Debug)]
struct Membership {
    feed: Arc<Feed>,
    seat: Arc<Seat>,
    seat_number: u64,
    router: Arc<Router>,
    measures: Arc<Measures>,
}

impl Drop for Membership {
    fn drop(&mut self) {
        // First: nothing is sent any more.
        self.seat.stand_up();
        self.feed.give_seat_back(self.seat_number);
        self.router.leave(&self.feed);
    }
}

impl Live {
    /// Subscribes to a feed, from after a position or from now on. While the subscriber waits, what comes is sent by the
    /// outlet where there is one.
    ///
    /// # Errors
    /// The position cannot be resumed from.
    pub async fn join(
        &self,
        request: FeedRequest,
        after: Option<Position>,
        progress: Progress,
        outlet: Option<Arc<dyn Outlet>>,
    ) -> Result<Member, ResumeError> {
        let follower = self.follow(after, progress.clone()).await?;
        let (feed, seat) = (self.router.join(request), Arc::new(Seat::new(outlet, progress.clone())));
        let feed = Membership {
            seat_number: feed.take_seat(Arc::clone(&seat)),
            feed,
            seat,
            router: Arc::clone(&self.router),
            measures: Arc::clone(&self.measures),
        };
        follower.tell_progress();
        progress.stands_with(&feed.feed, &self.router, &feed.seat);
        Ok(Member { follower, feed, pending: VecDeque::new(), handed_out: None })
    }
}

impl Member {
    /// What comes next, at least one event; waits until there is one. While the database is away it waits, too. What was
    /// handed out before counts as told. Where an outlet sends what comes, it may be nothing: then the outlet has begun
    /// to send what it could not end.
    ///
    /// # Errors
    /// The log was replaced by one that does not go on from here.
    pub async fn next(&mut self) -> Result<Vec<Told>, ResumeError> {
        if let Some(handed_out) = self.handed_out.take() {
            self.feed.measures.delivered(&handed_out, 1, self.feed.router.through());
            if !self.pending.is_empty() {
                self.follower.tell_progress_through(handed_out.last);
                return Ok(self.hand_out(HandedOut::history).await);
            }
        }
        loop {
            // Nobody may have waited to the end.
            if let Some(Called { at, is_unsent }) = self.feed.seat.stand_up() {
                self.follower.move_to(at);
                if is_unsent {
                    return Ok(Vec::new());
                }
            }
            self.follower.tell_progress();
            if let Some(entries) = self.take_from_feed() {
                if !entries.is_empty() {
                    self.pending = entries.into();
                    return Ok(self.hand_out(HandedOut::live).await);
                }
                self.wait().await;
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

    /// Waits for what its feed does not have yet.
    async fn wait(&self) {
        let Membership { feed, seat, router, .. } = &self.feed;
        let at = self.follower.at();
        seat.sit(at);
        // What came before it sat is not brought; nor is it visited for a log that was replaced by then.
        if at > router.through() || !feed.is_quiet_after(at) {
            seat.call();
        }
        poll_fn(|context| seat.poll_called(context)).await;
    }

    /// Tells some of what was read.
    async fn hand_out(&mut self, measured: fn(&[Told]) -> Option<HandedOut>) -> Vec<Told> {
        let most = Entry::fitting(self.pending.iter());
        let entries: Vec<_> = self.pending.drain(..most.min(self.pending.len())).collect();
        let told = match Entry::all_told(entries) {
            Ok(told) => told,
            // Others may wait for what it tells.
            Err(entries) => apart(Entry::tell_all(entries)).await,
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
