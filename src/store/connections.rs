//! Sets of connections, of which each is lent for one statement or for as long as somebody keeps it. A statement that nobody
//! waits for any more, since its request's time is over or its client is gone, is cancelled in the database, too, before its
//! connection's place is free again.

mod statement;

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::{Error, PgConnection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};

use super::connect::{Connector, Session, Setup, TAKES_NO_WRITES};
use super::era_check::{Memory, check_era};

/// How long to leave a database alone that does not take connections.
const PAUSE: Duration = Duration::from_millis(100);

/// How long to wait for a connection that is free, and for a database that may be starting.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a connection may have been idle to be used without asking whether it still lives and leads to a server that
/// takes writes: after the database was away for longer, nobody gets a dead one.
const TRUSTED: Duration = Duration::from_millis(500);

/// How much longer than the database's own time-out a statement may take here: where the database stands still, its own does
/// not come.
const LIMIT_GRACE: Duration = Duration::from_secs(5);

/// How long the answer to that may take.
const PING_TIMEOUT: Duration = Duration::from_millis(700);

/// A set of connections. Clones are the same one.
#[derive(Clone, Debug)]
pub(super) struct Connections {
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
    connector: Connector,
    setup: Setup,
    /// How a new connection plans.
    planning: Planning,
    /// What each new connection checks the log's era with, where it is to write.
    memory: Option<Memory>,
    /// How long a statement may take.
    limit: Duration,
    size: usize,
    room: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
    /// Where the others are told to stop.
    cancels: Option<Connections>,
}

#[derive(Debug)]
struct Idle {
    session: Session,
    planning: Planning,
    since: Instant,
}

/// A connection that is lent until it is given back. Dropped, it is closed.
#[derive(Debug)]
pub(super) struct LentConnection {
    session: Session,
    planning: Planning,
    lending: Arc<Lending>,
    place: OwnedSemaphorePermit,
}

impl Connections {
    /// At most so many connections that read, made when they are needed.
    pub(super) fn reading(connector: &Connector, size: u32, query_timeout: Duration) -> Self {
        // Planning a page of several partitions takes longer than to read it.
        let setup = connector.setup(query_timeout, &[("plan_cache_mode", "force_generic_plan")]);
        let lending = Lending::new(connector, setup, size, query_timeout + LIMIT_GRACE);
        Self::of(Lending { planning: Planning::Once, cancels: Some(Self::cancelling(connector)), ..lending })
    }

    /// At most so many connections that write, made when they are needed. Each checks the log's era before it is used.
    pub(super) fn writing(connector: &Connector, size: u32, append_timeout: Duration, memory: Memory) -> Self {
        // Plans for appends are made while the tables are still empty, and kept: they must suit tables that are not.
        let lookups_by_index = [("enable_seqscan", "off"), ("enable_hashjoin", "off"), ("enable_mergejoin", "off")];
        let setup = connector.setup(append_timeout, &lookups_by_index);
        let lending = Lending::new(connector, setup, size, append_timeout + LIMIT_GRACE);
        Self::of(Lending { memory: Some(memory), cancels: Some(Self::cancelling(connector)), ..lending })
    }

    /// The connection on which others are told to stop.
    fn cancelling(connector: &Connector) -> Self {
        Self::of(Lending::new(connector, connector.setup(ACQUIRE_TIMEOUT, &[]), 1, ACQUIRE_TIMEOUT))
    }

    fn of(lending: Lending) -> Self {
        Self { planning: lending.planning, lending: Arc::new(lending) }
    }

    /// The same connections, for statements whose best plan depends on their values.
    pub(super) fn planned_for_values(&self) -> Self {
        Self { lending: Arc::clone(&self.lending), planning: Planning::ForValues }
    }

    /// How long a statement may take.
    pub(super) fn limit(&self) -> Duration {
        self.lending.limit
    }

    /// Closes the connections that are idle, and lends no more.
    pub(super) async fn close(&self) {
        self.lending.close().await;
        if let Some(cancels) = &self.lending.cancels {
            cancels.lending.close().await;
        }
    }

    /// Lends a connection; waits for a moment for a database that may be starting.
    pub(super) async fn lend(&self) -> Result<LentConnection, Error> {
        self.lend_until(Instant::now() + ACQUIRE_TIMEOUT).await
    }

    /// Lends a connection, or fails with the first attempt to connect.
    pub(super) async fn lend_at_once(&self) -> Result<LentConnection, Error> {
        self.lend_until(Instant::now()).await
    }

