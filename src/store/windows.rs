//! Windows of months. A statement reads one window, which bounds the number of its locks for logs of any length.
//!
//! PostgreSQL locks each partition that a statement might read, with all indexes, while it plans the statement, and
//! keeps the locks until the statement ends. All connections of a server share one lock table
//! (`max_locks_per_transaction` × connections). A log of more than [`MONTHS_AT_ONCE`] months is therefore read in
//! several statements. The text of each contains the bounds of its months: with bounds as parameters, PostgreSQL would make
//! a generic plan, which locks every month.

use sqlx::{Postgres, QueryBuilder};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::eras::MAX_ATTEMPTS;
use super::months::{Months, Partition};
use super::{Store, StoreError};
use crate::event::{Position, TimeRange};

/// Number of tables and indexes of a month: 19 of `sync_event`, and 2 of its TOAST table, which holds large values.
pub(super) const RELATIONS_OF_MONTH: u32 = 21;

/// Maximum number of months that one statement reads: the number of months that one year may overlap. Such a statement
/// takes at most 300 locks, those of other tables included. PostgreSQL's default settings allow 15,616 (64 for each of 122
/// processes, each held by two on average). So three gateways can read on all of their 48 connections at once.
pub(super) const MONTHS_AT_ONCE: usize = 13;

/// Maximum number of locks that one statement takes.
pub(super) const LOCKS_AT_ONCE: u32 = 300;

/// The months that one statement reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct MonthWindow {
    /// Ranges of time, each from the start of one month to the start of another. None stands for all months.
    ranges: Option<Vec<(OffsetDateTime, OffsetDateTime)>>,
    /// The number of the last position to read; None to read to the log's end.
    through: Option<i64>,
}

impl MonthWindow {
    /// Returns the window of these months, which must be sorted.
    pub(super) fn of<'m>(months: impl IntoIterator<Item = &'m Partition>) -> Self {
        let mut ranges: Vec<(OffsetDateTime, OffsetDateTime)> = Vec::new();
        for month in months {
            match ranges.last_mut() {
                Some((_, end)) if *end == month.start => *end = month.end,
                _ => ranges.push((month.start, month.end)),
            }
        }
        Self { ranges: Some(ranges), through: None }
    }

    /// Returns the window without the events after the position with this number.
    pub(super) fn through(self, position: i64) -> Self {
        Self { through: Some(position), ..self }
    }

    /// Returns true if the window covers this moment.
    pub(super) fn contains(&self, moment: OffsetDateTime) -> bool {
        let covers = |(start, end): &(OffsetDateTime, OffsetDateTime)| *start <= moment && moment < *end;
        self.ranges.as_ref().is_none_or(|ranges| ranges.iter().any(covers))
    }

    /// Adds the window's conditions on the rows of a table alias.
    pub(super) fn push(&self, query: &mut QueryBuilder<Postgres>, alias: &str) {
        self.push_months(query, alias);
        if let Some(through) = self.through {
            query.push(" AND ").push(alias).push(".position <= ").push_bind(through);
        }
    }

    /// Adds only the conditions on `published`.
    pub(super) fn push_months(&self, query: &mut QueryBuilder<Postgres>, alias: &str) {
        let Some(ranges) = &self.ranges else { return };
        let literal = |moment: &OffsetDateTime| moment.format(&Rfc3339).unwrap_or_default();
        let within = ranges.iter().map(|(start, end)| {
            let (start, end) = (literal(start), literal(end));
            format!("{alias}.published >= '{start}' AND {alias}.published < '{end}'")
        });
        let within = within.collect::<Vec<_>>().join(" OR ");
        query.push(" AND (").push(if within.is_empty() { "false" } else { &within }).push(")");
    }
}

impl Months {
    /// Divides months into windows, the oldest first: one window for up to [`MONTHS_AT_ONCE`] months, else one for each
    /// calendar year. Calendar years keep the statements the same while the log grows.
    pub(super) fn windows(months: &[Partition]) -> Vec<MonthWindow> {
        if months.is_empty() {
            Vec::new()
        } else if months.len() <= MONTHS_AT_ONCE {
            vec![MonthWindow::of(months)]
        } else {
            months.chunk_by(|one, next| one.start.year() == next.start.year()).map(MonthWindow::of).collect()
        }
    }

