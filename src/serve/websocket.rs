//! GraphQL over WebSocket: the handshake.

mod close;
mod connection;
mod context;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod legacy;
mod lost_upgrade;
mod message;
mod operations;
mod outlet;
mod protocol;
mod transport;
mod wake_flag;

pub(super) use context::SocketContext;

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use tracing::Instrument as _;

use super::access::RequestSender;
use super::authorization;
use super::client::RequestClient;
use super::problem::Problem;
use close::Close;
use connection::{Connection, NewConnection};
use context::UNKNOWN_BYTES;
use protocol::Protocol;

/// The size of a socket's read buffer in bytes: requests are small, and there are many sockets.
const READ_BUFFER: usize = 4 << 10;

/// Accepts a WebSocket handshake, and passes on every other request.
pub(super) async fn upgrade(State(context): State<SocketContext>, request: Request, next: Next) -> Response {
    if let Some(refusal) = lost_upgrade::refuse(&request) {
        return refusal;
    }
    let wants = request.headers().get(header::UPGRADE).map(HeaderValue::as_bytes).unwrap_or_default();
    if !wants.eq_ignore_ascii_case(b"websocket") {
        return next.run(request).await;
    }
    let (mut parts, _) = request.into_parts();
    match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => accept(context, upgrade, &parts).await.unwrap_or_else(Problem::into_response),
        Err(rejection) => rejection.into_response(),
    }
}

async fn accept(context: SocketContext, mut upgrade: WebSocketUpgrade, parts: &Parts) -> Result<Response, Problem> {
    let headers = &parts.headers;
    let RequestClient { address, wire, held, .. } = RequestClient::of(&parts.extensions);
    let permit = context.subscribers.socket(address).map_err(|refused| {
        let (status, code) = refused.status();
        Problem::new(status, code, refused.to_string())
    })?;
    // A client that a header authenticates needs no `authorization` in connection_init, which only browsers must use.
    let known = authorization::viewer_of_handshake(&context.authenticator, headers).await;
    let sender = RequestSender::of(&parts.extensions, headers);
    // An unauthenticated client's socket still counts as a connection of its address, and may send little.
    let held = held.filter(|_| known.is_err());
    let span = tracing::Span::current();
    let protocol = Protocol::chosen(headers);
    if let Some(protocol) = protocol {
        upgrade.set_selected_protocol(protocol.name());
    }
    if let Some(wire) = &wire {
        wire.share();
        if known.is_err() {
            wire.limit_reads(UNKNOWN_BYTES);
        }
    }
    let upgrade = upgrade
        .read_buffer_size(READ_BUFFER)
        .max_message_size(context.options.query_body_bytes)
        .max_frame_size(context.options.query_body_bytes);
    let subscribers = context.subscribers.clone();
    Ok(upgrade.on_upgrade(async move |socket| {
        let run = match protocol {
            Some(protocol) => {
                let new = NewConnection { socket, wire, protocol, context, sender, known, held };
                Connection::new(new).run().boxed()
            }
            None => async move { connection::close(socket, &Close::PROTOCOL).await }.boxed(),
        };
        let conversation = async move {
            metrics::gauge!("sluice_sockets").increment(1);
            run.await;
            metrics::gauge!("sluice_sockets").decrement(1);
            drop(permit);
        };
        subscribers.spawn(conversation.instrument(span));
    }))
}
