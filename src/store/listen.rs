//! Telling that the log has grown, and being told. A hint: what it does not tell, a poll finds.

use std::time::Duration;

use sqlx::postgres::PgListener;

use super::kept::KeptConnection;
use super::{Store, StoreError};
use crate::event::Position;

/// Tells every gateway that the log has grown.
#[derive(Debug)]
pub struct HeadTeller(KeptConnection);

impl HeadTeller {
    /// Tells through where.
    ///
    /// # Errors
    /// The database's.
    pub async fn tell(&mut self, head: Position) -> Result<(), StoreError> {
        let mut connection = self.0.take().await?;
        // A hint that is lost in a crash costs nothing, and waiting for the disk would keep appends from it.
        sqlx::query("SELECT set_config('synchronous_commit', 'off', true), pg_notify('sluice_log', $1)")
            .bind(head.to_string())
            .execute(&mut *connection)
            .await?;
        self.0.keep(connection);
        Ok(())
    }
}

/// Listens for appends, made by whichever gateway.
#[derive(Debug)]
pub struct HeadListener {
    listener: PgListener,
}

/// How long the connection may be silent before it is asked whether it still lives.
const SILENCE: Duration = Duration::from_secs(15);

impl Store {
    /// A connection that tells.
    pub fn head_teller(&self) -> HeadTeller {
        HeadTeller(KeptConnection::of(self.writes.clone()))
    }

    /// Starts to listen.
    ///
    /// # Errors
    /// The database's.
    pub async fn listen(&self) -> Result<HeadListener, StoreError> {
        let mut listener = PgListener::connect_with(&self.direct_pool()).await?;
        listener.listen("sluice_log").await?;
        Ok(HeadListener { listener })
    }
}

impl HeadListener {
    /// Waits until the log may have grown, and gives the position that an append told of; None where the connection was
    /// lost and made again, so that anything may have been missed.
    ///
    /// # Errors
    /// The connection is gone: listen anew, and read on in between.
    pub async fn wait(&mut self) -> Result<Option<Position>, StoreError> {
        loop {
            if let Ok(received) = tokio::time::timeout(SILENCE, self.listener.try_recv()).await {
                return Ok(received?.and_then(|told| told.payload().parse().ok()));
            }
            let alive = sqlx::query("SELECT 1").execute(&mut self.listener);
            tokio::time::timeout(SILENCE, alive).await.map_err(|_| StoreError::NoAnswer)??;
        }
    }
}
