//! One socket, from `connection_init` to its close.

use std::ops::ControlFlow;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use serde_json::{Map, Value};
use tokio::time::{Instant, interval_at, sleep, timeout};

use super::close::Close;
use super::message::{self, ClientMessage};
use super::operations::{Happening, Operations};
use super::{Context, PROTOCOL};
use crate::auth::Viewer;
use crate::graphql::{Answer, GraphRequest};

/// How many answers are written before they are sent together.
const BATCH: usize = 64;

/// How long the client's answer to a close is waited for.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// One client's socket.
pub(super) struct Connection {
    socket: WebSocket,
    context: Context,
    /// Who asks, if the request's header told it.
    known: Option<Viewer>,
    /// Who asks, once the connection is acknowledged.
    viewer: Option<Viewer>,
    operations: Operations,
    /// Whether the client has said anything since it was last pinged.
    has_spoken: bool,
}

/// Goes on, or ends: with a close of ours, or because the client is gone.
type Flow = ControlFlow<Option<Close>>;

impl Connection {
    pub(super) fn new(socket: WebSocket, context: Context, known: Option<Viewer>) -> Self {
        Self { socket, context, known, viewer: None, operations: Operations::default(), has_spoken: true }
    }

    /// Speaks with the client until one of the two has enough.
    pub(super) async fn run(mut self) {
        let end = if self.socket.protocol().is_some_and(|protocol| protocol == PROTOCOL) {
            self.converse().await
        } else {
            Some(Close::PROTOCOL)
        };
        if let Some(close) = end {
            tracing::debug!(code = close.code, "closing a socket");
            metrics::counter!("sluice_sockets_closed_total", "code" => close.code.to_string()).increment(1);
            _ = timeout(CLOSE_PATIENCE, async {
                _ = self.socket.send(Message::Close(Some(close.frame()))).await;
                while let Some(Ok(_)) = self.socket.next().await {}
            })
            .await;
        }
    }

    async fn converse(&mut self) -> Option<Close> {
        let stop = self.context.sockets.stop.clone();
        let init_deadline = sleep(self.context.options.init_timeout);
        tokio::pin!(init_deadline);
        let period = self.context.options.ping_interval;
        let mut ping = interval_at(Instant::now() + period, period);
        loop {
            let flow = tokio::select! {
                received = self.socket.next() => self.receive(received).await,
                (id, happening) = self.operations.next() => self.tell(&id, happening).await,
                () = &mut init_deadline, if self.viewer.is_none() => Flow::Break(Some(Close::INIT_TIMEOUT)),
                _ = ping.tick(), if self.viewer.is_some() => self.ping().await,
                () = stop.cancelled() => Flow::Break(Some(Close::GOING_AWAY)),
            };
            if let Flow::Break(end) = flow {
                return end;
            }
        }
    }

    async fn receive(&mut self, received: Option<Result<Message, axum::Error>>) -> Flow {
        let text = match received {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {
                self.has_spoken = true;
                return Flow::Continue(());
            }
            Some(Ok(Message::Binary(_))) => return Flow::Break(Some(Close::invalid("Messages are text"))),
            Some(Ok(Message::Close(_))) => {
                // The answer is written already: sent, it ends the connection.
                _ = timeout(CLOSE_PATIENCE, self.socket.flush()).await;
                return Flow::Break(None);
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "a socket broke");
                return Flow::Break(None);
            }
            None => return Flow::Break(None),
        };
        self.has_spoken = true;
        match ClientMessage::read(&text) {
            Ok(ClientMessage::ConnectionInit(payload)) => self.init(&payload).await,
            Ok(ClientMessage::Ping(payload)) => self.send(message::pong(payload)).await,
            Ok(ClientMessage::Pong) => Flow::Continue(()),
            Ok(ClientMessage::Subscribe(id, request)) => self.subscribe(&id, request).await,
            Ok(ClientMessage::Complete(id)) => {
                self.operations.end(&id);
                Flow::Continue(())
            }
            Err(close) => Flow::Break(Some(close)),
        }
    }

    async fn init(&mut self, payload: &Map<String, Value>) -> Flow {
        if self.viewer.is_some() {
            return Flow::Break(Some(Close::TOO_MANY_INITS));
        }
        let given = payload.iter().find(|(key, _)| key.eq_ignore_ascii_case("authorization"));
        let viewer = match given {
            Some((_, value)) => self.context.readers.identify(value.as_str()).ok(),
            None => self.known.take().or_else(|| self.context.readers.identify(None).ok()),
        };
        let Some(viewer) = viewer else { return Flow::Break(Some(Close::FORBIDDEN)) };
        self.viewer = Some(viewer);
        self.send(message::ACK.to_owned()).await
    }

    async fn subscribe(&mut self, id: &str, request: GraphRequest) -> Flow {
        let Some(viewer) = self.viewer.clone() else { return Flow::Break(Some(Close::UNAUTHORIZED)) };
        if self.operations.contains(id) {
            return Flow::Break(Some(Close::duplicate(id)));
        }
        let most = self.context.options.operations_per_socket;
        if self.operations.len() >= most {
            let text = format!("{most} operations run on this socket already (limits.operations_per_socket)");
            return self.send(message::error(id, &Answer::refusal("TOO_MANY_OPERATIONS", text).errors)).await;
        }
        match self.context.graph.operation(request, viewer) {
            Ok(operation) => {
                self.operations.start(id, &self.context.graph, operation);
                Flow::Continue(())
            }
            Err(error) => self.send(message::error(id, &error.0.errors)).await,
        }
    }

    /// Tells what happened to an operation, and what else is ready to be told, in one go.
    async fn tell(&mut self, id: &str, happening: Happening) -> Flow {
        let mut told = self.feed(id, happening).await;
        for _ in 1..BATCH {
            if told.is_break() {
                return told;
            }
            let Some((id, happening)) = self.operations.next().now_or_never() else { break };
            told = self.feed(&id, happening).await;
        }
        if told.is_break() { told } else { self.write(Write::Flush).await }
    }

    async fn feed(&mut self, id: &str, happening: Happening) -> Flow {
        let text = match happening {
            Happening::Next(answer) => message::next(id, &answer.json),
            Happening::Error(answer) => {
                self.operations.end(id);
                message::error(id, &answer.errors)
            }
            Happening::Complete => {
                self.operations.end(id);
                message::complete(id)
            }
        };
        self.write(Write::Feed(text)).await
    }

    async fn send(&mut self, text: String) -> Flow {
        self.write(Write::Send(text)).await
    }

    /// Writes within the time that a client has to take it.
    async fn write(&mut self, what: Write) -> Flow {
        let written = async {
            match what {
                Write::Feed(text) => self.socket.feed(Message::Text(text.into())).await,
                Write::Send(text) => self.socket.send(Message::Text(text.into())).await,
                Write::Flush => self.socket.flush().await,
            }
        };
        match timeout(self.context.options.write_timeout, written).await {
            Ok(Ok(())) => Flow::Continue(()),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a socket broke");
                Flow::Break(None)
            }
            Err(_) => Flow::Break(Some(Close::TOO_SLOW)),
        }
    }

    async fn ping(&mut self) -> Flow {
        if !std::mem::take(&mut self.has_spoken) {
            return Flow::Break(Some(Close::SILENT));
        }
        self.send(message::PING.to_owned()).await
    }
}

enum Write {
    Feed(String),
    Send(String),
    Flush,
}
