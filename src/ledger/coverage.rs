//! Coverage of each org's System Log: the stretches of time that were read completely.

use time::OffsetDateTime;

use super::Ledger;
use crate::event::Timestamp;
use crate::store::StoreError;

/// A stretch of time of which every event in the System Log was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadWindow {
    /// The configured name of the Okta org.
    pub org: String,
    /// Digest of the System Log filter.
    pub filter: String,
    /// The start, inclusive.
    pub from: Timestamp,
    /// The end, exclusive.
    pub until: Timestamp,
    /// Time at which the stretch was read.
    pub read_at: Timestamp,
    /// Number of events that were read.
    pub events: i64,
    /// Number of these events that the log did not have before.
    pub found: i64,
}

impl Ledger {
    /// Records that a stretch was read completely.
    ///
    /// # Errors
    /// The database's.
    pub async fn keep_read_window(&self, window: &ReadWindow) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO read_window AS w (org, filter, from_at, until_at, read_at, events, found) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (org, filter, from_at) DO UPDATE SET \
             until_at = greatest(w.until_at, excluded.until_at), read_at = excluded.read_at, \
             events = excluded.events, found = w.found + excluded.found",
        )
        .bind(&window.org)
        .bind(&window.filter)
        .bind(window.from.date_time())
        .bind(window.until.date_time())
        .bind(window.read_at.date_time())
        .bind(window.events)
        .bind(window.found)
        .execute(&self.writes)
        .await?;
        Ok(())
    }

    /// Returns the end of the newest stretch of an org that was read completely with a filter; None without a stretch.
    ///
    /// # Errors
    /// The database's.
    pub async fn verified_through(&self, org: &str, filter: &str) -> Result<Option<Timestamp>, StoreError> {
        let query = sqlx::query_scalar("SELECT max(until_at) FROM read_window WHERE org = $1 AND filter = $2");
        let through: Option<OffsetDateTime> = query.bind(org).bind(filter).fetch_one(&self.writes).await?;
        Ok(through.map(Timestamp::from))
    }

    /// Returns the stretches that were read completely with the org's current filter and overlap a range, as pairs of
    /// start and end, in the order of their starts.
    ///
    /// # Errors
    /// The database's.
    pub async fn read_windows(
        &self,
        org: &str,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(Timestamp, Timestamp)>, StoreError> {
        let rows: Vec<(OffsetDateTime, OffsetDateTime)> = sqlx::query_as(
            "SELECT w.from_at, w.until_at FROM read_window w JOIN poll_cursor c USING (org, filter) \
             WHERE w.org = $1 AND w.from_at < $3 AND w.until_at > $2 ORDER BY w.from_at",
        )
        .bind(org)
        .bind(from.date_time())
        .bind(until.date_time())
        .fetch_all(&self.reads)
        .await?;
        Ok(rows.into_iter().map(|(from, until)| (from.into(), until.into())).collect())
    }
}
