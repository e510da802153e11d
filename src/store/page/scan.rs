//! A scan: the parameters and the progress of reading a page from one end of a list.

use sqlx::postgres::PgRow;
use sqlx::{Postgres, QueryBuilder, Row as _};
use time::OffsetDateTime;

use crate::event::{Cursor, Direction, EventOrder, EventOrderField, Filter, Narrowed, PageRequest, Timestamp};
use crate::store::StoreError;
use crate::store::access_path::Access;
use crate::store::months::Partition;
use crate::store::row::Layout;
use crate::store::windows::MonthWindow;

/// Maximum number of sources that a scan looks at: the nearest months may have few events, or none yet.
const MAX_LOOKED_SOURCES: usize = 3;

/// A place in the log, in the form that the database compares.
#[derive(Clone, Copy)]
pub(in crate::store) struct Bound {
    pub(super) published: Timestamp,
    /// The database's number for the position.
    pub(super) number: i64,
}

impl Bound {
    /// Returns the bound at an event; None if an outer join found no event.
    pub(super) fn at(published: Option<OffsetDateTime>, number: Option<i64>) -> Option<Self> {
        published.zip(number).map(|(published, number)| Self { published: Timestamp::from(published), number })
    }
}

/// A scan for the events of one page. Each statement advances the scan.
pub(in crate::store) struct Scan<'a> {
    pub(super) layout: &'a Layout,
    pub(in crate::store) wanted: &'a Narrowed,
    pub(super) access: Access<'a>,
    pub(super) field: EventOrderField,
    pub(in crate::store) is_descending: bool,
    /// The bounds of the events to read, both exclusive.
    pub(super) above: Option<Bound>,
    pub(super) below: Option<Bound>,
    /// The stretch of the log to read, in reading order: after the first number, through the second. None is no limit.
    pub(in crate::store) stretch: (Option<i64>, Option<i64>),
    /// Number of events that the page still lacks, one for the next page included.
    pub(in crate::store) limit: i64,
    /// Number of sources whose first events the scan may still look at.
    pub(super) looks: usize,
    /// The moment at which the page is expected to be full, judged by the last look.
    pub(super) expected_end: Option<Timestamp>,
    /// The end of the log at the first look. Later statements read no events beyond it.
    pub(super) head: Option<i64>,
}

/// The part of the log that one statement reads.
pub(in crate::store) enum Source<'a> {
    /// These months.
    Months(&'a [Partition]),
    /// All months on the far side of this one, as of this end of the log.
    Beyond(&'a Partition, i64),
    /// The months of a window.
    MonthWindow(&'a MonthWindow),
    /// The events of a window's months, in the order of the log.
    Log(&'a MonthWindow, LogMethod),
}

/// Method of reading events in the order of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum LogMethod {
    /// The statement follows `arrival`, event by event.
    Walk,
    /// The statement finds the matching events by the indexes of the months, and sorts them.
    Sort,
}

impl Source<'_> {
    /// Returns the window of the source, if it is one.
    const fn window(&self) -> Option<&MonthWindow> {
        match self {
            Self::MonthWindow(window) | Self::Log(window, _) => Some(window),
            Self::Months(_) | Self::Beyond(..) => None,
        }
    }

    /// Adds the condition that a row of a table alias belongs to the months of the window.
    pub(super) fn push_months(&self, query: &mut QueryBuilder<Postgres>, alias: &str) {
        if let Some(window) = self.window() {
            window.push_months(query, alias);
        }
    }
}

/// Rows of a page, and the state of the log in the snapshot from which they were read.
pub(in crate::store) struct PageRows {
    pub(in crate::store) rows: Vec<PgRow>,
    /// The number of the log's end; the first of several statements determines it.
    pub(in crate::store) head: i64,
    /// The number of the last change of partitions; the first of several statements determines it.
    pub(in crate::store) number: i64,
    /// The tag of the era in which the log ended; the last of several statements determines it.
    pub(in crate::store) era: i64,
}

impl PageRows {
    /// Returns the rows of a statement, each of which has the state of the log.
    pub(in crate::store) fn of(rows: Vec<PgRow>) -> Result<Self, StoreError> {
        let first = rows.first().ok_or(StoreError::Restored)?;
        let (head, number, era) = (first.try_get("head")?, first.try_get("number")?, first.try_get("era")?);
        Ok(Self { rows, head, number, era })
    }

    /// Adds the rows of a later statement.
    pub(in crate::store) fn with(mut self, more: Self) -> Self {
        self.rows.extend(more.rows);
        Self { era: more.era, ..self }
    }
}

/// Returns the number of rows that have an event. An outer join may have found none.
pub(in crate::store) fn event_count(rows: &[PgRow]) -> i64 {
    let has_event = |row: &&PgRow| row.try_get::<Option<i64>, _>(0).is_ok_and(|position| position.is_some());
    i64::try_from(rows.iter().filter(has_event).count()).unwrap_or(i64::MAX)
}

impl<'a> Scan<'a> {
    /// Returns the scan for a page. `after` and `before` are the page's cursors.
    pub(super) fn new(
        wanted: &'a Narrowed,
        order: EventOrder,
        request: &PageRequest<Cursor>,
        [after, before]: [Option<Bound>; 2],
        layout: &'a Layout,
    ) -> Self {
        let (above, below) = if order.is_descending { (before, after) } else { (after, before) };
        Self {
            layout,
            wanted,
            access: Access::of(wanted, order.field),
            field: order.field,
            is_descending: order.is_descending == (request.direction == Direction::Forward),
            above,
            below,
            stretch: (None, None),
            limit: i64::try_from(request.size).unwrap_or(i64::MAX).saturating_add(1),
            looks: MAX_LOOKED_SOURCES,
            expected_end: None,
            head: None,
        }
    }

    /// Returns true if the filter's lists are read adaptively.
    pub(in crate::store) const fn is_adaptive(&self) -> bool {
        matches!(self.access, Access::Adaptive(_))
    }

    pub(super) fn is_by_time(&self) -> bool {
        self.field == EventOrderField::Published
    }

    /// Returns true if a generic plan is best for all values, as the events are a range of an index with conditions that
    /// only drop some of them.
    pub(super) fn is_range(&self) -> bool {
        let Filter { admin, user, application_user, search, and, or, not, .. } = &**self.wanted;
        let mut people = [admin, user, application_user].into_iter().flatten();
        let is_nested = !and.is_empty() || or.is_some() || not.is_some();
        !is_nested && search.is_none() && people.all(|person| person.search.is_none())
    }
}
