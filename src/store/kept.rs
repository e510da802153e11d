//! A connection that its owner keeps between uses.

use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};

/// A connection of one's own: the pool asks a connection that is given back whether it still lives, which would be one
/// more round trip for every use. Whoever keeps one takes it from the others of its pool for good.
#[derive(Debug)]
pub(super) struct KeptConnection {
    pool: PgPool,
    connection: Option<PoolConnection<Postgres>>,
}

impl KeptConnection {
    /// One that the pool gives when it is needed.
    pub(super) const fn of(pool: PgPool) -> Self {
        Self { pool, connection: None }
    }

    /// The connection, to be given back by [`keep`](Self::keep). After an error, or when nobody waits any more, nobody
    /// knows what it is about: it is not given back and thereby closed.
    pub(super) async fn take(&mut self) -> sqlx::Result<PoolConnection<Postgres>> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        let mut connection = self.pool.acquire().await?;
        connection.close_on_drop();
        Ok(connection)
    }

    pub(super) fn keep(&mut self, connection: PoolConnection<Postgres>) {
        self.connection = Some(connection);
    }
}
