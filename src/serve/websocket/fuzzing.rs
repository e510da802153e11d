//! Fuzzed conversations over WebSocket: frames of clients, in both sub-protocols, with the real connection and graph, but without
//! a network and a database.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::ws::{Message, Utf8Bytes};
use futures_util::{Sink, Stream};
use parking_lot::Mutex;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::connection::{Connection, NewConnection};
use super::context::SocketContext;
use super::protocol::Protocol;
use crate::auth::{AllowedOrigins, ApiKeys, Authenticator, Denied, Issuers, TrustedProxies};
use crate::graphql::fuzzing::{DetachedGraph, detached};
use crate::serve::access::RequestSender;
use crate::serve::options::ServeOptions;
use crate::serve::subscribers::Subscribers;

/// The maximum number of frames of a conversation.
const MAX_FRAMES: usize = 50;

/// The maximum length of a close's reason, in bytes.
const MAX_REASON: usize = 123;

static CONTEXT: OnceLock<SocketContext> = OnceLock::new();

/// Runs a conversation in each sub-protocol. Each line of the input is a frame; lines that begin with `!` are frames of other
/// kinds than text.
pub(crate) fn conversations(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Some(detached) = detached() else { return };
    let context = CONTEXT.get_or_init(|| context(detached));
    for protocol in [Protocol::Transport, Protocol::Legacy] {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let frames = text.lines().take(MAX_FRAMES).map(frame).collect();
        let socket = ScriptedSocket { frames, is_silent: false, sent: Arc::clone(&sent) };
        let (context, sender, known) = (context.clone(), RequestSender::default(), Err(Denied::KeysUnread));
        let new = NewConnection { socket, wire: None, protocol, context, sender, known, held: None };
        detached.runtime.block_on(Connection::new(new).run());
        check(&sent.lock());
    }
}

fn context(detached: &DetachedGraph) -> SocketContext {
    let options = ServeOptions {
        connections: 100,
        connections_per_address: 100,
        trusted_proxies: TrustedProxies::default(),
        allowed_origins: AllowedOrigins::default(),
        head_timeout: Duration::from_secs(10),
        body_timeout: Duration::from_secs(10),
        sockets: 100,
        sockets_per_client: 100,
        streams: 100,
        streams_per_client: 100,
        operations_per_socket: 4,
        init_timeout: Duration::from_secs(10),
        write_timeout: Duration::from_secs(10),
        ping_interval: Duration::from_secs(10),
        drain: Duration::ZERO,
        query_body_bytes: 1 << 20,
        batch: 10,
        delivery_body_bytes: 1 << 20,
        hook_patience: Duration::from_secs(1),
    };
    let stop = CancellationToken::new();
    SocketContext {
        graph: detached.graph.clone(),
        authenticator: Authenticator::new(detached.readers.clone(), Issuers::default(), ApiKeys::default()),
        subscribers: Subscribers::new(&options, detached.runtime.handle().clone(), stop),
        options: Arc::new(options),
    }
}

fn frame(line: &str) -> Message {
    match line {
        "!binary" => Message::Binary(line.as_bytes().to_vec().into()),
        "!ping" => Message::Ping(Vec::new().into()),
        "!pong" => Message::Pong(Vec::new().into()),
        "!close" => Message::Close(None),
        text => Message::Text(Utf8Bytes::from(text)),
    }
}

/// Checks the frames that a client got: one acknowledgement, before anything of an operation; nothing after the end of an
/// operation until the next one with its id, which only the client can start; nothing after a close.
fn check(sent: &[Message]) {
    let mut acknowledged = 0;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (at, message) in sent.iter().enumerate() {
        match message {
            Message::Text(text) => {
                let message: Value = serde_json::from_str(text).unwrap_or_default();
                let kind = message.get("type").and_then(Value::as_str).unwrap_or_default();
                *counts.entry(kind.to_owned()).or_default() += 1;
                match kind {
                    "connection_ack" => acknowledged += 1,
                    "next" | "data" | "error" | "complete" => {
                        assert!(acknowledged == 1, "{text} before connection_ack");
                        assert!(message.get("id").is_some_and(Value::is_string), "{text}");
                    }
                    "ping" | "pong" | "ka" | "connection_error" => {}
                    _ => assert!(kind == "pong", "{text} is of no known type"),
                }
            }
            Message::Close(close) => {
                assert_eq!(at + 1, sent.len(), "something is sent after a close");
                assert!(close.as_ref().is_some_and(|close| close.reason.len() <= MAX_REASON && close.code >= 1000));
            }
            Message::Ping(_) | Message::Pong(_) | Message::Binary(_) => {}
        }
    }
    assert!(acknowledged <= 1, "{acknowledged} acknowledgements");
}

/// A socket whose client sends given frames, and is silent for a moment after each of them.
struct ScriptedSocket {
    frames: VecDeque<Message>,
    is_silent: bool,
    sent: Arc<Mutex<Vec<Message>>>,
}

impl Stream for ScriptedSocket {
    type Item = Result<Message, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.is_silent = !self.is_silent;
        if self.is_silent {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.frames.pop_front().map(Ok))
    }
}

impl Sink<Message> for ScriptedSocket {
    type Error = axum::Error;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), axum::Error>> {
        Poll::Ready(Ok(()))
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), axum::Error> {
        self.sent.lock().push(message);
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), axum::Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), axum::Error>> {
        Poll::Ready(Ok(()))
    }
}
