//! Execution of one statement on a connection of a pool.

use std::io::ErrorKind;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sqlx::postgres::{PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Describe, Either, Error, Execute, Executor, PgConnection, Postgres, SqlStr};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::{Connections, LentConnection};

/// A connection that is lent for one statement. Dropping it during the statement cancels the statement in the database.
struct Statement {
    lent: Option<LentConnection>,
    /// True while the statement is being executed.
    is_at_work: bool,
}

impl Statement {
    async fn on(connections: &Connections) -> Result<Self, Error> {
        Ok(Self { lent: Some(connections.lend().await?), is_at_work: false })
    }

    /// Marks the statement as begun, and returns its connection.
    fn begin(&mut self) -> Result<&mut PgConnection, Error> {
        self.is_at_work = true;
        self.lent.as_deref_mut().ok_or(Error::PoolClosed)
    }

    /// Ends the statement and returns its result. A statement beyond the time limit is cancelled; the database's own
    /// timeout comes first, unless the database hangs.
    fn end<T>(mut self, done: Result<Result<T, Error>, Elapsed>) -> Result<T, Error> {
        let done = done.map_err(|_| Error::Io(ErrorKind::TimedOut.into()))?;
        self.is_at_work = false;
        if done.as_ref().is_err_and(breaks) {
            self.lent = None;
        }
        done
    }
}

/// True for errors after which a connection cannot be used again.
fn breaks(error: &Error) -> bool {
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
        let Some(lent) = self.lent.take() else { return };
        if !self.is_at_work {
            lent.give_back();
            return;
        }
        let LentConnection { session, lending, place, .. } = lent;
        let lending = Arc::clone(&lending);
        // The runtime is missing at the end of the process: the database notices that the connection is closed.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                lending.stop(session).await;
                drop(place);
            });
        }
    }
}

impl<'r> Executor<'r> for &'r Connections {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, Error>>
    where
        'r: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let all = async move {
            let mut statement = Statement::on(self).await?;
            let done = timeout(self.limit(), statement.begin()?.fetch_many(query).try_collect::<Vec<_>>()).await;
            statement.end(done)
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
            statement.end(done)
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
            statement.end(done)
        })
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [PgTypeInfo]) -> BoxFuture<'e, Result<PgStatement, Error>>
    where
        'r: 'e,
    {
        Box::pin(async move {
            let mut statement = Statement::on(self).await?;
            let done = timeout(self.limit(), statement.begin()?.prepare_with(sql, parameters)).await;
            statement.end(done)
        })
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, Error>>
    where
        'r: 'e,
    {
        Box::pin(async move {
            let mut statement = Statement::on(self).await?;
            let done = timeout(self.limit(), statement.begin()?.describe(sql)).await;
            statement.end(done)
        })
    }
}
