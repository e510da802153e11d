//! Execution of one statement on a connection of a pool.

use std::io::ErrorKind;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sqlx::postgres::{PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Either, Error, Execute, Executor, PgConnection, Postgres, SqlStr};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout};

use super::{ConnectionPool, PooledConnection};
use crate::event::StatementUsage;

/// A connection taken from the pool for one statement. Dropping it during the statement cancels the statement in the database.
struct Statement {
    pooled: Option<PooledConnection>,
    /// True while the statement is being executed.
    is_executing: bool,
    /// The count of statements, if there is one, and the time at which this one began.
    usage: Option<(Arc<StatementUsage>, Instant)>,
}

impl Statement {
    async fn on(connections: &ConnectionPool) -> Result<Self, Error> {
        let pooled = Some(connections.acquire().await?);
        let usage = connections.usage.as_ref().map(|usage| (Arc::clone(usage), Instant::now()));
        Ok(Self { pooled, is_executing: false, usage })
    }

    /// Marks the statement as begun, and returns its connection.
    fn begin(&mut self) -> Result<&mut PgConnection, Error> {
        self.is_executing = true;
        self.pooled.as_deref_mut().ok_or(Error::PoolClosed)
    }

    /// Ends the statement and returns its result. A statement beyond the time limit is cancelled; the database's own
    /// timeout comes first, unless the database hangs.
    fn end<T>(mut self, done: Result<Result<T, Error>, Elapsed>, rows: impl FnOnce(&T) -> usize) -> Result<T, Error> {
        if let Some((usage, began)) = self.usage.take() {
            let rows = done.as_ref().ok().and_then(|done| done.as_ref().ok()).map_or(0, rows);
            usage.add(rows, began.elapsed());
        }
        let done = done.map_err(|_| Error::Io(ErrorKind::TimedOut.into()))?;
        self.is_executing = false;
        if done.as_ref().is_err_and(breaks_connection) {
            self.pooled = None;
        }
        done
    }
}

/// True for errors after which a connection cannot be used again.
fn breaks_connection(error: &Error) -> bool {
    match error {
        Error::Database(error) => error.code().is_some_and(|code| {
            // The server ends the connection, accepts no more writes, or executes statements in another session than
            // before.
            code.starts_with("57P") || code.starts_with("08") || ["25006", "26000", "42P05"].contains(&&*code)
        }),
        Error::RowNotFound | Error::ColumnDecode { .. } | Error::Decode(_) | Error::Encode(_) => false,
        _ => true,
    }
}

impl Drop for Statement {
    fn drop(&mut self) {
        if let Some((usage, began)) = self.usage.take().filter(|_| self.is_executing) {
            usage.add(0, began.elapsed());
        }
        let Some(pooled) = self.pooled.take() else { return };
        if !self.is_executing {
            pooled.release();
            return;
        }
        let PooledConnection { session, pool, permit, .. } = pooled;
        let pool = Arc::clone(&pool);
        // The runtime is missing at the end of the process: the database notices that the connection is closed.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                pool.stop(session).await;
                drop(permit);
            });
        }
    }
}

impl<'r> Executor<'r> for &'r ConnectionPool {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, Error>>
    where
        'r: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let all = async move {
            let mut statement = Statement::on(self).await?;
            let done = timeout(self.limit(), statement.begin()?.fetch_many(query).try_collect::<Vec<_>>()).await;
            statement.end(done, |all| all.iter().filter(|one| one.is_right()).count())
        };
        stream::once(all).map_ok(|all| stream::iter(all.into_iter().map(Ok))).try_flatten().boxed()
    }

    fn fetch_all<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Vec<PgRow>, Error>>
    where
        'r: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        Box::pin(async move {
            let mut statement = Statement::on(self).await?;
            let done = timeout(self.limit(), statement.begin()?.fetch_all(query)).await;
            statement.end(done, Vec::len)
        })
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, Error>>
    where
        'r: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        Box::pin(async move {
            let mut statement = Statement::on(self).await?;
            let done = timeout(self.limit(), statement.begin()?.fetch_optional(query)).await;
            statement.end(done, |row| usize::from(row.is_some()))
        })
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [PgTypeInfo]) -> BoxFuture<'e, Result<PgStatement, Error>>
    where
        'r: 'e,
    {
        Box::pin(async move {
            let mut statement = Statement::on(self).await?;
            let done = timeout(self.limit(), statement.begin()?.prepare_with(sql, parameters)).await;
            statement.end(done, |_| 0)
        })
    }
}
