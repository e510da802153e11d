//! Pages of events, each as fast as the first.
//!
//! A page by time is a range of an index of the months in question. The two nearest months, which mostly have it all,
//! are asked by themselves, as planning and visiting every partition would take longer than the page; the other months
//! follow where the page is not full, as of the log's end that the first answer told.

use std::sync::Arc;

use sqlx::postgres::PgRow;
use sqlx::{Postgres, QueryBuilder, Row as _};

use super::eras::{Eras, TRIES};
use super::partitions::{Months, Partition};
use super::pins::Pin;
use super::row::{self, Layout, StoredEvent};
use super::{Store, StoreError, filter};
use crate::event::{
    Cursor, Direction, EventColumns, EventOrder, EventOrderField, Filter, Page, PageRequest, Position, Timestamp,
};

/// A page of events, and the log's end in the same snapshot.
#[derive(Debug)]
pub struct EventPage {
    /// The page.
    pub page: Page<StoredEvent>,
    /// The log's end when it was read.
    pub head: Position,
}

/// How many months are asked by themselves.
const NEAREST: usize = 2;

/// A cursor, as the database compares it.
#[derive(Clone, Copy)]
struct Bound {
    published: Timestamp,
    /// The number of its position.
    number: i64,
}

/// What is read: from one end of a list on.
struct Scan<'a> {
    layout: &'a Layout,
    wanted: &'a Filter,
    pin: Option<Pin>,
    field: EventOrderField,
    is_descending: bool,
    above: Option<Bound>,
    below: Option<Bound>,
    limit: i64,
}

