//! Traffic: senders that send again what is not acknowledged, and a subscriber that resumes after each break.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::events::{delivery, sync_event, uuid};
use crate::gateway::HOOK_SECRET;
use crate::socket::{Heard, Socket};

/// The longest that an answer, or the end of a subscription, may take before a test fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// The pause after something failed.
const PAUSE: Duration = Duration::from_millis(20);

/// A seed: that of the environment, to see again what a run saw, or a new one. It is printed.
pub(crate) fn seed() -> u64 {
    let seed = std::env::var("SLUICE_TEST_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    eprintln!("SLUICE_TEST_SEED={seed}");
    seed
}

/// The events of a test, which its senders share, so that one may bring what another has brought, too.
pub(crate) struct Traffic {
    events: Mutex<Vec<Value>>,
    make_event: fn(&mut StdRng) -> Value,
    client: Client,
}

/// What a sender has to tell.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// The uuids of the events that were acknowledged, repeats included.
    pub(crate) acknowledged: Vec<String>,
    /// How many deliveries were answered with 503.
    pub(crate) refused: usize,
    /// How many got no answer.
    pub(crate) broken: usize,
}

/// Why a delivery was not acknowledged.
#[derive(Debug)]
pub(crate) enum NotAcknowledged {
    /// It was answered with 503.
    Refused,
    /// It was not answered.
    Broken,
}

impl Traffic {
    pub(crate) fn new() -> Arc<Self> {
        Self::of(make_event)
    }

    /// Traffic of events that are made like this.
    pub(crate) fn of(make_event: fn(&mut StdRng) -> Value) -> Arc<Self> {
        let client = Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        Arc::new(Self { events: Mutex::default(), make_event, client })
    }

    /// Sends deliveries until `stop`, each of them until it is acknowledged.
    pub(crate) async fn send(self: Arc<Self>, seed: u64, address: SocketAddr, stop: CancellationToken) -> Sent {
        let mut random = StdRng::seed_from_u64(seed);
        let mut sent = Sent::default();
        while !stop.is_cancelled() {
            let events = self.make_events(&mut random);
            while let Err(error) = self.deliver(address, &events).await {
                match error {
                    NotAcknowledged::Refused => sent.refused += 1,
                    NotAcknowledged::Broken => sent.broken += 1,
                }
                sleep(PAUSE).await;
            }
            sent.acknowledged.extend(events.iter().map(|event| uuid(event).to_owned()));
        }
        sent
    }

    /// Makes one delivery.
    pub(crate) async fn deliver(&self, address: SocketAddr, events: &[Value]) -> Result<(), NotAcknowledged> {
        let request = self.client.post(format!("http://{address}/okta/acme/hooks"));
        let request = request.header("authorization", HOOK_SECRET).body(delivery(events).to_string());
        let Ok(response) = request.send().await else { return Err(NotAcknowledged::Broken) };
        let status = response.status();
        let Ok(receipt) = response.json::<Value>().await else { return Err(NotAcknowledged::Broken) };
        if status == StatusCode::SERVICE_UNAVAILABLE {
            return Err(NotAcknowledged::Refused);
        }
        assert_eq!(status, StatusCode::OK, "{receipt}");
        let number = |name: &str| usize::try_from(receipt[name].as_u64().unwrap()).unwrap();
        assert_eq!(number("stored") + number("duplicates"), events.len(), "{receipt}");
        Ok(())
    }

    /// Some events of several months and instances: new ones, ones that were made before, and ones twice in it.
    pub(crate) fn make_events(&self, random: &mut StdRng) -> Vec<Value> {
        let size = if random.random_bool(0.4) { 1 } else { random.random_range(2..40) };
        let mut known = self.events.lock().unwrap();
        let mut events: Vec<Value> = Vec::with_capacity(size);
        while events.len() < size {
            let event = match random.random_range(0..10) {
                0 if !events.is_empty() => events[random.random_range(0..events.len())].clone(),
                1 if !known.is_empty() => known[random.random_range(0..known.len())].clone(),
                _ => {
                    known.push((self.make_event)(random));
                    known[known.len() - 1].clone()
                }
            };
            events.push(event);
        }
        events
    }
}

fn make_event(random: &mut StdRng) -> Value {
    let mut event = sync_event(&random.random_range(0..5).to_string());
    let (month, day, milliseconds) =
        (random.random_range(1..=12), random.random_range(1..=28), random.random_range(0..1000));
    event["published"] = format!("2025-{month:02}-{day:02}T05:06:07.{milliseconds:03}Z").into();
    event
}

/// Follows the log from its start through the event with this uuid; after each break it resumes from the last position.
/// No position may be missing or come again. Gives the uuids in order, and how often it was interrupted.
pub(crate) async fn follow(address: SocketAddr, through: String) -> (Vec<String>, usize) {
    let mut uuids = Vec::new();
    let mut breaks = 0;
    let followed = timeout(PATIENCE, async {
        while uuids.last() != Some(&through) {
            if let Ok(socket) = Socket::try_open(address).await {
                follow_on(socket, &mut uuids, &through).await;
                breaks += 1;
            }
            sleep(PAUSE).await;
        }
    });
    let in_time = followed.await.is_ok();
    assert!(in_time, "the subscriber stands at {} after {breaks} breaks", uuids.len());
    (uuids, breaks - 1)
}

/// Follows on one socket, until it breaks or the event has come.
async fn follow_on(mut socket: Socket, uuids: &mut Vec<String>, through: &String) {
    let query = "subscription ($after: Position!) { syncEvents(from: {after: $after}) { events { position uuid } } }";
    let payload = json!({"query": query, "variables": {"after": uuids.len().to_string()}});
    if !socket.try_send(json!({"type": "subscribe", "id": "1", "payload": payload})).await {
        return;
    }
    while uuids.last() != Some(through)
        && let Heard::Message(message) = socket.hear().await
    {
        if message["payload"][0]["extensions"]["code"] == "UNAVAILABLE" {
            return;
        }
        let event = &message["payload"]["data"]["syncEvents"];
        assert_eq!(event["position"], json!((uuids.len() + 1).to_string()), "{message}");
        uuids.push(uuid(event).to_owned());
    }
}
