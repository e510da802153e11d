//! A log with a backup of its first events, and what must hold of it when the backup is restored.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};
use sluice::event::Position;
use sqlx::postgres::PgPoolOptions;
use tokio::time::{sleep, timeout};

use crate::database::TestDatabase;
use crate::event_stream::EventStream;
use crate::events::{sync_events, uuid};
use crate::gateway::{Gateway, settings};
use crate::traffic::Traffic;

/// How many events the backup has.
pub(crate) const KEPT: usize = 10;

/// How many come after it, and are gone when it is restored.
const LOST: usize = 5;

/// How many come after the restore.
pub(crate) const NEW: usize = 7;

/// The longest that anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(30);

const QUERY: &str = "subscription ($after: Position) { syncEvents(after: $after) { position uuid } }";

/// The uuids of what the log has after a restore, in its order.
struct Expected {
    kept: Vec<Value>,
    new: Vec<Value>,
}

pub(crate) async fn gateway_over(url: &str) -> Gateway {
    let pool = PgPoolOptions::new().max_connections(2).connect_lazy(url).unwrap();
    let database = TestDatabase { url: url.to_owned(), pool };
    let settings = settings(&database);
    Gateway::start_over(database, settings).await
}

pub(crate) async fn subscribe(address: SocketAddr, after: Position) -> EventStream {
    let body = json!({"query": QUERY, "variables": {"after": after.to_string()}});
    let client = Client::builder().no_proxy().build().unwrap();
    let request = client.post(format!("http://{address}/graphql")).header("accept", "text/event-stream");
    EventStream::open(request.json(&body)).await
}

/// Delivers until it is taken: a gateway whose database was restored a moment ago answers 503.
pub(crate) async fn deliver(address: SocketAddr, events: &[Value]) {
    let traffic = Traffic::new();
    let delivered = async {
        while traffic.deliver(address, events).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, delivered).await.expect("deliveries are taken in time");
}

/// Reads a stream through its next events, which must be these; gives their positions.
pub(crate) async fn hear(stream: &mut EventStream, events: &[Value]) -> Vec<Position> {
    let mut positions = Vec::new();
    for expected in events {
        let (_, event) = stream.sync_event().await;
        assert_eq!(uuid(&event), uuid(expected));
        positions.push(event["position"].as_str().unwrap().parse().unwrap());
    }
    positions
}

/// The code of the error with which a subscription ends, or is refused.
pub(crate) async fn refusal(stream: &mut EventStream) -> Value {
    let (_, answer) = timeout(PATIENCE, stream.answer()).await.expect("it is told in time");
    answer["errors"][0]["extensions"]["code"].clone()
}

/// A log with a backup of its first events, and a subscriber that has seen more.
pub(crate) struct Story {
    pub(crate) kept: Vec<Value>,
    lost: Vec<Value>,
    /// What was seen before the restore of what it takes away.
    pub(crate) lost_positions: Vec<Position>,
}

impl Story {
    pub(crate) fn new() -> Self {
        Self { kept: sync_events("kept", KEPT), lost: sync_events("lost", LOST), lost_positions: Vec::new() }
    }

    /// What comes after the backup, and somebody who sees it.
    pub(crate) async fn go_on(&mut self, gateway: SocketAddr) -> EventStream {
        deliver(gateway, &self.lost).await;
        let mut stream = subscribe(gateway, Position::START).await;
        hear(&mut stream, &self.kept).await;
        self.lost_positions = hear(&mut stream, &self.lost).await;
        stream
    }

    /// Checks what a gateway tells of the restored log; gives the positions of what is new.
    pub(crate) async fn check(&self, gateway: SocketAddr) -> Vec<Position> {
        let expected = Expected { kept: self.kept.clone(), new: sync_events("new", NEW) };
        deliver(gateway, &expected.new).await;
        self.check_log(gateway, &expected).await
    }

    async fn check_log(&self, gateway: SocketAddr, expected: &Expected) -> Vec<Position> {
        let Expected { kept, new } = expected;
        let mut stream = subscribe(gateway, Position::START).await;
        let kept_positions = hear(&mut stream, kept).await;
        let new_positions = hear(&mut stream, new).await;
        for (seen, after) in kept_positions.iter().enumerate() {
            let mut stream = subscribe(gateway, *after).await;
            hear(&mut stream, &kept[seen + 1..]).await;
            assert_eq!(hear(&mut stream, new).await, new_positions, "resumed after {after}");
        }
        for (seen, after) in new_positions.iter().enumerate() {
            assert!(!self.lost_positions.contains(after), "{after} was given before, for another event");
            hear(&mut subscribe(gateway, *after).await, &new[seen + 1..]).await;
        }
        for after in &self.lost_positions {
            assert_eq!(refusal(&mut subscribe(gateway, *after).await).await, "POSITION_LOST", "{after}");
        }
        new_positions
    }
}

/// Has a subscriber that goes on over the restore, and checks that it is told what became of the log.
pub(crate) async fn check_live(story: &Story, gateway: SocketAddr, mut seen: EventStream) -> Vec<Position> {
    let positions = story.check(gateway).await;
    assert_eq!(refusal(&mut seen).await, "POSITION_LOST");
    positions
}

/// Subscribes as soon as the gateway has noticed the restore.
pub(crate) async fn subscribe_when_there(gateway: SocketAddr, after: Position) -> EventStream {
    let subscribed = async {
        loop {
            let mut stream = subscribe(gateway, after).await;
            let first = stream.frame().await;
            if first.id.is_some() && first.event.is_none() {
                return stream;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, subscribed).await.expect("the restore is noticed in time")
}
