//! Pages of events, each as fast as the first.
//!
//! A page in the order of time is a range of an index in each month. The first statement reads only the two nearest
//! months, which usually fill the page: planning for every partition would take longer than reading the page. If the
//! page is not full, the other months follow, without the events that were appended after the first statement. One
//! statement reads them if the log has few months; otherwise one statement reads each window, the nearest first, until
//! the page is full. `walk.rs` reads pages in the order of the log, and `page/adaptive.rs` those of filters with lists.

mod adaptive;
mod collect;
mod ranges;

pub(super) use collect::MOST_COLLECTED;
pub(super) use ranges::push_event_at;

use std::sync::Arc;

use sqlx::postgres::PgRow;
use sqlx::{Postgres, QueryBuilder, Row as _};

use super::eras::{Eras, MAX_ATTEMPTS};
use super::partitions::{Months, Partition};
use super::pins::Access;
use super::row::{self, Layout, StoredEvent};
use super::windows::MonthWindow;
use super::{Store, StoreError};
use crate::event::{
    Cursor, Direction, EventColumns, EventOrder, EventOrderField, Filter, Narrowed, Page, PageRequest, Position,
    Timestamp,
};
use crate::postgres::connections::ConnectionPool;

/// A page of events, and the log's end in the same snapshot.
#[derive(Debug)]
pub struct EventPage {
    /// The page.
    pub page: Page<StoredEvent>,
    /// The log's end when it was read.
    pub head: Position,
}

/// Number of months that are read before all others: of an ordinary page, and of one that looks up a list in each index.
const NEAREST: (usize, usize) = (2, 5);

/// A cursor in the form that the database compares.
#[derive(Clone, Copy)]
struct Bound {
    published: Timestamp,
    /// The database's number for the position.
    number: i64,
}

/// Number of windows whose statements a connection keeps prepared. A plan for a window takes 300 kB of the database's
/// memory, so statements for months further away are planned at each use, which takes 2 ms.
const PREPARED_WINDOWS: usize = 2;

/// What is read: from one end of a list on.
pub(super) struct Scan<'a> {
    layout: &'a Layout,
    pub(super) wanted: &'a Narrowed,
    pub(super) access: Access<'a>,
    field: EventOrderField,
    pub(super) is_descending: bool,
    above: Option<Bound>,
    below: Option<Bound>,
    /// The stretch of the log to read, in reading order: after the first number, through the second. None is no limit.
    pub(super) stretch: (Option<i64>, Option<i64>),
    pub(super) limit: i64,
    /// Number of sources at whose first events the scan may still look.
    looks: usize,
    /// The end of the log at the first look. Later statements read no events beyond it.
    head: Option<i64>,
}

