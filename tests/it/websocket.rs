//! The rules of graphql-transport-ws, and the codes with which they are enforced.

use std::time::Duration;

use futures_util::SinkExt as _;
use serde_json::{Value, json};
use sluice::auth::Readers;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::events::{sync_event, uuid};
use crate::gateway::Gateway;
use crate::socket::{Heard, Socket, handshake};

const LIVE: &str = "subscription { syncEvents { events { uuid } } }";
const HISTORY: &str = "subscription { syncEvents(from: {after: \"0\"}) { events { uuid } } }";

impl Gateway {
    /// A WebSocket on which nothing was said yet.
    async fn quiet_socket(&self) -> Socket {
        Socket::connect(handshake(self.address, "graphql-transport-ws")).await.unwrap()
    }

    /// A WebSocket of which there may be too many; gives the refusal's status.
    async fn socket_or_status(&self) -> Result<Socket, u16> {
        match Socket::connect(handshake(self.address, "graphql-transport-ws")).await {
            Ok(socket) => Ok(socket),
            Err(tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
            Err(other) => panic!("{other}"),
        }
    }
}

impl Socket {
    async fn init(&mut self) {
        self.send(json!({"type": "connection_init"})).await;
        assert_eq!(self.message().await, json!({"type": "connection_ack"}));
    }

    /// Waits until the gateway has dealt with everything that was sent; it must have nothing to say to it.
    async fn settle(&mut self) {
        self.send(json!({"type": "ping", "payload": {"settle": true}})).await;
        assert_eq!(self.message().await, json!({"type": "pong"}));
    }

    /// The errors with which an operation is refused.
    async fn refusal(&mut self, id: &str) -> Value {
        let message = self.message().await;
        assert_eq!((&message["type"], &message["id"]), (&json!("error"), &json!(id)), "{message}");
        assert!(message["payload"].as_array().is_some_and(|errors| !errors.is_empty()), "{message}");
        assert!(message["payload"][0]["message"].is_string(), "{message}");
        message["payload"].clone()
    }

