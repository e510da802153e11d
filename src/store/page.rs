//! Pages of events. A later page takes no longer than the first one.
//!
//! A page in the order of time is a range of an index in each month. The first statement reads only the two nearest
//! months, which usually fill the page: planning for every partition would take longer than reading the page. If the
//! page is not full, the other months follow, without the events that were appended after the first statement. One
//! statement reads them if the log has few months; otherwise one statement reads each window, the nearest first, until
//! the page is full. `walk.rs` reads pages in the order of the log, and `page/adaptive.rs` those of filters with lists.

mod adaptive;
mod collect;
mod ranges;
mod scan;

pub(super) use collect::MOST_COLLECTED;
pub(super) use ranges::push_event_at;
pub(super) use scan::{LogMethod, PageRows, Scan, Source, event_count};

use std::sync::Arc;

use sqlx::{Postgres, QueryBuilder};

use super::eras::{Eras, MAX_ATTEMPTS};
use super::months::{Months, Partition};
use super::row::{self, Layout, StoredEvent};
use super::windows::MonthWindow;
use super::{Store, StoreError};
use crate::event::{
    Cursor, EventColumns, EventOrder, EventOrderField, Narrowed, Page, PageRequest, Position, Timestamp,
};
use crate::postgres::connections::ConnectionPool;
use scan::Bound;

/// A page of events, and the log's end.
#[derive(Debug)]
pub struct EventPage {
    /// The page.
    pub page: Page<StoredEvent>,
    /// The log's end in the snapshot of the page.
    pub head: Position,
}

impl EventPage {
    /// Returns a page of no events, for a request that asks for none.
    pub const fn empty(head: Position) -> Self {
        Self { page: Page { items: Vec::new(), has_next: false, has_previous: false }, head }
    }
}

/// Number of months that the first statement reads.
const NEAREST_MONTHS: usize = 2;

/// Number of months in the first source of an adaptive scan, which sends several statements for each source.
const NEAREST_ADAPTIVE_MONTHS: usize = 5;

/// Number of windows whose statements a connection keeps prepared. A plan for a window takes 300 kB of the database's
/// memory, so statements for months further away are planned at each use, which takes 2 ms.
const PREPARED_WINDOWS: usize = 2;

impl Store {
    /// Reads a page of the events that match, with these columns.
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
                // The rows come in this order, but SQL does not guarantee that for joins of an ordered subquery.
                events.sort_by(|one, other| order.compare(one, other, request.direction));
                let head = self.note_read(eras.position(head).ok_or(StoreError::DamagedEras)?);
                return Ok(EventPage { page: Page::from_read(events, request), head });
            }
        }
        Err(StoreError::Changing)
    }

    /// Returns the cursors of a request as bounds, `after` first, with the eras that their numbers belong to.
    async fn bounds(&self, request: &PageRequest<Cursor>) -> Result<(Arc<Eras>, [Option<Bound>; 2]), StoreError> {
        let cursors = [request.bounds.after, request.bounds.before];
        let positions = cursors.map(|cursor| cursor.map_or(Position::START, |cursor| cursor.position));
        let (eras, [after, before]) = self.numbers(positions).await?;
        let bound = |cursor: Option<Cursor>, number| Some(Bound { published: cursor?.published, number });
        Ok((eras, [bound(request.bounds.after, after), bound(request.bounds.before, before)]))
    }
}

impl Scan<'_> {
    /// Reads the events of the page, in the order of time or by a walk.
    async fn read(mut self, store: &Store, months: &Months) -> Result<PageRows, StoreError> {
        if self.field == EventOrderField::Position {
            return self.walk(store, months).await;
        }
        let within = self.months(months);
        let middle = if self.is_adaptive() { NEAREST_ADAPTIVE_MONTHS } else { NEAREST_MONTHS }.min(within.len());
        let (nearest, others) = if self.is_descending {
            let (others, nearest) = within.split_at(within.len() - middle);
            (nearest, others)
        } else {
            within.split_at(middle)
        };
        let mut answer = if self.is_adaptive() {
            self.read_adaptively(store, &Source::MonthWindow(&MonthWindow::of(nearest)), true).await?
        } else {
            let answer =
                PageRows::of(self.query(&Source::Months(nearest)).build().fetch_all(&self.reads(store)).await?)?;
            self.limit -= event_count(&answer.rows);
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
            let more = PageRows::of(query.build().persistent(is_persistent).fetch_all(&self.reads(store)).await?)?;
            self.limit -= event_count(&more.rows);
            more
        };
        Ok(answer.with(more))
    }

    /// Returns the pool whose plans suit the filter.
    fn reads(&self, store: &Store) -> ConnectionPool {
        if self.is_range() { store.reads.clone() } else { store.reads.planned_for_values() }
    }

    /// Returns the months in which the filter and the cursors allow events.
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

    /// Returns the statement that reads a page's events from a source.
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
            Source::Beyond(..) | Source::MonthWindow(_) | Source::Log(_, LogMethod::Sort) => {
                self.push_range(&mut query, "sync_event", source);
            }
            Source::Log(window, LogMethod::Walk) => self.push_walk(&mut query, window),
        }
        query.push(") e ON true");
        query.push(IN_AN_ERA);
        query
    }
}

/// Condition that an era has begun since the last restore.
const IN_AN_ERA: &str = " WHERE h.tableoid = h.home";
