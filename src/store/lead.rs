//! The leader election: of all gateways on a database, one at a time leads a task that must not run twice.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::{Store, StoreError};
use crate::postgres::connect::{Connector, Session};

/// Pause between two attempts to become the leader, and between two checks by the leader that it still is.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// Time limit of each statement.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);

/// The lead of a task, which is an advisory lock. PostgreSQL releases the lock when the connection ends, even if the
/// gateway crashes.
#[derive(Debug)]
pub struct Lead {
    session: Session,
    connector: Connector,
}

impl Store {
    /// Waits to become the leader of a task. The lead has a connection of its own.
    ///
    /// # Errors
    /// The database's. The caller may try again.
    pub async fn lead(&self, task: &str) -> Result<Lead, StoreError> {
        let mut session = self.connector.connect(&self.direct).await?;
        // A gateway that hangs must not lead forever: PostgreSQL then closes its idle connection.
        let limited = sqlx::query("SET idle_session_timeout = '15s'").execute(&mut session.connection);
        timeout(STATEMENT_TIMEOUT, limited).await.map_err(|_| StoreError::NoAnswer)??;
        loop {
            let query = sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtextextended('sluice leads ' || $1, 0))");
            let locked = timeout(STATEMENT_TIMEOUT, query.bind(task).fetch_one(&mut session.connection));
            if locked.await.map_err(|_| StoreError::NoAnswer)?? {
                return Ok(Lead { session, connector: self.connector.clone() });
            }
            sleep(POLL_INTERVAL).await;
            if session.generation != self.connector.generation() {
                return Err(StoreError::ConnectionLost);
            }
        }
    }
}

impl Lead {
    /// Waits until the lead is lost.
    pub async fn lost(&mut self) {
        loop {
            sleep(POLL_INTERVAL).await;
            let alive = timeout(STATEMENT_TIMEOUT, sqlx::query("SELECT 1").execute(&mut self.session.connection));
            let is_alive = matches!(alive.await, Ok(Ok(_)));
            if !is_alive || self.session.generation != self.connector.generation() {
                return;
            }
        }
    }

    /// Gives up the lead, so that another gateway can lead at once.
    pub async fn resign(self) {
        self.session.close().await;
    }
}