    async fn close_code(&mut self) -> Option<u16> {
        match self.hear().await {
            Heard::Closed(code) => code,
            Heard::Message(message) => panic!("expected a close: {message}"),
        }
    }
}

#[tokio::test]
async fn what_is_no_message_of_the_protocol_closes_with_4400() {
    let gateway = Gateway::start().await;
    let wrong = [
        Message::text("garbage"),
        Message::text("[]"),
        Message::text(r#"{"id":"1"}"#),
        Message::text(r#"{"type":"start","id":"1","payload":{"query":"{__typename}"}}"#),
        Message::text(r#"{"type":"subscribe","payload":{"query":"{__typename}"}}"#),
        Message::text(r#"{"type":"subscribe","id":"1"}"#),
        Message::text(r#"{"type":"subscribe","id":"1","payload":{}}"#),
        Message::text(r#"{"type":"complete"}"#),
        Message::text(format!(r#"{{"type":"{}"}}"#, "ü".repeat(200))),
        Message::binary(&br#"{"type":"ping"}"#[..]),
    ];
    for message in wrong {
        let mut socket = gateway.socket().await;
        let text = message.to_string();
        socket.0.send(message).await.unwrap();
        assert_eq!(socket.close_code().await, Some(4400), "{text}");
    }
    let mut socket = gateway.quiet_socket().await;
    socket.0.send(Message::text("garbage")).await.unwrap();
    assert_eq!(socket.close_code().await, Some(4400), "before connection_init");
}

#[tokio::test]
async fn an_operation_before_the_acknowledgement_closes_with_4401() {
    let gateway = Gateway::start().await;
    let mut socket = gateway.quiet_socket().await;
    socket.subscribe("1", "{ __typename }", json!({})).await;
    assert_eq!(socket.close_code().await, Some(4401));
}

#[tokio::test]
async fn an_unknown_reader_closes_with_4403() {
    let gateway = Gateway::start_with(|settings| {
        settings.readers = Readers::new(vec![("dashboard".to_owned(), "the token".into())]);
    })
    .await;
    for payload in [json!(null), json!({}), json!({"authorization": "Bearer another"}), json!({"authorization": 7})] {
        let mut socket = gateway.quiet_socket().await;
        socket.send(json!({"type": "connection_init", "payload": payload})).await;
        assert_eq!(socket.close_code().await, Some(4403), "{payload}");
    }
    let mut socket = gateway.quiet_socket().await;
    socket.send(json!({"type": "connection_init", "payload": {"authorization": "Bearer the token"}})).await;
    assert_eq!(socket.message().await, json!({"type": "connection_ack"}));
}

#[tokio::test]
async fn a_protocol_that_is_not_spoken_closes_with_4406() {
    let gateway = Gateway::start().await;
    for protocols in ["", "Sec-WebSocket-Protocol: soap, graphql-ws-next\r\n"] {
        // By hand, as a client's library already refuses a handshake that chooses no protocol.
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        let request = format!(
            "GET /graphql HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{protocols}\r\n",
            gateway.address
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let close = loop {
            assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "the connection ends without a close");
            let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
            if let Some(frame) = end.map(|end| &answer[end + 4..])
                && frame.len() >= 4
            {
                break frame[..4].to_vec();
            }
        };
        let head = String::from_utf8_lossy(&answer);
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert_eq!((close[0], u16::from_be_bytes([close[2], close[3]])), (0x88, 4406), "{protocols:?}");
    }
}

#[tokio::test]
async fn a_connection_that_is_never_initialised_closes_with_4408() {
    let gateway = Gateway::start_with(|settings| settings.limits.connection_init_seconds = 1).await;
    let mut socket = gateway.quiet_socket().await;
    let mut initialised = gateway.socket().await;
    socket.settle().await;
    assert_eq!(socket.close_code().await, Some(4408), "a ping does not count");
    initialised.settle().await;
}

#[tokio::test]
async fn the_id_of_a_running_operation_closes_with_4409() {
    let gateway = Gateway::start().await;
    let mut socket = gateway.socket().await;
    socket.subscribe("1", LIVE, json!({})).await;
    socket.subscribe("1", "{ __typename }", json!({})).await;
    assert_eq!(socket.close_code().await, Some(4409));
}

#[tokio::test]
async fn a_second_initialisation_closes_with_4429() {
    let gateway = Gateway::start().await;
    let mut socket = gateway.socket().await;
    socket.send(json!({"type": "connection_init"})).await;
    assert_eq!(socket.close_code().await, Some(4429));
}

#[tokio::test]
async fn an_operation_that_is_completed_by_the_client_is_silent_and_its_id_free() {
    let gateway = Gateway::start().await;
    let mut socket = gateway.socket().await;
    for id in ["ended", "stays"] {
        socket.subscribe(id, HISTORY, json!({})).await;
    }
    socket.send(json!({"type": "complete", "id": "ended"})).await;
    socket.send(json!({"type": "complete", "id": "never was"})).await;
    socket.settle().await;
    let events = [sync_event("one"), sync_event("one")];
    gateway.deliver(&events).await;
    for event in &events {
        assert_eq!(socket.event("stays").await["uuid"], uuid(event));
    }
    socket.subscribe("ended", HISTORY, json!({})).await;
    assert_eq!(socket.event("ended").await["uuid"], uuid(&events[0]));
}

#[tokio::test]
async fn a_query_is_answered_and_completed_and_its_id_free() {
    let gateway = Gateway::start().await;
    let mut socket = gateway.socket().await;
    for _ in 0..2 {
        socket.subscribe("1", "{ __typename }", json!({})).await;
        let next = json!({"type": "next", "id": "1", "payload": {"data": {"__typename": "Query"}}});
        assert_eq!(socket.message().await, next);
        assert_eq!(socket.message().await, json!({"type": "complete", "id": "1"}));
    }
}

#[tokio::test]
async fn pings_are_answered_without_what_they_bring() {
    let gateway = Gateway::start().await;
    let mut socket = gateway.quiet_socket().await;
    for initialise in [true, false] {
        socket.send(json!({"type": "ping"})).await;
        assert_eq!(socket.message().await, json!({"type": "pong"}));
        socket.send(json!({"type": "ping", "payload": {"authorization": "Bearer hunter2"}})).await;
        assert_eq!(socket.message().await, json!({"type": "pong"}));
        socket.send(json!({"type": "pong", "payload": {"unasked": true}})).await;
        if initialise {
            socket.init().await;
        }
    }
    socket.settle().await;
}

#[tokio::test]
async fn an_operation_that_is_refused_gets_an_error_and_the_socket_goes_on() {
    let gateway = Gateway::start().await;
    let mut socket = gateway.socket().await;
    let variable = "subscription ($after: Position!) { syncEvents(from: {after: $after}) { events { uuid } } }";
    let refused = [
        ("subscription { syncEvents { events { uuid } }", json!({})),
        ("subscription { nothing }", json!({})),
        ("{ syncEvents { uuid } }", json!({})),
        ("subscription { syncEvents { events { uuid } } __typename }", json!({})),
        ("subscription { a: syncEvents { events { uuid } } b: syncEvents { position } }", json!({})),
        ("subscription { ...Root } fragment Root on Query { syncEvents { events { uuid } } }", json!({})),
        (
            "subscription { ...Root } fragment Root on Subscription { syncEvents { events { uuid } } __typename }",
            json!({}),
        ),
        ("subscription { __typename }", json!({})),
        ("subscription ($yes: Boolean!) { syncEvents @include(if: $yes) { position } }", json!({"yes": true})),
        ("subscription { syncEvents(filter: {eventTypes: [\"a*b\"]}) { events { uuid } } }", json!({})),
        ("query A { __typename } query B { __typename }", json!({})),
        ("", json!({})),
        (variable, json!({"after": {"not": "a position"}})),
        (variable, json!({"after": "seven"})),
    ];
    for (query, variables) in refused {
        socket.subscribe("1", query, variables.clone()).await;
        let errors = socket.refusal("1").await;
        assert!(errors[0]["extensions"]["code"].is_string() || errors[0]["locations"].is_array(), "{errors}");
        socket.settle().await;
    }
}

#[tokio::test]
async fn a_socket_runs_so_many_operations_and_no_more() {
    let gateway = Gateway::start_with(|settings| settings.limits.operations_per_socket = 2).await;
    let mut socket = gateway.socket().await;
    for id in ["1", "2", "3"] {
        socket.subscribe(id, LIVE, json!({})).await;
    }
    assert_eq!(socket.refusal("3").await[0]["extensions"]["code"], "TOO_MANY_OPERATIONS");
    socket.send(json!({"type": "complete", "id": "1"})).await;
    socket.subscribe("3", "{ __typename }", json!({})).await;
    assert_eq!(socket.message().await["type"], "next");
}

#[tokio::test]
async fn there_are_so_many_sockets_and_no_more() {
    let gateway = Gateway::start_with(|settings| settings.limits.sockets = 1).await;
    let first = gateway.socket_or_status().await.unwrap();
    assert_eq!(gateway.socket_or_status().await.err(), Some(503));
    drop(first);
    while gateway.socket_or_status().await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_message_over_the_limit_ends_the_connection() {
    let gateway = Gateway::start_with(|settings| settings.limits.query_body_bytes = 1000).await;
    let mut socket = gateway.socket().await;
    socket.send(json!({"type": "ping", "payload": {"short": "x".repeat(900)}})).await;
    assert_eq!(socket.message().await["type"], "pong");
    socket.send(json!({"type": "ping", "payload": {"long": "x".repeat(1000)}})).await;
    let heard = socket.hear().await;
    assert!(matches!(heard, Heard::Closed(_)), "{heard:?}");
}

#[tokio::test]
async fn a_close_is_answered() {
    let gateway = Gateway::start().await;
    for mut socket in [gateway.quiet_socket().await, gateway.socket().await] {
        socket.0.close(Some(CloseFrame { code: 1000.into(), reason: "enough".into() })).await.unwrap();
        assert_eq!(socket.close_code().await, Some(1000));
        assert_eq!(socket.close_code().await, None, "and then the connection ends");
    }
}

#[tokio::test]
async fn a_gateway_that_stops_closes_every_socket_with_1012() {
    let gateway = Gateway::start().await;
    let mut sockets = vec![gateway.quiet_socket().await, gateway.socket().await, gateway.socket().await];
    sockets[2].subscribe("1", LIVE, json!({})).await;
    sockets[2].settle().await;
    let stopping = tokio::spawn(gateway.stop());
    for socket in &mut sockets {
        assert_eq!(socket.close_code().await, Some(1012));
    }
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_closed_with_1011() {
    let gateway = Gateway::start_with(|settings| settings.limits.socket_ping_seconds = 1).await;
    let mut socket = gateway.quiet_socket().await;
    socket.init().await;
    // `hear` answers pings; this client does not.
    loop {
        let heard = futures_util::StreamExt::next(&mut socket.0).await.unwrap().unwrap();
        match heard {
            Message::Text(text) => assert_eq!(text.as_str(), r#"{"type":"ping"}"#),
            Message::Close(frame) => break assert_eq!(u16::from(frame.unwrap().code), 1011),
            other => panic!("{other:?}"),
        }
    }
}
