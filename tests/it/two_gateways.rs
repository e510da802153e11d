//! Two gateways over one database: a subscriber of either gateway receives the events of both, from its start on.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::database::TestDatabase;
use crate::event_stream::EventStream;
use crate::events::{sync_event, sync_events, uuid};
use crate::gateway::{Gateway, settings};
use crate::traffic::seed;

/// Number of events before the first subscription.
const BEFORE: usize = 100;

const SUBSCRIBERS: usize = 40;

async fn two_gateways() -> [Arc<Gateway>; 2] {
    let database = TestDatabase::new().await;
    let first = Gateway::start_over(database.clone(), settings(&database)).await;
    let second = Gateway::start_over(database.clone(), settings(&database)).await;
    [Arc::new(first), Arc::new(second)]
}

#[tokio::test]
async fn a_subscription_without_a_position_starts_now_also_at_a_gateway_that_has_appended_nothing() {
    let [first, second] = two_gateways().await;
    // Both gateways have read the log's tail now.
    first.query("{ ingestion { head } }").await;
    second.query("{ ingestion { head } }").await;
    first.deliver(&sync_events("before", BEFORE)).await;
    let query = "subscription { syncEvents { events { position } } }";
    let mut stream = EventStream::open(second.event_stream(query, &json!({}))).await;
    first.deliver(&[sync_event("after")]).await;
    assert_eq!(stream.sync_event().await.1, json!({"position": (BEFORE + 1).to_string()}));
}

/// Deliveries through both gateways. A counter serves as the clock that orders everything a test does.
struct Deliveries {
    gateways: [Arc<Gateway>; 2],
    clock: AtomicUsize,
    /// Times at which each event was sent and acknowledged, by uuid.
    times: Mutex<HashMap<String, (usize, usize)>>,
}

impl Deliveries {
    fn now(&self) -> usize {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    async fn send(&self, random: &mut StdRng) {
        let events: Vec<Value> = (0..random.random_range(1..4)).map(|_| sync_event("one")).collect();
        let sent = self.now();
        self.gateways[random.random_range(0..2)].deliver(&events).await;
        let acknowledged = self.now();
        let mut times = self.times.lock().unwrap();
        times.extend(events.iter().map(|event| (uuid(event).to_owned(), (sent, acknowledged))));
    }
}

/// A subscription, with the times at which it was requested and acknowledged.
struct Subscriber {
    after: Option<usize>,
    asked: usize,
    acknowledged: usize,
    stream: EventStream,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_joins_either_gateway_at_any_moment_gets_all_from_then_on() {
    let seed = seed();
    let gateways = two_gateways().await;
    let deliveries = Arc::new(Deliveries { gateways, clock: AtomicUsize::new(1), times: Mutex::default() });
    let stop = tokio_util::sync::CancellationToken::new();
    let senders: Vec<_> = (0..3)
        .map(|sender| {
            let (deliveries, stop) = (Arc::clone(&deliveries), stop.clone());
            let mut random = StdRng::seed_from_u64(seed.wrapping_add(sender));
            tokio::spawn(async move {
                while !stop.is_cancelled() {
                    deliveries.send(&mut random).await;
                    sleep(Duration::from_micros(random.random_range(0..5_000))).await;
                }
            })
        })
        .collect();
    let mut random = StdRng::seed_from_u64(!seed);
    let mut subscribers = Vec::new();
    for _ in 0..SUBSCRIBERS {
        sleep(Duration::from_micros(random.random_range(0..20_000))).await;
        subscribers.push(subscribe(&deliveries, &mut random).await);
    }
    stop.cancel();
    for sender in senders {
        sender.await.unwrap();
    }
    let last = sync_event("last");
    deliveries.gateways[0].deliver(std::slice::from_ref(&last)).await;
    let log = crate::consistency::check_log(&deliveries.gateways[0].database.pool).await;
    assert_eq!(log.last().map(String::as_str), Some(uuid(&last)));
    assert!(subscribers.iter().any(|subscriber| subscriber.after.is_none()), "nobody started now");
    for subscriber in subscribers {
        check(&deliveries, &log, subscriber).await;
    }
}

/// Subscribes at either gateway, without a position or from an existing one.
async fn subscribe(deliveries: &Deliveries, random: &mut StdRng) -> Subscriber {
    let gateway = &deliveries.gateways[random.random_range(0..2)];
    let after = if random.random_bool(0.3) {
        let head: usize = gateway.head().await.parse().unwrap();
        Some(random.random_range(0..=head))
    } else {
        None
    };
    let query = "subscription ($from: SyncEventStart) { syncEvents(from: $from) { events { position uuid } } }";
    let variables = after.map_or_else(|| json!({}), |after| json!({"from": {"after": after.to_string()}}));
    let asked = deliveries.now();
    let stream = EventStream::open(gateway.event_stream(query, &variables)).await;
    Subscriber { after, asked, acknowledged: deliveries.now(), stream }
}

/// Checks that a subscriber receives every event of the log from its start on, in order. A subscription without a
/// position must start after all events that were acknowledged before its request, and before all events that were sent
/// after its acknowledgement.
async fn check(deliveries: &Deliveries, log: &[String], mut subscriber: Subscriber) {
    let (_, first) = subscriber.stream.sync_event().await;
    let start: usize = first["position"].as_str().unwrap().parse::<usize>().unwrap() - 1;
    assert_eq!(uuid(&first), log[start]);
    for (place, expected) in log.iter().enumerate().skip(start + 1) {
        let (_, event) = subscriber.stream.sync_event().await;
        assert_eq!((&event["position"], uuid(&event)), (&json!((place + 1).to_string()), expected.as_str()));
    }
    if let Some(after) = subscriber.after {
        assert_eq!(start, after);
        return;
    }
    let times = deliveries.times.lock().unwrap();
    for (place, event) in log.iter().enumerate() {
        let Some((sent, acknowledged)) = times.get(event) else { continue };
        assert!(*acknowledged > subscriber.asked || place < start, "{place} was there before it asked, at {start}");
        assert!(*sent < subscriber.acknowledged || place >= start, "{place} came after its start, at {start}");
    }
}
