//! Connections that read, each lent for one statement. A statement that nobody waits for any more, since its request's
//! time is over or its client is gone, is cancelled in the database, too, before its connection's place is free again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sqlx::postgres::{PgConnectOptions, PgPool, PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Connection as _, Describe, Either, Error, Execute, Executor, PgConnection, Postgres, SqlStr};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use super::{ACQUIRE_TIMEOUT, TRUSTED};

/// How long to leave a database alone that does not take connections.
const PAUSE: Duration = Duration::from_millis(100);

/// The connections. Clones are the same ones.
#[derive(Clone, Debug)]
pub(super) struct Reads {
    lending: Arc<Lending>,
    planning: Planning,
}

/// How the database plans a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Planning {
    /// Once for a connection, whatever the values.
    Once,
    /// For its values, where the database finds that worth while.
    ForValues,
}

impl Planning {
    const fn setting(self) -> &'static str {
        match self {
            Self::Once => "SET plan_cache_mode = force_generic_plan",
            Self::ForValues => "SET plan_cache_mode = auto",
        }
    }
}

#[derive(Debug)]
struct Lending {
    options: PgConnectOptions,
    room: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
    /// Where the others are told to stop.
    cancels: PgPool,
}

#[derive(Debug)]
struct Idle {
    session: Session,
    since: Instant,
}

/// A connection, and the process that serves it.
#[derive(Debug)]
struct Session {
    connection: PgConnection,
    process: i32,
    planning: Planning,
}

/// A connection that is lent. Dropped while it works, it has the database stop.
struct Lent {
    session: Option<Session>,
    /// Whether a statement is under way.
    is_at_work: bool,
    lending: Arc<Lending>,
    place: Option<OwnedSemaphorePermit>,
}

impl Reads {
    /// At most so many connections, made when they are needed. `cancels` must be another way to the same database.
    pub(super) fn new(options: PgConnectOptions, connections: u32, cancels: PgPool) -> Self {
        let room = Arc::new(Semaphore::new(usize::try_from(connections).unwrap_or(Semaphore::MAX_PERMITS)));
        // Planning a page of several partitions takes longer than to read it.
        let options = options.options([("plan_cache_mode", "force_generic_plan")]);
        let lending = Lending { options, room, idle: Mutex::default(), cancels };
        Self { lending: Arc::new(lending), planning: Planning::Once }
    }

    /// The same connections, for statements whose best plan depends on their values.
    pub(super) fn planned_for_values(&self) -> Self {
        Self { lending: Arc::clone(&self.lending), planning: Planning::ForValues }
    }

    /// Closes the connections that are idle, and lends no more.
    pub(super) async fn close(&self) {
        self.lending.room.close();
        let idle = std::mem::take(&mut *self.lending.idle.lock().unwrap_or_else(PoisonError::into_inner));
        for idle in idle {
            _ = timeout(ACQUIRE_TIMEOUT, idle.session.connection.close()).await;
        }
        self.lending.cancels.close().await;
    }

    async fn lend(&self) -> Result<Lent, Error> {
        let lent = timeout(ACQUIRE_TIMEOUT, async {
            let place = Arc::clone(&self.lending.room).acquire_owned().await.map_err(|_| Error::PoolClosed)?;
            let session = self.lending.session(self.planning).await?;
            Ok(Lent {
                session: Some(session),
                is_at_work: false,
                lending: Arc::clone(&self.lending),
                place: Some(place),
            })
        });
        lent.await.unwrap_or(Err(Error::PoolTimedOut))
    }
}

impl Session {
    /// Has it plan so from now on.
    async fn planning(mut self, planning: Planning) -> Result<Self, Error> {
        if self.planning != planning {
            sqlx::raw_sql(planning.setting()).execute(&mut self.connection).await?;
            self.planning = planning;
        }
        Ok(self)
    }
}

impl Lent {
    /// The connection, on which a statement begins.
    fn begin(&mut self) -> Result<&mut PgConnection, Error> {
        self.is_at_work = true;
        self.session.as_mut().map(|session| &mut session.connection).ok_or(Error::PoolClosed)
    }

    /// Ends the statement: what came of it.
    fn end<T>(mut self, done: Result<T, Error>) -> Result<T, Error> {
        self.is_at_work = false;
        if done.as_ref().is_err_and(breaks) {
            self.session = None;
        }
        done
    }
}

