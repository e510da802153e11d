//! Connections: accepted, bounded in all and for each address, cut off when they are silent, and ended in peace.

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

use super::client::Client;
use super::lingering::LingeringBody;
use super::options::ServeOptions;
use super::per_address::{Held, PerAddress};
use super::starting::ServedRoutes;
use super::wire::{InTime, Wire};
use refuse::{Seldom, refuse};

/// Interval between two pings of an HTTP/2 connection.
const PING_INTERVAL: Duration = Duration::from_mins(1);

/// Largest number of bytes of a connection that are read and not parsed yet: a request's head must fit in. A body that is
/// refused takes twice as much until it is discarded.
const READ_BUFFER: usize = 64 << 10;

/// How long requests that are under way at a shutdown may take to their end.
const GRACE: Duration = Duration::from_secs(10);

/// How long to wait when the system has no connection to give, as when files run out.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop`, then lets requests that are under way finish; streams have so long to leave.
pub async fn run(listener: TcpListener, routes: ServedRoutes, options: ServeOptions, stop: CancellationToken) {
    let drain = options.drain;
    let server = Server::new(routes, options);
    _ = stop.run_until_cancelled(server.accept(&listener)).await;
    drop(listener);
    if tokio::time::timeout(GRACE + drain, server.graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests were not done in time; ending without them");
    }
}

/// State that all connections of a listener share.
struct Server {
    builder: Builder<TokioExecutor>,
    routes: ServedRoutes,
    options: ServeOptions,
    /// One permit for each connection that may be open.
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

    /// Accepts connections for ever.
    async fn accept(&self, listener: &TcpListener) {
        let (mut full_line, mut refused_line) = (Seldom::default(), Seldom::default());
        loop {
            let Some(permit) = self.permit(&mut full_line).await else { return };
            let (stream, address, held) = loop {
                let (stream, address) = match listener.accept().await {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(%error, "could not accept a connection");
                        sleep(PAUSE).await;
                        continue;
                    }
                };
                // A trusted proxy's connections are shared: its requests are counted, each for its client.
                if self.options.trusted_proxies.contains(address.ip()) {
                    break (stream, address, None);
                }
                match self.counts.take(address.ip()) {
                    Some(held) => break (stream, address, Some(Arc::new(held))),
                    None => refuse(&stream, address.ip(), self.counts.limit(), &mut refused_line),
                }
            };
            self.serve(stream, address, held, permit);
        }
    }

    /// Waits for room for one more connection.
    async fn permit(&self, line: &mut Seldom) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Some(permit);
        }
        metrics::counter!("sluice_connections_full_total").increment(1);
        if let Some(times) = line.due() {
            let limit = self.options.connections;
            tracing::warn!(
                limit,
                times,
                "as many connections are open as there may be (limits.connections): others wait"
            );
        }
        Arc::clone(&self.permits).acquire_owned().await.ok()
    }

    fn serve(&self, stream: TcpStream, address: SocketAddr, held: Option<Arc<Held>>, permit: OwnedSemaphorePermit) {
        // Answers are small and awaited: none of them waits for another to fill its packet.
        _ = stream.set_nodelay(true);
        let wire = Wire::new(stream);
        let client = Client {
            address: address.ip(),
            cut: CancellationToken::new(),
            wire: Some(wire.clone()),
            proxies: held.is_none().then(|| self.options.trusted_proxies.clone()),
            held: held.clone(),
            counts: self.counts.clone(),
        };
        let (left, cut) = (wire.clone(), client.cut.clone());
        let has_asked = Arc::new(AtomicBool::new(false));
        let (routes, asked) = (self.routes.clone(), Arc::clone(&has_asked));
        let service = service_fn(move |request: Request<Incoming>| {
            asked.store(true, Ordering::Relaxed);
            let (mut parts, body) = request.into_parts();
            let body = LingeringBody::new(body, parts.version, &parts.headers);
            parts.extensions.insert(client.clone());
            routes.now().call(Request::from_parts(parts, body))
        });
        let wire = TokioIo::new(InTime::new(wire, self.options.write_timeout));
        let connection = self.builder.serve_connection_with_upgrades(wire, service).into_owned();
        let connection = self.graceful.watch(connection);
        let silent = silent(self.options.head_timeout, has_asked);
        metrics::gauge!("sluice_connections").increment(1);
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
                () = silent => {
                    metrics::counter!("sluice_connections_cut_total", "reason" => "silent").increment(1);
                    tracing::debug!("cut off a connection on which no request came in time");
                }
            }
            metrics::gauge!("sluice_connections").decrement(1);
            // Sockets, and streams that have the connection for themselves, have their places among their own.
            drop((permit, held));
        });
    }
}

/// Waits until the time for the first request's head is over and none has come; otherwise for ever. Until the first bytes
/// have told the version of HTTP, no other time limit holds.
async fn silent(limit: Duration, has_asked: Arc<AtomicBool>) {
    sleep(limit).await;
    if has_asked.load(Ordering::Relaxed) {
        pending::<()>().await;
    }
}
