//! Questions about the database's health, on a connection of their own, so that no amount of work keeps them waiting.

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};
use std::sync::Arc;
use tokio::sync::Mutex;

use super::{Store, StoreError};

/// A connection that asks how the database is. One question at a time.
#[derive(Debug)]
pub struct Probe {
    options: Arc<PgConnectOptions>,
    connection: Mutex<Option<PgConnection>>,
}

impl Store {
    /// A connection of its own that asks how the database is; made when it is needed.
    pub fn probe(&self) -> Probe {
        Probe { options: Arc::clone(&self.direct), connection: Mutex::default() }
    }
}

impl Probe {
    /// Checks that the database answers, and that it is no standby.
    ///
    /// # Errors
    /// It does not, or is one.
    pub async fn answers(&self) -> Result<(), StoreError> {
        self.ask("SELECT 1 / (NOT pg_is_in_recovery())::int").await
    }

    /// Checks that the database takes writes: one is confirmed as an append is.
    ///
    /// # Errors
    /// It does not.
    pub async fn takes_writes(&self) -> Result<(), StoreError> {
        self.ask("UPDATE write_probe SET written_at = now()").await
    }

    async fn ask(&self, sql: &'static str) -> Result<(), StoreError> {
        let mut kept = self.connection.lock().await;
        // A connection that was kept may have broken meanwhile: that alone says nothing of the database.
        if let Some(mut connection) = kept.take()
            && sqlx::query(sql).execute(&mut connection).await.is_ok()
        {
            *kept = Some(connection);
            return Ok(());
        }
        let mut connection = PgConnection::connect_with(&self.options).await?;
        sqlx::query(sql).execute(&mut connection).await?;
        *kept = Some(connection);
        Ok(())
    }
}
