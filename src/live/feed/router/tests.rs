//! Tests of the router: which events reach which feeds, and what feeds keep of them.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt as _;

use super::*;
use crate::event::{Details, EventTypePattern, Filter, IngestSource, Occurrence, Timestamp};
use crate::live::feed::rendered::FeedEntry;
use crate::live::feed::renderer::{PayloadWriter, RenderedEvent, Renderer};
use crate::live::feed::request::Rendering;
use crate::log::View;

/// An event at a position.
pub(in crate::live) fn event(
    position: u128,
    instance: &str,
    application: Option<&str>,
    event_type: &str,
) -> Arc<SyncEvent> {
    let instance = (!instance.is_empty()).then_some((EventColumn::InstanceId, instance));
    let application = application.map(|name| (EventColumn::ApplicationName, name));
    let texts: Vec<_> = instance.into_iter().chain(application).collect();
    Arc::new(SyncEvent {
        position: Position::new(position),
        org: "acme".into(),
        occurrence: Occurrence::of_type(event_type).with(&texts),
        received_at: Timestamp::now(),
        first_source: IngestSource::EventHook,
        details: Details::NotRead,
    })
}

/// A request whose events are rendered as their positions. Counts how many are rendered.
pub(in crate::live) fn request(key: &str, filter: Filter, rendered: &Arc<AtomicUsize>) -> FeedRequest {
    let rendered = Arc::clone(rendered);
    let render = Arc::new(move |event: &SyncEvent| {
        rendered.fetch_add(1, Ordering::Relaxed);
        std::iter::once(event.position.to_string().into()).collect()
    });
    FeedRequest::new(&View::without_database(), filter, rendering(key, Renderer::Immediate(render)))
}

/// A rendering whose payloads are the events' texts with commas between them.
pub(in crate::live) fn rendering(key: &str, renderer: Renderer) -> Rendering {
    let payload_writer: PayloadWriter = Arc::new(|events, _| {
        let texts: Vec<_> = events.iter().flat_map(|event| &event.texts).map(|text| &**text).collect();
        texts.join(",").into()
    });
    Rendering { key: key.into(), renderer, payload_writer, with_details: false }
}

