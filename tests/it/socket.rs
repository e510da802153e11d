//! A client of graphql-transport-ws that sees every frame.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::Request;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// The longest that anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A WebSocket to a gateway, with the messages that were read and not returned yet.
pub(crate) struct Socket(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>, VecDeque<Value>);

/// Splits a payload of the field `syncEvents` into one message for each of its events: none, where it only reports
/// progress. Returns another message as it is.
pub(crate) fn split(message: Value) -> Vec<Value> {
    let batch = &message["payload"]["data"]["syncEvents"];
    let Some(events) = batch["events"].as_array().filter(|_| message["payload"].get("errors").is_none()) else {
        return vec![message];
    };
    let one = |event: &Value| {
        let mut one = message.clone();
        one["payload"]["data"]["syncEvents"] = event.clone();
        one
    };
    events.iter().map(one).collect()
}

/// What the other side says.
#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
    /// A message.
    Message(Value),
    /// The end, with its code; none where the connection just broke.
    Closed(Option<u16>),
}

/// A handshake's request for a sub-protocol.
pub(crate) fn handshake(address: SocketAddr, protocol: &str) -> Request<()> {
    let mut request = format!("ws://{address}/graphql").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
    request
}

impl Socket {
    /// Connects and is acknowledged.
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let mut socket = Self::connect(handshake(address, "graphql-transport-ws")).await.unwrap();
        socket.send(json!({"type": "connection_init"})).await;
        assert_eq!(socket.message().await, json!({"type": "connection_ack"}));
        socket
    }

    /// Connects and is acknowledged, where somebody is there to do so.
    pub(crate) async fn try_open(address: SocketAddr) -> Result<Self, Heard> {
        let connected = Self::connect(handshake(address, "graphql-transport-ws")).await;
        let mut socket = connected.map_err(|_| Heard::Closed(None))?;
        socket.try_send(json!({"type": "connection_init"})).await;
        match socket.hear().await {
            Heard::Message(_) => Ok(socket),
            closed @ Heard::Closed(_) => Err(closed),
        }
    }

    /// A client of a connection that is there.
    pub(crate) fn over(stream: WebSocketStream<MaybeTlsStream<TcpStream>>) -> Self {
        Self(stream, VecDeque::new())
    }

    /// Connects, and says nothing yet.
    pub(crate) async fn connect(request: Request<()>) -> Result<Self, tungstenite::Error> {
        Ok(Self::over(connect_async(request).await?.0))
    }

    /// Sends a message.
    pub(crate) async fn send(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    /// Sends a message, where the other side is still there.
    pub(crate) async fn try_send(&mut self, message: Value) -> bool {
        self.0.send(Message::text(message.to_string())).await.is_ok()
    }

    /// Starts an operation.
    pub(crate) async fn subscribe(&mut self, id: &str, query: &str, variables: Value) {
        let payload = json!({"query": query, "variables": variables});
        self.send(json!({"type": "subscribe", "id": id, "payload": payload})).await;
    }

    /// Returns the next message, or the end. Pings are answered and not returned. A message with several events comes as one message for
    /// each of them, and one without events does not come.
    pub(crate) async fn hear(&mut self) -> Heard {
        loop {
            if let Some(message) = self.1.pop_front() {
                return Heard::Message(message);
            }
            match self.hear_whole().await {
                Heard::Message(message) => self.1.extend(split(message)),
                closed @ Heard::Closed(_) => return closed,
            }
        }
    }

    /// Starts a subscription, and waits for its first payload, which has no events.
    pub(crate) async fn subscribed(&mut self, id: &str, query: &str, variables: Value) {
        self.subscribe(id, query, variables).await;
        assert_eq!(self.batch(id).await["events"], json!([]));
    }

    /// The payload of the next message, which must be a `next` of this operation: a batch of events with its position.
    pub(crate) async fn batch(&mut self, id: &str) -> Value {
        assert!(self.1.is_empty(), "single events were asked for before");
        let Heard::Message(message) = self.hear_whole().await else { panic!("expected a message") };
        assert_eq!((&message["type"], &message["id"]), (&json!("next"), &json!(id)), "{message}");
        assert!(message["payload"].get("errors").is_none(), "{message}");
        message["payload"]["data"]["syncEvents"].clone()
    }

    /// The next message as it comes, or the end. Pings are answered and not returned.
    pub(crate) async fn hear_whole(&mut self) -> Heard {
        loop {
            let heard = timeout(PATIENCE, self.0.next()).await.expect("something is heard in time");
            match heard {
                Some(Ok(Message::Text(text))) => {
                    let message: Value = serde_json::from_str(&text).unwrap();
                    if message["type"] != "ping" {
                        return Heard::Message(message);
                    }
                    self.send(json!({"type": "pong"})).await;
                }
                Some(Ok(Message::Close(frame))) => return Heard::Closed(frame.map(|frame| frame.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Heard::Closed(None),
            }
        }
    }

    /// The code and the reason of the close, which must come next.
    pub(crate) async fn close_reason(&mut self) -> (Option<u16>, String) {
        match timeout(PATIENCE, self.0.next()).await.expect("the close comes in time") {
            Some(Ok(Message::Close(Some(frame)))) => (Some(frame.code.into()), frame.reason.to_string()),
            other => (None, format!("{other:?}")),
        }
    }

    /// The next message; the socket must not be closed.
    pub(crate) async fn message(&mut self) -> Value {
        match self.hear().await {
            Heard::Message(message) => message,
            closed @ Heard::Closed(_) => panic!("expected a message: {closed:?}"),
        }
    }

    /// The event of the next message, which must be a `next` of this operation.
    pub(crate) async fn event(&mut self, id: &str) -> Value {
        let message = self.message().await;
        assert_eq!((&message["type"], &message["id"]), (&json!("next"), &json!(id)), "{message}");
        assert!(message["payload"].get("errors").is_none(), "{message}");
        message["payload"]["data"]["syncEvents"].clone()
    }

    /// Nothing is heard for a while.
    pub(crate) async fn hears_nothing(&mut self, pause: Duration) -> bool {
        timeout(pause, self.hear()).await.is_err()
    }
}
