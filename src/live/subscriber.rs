//! A subscriber: it catches up with its feed, parks there, and receives what all subscribers of the feed receive.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;

use super::Live;
use super::catch_up::follower::{CatchUpRead, Follower};
use super::feed::Feed;
use super::feed::rendered::{BATCH, FeedEntry};
use super::feed::renderer::RenderedEvent;
use super::feed::request::FeedRequest;
use super::feed::router::Router;
use super::measures::{HandedOut, LiveMetrics};
use super::progress::Progress;
use super::push::parked::{Outlet, ParkedSubscriber, WakeReason};
use crate::abort_on_drop::spawn_abort_on_drop;
use crate::event::Position;
use crate::log::ResumeError;

/// A subscriber of a feed. The subscriber asks for its events, so a slow client holds up nobody but itself (backpressure).
#[derive(Debug)]
pub struct Subscriber {
    follower: Follower,
    membership: FeedMembership,
    /// Entries that were read and are still to be handed out.
    pending: VecDeque<FeedEntry>,
    handed_out: Option<HandedOut>,
    metrics: Arc<LiveMetrics>,
}

/// A subscriber's place in its feed, given back on drop.
#[derive(Debug)]
struct FeedMembership {
    feed: Arc<Feed>,
    parked: Arc<ParkedSubscriber>,
    /// The number under which the feed has the parked subscriber.
    number: u64,
    router: Arc<Router>,
}

impl FeedMembership {
    fn new(router: &Arc<Router>, request: FeedRequest, parked: ParkedSubscriber) -> Self {
        let (feed, parked) = (router.join(request), Arc::new(parked));
        let number = feed.add_parked(Arc::clone(&parked));
        Self { feed, parked, number, router: Arc::clone(router) }
    }
}

impl Drop for FeedMembership {
    fn drop(&mut self) {
        // This comes first: from here on no worker sends anything.
        self.parked.unpark();
        self.feed.remove_parked(self.number);
        self.router.leave(&self.feed);
    }
}

impl Live {
    /// Subscribes to a feed, from after a position or from now on. While the subscriber waits, new events are sent through
    /// the outlet, if there is one.
    ///
    /// # Errors
    /// The log cannot be resumed from the position.
    pub async fn join(
        &self,
        request: FeedRequest,
        after: Option<Position>,
        progress: Progress,
        outlet: Option<Arc<dyn Outlet>>,
    ) -> Result<Subscriber, ResumeError> {
        let follower = Follower::start(Arc::clone(&self.catch_up), request.view(), after, progress.clone()).await?;
        let parked = ParkedSubscriber::new(outlet, progress.position());
        let membership = FeedMembership::new(&self.router, request, parked);
        follower.report_progress();
        progress.join(&membership.feed, &membership.parked);
        let metrics = Arc::clone(&self.metrics);
        Ok(Subscriber { follower, membership, pending: VecDeque::new(), handed_out: None, metrics })
    }
}

impl Subscriber {
    /// Returns the next events, at least one; waits until there is one, and while the database is unavailable. The events of
    /// the last call count as delivered. Where an outlet sends events, the result may be empty: then the outlet has sent a
    /// part of a batch, and the caller must flush the connection.
    ///
    /// # Errors
    /// The log was replaced by one that does not go on from here.
    pub async fn next(&mut self) -> Result<Vec<RenderedEvent>, ResumeError> {
        if let Some(handed_out) = self.handed_out.take() {
            self.metrics.delivered(&handed_out, 1, self.membership.feed.routed());
            if !self.pending.is_empty() {
                self.follower.report_progress_through(handed_out.last);
                return Ok(self.hand_out(HandedOut::history).await);
            }
        }
        loop {
            // The last call may have been dropped while the subscriber was parked.
            if let Some((position, reason)) = self.membership.parked.unpark() {
                self.follower.move_to(position);
                if reason == WakeReason::Flush {
                    return Ok(Vec::new());
                }
            }
            self.follower.report_progress();
            if let Some(entries) = self.take_from_feed() {
                if !entries.is_empty() {
                    self.pending = entries.into();
                    return Ok(self.hand_out(HandedOut::live).await);
                }
                self.park().await;
                continue;
            }
            // Boxed, since this future is large and most subscribers only wait for their feed.
            match Box::pin(self.follower.read_with_retries(&self.membership.feed)).await? {
                CatchUpRead::Entries(entries) if entries.is_empty() => {}
                CatchUpRead::Entries(entries) => {
                    self.pending = entries.into();
                    return Ok(self.hand_out(HandedOut::history).await);
                }
                CatchUpRead::AtEnd => self.follower.wait_for_window().await,
            }
        }
    }

    /// Parks until the subscriber is woken.
    async fn park(&self) {
        let FeedMembership { feed, parked, .. } = &self.membership;
        let position = self.follower.position();
        parked.park(position);
        // No worker brings what came before the subscriber was parked, nor visits it for a reset before that.
        if position > feed.routed() || !feed.has_nothing_after(position) {
            parked.wake();
        }
        poll_fn(|context| parked.poll_woken(context)).await;
    }

    /// Hands out the first batch of the pending entries, rendered.
    async fn hand_out(&mut self, measure: fn(&[RenderedEvent]) -> Option<HandedOut>) -> Vec<RenderedEvent> {
        let count = FeedEntry::first_batch(self.pending.iter());
        let entries: Vec<_> = self.pending.drain(..count.min(self.pending.len())).collect();
        let rendered = match FeedEntry::all_rendered(entries) {
            Ok(rendered) => rendered,
            // Other subscribers may wait for these events, so a slow client must not hold up their rendering.
            Err(entries) => spawn_abort_on_drop(FeedEntry::render_all(entries)).await,
        };
        self.handed_out = measure(&rendered);
        rendered
    }

    /// Takes what the feed has after the subscriber's position; None if the feed does not reach back so far.
    fn take_from_feed(&mut self) -> Option<Vec<FeedEntry>> {
        let feed = &self.membership.feed;
        // The feed's position is read first: by then the feed has every event that it wants through there.
        let routed = feed.routed();
        if !self.follower.is_in_era(routed) || self.follower.position() > routed {
            return None;
        }
        let entries = feed.after(self.follower.position(), BATCH)?;
        self.follower.move_to(entries.last().map_or(routed, FeedEntry::position));
        Some(entries)
    }
}
