//! Reads of the log after a position, and of single events.

use std::collections::BTreeSet;
use std::sync::Arc;

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Postgres, QueryBuilder, Row as _};
use uuid::Uuid;

use super::eras::{Era, Eras, MAX_ATTEMPTS};
use super::filter::Conditions;
use super::months::Months;
use super::raw_json::{self, DamagedJson};
use super::row::{self, Layout, StoredEvent};
use super::row_error::RowError;
use super::walk::PositionSpan;
use super::windows::MonthWindow;
use super::{Store, StoreError, filter};
use crate::event::{EventColumn, EventColumns, Narrowed, Position, SyncEvent};

/// Maximum number of orgs whose events with the same uuid are returned.
const MOST_ORGS: usize = 100;

/// The result of a read after a position.
#[derive(Clone, Debug)]
pub struct ReadThrough {
    /// The matching events, in order.
    pub events: Vec<SyncEvent>,
    /// The position through which the log was read. No event between the last one in `events` and this position matches.
    pub through: Position,
    /// True if the log ended at that position when it was read.
    pub at_end: bool,
}

/// The ends of the log: the newest position, and the ends of earlier eras.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEnds {
    /// The newest position.
    pub head: Position,
    /// The eras, the oldest first.
    pub eras: Vec<Era>,
}

