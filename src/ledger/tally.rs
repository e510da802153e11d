//! Tallies of the ways in, which each append updates.

use time::OffsetDateTime;

use super::Ledger;
use crate::event::{IngestSource, Timestamp};
use crate::store::StoreError;

/// The numbers of events that came by one way in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestTally {
    /// The configured name of the Okta org.
    pub org: String,
    /// The way in.
    pub source: IngestSource,
    /// Number of events that came first by this way.
    pub arrived: i64,
    /// Number of events that were already in the log.
    pub duplicates: i64,
    /// Time of the last event.
    pub last_arrival_at: Timestamp,
}

impl Ledger {
    /// Adds a number of duplicates that were recognized without an append. Appends count all other events.
    ///
    /// # Errors
    /// The database's; then nothing was counted.
    pub async fn add_duplicates(&self, org: &str, source: IngestSource, number: usize) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO ingest_tally AS t (org, source, duplicates, last_arrival_at) \
             VALUES ($1, $2, $3, date_trunc('milliseconds', clock_timestamp())) \
             ON CONFLICT (org, source) DO UPDATE SET duplicates = t.duplicates + excluded.duplicates, \
             last_arrival_at = greatest(t.last_arrival_at, excluded.last_arrival_at)",
        )
        .bind(org)
        .bind(source.code())
        .bind(i64::try_from(number).unwrap_or(i64::MAX))
        .execute(&self.writes)
        .await?;
        Ok(())
    }

    /// Returns the tallies, ordered by org and way in.
    ///
    /// # Errors
    /// The database's.
    pub async fn tallies(&self) -> Result<Vec<IngestTally>, StoreError> {
        let rows: Vec<(String, i16, i64, i64, OffsetDateTime)> = sqlx::query_as(
            "SELECT org, source, arrived, duplicates, last_arrival_at FROM ingest_tally ORDER BY org, source",
        )
        .fetch_all(&self.reads)
        .await?;
        let tally = |(org, source, arrived, duplicates, at): (String, i16, i64, i64, OffsetDateTime)| {
            let source = IngestSource::from_code(source)?;
            Some(IngestTally { org, source, arrived, duplicates, last_arrival_at: at.into() })
        };
        Ok(rows.into_iter().filter_map(tally).collect())
    }
}
