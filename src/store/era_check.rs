//! The check whether positions can continue in the current era, or need a new one.
//!
//! The database detects most restores by itself: its cluster, its timeline, the database, the table `log_head` or the
//! data directory is not the one that gave the last position. A restore that leaves no such trace, such as that of a
//! storage snapshot, is detected by a gateway that remembers having read further than the log goes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use portable_atomic::AtomicU128;
use sqlx::PgConnection;
use tokio::time::timeout;

use super::{Store, StoreError};
use crate::event::Position;
use crate::postgres::connections::FirstUse;

/// The furthest position known to have been read from a server that accepts writes. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Furthest(Arc<AtomicU128>);

impl Furthest {
    fn get(&self) -> Position {
        Position::new(self.0.load(Ordering::Acquire))
    }

    fn raise(&self, position: Position) {
        // Most positions are known already, and a load is cheaper than a write.
        if self.0.load(Ordering::Relaxed) < position.get() {
            self.0.fetch_max(position.get(), Ordering::AcqRel);
        }
    }
}

/// Facts by which a gateway distinguishes its log from an older state of the log and from a copy.
#[derive(Clone, Debug, Default)]
pub(super) struct LogMemory {
    /// The identity of the private PostgreSQL's data directory; None for any other PostgreSQL.
    pub(super) directory: Option<Arc<str>>,
    pub(super) furthest: Furthest,
}

/// Begins a new era if positions cannot continue in the current one.
///
/// # Errors
/// The database's.
async fn check_era(connection: &mut PgConnection, memory: &LogMemory) -> Result<(), sqlx::Error> {
    let furthest = memory.furthest.get();
    let begun: Option<(String, i64)> = sqlx::query_as("SELECT reason, tag FROM log_check_era($1, $2, $3)")
        .bind(memory.directory.as_deref())
        .bind(furthest.era_tag())
        .bind(furthest.number_in_era())
        .fetch_optional(connection)
        .await?;
    if let Some((reason, tag)) = begun {
        metrics::counter!("sluice_eras_begun_total").increment(1);
        tracing::warn!(reason, era = tag, "a new era of positions has begun");
    }
    Ok(())
}

/// Returns the check of the era in the form in which each connection that writes executes it before its first use.
pub(super) fn checks_era(memory: &LogMemory) -> FirstUse {
    let memory = memory.clone();
    FirstUse::new(move |connection| {
        let memory = memory.clone();
        Box::pin(async move { check_era(connection, &memory).await })
    })
}

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
        let checked = timeout(self.writes.limit(), check_era(&mut connection, &self.memory)).await;
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
