//! What of each System Log was read whole, and what of it hooks missed.

use sqlx::{Postgres, QueryBuilder};
use time::OffsetDateTime;

use super::{Ledger, Store, StoreError, filter};
use crate::event::{IngestSource, Stretch, TimeRange, Timestamp};

/// A stretch of time whose events were read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadWindow {
    /// The configured name of the Okta org.
    pub org: String,
    /// What tells the filter from another one.
    pub filter: String,
    /// Its begin, which is in it.
    pub from: Timestamp,
    /// Its end, which is not.
    pub until: Timestamp,
    /// When it was read.
    pub read_at: Timestamp,
    /// How many events were read.
    pub events: i64,
    /// How many of them had not come before.
    pub found: i64,
}

/// How many events of a stretch there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StretchCount {
    /// All of them.
    pub events: i64,
    /// Events since the first hook delivery that hooks could have brought, and did not. Events that only an import
    /// brought do not count.
    pub missed_by_hooks: i64,
}

impl Ledger {
    /// Keeps that a stretch was read whole.
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

    /// Through when an org's System Log was read whole with a filter.
    ///
    /// # Errors
    /// The database's.
    pub async fn verified_through(&self, org: &str, filter: &str) -> Result<Option<Timestamp>, StoreError> {
        let query = sqlx::query_scalar("SELECT max(until_at) FROM read_window WHERE org = $1 AND filter = $2");
        let through: Option<OffsetDateTime> = query.bind(org).bind(filter).fetch_one(&self.writes).await?;
        Ok(through.map(Timestamp::from))
    }

    /// What of a range was read whole with the filter that is in use, in the order of begins.
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
    /// can bring.
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
