//! The check whether positions can continue in the current era, or need a new one.
//!
//! The database detects most restores by itself: its cluster, its timeline, the database, the table `log_head` or the
//! data directory is not the one that gave the last position. A restore that leaves no such trace, such as that of a
//! storage snapshot, is detected by a gateway that remembers having read further than the log goes.

use tokio::time::timeout;

use super::{Store, StoreError};
use crate::event::Position;

impl Store {
    /// Returns the furthest position that this gateway knows to have been read, by any gateway, from a server that
    /// accepts writes.
    pub fn furthest(&self) -> Position {
        self.memory.furthest.get()
    }

    /// Remembers that some gateway has read a position from a server that accepts writes; returns the position.
    pub fn note_read(&self, position: Position) -> Position {
        self.memory.furthest.raise(position);
        position
    }

    /// Begins a new era if positions cannot continue in the current one: after a restore, or if this gateway has read
    /// further than the log goes.
    ///
    /// # Errors
    /// The database's.
    pub async fn check_era(&self) -> Result<(), StoreError> {
        let mut connection = self.writes.acquire().await?;
        let checked = timeout(self.writes.limit(), self.memory.check_era(&mut connection)).await;
        checked.map_err(|_| StoreError::NoAnswer)??;
        connection.release();
        Ok(())
    }

    /// Begins a new era, for a restore that no gateway can detect; returns the era's start.
    ///
    /// # Errors
    /// The database's.
    pub async fn new_era(&self, reason: &str) -> Result<Position, StoreError> {
        let furthest = self.memory.furthest.get().era_tag();
        let tag: i64 = sqlx::query_scalar("SELECT log_new_era($1, $2)")
            .bind(reason)
            .bind(furthest)
            .fetch_one(&self.writes)
            .await?;
        metrics::counter!("sluice_eras_begun_total").increment(1);
        Ok(Position::in_era(tag, 0))
    }
}