/// Where it is read.
pub(super) enum Source<'a> {
    /// In these months.
    Months(&'a [Partition]),
    /// In all months on the far side of this one, as of this end of the log.
    Beyond(&'a Partition, i64),
    /// The months of a window.
    MonthWindow(&'a MonthWindow),
    /// The events of a window's months, in the order of the log.
    Log(&'a MonthWindow, Way),
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
    fn push_months(&self, query: &mut QueryBuilder<Postgres>, alias: &str) {
        if let Some(window) = self.window() {
            window.push_months(query, alias);
        }
    }
}

/// Method of reading events in the order of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The statement goes through `arrival`, one event after the other.
    Walked,
    /// The statement finds the matching events by the indexes of the months, and sorts them.
    Gathered,
}

impl Store {
    /// Reads these columns of a page of the events that match.
    ///
    /// # Errors
    /// The database's.
    pub async fn page(
        &self,
        wanted: &Narrowed,
        order: EventOrder,
        request: &PageRequest<Cursor>,
        columns: EventColumns,
    ) -> Result<EventPage, StoreError> {
        let layout = Layout::of(columns);
        for _ in 0..MAX_ATTEMPTS {
            let (known, cut) = self.bounds(request).await?;
            let months = self.months().await?;
            let scan = Scan::new(wanted, order, request, cut, &layout);
            let PageRows { rows, head, number, era } = scan.read(self, &months).await?;
            let Some(eras) = self.eras_ending_in(era).await?.filter(|eras| **eras == *known) else { continue };
            if self.saw_all(&months, number).await? {
                let mut events = row::events(rows, &layout, &eras)?;
                // They come in this order already; SQL promises it only to who sorts once more.
                events.sort_by(|one, other| order.compare(one, other, request.direction));
                let head = self.note_read(eras.position(head).ok_or(StoreError::DamagedEras)?);
                return Ok(EventPage { page: Page::from_read(events, request), head });
            }
        }
        Err(StoreError::Changing)
    }

    /// Converts the cursors of a request, `after` first; returns them with the eras that their numbers belong to.
    async fn bounds(&self, request: &PageRequest<Cursor>) -> Result<(Arc<Eras>, [Option<Bound>; 2]), StoreError> {
        let cursors = [request.bounds.after, request.bounds.before];
        let positions = cursors.map(|cursor| cursor.map_or(Position::START, |cursor| cursor.position));
        let (eras, [after, before]) = self.numbers(positions).await?;
        let bound = |cursor: Option<Cursor>, number| Some(Bound { published: cursor?.published, number });
        Ok((eras, [bound(request.bounds.after, after), bound(request.bounds.before, before)]))
    }
}

/// Rows of a page, and the state of the log in the snapshot from which they were read.
pub(super) struct PageRows {
    pub(super) rows: Vec<PgRow>,
    /// The number of the log's end; the first of several statements determines it.
    pub(super) head: i64,
    /// The number of the last change of partitions; the first of several statements determines it.
    pub(super) number: i64,
    /// The tag of the era in which the log ended; the last of several statements determines it.
    pub(super) era: i64,
}

impl PageRows {
    /// Adds the rows of a later statement.
    pub(super) fn with(mut self, more: Self) -> Self {
        self.rows.extend(more.rows);
        Self { era: more.era, ..self }
    }
}

impl<'a> Scan<'a> {
    fn new(
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
            looks: adaptive::MAX_LOOKED_SOURCES,
            head: None,
        }
    }

    async fn read(mut self, store: &Store, months: &Months) -> Result<PageRows, StoreError> {
        if self.field == EventOrderField::Position {
            return self.walk(store, months).await;
        }
        let within = self.months(months);
        let middle = if self.is_adaptive() { NEAREST.1 } else { NEAREST.0 }.min(within.len());
        let (nearest, others) = if self.is_descending {
            let (others, nearest) = within.split_at(within.len() - middle);
            (nearest, others)
        } else {
            within.split_at(middle)
        };
        let mut answer = if self.is_adaptive() {
            self.read_adaptively(store, &Source::MonthWindow(&MonthWindow::of(nearest)), true).await?
        } else {
            let answer = told(self.query(&Source::Months(nearest)).build().fetch_all(&self.reads(store)).await?)?;
            self.limit -= found(&answer.rows);
            answer
        };
        let last = if self.is_descending { nearest.first() } else { nearest.last() };
        let Some(last) = last.filter(|_| self.limit > 0 && !others.is_empty()) else { return Ok(answer) };
        if months.are_few() {
            let head = answer.head;
            return self.read_more(store, &Source::Beyond(last, head), true, answer).await;
        }
        let mut windows = Months::windows(others);
        if self.is_descending {
            windows.reverse();
        }
        for (nth, window) in windows.into_iter().enumerate() {
            let window = window.through(answer.head);
            answer = self.read_more(store, &Source::MonthWindow(&window), nth < PREPARED_WINDOWS, answer).await?;
            if self.limit <= 0 {
                break;
            }
        }
        Ok(answer)
    }

    /// Reads a further source, and adds the page's next events to the answer.
    async fn read_more(
        &mut self,
        store: &Store,
        source: &Source<'_>,
        is_persistent: bool,
        answer: PageRows,
    ) -> Result<PageRows, StoreError> {
        let more = if self.is_adaptive() {
            self.read_adaptively(store, source, is_persistent).await?
        } else {
            let mut query = self.query(source);
            let more = told(query.build().persistent(is_persistent).fetch_all(&self.reads(store)).await?)?;
            self.limit -= found(&more.rows);
            more
        };
        Ok(answer.with(more))
    }

    /// Returns the connections whose plans suit the filter.
    fn reads(&self, store: &Store) -> ConnectionPool {
        if self.is_range() { store.reads.clone() } else { store.reads.planned_for_values() }
    }

    pub(super) const fn is_adaptive(&self) -> bool {
        matches!(self.access, Access::Adaptive(_))
    }

    /// Whether one plan is best whatever the values: a range of an index, of which something may be left out.
    fn is_range(&self) -> bool {
        let Filter { admin, user, application_user, search, and, or, not, .. } = &**self.wanted;
        let mut people = [admin, user, application_user].into_iter().flatten();
        let is_nested = !and.is_empty() || or.is_some() || not.is_some();
        !is_nested && search.is_none() && people.all(|person| person.search.is_none())
    }

    /// The months in which something may be.
    fn months<'m>(&self, months: &'m Months) -> &'m [Partition] {
        let later = |one: Option<Timestamp>, other: Option<Timestamp>| one.max(other);
        let earlier = |one: Option<Timestamp>, other: Option<Timestamp>| match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        let moment = |bound: Option<Bound>| bound.map(|bound| bound.published);
        let published = self.wanted.published;
        months.between(later(published.from, moment(self.above)), earlier(published.until, moment(self.below)))
    }

    pub(super) fn query(&self, source: &Source<'_>) -> QueryBuilder<Postgres> {
        let mut query = QueryBuilder::new("SELECT ");
        query.push(&self.layout.list).push(
            ", h.position AS head, h.era, p.number FROM log_head h CROSS JOIN partition_change p LEFT JOIN LATERAL (",
        );
        match source {
            Source::Months([]) => {
                query.push("SELECT * FROM sync_event WHERE false");
            }
            Source::Months([month]) => self.push_range(&mut query, &month.table, source),
            Source::Months(months) => {
                for (nth, month) in months.iter().enumerate() {
                    query.push(if nth == 0 { "SELECT * FROM ((" } else { " UNION ALL (" });
                    self.push_range(&mut query, &month.table, source);
                    query.push(")");
                }
                query.push(") e").push(self.order("e")).push(" LIMIT ").push_bind(self.limit);
            }
            Source::Beyond(..) | Source::MonthWindow(_) | Source::Log(_, Way::Gathered) => {
                self.push_range(&mut query, "sync_event", source);
            }
            Source::Log(window, Way::Walked) => self.push_walk(&mut query, window),
        }
        query.push(") e ON true");
        query.push(IN_AN_ERA);
        query
    }
}

/// Condition that the log is not a restored one in which no era has begun.
const IN_AN_ERA: &str = " WHERE h.tableoid = h.home";

/// Returns the number of rows that hold an event.
pub(super) fn found(rows: &[PgRow]) -> i64 {
    let has_event = |row: &&PgRow| row.try_get::<Option<i64>, _>(0).is_ok_and(|position| position.is_some());
    i64::try_from(rows.iter().filter(has_event).count()).unwrap_or(i64::MAX)
}

pub(super) fn told(rows: Vec<PgRow>) -> Result<PageRows, StoreError> {
    let first = rows.first().ok_or(StoreError::Restored)?;
    let (head, number, era) = (first.try_get("head")?, first.try_get("number")?, first.try_get("era")?);
    Ok(PageRows { rows, head, number, era })
}
