//! The older sub-protocol, `graphql-ws`, and which of the two a socket speaks.

use std::time::Duration;

use serde_json::{Value, json};
use sluice::auth::Readers;
use tokio_tungstenite::connect_async;

use crate::events::{sync_event, sync_events, uuid};
use crate::gateway::Gateway;
use crate::socket::{Heard, Socket, handshake};

const ACK: &str = "connection_ack";

impl Gateway {
    async fn legacy_socket(&self) -> Socket {
        let mut socket = Socket::connect(handshake(self.address, "graphql-ws")).await.unwrap();
        socket.send(json!({"type": "connection_init", "payload": {}})).await;
        assert_eq!(socket.message().await, json!({"type": ACK}));
        assert_eq!(socket.message().await, json!({"type": "ka"}));
        socket
    }
}

impl Socket {
    async fn start(&mut self, id: &str, query: &str, variables: Value) {
        let payload = json!({"query": query, "variables": variables, "operationName": null});
        self.send(json!({"type": "start", "id": id, "payload": payload})).await;
    }

    /// The next message that is no sign of life.
    async fn told(&mut self) -> Value {
        loop {
            let message = self.message().await;
            if message["type"] != "ka" {
                return message;
            }
        }
    }
}

#[tokio::test]
async fn a_subscription_starts_is_told_its_events_and_stops() {
    let gateway = Gateway::start().await;
    gateway.deliver(&sync_events("one", 2)).await;
    let mut socket = gateway.legacy_socket().await;
    let query = "subscription ($after: Position!) { syncEvents(from: {after: $after}) { events { position } } }";
    socket.start("1", query, json!({"after": "0"})).await;
    for position in ["1", "2"] {
        let data = json!({"data": {"syncEvents": {"position": position}}});
        assert_eq!(socket.told().await, json!({"type": "data", "id": "1", "payload": data}));
    }
    socket.send(json!({"type": "stop", "id": "1"})).await;
    assert_eq!(socket.told().await, json!({"type": "complete", "id": "1"}));
    gateway.deliver(&sync_events("one", 1)).await;
    assert!(socket.hears_nothing(Duration::from_millis(200)).await);
    socket.start("1", query, json!({"after": "2"})).await;
    assert_eq!(socket.told().await["payload"]["data"]["syncEvents"]["position"], "3");
}

#[tokio::test]
async fn a_query_is_answered_and_complete_and_errors_are_objects() {
    let gateway = Gateway::start().await;
    let mut socket = gateway.legacy_socket().await;
    socket.start("q", "{ __typename }", json!({})).await;
    let answer = json!({"data": {"__typename": "Query"}});
    assert_eq!(socket.told().await, json!({"type": "data", "id": "q", "payload": answer}));
    assert_eq!(socket.told().await, json!({"type": "complete", "id": "q"}));
    for (query, code) in [
        ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { syncEvents(from: {after: \"7\"}) { events { uuid } } }", "POSITION_AHEAD"),
    ] {
        socket.start("e", query, json!({})).await;
        let error = socket.told().await;
        assert_eq!((&error["type"], &error["id"]), (&json!("error"), &json!("e")), "{error}");
        assert_eq!(error["payload"]["extensions"]["code"], code, "{error}");
        assert!(error["payload"]["message"].is_string(), "{error}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_told_and_the_connection_goes_on() {
    let gateway = Gateway::start().await;
    let mut socket = gateway.legacy_socket().await;
    for wrong in [json!([]), json!({"type": "ping"}), json!({"type": "start", "id": "1"}), json!({"type": "stop"})] {
        socket.send(wrong.clone()).await;
        let told = socket.told().await;
        assert_eq!(told["type"], "connection_error", "{wrong}");
        assert!(told["payload"]["message"].is_string(), "{told}");
    }
    socket.start("1", "{ __typename }", json!({})).await;
    assert_eq!(socket.told().await["type"], "data");
}

#[tokio::test]
async fn who_is_not_known_is_told_before_the_close() {
    let gateway = Gateway::start_with(|settings| {
        settings.readers = Readers::new(vec![("dashboard".to_owned(), "the token".into())]);
    })
    .await;
    let mut socket = Socket::connect(handshake(gateway.address, "graphql-ws")).await.unwrap();
    socket.send(json!({"type": "connection_init", "payload": {"authorization": "Bearer another"}})).await;
    let message = "Forbidden: the token is unknown: this gateway accepts a reader's token";
    assert_eq!(socket.message().await, json!({"type": "connection_error", "payload": {"message": message}}));
    assert_eq!(socket.hear().await, Heard::Closed(Some(4403)));
    let mut socket = Socket::connect(handshake(gateway.address, "graphql-ws")).await.unwrap();
    socket.start("1", "{ __typename }", json!({})).await;
    assert_eq!(socket.hear().await, Heard::Closed(Some(4401)));
    let mut socket = Socket::connect(handshake(gateway.address, "graphql-ws")).await.unwrap();
    socket.send(json!({"type": "connection_init", "payload": {"Authorization": "Bearer the token"}})).await;
    assert_eq!(socket.message().await, json!({"type": ACK}));
}

#[tokio::test]
async fn the_client_says_that_it_goes() {
    let gateway = Gateway::start().await;
    let mut socket = gateway.legacy_socket().await;
    socket.send(json!({"type": "connection_terminate"})).await;
    assert_eq!(socket.hear().await, Heard::Closed(Some(1000)));
}

#[tokio::test]
async fn it_is_kept_alive_again_and_again() {
    let gateway = Gateway::start_with(|settings| settings.limits.socket_ping_seconds = 1).await;
    let mut socket = gateway.legacy_socket().await;
    for _ in 0..3 {
        assert_eq!(socket.message().await, json!({"type": "ka"}));
    }
}

#[tokio::test]
async fn the_clients_first_protocol_that_is_spoken_is_spoken() {
    let gateway = Gateway::start().await;
    let event = sync_event("one");
    gateway.deliver(std::slice::from_ref(&event)).await;
    for (offered, chosen) in [
        ("graphql-ws, graphql-transport-ws", "graphql-ws"),
        ("graphql-transport-ws, graphql-ws", "graphql-transport-ws"),
        ("soap,graphql-ws", "graphql-ws"),
        ("soap,graphql-transport-ws,graphql-ws", "graphql-transport-ws"),
    ] {
        let (stream, response) = connect_async(handshake(gateway.address, offered)).await.unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], chosen, "{offered}");
        let mut socket = Socket::over(stream);
        socket.send(json!({"type": "connection_init"})).await;
        assert_eq!(socket.told().await, json!({"type": ACK}), "{offered}");
        let (start, next) = if chosen == "graphql-ws" { ("start", "data") } else { ("subscribe", "next") };
        let query = "subscription { syncEvents(from: {after: \"0\"}) { events { uuid } } }";
        socket.send(json!({"type": start, "id": "1", "payload": {"query": query}})).await;
        let told = socket.told().await;
        assert_eq!(told["type"], next, "{offered}: {told}");
        assert_eq!(told["payload"]["data"]["syncEvents"]["uuid"], uuid(&event));
    }
}
