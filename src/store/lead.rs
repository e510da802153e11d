//! Who leads: of all gateways over a database, one at a time does what is to be done once.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::{Store, StoreError};
use crate::postgres::connect::{Connector, Session};

/// How often to try to become the leader, and how often the leader looks whether it still is.
const TURN: Duration = Duration::from_secs(2);

/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A lead: it ends with its connection, whatever becomes of the gateway.
#[derive(Debug)]
pub struct Lead {
    session: Session,
    connector: Connector,
}

impl Store {
    /// Waits to become the leader in something, by an advisory lock on a connection of its own.
    ///
    /// # Errors
    /// The database's: try again.
    pub async fn lead(&self, what: &str) -> Result<Lead, StoreError> {
        let mut session = self.connector.connect(&self.direct).await?;
        // A gateway that stops without ending must not lead for ever: its connection falls idle, and ends.
        let limited = sqlx::query("SET idle_session_timeout = '15s'").execute(&mut session.connection);
        timeout(PATIENCE, limited).await.map_err(|_| StoreError::NoAnswer)??;
        loop {
            let query = sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtextextended('sluice leads ' || $1, 0))");
            let locked = timeout(PATIENCE, query.bind(what).fetch_one(&mut session.connection));
            if locked.await.map_err(|_| StoreError::NoAnswer)?? {
                return Ok(Lead { session, connector: self.connector.clone() });
            }
            sleep(TURN).await;
            if session.generation != self.connector.generation() {
                return Err(StoreError::Moved);
            }
        }
    }
}

impl Lead {
    /// Returns when the lead is lost.
    pub async fn lost(&mut self) {
        loop {
            sleep(TURN).await;
            let alive = timeout(PATIENCE, sqlx::query("SELECT 1").execute(&mut self.session.connection));
            let is_alive = matches!(alive.await, Ok(Ok(_)));
            if !is_alive || self.session.generation != self.connector.generation() {
                return;
            }
        }
    }

    /// Lets others lead, at once.
    pub async fn resign(self) {
        // Failing that, the database finds out that the connection is gone.
        self.session.close().await;
    }
}
