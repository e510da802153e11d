//! Reading the log from a position, and single events.

use sqlx::{AssertSqlSafe, Postgres, QueryBuilder, Row as _};
use uuid::Uuid;

use super::row::{self, Layout, StoredEvent};
use super::{Store, StoreError, filter};
use crate::event::{EventColumn, EventColumns, Filter, Position, SyncEvent};

/// What was read of the log after a position.
#[derive(Clone, Debug)]
pub struct ReadThrough {
    /// The matching events, in order.
    pub events: Vec<SyncEvent>,
    /// The position through which the log was read: nothing that matches lies between the last event and it.
    pub through: Position,
    /// Whether the log ended there when it was read.
    pub at_end: bool,
}

/// Where the log ends, and where it was broken off before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEnds {
    /// The newest position.
    pub head: Position,
    /// The eras, oldest first: each one's start, and the last position before it that still stands.
    pub eras: Vec<(Position, Position)>,
}

impl Store {
    /// Reads on after a position: at most `window` events of the log, of which those are given that match.
    ///
    /// # Errors
    /// The database's.
    pub async fn read_after(
        &self,
        after: Position,
        window: usize,
        wanted: &Filter,
        with_details: bool,
    ) -> Result<ReadThrough, StoreError> {
        let columns = EventColumns::WITHOUT_DETAILS;
        let layout = Layout::of(if with_details { columns.with(EventColumn::Details) } else { columns });
        loop {
            let months = self.months();
            let mut query = read_after_query(after, window, wanted, &layout);
            let rows = query.build().fetch_all(&self.reads.planned_for_values()).await?;
            let Some(first) = rows.first() else { return Err(StoreError::Fault(sqlx::Error::RowNotFound)) };
            if !self.saw_all(&months, first.try_get("number")?).await? {
                continue;
            }
            let through: Option<i64> = first.try_get("through")?;
            let size: i64 = first.try_get("size")?;
            let events = row::events(rows, &layout)?;
            return Ok(ReadThrough {
                events: events.iter().map(StoredEvent::to_event).collect(),
                through: through.map_or(after, Position::new),
                at_end: usize::try_from(size).is_ok_and(|size| size < window),
            });
        }
    }

    /// Where the log ends.
    ///
    /// # Errors
    /// The database's.
    pub async fn ends(&self) -> Result<LogEnds, StoreError> {
        let rows: Vec<(i64, i64, i64)> = sqlx::query_as(
            "SELECT h.position, e.start, e.previous_end FROM log_head h CROSS JOIN era e ORDER BY e.start",
        )
        .fetch_all(&self.reads)
        .await?;
        Ok(LogEnds {
            head: Position::new(rows.first().map_or(0, |row| row.0)),
            eras: rows.iter().map(|row| (Position::new(row.1), Position::new(row.2))).collect(),
        })
    }

    /// The newest position.
    ///
    /// # Errors
    /// The database's.
    pub async fn head(&self) -> Result<Position, StoreError> {
        let head = sqlx::query_scalar("SELECT position FROM log_head").fetch_one(&self.reads).await?;
        Ok(Position::new(head))
    }

    /// The events with a uuid: one, or one for each of several orgs.
    ///
    /// # Errors
    /// The database's.
    pub async fn events_by_uuid(&self, uuid: Uuid, org: Option<&str>) -> Result<Vec<SyncEvent>, StoreError> {
        let layout = Layout::of(EventColumns::WITHOUT_DETAILS);
        let sql = format!(
            "SELECT {} FROM arrival a JOIN sync_event e ON e.published = a.published AND e.position = a.position \
             WHERE a.uuid = $1 AND ($2::text IS NULL OR a.org = $2) ORDER BY a.org LIMIT 100",
            layout.all
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(uuid).bind(org).fetch_all(&self.reads).await?;
        Ok(row::events(rows, &layout)?.iter().map(StoredEvent::to_event).collect())
    }

    /// The events at these positions, in any order; those that are not there are left out.
    ///
    /// # Errors
    /// The database's.
    pub async fn events_at(&self, positions: &[Position]) -> Result<Vec<SyncEvent>, StoreError> {
        let layout = Layout::of(EventColumns::WITHOUT_DETAILS);
        let sql = format!(
            "SELECT {} FROM arrival a JOIN sync_event e ON e.published = a.published AND e.position = a.position \
             WHERE a.position = ANY($1)",
            layout.all
        );
        let positions: Vec<i64> = positions.iter().map(|position| position.get()).collect();
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(positions).fetch_all(&self.reads).await?;
        Ok(row::events(rows, &layout)?.iter().map(StoredEvent::to_event).collect())
    }

    /// The JSON of events as Okta sent them.
    ///
    /// # Errors
    /// The database's.
    pub async fn details_at(&self, positions: &[Position]) -> Result<Vec<(Position, String)>, StoreError> {
        let positions: Vec<i64> = positions.iter().map(|position| position.get()).collect();
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "SELECT r.position, r.raw FROM arrival a \
             JOIN sync_event_raw r ON r.published = a.published AND r.position = a.position WHERE a.position = ANY($1)",
        )
        .bind(positions)
        .fetch_all(&self.reads)
        .await?;
        Ok(rows.into_iter().map(|(position, raw)| (Position::new(position), raw)).collect())
    }

    /// How many events match, counting no further than `up_to`; the second tells whether that is all.
    ///
    /// # Errors
    /// The database's.
    pub async fn count(&self, wanted: &Filter, up_to: i64) -> Result<(i64, bool), StoreError> {
        let mut query: QueryBuilder<Postgres> =
            QueryBuilder::new("SELECT count(*) FROM (SELECT FROM sync_event e WHERE true");
        filter::push(&mut query, wanted);
        query.push(" LIMIT ").push_bind(up_to.saturating_add(1)).push(") AS found");
        let found: i64 = query.build_query_scalar().fetch_one(&self.reads.planned_for_values()).await?;
        Ok((found.min(up_to), found <= up_to))
    }
}

fn read_after_query(after: Position, window: usize, wanted: &Filter, layout: &Layout) -> QueryBuilder<Postgres> {
    let window = i64::try_from(window).unwrap_or(i64::MAX);
    let mut query =
        QueryBuilder::new("WITH span AS MATERIALIZED (SELECT position, published FROM arrival WHERE position > ");
    query.push_bind(after.get()).push(" ORDER BY position LIMIT ").push_bind(window);
    query.push(
        "), ends AS (SELECT (SELECT max(position) FROM span) AS through, (SELECT count(*) FROM span) AS size, number \
         FROM partition_change) SELECT ",
    );
    query.push(&layout.all);
    query.push(", ends.through, ends.size, ends.number FROM ends LEFT JOIN (span a JOIN sync_event e ");
    query.push("ON e.published = a.published AND e.position = a.position");
    filter::push(&mut query, wanted);
    if layout.has_details() {
        query.push(" JOIN sync_event_raw r ON r.published = a.published AND r.position = a.position");
    }
    query.push(") ON true ORDER BY e.position");
    query
}
