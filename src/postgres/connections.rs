//! Connection pools. A connection is taken for one statement, or until its holder releases it. When a caller stops
//! waiting for a statement, as after a timeout or when its client is gone, the statement is cancelled in the database
//! before the connection's permit is released. Connections that read are divided between credentials.

mod fair_queue;
mod first_use;
mod limits;
mod mode;
mod permits;
mod statement;

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use sqlx::{Error, PgConnection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};

pub(crate) use first_use::FirstUse;
pub use limits::ReadLimits;

use super::Credential;
use super::connect::{ConnectError, Connector, Refused, Session, Setup, TAKES_NO_WRITES};
use crate::event::StatementUsage;
use fair_queue::{Division, QueueLimits};
use mode::{Mode, PING_TIMEOUT, Planning};
use permits::{CredentialAccount, NoPermit, Permit, Permits};

/// Pause between two attempts to connect to a server that may be starting.
const CONNECT_RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Time limit of the wait for a free connection, and of the wait for a server that may be starting.
pub(crate) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest idle time of a connection that is used without a check. After a longer time the connection may be dead, or
/// its server may have become a standby.
const MAX_UNCHECKED_IDLE: Duration = Duration::from_millis(500);

/// Time that a statement may take beyond the database's own timeout, which does not fire while the database hangs.
const CLIENT_TIMEOUT_GRACE: Duration = Duration::from_secs(5);

/// The error of work that takes longer than the time limit of a statement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoAnswer;

/// A pool of connections, as one credential uses it. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionPool {
    pool: Arc<PoolState>,
    planning: Planning,
    account: Arc<CredentialAccount>,
    /// Turns of one request's statements; None where any number of them may run at once.
    turns: Option<Arc<Turns>>,
    /// The count of statements; None if they are not counted.
    usage: Option<Arc<StatementUsage>>,
}

/// Turns of the statements of one request.
#[derive(Debug)]
struct Turns {
    semaphore: Arc<Semaphore>,
    /// Reason why one of the statements was refused. The request fails as a whole, so no more of them are executed.
    refused: OnceLock<Refused>,
}

#[derive(Debug)]
struct PoolState {
    connector: Connector,
    setup: Setup,
    /// Planning of a new connection.
    planning: Planning,
    /// The check that a new connection has to pass; None for connections that only read.
    first_use: Option<FirstUse>,
    /// Time limit of a statement.
    limit: Duration,
    size: usize,
    permits: Permits,
    /// Largest number of statements of one request that are executed at once.
    request_statements: usize,
    idle: Mutex<Vec<Idle>>,
    /// Pool of the connection that cancels the statements of this pool; None where statements are not cancelled.
    cancels: Option<ConnectionPool>,
}

#[derive(Debug)]
struct Idle {
    session: Session,
    mode: Mode,
    since: Instant,
}

/// A connection taken from the pool until it is released. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct PooledConnection {
    session: Session,
    mode: Mode,
    pool: Arc<PoolState>,
    permit: HeldPermit,
}

/// Permission to use a connection. It is released only when the database has ended the statement.
#[derive(Debug)]
struct HeldPermit {
    permit: Permit,
    _turn: Option<OwnedSemaphorePermit>,
}

impl ConnectionPool {
    /// Creates a pool of connections that read, which are divided between credentials. Each is opened when it is needed.
    pub(crate) fn reading(connector: &Connector, limits: &ReadLimits, query_timeout: Duration) -> Self {
        // To plan a page over several partitions takes longer than to read it.
        let setup = connector.setup(query_timeout, &Planning::ONCE);
        let pool = PoolState::new(connector, setup, limits.connections, query_timeout + CLIENT_TIMEOUT_GRACE);
        let queue = QueueLimits {
            division: Division::ByAccount,
            size: pool.size,
            most_waiters: limits.waiting,
            most_long: limits.long_statements,
        };
        let permits = Permits::new(queue, limits.wait);
        let cancels = Some(Self::cancelling(connector));
        let request_statements = limits.request_statements;
        Self::of(PoolState { planning: Planning::Once, permits, request_statements, cancels, ..pool })
    }

    /// Creates a pool of at most `size` connections that write. Each is opened when it is needed, and passes a check before
    /// its first use.
    pub(crate) fn writing(connector: &Connector, size: u32, append_timeout: Duration, first_use: FirstUse) -> Self {
        // Plans for appends are made while the tables are still empty, and are cached: they must also suit large
        // tables.
        let lookups_by_index = [("enable_seqscan", "off"), ("enable_hashjoin", "off"), ("enable_mergejoin", "off")];
        let setup = connector.setup(append_timeout, &lookups_by_index);
        let pool = PoolState::new(connector, setup, size, append_timeout + CLIENT_TIMEOUT_GRACE);
        Self::of(PoolState { first_use: Some(first_use), cancels: Some(Self::cancelling(connector)), ..pool })
    }

