//! The connection of one socket, from `connection_init` to its close.

mod authentication;

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::extract::ws::Message;
use bytes::Bytes;
use futures_util::future::{BoxFuture, pending, poll_immediate};
use futures_util::{FutureExt as _, Sink, SinkExt as _, Stream, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt};
use tokio::time::{Instant, interval_at, sleep, timeout};

use super::super::access::{self, OperationAccess, RequestSender};
use super::super::authorization;
use super::super::operation_events::OperationEvent;
use super::super::per_address::AddressPermit;
use super::super::wire::Wire;
use super::close::Close;
use super::context::{SocketContext, UNKNOWN_BYTES};
use super::message::ClientMessage;
use super::operations::Operations;
use super::outlet::SocketOutlet;
use super::protocol::Protocol;
use super::wake_flag::WakeFlag;
use crate::auth::{AcceptedCredentials, Denied, RightsEnd, Viewer};
use crate::graphql::{Answer, GraphRequest};

/// The maximum wait for the client's response to a close.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// The maximum wait for a client that reads too slowly, which must read everything sent before it sees the close.
const SLOW_PATIENCE: Duration = Duration::from_secs(5);

/// The number of bytes that are still read from a client that sent too much, so that it receives the reason for the
/// close.
const DISCARDED: u64 = 1 << 20;

/// The next event on a socket.
enum SocketInput {
    Received(Option<Result<Message, axum::Error>>),
    Event(Arc<str>, OperationEvent),
    Ping,
    InitTimeout,
    Dismissed,
    RightsEnd(RightsEnd),
}

/// A socket, which brings and takes whole messages: axum's `WebSocket`, and the one of the fuzzer, which has no network.
pub(super) trait MessageSocket:
    Stream<Item = Result<Message, axum::Error>> + Sink<Message, Error = axum::Error> + Send + Unpin
{
}

impl<S> MessageSocket for S where
    S: Stream<Item = Result<Message, axum::Error>> + Sink<Message, Error = axum::Error> + Send + Unpin
{
}

/// The connection of one client's socket.
pub(super) struct Connection<S> {
    socket: S,
    /// The underlying connection, if workers can send events on it without waking this task.
    wire: Option<Wire>,
    protocol: Protocol,
    context: SocketContext,
    sender: RequestSender,
    /// The viewer that a header of the request authenticated, or the reason why none did.
    known: Result<Viewer, Denied>,
    /// The permit of the client's address, until the client is authenticated.
    held: Option<Arc<AddressPermit>>,
    /// The viewer, once the connection is acknowledged.
    viewer: Option<Viewer>,
    /// The end of the viewer's rights.
    rights_end: BoxFuture<'static, RightsEnd>,
    operations: Operations,
    /// True if the client has sent anything since the last ping.
    has_spoken: bool,
}

/// The decision to continue or to end the socket: with a close, or without one if the client is gone.
type Flow = ControlFlow<Option<Close>>;

/// The parts of a new connection.
pub(super) struct NewConnection<S> {
    pub(super) socket: S,
    pub(super) wire: Option<Wire>,
    pub(super) protocol: Protocol,
    pub(super) context: SocketContext,
    pub(super) sender: RequestSender,
    /// The viewer that a header of the request authenticated, or the reason why none did.
    pub(super) known: Result<Viewer, Denied>,
    /// The permit of the client's address; None if the client is authenticated.
    pub(super) held: Option<Arc<AddressPermit>>,
}

impl<S: MessageSocket> Connection<S> {
    /// Creates a connection. Its box keeps the task small that runs it.
    pub(super) fn new(new: NewConnection<S>) -> Box<Self> {
        let NewConnection { socket, wire, protocol, context, sender, known, held } = new;
        let operations = Operations::default();
        Box::new(Self {
            socket,
            wire,
            protocol,
            context,
            sender,
            known,
            held,
            viewer: None,
            rights_end: pending().boxed(),
            operations,
            has_spoken: true,
        })
    }

    /// Runs the protocol until the client or the gateway ends the connection.
    pub(super) async fn run(mut self: Box<Self>) {
        if let Some(reason) = self.converse().await {
            let Self { socket, wire, operations, .. } = *self;
            // The operations end first, so that none of them sends anything while the socket is closed.
            drop(operations);
            Box::pin(close(socket, &reason)).await;
            if let Some(wire) = wire.filter(Wire::is_over_limit) {
                wire.lift_limit();
                let mut discarded = wire.take(DISCARDED);
                _ = timeout(CLOSE_PATIENCE, tokio::io::copy(&mut discarded, &mut tokio::io::sink())).await;
            }
        }
    }

