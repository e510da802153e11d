//! The progress of a subscriber through the log, as it is reported to the client.

use std::sync::{Arc, OnceLock, Weak};

use super::feed::Feed;
use super::feed::payload::Payload;
use super::measures::{HandedOut, LiveMetrics};
use super::push::parked::ParkedSubscriber;
use super::reached::Reached;
use crate::event::Position;

/// The position through which a subscriber was given everything that matches its filter: a client that resumes from there
/// misses nothing. The position also moves past events that do not match. All clones share it.
#[derive(Clone, Debug)]
pub struct Progress(Arc<SharedProgress>);

#[derive(Debug)]
struct SharedProgress {
    reached: Arc<Reached>,
    joined: OnceLock<JoinedFeed>,
}

/// The feed that a subscriber has joined.
#[derive(Debug)]
struct JoinedFeed {
    feed: Weak<Feed>,
    /// The place where the subscriber parks.
    parked: Weak<ParkedSubscriber>,
    metrics: Arc<LiveMetrics>,
}

/// Stands for a position that is not known yet.
const UNKNOWN: Position = Position::new(u128::MAX);

impl Default for Progress {
    fn default() -> Self {
        let reached = Arc::new(Reached::new(UNKNOWN));
        Self(Arc::new(SharedProgress { reached, joined: OnceLock::new() }))
    }
}

impl Progress {
    /// Stops the workers from sending to the subscriber, and returns its position; None before it has started. The outlet
    /// stays quiet until the subscriber is asked for its next events, so that a client receives this position before any
    /// event after it.
    pub fn hold(&self) -> Option<Position> {
        let joined = self.0.joined.get().and_then(|joined| Some((joined.feed.upgrade()?, joined.parked.upgrade()?)));
        if let Some((_, parked)) = &joined {
            parked.wake();
        }
        let position = self.position()?;
        // A parked subscriber is not woken for events that do not match. While its feed has nothing for it, it is as far as
        // the router is.
        let routed = joined.and_then(|(feed, _)| {
            // The router's position is read first: by then the feed has everything that it wants through there.
            let routed = feed.routed();
            feed.has_nothing_after(position).then_some(routed)
        });
        Some(routed.map_or(position, |routed| routed.max(position)))
    }

    /// Holds the subscriber (see [`hold`](Self::hold)), and returns a payload without events that reports its position. None
    /// before it has started.
    pub fn payload(&self) -> Option<Payload> {
        let position = self.hold()?;
        let feed = self.0.joined.get()?.feed.upgrade()?;
        Some(feed.empty_payload(position))
    }

    /// Returns the position through which the subscriber was given everything; None before it has started.
    pub fn position(&self) -> Option<Position> {
        Some(self.0.reached.position.get()).filter(|position| *position != UNKNOWN)
    }

    /// Returns the number of events that the subscriber was sent.
    pub fn events(&self) -> u64 {
        self.0.reached.events()
    }

    /// Counts the events of the last payloads as delivered, unless they are counted. The task that sends payloads must call this
    /// when the client's connection has taken them: the client may end the subscription before it is asked for more.
    pub fn sent(&self) {
        let Some(joined) = self.0.joined.get() else { return };
        let Some(sent) = self.0.reached.sent() else { return };
        let routed = joined.feed.upgrade().map_or(sent.last, |feed| feed.routed());
        joined.metrics.delivered(&sent, 1, routed);
    }

    /// Keeps the events of payloads that are still to be sent.
    pub(super) fn hand_out(&self, events: Option<HandedOut>) {
        self.0.reached.hand_out(events);
    }

    /// Moves to a position.
    pub(super) fn set(&self, position: Position) {
        self.0.reached.position.set(position);
    }

    /// Returns what the workers move while the subscriber is parked.
    pub(super) fn reached(&self) -> Arc<Reached> {
        Arc::clone(&self.0.reached)
    }

