//! Pages of events, newest first, each as fast as the first.

use std::collections::BTreeSet;

use sqlx::{Postgres, QueryBuilder, Row as _};

use super::row::{self, COLUMNS};
use super::{Store, StoreError, filter};
use crate::event::{Cursor, Direction, Filter, Page, PageRequest, Position, SyncEvent};

/// A page of events, and the log's end in the same snapshot.
#[derive(Clone, Debug)]
pub struct EventPage {
    /// The page.
    pub page: Page<SyncEvent>,
    /// The log's end when it was read.
    pub head: Position,
}

impl Store {
    /// Reads a page of the events that match.
    ///
    /// # Errors
    /// The database's.
    pub async fn page(&self, wanted: &Filter, request: &PageRequest<Cursor>) -> Result<EventPage, StoreError> {
        loop {
            let known = self.partitions.known();
            let (page, number) = self.read_page(wanted, request).await?;
            if self.partitions.were_planned(known, number) {
                return Ok(page);
            }
        }
    }

    async fn read_page(&self, wanted: &Filter, request: &PageRequest<Cursor>) -> Result<(EventPage, i64), StoreError> {
        let mut query = QueryBuilder::new("SELECT ");
        query.push(COLUMNS).push(
            ", NULL::text, h.position AS head, p.number FROM log_head h CROSS JOIN partition_change p LEFT JOIN LATERAL (",
        );
        match pins(wanted) {
            // Several values of an index: the first of each, merged, is the first of all.
            Some((column, values)) if values.len() > 1 => {
                query.push("SELECT e.* FROM unnest(").push_bind(values).push(") AS pin (value) CROSS JOIN LATERAL (");
                push_range(&mut query, wanted, Some(column), request);
                query.push(") e").push(order(request.direction)).push(" LIMIT ").push_bind(limit(request));
            }
            _ => push_range(&mut query, wanted, None, request),
        }
        query.push(") e ON true").push(order(request.direction));
        let rows = query.build().fetch_all(&self.reads).await?;
        let (head, number) = rows
            .first()
            .map_or(Ok((0, 0)), |row| Ok::<_, sqlx::Error>((row.try_get("head")?, row.try_get("number")?)))?;
        let events = row::events(&rows)?;
        Ok((EventPage { page: Page::from_read(events, request), head: Position::new(head) }, number))
    }
}

/// The part of a filter that an index serves in the order of pages, and its values.
fn pins(wanted: &Filter) -> Option<(&'static str, Vec<String>)> {
    let distinct = |values: &Vec<String>| values.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect();
    let instances = wanted.application_instances.as_ref().map(|values| ("e.instance_id", distinct(values)));
    instances.or_else(|| wanted.applications.as_ref().map(|values| ("e.application_name", distinct(values))))
}

fn push_range(query: &mut QueryBuilder<Postgres>, wanted: &Filter, pin: Option<&str>, request: &PageRequest<Cursor>) {
    query.push("SELECT e.* FROM sync_event e WHERE true");
    if let Some(column) = pin {
        query.push(" AND ").push(column).push(" = pin.value");
    }
    filter::push(query, wanted);
    // The bound on published alone is redundant, and lets partitions be left out.
    if let Some(after) = request.cut.after {
        push_bound(query, "<", after);
    }
    if let Some(before) = request.cut.before {
        push_bound(query, ">", before);
    }
    query.push(order(request.direction)).push(" LIMIT ").push_bind(limit(request));
}

fn push_bound(query: &mut QueryBuilder<Postgres>, side: &str, cursor: Cursor) {
    let published = cursor.published.date_time();
    query.push(" AND e.published ").push(side).push("= ").push_bind(published);
    query.push(" AND (e.published, e.position) ").push(side).push(" (").push_bind(published);
    query.push(", ").push_bind(cursor.position.get()).push(")");
}

const fn order(direction: Direction) -> &'static str {
    match direction {
        Direction::Forward => " ORDER BY e.published DESC, e.position DESC",
        Direction::Backward => " ORDER BY e.published, e.position",
    }
}

fn limit(request: &PageRequest<Cursor>) -> i64 {
    i64::try_from(request.size).unwrap_or(i64::MAX).saturating_add(1)
}
