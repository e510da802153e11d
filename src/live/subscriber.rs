//! A subscriber: it catches up with its feed, parks there, and receives what all subscribers of the feed receive.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::Live;
use super::catch_up::follower::{CatchUpRead, Follower};
use super::feed::Feed;
use super::feed::payload::Payload;
use super::feed::rendered::FeedEntry;
use super::feed::request::FeedRequest;
use super::feed::router::Router;
use super::measures::HandedOut;
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
    /// Largest number of events in a payload.
    batch: usize,
    /// True until the first payload was returned.
    is_new: bool,
    pending: PendingEntries,
}

/// Options of a new subscriber, beside the request for its feed.
pub struct NewSubscriber {
    /// The position after which the events begin; None for now.
    pub after: Option<Position>,
    /// Largest number of events in a payload.
    pub batch: usize,
    /// Reports the subscriber's progress.
    pub progress: Progress,
    /// Sends new events while the subscriber waits, if there is one.
    pub outlet: Option<Arc<dyn Outlet>>,
}

/// Entries that were read and are still to be handed out.
#[derive(Debug, Default)]
struct PendingEntries {
    entries: VecDeque<FeedEntry>,
    /// True if some entry was read to catch up.
    is_history: bool,
    /// The time until which more entries are read to fill a payload; None while there are no entries.
    fill_until: Option<Instant>,
}

/// Longest time that an event waits for others, so that history comes in full payloads. Where events are rare, the time
/// until the next one may be long.
const FILL_TIME: Duration = Duration::from_millis(250);

impl PendingEntries {
    /// Adds entries, which are history if they were read to catch up.
    fn add(&mut self, entries: Vec<FeedEntry>, is_history: bool) {
        if entries.is_empty() {
            return;
        }
        self.fill_until.get_or_insert_with(|| Instant::now() + FILL_TIME);
        self.is_history |= is_history;
        self.entries.extend(entries);
    }

    /// True if the entries are not to wait for more.
    fn is_due(&self, batch: usize) -> bool {
        let Some(fill_until) = self.fill_until else { return false };
        FeedEntry::fill_payload(self.entries.iter(), batch) || fill_until <= Instant::now()
    }

    /// Takes the entries that a subscriber with this batch is given first.
    fn take(&mut self, batch: usize) -> Vec<FeedEntry> {
        let count = FeedEntry::first_batches(self.entries.iter(), batch).min(self.entries.len());
        let taken = self.entries.drain(..count).collect();
        self.fill_until = (!self.entries.is_empty()).then(|| Instant::now() + FILL_TIME);
        self.is_history &= !self.entries.is_empty();
        taken
    }
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
    /// Subscribes to a feed.
    ///
    /// # Errors
    /// The log cannot be resumed from the position.
    pub async fn join(&self, request: FeedRequest, new: NewSubscriber) -> Result<Subscriber, ResumeError> {
        let NewSubscriber { after, batch, progress, outlet } = new;
        let follower = Follower::start(Arc::clone(&self.catch_up), request.view(), after, progress.clone()).await?;
        let parked = ParkedSubscriber::new(outlet, progress.reached(), batch);
        let membership = FeedMembership::new(&self.router, request, parked);
        follower.report_progress();
        progress.join(&membership.feed, &membership.parked, &self.metrics);
        let pending = PendingEntries::default();
        Ok(Subscriber { follower, membership, batch, is_new: true, pending })
    }
}

impl Subscriber {
    /// Returns the next payloads; waits until there is one, and while the database is unavailable. The first payload comes
    /// at once and has no events. The events of the last call count as delivered. Where an outlet sends events, the result
    /// may be empty: then the outlet has sent a part of a payload, and the caller must flush the connection.
    ///
    /// # Errors
    /// The log was replaced by one that does not go on from here.
    pub async fn next(&mut self) -> Result<Vec<Payload>, ResumeError> {
        if std::mem::take(&mut self.is_new) {
            return Ok(vec![self.membership.feed.empty_payload(self.follower.position())]);
        }
        self.follower.progress().sent();
        loop {
            // The last call may have been dropped while the subscriber was parked.
            if let Some((position, reason)) = self.membership.parked.unpark() {
                self.follower.move_to(position);
                if reason == WakeReason::Flush {
                    return Ok(Vec::new());
                }
            }
            if self.pending.is_due(self.batch) {
                return Ok(self.hand_out().await);
            }
            // Pending events are still to be handed out, so that the client has not come past them yet.
            if self.pending.entries.is_empty() {
                self.follower.report_progress();
            }
            if let Some(entries) = self.take_from_feed() {
                self.pending.add(entries, false);
                if !self.pending.entries.is_empty() {
                    return Ok(self.hand_out().await);
                }
                self.park().await;
                continue;
            }
            match self.read_on().await? {
                Some(CatchUpRead::Entries(entries)) => self.pending.add(entries, true),
                Some(CatchUpRead::AtEnd) if self.pending.entries.is_empty() => self.follower.wait_for_window().await,
                Some(CatchUpRead::AtEnd) | None => return Ok(self.hand_out().await),
            }
        }
    }

    /// Reads on to catch up. Returns None if that takes longer than pending events may wait.
    async fn read_on(&mut self) -> Result<Option<CatchUpRead>, ResumeError> {
        // Boxed, since this future is large and most subscribers only wait for their feed.
        let read = Box::pin(self.follower.read_with_retries(&self.membership.feed));
        match self.pending.fill_until {
            Some(fill_until) => timeout_at(fill_until, read).await.ok().transpose(),
            None => read.await.map(Some),
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

    /// Hands out the first pending entries, rendered and in payloads.
    async fn hand_out(&mut self) -> Vec<Payload> {
        let measure = if self.pending.is_history { HandedOut::history } else { HandedOut::live };
        let entries = self.pending.take(self.batch);
        let rendered = match FeedEntry::all_rendered(entries) {
            Ok(rendered) => rendered,
            // Other subscribers may wait for these events, so a slow client must not hold up their rendering.
            Err(entries) => spawn_abort_on_drop(FeedEntry::render_all(entries)).await,
        };
        // The first event with errors comes in no part, and ends the subscription.
        let (whole, _) = rendered.split_at(rendered.iter().take_while(|event| event.errors.is_none()).count());
        self.follower.progress().hand_out(measure(whole));
        self.membership.feed.payloads_of(&rendered, self.batch)
    }

    /// Takes what the feed has after the subscriber's position; None if the feed does not reach back so far.
    fn take_from_feed(&mut self) -> Option<Vec<FeedEntry>> {
        let feed = &self.membership.feed;
        // The feed's position is read first: by then the feed has every event that it wants through there.
        let routed = feed.routed();
        if !self.follower.is_in_era(routed) || self.follower.position() > routed {
            return None;
        }
        let entries = feed.after(self.follower.position(), FeedEntry::at_once(self.batch))?;
        self.follower.move_to(entries.last().map_or(routed, FeedEntry::position));
        Some(entries)
    }
}
