//! Tests of a delivery pass: who is sent what, in which format, and who must read by itself.

use futures_util::FutureExt as _;
use parking_lot::Mutex;

use super::*;
use crate::event::{Filter, SyncEvent};
use crate::live::feed::renderer::{RenderedEvent, RenderedTexts, Renderer};
use crate::live::feed::request::FeedRequest;
use crate::live::feed::router::Router;
use crate::live::feed::router::tests::{event, rendering, request, router};
use crate::live::push::parked::{Sent, WakeReason};
use crate::live::reached::Reached;
use crate::log::View;

/// An outlet that takes everything. Counts how many payloads are written in its format.
struct Wide {
    format: &'static str,
    written: Mutex<usize>,
    sent: Mutex<String>,
}

impl Wide {
    fn new(format: &'static str) -> Arc<Self> {
        Arc::new(Self { format, written: Mutex::new(0), sent: Mutex::default() })
    }

    fn sent(&self) -> String {
        std::mem::take(&mut self.sent.lock())
    }
}

impl Outlet for Wide {
    fn format_key(&self) -> &[u8] {
        self.format.as_bytes()
    }

    fn write(&self, payload: &Payload, out: &mut Vec<u8>) {
        *self.written.lock() += 1;
        out.extend(format!("{}{} ", self.format, payload.text).as_bytes());
    }

    fn send(&self, bytes: &[u8]) -> Sent {
        self.sent.lock().push_str(std::str::from_utf8(bytes).unwrap());
        Sent::All
    }
}

/// The largest payload of most subscribers.
const BATCH: usize = 100;

/// A subscriber that is parked after a position.
fn parked(outlet: Option<&Arc<Wide>>, position: u128) -> ParkedSubscriber {
    parked_with(outlet, position, BATCH)
}

/// A subscriber with payloads of at most `batch` events, parked after a position.
fn parked_with(outlet: Option<&Arc<Wide>>, position: u128, batch: usize) -> ParkedSubscriber {
    let outlet = outlet.map(|outlet| Arc::clone(outlet) as Arc<dyn Outlet>);
    let subscriber = ParkedSubscriber::new(outlet, Arc::new(Reached::new(Position::START)), batch);
    subscriber.park(Position::new(position));
    subscriber
}

fn is_woken(subscriber: &ParkedSubscriber) -> bool {
    std::future::poll_fn(|context| subscriber.poll_woken(context)).now_or_never().is_some()
}

/// Visits subscribers in one pass. Returns true if some need another visit.
fn visit<'s>(feed: &Feed, subscribers: impl IntoIterator<Item = &'s ParkedSubscriber>) -> bool {
    let (metrics, mut formatted) = (LiveMetrics::new(), FormattedBatch::default());
    let mut pass = DeliveryPass::new(feed, &metrics, &mut formatted);
    subscribers.into_iter().for_each(|subscriber| pass.visit(subscriber));
    pass.finish()
}

/// A router of so many bytes, with a feed of all events, which has those through a position.
fn feed_through(through: u128, max_bytes: usize) -> (Router, Arc<Feed>) {
    let router = router(Position::START, max_bytes);
    let feed = router.join(request("k", Filter::default(), &Arc::default()));
    for position in 1..=through {
        router.route(&[event(position, "0oa1", None, "a")], Position::new(position));
    }
    (router, feed)
}

#[test]
fn each_subscriber_is_sent_what_comes_after_its_position_in_its_format() {
    let (_router, feed) = feed_through(3, 1 << 20);
    let outlets = ["a", "a", "b", "b", "a", "a"].map(Wide::new);
    let positions = [1, 1, 1, 2, 2, 3];
    let subscribers: Vec<_> =
        outlets.iter().zip(positions).map(|(outlet, position)| parked(Some(outlet), position)).collect();
    assert!(!visit(&feed, &subscribers));
    let sent = outlets.each_ref().map(|outlet| outlet.sent());
    assert_eq!(sent, ["a2,3 ", "a2,3 ", "b2,3 ", "b3 ", "a3 ", ""]);
    let written = outlets.each_ref().map(|outlet| *outlet.written.lock());
    assert_eq!(written, [1, 0, 1, 1, 1, 0], "a batch is written once for all subscribers with one format");
    for subscriber in &subscribers {
        assert!(!is_woken(subscriber));
        assert_eq!(subscriber.unpark(), Some((Position::new(3), WakeReason::ReadOn)));
    }
    assert!(!visit(&feed, &subscribers), "they are not parked any more");
    assert_eq!(outlets.each_ref().map(|outlet| outlet.sent().len()), [0; 6]);
}

