//! Connections: accepted, bounded, and ended in peace.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// How long a client may take to send a request's head, or be silent between two requests.
const HEAD_TIMEOUT: Duration = Duration::from_mins(1);

/// How long requests that are under way at a shutdown may take to their end.
const GRACE: Duration = Duration::from_secs(10);

/// How long to wait when the system has no connection to give, as when files run out.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop`, then lets requests that are under way finish.
pub async fn run(listener: TcpListener, router: Router, connections: usize, stop: CancellationToken) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(Some(HEAD_TIMEOUT)).max_concurrent_streams(100);
    let room = Arc::new(Semaphore::new(connections));
    let graceful = GracefulShutdown::new();
    let accept = async {
        loop {
            let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            // Answers are small and awaited: none of them waits for another to fill its packet.
            _ = stream.set_nodelay(true);
            let service = TowerToHyperService::new(router.clone());
            let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
            let connection = graceful.watch(connection);
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(error, "a connection ended early");
                }
                drop(place);
            });
        }
    };
    _ = stop.run_until_cancelled(accept).await;
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests were not done in time; ending without them");
    }
}
