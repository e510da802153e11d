//! Reading the log from a position, and single events.

use std::sync::Arc;

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Postgres, QueryBuilder, Row as _};
use uuid::Uuid;

use super::eras::{Era, Eras, TRIES};
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
    /// The eras, the oldest first.
    pub eras: Vec<Era>,
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
        for _ in 0..TRIES {
            let (known, [number]) = self.numbers([after]).await?;
            let months = self.months();
            let mut query = read_after_query(number, window, wanted, &layout);
            let rows = query.build().fetch_all(&self.reads.planned_for_values()).await?;
            let first = rows.first().ok_or(StoreError::Restored)?;
            let Some(eras) = self.eras_ending_in(first.try_get("era")?).await?.filter(|eras| **eras == *known) else {
                continue;
            };
            if !self.saw_all(&months, first.try_get("number")?).await? {
                continue;
            }
            let through = match first.try_get::<Option<i64>, _>("through")? {
                Some(number) => self.have_read(eras.position(number).ok_or(StoreError::Eras)?),
                None => after,
            };
            let size: i64 = first.try_get("size")?;
            let events = row::events(rows, &layout, &eras)?;
            return Ok(ReadThrough {
                events: events.iter().map(StoredEvent::to_event).collect(),
                through,
                at_end: usize::try_from(size).is_ok_and(|size| size < window),
            });
        }
        Err(StoreError::Changing)
    }

    /// Where the log ends.
    ///
    /// # Errors
    /// The database's.
    pub async fn ends(&self) -> Result<LogEnds, StoreError> {
        for _ in 0..TRIES {
            let row: Option<(i64, i64)> = sqlx::query_as(HEAD).fetch_optional(&self.reads).await?;
            let (head, tag) = row.ok_or(StoreError::Restored)?;
            if let Some(eras) = self.eras_ending_in(tag).await? {
                let head = self.have_read(eras.position(head).ok_or(StoreError::Eras)?);
                return Ok(LogEnds { head, eras: eras.all().to_vec() });
            }
        }
        Err(StoreError::Changing)
    }

    /// The newest position.
    ///
    /// # Errors
    /// The database's.
    pub async fn head(&self) -> Result<Position, StoreError> {
        self.ends().await.map(|ends| ends.head)
    }

    /// The events with a uuid: one, or one for each of several orgs.
    ///
    /// # Errors
    /// The database's.
    pub async fn events_by_uuid(&self, uuid: Uuid, org: Option<&str>) -> Result<Vec<SyncEvent>, StoreError> {
        let layout = Layout::of(EventColumns::WITHOUT_DETAILS);
        let sql = format!(
            "SELECT {}, h.era FROM log_head h CROSS JOIN arrival a \
             JOIN sync_event e ON e.published = a.published AND e.position = a.position \
             WHERE a.uuid = $1 AND ($2::text IS NULL OR a.org = $2) AND h.tableoid = h.home ORDER BY a.org LIMIT 100",
            layout.all
        );
        for _ in 0..TRIES {
            let query = sqlx::query(AssertSqlSafe(sql.clone())).bind(uuid).bind(org);
            let rows = query.fetch_all(&self.reads).await?;
            let Some(first) = rows.first() else { return Ok(Vec::new()) };
            if let Some(eras) = self.eras_ending_in(first.try_get("era")?).await? {
                return Ok(row::events(rows, &layout, &eras)?.iter().map(StoredEvent::to_event).collect());
            }
        }
        Err(StoreError::Changing)
    }

    /// The events at these positions, in any order; those that are not there are left out.
    ///
    /// # Errors
    /// The database's.
    pub async fn events_at(&self, positions: &[Position]) -> Result<Vec<SyncEvent>, StoreError> {
        let layout = Layout::of(EventColumns::WITHOUT_DETAILS);
        let sql = format!(
            "SELECT {}, h.era FROM log_head h CROSS JOIN arrival a \
             JOIN sync_event e ON e.published = a.published AND e.position = a.position \
             WHERE a.position = ANY($1) AND h.tableoid = h.home",
            layout.all
        );
        let (rows, eras) = self.rows_at(positions, &sql).await?;
        Ok(row::events(rows, &layout, &eras)?.iter().map(StoredEvent::to_event).collect())
    }

    /// The JSON of events as Okta sent them.
    ///
    /// # Errors
    /// The database's.
    pub async fn details_at(&self, positions: &[Position]) -> Result<Vec<(Position, String)>, StoreError> {
        let sql = "SELECT r.position, r.raw, h.era FROM log_head h CROSS JOIN arrival a \
                   JOIN sync_event_raw r ON r.published = a.published AND r.position = a.position \
                   WHERE a.position = ANY($1) AND h.tableoid = h.home";
        let (rows, eras) = self.rows_at(positions, sql).await?;
        let detail = |row: PgRow| {
            let position = eras.position(row.try_get(0)?).ok_or(StoreError::Eras)?;
            Ok((position, row.try_get(1)?))
        };
        rows.into_iter().map(detail).collect()
    }

    /// The rows that a statement gives for positions, and the eras by which their numbers are meant. Positions that this
    /// log does not have are left out; the statement tells `era`.
    pub(super) async fn rows_at(
        &self,
        positions: &[Position],
        sql: &str,
    ) -> Result<(Vec<PgRow>, Arc<Eras>), StoreError> {
        for _ in 0..TRIES {
            let known = self.known_eras().await?;
            let numbers: Vec<i64> = positions.iter().filter_map(|position| known.number(*position)).collect();
            let query = sqlx::query(AssertSqlSafe(sql.to_owned())).bind(numbers);
            let rows = query.fetch_all(&self.reads).await?;
            let Some(first) = rows.first() else { return Ok((rows, known)) };
            let eras = self.eras_ending_in(first.try_get("era")?).await?;
            if eras.is_some_and(|eras| *eras == *known) {
                return Ok((rows, known));
            }
        }
        Err(StoreError::Changing)
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

/// Where the log ends: its number, and the tag of its era. No row after a restore, until an era has begun.
const HEAD: &str = "SELECT position, era FROM log_head WHERE tableoid = home";

fn read_after_query(after: i64, window: usize, wanted: &Filter, layout: &Layout) -> QueryBuilder<Postgres> {
    let window = i64::try_from(window).unwrap_or(i64::MAX);
    let mut query =
        QueryBuilder::new("WITH span AS MATERIALIZED (SELECT position, published FROM arrival WHERE position > ");
    query.push_bind(after).push(" ORDER BY position LIMIT ").push_bind(window);
    query.push(
        "), ends AS (SELECT (SELECT max(position) FROM span) AS through, (SELECT count(*) FROM span) AS size, p.number, \
         h.era FROM partition_change p CROSS JOIN log_head h WHERE h.tableoid = h.home) SELECT ",
    );
    query.push(&layout.all);
    query.push(", ends.through, ends.size, ends.number, ends.era FROM ends LEFT JOIN (span a JOIN sync_event e ");
    query.push("ON e.published = a.published AND e.position = a.position");
    filter::push(&mut query, wanted);
    if layout.has_details() {
        query.push(" JOIN sync_event_raw r ON r.published = a.published AND r.position = a.position");
    }
    query.push(") ON true ORDER BY e.position");
    query
}