    /// Creates the pool of the one connection that cancels statements of others.
    fn cancelling(connector: &Connector) -> Self {
        Self::of(PoolState::new(connector, connector.setup(ACQUIRE_TIMEOUT, &[]), 1, ACQUIRE_TIMEOUT))
    }

    fn of(pool: PoolState) -> Self {
        let account = pool.permits.account(&Credential::Gateway);
        Self { planning: pool.planning, pool: Arc::new(pool), account, turns: None, usage: None }
    }

    /// Returns the same pool, for statements whose best plan depends on their values.
    pub(crate) fn planned_for_values(&self) -> Self {
        Self { planning: Planning::ForValues, ..self.clone() }
    }

    /// Returns the same pool, for reads on behalf of a credential.
    pub(crate) fn for_credential(&self, credential: &Credential) -> Self {
        Self { account: self.pool.permits.account(credential), turns: None, ..self.clone() }
    }

    /// Returns the same pool for one request, which executes a limited number of statements at once. Its other statements
    /// wait without a time limit of their own, since the request waits for itself.
    pub(crate) fn for_request(&self) -> Self {
        let semaphore = Arc::new(Semaphore::new(self.pool.request_statements));
        Self { turns: Some(Arc::new(Turns { semaphore, refused: OnceLock::new() })), ..self.clone() }
    }

    /// Returns the same pool, whose statements are counted.
    pub(crate) fn counted(&self, usage: Arc<StatementUsage>) -> Self {
        Self { usage: Some(usage), ..self.clone() }
    }

    /// Returns the time limit of a statement.
    pub(crate) fn limit(&self) -> Duration {
        self.pool.limit
    }

    /// Waits for work on a connection of this pool, at most for the time limit of a statement.
    pub(crate) async fn with_time_limit<T, E: From<NoAnswer>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        timeout(self.limit(), work).await.unwrap_or_else(|_| Err(NoAnswer.into()))
    }

    /// Closes the idle connections, and lends no more.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
        if let Some(cancels) = &self.pool.cancels {
            cancels.pool.close().await;
        }
    }

    /// Lends a connection. A server that may be starting has `ACQUIRE_TIMEOUT` to accept one.
    pub(crate) async fn acquire(&self) -> Result<PooledConnection, Error> {
        self.acquire_until(Instant::now() + ACQUIRE_TIMEOUT).await
    }

    /// Lends a connection. Only one attempt is made to open a new one.
    pub(crate) async fn acquire_without_retry(&self) -> Result<PooledConnection, Error> {
        self.acquire_until(Instant::now()).await
    }

    async fn acquire_until(&self, deadline: Instant) -> Result<PooledConnection, Error> {
        let permit = self.permit().await?;
        let mode = Mode { planning: self.planning, is_parallel: !permit.permit.must_share() };
        let session = self.pool.session(mode, deadline).await?;
        Ok(PooledConnection { session, mode, pool: Arc::clone(&self.pool), permit })
    }

    async fn permit(&self) -> Result<HeldPermit, Error> {
        let turn = match &self.turns {
            Some(turns) => Some(turns.next().await?),
            None => None,
        };
        let refused = match self.pool.permits.acquire(&self.account).await {
            Ok(permit) => return Ok(HeldPermit { permit, _turn: turn }),
            Err(NoPermit::Closed) => return Err(Error::PoolClosed),
            Err(_) if !self.pool.permits.are_divided() => return Err(self.pool.connector.busy(self.pool.size).into()),
            Err(NoPermit::TimedOut(waited)) => Refused::Waited(waited),
            Err(NoPermit::QueueFull(waiting)) => Refused::QueueFull(waiting),
        };
        if let Some(turns) = &self.turns {
            turns.end(refused);
        }
        Err(ConnectError::Refused(refused).into())
    }
}

impl Turns {
    async fn next(&self) -> Result<OwnedSemaphorePermit, Error> {
        let refused = || self.refused.get().map_or(Error::PoolClosed, |refused| ConnectError::Refused(*refused).into());
        Arc::clone(&self.semaphore).acquire_owned().await.map_err(|_| refused())
    }

    /// Refuses the statements that have not begun.
    fn end(&self, refused: Refused) {
        _ = self.refused.set(refused);
        self.semaphore.close();
    }
}

impl PooledConnection {
    /// Returns true while no later connection has found the database at another server.
    pub(crate) fn is_current(&self) -> bool {
        self.session.generation == self.pool.connector.generation()
    }

