//! Who leads: of all gateways over a database, one at a time does what is to be done once.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection};
use tokio::time::{sleep, timeout};

use super::{Store, StoreError};

/// How often to try to become the leader, and how often the leader looks whether it still is.
const TURN: Duration = Duration::from_secs(2);

/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A lead: it ends with its connection, whatever becomes of the gateway.
#[derive(Debug)]
pub struct Lead {
    connection: PgConnection,
}

impl Store {
    /// Waits to become the leader in something, by an advisory lock on a connection of its own.
    ///
    /// # Errors
    /// The database's: try again.
    pub async fn lead(&self, what: &str) -> Result<Lead, StoreError> {
        let connect = timeout(PATIENCE, PgConnection::connect_with(&self.direct));
        let mut connection = connect.await.map_err(|_| StoreError::NoAnswer)??;
        // A gateway that stops without ending must not lead for ever: its connection falls idle, and ends.
        sqlx::query("SET idle_session_timeout = '15s'").execute(&mut connection).await?;
        loop {
            let query = sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtextextended('sluice leads ' || $1, 0))");
            let locked = timeout(PATIENCE, query.bind(what).fetch_one(&mut connection));
            if locked.await.map_err(|_| StoreError::NoAnswer)?? {
                return Ok(Lead { connection });
            }
            sleep(TURN).await;
        }
    }
}

impl Lead {
    /// Returns when the lead is lost.
    pub async fn lost(&mut self) {
        loop {
            sleep(TURN).await;
            let alive = timeout(PATIENCE, sqlx::query("SELECT 1").execute(&mut self.connection));
            if !matches!(alive.await, Ok(Ok(_))) {
                return;
            }
        }
    }

    /// Lets others lead, at once.
    pub async fn resign(self) {
        // Failing that, the database finds out that the connection is gone.
        _ = timeout(PATIENCE, self.connection.close()).await;
    }
}
