//! The measured clients: a reader, a hook, a subscriber and a probe of readiness. Each request has a connection of its own.

use std::cell::Cell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde_json::json;
use sluice::event::{EventColumn, ReceivedEvent};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::OTHER_TOKEN;
use super::attack::post;
use crate::gateway::Gateway;
use crate::live::peer;
use crate::load::{Connection, Delivery, Identities};
use crate::postgres::Cluster;
use crate::socket::{Socket, positions};

/// Interval between two queries of the reader.
const QUERY_INTERVAL: Duration = Duration::from_millis(20);

/// Interval between two deliveries of the hook.
const DELIVERY_INTERVAL: Duration = Duration::from_millis(50);

/// Interval between two probes of readiness, and between two looks at the gateway's memory.
const PROBE_INTERVAL: Duration = Duration::from_millis(100);

/// Time limit of an answer; Okta gives up earlier.
const PATIENCE: Duration = Duration::from_secs(5);

/// Time limit for the last event, from the end of the load.
const LAST_EVENT: Duration = Duration::from_secs(30);

/// Small query of the reader.
const QUERY: &str = "{ syncEvents(first: 10) { nodes { position published message user { alternateId } } } }";

/// Subscription to the events of the measured hook.
const SUBSCRIPTION: &str = "subscription ($after: Position!, $instance: String!) {
    syncEvents(from: {after: $after}, filter: {applicationInstances: [$instance]}) { events { position } } }";

/// The measured clients of a gateway.
#[derive(Debug)]
pub(super) struct Victims {
    address: SocketAddr,
    process: u32,
    delivery: Delivery,
    /// Application instance of the delivered events, which no other event has.
    instance: String,
    identities: Identities,
}

/// Measurements of all clients for a while.
#[derive(Debug, Default)]
pub(super) struct Felt {
    pub(super) reader: Answers,
    pub(super) hook: Answers,
    pub(super) ready: Answers,
    /// Times from each event's commit to its receipt, the shortest first.
    pub(super) lags: Vec<Duration>,
    /// Bytes by which the gateway's memory grew.
    pub(super) growth: u64,
    /// Events that were acknowledged and are not in the log.
    pub(super) not_stored: usize,
    /// Positions of events that are in the log and did not reach the subscriber.
    pub(super) not_pushed: Vec<i64>,
    /// Number of events that the subscriber received more than once.
    pub(super) doubled: usize,
}

/// Answers to one client.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Times from when each request was due to its end, the shortest first.
    pub(super) latencies: Vec<Duration>,
    /// Number of requests that were not answered with 200, or not in time.
    pub(super) failed: usize,
}

/// The subscriber's events, each with the moment of its receipt since 1970.
#[derive(Debug, Default)]
struct Received {
    events: HashMap<i64, Duration>,
    doubled: usize,
    last: i64,
}

impl Victims {
    /// Prepares the clients. The hook delivers an event again and again, each time under a new identity.
    pub(super) fn new(gateway: &Gateway, event: &ReceivedEvent) -> Result<Self> {
        let instance =
            event.occurrence.text(EventColumn::InstanceId).context("the event has no application instance")?;
        Ok(Self {
            address: gateway.address(),
            process: gateway.process()?,
            delivery: Delivery::new(gateway.address(), [event].into_iter())?,
            instance: instance.to_owned(),
            identities: Identities::starting_now(),
        })
    }

    /// Measures for a while, and then waits until the subscriber has all events.
    pub(super) async fn feel(&mut self, cluster: &mut Cluster, duration: Duration) -> Result<Felt> {
        let before = i64::try_from(cluster.head().await?)?;
        let (address, instance, process) = (self.address, self.instance.clone(), self.process);
        let (told, goal) = watch::channel(None);
        let query = post(address, &format!("Bearer {OTHER_TOKEN}"), &json!({"query": QUERY}));
        let probe = format!("GET /readyz HTTP/1.1\r\nhost: {address}\r\n\r\n").into_bytes();
        let (delivery, identities) = (&mut self.delivery, &self.identities);
        let loaded = async {
            let until = Instant::now() + duration;
            let (reader, hook, ready, growth) = tokio::join!(
                paced(address, QUERY_INTERVAL, until, || query.clone()),
                paced(address, DELIVERY_INTERVAL, until, || delivery.renewed(identities).to_vec()),
                paced(address, PROBE_INTERVAL, until, || probe.clone()),
                growth(process, until),
            );
            let acknowledged = hook.latencies.len() - hook.failed;
            let stored = stored(cluster, &instance, before).await?;
            told.send_replace(Some(stored.last().copied().unwrap_or(before)));
            anyhow::Ok((reader, hook, ready, growth?, stored, acknowledged))
        };
        let (loaded, received) = tokio::join!(loaded, listen(address, &self.instance, before, goal));
        let (reader, hook, ready, growth, stored, acknowledged) = loaded?;
        let received = received?;
        let commits = cluster.commits(before + 1, stored.last().copied().unwrap_or(before)).await?;
        let lag = |(position, then): (&i64, &Duration)| Some(then.saturating_sub(*commits.get(position)?));
        let mut lags: Vec<_> = received.events.iter().filter_map(lag).collect();
        lags.sort_unstable();
        Ok(Felt {
            reader,
            hook,
            ready,
            lags,
            growth,
            not_stored: acknowledged.saturating_sub(stored.len()),
            not_pushed: stored.into_iter().filter(|position| !received.events.contains_key(position)).collect(),
            doubled: received.doubled,
        })
    }
}

