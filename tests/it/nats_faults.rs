//! NATS may lose, repeat, reorder, bend and make up messages, and nothing changes but how long it takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_nats::Client;
use futures_util::StreamExt as _;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::database::TestDatabase;
use crate::events::{sync_event, uuid};
use crate::gateway::{Gateway, settings};
use crate::nats_server::NatsServer;
use crate::traffic::{Traffic, follow, seed};

const PATIENCE: Duration = Duration::from_secs(30);

async fn start_gateway(database: &TestDatabase, nats: &NatsServer) -> Gateway {
    let mut settings = settings(database);
    settings.nats = Some(sluice::live::NatsServers::parse(&nats.url()).unwrap());
    Gateway::start_over(database.clone(), settings).await
}

/// Waits until a gateway of this database publishes.
async fn wait_for_publisher(database: &TestDatabase) {
    let locks = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
                 WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.granted \
                 AND l.classid::bigint << 32 | l.objid::bigint = \
                 hashtextextended('sluice leads the log''s tail by NATS', 0)";
    let deadline = Instant::now() + PATIENCE;
    while database.number(locks).await == 0 {
        assert!(Instant::now() < deadline, "nobody publishes");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn connect(nats: &NatsServer) -> Client {
    async_nats::connect(nats.url()).await.unwrap()
}

/// What a bridge did to messages.
#[derive(Debug, Default)]
struct Faults {
    passed: AtomicUsize,
    lost: AtomicUsize,
    repeated: AtomicUsize,
    reordered: AtomicUsize,
    bent: AtomicUsize,
    made_up: AtomicUsize,
}

impl Faults {
    fn each(&self) -> [usize; 6] {
        [&self.passed, &self.lost, &self.repeated, &self.reordered, &self.bent, &self.made_up]
            .map(|number| number.load(Ordering::Relaxed))
    }
}

/// Carries messages from one NATS to another, badly.
async fn bridge(from: Client, to: Client, seed: u64, faults: Arc<Faults>) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut messages = from.subscribe("sluice.>").await.unwrap();
    let mut held = None;
    let mut earlier = Vec::new();
    while let Some(message) = messages.next().await {
        let (subject, payload) = (message.subject, message.payload);
        earlier.push(payload.clone());
        let (fault, sent) = match random.random_range(0..7) {
            0 => (&faults.lost, vec![]),
            1 => (&faults.repeated, vec![payload.clone(), earlier[random.random_range(0..earlier.len())].clone()]),
            2 if held.is_none() => {
                held = Some(payload);
                (&faults.reordered, vec![])
            }
            3 => {
                let mut bent = payload.to_vec();
                let at = random.random_range(0..bent.len());
                bent[at] ^= 1 << random.random_range(0..8);
                (&faults.bent, vec![bent.into()])
            }
            4 => {
                let size = random.random_range(0..200);
                let garbage: Vec<u8> = (0..size).map(|_| random.random()).collect();
                (&faults.made_up, vec![garbage.into(), payload])
            }
            _ => (&faults.passed, [Some(payload), held.take()].into_iter().flatten().collect()),
        };
        fault.fetch_add(1, Ordering::Relaxed);
        for payload in sent {
            to.publish(subject.clone(), payload).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_are_lost_repeated_reordered_or_bent_change_nothing() {
    const DELIVERIES: usize = 150;
    let seed = seed();
    let (near, far, database) = (NatsServer::start(), NatsServer::start(), TestDatabase::new().await);
    let one = start_gateway(&database, &near).await;
    wait_for_publisher(&database).await;
    let faults = Arc::new(Faults::default());
    let carry = bridge(connect(&near).await, connect(&far).await, seed, faults.clone());
    let _bridge = AbortOnDropHandle::new(tokio::spawn(carry));
    let other = start_gateway(&database, &far).await;
    let last = sync_event("last");
    let subscriber = tokio::spawn(follow(other.address, uuid(&last).to_owned()));
    let (traffic, mut random) = (Traffic::new(), StdRng::seed_from_u64(seed));
    for _ in 0..DELIVERIES {
        // Its own commits go on where messages of others may be missing.
        let address = if random.random_bool(0.2) { other.address } else { one.address };
        traffic.deliver(address, &traffic.make_events(&mut random)).await.unwrap();
        sleep(Duration::from_millis(random.random_range(0..15))).await;
    }
    traffic.deliver(one.address, std::slice::from_ref(&last)).await.unwrap();
    let (heard, breaks) = timeout(PATIENCE, subscriber).await.unwrap().unwrap();
    assert_eq!(breaks, 0);
    assert!(heard == crate::consistency::check_log(&database.pool).await, "the subscriber saw another log");
    eprintln!("{} events, {faults:?}", heard.len());
    assert!(faults.each().iter().all(|number| *number > 0), "{faults:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_another_log_are_not_believed() {
    let nats = NatsServer::start();
    let (ours, theirs) = (TestDatabase::new().await, TestDatabase::new().await);
    let publisher = start_gateway(&theirs, &nats).await;
    wait_for_publisher(&theirs).await;
    let gateway = start_gateway(&ours, &nats).await;
    wait_for_publisher(&ours).await;
    let client = connect(&nats).await;
    let mut messages = client.subscribe("sluice.>").await.unwrap();
    client.flush().await.unwrap();
    let mut socket = gateway.socket().await;
    socket
        .subscribe("1", "subscription { syncEvents(from: {after: \"0\"}) { events { position uuid } } }", json!({}))
        .await;
    // Each log's own message, so that both subjects are known.
    let (event, other) = (sync_event("one"), sync_event("one"));
    publisher.deliver(std::slice::from_ref(&other)).await;
    let foreign = timeout(PATIENCE, messages.next()).await.unwrap().unwrap();
    gateway.deliver(std::slice::from_ref(&event)).await;
    assert_eq!(socket.event("1").await["uuid"], json!(uuid(&event)));
    let own = timeout(PATIENCE, messages.next()).await.unwrap().unwrap();
    assert_ne!(foreign.subject, own.subject);
    publisher.deliver(&[sync_event("one")]).await;
    let next = timeout(PATIENCE, messages.next()).await.unwrap().unwrap();
    assert_eq!(next.subject, foreign.subject);
    // It tells of position 2, which is what comes next here.
    for payload in [next.payload.clone(), foreign.payload, own.payload] {
        client.publish(own.subject.clone(), payload).await.unwrap();
    }
    let forged = String::from_utf8(next.payload[32..].to_vec()).unwrap();
    client.publish(own.subject.clone(), [&[0; 32], forged.as_bytes()].concat().into()).await.unwrap();
    client.flush().await.unwrap();
    assert!(socket.hears_nothing(Duration::from_millis(500)).await);
    let mut event = sync_event("one");
    event["displayMessage"] = "the true second".into();
    gateway.deliver(std::slice::from_ref(&event)).await;
    assert_eq!(socket.event("1").await, json!({"position": "2", "uuid": uuid(&event)}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_too_big_for_a_message_travels_as_its_position() {
    let (nats, database) = (NatsServer::start(), TestDatabase::new().await);
    let one = start_gateway(&database, &nats).await;
    wait_for_publisher(&database).await;
    let other = start_gateway(&database, &nats).await;
    let client = connect(&nats).await;
    let mut messages = client.subscribe("sluice.>").await.unwrap();
    client.flush().await.unwrap();
    let mut socket = other.socket().await;
    let query = "subscription { syncEvents(from: {after: \"0\"}) { events { position eventDetails } } }";
    socket.subscribe("1", query, json!({})).await;
    let mut big = sync_event("one");
    big["debugContext"]["debugData"]["long"] = "x".repeat(400_000).into();
    one.deliver(std::slice::from_ref(&big)).await;
    let message = timeout(PATIENCE, messages.next()).await.unwrap().unwrap();
    assert_eq!(&message.payload[32..], br#"{"after":0,"through":1}"#);
    assert_eq!(socket.event("1").await, json!({"position": "1", "eventDetails": big}));
    let small = sync_event("one");
    one.deliver(std::slice::from_ref(&small)).await;
    let message = timeout(PATIENCE, messages.next()).await.unwrap().unwrap();
    let told: Value = serde_json::from_slice(&message.payload[32..]).unwrap();
    assert_eq!((&told["after"], &told["through"]), (&json!(1), &json!(2)));
    assert_eq!(told["events"][0]["raw"], small);
    assert_eq!(socket.event("1").await, json!({"position": "2", "eventDetails": small}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_era_has_messages_of_its_own() {
    let (nats, database) = (NatsServer::start(), TestDatabase::new().await);
    let one = start_gateway(&database, &nats).await;
    wait_for_publisher(&database).await;
    let other = start_gateway(&database, &nats).await;
    let client = connect(&nats).await;
    let mut messages = client.subscribe("sluice.>").await.unwrap();
    client.flush().await.unwrap();
    let mut socket = other.socket().await;
    socket.subscribe("1", "subscription { syncEvents(from: {after: \"0\"}) { events { position } } }", json!({})).await;
    one.deliver(&[sync_event("one")]).await;
    assert_eq!(socket.event("1").await, json!({"position": "1"}));
    let old = timeout(PATIENCE, messages.next()).await.unwrap().unwrap();
    let era = database.store().new_era("a test says so").await.unwrap();
    let mut position = era;
    loop {
        one.deliver(&[sync_event("one")]).await;
        position = position.next();
        assert_eq!(socket.event("1").await, json!({"position": position.to_string()}));
        if let Ok(Some(message)) = timeout(Duration::from_secs(1), messages.next()).await
            && message.subject.ends_with(&format!(".{era}"))
        {
            assert_ne!(message.subject, old.subject);
            return;
        }
        assert!(position.number_in_era() < 30, "nothing is published in the new era");
    }
}
