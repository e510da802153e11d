//! A log whose first events are in a backup, and the checks that it must pass after the backup is restored.

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

/// Number of events in the backup.
pub(crate) const KEPT: usize = 10;

/// Number of events that come after the backup and are lost by the restore.
const LOST: usize = 5;

/// Number of events that come after the restore.
pub(crate) const NEW: usize = 7;

/// Time limit of every wait in these tests.
const PATIENCE: Duration = Duration::from_secs(30);

const QUERY: &str =
    "subscription ($after: Position!) { syncEvents(from: {after: $after}) { events { position uuid } } }";

/// Events of the log after a restore: those of the backup, and after them the new ones.
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

/// Sends a delivery until the gateway accepts it: right after a restore of its database the gateway answers 503.
pub(crate) async fn deliver(address: SocketAddr, events: &[Value]) {
    let traffic = Traffic::new();
    let delivered = async {
        while traffic.deliver(address, events).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, delivered).await.expect("deliveries are taken in time");
}

/// Reads the next events of a stream, which must be `events`; returns their positions.
pub(crate) async fn expect_events(stream: &mut EventStream, events: &[Value]) -> Vec<Position> {
    let mut positions = Vec::new();
    for expected in events {
        let (_, event) = stream.sync_event().await;
        assert_eq!(uuid(&event), uuid(expected));
        positions.push(event["position"].as_str().unwrap().parse().unwrap());
    }
    positions
}

/// Returns the code of the error that ends or refuses a subscription.
pub(crate) async fn error_code(stream: &mut EventStream) -> Value {
    let answer = timeout(PATIENCE, stream.last_answer()).await.expect("it is told in time");
    answer["errors"][0]["extensions"]["code"].clone()
}

/// A log with a backup of its first events, and the later events that a restore of the backup loses.
pub(crate) struct RestoreScenario {
    pub(crate) kept: Vec<Value>,
    lost: Vec<Value>,
    /// Positions of the lost events, as a subscriber received them before the restore.
    pub(crate) lost_positions: Vec<Position>,
}

impl RestoreScenario {
    pub(crate) fn new() -> Self {
        Self { kept: sync_events("kept", KEPT), lost: sync_events("lost", LOST), lost_positions: Vec::new() }
    }

    /// Delivers the events that the restore will lose; returns a subscriber that has received all events so far.
    pub(crate) async fn deliver_lost(&mut self, gateway: SocketAddr) -> EventStream {
        deliver(gateway, &self.lost).await;
        let mut stream = subscribe(gateway, Position::START).await;
        expect_events(&mut stream, &self.kept).await;
        self.lost_positions = expect_events(&mut stream, &self.lost).await;
        stream
    }

    /// Delivers new events and checks the restored log at a gateway; returns the positions of the new events.
    pub(crate) async fn check(&self, gateway: SocketAddr) -> Vec<Position> {
        let expected = Expected { kept: self.kept.clone(), new: sync_events("new", NEW) };
        deliver(gateway, &expected.new).await;
        self.check_log(gateway, &expected).await
    }

    async fn check_log(&self, gateway: SocketAddr, expected: &Expected) -> Vec<Position> {
        let Expected { kept, new } = expected;
        let mut stream = subscribe(gateway, Position::START).await;
        let kept_positions = expect_events(&mut stream, kept).await;
        let new_positions = expect_events(&mut stream, new).await;
        for (seen, after) in kept_positions.iter().enumerate() {
            let mut stream = subscribe(gateway, *after).await;
            expect_events(&mut stream, &kept[seen + 1..]).await;
            assert_eq!(expect_events(&mut stream, new).await, new_positions, "resumed after {after}");
        }
        for (seen, after) in new_positions.iter().enumerate() {
            assert!(!self.lost_positions.contains(after), "{after} was given before, for another event");
            expect_events(&mut subscribe(gateway, *after).await, &new[seen + 1..]).await;
        }
        for after in &self.lost_positions {
            assert_eq!(error_code(&mut subscribe(gateway, *after).await).await, "POSITION_LOST", "{after}");
        }
        new_positions
    }
}

/// Checks a log that was restored under a running gateway: a subscriber from before the restore must get an error.
/// Returns the positions of the new events.
pub(crate) async fn check_after_live_restore(
    scenario: &RestoreScenario,
    gateway: SocketAddr,
    mut seen: EventStream,
) -> Vec<Position> {
    let positions = scenario.check(gateway).await;
    assert_eq!(error_code(&mut seen).await, "POSITION_LOST");
    positions
}

/// Subscribes, again and again, until the first payload is no error: by then the gateway has noticed the restore.
pub(crate) async fn subscribe_after_restore_noticed(gateway: SocketAddr, after: Position) -> EventStream {
    let subscribed = async {
        loop {
            let mut stream = subscribe(gateway, after).await;
            if stream.dispatched().await.id.is_some() {
                return stream;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, subscribed).await.expect("the restore is noticed in time")
}