    async fn lend_until(&self, deadline: Instant) -> Result<LentConnection, Error> {
        let room = Arc::clone(&self.lending.room);
        let place = match Arc::clone(&room).try_acquire_owned() {
            Ok(place) => place,
            Err(_) => match timeout(ACQUIRE_TIMEOUT, room.acquire_owned()).await {
                Ok(place) => place.map_err(|_| Error::PoolClosed)?,
                Err(_) => return Err(self.lending.connector.busy(self.lending.size).into()),
            },
        };
        let (session, planning) = self.lending.session(self.planning, deadline).await?;
        Ok(LentConnection { session, planning, lending: Arc::clone(&self.lending), place })
    }
}

impl LentConnection {
    /// True while no connection has found the database at another server since this one was made.
    pub(super) fn is_current(&self) -> bool {
        self.session.generation == self.lending.connector.generation()
    }

    /// Gives the connection back to its set: nothing is under way on it, no transaction is open.
    pub(super) fn give_back(self) {
        let Self { session, planning, lending, place } = self;
        lending.take_back(session, planning);
        drop(place);
    }
}

impl Deref for LentConnection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.session.connection
    }
}

impl DerefMut for LentConnection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.session.connection
    }
}

impl Lending {
    fn new(connector: &Connector, setup: Setup, size: u32, limit: Duration) -> Self {
        let size = usize::try_from(size).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            connector: connector.clone(),
            setup,
            planning: Planning::ForValues,
            memory: None,
            limit,
            size,
            room: Arc::new(Semaphore::new(size)),
            idle: Mutex::default(),
            cancels: None,
        }
    }

    /// The connection that was used last, where it still lives; else a new one.
    async fn session(&self, planning: Planning, deadline: Instant) -> Result<(Session, Planning), Error> {
        while let Some(mut idle) = self.take_idle(planning) {
            let lives = idle.since.elapsed() < TRUSTED || self.is_usable(&mut idle.session.connection).await;
            if lives && replan(&mut idle.session, idle.planning, planning).await.is_ok() {
                return Ok((idle.session, planning));
            }
        }
        loop {
            match self.connector.connect(&self.setup).await {
                Ok(session) => return self.begin(session, planning).await,
                Err(error) if error.may_be_starting() && Instant::now() < deadline => sleep(PAUSE).await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Makes a new connection ready for its first use.
    async fn begin(&self, mut session: Session, planning: Planning) -> Result<(Session, Planning), Error> {
        if let Some(memory) = &self.memory {
            let checked = timeout(ACQUIRE_TIMEOUT, check_era(&mut session.connection, memory)).await;
            checked.map_err(|_| Error::Io(std::io::ErrorKind::TimedOut.into()))??;
        }
        replan(&mut session, self.planning, planning).await?;
        Ok((session, planning))
    }

    /// Takes a connection that is idle; one that plans like this, if there is one. What is connected to another server than
    /// the newest connections is closed.
    fn take_idle(&self, planning: Planning) -> Option<Idle> {
        let generation = self.connector.generation();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|idle| idle.session.generation == generation);
        let alike = idle.iter().rposition(|idle| idle.planning == planning);
        let last = idle.len().checked_sub(1)?;
        Some(idle.remove(alike.unwrap_or(last)))
    }

    /// True where a connection lives and its server takes writes. A server that does not answer in time does not answer on
    /// the other connections, either: they are given up, so that the wait for it is not repeated for each.
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
                self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
                false
            }
        }
    }

    fn take_back(&self, session: Session, planning: Planning) {
        if !self.room.is_closed() && session.generation == self.connector.generation() {
            let idle = Idle { session, planning, since: Instant::now() };
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(idle);
        }
    }

    /// Has the database stop what a connection does, and gives the connection up.
    async fn stop(&self, session: Session) {
        let generation = session.generation;
        // At another server the same number is somebody else's process.
        if let Some(cancels) = self.cancels.as_ref().filter(|_| generation == self.connector.generation()) {
            let cancelled = async {
                let mut cancel = cancels.lend().await?;
                if cancel.is_current() && cancel.session.generation == generation {
                    let sql = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity \
                               WHERE pid = $1 AND extract(epoch FROM backend_start)::text = $2";
                    let query = sqlx::query(sql).bind(session.backend.process).bind(&session.backend.started);
                    query.execute(&mut *cancel).await?;
                    cancel.give_back();
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
        self.room.close();
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        for idle in idle {
            idle.session.close().await;
        }
    }
}

/// Has a connection plan as its next user wants it.
async fn replan(session: &mut Session, now: Planning, wanted: Planning) -> Result<(), Error> {
    if now != wanted {
        let set = sqlx::raw_sql(wanted.setting()).execute(&mut session.connection);
        timeout(PING_TIMEOUT, set).await.map_err(|_| Error::Io(std::io::ErrorKind::TimedOut.into()))??;
    }
    Ok(())
}