    /// Gives the connection back to its pool. No statement and no transaction may be open on it.
    pub(crate) fn release(self) {
        let Self { session, mode, pool, permit } = self;
        pool.put_idle(session, mode);
        drop(permit);
    }
}

impl Deref for PooledConnection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.session.connection
    }
}

impl DerefMut for PooledConnection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.session.connection
    }
}

impl PoolState {
    fn new(connector: &Connector, setup: Setup, size: u32, limit: Duration) -> Self {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let queue = QueueLimits { division: Division::None, size, most_waiters: usize::MAX, most_long: size };
        Self {
            connector: connector.clone(),
            setup,
            planning: Planning::ForValues,
            first_use: None,
            limit,
            size,
            permits: Permits::new(queue, ACQUIRE_TIMEOUT),
            request_statements: size,
            idle: Mutex::default(),
            cancels: None,
        }
    }

    /// Returns an idle connection that is usable, else a new one.
    async fn session(&self, mode: Mode, deadline: Instant) -> Result<Session, Error> {
        while let Some(mut idle) = self.take_idle(mode) {
            let lives = idle.since.elapsed() < MAX_UNCHECKED_IDLE || self.is_usable(&mut idle.session.connection).await;
            if lives && mode.change(&mut idle.session, idle.mode).await.is_ok() {
                return Ok(idle.session);
            }
        }
        loop {
            match self.connector.connect(&self.setup).await {
                Ok(session) => return self.begin(session, mode).await,
                Err(error) if error.may_be_starting() && Instant::now() < deadline => sleep(CONNECT_RETRY_PAUSE).await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Prepares a new connection for its first use.
    async fn begin(&self, mut session: Session, mode: Mode) -> Result<Session, Error> {
        if let Some(first_use) = &self.first_use {
            let checked = timeout(ACQUIRE_TIMEOUT, first_use.check(&mut session.connection)).await;
            checked.map_err(|_| Error::Io(std::io::ErrorKind::TimedOut.into()))??;
        }
        mode.change(&mut session, Mode { planning: self.planning, is_parallel: true }).await?;
        Ok(session)
    }

    /// Takes an idle connection, in the wanted mode if there is one. Connections of an earlier generation are
    /// closed.
    fn take_idle(&self, mode: Mode) -> Option<Idle> {
        let generation = self.connector.generation();
        let mut idle = self.idle.lock();
        idle.retain(|idle| idle.session.generation == generation);
        let alike = idle.iter().rposition(|idle| idle.mode == mode);
        let last = idle.len().checked_sub(1)?;
        Some(idle.remove(alike.unwrap_or(last)))
    }

    /// Returns true if a connection is alive and its server accepts writes. If the server does not answer in time, all idle
    /// connections are closed, so that the wait is not repeated for each of them.
    async fn is_usable(&self, connection: &mut PgConnection) -> bool {
        let asked = sqlx::raw_sql(TAKES_NO_WRITES).fetch_all(connection);
        match timeout(PING_TIMEOUT, asked).await {
            Ok(Ok(rows)) if rows.is_empty() => true,
            Ok(Ok(_)) => {
                metrics::counter!("sluice_standbys_refused_total").increment(1);
                false
            }
            Ok(Err(_)) => false,
            Err(_) => {
                self.idle.lock().clear();
                false
            }
        }
    }

    fn put_idle(&self, session: Session, mode: Mode) {
        if !self.permits.is_closed() && session.generation == self.connector.generation() {
            let idle = Idle { session, mode, since: Instant::now() };
            self.idle.lock().push(idle);
        }
    }

    /// Cancels the statement that a connection is executing, and closes the connection.
    async fn stop(&self, session: Session) {
        let generation = session.generation;
        // The process id belongs to another client's backend at another server.
        if let Some(cancels) = self.cancels.as_ref().filter(|_| generation == self.connector.generation()) {
            let cancelled = async {
                let mut cancel = cancels.acquire().await?;
                if cancel.is_current() && cancel.session.generation == generation {
                    let sql = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity \
                               WHERE pid = $1 AND extract(epoch FROM backend_start)::text = $2";
                    let query = sqlx::query(sql).bind(session.backend.process).bind(&session.backend.started);
                    query.execute(&mut *cancel).await?;
                    cancel.release();
                }
                Ok::<_, Error>(())
            };
            match timeout(ACQUIRE_TIMEOUT * 2, cancelled).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "could not cancel a statement; the database will notice"),
                Err(_) => tracing::debug!("could not cancel a statement in time; the database will notice"),
            }
        }
        metrics::counter!("sluice_statements_cancelled_total").increment(1);
        session.close().await;
    }

    async fn close(&self) {
        self.permits.close();
        let idle = std::mem::take(&mut *self.idle.lock());
        for idle in idle {
            idle.session.close().await;
        }
    }
}
