//! How much has come by each way.

use time::OffsetDateTime;

use super::{Store, StoreError};
use crate::event::{IngestSource, Timestamp};

/// How much has come by one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestTally {
    /// The configured name of the Okta org.
    pub org: String,
    /// The way.
    pub source: IngestSource,
    /// How many events it brought first.
    pub arrived: i64,
    /// How many it brought that were there already.
    pub duplicates: i64,
    /// When it brought something last.
    pub last_arrival_at: Timestamp,
}

impl Store {
    /// Adds to what has come.
    ///
    /// # Errors
    /// The database's: nothing was added.
    pub async fn add_tallies(&self, tallies: &[IngestTally]) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO ingest_tally AS t (org, source, arrived, duplicates, last_arrival_at) \
             SELECT * FROM unnest($1::text[], $2::smallint[], $3::bigint[], $4::bigint[], $5::timestamptz[]) \
                 AS n (org, source, arrived, duplicates, at) ORDER BY n.org, n.source \
             ON CONFLICT (org, source) DO UPDATE SET arrived = t.arrived + excluded.arrived, \
             duplicates = t.duplicates + excluded.duplicates, \
             last_arrival_at = greatest(t.last_arrival_at, excluded.last_arrival_at)",
        )
        .bind(tallies.iter().map(|tally| tally.org.as_str()).collect::<Vec<_>>())
        .bind(tallies.iter().map(|tally| tally.source.code()).collect::<Vec<_>>())
        .bind(tallies.iter().map(|tally| tally.arrived).collect::<Vec<_>>())
        .bind(tallies.iter().map(|tally| tally.duplicates).collect::<Vec<_>>())
        .bind(tallies.iter().map(|tally| tally.last_arrival_at.date_time()).collect::<Vec<_>>())
        .execute(&self.writes)
        .await?;
        Ok(())
    }

    /// How much has come by every way, by org and way.
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
