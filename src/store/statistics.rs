//! Histograms: counts of events over time.

use std::collections::BTreeMap;

use sqlx::{Postgres, QueryBuilder};
use time::OffsetDateTime;

use super::windows::MonthWindow;
use super::{Store, StoreError, filter};
use crate::event::{ActivityBucket, Dimension, IngestSource, Interval, MAX_BUCKETS, Narrowed};

type BucketRow = (OffsetDateTime, Option<String>, Option<String>, i64);

impl Store {
    /// Counts events by intervals of time, and by the keys of a dimension. Returns the buckets that have events, the oldest
    /// first, or None if there are more than [`MAX_BUCKETS`].
    ///
    /// # Errors
    /// The database's; [`StoreError::Data`] for an unknown time zone.
    pub async fn activity(
        &self,
        wanted: &Narrowed,
        interval: Interval,
        by: Option<Dimension>,
        time_zone: &str,
    ) -> Result<Option<Vec<ActivityBucket>>, StoreError> {
        let mut buckets: BTreeMap<_, (Option<String>, i64)> = BTreeMap::new();
        let windows = self.windows(wanted.published).await?;
        let is_one = windows.len() == 1;
        for window in windows {
            let mut query = activity_query(wanted, interval, by, time_zone, &window);
            let query = query.build_query_as().persistent(is_one);
            let rows: Vec<BucketRow> = query.fetch_all(&self.reads.planned_for_values()).await?;
            let is_over = rows.len() > MAX_BUCKETS;
            for (start, key, label, count) in rows {
                // A bucket may overlap two windows: their counts are added, and the later window has the newer label.
                let bucket = buckets.entry((start, key.is_none(), key)).or_default();
                *bucket = (label, bucket.1 + count);
            }
            if is_over || buckets.len() > MAX_BUCKETS {
                return Ok(None);
            }
        }
        let bucket = |((start, _, key), (label, count)): ((OffsetDateTime, bool, Option<String>), _)| ActivityBucket {
            start: start.into(),
            key: graph_key(by, key),
            label,
            count,
        };
        Ok(Some(buckets.into_iter().map(bucket).collect()))
    }

    /// Returns true if the database knows a time zone by this name.
    ///
    /// # Errors
    /// The database's.
    pub async fn knows_time_zone(&self, name: &str) -> Result<bool, StoreError> {
        let known = self.time_zones.get_or_try_init(|| async {
            let names: Vec<String> =
                sqlx::query_scalar("SELECT lower(name) FROM pg_timezone_names").fetch_all(&self.reads).await?;
            Ok::<_, StoreError>(names.into_iter().collect())
        });
        Ok(known.await?.contains(&name.to_lowercase()))
    }
}

fn activity_query(
    wanted: &Narrowed,
    interval: Interval,
    by: Option<Dimension>,
    time_zone: &str,
    window: &MonthWindow,
) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new("SELECT t.start, t.key, ");
    match by {
        Some(by) => label(&mut query, by, window),
        None => drop(query.push("NULL::text")),
    }
    query.push(", t.count FROM (SELECT date_trunc('");
    query.push(unit(interval)).push("', e.published, ").push_bind(time_zone.to_owned());
    query.push(") AS start, ").push(by.map_or("NULL::text", key));
    query.push(" AS key, count(*) AS count");
    if by.is_some_and(has_own_label) {
        query.push(", max(e.published) AS last");
    }
    query.push(" FROM sync_event e WHERE true");
    filter::push(&mut query, wanted);
    window.push(&mut query, "e");
    query.push(if by.is_some() { " GROUP BY 1, 2" } else { " GROUP BY 1" });
    query.push(" ORDER BY 1, 2 LIMIT ").push_bind(i64::try_from(MAX_BUCKETS).unwrap_or(i64::MAX) + 1);
    query.push(") t ORDER BY t.start, t.key");
    query
}

const fn unit(interval: Interval) -> &'static str {
    match interval {
        Interval::Minute => "minute",
        Interval::Hour => "hour",
        Interval::Day => "day",
        Interval::Week => "week",
        Interval::Month => "month",
    }
}

/// Returns the expression for the key of an event `e` in a dimension, as text. A person whose id Okta left out is stored with
/// an empty one, and has no key.
pub(super) const fn key(by: Dimension) -> &'static str {
    match by {
        Dimension::Application => "e.application_name",
        Dimension::ApplicationInstance => "e.instance_id",
        Dimension::EventType => "e.event_type",
        Dimension::Outcome => "e.outcome_result",
        Dimension::Severity => "e.severity",
        Dimension::Admin => "nullif(e.admin_id, '')",
        Dimension::User => "nullif(e.user_id, '')",
        Dimension::FirstSource => "e.first_source::text",
    }
}

/// Returns true if the labels of a dimension's keys, such as names of users, are in the events themselves.
pub(super) const fn has_own_label(by: Dimension) -> bool {
    matches!(by, Dimension::Admin | Dimension::User)
}

/// Adds an expression for the label of a key. A row `t` has the key and the time of the key's newest event, which is in
/// the window. The catalogue has the current labels of applications; a person's current label is in the newest event.
pub(super) fn label(query: &mut QueryBuilder<Postgres>, by: Dimension, window: &MonthWindow) {
    let (name, id) = match by {
        Dimension::Application => {
            query.push("(SELECT max(p.display_name) FROM application p WHERE p.name = t.key)");
            return;
        }
        Dimension::ApplicationInstance => {
            query.push("(SELECT max(c.label) FROM application_instance c WHERE c.instance_id = t.key)");
            return;
        }
        Dimension::Admin => ("e.admin_display_name", "e.admin_id"),
        Dimension::User => ("e.user_display_name", "e.user_id"),
        Dimension::EventType | Dimension::Outcome | Dimension::Severity | Dimension::FirstSource => {
            query.push("NULL::text");
            return;
        }
    };
    query.push("(SELECT ").push(name).push(" FROM sync_event e WHERE ").push(id);
    query.push(" = t.key AND e.published = t.last");
    window.push_months(query, "e");
    query.push(" LIMIT 1)");
}

/// Returns a key as the graph has it: a way in by its name instead of its code.
pub(super) fn graph_key(by: Option<Dimension>, key: Option<String>) -> Option<String> {
    if by != Some(Dimension::FirstSource) {
        return key;
    }
    let source = key?.parse().ok().and_then(IngestSource::from_code)?;
    Some(source.name().to_ascii_uppercase())
}
