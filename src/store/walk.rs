//! Pages in the order of the log, read through `arrival`, which has that order over all months.
//!
//! One statement reads a page if the page's filter leaves at most [`MONTHS_AT_ONCE`] months. Otherwise the log is read by
//! stretches of positions: a first statement looks up the months in which the events of the stretch happened, and the next
//! ones read only those months. If an index of each month finds the matching events, they are read by these indexes after
//! the first stretch, window by window, and then sorted.

use sqlx::postgres::PgRow;
use sqlx::{Postgres, QueryBuilder, Row as _};
use time::OffsetDateTime;

use super::months::Months;
use super::page::{LogMethod, PageRows, Scan, Source, event_count};
use super::pins;
use super::windows::{MONTHS_AT_ONCE, MonthWindow};
use super::{Store, StoreError};
use crate::event::Filter;

/// Sizes of the first and of the longest stretch, in positions. Each stretch is four times as long as the one before. A
/// page without a filter needs one stretch only, of the page's own size.
const STRETCH: (i64, i64) = (4096, 65_536);

/// A stretch of positions whose months were looked up, and the state of the log at that time.
#[derive(Debug)]
pub(super) struct PositionSpan {
    /// Windows over the months in which the events at these positions happened.
    pub(super) windows: Vec<MonthWindow>,
    /// The number of the last position in reading order; None for an empty stretch.
    pub(super) end: Option<i64>,
    /// Number of positions.
    pub(super) size: i64,
    /// The number of the log's end.
    pub(super) head: i64,
    /// The number of the last change of partitions.
    pub(super) number: i64,
    /// The tag of the era in which the log ended.
    pub(super) era: i64,
}

/// A stretch as the database returns it: end, size, head, era, number of the last change of partitions, starts of
/// months.
type StretchRow = (Option<i64>, i64, i64, i64, i64, Vec<OffsetDateTime>);

impl Store {
    /// Looks up a stretch of at most `size` positions. The caller adds its conditions on `arrival a`.
    pub(super) async fn stretch(
        &self,
        months: &Months,
        is_descending: bool,
        size: i64,
        push_conditions: impl FnOnce(&mut QueryBuilder<Postgres>),
    ) -> Result<PositionSpan, StoreError> {
        let (end, way) = if is_descending { ("min", " DESC") } else { ("max", "") };
        let mut query = QueryBuilder::new("SELECT ");
        query.push(end).push(
            "(s.position), count(s.position), h.position, h.era, p.number, \
             array_remove(array_agg(DISTINCT date_trunc('month', s.published, 'UTC')), NULL) \
             FROM log_head h CROSS JOIN partition_change p LEFT JOIN (SELECT a.position, a.published FROM arrival a WHERE true",
        );
        push_conditions(&mut query);
        query.push(" ORDER BY a.position").push(way).push(" LIMIT ").push_bind(size);
        query.push(") s ON true WHERE h.tableoid = h.home GROUP BY h.position, h.era, p.number");
        let row: Option<StretchRow> = query.build_query_as().fetch_optional(&self.reads).await?;
        let (end, size, head, era, number, starts) = row.ok_or(StoreError::Restored)?;
        Ok(PositionSpan { windows: months.windows_of_starts(&starts), end, size, head, number, era })
    }
}

impl Scan<'_> {
    /// Reads a page in the order of the log.
    pub(super) async fn walk(mut self, store: &Store, months: &Months) -> Result<PageRows, StoreError> {
        let within = months.between(self.wanted.published.from, self.wanted.published.until);
        if within.len() <= MONTHS_AT_ONCE {
            let window = if months.are_few() { MonthWindow::default() } else { MonthWindow::of(within) };
            if self.is_adaptive() {
                return self.walk_adaptively(store, &window).await;
            }
            let reads = store.reads.planned_for_values();
            return PageRows::of(self.query(&Source::Log(&window, LogMethod::Walk)).build().fetch_all(&reads).await?);
        }
        let is_whole = **self.wanted == Filter::default();
        let mut size = if is_whole { self.limit } else { STRETCH.0 };
        let mut first: Option<PageRows> = None;
        loop {
            self.stretch.1 = None;
            let head = first.as_ref().map(|first| first.head);
            let stretch = store.stretch(months, self.is_descending, size, |query| {
                self.push_bounds(query, "a");
                if let Some(head) = head {
                    query.push(" AND a.position <= ").push_bind(head);
                }
            });
            let PositionSpan { windows, end, size: found_size, head, number, era } = stretch.await?;
            let answer = first.get_or_insert(PageRows { rows: Vec::new(), head, number, era });
            answer.era = era;
            self.stretch.1 = end;
            self.read_windows(store, windows, LogMethod::Walk, answer).await?;
            if self.limit > 0 && found_size == size && self.is_pinned() {
                self.stretch = (end, None);
                let within = Months::windows(within);
                self.read_windows(store, within, LogMethod::Sort, answer).await?;
            } else if self.limit > 0 && found_size == size {
                self.stretch.0 = end;
                size = (size * 4).clamp(STRETCH.0, STRETCH.1);
                continue;
            }
            if let Some(answer) = first {
                return Ok(answer);
            }
        }
    }

    /// Reads a page of a filter: first by a look at the first events of the log, then by an index if there is one.
    async fn walk_adaptively(&mut self, store: &Store, window: &MonthWindow) -> Result<PageRows, StoreError> {
        let (answer, is_partial) = self.look(store, &Source::Log(window, LogMethod::Walk)).await?;
        if !is_partial {
            return Ok(answer);
        }
        let method = if self.is_pinned() { LogMethod::Sort } else { LogMethod::Walk };
        Ok(answer.with(self.read_pinned(store, &Source::Log(window, method), true).await?))
    }

    /// Returns true if the indexes of the months find all matching events.
    fn is_pinned(&self) -> bool {
        pins::is_pinned(self.wanted)
    }

    /// Reads windows, and adds the page's next events to the answer, in any order.
    async fn read_windows(
        &mut self,
        store: &Store,
        windows: Vec<MonthWindow>,
        method: LogMethod,
        answer: &mut PageRows,
    ) -> Result<(), StoreError> {
        let (mut rows, is_one) = (Vec::new(), windows.len() == 1);
        for window in windows {
            let window = window.through(answer.head);
            let source = Source::Log(&window, method);
            let more = if method == LogMethod::Sort && self.is_adaptive() {
                // Any window may have the page's first events, so each is read for the whole page.
                let (limit, stretch) = (self.limit, self.stretch);
                let more = self.read_pinned(store, &source, is_one).await?;
                (self.limit, self.stretch) = (limit, stretch);
                more
            } else {
                let mut query = self.query(&source);
                let query = query.build().persistent(is_one);
                PageRows::of(query.fetch_all(&store.reads.planned_for_values()).await?)?
            };
            answer.era = more.era;
            rows.extend(more.rows);
            keep_first(&mut rows, self.is_descending, self.limit);
        }
        self.limit -= event_count(&rows);
        answer.rows.extend(rows);
        Ok(())
    }
}

/// Drops the rows without an event, and keeps the first `limit` of the others in reading order.
fn keep_first(rows: &mut Vec<PgRow>, is_descending: bool, limit: i64) {
    let position = |row: &PgRow| row.try_get::<Option<i64>, _>(0).ok().flatten();
    rows.retain(|row| position(row).is_some());
    rows.sort_by_key(position);
    if is_descending {
        rows.reverse();
    }
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
}
