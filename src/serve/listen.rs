//! The connections of a listener: accepting, limits in total and for each address, closing of silent ones, and graceful
//! shutdown.

mod refuse;

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::http::Request;
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::client::RequestClient;
use super::lingering::LingeringBody;
use super::options::ServeOptions;
use super::per_address::{AddressPermit, PerAddress};
use super::starting::ServedRoutes;
use super::wire::{Wire, WriteTimeout};
use refuse::{RateLimitedLog, refuse};

/// The interval between two pings of an HTTP/2 connection.
const PING_INTERVAL: Duration = Duration::from_mins(1);

/// The size of a connection's read buffer, which must hold a request's head. A refused body takes twice as much until
/// it is discarded.
const READ_BUFFER: usize = 64 << 10;

/// The time for running requests to finish at a shutdown.
const GRACE: Duration = Duration::from_secs(10);

/// The pause after the system could not accept a connection, for example because files ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop`, then lets running requests finish. Streams have the time to drain in addition.
pub async fn run(listener: TcpListener, routes: ServedRoutes, options: ServeOptions, stop: CancellationToken) {
    let drain = options.drain;
    let server = Server::new(routes, options);
    _ = stop.run_until_cancelled(server.accept(&listener)).await;
    drop(listener);
    if tokio::time::timeout(GRACE + drain, server.graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish in time; ending without them");
    }
}

/// The state that all connections of a listener share.
struct Server {
    builder: Builder<TokioExecutor>,
    routes: ServedRoutes,
    options: ServeOptions,
    /// The permits, one for each connection that may be open.
    permits: Arc<Semaphore>,
    counts: PerAddress,
    graceful: GracefulShutdown,
}

impl Server {
    fn new(routes: ServedRoutes, options: ServeOptions) -> Self {
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(options.head_timeout).max_buf_size(READ_BUFFER);
        builder.http2().timer(TokioTimer::new()).keep_alive_interval(Some(PING_INTERVAL)).max_concurrent_streams(100);
        Self {
            builder,
            routes,
            permits: Arc::new(Semaphore::new(options.connections)),
            counts: PerAddress::new(options.connections_per_address),
            graceful: GracefulShutdown::new(),
            options,
        }
    }

    /// Accepts connections in an endless loop.
    async fn accept(&self, listener: &TcpListener) {
        let (mut full_log, mut refused_log) = (RateLimitedLog::default(), RateLimitedLog::default());
        loop {
            let Some(permit) = self.permit(&mut full_log).await else { return };
            let (stream, address, held) = loop {
                let (stream, address) = match listener.accept().await {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(%error, "could not accept a connection");
                        sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                };
                // A trusted proxy's connections are not counted: its requests are, each for its client.
                if self.options.trusted_proxies.contains(address.ip()) {
                    break (stream, address, None);
                }
                match self.counts.take(address.ip()) {
                    Some(held) => break (stream, address, Some(Arc::new(held))),
                    None => refuse(&stream, address.ip(), self.counts.limit(), &mut refused_log),
                }
            };
            self.serve(stream, address, held, permit);
        }
    }

    /// Waits for the permit of one more connection.
    async fn permit(&self, log: &mut RateLimitedLog) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Some(permit);
        }
        metrics::counter!("sluice_connections_full_total").increment(1);
        if let Some(times) = log.due() {
            let limit = self.options.connections;
            tracing::warn!(limit, times, "the limit of open connections is reached (limits.connections): others wait");
        }
        Arc::clone(&self.permits).acquire_owned().await.ok()
    }

    fn serve(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        held: Option<Arc<AddressPermit>>,
        permit: OwnedSemaphorePermit,
    ) {
        // Responses are small, so they are sent at once and not collected into larger packets.
        _ = stream.set_nodelay(true);
        let wire = Wire::new(stream);
        let client = RequestClient {
            address: address.ip(),
            close: CancellationToken::new(),
            wire: Some(wire.clone()),
            proxies: held.is_none().then(|| self.options.trusted_proxies.clone()),
            held: held.clone(),
            counts: self.counts.clone(),
        };
        let (left, close) = (wire.clone(), client.close.clone());
        let has_requests = Arc::new(AtomicBool::new(false));
        let (routes, requested) = (self.routes.clone(), Arc::clone(&has_requests));
        let service = service_fn(move |request: Request<Incoming>| {
            requested.store(true, Ordering::Relaxed);
            let (mut parts, body) = request.into_parts();
            let body = LingeringBody::new(body, parts.version, &parts.headers);
            parts.extensions.insert(client.clone());
            routes.now().call(Request::from_parts(parts, body))
        });
        let wire = TokioIo::new(WriteTimeout::new(wire, self.options.write_timeout));
        let connection = self.builder.serve_connection_with_upgrades(wire, service).into_owned();
        let connection = self.graceful.watch(connection);
        let silent = silent(self.options.head_timeout, has_requests);
        metrics::gauge!("sluice_connections").increment(1);
        tokio::spawn(async move {
            tokio::select! {
                biased;
                // A stream has taken over the connection, so HTTP's buffers are freed.
                () = left.left() => {}
                () = close.cancelled() => tracing::debug!("a connection was closed early"),
                ended = connection => {
                    if let Err(error) = ended {
                        tracing::debug!(error, "a connection ended early");
                    }
                }
                () = silent => {
                    metrics::counter!("sluice_connections_cut_total", "reason" => "silent").increment(1);
                    tracing::debug!("closed a connection on which no request arrived in time");
                }
            }
            metrics::gauge!("sluice_connections").decrement(1);
            // WebSockets, and streams that have taken over their connections, have permits of their own.
            drop((permit, held));
        });
    }
}

/// Waits until the time limit for the first request's head is over without a request; otherwise for ever. No other time
/// limit holds before the first bytes have shown the version of HTTP.
async fn silent(limit: Duration, has_requests: Arc<AtomicBool>) {
    sleep(limit).await;
    if has_requests.load(Ordering::Relaxed) {
        pending::<()>().await;
    }
}