#[test]
fn a_subscriber_that_the_feed_cannot_serve_is_woken_where_it_is() {
    // Each event takes one byte, so the feed has the last two.
    let (router, feed) = feed_through(9, 2);
    let outlet = Wide::new("a");
    for (position, is_served) in [(6, false), (7, true), (9, true), (10, false)] {
        let subscriber = parked(Some(&outlet), position);
        assert!(!visit(&feed, [&subscriber]));
        assert_eq!(is_woken(&subscriber), !is_served, "{position}");
        assert_eq!(outlet.sent(), if position == 7 { "a8,9 " } else { "" });
        let expected = if is_served { 9 } else { position };
        assert_eq!(subscriber.unpark(), Some((Position::new(expected), WakeReason::ReadOn)));
    }
    let without_outlet = parked(None, 9);
    visit(&feed, [&without_outlet]);
    assert!(is_woken(&without_outlet));
    // After a reset, subscribers from before must ask the log.
    router.reset(Position::new(1000));
    let before = parked(Some(&outlet), 9);
    visit(&feed, [&before]);
    assert!(is_woken(&before));
}

#[test]
fn events_that_nobody_has_rendered_are_left_to_their_subscribers() {
    let router = router(Position::START, 1 << 20);
    let render = Arc::new(|event: Arc<SyncEvent>| {
        let (position, stored_at) = (event.position, event.received_at);
        std::future::ready(RenderedEvent { position, stored_at, texts: RenderedTexts::new(), errors: None }).boxed()
    });
    let rendering = rendering("k", Renderer::OnDemand(render));
    let feed = router.join(FeedRequest::new(&View::without_database(), Filter::default(), rendering));
    router.route(&[event(1, "0oa1", None, "a")], Position::new(1));
    let outlet = Wide::new("a");
    let subscriber = parked(Some(&outlet), 0);
    visit(&feed, [&subscriber]);
    assert!(is_woken(&subscriber) && outlet.sent().is_empty());
}

#[test]
fn a_subscriber_with_more_than_a_batch_is_visited_again_until_it_has_all() {
    let through = 2 * BATCH as u128 + 1;
    let (_router, feed) = feed_through(through, 1 << 20);
    let outlet = Wide::new("a");
    let subscriber = parked(Some(&outlet), 0);
    let passes: Vec<_> = (0..3).map(|_| (visit(&feed, [&subscriber]), outlet.sent().split(',').count())).collect();
    assert_eq!(passes, [(true, BATCH), (true, BATCH), (false, 1)]);
    assert_eq!(subscriber.unpark(), Some((Position::new(through), WakeReason::ReadOn)));
}

#[test]
fn each_subscriber_is_sent_payloads_of_its_own_batch() {
    let (_router, feed) = feed_through(5, 1 << 20);
    let outlets = [100, 2, 2, 1, 5].map(|batch| (batch, Wide::new("a")));
    let subscribers: Vec<_> = outlets.iter().map(|(batch, outlet)| parked_with(Some(outlet), 0, *batch)).collect();
    visit(&feed, &subscribers);
    // A batch that is not full waits for the next pass, as there are full ones before it.
    let sent = outlets.each_ref().map(|(_, outlet)| outlet.sent());
    assert_eq!(sent, ["a1,2,3,4,5 ", "a1,2 a3,4 ", "a1,2 a3,4 ", "a1 a2 a3 a4 a5 ", "a1,2,3,4,5 "]);
    assert!(!visit(&feed, &subscribers));
    assert_eq!(outlets.each_ref().map(|(_, outlet)| outlet.sent()), ["", "a5 ", "a5 ", "", ""]);
}