impl Store {
    /// Reads at most `window` events of the log after a position, and returns those of them that match.
    ///
    /// # Errors
    /// The database's.
    pub async fn read_after(
        &self,
        after: Position,
        window: usize,
        wanted: &Narrowed,
        with_details: bool,
    ) -> Result<ReadThrough, StoreError> {
        let columns = EventColumns::WITHOUT_DETAILS;
        let layout = Layout::of(if with_details { columns.with(EventColumn::Details) } else { columns });
        for _ in 0..MAX_ATTEMPTS {
            let (known, [number]) = self.numbers([after]).await?;
            let months = self.months().await?;
            let reading = LogRead { after: number, window, wanted, layout: &layout };
            if !months.are_few() {
                let Some(read) = self.read_months_after(&months, &known, &reading).await? else { continue };
                let (events, stretch) = read;
                let through = match stretch.end {
                    Some(number) => self.note_read(known.position(number).ok_or(StoreError::DamagedEras)?),
                    None => after,
                };
                let at_end = usize::try_from(stretch.size).is_ok_and(|size| size < window);
                return Ok(ReadThrough { events, through, at_end });
            }
            let mut query = read_after_query(&reading, &MonthWindow::default());
            let rows = query.build().fetch_all(&self.reads.planned_for_values()).await?;
            let first = rows.first().ok_or(StoreError::Restored)?;
            let Some(eras) = self.eras_ending_in(first.try_get("era")?).await?.filter(|eras| **eras == *known) else {
                continue;
            };
            if !self.saw_all(&months, first.try_get("number")?).await? {
                continue;
            }
            let through = match first.try_get::<Option<i64>, _>("through")? {
                Some(number) => self.note_read(eras.position(number).ok_or(StoreError::DamagedEras)?),
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

    /// Reads after a position in a log of many months: first looks up the months of the next stretch, then reads only these
    /// months. The two steps are faster than one statement over 14 months or more, and take fewer locks. Returns None if the
    /// known partitions or eras are outdated; the caller must repeat the read.
    async fn read_months_after(
        &self,
        months: &Months,
        known: &Eras,
        reading: &LogRead<'_>,
    ) -> Result<Option<(Vec<SyncEvent>, PositionSpan)>, StoreError> {
        let size = i64::try_from(reading.window).unwrap_or(i64::MAX);
        let stretch = self.stretch(months, false, size, |query| {
            query.push(" AND a.position > ").push_bind(reading.after);
        });
        let stretch = stretch.await?;
        if !self.has_same_eras(known, stretch.era).await? || !self.saw_all(months, stretch.number).await? {
            return Ok(None);
        }
        let mut events: Vec<SyncEvent> = Vec::new();
        let is_usual = stretch.windows.len() == 1;
        for window in &stretch.windows {
            let window = window.clone().through(stretch.end.unwrap_or(reading.after));
            let mut query = read_after_query(reading, &window);
            let query = query.build().persistent(is_usual);
            let rows = query.fetch_all(&self.reads.planned_for_values()).await?;
            let first = rows.first().ok_or(StoreError::Restored)?;
            if !self.has_same_eras(known, first.try_get("era")?).await? {
                return Ok(None);
            }
            events.extend(row::events(rows, reading.layout, known)?.iter().map(StoredEvent::to_event));
        }
        events.sort_by_key(|event| event.position);
        Ok(Some((events, stretch)))
    }

    /// Returns the ends of the log.
    ///
    /// # Errors
    /// The database's.
    pub async fn ends(&self) -> Result<LogEnds, StoreError> {
        for _ in 0..MAX_ATTEMPTS {
            let row: Option<(i64, i64)> = sqlx::query_as(HEAD).fetch_optional(&self.reads).await?;
            let (head, tag) = row.ok_or(StoreError::Restored)?;
            if let Some(eras) = self.eras_ending_in(tag).await? {
                let head = self.note_read(eras.position(head).ok_or(StoreError::DamagedEras)?);
                return Ok(LogEnds { head, eras: eras.all().to_vec() });
            }
        }
        Err(StoreError::Changing)
    }

    /// Returns the newest position.
    ///
    /// # Errors
    /// The database's.
    pub async fn head(&self) -> Result<Position, StoreError> {
        self.ends().await.map(|ends| ends.head)
    }

    /// Returns the events with a uuid that match a filter, at most one for each org.
    ///
    /// # Errors
    /// The database's.
    pub async fn events_by_uuid(
        &self,
        uuid: Uuid,
        org: Option<&str>,
        visible: &Narrowed,
    ) -> Result<Vec<SyncEvent>, StoreError> {
        let layout = Layout::of(EventColumns::WITHOUT_DETAILS);
        let (rows, eras) = self
            .rows_of(&layout.list, visible, |query, _| {
                query.push("a.uuid = ").push_bind(uuid);
                if let Some(org) = org {
                    query.push(" AND a.org = ").push_bind(org.to_owned());
                }
            })
            .await?;
        let mut events: Vec<_> = row::events(rows, &layout, &eras)?.iter().map(StoredEvent::to_event).collect();
        events.sort_by(|one, other| one.org.cmp(&other.org));
        events.truncate(MOST_ORGS);
        Ok(events)
    }

    /// Returns the events at these positions that match a filter, in any order.
    ///
    /// # Errors
    /// The database's.
    pub async fn events_at(&self, positions: &[Position], visible: &Narrowed) -> Result<Vec<SyncEvent>, StoreError> {
        let layout = Layout::of(EventColumns::WITHOUT_DETAILS);
        let (rows, eras) = self.rows_of(&layout.list, visible, at(positions)).await?;
        Ok(row::events(rows, &layout, &eras)?.iter().map(StoredEvent::to_event).collect())
    }

    /// Returns the JSON of the events at these positions that match a filter, as Okta sent it, with their positions.
    ///
    /// # Errors
    /// The database's.
    pub async fn details_at(
        &self,
        positions: &[Position],
        visible: &Narrowed,
    ) -> Result<Vec<(Position, String)>, StoreError> {
        let (rows, eras) = self.rows_of("e.position, e.raw", visible, at(positions)).await?;
        let detail = |row: PgRow| {
            let number = row.try_get(0)?;
            let position = eras.position(number).ok_or(StoreError::DamagedEras)?;
            let json = raw_json::decompress(row.try_get(1)?);
            let damaged = |error: DamagedJson| RowError { column: "raw", number, fault: error.to_string() };
            Ok((position, json.map_err(damaged)?))
        };
        rows.into_iter().map(detail).collect()
    }

    /// Returns columns of the events `e` that belong to certain rows of `arrival a` and match a filter, in any order, with the
    /// eras that their numbers belong to. In a log of many months, a first statement looks up the months of the rows.
    async fn rows_of(
        &self,
        columns: &str,
        visible: &Narrowed,
        push_which: impl Fn(&mut QueryBuilder<Postgres>, &Eras),
    ) -> Result<(Vec<PgRow>, Arc<Eras>), StoreError> {
        for _ in 0..MAX_ATTEMPTS {
            let known = self.known_eras().await?;
            let months = self.months().await?;
            let windows = if months.are_few() {
                vec![MonthWindow::default()]
            } else {
                let stretch = self.stretch(&months, false, i64::MAX, |query| {
                    query.push(" AND ");
                    push_which(query, &known);
                });
                let stretch = stretch.await?;
                if !self.has_same_eras(&known, stretch.era).await? || !self.saw_all(&months, stretch.number).await? {
                    continue;
                }
                stretch.windows
            };
            let (mut rows, is_usual) = (Vec::new(), windows.len() == 1);
            for window in windows {
                let mut query = QueryBuilder::new("SELECT ");
                query.push(columns).push(", h.era FROM log_head h CROSS JOIN arrival a JOIN sync_event e");
                query.push(" ON e.published = a.published AND e.position = a.position WHERE ");
                push_which(&mut query, &known);
                filter::push(&mut query, visible);
                window.push(&mut query, "e");
                query.push(" AND h.tableoid = h.home");
                rows.extend(query.build().persistent(is_usual).fetch_all(&self.reads).await?);
            }
            let tags = rows.iter().map(|row| row.try_get("era")).collect::<Result<BTreeSet<i64>, _>>()?;
            let mut is_known = true;
            for tag in tags {
                is_known &= self.has_same_eras(&known, tag).await?;
            }
            if is_known {
                self.check_not_restored(&rows).await?;
                return Ok((rows, known));
            }
        }
        Err(StoreError::Changing)
    }

    /// Returns [`StoreError::Restored`] if a statement returned no rows because a restore has not filled the tables yet.
    async fn check_not_restored(&self, rows: &[PgRow]) -> Result<(), StoreError> {
        if rows.is_empty() { self.ends().await.map(drop) } else { Ok(()) }
    }

    /// Returns true if a log that ends in the era with this tag has exactly the eras in `known`.
    async fn has_same_eras(&self, known: &Eras, tag: i64) -> Result<bool, StoreError> {
        Ok(self.eras_ending_in(tag).await?.is_some_and(|eras| *eras == *known))
    }

    /// Executes a statement for positions, and returns its rows with the eras that their numbers belong to. The
    /// statement must return the column `era`. Positions of eras that this log does not have are left out.
    pub(super) async fn rows_at(
        &self,
        positions: &[Position],
        sql: &str,
    ) -> Result<(Vec<PgRow>, Arc<Eras>), StoreError> {
        for _ in 0..MAX_ATTEMPTS {
            let known = self.known_eras().await?;
            let numbers: Vec<i64> = positions.iter().filter_map(|position| known.number(*position)).collect();
            let query = sqlx::query(AssertSqlSafe(sql.to_owned())).bind(numbers);
            let rows = query.fetch_all(&self.reads).await?;
            let Some(first) = rows.first() else {
                self.check_not_restored(&rows).await?;
                return Ok((rows, known));
            };
            if self.has_same_eras(&known, first.try_get("era")?).await? {
                return Ok((rows, known));
            }
        }
        Err(StoreError::Changing)
    }
}

/// Parameters of a read after a position.
struct LogRead<'a> {
    /// The database's number for the position.
    after: i64,
    /// Maximum number of events of the log to examine, matching or not.
    window: usize,
    wanted: &'a Narrowed,
    layout: &'a Arc<Layout>,
}

/// Returns a function that adds the condition that a row of `arrival a` has one of these positions. Positions of eras
/// that the log does not have are left out.
fn at(positions: &[Position]) -> impl Fn(&mut QueryBuilder<Postgres>, &Eras) {
    move |query, eras| {
        let numbers: Vec<i64> = positions.iter().filter_map(|position| eras.number(*position)).collect();
        query.push("a.position = ANY(").push_bind(numbers).push(")");
    }
}

/// Statement that returns the number of the log's end and the tag of its era. After a restore it returns no row until an era
/// has begun.
const HEAD: &str = "SELECT position, era FROM log_head WHERE tableoid = home";

fn read_after_query(reading: &LogRead<'_>, months: &MonthWindow) -> QueryBuilder<Postgres> {
    let LogRead { after, window, wanted, layout } = *reading;
    let window = i64::try_from(window).unwrap_or(i64::MAX);
    let mut query =
        QueryBuilder::new("WITH span AS MATERIALIZED (SELECT position, published FROM arrival WHERE position > ");
    query.push_bind(after).push(" ORDER BY position LIMIT ").push_bind(window);
    query.push(
        "), ends AS (SELECT (SELECT max(position) FROM span) AS through, (SELECT count(*) FROM span) AS size, p.number, \
         h.era FROM partition_change p CROSS JOIN log_head h WHERE h.tableoid = h.home) SELECT ",
    );
    query.push(&layout.list);
    query.push(", ends.through, ends.size, ends.number, ends.era FROM ends LEFT JOIN (span a JOIN sync_event e ");
    query.push("ON e.published = a.published AND e.position = a.position");
    // The join with `span` finds the events, not an index of a list.
    Conditions { without: None, hashes_lists: true }.push(&mut query, wanted);
    months.push(&mut query, "e");
    query.push(") ON true ORDER BY e.position");
    query
}