    /// Connects this with the subscriber's feed, with the place where it parks, and with the metrics of deliveries.
    pub(super) fn join(&self, feed: &Arc<Feed>, parked: &Arc<ParkedSubscriber>, metrics: &Arc<LiveMetrics>) {
        let (feed, parked) = (Arc::downgrade(feed), Arc::downgrade(parked));
        _ = self.0.joined.set(JoinedFeed { feed, parked, metrics: Arc::clone(metrics) });
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::event::{Filter, Timestamp};
    use crate::live::feed::renderer::RenderedEvent;
    use crate::live::feed::router::Router;
    use crate::live::feed::router::tests::{event, request, router};
    use crate::live::push::parked::WakeReason;

    /// Returns the progress of a subscriber that has joined a feed of the events of org `acme`, with the feed.
    fn joined(router: &Router) -> (Progress, Arc<Feed>, Arc<ParkedSubscriber>) {
        let filter = Filter { orgs: Some(vec!["acme".to_owned()]), ..Filter::default() };
        let feed = router.join(request("k", filter, &Arc::default()));
        let progress = Progress::default();
        let parked = Arc::new(ParkedSubscriber::new(None, progress.reached(), 100));
        progress.join(&feed, &parked, &Arc::new(LiveMetrics::new()));
        (progress, feed, parked)
    }

    fn route(router: &Router, position: u128) {
        router.route(&[event(position, "0oa1", None, "a")], Position::new(position));
    }

    fn held(progress: &Progress) -> Option<u128> {
        progress.hold().map(Position::get)
    }

    #[test]
    fn a_subscriber_is_as_far_as_the_router_while_its_feed_has_nothing_for_it() {
        let router = router(Position::new(3), 1 << 20);
        let (progress, _feed, _parked) = joined(&router);
        assert_eq!(held(&progress), None, "the subscriber has not started");
        progress.set(Position::new(3));
        router.route(&[], Position::new(9));
        assert_eq!(held(&progress), Some(9));
        route(&router, 10);
        assert_eq!(held(&progress), Some(3), "an event waits that was not handed out");
        progress.set(Position::new(10));
        assert_eq!(held(&progress), Some(10));
        router.route(&[], Position::new(12));
        assert_eq!(held(&progress), Some(12));
        progress.set(Position::new(20));
        assert_eq!(held(&progress), Some(20), "the subscriber has read ahead of the router");
    }

    #[test]
    fn events_count_once_when_they_are_sent() {
        let router = router(Position::new(3), 1 << 20);
        let (progress, _feed, _parked) = joined(&router);
        progress.set(Position::new(3));
        let reached = |progress: &Progress| (progress.position().map(Position::get), progress.events());
        progress.sent();
        assert_eq!(reached(&progress), (Some(3), 0), "nothing was handed out");
        let events = [5, 6].map(|position| RenderedEvent {
            position: Position::new(position),
            stored_at: Timestamp::now(),
            texts: std::iter::empty().collect(),
            errors: None,
        });
        progress.hand_out(HandedOut::live(&events));
        assert_eq!(reached(&progress), (Some(3), 0), "the client may never receive what was handed out");
        for _ in 0..2 {
            progress.sent();
            assert_eq!(reached(&progress), (Some(6), 2));
        }
    }

    #[test]
    fn a_subscriber_whose_feed_has_dropped_events_is_where_it_was() {
        let router = router(Position::START, 2);
        let (progress, feed, _parked) = joined(&router);
        progress.set(Position::new(3));
        for position in 1..=9 {
            route(&router, position);
        }
        assert_eq!(held(&progress), Some(3), "events that it still needs are gone from the feed");
        progress.set(Position::new(9));
        router.reset(Position::new(1000));
        assert_eq!(held(&progress), Some(9), "events may have been lost between");
        progress.set(Position::new(1000));
        router.route(&[], Position::new(1005));
        assert_eq!(held(&progress), Some(1005));
        router.leave(&feed);
        drop(feed);
        assert_eq!(held(&progress), Some(1000), "there is no feed any more");
    }

    #[test]
    fn a_parked_subscriber_is_woken_and_sent_nothing_after_the_position() {
        let router = router(Position::new(3), 1 << 20);
        let (progress, _feed, parked) = joined(&router);
        progress.set(Position::new(3));
        parked.park(Position::new(3));
        assert_eq!(held(&progress), Some(3));
        assert!(std::future::poll_fn(|context| parked.poll_woken(context)).now_or_never().is_some());
        assert_eq!(parked.unpark(), Some((Position::new(3), WakeReason::ReadOn)));
    }
}
