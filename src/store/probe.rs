//! Health checks of the database, on a connection of their own, so that no other work delays them.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::{Store, StoreError};
use crate::postgres::connect::{Connector, Session, Setup};

/// A connection for health checks. One check runs at a time.
#[derive(Debug)]
pub struct Probe {
    connector: Connector,
    setup: Arc<Setup>,
    session: Mutex<Option<Session>>,
}

impl Store {
    /// Creates a connection for health checks, which is opened by the first check.
    pub fn probe(&self) -> Probe {
        Probe { connector: self.connector.clone(), setup: Arc::clone(&self.direct), session: Mutex::default() }
    }
}

impl Probe {
    /// Checks that the database answers and is not a standby.
    ///
    /// # Errors
    /// The database does not answer, or is a standby.
    pub async fn check_primary(&self) -> Result<(), StoreError> {
        self.execute("SELECT 1 / (NOT pg_is_in_recovery())::int").await.map(drop)
    }

    /// Checks that the database accepts writes, by a write that is confirmed in the same way as an append.
    ///
    /// # Errors
    /// The database does not confirm the write.
    pub async fn check_writes(&self) -> Result<(), StoreError> {
        // A restore that has not filled the table yet leaves no row to update.
        if self.execute("UPDATE write_probe SET written_at = now()").await? == 1 {
            Ok(())
        } else {
            Err(StoreError::Restored)
        }
    }

    /// Executes a statement and returns the number of rows that it affected.
    async fn execute(&self, sql: &'static str) -> Result<u64, StoreError> {
        let mut kept = self.session.lock().await;
        // The open connection may be broken, or may lead to a server that is no longer the primary. Its failure alone says
        // nothing about the database.
        if let Some(mut session) = kept.take()
            && session.generation == self.connector.generation()
            && let Ok(done) = sqlx::query(sql).execute(&mut session.connection).await
        {
            *kept = Some(session);
            return Ok(done.rows_affected());
        }
        let mut session = self.connector.connect(&self.setup).await?;
        let done = sqlx::query(sql).execute(&mut session.connection).await?;
        *kept = Some(session);
        Ok(done.rows_affected())
    }
}
