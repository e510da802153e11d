//! Questions about the database's health, on a connection of their own, so that no amount of work keeps them waiting.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::connect::{Connector, Session, Setup};
use super::{Store, StoreError};

/// A connection that asks how the database is. One question at a time.
#[derive(Debug)]
pub struct Probe {
    connector: Connector,
    setup: Arc<Setup>,
    session: Mutex<Option<Session>>,
}

impl Store {
    /// A connection of its own that asks how the database is; made when it is needed.
    pub fn probe(&self) -> Probe {
        Probe { connector: self.connector.clone(), setup: Arc::clone(&self.direct), session: Mutex::default() }
    }
}

impl Probe {
    /// Checks that the database answers, and that it is no standby.
    ///
    /// # Errors
    /// It does not, or is one.
    pub async fn answers(&self) -> Result<(), StoreError> {
        self.ask("SELECT 1 / (NOT pg_is_in_recovery())::int").await.map(drop)
    }

    /// Checks that the database takes writes: one is confirmed as an append is.
    ///
    /// # Errors
    /// It does not.
    pub async fn takes_writes(&self) -> Result<(), StoreError> {
        // Without a row, nothing was written.
        if self.ask("UPDATE write_probe SET written_at = now()").await? == 1 {
            Ok(())
        } else {
            Err(StoreError::Restored)
        }
    }

    /// Executes a statement; gives how many rows it was about.
    async fn ask(&self, sql: &'static str) -> Result<u64, StoreError> {
        let mut kept = self.session.lock().await;
        // A connection that was kept may have broken meanwhile, or lead to a server that the others have left: that alone
        // says nothing of the database.
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
