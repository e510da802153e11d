//! The connector, which opens every connection to the database: always at the server of the URL that accepts writes.

mod error;
mod health;
mod parameters;
mod password_file;
mod pooler;
mod session;
mod url;

pub use error::{ConnectError, ConnectFailure, Refused};
pub(crate) use session::{Backend, Setup, TAKES_NO_WRITES};
pub(crate) use url::DatabaseUrl;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};
use tokio::time::{Instant, sleep_until, timeout};

use health::Health;
use session::ServerIdentity;

/// Time limit of an attempt to connect, over all servers of the URL, unless the URL sets `connect_timeout`. Two
/// attempts must fit into the three seconds that Okta waits for an answer.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1250);

/// Time that a server has to answer before the next one is tried beside it.
const HEAD_START: Duration = Duration::from_millis(100);

/// Time limit for closing a connection.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// A connector to the servers of the URL. Clones share one state.
#[derive(Clone)]
pub(crate) struct Connector(Arc<Inner>);

struct Inner {
    url: DatabaseUrl,
    timeout: Duration,
    /// Index of the server that accepted the last connection.
    last: AtomicUsize,
    /// True once a connection was found to keep its session: no pooler in transaction mode is in front of the database.
    keeps_sessions: AtomicBool,
    /// Identity of the server that accepted the last connection. The generation counts its changes.
    server: Mutex<Option<String>>,
    generation: AtomicU64,
    health: Health,
}

/// A connection to a server that accepts writes, with all its settings applied.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) connection: PgConnection,
    pub(crate) backend: Backend,
    /// Number of times that the connector had found the database at another server. Connections of an earlier
    /// generation are no longer used.
    pub(crate) generation: u64,
    /// Index of the server in the URL.
    host: usize,
}

impl Session {
    /// Closes the connection with a message to the server, and gives up after `CLOSE_TIMEOUT`.
    pub(crate) async fn close(self) {
        _ = timeout(CLOSE_TIMEOUT, self.connection.close()).await;
    }
}

impl Connector {
    pub(crate) fn new(url: DatabaseUrl) -> Self {
        Self(Arc::new(Inner {
            timeout: url.connect_timeout.unwrap_or(CONNECT_TIMEOUT),
            url,
            last: AtomicUsize::new(0),
            keeps_sessions: AtomicBool::new(false),
            server: Mutex::default(),
            generation: AtomicU64::new(0),
            health: Health::default(),
        }))
    }

    /// Returns the preparation of connections: the URL's settings, the common ones with this statement timeout, and
    /// `more`.
    pub(crate) fn setup(&self, timeout: Duration, more: &[(&str, &str)]) -> Setup {
        Setup::new(&self.0.url.settings, timeout, more)
    }

    /// Returns the generation of new connections.
    pub(crate) fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }

    /// Connects to the server that accepts writes. The server that accepted the last connection is tried first; the
    /// next one is tried when the one before has failed, or has not answered for `HEAD_START`.
    pub(crate) async fn connect(&self, setup: &Setup) -> Result<Session, ConnectError> {
        let connected = self.connect_to_first(setup).await;
        match &connected {
            Ok(_) => self.0.health.connected(),
            Err(error) => self.0.health.failed(error),
        }
        connected
    }

    /// Records that no connection of a pool of this size became free in time, and returns the error.
    pub(crate) fn busy(&self, connections: usize) -> ConnectError {
        let error = ConnectError::Busy(connections);
        self.0.health.busy(&error);
        error
    }

    /// Returns the name of a session's server.
    pub(crate) fn server_of(&self, session: &Session) -> String {
        self.0.url.hosts.get(session.host).map(|host| host.name.clone()).unwrap_or_default()
    }

    /// Returns the options that led to a session, for connections that sqlx opens itself.
    pub(crate) fn options_of(&self, session: &Session) -> Option<PgConnectOptions> {
        self.0.url.hosts.get(session.host).map(|host| host.options.clone())
    }

    /// Prepares a connection that sqlx has opened itself. A server that accepts no writes is an error.
    pub(crate) async fn prepare(&self, connection: &mut PgConnection, setup: &Setup) -> sqlx::Result<()> {
        let refused = |cause| ConnectError::Unreachable(vec![("the server".to_owned(), cause)]);
        setup.apply(connection).await?.map_err(refused)?;
        Ok(())
    }

    async fn connect_to_first(&self, setup: &Setup) -> Result<Session, ConnectError> {
        let (hosts, first) = (self.0.url.hosts.len(), self.0.last.load(Ordering::Relaxed));
        let mut order = (0..hosts).map(|step| (first + step) % hosts).peekable();
        let mut causes = vec![ConnectFailure::Silent(self.0.timeout); hosts];
        let mut running = FuturesUnordered::new();
        let deadline = Instant::now() + self.0.timeout;
        let mut next = Instant::now();
        loop {
            tokio::select! {
                Some((host, tried)) = running.next(), if !running.is_empty() => match tried {
                    Ok(session) => return Ok(self.accept(session)),
                    Err(cause) => {
                        if let Some(place) = causes.get_mut(host) {
                            *place = cause;
                        }
                        next = Instant::now();
                    }
                },
                () = sleep_until(next), if order.peek().is_some() => {
                    running.extend(order.next().map(|host| async move { (host, self.try_host(host, setup).await) }));
                    next = Instant::now() + HEAD_START;
                }
                () = sleep_until(deadline), if !running.is_empty() => break,
                else => break,
            }
        }
        let names = self.0.url.hosts.iter().map(|host| host.name.clone());
        Err(names.zip(causes).collect::<Vec<_>>().into())
    }

    async fn try_host(
        &self,
        host: usize,
        setup: &Setup,
    ) -> Result<(usize, PgConnection, ServerIdentity), ConnectFailure> {
        let Some(target) = self.0.url.hosts.get(host) else {
            return Err(ConnectFailure::Other("no such host".to_owned()));
        };
        let attempt = async {
            let mut connection = PgConnection::connect_with(&target.options).await?;
            if !self.0.keeps_sessions.load(Ordering::Relaxed) {
                if pooler::shares_sessions(&mut connection, &target.options).await? {
                    return Ok(Err(ConnectFailure::TransactionPooling));
                }
                self.0.keeps_sessions.store(true, Ordering::Relaxed);
            }
            Ok(setup.apply(&mut connection).await?.map(|answerer| (host, connection, answerer)))
        };
        attempt.await.unwrap_or_else(|error| Err(ConnectFailure::of(&error, &self.0.url.confidential)))
    }

    /// Makes a session of a new connection, and begins a new generation if its server differs from the last one.
    fn accept(&self, (host, connection, answerer): (usize, PgConnection, ServerIdentity)) -> Session {
        let ServerIdentity { backend, server } = answerer;
        self.0.last.store(host, Ordering::Relaxed);
        let mut known = self.0.server.lock();
        if known.as_ref() != Some(&server) {
            if known.is_some() {
                self.0.generation.fetch_add(1, Ordering::AcqRel);
                let name = self.0.url.hosts.get(host).map(|host| host.name.as_str());
                tracing::info!(server = name, "the database is at another server, or was started again");
            }
            *known = Some(server);
        }
        Session { connection, backend, generation: self.generation(), host }
    }
}

impl fmt::Debug for Connector {
    /// Omits the URL's options, which hold a password.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<_> = self.0.url.hosts.iter().map(|host| &host.name).collect();
        formatter.debug_struct("Connector").field("hosts", &hosts).field("timeout", &self.0.timeout).finish()
    }
}
