//! Clients that read slowly: they hold up nobody else, and nothing is lost to them.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpSocket;
use tokio_tungstenite::{MaybeTlsStream, client_async};

use crate::events::{sync_event, sync_events, uuid};
use crate::gateway::Gateway;
use crate::process::GatewayProcess;
use crate::socket::{Heard, Socket, handshake};
use crate::traffic::Traffic;

/// How many large events there are: together more than the system takes for a client that does not read.
const EVENTS: usize = 160;

/// How long the message of a large event is.
const LENGTH: usize = 100_000;

const LARGE: &str = "subscription ($after: Position!) { \
    syncEvents(from: {after: $after}, filter: {applicationInstances: [\"0oalarge\"]}) { events { position message } } }";

impl Gateway {
    /// A WebSocket of a client that reads slowly.
    pub(crate) async fn slow_socket(&self) -> Socket {
        slow_socket(self.address).await
    }

    async fn deliver_large_events(&self) {
        self.deliver(&large_events()).await;
    }
}

/// Opens a WebSocket of a client for which the system holds little, so that it soon has to read or is waited for.
async fn slow_socket(address: SocketAddr) -> Socket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    let stream = MaybeTlsStream::Plain(socket.connect(address).await.unwrap());
    let request = handshake(address, "graphql-transport-ws");
    let mut socket = Socket::over(client_async(request, stream).await.unwrap().0);
    socket.send(json!({"type": "connection_init"})).await;
    assert_eq!(socket.message().await, json!({"type": "connection_ack"}));
    socket
}

/// Makes events that are together more than the system takes for a client that does not read.
pub(crate) fn large_events() -> Vec<Value> {
    let mut events = sync_events("large", EVENTS);
    for event in &mut events {
        event["displayMessage"] = "x".repeat(LENGTH).into();
    }
    events
}

