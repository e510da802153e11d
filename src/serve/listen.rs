//! Connections: accepted, bounded, and ended in peace.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::http::{Extensions, Request};
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::ServedRoutes;
use super::wire::Wire;

/// How long a client may take to send a request's head, or be silent between two requests.
const HEAD_TIMEOUT: Duration = Duration::from_mins(1);

/// How long requests that are under way at a shutdown may take to their end.
const GRACE: Duration = Duration::from_secs(10);

/// How long to wait when the system has no connection to give, as when files run out.
const PAUSE: Duration = Duration::from_millis(50);

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub(super) struct Client {
    /// Its address, or that of the proxy before it.
    pub(super) address: IpAddr,
    /// Cuts the connection off.
    pub(super) cut: CancellationToken,
    /// The connection itself; None where nobody listened for it.
    pub(super) wire: Option<Wire>,
}

impl Client {
    /// The client of a request.
    pub(super) fn of(extensions: &Extensions) -> Self {
        let nobody = || Self { address: Ipv4Addr::UNSPECIFIED.into(), cut: CancellationToken::new(), wire: None };
        extensions.get().cloned().unwrap_or_else(nobody)
    }
}

/// Serves until `stop`, then lets requests that are under way finish; streams have so long to leave.
pub async fn run(
    listener: TcpListener,
    routes: ServedRoutes,
    connections: usize,
    drain: Duration,
    stop: CancellationToken,
) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(Some(HEAD_TIMEOUT)).max_concurrent_streams(100);
    let room = Arc::new(Semaphore::new(connections));
    let graceful = GracefulShutdown::new();
    let accept = async {
        loop {
            let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
            let (stream, address) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            // Answers are small and awaited: none of them waits for another to fill its packet.
            _ = stream.set_nodelay(true);
            let wire = Wire::new(stream);
            let client = Client { address: address.ip(), cut: CancellationToken::new(), wire: Some(wire.clone()) };
            let left = wire.clone();
            let cut = client.cut.clone();
            let routes = routes.clone();
            let service = service_fn(move |mut request: Request<_>| {
                request.extensions_mut().insert(client.clone());
                routes.now().call(request)
            });
            let connection = builder.serve_connection_with_upgrades(TokioIo::new(wire), service).into_owned();
            let connection = graceful.watch(connection);
            tokio::spawn(async move {
                tokio::select! {
                    biased;
                    // Its buffers go, and it goes on without them.
                    () = left.left() => {}
                    () = cut.cancelled() => tracing::debug!("a connection was cut off"),
                    ended = connection => {
                        if let Err(error) = ended {
                            tracing::debug!(error, "a connection ended early");
                        }
                    }
                }
                // Sockets, and streams that have the connection for themselves, have their places among their own.
                drop(place);
            });
        }
    };
    _ = stop.run_until_cancelled(accept).await;
    drop(listener);
    if tokio::time::timeout(GRACE + drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests were not done in time; ending without them");
    }
}
