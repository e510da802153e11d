//! Crashes: what was acknowledged is there, once, and a subscriber misses and repeats nothing.

use std::collections::HashSet;
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::StatusCode;
use rustix::process::{Signal, kill_process};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::consistency::check_log;
use crate::events::{sync_event, uuid};
use crate::process::GatewayProcess;
use crate::traffic::{Sent, Traffic, follow, seed};

const SENDERS: u64 = 3;

/// Senders and a subscriber at work.
struct Stream {
    address: SocketAddr,
    traffic: Arc<Traffic>,
    stop: CancellationToken,
    senders: Vec<JoinHandle<Sent>>,
    subscriber: JoinHandle<(Vec<String>, usize)>,
    last: serde_json::Value,
    /// Uuids of acknowledged events that the test delivered itself, in addition to those of the senders.
    beside: HashSet<String>,
}

/// What became of a stream.
struct Streamed {
    /// How many events there are.
    events: usize,
    /// How many deliveries were refused.
    refused: usize,
    /// How many deliveries got no answer.
    broken: usize,
    /// How often the subscriber was interrupted.
    breaks: usize,
}

impl Stream {
    fn start(address: SocketAddr, seed: u64) -> Self {
        let (traffic, stop) = (Traffic::new(), CancellationToken::new());
        let last = sync_event("last");
        let senders = (0..SENDERS)
            .map(|number| tokio::spawn(traffic.clone().send(seed.wrapping_add(number), address, stop.clone())));
        let senders = senders.collect();
        let subscriber = tokio::spawn(follow(address, uuid(&last).to_owned()));
        Self { address, traffic, stop, senders, subscriber, last, beside: HashSet::new() }
    }

    /// Ends it while the gateway runs, and checks that nothing was lost and nothing came twice.
    async fn finish(self, gateway: &GatewayProcess) -> Streamed {
        self.stop.cancel();
        let mut acknowledged = self.beside;
        acknowledged.insert(uuid(&self.last).to_owned());
        let (mut refused, mut broken) = (0, 0);
        for sender in self.senders {
            let sent = sender.await.unwrap();
            acknowledged.extend(sent.acknowledged);
            refused += sent.refused;
            broken += sent.broken;
        }
        self.traffic.deliver(self.address, std::slice::from_ref(&self.last)).await.unwrap();
        let (seen, breaks) = self.subscriber.await.unwrap();
        let log = check_log(&gateway.pool()).await;
        assert!(seen == log, "the subscriber saw another log");
        // Each sender went on until its last delivery was acknowledged.
        assert_eq!(log.iter().cloned().collect::<HashSet<_>>(), acknowledged);
        Streamed { events: log.len(), refused, broken, breaks }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_gateway_has_kept_what_it_acknowledged_and_goes_on_from_there() {
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let mut gateway = GatewayProcess::start().await;
    let stream = Stream::start(gateway.address, seed);
    for _ in 0..5 {
        sleep(Duration::from_millis(random.random_range(50..500))).await;
        gateway.kill().await;
        gateway.start_again().await;
    }
    sleep(Duration::from_millis(100)).await;
    let Streamed { events, broken, breaks, .. } = stream.finish(&gateway).await;
    eprintln!("{events} events, {broken} deliveries without an answer, {breaks} breaks");
    assert!(broken > 0 && breaks > 0, "nothing was interrupted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_postgres_is_started_again_and_has_kept_what_was_acknowledged() {
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let mut gateway = GatewayProcess::start().await;
    let stream = Stream::start(gateway.address, seed);
    for signal in [Signal::KILL, Signal::QUIT, Signal::KILL] {
        sleep(Duration::from_millis(random.random_range(50..500))).await;
        let killed = gateway.postgres().unwrap();
        kill_process(killed, signal).unwrap();
        gateway
            .wait_until(async |gateway| {
                assert_eq!(gateway.status("/livez").await, Some(StatusCode::OK));
                gateway.postgres().is_some_and(|postgres| postgres != killed)
                    && gateway.status("/readyz").await == Some(StatusCode::OK)
            })
            .await;
    }
    sleep(Duration::from_millis(100)).await;
    let Streamed { events, refused, broken, breaks } = stream.finish(&gateway).await;
    eprintln!("{events} events, {refused} deliveries refused, {breaks} breaks");
    assert_eq!(broken, 0, "every delivery was answered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_postgres_is_away_hooks_are_told_to_come_again_and_the_gateway_lives() {
    let mut gateway = GatewayProcess::start().await;
    let mut stream = Stream::start(gateway.address, seed());
    sleep(Duration::from_millis(100)).await;
    // Without its version Postgres does not start.
    let (version, hidden) = (gateway.postgres_dir().join("PG_VERSION"), gateway.postgres_dir().join("hidden"));
    fs::rename(&version, &hidden).unwrap();
    kill_process(gateway.postgres().unwrap(), Signal::QUIT).unwrap();
    let (traffic, address) = (Traffic::new(), gateway.address);
    let event = sync_event("refused");
    gateway
        .wait_until(async |gateway| {
            assert_eq!(gateway.status("/livez").await, Some(StatusCode::OK));
            traffic.deliver(address, std::slice::from_ref(&event)).await.is_err()
        })
        .await;
    assert_eq!(gateway.status("/readyz").await, Some(StatusCode::SERVICE_UNAVAILABLE));
    fs::rename(&hidden, &version).unwrap();
    gateway.wait_until(async |gateway| gateway.status("/readyz").await == Some(StatusCode::OK)).await;
    // A refused event may be stored all the same if its commit was in progress. The test delivers it again, as Okta
    // does.
    traffic.deliver(address, std::slice::from_ref(&event)).await.unwrap();
    stream.beside.insert(uuid(&event).to_owned());
    let Streamed { events, refused, broken, breaks } = stream.finish(&gateway).await;
    eprintln!("{events} events, {refused} deliveries refused, {breaks} breaks");
    assert_eq!(broken, 0, "every delivery was answered");
    assert!(refused > 0, "every delivery was taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_is_told_to_stop_stores_what_it_acknowledges_and_no_more() {
    let seed = seed();
    let mut gateway = GatewayProcess::start().await;
    let (traffic, address) = (Traffic::new(), gateway.address);
    let senders = (0..SENDERS).map(|number| {
        let traffic = traffic.clone();
        let mut random = StdRng::seed_from_u64(seed.wrapping_add(number));
        tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            loop {
                let events = traffic.make_events(&mut random);
                if traffic.deliver(address, &events).await.is_err() {
                    return acknowledged;
                }
                acknowledged.extend(events.iter().map(|event| uuid(event).to_owned()));
            }
        })
    });
    let senders: Vec<_> = senders.collect();
    sleep(Duration::from_millis(300)).await;
    let postgres = gateway.postgres().unwrap();
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.ended().await.code(), Some(0), "{}", gateway.output());
    assert!(rustix::process::test_kill_process(postgres).is_err(), "Postgres still runs");
    let mut acknowledged = HashSet::new();
    for sender in senders {
        acknowledged.extend(sender.await.unwrap());
    }
    assert!(!acknowledged.is_empty());
    gateway.start_again().await;
    assert_eq!(check_log(&gateway.pool()).await.into_iter().collect::<HashSet<_>>(), acknowledged);
}