/// The position of a large event, which must be whole.
fn position(event: &Value) -> usize {
    assert_eq!(event["message"].as_str().unwrap().len(), LENGTH);
    event["position"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_operation_with_much_to_tell_does_not_silence_another_on_its_socket() {
    let gateway = Gateway::start().await;
    gateway.deliver_large_events().await;
    let mut socket = gateway.slow_socket().await;
    let live = "subscription { syncEvents(filter: {applicationInstances: [\"0oasmall\"]}) { events { uuid } } }";
    socket.subscribe("small", live, json!({})).await;
    socket.subscribe("large", LARGE, json!({"after": "0"})).await;
    // Once the history is on its way, and cannot be told to its end as long as nobody reads.
    assert_eq!(position(&socket.event("large").await), 1);
    let small = sync_event("small");
    gateway.deliver(std::slice::from_ref(&small)).await;
    let mut large = 1;
    loop {
        let message = socket.message().await;
        let event = &message["payload"]["data"]["syncEvents"];
        if message["id"] == "small" {
            break assert_eq!(event["uuid"], uuid(&small));
        }
        large += 1;
        assert_eq!(position(event), large);
    }
    assert!(large < EVENTS, "the small event came after all the large ones");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed_while_others_get_on_and_resumes_without_a_loss() {
    let gateway = Gateway::start_with(|settings| {
        settings.limits.socket_write_seconds = 1;
        settings.limits.sockets = 2;
    })
    .await;
    gateway.deliver_large_events().await;
    let mut slow = gateway.slow_socket().await;
    slow.subscribe("1", LARGE, json!({"after": "0"})).await;
    let mut other = gateway.socket().await;
    other.subscribe("1", LARGE, json!({"after": "0"})).await;
    for expected in 1..=EVENTS {
        assert_eq!(position(&other.event("1").await), expected);
    }
    // Another socket has room only once the slow one's place is free.
    let mut again = loop {
        match Socket::try_open(gateway.address).await {
            Ok(socket) => break socket,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    let mut last = 0;
    while let Heard::Message(message) = slow.hear().await {
        last += 1;
        assert_eq!(position(&message["payload"]["data"]["syncEvents"]), last);
    }
    assert!(last < EVENTS, "the slow client got everything");
    again.subscribe("1", LARGE, json!({"after": last.to_string()})).await;
    for expected in last + 1..=EVENTS {
        assert_eq!(position(&again.event("1").await), expected);
    }
}

#[tokio::test]
async fn a_client_that_reads_again_soon_is_told_that_it_was_too_slow() {
    // A process of its own, whose metrics are of nothing else.
    let mut gateway = GatewayProcess::start_with("[limits]\nsocket_write_seconds = 1\n").await;
    Traffic::new().deliver(gateway.address, &large_events()).await.unwrap();
    let mut slow = slow_socket(gateway.address).await;
    slow.subscribe("1", LARGE, json!({"after": "0"})).await;
    gateway
        .wait_until(async |gateway| gateway.metric("sluice_sockets_closed_total{code=\"1013\"}").await == Some(1))
        .await;
    let mut last = 0;
    let close = loop {
        match slow.hear().await {
            Heard::Message(message) => {
                last += 1;
                assert_eq!(position(&message["payload"]["data"]["syncEvents"]), last);
            }
            Heard::Closed(code) => break code,
        }
    };
    assert_eq!(close, Some(1013), "after {last} events");
    assert!(last < EVENTS, "the slow client got everything");
}

#[tokio::test]
async fn operations_with_much_to_tell_take_turns() {
    let gateway = Gateway::start().await;
    gateway.deliver_large_events().await;
    let mut socket = gateway.slow_socket().await;
    for id in ["a", "b", "c"] {
        socket.subscribe(id, LARGE, json!({"after": "0"})).await;
    }
    // A query among them, too.
    socket.subscribe("q", "{ __typename }", json!({})).await;
    let mut told = std::collections::HashMap::<String, usize>::new();
    let mut begun = None;
    while told.get("q").is_none_or(|_| told.values().sum::<usize>() < 3 * EVENTS / 2) {
        let message = socket.message().await;
        let id = message["id"].as_str().unwrap().to_owned();
        let events = told.entry(id).or_default();
        if message["type"] == "next" && message["id"] != "q" {
            *events += 1;
            assert_eq!(position(&message["payload"]["data"]["syncEvents"]), *events);
        }
        if begun.is_none() {
            // Until each has found its place in the log, for which the database is asked, the client reads so
            // slowly that the first is not done before the last begins.
            if told.len() == 4 {
                begun = Some(told.clone());
            } else {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    let begun = begun.expect("an operation was never told anything");
    let since = ["a", "b", "c"].map(|id| told[id] - begun[id]);
    let (least, most) = (since.iter().min().unwrap(), since.iter().max().unwrap());
    assert!(most - least <= 64, "one is far behind another: {told:?}, of which {begun:?} before all had begun");
}

#[tokio::test]
async fn a_client_that_does_not_read_keeps_nobody_from_the_database() {
    let gateway = Gateway::start_with(|settings| {
        settings.limits.window_bytes = 100_000;
        settings.limits.catch_up_reads = 1;
        settings.limits.query_connections = 1;
    })
    .await;
    gateway.deliver_large_events().await;
    let mut slow = gateway.slow_socket().await;
    slow.subscribe("a", LARGE, json!({"after": "0"})).await;
    // Until its connection is full.
    tokio::time::sleep(Duration::from_millis(500)).await;
    // Different ones: each of them reads for itself.
    for id in ["b", "c", "d", "e", "f"] {
        slow.subscribe(
            id,
            &LARGE.replace("position message", &format!("{id}: position position message")),
            json!({"after": "0"}),
        )
        .await;
    }
    // There is room for a little, so that they begin, and wait for that client with what they hold.
    for _ in 0..EVENTS / 8 {
        slow.event("a").await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut other = gateway.socket().await;
    other.subscribe("1", LARGE, json!({"after": "0"})).await;
    for expected in 1..=EVENTS {
        assert_eq!(position(&other.event("1").await), expected);
    }
}
