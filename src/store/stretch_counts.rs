//! Counts of events in stretches of time, and of the events there that hooks missed.

use sqlx::{Postgres, QueryBuilder};

use super::{Store, StoreError, filter};
use crate::event::{IngestSource, Stretch, TimeRange};

/// Numbers of events in a stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StretchCount {
    /// All events.
    pub events: i64,
    /// Events that hooks could have delivered since their first delivery, but did not. Events that came only by an import
    /// do not count.
    pub missed_by_hooks: i64,
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
