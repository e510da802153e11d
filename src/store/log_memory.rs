//! Facts about the log that a gateway remembers, by which it detects an older state or a copy of the log.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use portable_atomic::AtomicU128;
use sqlx::PgConnection;

use crate::event::Position;
use crate::postgres::connections::FirstUse;

/// The furthest position known to have been read from a server that accepts writes. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Furthest(Arc<AtomicU128>);

impl Furthest {
    pub(super) fn get(&self) -> Position {
        Position::new(self.0.load(Ordering::Acquire))
    }

    pub(super) fn raise(&self, position: Position) {
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

impl LogMemory {
    /// Begins a new era if positions cannot continue in the current one.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn check_era(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        let furthest = self.furthest.get();
        let begun: Option<(String, i64)> = sqlx::query_as("SELECT reason, tag FROM log_check_era($1, $2, $3)")
            .bind(self.directory.as_deref())
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
    pub(super) fn first_use(&self) -> FirstUse {
        let memory = self.clone();
        FirstUse::new(move |connection| {
            let memory = memory.clone();
            Box::pin(async move { memory.check_era(connection).await })
        })
    }
}