/// Returns the positions of the hook's events after a position, in order.
async fn stored(cluster: &mut Cluster, instance: &str, after: i64) -> Result<Vec<i64>> {
    let statement = "SELECT position FROM sync_event WHERE instance_id = $1 AND position > $2 ORDER BY position";
    let query = sqlx::query_scalar(statement).bind(instance.to_owned()).bind(after);
    Ok(query.fetch_all(cluster.connection()).await?)
}

/// Sends a request over a new connection, and returns the status of the answer.
async fn exchange(address: SocketAddr, request: &[u8]) -> io::Result<u16> {
    Connection::open(address).await?.exchange(request).await
}

/// Sends requests at an interval, each over a new connection when it is due, whether or not earlier ones have been
/// answered: the clients of a gateway do not wait for each other.
async fn paced(
    address: SocketAddr,
    interval: Duration,
    until: Instant,
    mut next_request: impl FnMut() -> Vec<u8>,
) -> Answers {
    let send = async |due: Instant, request: Vec<u8>| {
        let answer = timeout_at(due + PATIENCE, exchange(address, &request)).await;
        (due.elapsed(), matches!(answer, Ok(Ok(200))))
    };
    let mut answers = Answers::default();
    let mut sending = FuturesUnordered::new();
    let mut due = Instant::now();
    while due < until {
        tokio::select! {
            biased;
            () = sleep_until(due) => {
                sending.push(send(due, next_request()));
                due += interval;
            }
            Some(answer) = sending.next() => answers.add(answer),
        }
    }
    while let Some(answer) = sending.next().await {
        answers.add(answer);
    }
    answers.latencies.sort_unstable();
    answers
}

impl Answers {
    fn add(&mut self, (latency, is_right): (Duration, bool)) {
        self.latencies.push(latency);
        self.failed += usize::from(!is_right);
    }
}

/// Returns by how many bytes the memory of a process grows at most until a moment.
async fn growth(process: u32, until: Instant) -> Result<u64> {
    let (before, mut most) = (peer::memory(process)?, 0);
    while Instant::now() < until {
        sleep(PROBE_INTERVAL).await;
        most = most.max(peer::memory(process)?);
    }
    Ok(most.saturating_sub(before))
}

/// Receives events up to a position, which the caller sends on the channel after the end of the load. A subscriber that is
/// cut off comes back with its last position.
async fn listen(
    address: SocketAddr,
    instance: &str,
    after: i64,
    mut goal: watch::Receiver<Option<i64>>,
) -> Result<Received> {
    let received = Rc::new(Cell::new(Received { last: after, ..Received::default() }));
    let listening = async {
        loop {
            // A broken connection loses nothing of `received`.
            _ = listen_once(address, instance, &received).await;
            sleep(PROBE_INTERVAL).await;
        }
    };
    let has_all = async {
        let Ok(Some(goal)) = goal.wait_for(Option::is_some).await.map(|goal| *goal) else { return };
        let arrived = async {
            loop {
                let got = received.take();
                let last = got.last;
                received.set(got);
                if last >= goal {
                    return;
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        _ = timeout(LAST_EVENT, arrived).await;
    };
    tokio::select! {
        () = listening => {}
        () = has_all => {}
    }
    Ok(received.take())
}

/// Receives events by one connection, until it breaks.
async fn listen_once(address: SocketAddr, instance: &str, received: &Cell<Received>) -> Result<()> {
    let got = received.take();
    let variables = json!({"after": got.last.to_string(), "instance": instance});
    received.set(got);
    let authorization = format!("Bearer {OTHER_TOKEN}");
    let opened = Socket::subscribe_as(address, &authorization, SUBSCRIPTION, &variables);
    let mut socket = timeout(PATIENCE, opened).await.context("the gateway accepts no subscriber")??;
    loop {
        let mut each = |message: &[u8]| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            for position in positions(message) {
                let mut got = received.take();
                got.doubled += usize::from(got.events.insert(position, now).is_some());
                got.last = got.last.max(position);
                received.set(got);
            }
        };
        socket.count(&mut each).await?;
    }
}