fn list(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

fn positions(entries: Option<Vec<FeedEntry>>) -> Option<Vec<u128>> {
    entries.map(|entries| entries.iter().map(|entry| entry.position().get()).collect())
}

pub(in crate::live) fn router(start: Position, max_bytes: usize) -> Router {
    Router::new(start, max_bytes, Arc::default(), Arc::new(LiveMetrics::new()))
}

#[test]
fn an_event_reaches_the_feeds_that_want_it_and_no_others() {
    let (router, rendered) = (router(Position::START, 1 << 20), Arc::default());
    let types = |types: &[&str]| types.iter().map(|text| EventTypePattern::parse(text)).collect::<Option<Vec<_>>>();
    let filters = [
        ("everything", Filter::default()),
        ("instances", Filter { application_instances: Some(list(&["0oa1", "0oa2"])), ..Filter::default() }),
        ("application", Filter { applications: Some(list(&["slack"])), ..Filter::default() }),
        ("types", Filter { event_types: types(&["a.b", "a.c"]), ..Filter::default() }),
        ("family", Filter { event_types: types(&["a.*"]), ..Filter::default() }),
        (
            "both",
            Filter {
                application_instances: Some(list(&["0oa1"])),
                applications: Some(list(&["slack"])),
                ..Filter::default()
            },
        ),
        ("nothing", Filter { application_instances: Some(list(&[])), ..Filter::default() }),
    ];
    let feeds: Vec<_> = filters.into_iter().map(|(key, filter)| router.join(request(key, filter, &rendered))).collect();
    let events = [
        event(1, "0oa1", Some("slack"), "a.b"),
        event(2, "0oa2", None, "a.d"),
        event(3, "", Some("slack"), "x"),
        event(4, "0oa3", Some("other"), "a.c"),
    ];
    router.route(&events, Position::new(4));
    let found: Vec<_> = feeds.iter().map(|feed| positions(feed.after(Position::START, 10)).unwrap()).collect();
    let expected: [&[u128]; 7] = [&[1, 2, 3, 4], &[1, 2], &[1, 3], &[1, 4], &[1, 2, 4], &[1], &[]];
    assert_eq!(found, expected);
    assert_eq!(rendered.load(Ordering::Relaxed), 4 + 2 + 2 + 2 + 3 + 1);
    for feed in &feeds {
        router.leave(feed);
    }
    let left = router.routes.lock();
    assert!(left.by_key.is_empty() && left.others.is_empty());
    let lists = [&left.by_instance, &left.by_application, &left.by_type, &left.by_org];
    assert!(lists.into_iter().all(HashMap::is_empty));
}

#[test]
fn an_exact_type_beside_a_family_hides_no_event_of_the_family() {
    let (router, rendered) = (router(Position::START, 1 << 20), Arc::default());
    let types = ["a.b", "c.*"].map(|text| EventTypePattern::parse(text).unwrap());
    let filter = Filter { event_types: Some(types.to_vec()), ..Filter::default() };
    let feed = router.join(request("mixed", filter, &rendered));
    let events = [event(1, "", None, "c.d"), event(2, "", None, "a.b"), event(3, "", None, "a.c")];
    router.route(&events, Position::new(3));
    assert_eq!(positions(feed.after(Position::START, 10)), Some(vec![1, 2]));
}

#[test]
fn a_subscriber_is_not_at_the_end_of_a_feed_that_has_dropped_its_events() {
    let (router, rendered) = (router(Position::START, 2), Arc::default());
    let feed = router.join(request("k", Filter::default(), &rendered));
    assert!(feed.has_nothing_after(Position::START), "nothing has happened yet");
    for position in 1..=9 {
        router.route(&[event(position, "0oa1", None, "a")], Position::new(position));
    }
    // Each event takes one byte, so the feed still has the last two.
    let quiet: Vec<_> = (0..=9).filter(|position| feed.has_nothing_after(Position::new(*position))).collect();
    assert_eq!(quiet, [9]);
    router.reset(Position::new(1000));
    assert!(!feed.has_nothing_after(Position::new(9)), "events between may be lost or missing");
    assert!(feed.has_nothing_after(Position::new(1000)));
}

#[test]
fn filters_are_found_by_the_shortest_list_of_their_and_parts() {
    let (router, rendered) = (router(Position::START, 1 << 20), Arc::default());
    let instances = |ids: &[&str]| Filter { application_instances: Some(list(ids)), ..Filter::default() };
    let of_type =
        |text: &str| Filter { event_types: Some(vec![EventTypePattern::parse(text).unwrap()]), ..Filter::default() };
    let and = |parts: &[Filter]| Filter { and: parts.to_vec(), ..Filter::default() };
    let slack = Filter { applications: Some(list(&["slack"])), ..Filter::default() };
    let nested = and(&[of_type("a.*"), and(&[instances(&["0oa1", "0oa2", "0oa3"]), instances(&["0oa1"])])]);
    let filters = [
        ("nested", nested),
        ("application", and(&[slack, of_type("a.b")])),
        ("type", and(&[of_type("a.*"), of_type("a.b")])),
        ("family", and(&[of_type("a.*")])),
    ];
    let feeds: Vec<_> = filters.into_iter().map(|(key, filter)| router.join(request(key, filter, &rendered))).collect();
    {
        let held = router.routes.lock();
        let values = |pinned: &FeedsByValue| pinned.keys().cloned().collect::<Vec<_>>();
        assert_eq!(values(&held.by_instance), ["0oa1"]);
        assert_eq!(values(&held.by_application), ["slack"]);
        assert_eq!(values(&held.by_type), ["a.b"]);
        assert_eq!(held.others.len(), 1, "only the family is offered every event");
    }
    let events = [event(1, "0oa1", None, "a.c"), event(2, "0oa2", Some("slack"), "a.b"), event(3, "0oa1", None, "x")];
    router.route(&events, Position::new(3));
    let found: Vec<_> = feeds.iter().map(|feed| positions(feed.after(Position::START, 10)).unwrap()).collect();
    let expected: [&[u128]; 4] = [&[1], &[2], &[2], &[1, 2]];
    assert_eq!(found, expected);
    for feed in &feeds {
        router.leave(feed);
    }
    let left = router.routes.lock();
    assert!(left.by_key.is_empty() && left.others.is_empty());
    let lists = [&left.by_instance, &left.by_application, &left.by_type, &left.by_org];
    assert!(lists.into_iter().all(HashMap::is_empty));
}

#[test]
fn a_feed_under_values_of_several_kinds_is_offered_an_event_once() {
    let (router, rendered) = (router(Position::START, 1 << 20), Arc::default());
    let instances = Filter { application_instances: Some(list(&["0oa1"])), ..Filter::default() };
    let slack = Filter { applications: Some(list(&["slack"])), ..Filter::default() };
    let beta = Filter { orgs: Some(list(&["beta"])), ..Filter::default() };
    let filter = Filter { or: Some(vec![instances, slack, beta]), ..Filter::default() };
    let feed = router.join(request("mixed", filter, &rendered));
    let events = [
        event(1, "0oa1", Some("slack"), "a"),
        event(2, "0oa2", Some("slack"), "a"),
        event(3, "0oa1", None, "a"),
        event(4, "0oa2", None, "a"),
    ];
    router.route(&events, Position::new(4));
    assert_eq!(positions(feed.after(Position::START, 10)), Some(vec![1, 2, 3]));
    assert_eq!(rendered.load(Ordering::Relaxed), 3);
    {
        let held = router.routes.lock();
        assert!(held.others.is_empty() && held.by_org.contains_key("beta"));
    }
    router.leave(&feed);
    let left = router.routes.lock();
    let lists = [&left.by_instance, &left.by_application, &left.by_type, &left.by_org];
    assert!(lists.into_iter().all(HashMap::is_empty));
}

#[test]
fn an_event_is_rendered_once_for_all_subscribers_with_one_request() {
    let (router, rendered) = (router(Position::new(5), 1 << 20), Arc::default());
    let (one, other) = (
        router.join(request("k", Filter::default(), &rendered)),
        router.join(request("k", Filter::default(), &rendered)),
    );
    assert!(Arc::ptr_eq(&one, &other));
    router.route(&[event(6, "0oa1", None, "a")], Position::new(6));
    assert_eq!(rendered.load(Ordering::Relaxed), 1);
    assert_eq!(positions(one.after(Position::new(5), 10)), Some(vec![6]));
    assert_eq!(positions(one.after(Position::new(6), 10)), Some(vec![]));
    assert!(one.after(Position::new(4), 10).is_none(), "what was before the feed is not in it");
    router.leave(&one);
    assert_eq!(router.usage().feeds, 1);
    router.leave(&other);
    assert_eq!(router.usage().feeds, 0);
}

#[test]
fn the_bytes_of_all_feeds_are_bounded_together() {
    let (router, rendered) = (router(Position::START, 10), Arc::default());
    let quiet = router.join(request("quiet", Filter { orgs: Some(list(&["other"])), ..Filter::default() }, &rendered));
    let feeds = ["a", "b"].map(|key| router.join(request(key, Filter::default(), &rendered)));
    for position in 1..=100 {
        router.route(&[event(position, "0oa1", None, "a")], Position::new(position));
        assert!(router.usage().bytes <= 10, "{:?}", router.usage());
    }
    for feed in &feeds {
        assert!(feed.after(Position::new(50), 10).is_none(), "it does not go back so far any more");
        assert_eq!(positions(feed.after(Position::new(99), 10)), Some(vec![100]));
    }
    assert_eq!(positions(quiet.after(Position::START, 10)), Some(vec![]), "it lost nothing");
    router.reset(Position::new(1000));
    assert_eq!(router.usage().bytes, 0);
    assert!(feeds[0].after(Position::new(100), 10).is_none());
    assert_eq!(positions(feeds[0].after(Position::new(1000), 10)), Some(vec![]));
}

#[tokio::test]
async fn an_event_with_errors_is_rendered_again_for_a_subscriber_that_comes_back() {
    let router = router(Position::START, 1 << 20);
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let render = Arc::new(move |event: Arc<SyncEvent>| {
        let errors = (counted.fetch_add(1, Ordering::Relaxed) == 0).then(|| "[]".into());
        let (position, stored_at) = (event.position, event.received_at);
        std::future::ready(RenderedEvent { position, stored_at, texts: std::iter::once("{}".into()).collect(), errors })
            .boxed()
    });
    let rendering = rendering("k", Renderer::OnDemand(render));
    let feed = router.join(FeedRequest::new(&View::without_database(), Filter::default(), rendering));
    router.route(&[event(1, "0oa1", None, "a")], Position::new(1));
    let next = async || FeedEntry::render_all(feed.after(Position::START, 1).unwrap()).await.pop().unwrap();
    // In a batch, a failed event is rendered again at once. A result without errors is kept.
    assert!(next().await.errors.is_none());
    assert_eq!(tries.load(Ordering::Relaxed), 2);
    assert!(next().await.errors.is_none());
    assert_eq!(tries.load(Ordering::Relaxed), 2);
}

#[test]
fn feeds_share_a_rendering_until_the_last_of_them_is_gone() {
    let router = router(Position::START, 1 << 20);
    let rendered = Arc::default();
    let request = |key: &str, instance: &str| {
        let filter = Filter { application_instances: Some(list(&[instance])), ..Filter::default() };
        request(key, filter, &rendered)
    };
    let [a, b, other] = [("k", "a"), ("k", "b"), ("l", "c")].map(|(key, instance)| router.join(request(key, instance)));
    assert!(Arc::ptr_eq(&a.request.payload_writer, &b.request.payload_writer));
    assert!(!Arc::ptr_eq(&a.request.payload_writer, &other.request.payload_writer));
    let renderings = || router.routes.lock().renderings.len();
    assert_eq!(renderings(), 2);
    router.leave(&a);
    assert_eq!(renderings(), 2);
    router.leave(&b);
    router.leave(&other);
    assert_eq!(renderings(), 0);
}
