//! Counting events by time and by what they have in common.

use sqlx::QueryBuilder;
use time::OffsetDateTime;

use super::{Store, StoreError, filter};
use crate::event::{ActivityBucket, Dimension, Filter, IngestSource, Interval, MAX_BUCKETS, Tally};

type BucketRow = (OffsetDateTime, Option<String>, Option<String>, i64);
type TallyRow = (Option<String>, Option<String>, i64, OffsetDateTime);

impl Store {
    /// Counts events in stretches of time, the oldest first; stretches without any are left out. None where there
    /// would be more than [`MAX_BUCKETS`].
    ///
    /// # Errors
    /// The database's; a time zone that it does not know is [`StoreError::Data`].
    pub async fn activity(
        &self,
        wanted: &Filter,
        interval: Interval,
        by: Option<Dimension>,
        time_zone: &str,
    ) -> Result<Option<Vec<ActivityBucket>>, StoreError> {
        let mut query = QueryBuilder::new("SELECT t.start, t.key, ");
        query.push(by.map_or("NULL::text", label)).push(", t.count FROM (SELECT date_trunc('");
        query.push(unit(interval)).push("', e.published, ").push_bind(time_zone.to_owned());
        query.push(") AS start, ").push(by.map_or("NULL::text", key));
        query.push(" AS key, count(*) AS count");
        if matches!(by, Some(Dimension::Admin | Dimension::User)) {
            query.push(", max(e.published) AS last");
        }
        query.push(" FROM sync_event e WHERE true");
        filter::push(&mut query, wanted);
        query.push(if by.is_some() { " GROUP BY 1, 2" } else { " GROUP BY 1" });
        query.push(" ORDER BY 1, 2 LIMIT ").push_bind(i64::try_from(MAX_BUCKETS).unwrap_or(i64::MAX) + 1);
        query.push(") t ORDER BY t.start, t.key");
        let rows: Vec<BucketRow> = query.build_query_as().fetch_all(&self.reads.planned_for_values()).await?;
        if rows.len() > MAX_BUCKETS {
            return Ok(None);
        }
        let bucket = |(start, key, label, count): BucketRow| ActivityBucket {
            start: start.into(),
            key: named(by, key),
            label,
            count,
        };
        Ok(Some(rows.into_iter().map(bucket).collect()))
    }

    /// Counts events by what they have in common, the most frequent first.
    ///
    /// # Errors
    /// The database's.
    pub async fn top(&self, wanted: &Filter, by: Dimension, first: i64) -> Result<Vec<Tally>, StoreError> {
        let mut query = QueryBuilder::new("SELECT t.key, ");
        query.push(label(by)).push(", t.count, t.last FROM (SELECT ").push(key(by));
        query.push(" AS key, count(*) AS count, max(e.published) AS last FROM sync_event e WHERE true");
        filter::push(&mut query, wanted);
        query.push(" GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ").push_bind(first);
        query.push(") t ORDER BY t.count DESC, t.key");
        let rows: Vec<TallyRow> = query.build_query_as().fetch_all(&self.reads.planned_for_values()).await?;
        let tally = |(key, label, count, last): TallyRow| Tally {
            key: named(Some(by), key),
            label,
            count,
            last_event_at: last.into(),
        };
        Ok(rows.into_iter().map(tally).collect())
    }

    /// Whether the database knows a time zone by this name.
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

const fn unit(interval: Interval) -> &'static str {
    match interval {
        Interval::Minute => "minute",
        Interval::Hour => "hour",
        Interval::Day => "day",
        Interval::Week => "week",
        Interval::Month => "month",
    }
}

/// What events are told apart by, of an event `e`, as text.
const fn key(by: Dimension) -> &'static str {
    match by {
        Dimension::Application => "e.application_name",
        Dimension::ApplicationInstance => "e.instance_id",
        Dimension::EventType => "e.event_type",
        Dimension::Outcome => "e.outcome_result",
        Dimension::Severity => "e.severity",
        Dimension::Admin => "e.admin_id",
        Dimension::User => "e.user_id",
        Dimension::FirstSource => "e.first_source::text",
    }
}

/// What people call a key, of a row `t` that has the key and when its newest event happened. Names change: the
/// catalogue's are those of today, and a person's is that of the newest event.
const fn label(by: Dimension) -> &'static str {
    match by {
        Dimension::Application => "(SELECT max(p.display_name) FROM application p WHERE p.name = t.key)",
        Dimension::ApplicationInstance => {
            "(SELECT max(c.label) FROM application_instance c WHERE c.instance_id = t.key)"
        }
        Dimension::Admin => {
            "(SELECT e.admin_display_name FROM sync_event e WHERE e.admin_id = t.key AND e.published = t.last LIMIT 1)"
        }
        Dimension::User => {
            "(SELECT e.user_display_name FROM sync_event e WHERE e.user_id = t.key AND e.published = t.last LIMIT 1)"
        }
        Dimension::EventType | Dimension::Outcome | Dimension::Severity | Dimension::FirstSource => "NULL::text",
    }
}

/// The key as the graph has it: a way by its name.
fn named(by: Option<Dimension>, key: Option<String>) -> Option<String> {
    if by != Some(Dimension::FirstSource) {
        return key;
    }
    let source = key?.parse().ok().and_then(IngestSource::from_code)?;
    Some(source.name().to_ascii_uppercase())
}
