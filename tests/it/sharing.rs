//! What many want is told once and handed to all of them, live and to those who catch up together.

use serde_json::{Value, json};

use crate::events::sync_events;
use crate::process::GatewayProcess;
use crate::socket::Socket;
use crate::traffic::Traffic;

const SUBSCRIBERS: usize = 20;

/// Subscribers that each start by themselves, though all from the same place.
async fn subscribe(gateway: &GatewayProcess, query: &str, variables: Value) -> Vec<Socket> {
    let mut sockets = Vec::new();
    for _ in 0..SUBSCRIBERS {
        let mut socket = Socket::open(gateway.address).await;
        socket.subscribe("1", query, variables.clone()).await;
        sockets.push(socket);
    }
    sockets
}

#[tokio::test]
async fn what_needs_more_than_the_event_is_resolved_once_for_all() {
    const EVENTS: usize = 6;
    let (traffic, mut gateway) = (Traffic::new(), GatewayProcess::start().await);
    let query = "subscription ($from: SyncEventStart, $batch: Int!) { syncEvents(from: $from, batch: $batch) \
                 { events { position uuid applicationInstance { label application { name } } receivedVia source } } }";
    let mut sockets = subscribe(&gateway, query, json!({"from": {"after": "0"}, "batch": 1})).await;
    // One that begins elsewhere, and takes other batches, wants the same events.
    let mut late = Socket::open(gateway.address).await;
    late.subscribed("1", query, json!({"batch": 2})).await;
    gateway
        .wait_until(async |gateway| gateway.metric("sluice_subscribers").await == Some(1 + SUBSCRIBERS as u64))
        .await;
    assert_eq!(gateway.metric("sluice_feeds").await, Some(1));
    let events = sync_events("sharing", EVENTS);
    for batch in events.chunks(2) {
        traffic.deliver(gateway.address, batch).await.unwrap();
    }
    sockets.push(late);
    for socket in &mut sockets {
        for (number, event) in events.iter().enumerate() {
            let told = socket.event("1").await;
            assert_eq!(told["position"], (number + 1).to_string());
            assert_eq!(told["uuid"], event["uuid"]);
            assert_eq!(told["receivedVia"], json!(["EVENT_HOOK"]));
            assert!(told["applicationInstance"]["label"].is_string(), "{told}");
        }
    }
    assert_eq!(gateway.metric("sluice_events_ordinary_total").await, Some(EVENTS as u64));
}

#[tokio::test]
async fn subscriptions_of_one_document_with_other_variables_share_nothing() {
    let (traffic, mut gateway) = (Traffic::new(), GatewayProcess::start().await);
    // The first document needs more than an event holds; the second one does not.
    let documents = [
        "subscription ($first: Int!, $with: Boolean!) { syncEvents { events { position \
         applicationInstance { syncEvents(first: $first) { nodes { position } } } message @include(if: $with) } } }",
        "subscription ($with: Boolean!) { syncEvents { events { position message @include(if: $with) \
         user @skip(if: $with) { oktaId } ... @include(if: $with) { org } } } }",
    ];
    let variables = [json!({"first": 1, "with": false}), json!({"first": 2, "with": true})];
    let mut sockets = Vec::new();
    for document in documents {
        for variables in &variables {
            let mut socket = Socket::open(gateway.address).await;
            socket.subscribe("1", document, variables.clone()).await;
            sockets.push(socket);
        }
    }
    gateway.wait_until(async |gateway| gateway.metric("sluice_subscribers").await == Some(4)).await;
    assert_eq!(gateway.metric("sluice_feeds").await, Some(4));
    traffic.deliver(gateway.address, &sync_events("variables", 3)).await.unwrap();
    for (number, socket) in sockets.iter_mut().enumerate() {
        let (needs_more, with) = (number < 2, number % 2 == 1);
        for position in 1..=3 {
            let event = socket.event("1").await;
            let mut names = vec!["position"];
            names.extend(needs_more.then_some("applicationInstance"));
            names.extend(with.then_some("message"));
            names.extend((!needs_more).then_some(if with { "org" } else { "user" }));
            let mut got: Vec<_> = event.as_object().unwrap().keys().map(String::as_str).collect();
            got.sort_unstable();
            names.sort_unstable();
            assert_eq!(got, names, "subscription {number}");
            assert_eq!(event["position"], position.to_string());
            if needs_more {
                let nodes = event["applicationInstance"]["syncEvents"]["nodes"].as_array().unwrap();
                assert_eq!(nodes.len(), if with { 2 } else { 1 }, "subscription {number}: {event}");
            }
        }
    }
}

#[tokio::test]
async fn who_catches_up_together_is_told_the_same() {
    const EVENTS: usize = 3_000;
    let (traffic, mut gateway) = (Traffic::new(), GatewayProcess::start_with("[limits]\nwindow_bytes = 1000000").await);
    for batch in sync_events("together", EVENTS).chunks(500) {
        traffic.deliver(gateway.address, batch).await.unwrap();
    }
    for query in [
        "subscription ($after: Position!) { syncEvents(from: {after: $after}) { events { position message } } }",
        "subscription ($after: Position!) { syncEvents(from: {after: $after}) { events { position applicationInstance { label } } } }",
    ] {
        let told_before = gateway.metric("sluice_events_rendered_total").await.unwrap_or_default();
        let mut sockets = Vec::new();
        // They were cut off at different places.
        for number in 0..SUBSCRIBERS {
            let mut socket = Socket::open(gateway.address).await;
            socket.subscribe("1", query, json!({"after": (number * 7).to_string()})).await;
            sockets.push(socket);
        }
        gateway
            .wait_until(async |gateway| gateway.metric("sluice_subscribers").await == Some(SUBSCRIBERS as u64))
            .await;
        for (number, socket) in sockets.iter_mut().enumerate() {
            for position in number * 7 + 1..=EVENTS {
                assert_eq!(socket.event("1").await["position"], position.to_string());
            }
        }
        let told = gateway.metric("sluice_events_rendered_total").await.unwrap() - told_before;
        // Alone, each would have it all told for itself.
        let alone = (SUBSCRIBERS * EVENTS) as u64;
        assert!(told < alone / 5, "{told} events were put into words, of {alone} that were told");
        drop(sockets);
        gateway.wait_until(async |gateway| gateway.metric("sluice_subscribers").await == Some(0)).await;
    }
}
