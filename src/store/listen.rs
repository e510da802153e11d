//! Being told that the log has grown. A hint: what it does not tell, a poll finds.

use std::time::Duration;

use sqlx::postgres::PgListener;

use super::{Store, StoreError};

/// Listens for appends, made by whichever gateway.
#[derive(Debug)]
pub struct HeadListener {
    listener: PgListener,
}

/// How long the connection may be silent before it is asked whether it still lives.
const SILENCE: Duration = Duration::from_secs(15);

impl Store {
    /// Starts to listen.
    ///
    /// # Errors
    /// The database's.
    pub async fn listen(&self) -> Result<HeadListener, StoreError> {
        let mut listener = PgListener::connect_with(&self.reads).await?;
        listener.listen("sluice_log").await?;
        Ok(HeadListener { listener })
    }
}

impl HeadListener {
    /// Waits until the log may have grown: an append told so, or the connection was lost and made again.
    ///
    /// # Errors
    /// The connection is gone: listen anew, and read on in between.
    pub async fn wait(&mut self) -> Result<(), StoreError> {
        loop {
            match tokio::time::timeout(SILENCE, self.listener.try_recv()).await {
                Ok(received) => {
                    received?;
                    return Ok(());
                }
                Err(_) => {
                    let alive = sqlx::query("SELECT 1").execute(&mut self.listener);
                    match tokio::time::timeout(SILENCE, alive).await {
                        Ok(answer) => _ = answer?,
                        Err(_) => return Err(StoreError::from(sqlx::Error::PoolTimedOut)),
                    }
                }
            }
        }
    }
}
