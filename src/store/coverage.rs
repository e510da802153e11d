//! Coverage of each org's System Log: the stretches of time that were read completely, and the events that hooks missed.

use sqlx::{Postgres, QueryBuilder};
use time::OffsetDateTime;

use super::{Ledger, Store, StoreError, filter};
use crate::event::{IngestSource, Stretch, TimeRange, Timestamp};

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

/// Numbers of events in a stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StretchCount {
    /// All events.
    pub events: i64,
    /// Events that hooks could have delivered since their first delivery, but did not. Events that came only by an import
    /// do not count.
    pub missed_by_hooks: i64,
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

impl Store {
    /// Counts the events of an org in stretches of time that do not overlap. `offered` are the event types that hooks
    /// can deliver.
    ///
    /// # Errors
    /// The database's.
    pub async fn count_stretches(
        &self,
        org: &str,
        stretches: &[Stretch],
        offered: &[&str],
    ) -> Result<Vec<StretchCount>, StoreError> {
        let (Some(first), Some(last)) = (stretches.first(), stretches.last()) else { return Ok(Vec::new()) };
        let range = TimeRange { from: Some(first.from), until: Some(last.until) };
        let mut counts = vec![StretchCount::default(); stretches.len()];
        let windows = self.windows(range).await?;
        let is_one = windows.len() == 1;
        for window in windows {
            let mut query = count_query(org, stretches, offered, range);
            window.push(&mut query, "e");
            query.push(" GROUP BY s.ordinal");
            let query = query.build_query_as().persistent(is_one);
            // The best plan depends on the range: an hour is counted differently from years.
            let rows: Vec<(i64, i64, i64)> = query.fetch_all(&self.reads.planned_for_values()).await?;
            for (ordinal, events, missed_by_hooks) in rows {
                let place = usize::try_from(ordinal - 1).unwrap_or(usize::MAX);
                if let Some(count) = counts.get_mut(place) {
                    count.events += events;
                    count.missed_by_hooks += missed_by_hooks;
                }
            }
        }
        Ok(counts)
    }
}

/// Returns the counting statement up to its conditions; the caller may add more, and adds the grouping.
fn count_query(org: &str, stretches: &[Stretch], offered: &[&str], range: TimeRange) -> QueryBuilder<Postgres> {
    let begins: Vec<_> = stretches.iter().map(|one| one.from.date_time()).collect();
    let offered: Vec<_> = offered.iter().map(|&name| name.to_owned()).collect();
    let mut query = QueryBuilder::new(
        "SELECT s.ordinal, count(*), count(*) FILTER (WHERE a.event_hook_at IS NULL \
         AND coalesce(a.system_log_at, a.workflows_at, a.log_stream_at) IS NOT NULL AND e.published >= (\
         SELECT t.first_arrival_at FROM ingest_tally t WHERE t.org = ",
    );
    query.push_bind(org.to_owned()).push(" AND t.source = ").push_bind(IngestSource::EventHook.code());
    query
        .push(") AND e.event_type = ANY(")
        .push_bind(offered)
        .push("::text[])) FROM sync_event e JOIN arrival a ON a.position = e.position JOIN unnest(");
    query
        .push_bind(begins.clone())
        .push("::timestamptz[]) WITH ORDINALITY AS s (from_at, ordinal) ON s.ordinal = width_bucket(e.published, ");
    query.push_bind(begins).push("::timestamptz[]) WHERE e.org = ").push_bind(org.to_owned());
    filter::push_range(&mut query, "e.published", range);
    query
}