/// Where it is read.
enum Source<'a> {
    /// In these months.
    Months(&'a [Partition]),
    /// In all months on the far side of this one, as of this end of the log.
    Beyond(&'a Partition, i64),
    /// In the order of the log.
    Log,
}

impl Store {
    /// Reads these columns of a page of the events that match.
    ///
    /// # Errors
    /// The database's.
    pub async fn page(
        &self,
        wanted: &Filter,
        order: EventOrder,
        request: &PageRequest<Cursor>,
        columns: EventColumns,
    ) -> Result<EventPage, StoreError> {
        let layout = Layout::of(columns);
        for _ in 0..TRIES {
            let (known, cut) = self.bounds(request).await?;
            let months = self.months();
            let scan = Scan::new(wanted, order, request, cut, &layout);
            let Answer { rows, head, number, era } = scan.read(self, &months).await?;
            let Some(eras) = self.eras_ending_in(era).await?.filter(|eras| **eras == *known) else { continue };
            if self.saw_all(&months, number).await? {
                let mut events = row::events(rows, &layout, &eras)?;
                // They come in this order already; SQL promises it only to who sorts once more.
                events.sort_by(|one, other| order.compare(one, other, request.direction));
                let head = self.have_read(eras.position(head).ok_or(StoreError::Eras)?);
                return Ok(EventPage { page: Page::from_read(events, request), head });
            }
        }
        Err(StoreError::Changing)
    }

    /// The cursors of a request as the database compares them, `after` first, and the eras by which they are meant.
    async fn bounds(&self, request: &PageRequest<Cursor>) -> Result<(Arc<Eras>, [Option<Bound>; 2]), StoreError> {
        let cursors = [request.cut.after, request.cut.before];
        let positions = cursors.map(|cursor| cursor.map_or(Position::START, |cursor| cursor.position));
        let (eras, [after, before]) = self.numbers(positions).await?;
        let bound = |cursor: Option<Cursor>, number| Some(Bound { published: cursor?.published, number });
        Ok((eras, [bound(request.cut.after, after), bound(request.cut.before, before)]))
    }
}

/// What a page was read from.
struct Answer {
    rows: Vec<PgRow>,
    /// The number of the log's end.
    head: i64,
    /// The number of the last change of partitions.
    number: i64,
    /// The tag of the era in which the log ended.
    era: i64,
}

impl<'a> Scan<'a> {
    fn new(
        wanted: &'a Filter,
        order: EventOrder,
        request: &PageRequest<Cursor>,
        [after, before]: [Option<Bound>; 2],
        layout: &'a Layout,
    ) -> Self {
        let (above, below) = if order.is_descending { (before, after) } else { (after, before) };
        Self {
            layout,
            wanted,
            pin: Pin::of(wanted),
            field: order.field,
            is_descending: order.is_descending == (request.direction == Direction::Forward),
            above,
            below,
            limit: i64::try_from(request.size).unwrap_or(i64::MAX).saturating_add(1),
        }
    }

    async fn read(self, store: &Store, months: &Months) -> Result<Answer, StoreError> {
        if self.field == EventOrderField::Position {
            let reads = store.reads.planned_for_values();
            let rows = self.query(&Source::Log).build().fetch_all(&reads).await?;
            return told(rows);
        }
        let within = self.months(months);
        let middle = NEAREST.min(within.len());
        let (nearest, others) = if self.is_descending {
            let (others, nearest) = within.split_at(within.len() - middle);
            (nearest, others)
        } else {
            within.split_at(middle)
        };
        let reads = if self.is_range() { store.reads.clone() } else { store.reads.planned_for_values() };
        let rows = self.query(&Source::Months(nearest)).build().fetch_all(&reads).await?;
        let mut answer = told(rows)?;
        let found =
            answer.rows.iter().filter(|row| row.try_get::<Option<i64>, _>(0).is_ok_and(|at| at.is_some())).count();
        let missing = self.limit - i64::try_from(found).unwrap_or(i64::MAX);
        let last = if self.is_descending { nearest.first() } else { nearest.last() };
        if let Some(last) = last.filter(|_| missing > 0 && !others.is_empty()) {
            let rest = Self { limit: missing, ..self };
            answer.rows.extend(rest.query(&Source::Beyond(last, answer.head)).build().fetch_all(&reads).await?);
        }
        Ok(answer)
    }

    /// Whether one plan is best whatever the values: a range of an index, of which something may be left out.
    fn is_range(&self) -> bool {
        let Filter { admin, user, application_user, search, and, or, not, .. } = self.wanted;
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

    fn query(&self, source: &Source<'_>) -> QueryBuilder<Postgres> {
        let mut query = QueryBuilder::new("SELECT ");
        query.push(&self.layout.all).push(
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
            Source::Beyond(..) => self.push_range(&mut query, "sync_event", source),
            Source::Log => self.push_walk(&mut query),
        }
        query.push(") e ON true");
        if self.layout.has_details() {
            query.push(" LEFT JOIN sync_event_raw r ON r.published = e.published AND r.position = e.position");
        }
        query.push(" WHERE h.tableoid = h.home");
        query
    }

    /// What matches in a table, a range of an index.
    fn push_range(&self, query: &mut QueryBuilder<Postgres>, table: &str, source: &Source<'_>) {
        query.push("SELECT ").push(&self.layout.of_event).push(" FROM ");
        if let Some(pin) = &self.pin {
            query.push("(SELECT k.* FROM ");
            pin.push_values(query);
            query.push(" AS pin (value) CROSS JOIN LATERAL (SELECT e.published, e.position FROM ").push(table);
            query.push(" e WHERE ").push(pin.column).push(" = pin.value");
            self.push_conditions(query, source);
            query.push(self.order("e")).push(" LIMIT ").push_bind(self.limit);
            query.push(") k").push(self.order("k")).push(" LIMIT ").push_bind(self.limit);
            query.push(") k JOIN ").push(table).push(" e ON e.published = k.published AND e.position = k.position");
        } else {
            query.push(table).push(" e WHERE true");
            self.push_conditions(query, source);
        }
        query.push(self.order("e")).push(" LIMIT ").push_bind(self.limit);
    }

    fn push_conditions(&self, query: &mut QueryBuilder<Postgres>, source: &Source<'_>) {
        filter::push(query, self.wanted);
        // The bound on published alone is redundant, and lets partitions be left out.
        for (side, bound) in [(">", self.above), ("<", self.below)] {
            if let Some(bound) = bound {
                let published = bound.published.date_time();
                query.push(" AND e.published ").push(side).push("= ").push_bind(published);
                query.push(" AND (e.published, e.position) ").push(side).push(" (").push_bind(published);
                query.push(", ").push_bind(bound.number).push(")");
            }
        }
        if let Source::Beyond(month, head) = source {
            if self.is_descending {
                query.push(" AND e.published < ").push_bind(month.start);
            } else {
                query.push(" AND e.published >= ").push_bind(month.end);
            }
            query.push(" AND e.position <= ").push_bind(*head);
        }
    }

    /// What matches in the order of the log, through `arrival`, which has that order over all months.
    fn push_walk(&self, query: &mut QueryBuilder<Postgres>) {
        query.push("SELECT ").push(&self.layout.of_event).push(" FROM arrival a JOIN sync_event e ");
        query.push("ON e.published = a.published AND e.position = a.position WHERE true");
        filter::push(query, self.wanted);
        for (side, bound) in [(">", self.above), ("<", self.below)] {
            if let Some(bound) = bound {
                query.push(" AND a.position ").push(side).push(" ").push_bind(bound.number);
            }
        }
        query.push(" ORDER BY a.position").push(self.way()).push(" LIMIT ").push_bind(self.limit);
    }

    const fn way(&self) -> &'static str {
        if self.is_descending { " DESC" } else { "" }
    }

    fn order(&self, alias: &str) -> String {
        let way = self.way();
        match self.field {
            EventOrderField::Published => format!(" ORDER BY {alias}.published{way}, {alias}.position{way}"),
            EventOrderField::Position => format!(" ORDER BY {alias}.position{way}"),
        }
    }
}

fn told(rows: Vec<PgRow>) -> Result<Answer, StoreError> {
    let first = rows.first().ok_or(StoreError::Restored)?;
    let (head, number, era) = (first.try_get("head")?, first.try_get("number")?, first.try_get("era")?);
    Ok(Answer { rows, head, number, era })
}
