//! GraphQL over WebSocket: the handshake.

mod close;
mod connection;
mod message;
mod operations;

use std::sync::Arc;

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tracing::Instrument as _;

use super::problem::Problem;
use super::{ServeOptions, Sockets, authorization, origin};
use crate::auth::Readers;
use crate::graphql::Graph;
use connection::Connection;

/// The protocol of graphql-ws, see <https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>.
const PROTOCOL: &str = "graphql-transport-ws";

/// Bytes of a socket's read buffer: requests are small, and there are many sockets.
const READ_BUFFER: usize = 4 << 10;

/// What sockets need.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) graph: Graph,
    pub(super) readers: Readers,
    pub(super) sockets: Sockets,
    pub(super) options: Arc<ServeOptions>,
}

/// Answers a request for a WebSocket, and lets every other one pass.
pub(super) async fn upgrade(State(context): State<Context>, request: Request, next: Next) -> Response {
    let wants = request.headers().get(header::UPGRADE).map(header::HeaderValue::as_bytes).unwrap_or_default();
    if !wants.eq_ignore_ascii_case(b"websocket") {
        return next.run(request).await;
    }
    let (mut parts, _) = request.into_parts();
    match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => accept(context, upgrade, &parts.headers, &parts.uri).unwrap_or_else(Problem::into_response),
        Err(rejection) => rejection.into_response(),
    }
}

fn accept(context: Context, upgrade: WebSocketUpgrade, headers: &HeaderMap, uri: &Uri) -> Result<Response, Problem> {
    origin::check(headers, uri, context.readers.is_open())
        .map_err(|foreign| Problem::new(StatusCode::FORBIDDEN, foreign.code(), foreign.to_string()))?;
    let place = Arc::clone(&context.sockets.room)
        .try_acquire_owned()
        .map_err(|_| Problem::unavailable("there are as many WebSockets as there may be (limits.sockets)"))?;
    // Who is known by a header needs no `authorization` in connection_init, which browsers must use.
    let viewer = authorization::viewer(&context.readers, headers).ok();
    let token = context.sockets.tracker.token();
    let span = tracing::Span::current();
    let upgrade = upgrade
        .protocols([PROTOCOL])
        .read_buffer_size(READ_BUFFER)
        .max_message_size(context.options.query_body_bytes)
        .max_frame_size(context.options.query_body_bytes);
    Ok(upgrade.on_upgrade(move |socket| {
        async move {
            metrics::gauge!("sluice_sockets").increment(1);
            Connection::new(socket, context, viewer).run().await;
            metrics::gauge!("sluice_sockets").decrement(1);
            drop((place, token));
        }
        .instrument(span)
    }))
}