    async fn converse(&mut self) -> Option<Close> {
        let subscribers = self.context.subscribers.clone();
        let dismissed = subscribers.dismissed();
        tokio::pin!(dismissed);
        let init_deadline = sleep(self.context.options.init_timeout);
        tokio::pin!(init_deadline);
        let period = self.context.options.ping_interval;
        let mut ping = interval_at(Instant::now() + period, period);
        let others = WakeFlag::default();
        loop {
            let next = poll_fn(|context| {
                // Events of operations come last, so that a socket with many of them still reads its client's messages.
                let other = others.poll(context, |context| {
                    if dismissed.as_mut().poll(context).is_ready() {
                        return Poll::Ready(SocketInput::Dismissed);
                    }
                    if self.viewer.is_none() && init_deadline.as_mut().poll(context).is_ready() {
                        return Poll::Ready(SocketInput::InitTimeout);
                    }
                    if self.viewer.is_some() && ping.poll_tick(context).is_ready() {
                        return Poll::Ready(SocketInput::Ping);
                    }
                    if let Poll::Ready(end) = self.rights_end.poll_unpin(context) {
                        return Poll::Ready(SocketInput::RightsEnd(end));
                    }
                    self.socket.poll_next_unpin(context).map(SocketInput::Received)
                });
                match other {
                    Poll::Ready(next) => Poll::Ready(next),
                    Poll::Pending => self.operations.poll(context).map(|(id, event)| SocketInput::Event(id, event)),
                }
            });
            let flow = match next.await {
                SocketInput::Dismissed => Flow::Break(Some(Close::RESTARTING)),
                SocketInput::InitTimeout => Flow::Break(Some(Close::INIT_TIMEOUT)),
                SocketInput::RightsEnd(end) => {
                    self.sender.rights_ended(authorization::of_rights_end(end).0);
                    Flow::Break(Some(Close::of_rights_end(end)))
                }
                SocketInput::Ping => self.ping().await,
                // Boxed, since these futures are large and soon done, while there are many connections that last long.
                SocketInput::Received(received) => Box::pin(self.receive(received)).await,
                SocketInput::Event(id, event) => Box::pin(self.send_event(&id, event)).await,
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
                // The operations end first, so that nothing is sent after the response, which is written already.
                self.operations = Operations::default();
                let answered = async {
                    _ = self.socket.flush().await;
                    // The flush of the socket ends when the wire has the answer, and the wire may still have to send it.
                    if let Some(wire) = &mut self.wire {
                        _ = AsyncWriteExt::flush(wire).await;
                    }
                };
                _ = timeout(CLOSE_PATIENCE, answered).await;
                return Flow::Break(None);
            }
            Some(Err(_)) if self.wire.as_ref().is_some_and(Wire::is_over_limit) => {
                return Flow::Break(Some(Close::too_much_before_init(UNKNOWN_BYTES)));
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "a socket broke");
                return Flow::Break(None);
            }
            None => return Flow::Break(None),
        };
        self.has_spoken = true;
        let said = match self.protocol.read(&text) {
            Ok(said) => said,
            Err(fault) => return self.complain(fault).await,
        };
        match said {
            ClientMessage::ConnectionInit(payload) => self.init(&payload).await,
            ClientMessage::Ping(payload) => self.answer_ping(&payload).await,
            ClientMessage::Pong => Flow::Continue(()),
            ClientMessage::Subscribe(id, request) => self.subscribe(&id, request).await,
            ClientMessage::Complete(id) => {
                let has_run = self.operations.end(&id);
                match self.protocol.stopped(&id).filter(|_| has_run) {
                    Some(confirmed) => self.send(confirmed).await,
                    // The operation's outlet may have sent a part of an event.
                    None => self.write(Write::Flush).await,
                }
            }
            ClientMessage::Terminate => Flow::Break(Some(Close::TERMINATED)),
        }
    }

    async fn complain(&mut self, fault: Close) -> Flow {
        match self.protocol.complaint(&fault) {
            Some(complaint) => self.send(complaint).await,
            None => Flow::Break(Some(fault)),
        }
    }

    async fn subscribe(&mut self, id: &str, request: GraphRequest) -> Flow {
        let Some(viewer) = self.viewer.clone() else {
            access::denied(&self.sender, &Denied::NoToken(AcceptedCredentials::default()));
            return Flow::Break(Some(Close::UNAUTHORIZED));
        };
        if self.operations.contains(id) {
            return Flow::Break(Some(Close::duplicate(id)));
        }
        let mut access = OperationAccess::begin(&request, &viewer, &self.sender);
        let most = self.context.options.operations_per_socket;
        if self.operations.len() >= most {
            access.refused("TOO_MANY_OPERATIONS");
            let text = format!("{most} operations run on this socket already (limits.operations_per_socket)");
            return self.send(self.protocol.error(id, &Answer::refusal("TOO_MANY_OPERATIONS", text).errors)).await;
        }
        match self.context.graph.operation(request, viewer) {
            Ok(mut operation) => {
                access.found(&mut operation);
                if let Some(wire) = &self.wire {
                    operation.send_through(Arc::new(SocketOutlet::new(wire.clone(), self.protocol, id)));
                }
                self.operations.start(id, &self.context.graph, operation, access);
                Flow::Continue(())
            }
            Err(error) => {
                access.answered(&error.0);
                self.send(self.protocol.error(id, &error.0.errors)).await
            }
        }
    }

    /// Sends an operation's event. Everything is sent before the next event is awaited, since an outlet may send that
    /// event.
    async fn send_event(&mut self, id: &str, event: OperationEvent) -> Flow {
        if let gone @ Flow::Break(_) = self.write_event(id, event).await {
            return gone;
        }
        let flow = self.write(Write::Flush).await;
        if flow.is_continue() {
            self.operations.sent(id);
        }
        flow
    }

    /// Writes an operation's event to the socket's buffer.
    async fn write_event(&mut self, id: &str, event: OperationEvent) -> Flow {
        let text = match event {
            OperationEvent::Started(progress) => {
                self.operations.started(id, progress);
                return Flow::Continue(());
            }
            OperationEvent::Next(answers) => {
                for answer in answers {
                    if let gone @ Flow::Break(_) = self.feed(self.protocol.next(id, &answer.json)).await {
                        return gone;
                    }
                }
                return Flow::Continue(());
            }
            OperationEvent::Error(answer) => {
                self.operations.end(id);
                self.protocol.error(id, &answer.errors)
            }
            OperationEvent::Complete => {
                self.operations.end(id);
                self.protocol.complete(id)
            }
        };
        self.feed(text).await
    }

    async fn feed(&mut self, text: String) -> Flow {
        self.write(Write::Feed(Message::Text(text.into()))).await
    }

    async fn send(&mut self, text: String) -> Flow {
        self.write(Write::Send(Message::Text(text.into()))).await
    }

    /// Writes within the write timeout. A client that reads nothing for that long is disconnected (backpressure).
    async fn write(&mut self, what: Write) -> Flow {
        let written = async {
            match what {
                Write::Feed(message) => self.socket.feed(message).await,
                Write::Send(message) => self.socket.send(message).await,
                Write::Flush => self.socket.flush().await,
            }
        };
        tokio::pin!(written);
        // Most writes complete at once and need no timer.
        let done = match poll_immediate(&mut written).await {
            Some(done) => Ok(done),
            None => timeout(self.context.options.write_timeout, written).await,
        };
        match done {
            Ok(Ok(())) => Flow::Continue(()),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a socket broke");
                Flow::Break(None)
            }
            Err(_) => Flow::Break(Some(Close::TOO_SLOW)),
        }
    }

    /// Checks that the client is alive, and reports the progress of its subscriptions: in payloads without events, since most
    /// clients do not show pings, and in a ping.
    async fn ping(&mut self) -> Flow {
        if !std::mem::take(&mut self.has_spoken) {
            return Flow::Break(Some(Close::SILENT));
        }
        let progress = self.operations.progress();
        for (id, payload) in &progress.payloads {
            if let gone @ Flow::Break(_) = self.feed(self.protocol.next(id, &payload.text)).await {
                return gone;
            }
        }
        let heartbeat = self.protocol.heartbeat(&progress);
        if !self.protocol.is_heartbeat_answered()
            && let gone @ Flow::Break(_) = self.write(Write::Feed(Message::Ping(Bytes::new()))).await
        {
            return gone;
        }
        self.send(heartbeat).await
    }
}

/// Closes a socket, and waits a moment for the client's response.
pub(super) async fn close(mut socket: impl MessageSocket, reason: &Close) {
    tracing::debug!(code = reason.code, "closing a socket");
    metrics::counter!("sluice_sockets_closed_total", "code" => reason.code.to_string()).increment(1);
    let patience = if *reason == Close::TOO_SLOW { SLOW_PATIENCE } else { CLOSE_PATIENCE };
    _ = timeout(patience, async {
        _ = socket.send(Message::Close(Some(reason.frame()))).await;
        while let Some(Ok(_)) = socket.next().await {}
    })
    .await;
}

enum Write {
    Feed(Message),
    Send(Message),
    Flush,
}