/// Whether a connection is of no more use after an error.
fn breaks(error: &Error) -> bool {
    match error {
        Error::Database(error) => error.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08")),
        Error::RowNotFound | Error::ColumnDecode { .. } | Error::Decode(_) | Error::Encode(_) => false,
        _ => true,
    }
}

impl Lending {
    /// The connection that was used last, where it still lives; else a new one.
    async fn session(&self, planning: Planning) -> Result<Session, Error> {
        while let Some(mut idle) = self.take_idle(planning) {
            let lives = idle.since.elapsed() < TRUSTED || idle.session.connection.ping().await.is_ok();
            if lives && let Ok(session) = idle.session.planning(planning).await {
                return Ok(session);
            }
        }
        loop {
            match self.connect().await {
                Err(error) if may_be_starting(&error) => sleep(PAUSE).await,
                connected => return connected?.planning(planning).await,
            }
        }
    }

    /// Takes a connection that is idle; one that plans like this, if there is one.
    fn take_idle(&self, planning: Planning) -> Option<Idle> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let alike = idle.iter().rposition(|idle| idle.session.planning == planning);
        let last = idle.len().checked_sub(1)?;
        Some(idle.remove(alike.unwrap_or(last)))
    }

    async fn connect(&self) -> Result<Session, Error> {
        let mut connection = PgConnection::connect_with(&self.options).await?;
        let process = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut connection).await?;
        Ok(Session { connection, process, planning: Planning::Once })
    }

    fn take_back(&self, session: Session) {
        if !self.room.is_closed() {
            let idle = Idle { session, since: Instant::now() };
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(idle);
        }
    }

    /// Has the database stop what a connection does, and gives the connection up.
    async fn stop(&self, session: Session) {
        let cancelled = sqlx::query("SELECT pg_cancel_backend($1)").bind(session.process).execute(&self.cancels).await;
        if let Err(error) = cancelled {
            tracing::debug!(%error, "could not cancel a statement; the database will notice");
        }
        metrics::counter!("sluice_statements_cancelled_total").increment(1);
        _ = timeout(ACQUIRE_TIMEOUT, session.connection.close()).await;
    }
}

/// Whether the database may just be starting, so that it is worth while to wait for it.
fn may_be_starting(error: &Error) -> bool {
    match error {
        Error::Io(error) => {
            matches!(error.kind(), std::io::ErrorKind::ConnectionRefused | std::io::ErrorKind::NotFound)
        }
        Error::Database(error) => error.code().is_some_and(|code| code == "57P03" || code == "53300"),
        _ => false,
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        if !self.is_at_work {
            self.lending.take_back(session);
            return;
        }
        let (lending, place) = (Arc::clone(&self.lending), self.place.take());
        // Without a runtime all ends: the database notices that the connection is gone.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                lending.stop(session).await;
                drop(place);
            });
        }
    }
}

impl<'r> Executor<'r> for &'r Reads {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, Error>>
    where
        'r: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let all = async move {
            let mut lent = self.lend().await?;
            let done = lent.begin()?.fetch_many(query).try_collect::<Vec<_>>().await;
            lent.end(done)
        };
        stream::once(all).map_ok(|all| stream::iter(all.into_iter().map(Ok))).try_flatten().boxed()
    }

    fn fetch_all<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Vec<PgRow>, Error>>
    where
        'r: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        Box::pin(async move {
            let mut lent = self.lend().await?;
            let done = lent.begin()?.fetch_all(query).await;
            lent.end(done)
        })
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, Error>>
    where
        'r: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        Box::pin(async move {
            let mut lent = self.lend().await?;
            let done = lent.begin()?.fetch_optional(query).await;
            lent.end(done)
        })
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [PgTypeInfo]) -> BoxFuture<'e, Result<PgStatement, Error>>
    where
        'r: 'e,
    {
        Box::pin(async move {
            let mut lent = self.lend().await?;
            let done = lent.begin()?.prepare_with(sql, parameters).await;
            lent.end(done)
        })
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, Error>>
    where
        'r: 'e,
    {
        Box::pin(async move {
            let mut lent = self.lend().await?;
            let done = lent.begin()?.describe(sql).await;
            lent.end(done)
        })
    }
}