    /// Returns windows over the months that start at these moments.
    pub(super) fn windows_of_starts(&self, starts: &[OffsetDateTime]) -> Vec<MonthWindow> {
        let months: Vec<_> = self.months.iter().filter(|month| starts.contains(&month.start)).collect();
        months.chunks(MONTHS_AT_ONCE).map(|months| MonthWindow::of(months.iter().copied())).collect()
    }

    /// Returns true if one statement may read all months.
    pub(super) fn are_few(&self) -> bool {
        self.months.len() <= MONTHS_AT_ONCE
    }
}

impl Store {
    /// Returns the windows of a range of time, the oldest first. If there are several, all of them end at the same position,
    /// so that their statements read the same state of the log.
    pub(super) async fn windows(&self, range: TimeRange) -> Result<Vec<MonthWindow>, StoreError> {
        for _ in 0..MAX_ATTEMPTS {
            let months = self.months().await?;
            let statement = "SELECT h.position, p.number FROM log_head h CROSS JOIN partition_change p \
                             WHERE h.tableoid = h.home";
            let row: Option<(i64, i64)> = sqlx::query_as(statement).fetch_optional(&self.reads).await?;
            let (head, number) = row.ok_or(StoreError::Restored)?;
            if !self.saw_all(&months, number).await? {
                continue;
            }
            if months.are_few() {
                return Ok(vec![MonthWindow::default()]);
            }
            let windows = Months::windows(months.between(range.from, range.until));
            let is_one = windows.len() == 1;
            return Ok(windows.into_iter().map(|window| if is_one { window } else { window.through(head) }).collect());
        }
        Err(StoreError::Changing)
    }

    /// Returns the windows of a range of time, the oldest first, all of which end at a position.
    pub(super) async fn windows_through(
        &self,
        range: TimeRange,
        through: Position,
    ) -> Result<Vec<MonthWindow>, StoreError> {
        let (_, [number]) = self.numbers([through]).await?;
        let windows = self.windows(range).await?;
        Ok(windows.into_iter().map(|window| window.through(number)).collect())
    }

    /// Returns the windows of all months, the oldest first, without a last position.
    pub(super) async fn all_windows(&self) -> Result<Vec<MonthWindow>, StoreError> {
        let windows = self.windows(TimeRange::default()).await?;
        Ok(windows.into_iter().map(|window| MonthWindow { through: None, ..window }).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Timestamp;

    fn months(names: &[&str]) -> Vec<Partition> {
        names.iter().map(|name| Partition::named(format!("sync_event_{name}")).unwrap()).collect()
    }

    fn condition(window: &MonthWindow) -> String {
        let mut query = QueryBuilder::new("");
        window.push(&mut query, "e");
        query.sql().as_str().to_owned()
    }

    #[test]
    fn a_window_names_its_months_in_the_text_of_the_statement() {
        let window = MonthWindow::of(&months(&["2025_12", "2026_01", "2026_03"])).through(7);
        assert_eq!(
            condition(&window),
            " AND (e.published >= '2025-12-01T00:00:00Z' AND e.published < '2026-02-01T00:00:00Z' OR \
             e.published >= '2026-03-01T00:00:00Z' AND e.published < '2026-04-01T00:00:00Z') AND e.position <= $1"
        );
        assert_eq!(condition(&MonthWindow::of(&[])), " AND (false)");
        assert_eq!(condition(&MonthWindow::default()), "");
        let at = |moment: &str| Timestamp::parse(moment).unwrap().date_time();
        assert!(window.contains(at("2026-01-31T23:59:59Z")) && !window.contains(at("2026-02-01T00:00:00Z")));
    }

    #[test]
    fn windows_are_calendar_years_where_months_are_many() {
        let names: Vec<_> =
            (0..15).map(|month| format!("{}_{:02}", 2024 + (10 + month) / 12, 1 + (10 + month) % 12)).collect();
        let months = months(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let windows = |months: &[Partition]| Months::windows(months).len();
        assert_eq!([windows(&months), windows(&months[..13]), windows(&[])], [3, 1, 0]);
    }
}
