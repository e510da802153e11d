//! Pages in the order of the log, through `arrival`, which has that order over all months.
//!
//! One statement reads a page where it may read all the months that the page's filter leaves. Where these are too many, the
//! log is gone through a stretch of positions at a time: the months of a stretch are looked up in `arrival`, and read by
//! their names. A filter by which few events are found, through an index of each month, is not gone after through all of
//! the log: what it finds beyond the first stretch is gathered from all windows and put in order.

use sqlx::postgres::PgRow;
use sqlx::{Postgres, QueryBuilder, Row as _};
use time::OffsetDateTime;

use super::page::{Answer, Scan, Source, Way, found, told};
use super::partitions::Months;
use super::pins;
use super::windows::{MONTHS_AT_ONCE, Window};
use super::{Store, StoreError};
use crate::event::Filter;

/// How many positions the first stretch has, and how many the longest has; each has four times as many as the one before.
const STRETCH: (i64, i64) = (4096, 65_536);

/// A stretch of the log.
#[derive(Debug)]
pub(super) struct Stretch {
    /// The months in which its events happened.
    pub(super) windows: Vec<Window>,
    /// Its last position, as seen by who goes through it; None where there is nothing.
    pub(super) end: Option<i64>,
    /// How many positions it has.
    pub(super) size: i64,
    /// The log's end when it was looked up.
    pub(super) head: i64,
    /// The number of the last change of partitions then.
    pub(super) number: i64,
    /// The tag of the era in which the log ended then.
    pub(super) era: i64,
}

/// The end and the size of a stretch; the head, the era and the number of the last change of partitions; the months.
type StretchRow = (Option<i64>, i64, i64, i64, i64, Vec<OffsetDateTime>);

impl Store {
    /// Looks up a stretch of so many positions at most, of which the conditions on `arrival a` are given.
    pub(super) async fn stretch(
        &self,
        months: &Months,
        is_descending: bool,
        size: i64,
        push_conditions: impl FnOnce(&mut QueryBuilder<Postgres>),
    ) -> Result<Stretch, StoreError> {
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
        Ok(Stretch { windows: months.windows_of_starts(&starts), end, size, head, number, era })
    }
}

impl Scan<'_> {
    /// A page in the order of the log.
    pub(super) async fn walk(mut self, store: &Store, months: &Months) -> Result<Answer, StoreError> {
        let within = months.between(self.wanted.published.from, self.wanted.published.until);
        if within.len() <= MONTHS_AT_ONCE {
            let window = if months.are_few() { Window::default() } else { Window::of(within) };
            let reads = store.reads.planned_for_values();
            return told(self.query(&Source::Log(&window, Way::Walked)).build().fetch_all(&reads).await?);
        }
        let is_whole = *self.wanted == Filter::default();
        let mut size = if is_whole { self.limit } else { STRETCH.0 };
        let mut first: Option<Answer> = None;
        loop {
            self.stretch.1 = None;
            let head = first.as_ref().map(|first| first.head);
            let stretch = store.stretch(months, self.is_descending, size, |query| {
                self.push_bounds(query, "a");
                if let Some(head) = head {
                    query.push(" AND a.position <= ").push_bind(head);
                }
            });
            let Stretch { windows, end, size: found_size, head, number, era } = stretch.await?;
            let answer = first.get_or_insert(Answer { rows: Vec::new(), head, number, era });
            answer.era = era;
            self.stretch.1 = end;
            self.read_windows(store, windows, Way::Walked, answer).await?;
            if self.limit > 0 && found_size == size && pins::is_pinned(self.wanted) {
                self.stretch = (end, None);
                let within = Months::windows(within);
                self.read_windows(store, within, Way::Gathered, answer).await?;
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

    /// Adds the first that match in all of some windows, in no order.
    async fn read_windows(
        &mut self,
        store: &Store,
        windows: Vec<Window>,
        way: Way,
        answer: &mut Answer,
    ) -> Result<(), StoreError> {
        let (mut rows, is_one) = (Vec::new(), windows.len() == 1);
        for window in windows {
            let window = window.through(answer.head);
            let mut query = self.query(&Source::Log(&window, way));
            let query = query.build().persistent(is_one);
            let more = told(query.fetch_all(&store.reads.planned_for_values()).await?)?;
            answer.era = more.era;
            rows.extend(more.rows);
            keep_first(&mut rows, self.is_descending, self.limit);
        }
        self.limit -= found(&rows);
        answer.rows.extend(rows);
        Ok(())
    }
}

/// Keeps so many of the rows that hold an event, those that come first.
fn keep_first(rows: &mut Vec<PgRow>, is_descending: bool, limit: i64) {
    let position = |row: &PgRow| row.try_get::<Option<i64>, _>(0).ok().flatten();
    rows.retain(|row| position(row).is_some());
    rows.sort_by_key(position);
    if is_descending {
        rows.reverse();
    }
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
}
