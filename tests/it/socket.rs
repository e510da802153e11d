//! A client of graphql-transport-ws that sees every frame.

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

/// A WebSocket to a gateway.
pub(crate) struct Socket(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>);

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

    /// Connects, and says nothing yet.
    pub(crate) async fn connect(request: Request<()>) -> Result<Self, tungstenite::Error> {
        Ok(Self(connect_async(request).await?.0))
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

    /// What is heard next; pings are answered and not told.
    pub(crate) async fn hear(&mut self) -> Heard {
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
