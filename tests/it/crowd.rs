//! A crowd: writers on every gateway and subscribers that resume at any, and what each of them must have got.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::Client;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::consistency::check_log;
use crate::events::{sync_event, uuid};
use crate::random_events::{random_event, random_filter};
use crate::socket::{Heard, Socket};
use crate::traffic::Traffic;

/// The longest that anything may take before a test fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// A word that only the last event has, and that every subscriber wants.
const LAST: &str = "thelast";

const QUERY: &str = "subscription ($filter: SyncEventFilter, $after: Position!) \
                     { syncEvents(filter: $filter, from: {after: $after}) { events { position uuid } } }";

/// Writers and subscribers at work.
pub(crate) struct Crowd {
    addresses: Vec<SocketAddr>,
    traffic: Arc<Traffic>,
    after: u64,
    last: Value,
    stop: CancellationToken,
    cut: watch::Sender<()>,
    writers: Vec<JoinHandle<Vec<String>>>,
    subscribers: Vec<JoinHandle<Subscriber>>,
}

/// What became of a crowd.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// How many events were told to all subscribers together.
    pub(crate) told: usize,
    /// How many subscribers got some events and not others.
    pub(crate) choosy: usize,
    /// With which codes gateways closed sockets; none where one just broke.
    pub(crate) closed: Vec<Option<u16>>,
    /// How many sockets the subscribers left by themselves.
    pub(crate) left: usize,
}

struct Subscriber {
    filter: Value,
    after: u64,
    heard: Vec<(u64, String)>,
    closed: Vec<Option<u16>>,
    left: usize,
    random: StdRng,
}

/// An event with an instance, as the log's tables count events by instances.
fn event(random: &mut StdRng) -> Value {
    loop {
        let event = random_event(random);
        if event["target"][0]["type"] == "AppInstance" {
            return event;
        }
    }
}

impl Crowd {
    /// Traffic for crowds that come one after the other.
    pub(crate) fn traffic() -> Arc<Traffic> {
        Traffic::of(event)
    }

    /// Starts a writer for each gateway, and subscribers at any, after the log's end.
    pub(crate) async fn start(
        addresses: Vec<SocketAddr>,
        subscribers: usize,
        traffic: Arc<Traffic>,
        pool: &PgPool,
        seed: u64,
    ) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let head: i64 = sqlx::query_scalar("SELECT position FROM log_head").fetch_one(pool).await.unwrap();
        let (after, stop, cut) = (u64::try_from(head).unwrap(), CancellationToken::new(), watch::Sender::new(()));
        let mut last = sync_event("last");
        last["displayMessage"] = LAST.into();
        let writer = |address| tokio::spawn(write(traffic.clone(), random.random(), address, stop.clone()));
        let writers = addresses.iter().copied().map(writer).collect();
        let subscribers = (0..subscribers).map(|_| {
            let filter = json!({"or": [random_filter(&mut random, 2), {"search": LAST}]});
            let random = StdRng::seed_from_u64(random.random());
            let subscriber = Subscriber { filter, after, heard: Vec::new(), closed: Vec::new(), left: 0, random };
            tokio::spawn(subscriber.follow(addresses.clone(), uuid(&last).to_owned(), cut.subscribe()))
        });
        let subscribers = subscribers.collect();
        Self { addresses, traffic, after, last, stop, cut, writers, subscribers }
    }

    /// Has about half of the subscribers drop their sockets, without a word. Gives how many subscribers there are.
    pub(crate) fn cut_sockets(&self) -> usize {
        self.cut.send_replace(());
        self.cut.receiver_count()
    }

    /// Ends it while the gateways run. Every acknowledged event must be in the log, and every subscriber must have got
    /// what matches, once and in order. What was acknowledged is added to what was so before.
    pub(crate) async fn finish(self, acknowledged: &mut HashSet<String>, pool: &PgPool) -> Outcome {
        self.stop.cancel();
        for writer in self.writers {
            acknowledged.extend(timeout(PATIENCE, writer).await.expect("writers end in time").unwrap());
        }
        acknowledged.insert(uuid(&self.last).to_owned());
        while self.traffic.deliver(self.addresses[0], std::slice::from_ref(&self.last)).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
        let log = check_log(pool).await;
        assert_eq!(log.iter().cloned().collect::<HashSet<_>>(), *acknowledged);
        let mut outcome = Outcome::default();
        let written = log.len() - usize::try_from(self.after).unwrap();
        for subscriber in self.subscribers {
            let subscriber = timeout(PATIENCE, subscriber).await.expect("subscribers hear all in time").unwrap();
            let expected = history(self.addresses[0], &subscriber.filter, self.after, log.len()).await;
            let expected: Vec<_> = expected.into_iter().map(|place| (place, at(&log, place).to_owned())).collect();
            assert!(subscriber.heard == expected, "{}", subscriber.differs(&expected));
            outcome.told += expected.len();
            outcome.choosy += usize::from(expected.len() > 1 && expected.len() < written);
            outcome.closed.extend(subscriber.closed);
            outcome.left += subscriber.left;
        }
        outcome
    }
}

fn at(log: &[String], position: u64) -> &str {
    &log[usize::try_from(position).unwrap() - 1]
}

/// Delivers until `stop`, each delivery until it is acknowledged. Gives the uuids.
async fn write(traffic: Arc<Traffic>, seed: u64, address: SocketAddr, stop: CancellationToken) -> Vec<String> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut acknowledged = Vec::new();
    while !stop.is_cancelled() {
        let events = traffic.make_events(&mut random);
        while traffic.deliver(address, &events).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
        acknowledged.extend(events.iter().map(|event| uuid(event).to_owned()));
        sleep(Duration::from_millis(random.random_range(20..100))).await;
    }
    acknowledged
}

/// What history has after a position, by the filter as the database knows it.
async fn history(address: SocketAddr, filter: &Value, after: u64, head: usize) -> Vec<u64> {
    let query = "query ($filter: SyncEventFilter, $before: String) { syncEvents(filter: $filter, first: 1000, \
                 after: $before, orderBy: {field: POSITION, direction: DESC}) \
                 { nodes { position } pageInfo { hasNextPage endCursor } } }";
    let client = Client::builder().no_proxy().build().unwrap();
    let (mut places, mut before) = (Vec::new(), Value::Null);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let body = json!({"query": query, "variables": {"filter": filter, "before": before}});
        let request = client.post(format!("http://{address}/graphql")).header("content-type", "application/json");
        let answer: Value = request.body(body.to_string()).send().await.unwrap().json().await.unwrap();
        if answer["errors"][0]["extensions"]["code"] == "UNAVAILABLE" && Instant::now() < deadline {
            // Its connection was broken: whoever asks is told to try again.
            sleep(Duration::from_millis(50)).await;
            continue;
        }
        let page = &answer["data"]["syncEvents"];
        let nodes = page["nodes"].as_array().unwrap_or_else(|| panic!("{answer}"));
        places.extend(nodes.iter().map(place).take_while(|place| *place > after));
        let is_done = nodes.last().is_none_or(|oldest| place(oldest) <= after);
        if is_done || page["pageInfo"]["hasNextPage"] == json!(false) {
            break;
        }
        before = page["pageInfo"]["endCursor"].clone();
    }
    assert_eq!(places.first(), Some(&(head as u64)), "the last event is not the newest");
    places.reverse();
    places
}

fn place(event: &Value) -> u64 {
    event["position"].as_str().unwrap().parse().unwrap()
}

impl Subscriber {
    /// Follows the log at any gateway through the event with this uuid, and resumes elsewhere after each break.
    async fn follow(mut self, addresses: Vec<SocketAddr>, last: String, mut cut: watch::Receiver<()>) -> Self {
        loop {
            let address = *addresses.choose(&mut self.random).unwrap();
            if let Ok(Ok(socket)) = timeout(Duration::from_secs(5), Socket::try_open(address)).await {
                cut.mark_unchanged();
                let lifetime = Duration::from_millis(self.random.random_range(500..8000));
                tokio::select! {
                    closed = self.follow_on(socket, &last) => match closed {
                        Some(code) => self.closed.push(code),
                        None => return self,
                    },
                    () = sleep(lifetime) => self.left += 1,
                    () = is_cut(&mut cut, lifetime) => self.left += 1,
                }
            }
            sleep(Duration::from_millis(self.random.random_range(5..80))).await;
        }
    }

    /// Follows on one socket. Gives how it ended; None where the last event has come.
    async fn follow_on(&mut self, mut socket: Socket, last: &String) -> Option<Option<u16>> {
        let after = self.heard.last().map_or(self.after, |(position, _)| *position);
        let payload = json!({"query": QUERY, "variables": {"filter": self.filter, "after": after.to_string()}});
        if !socket.try_send(json!({"type": "subscribe", "id": "1", "payload": payload})).await {
            return Some(None);
        }
        loop {
            match socket.hear().await {
                Heard::Closed(code) => return Some(code),
                Heard::Message(message) if message["type"] == "next" && message["payload"].get("errors").is_none() => {
                    let event = &message["payload"]["data"]["syncEvents"];
                    self.heard.push((place(event), uuid(event).to_owned()));
                    if uuid(event) == last {
                        return None;
                    }
                }
                Heard::Message(message) => {
                    let text = message.to_string();
                    // Both mean: try again.
                    assert!(text.contains("\"UNAVAILABLE\"") || text.contains("\"BUSY\""), "{text}");
                    return Some(None);
                }
            }
        }
    }

    /// Where what was heard first differs from what was expected.
    fn differs(&self, expected: &[(u64, String)]) -> String {
        let same = self.heard.iter().zip(expected).take_while(|(heard, expected)| heard == expected).count();
        let (heard, next) = (self.heard.get(same..same + 3), expected.get(same..same + 3));
        format!("{}: after {same} events heard {heard:?}, expected {next:?}", self.filter)
    }
}

/// Waits until sockets are cut; those that were to live for an odd time are spared.
async fn is_cut(cut: &mut watch::Receiver<()>, lifetime: Duration) {
    if lifetime.as_millis() % 2 == 1 || cut.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
