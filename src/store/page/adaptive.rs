//! Pages of filters with lists, for which no single statement is fast in all cases.
//!
//! If many events match, the first events of the order fill the page, while an index needs a look-up for each value. If
//! few events match, an index finds them, while the order of the page leads through the whole log. So a first statement
//! looks at a bounded number of events in the order of the page. If they do not fill the page, further statements read the
//! following events by an index, as `collect.rs` describes. How often the first statement found a match tells how far.

use sqlx::postgres::PgRow;
use sqlx::{Postgres, QueryBuilder, Row as _};
use time::OffsetDateTime;

use super::IN_AN_ERA;
use super::ranges::push_event_at;
use super::scan::{Bound, LogMethod, PageRows, Scan, Source, event_count};
use crate::event::Timestamp;
use crate::store::filter::{self, Conditions};
use crate::store::{Store, StoreError};

/// Numbers of events that the first statement looks at, at least: in the order of time, and in the order of the log, where
/// each event costs more. For a large page it looks at four times the page's size. The first number usually suffices for
/// readers who see a fifth of the events.
const FIRST_LOOK: (i64, i64) = (320, 200);

/// Largest numbers of events that a second statement looks at: in the order of time, and in the order of the log, where each
/// event costs more. The second statement is sent only if the first one found enough matches.
const SECOND_LOOK: (i64, i64) = (4000, 1200);

/// Number of events that a statement looks at in the time in which an index finds the events of one value, for readers with
/// limited rows.
const EVENTS_PER_VALUE: i64 = 20;

/// Largest number of events that a statement looks at if no index finds the filter's events.
const LONGEST_LOOK: i64 = 65_536;

impl Scan<'_> {
    /// Reads the first matching events of a source: first by a look, then by an index.
    pub(super) async fn read_adaptively(
        &mut self,
        store: &Store,
        source: &Source<'_>,
        is_persistent: bool,
    ) -> Result<PageRows, StoreError> {
        let mut looked = None;
        if self.looks > 0 {
            let (answer, is_partial) = self.look(store, source).await?;
            self.looks = if is_partial { 0 } else { self.looks - 1 };
            if !is_partial {
                return Ok(answer);
            }
            looked = Some(answer);
        }
        let more = self.read_pinned(store, source, is_persistent).await?;
        Ok(match looked {
            Some(answer) => answer.with(more),
            None => more,
        })
    }

    /// Looks at the first events of a source, and reads those that match. Returns true if the page is not full and the
    /// source has further events. The scan then continues after the events that it looked at.
    pub(in crate::store) async fn look(
        &mut self,
        store: &Store,
        source: &Source<'_>,
    ) -> Result<(PageRows, bool), StoreError> {
        let (first, second) =
            if self.is_by_time() { (FIRST_LOOK.0, SECOND_LOOK.0) } else { (FIRST_LOOK.1, SECOND_LOOK.1) };
        let size = first.max(self.limit.saturating_mul(4));
        let (mut answer, mut is_partial) = self.look_at(store, source, size).await?;
        let hits = event_count(&answer.rows);
        if is_partial && hits > 0 {
            // The next events probably match as often. A margin of one half is added.
            let needed = size.saturating_mul(self.limit) / hits * 3 / 2;
            if self.prefers_index(needed) {
                self.expected_end = self.expect_end(&answer.rows)?;
            } else if needed <= second.max(size.saturating_mul(2)) {
                let (more, is_partial_still) = self.look_at(store, source, needed.max(first / 2)).await?;
                answer = answer.with(more);
                is_partial = is_partial_still;
            }
        }
        Ok((answer, is_partial))
    }

    /// Returns true if an index should find the rest of the page sooner than a look at this number of events. The statements of
    /// readers who see everything do not depend on it: their lists need no look at the rows of events.
    fn prefers_index(&self, needed: i64) -> bool {
        if !self.wanted.is_restricted() || !self.is_by_time() || self.seeks_words() {
            return false;
        }
        let candidate = self.access.candidates().first().filter(|candidate| !candidate.is_common());
        let breadth = candidate.and_then(|candidate| i64::try_from(candidate.breadth()).ok());
        breadth.is_some_and(|breadth| needed > breadth.saturating_mul(EVENTS_PER_VALUE))
    }

    /// Returns the moment at which the page should be full if further matches are half as frequent as those that a look just
    /// found; None if the look found fewer than two.
    fn expect_end(&self, found: &[PgRow]) -> Result<Option<Timestamp>, StoreError> {
        let edge = if self.is_descending { self.below } else { self.above };
        let (Some(edge), [first, _, ..]) = (edge, found) else { return Ok(None) };
        let (first, edge) = (first.try_get::<OffsetDateTime, _>("published")?, edge.published.date_time());
        let times = self.limit.saturating_mul(2) / event_count(found);
        let end = i32::try_from(times).ok().and_then(|times| edge.checked_add((edge - first).checked_mul(times)?));
        Ok(end.map(Timestamp::from))
    }

    /// Looks at growing numbers of events, until the page is full or the source ends.
    async fn look_on(&mut self, store: &Store, source: &Source<'_>) -> Result<PageRows, StoreError> {
        let mut size = SECOND_LOOK.1;
        let (mut answer, mut is_partial) = self.look_at(store, source, size).await?;
        while is_partial {
            size = (size * 4).min(LONGEST_LOOK);
            let (more, is_partial_still) = self.look_at(store, source, size).await?;
            answer = answer.with(more);
            is_partial = is_partial_still;
        }
        Ok(answer)
    }

    async fn look_at(&mut self, store: &Store, source: &Source<'_>, size: i64) -> Result<(PageRows, bool), StoreError> {
        let answer = PageRows::of(self.look_query(source, size).build().fetch_all(&store.reads).await?)?;
        self.head.get_or_insert(answer.head);
        self.limit -= event_count(&answer.rows);
        let edge = edge(&answer.rows)?.filter(|_| self.limit > 0);
        if let Some(edge) = edge {
            self.pass(edge);
        }
        Ok((answer, edge.is_some()))
    }

    /// Advances the scan past an event.
    pub(super) fn pass(&mut self, edge: Bound) {
        if !self.is_by_time() {
            self.stretch.0 = Some(edge.number);
        } else if self.is_descending {
            self.below = Some(edge);
        } else {
            self.above = Some(edge);
        }
    }

    /// Returns the statement that looks at this number of events. PostgreSQL cannot move the filter's conditions into a
    /// subquery with a limit, so it reads exactly these events.
    fn look_query(&self, source: &Source<'_>, size: i64) -> QueryBuilder<Postgres> {
        let mut query = QueryBuilder::new("WITH hits AS MATERIALIZED (SELECT ");
        query.push(&self.layout.list).push(" FROM (SELECT ");
        let alias = if self.is_by_time() { "e" } else { "a" };
        if self.is_by_time() {
            query.push("e.* FROM sync_event e WHERE true");
        } else {
            query.push("a.position, a.published FROM arrival a WHERE true");
        }
        self.push_looked_at(&mut query, source);
        query.push(self.order(alias)).push(" LIMIT ").push_bind(size).push(") ").push(alias);
        if !self.is_by_time() {
            push_event_at(&mut query, "sync_event", "a", source);
        }
        query.push(" WHERE true");
        let conditions = Conditions { without: filter::repeated_list(self.wanted), hashes_lists: true };
        conditions.push(&mut query, self.wanted);
        query.push(self.order(alias)).push(" LIMIT ").push_bind(self.limit);
        query.push("), edge AS MATERIALIZED (SELECT ").push(alias).push(".published, ").push(alias);
        query.push(if self.is_by_time() { ".position FROM sync_event e" } else { ".position FROM arrival a" });
        query.push(" WHERE (SELECT count(*) FROM hits) < ").push_bind(self.limit);
        self.push_looked_at(&mut query, source);
        query.push(self.order(alias)).push(" OFFSET ").push_bind(size - 1).push(" LIMIT 1) SELECT ");
        query.push(&self.layout.list).push(
            ", h.position AS head, h.era, p.number, x.published AS edge_published, x.position AS edge_position \
             FROM log_head h CROSS JOIN partition_change p LEFT JOIN edge x ON true LEFT JOIN hits e ON true",
        );
        query.push(IN_AN_ERA);
        query
    }

    /// Adds the conditions on the events to look at, or on their arrivals.
    fn push_looked_at(&self, query: &mut QueryBuilder<Postgres>, source: &Source<'_>) {
        if self.is_by_time() {
            self.push_place(query, source);
            self.push_published(query);
        } else {
            self.push_bounds(query, "a");
        }
    }

    /// Adds the filter's bounds of time, which every pin's index can check.
    pub(super) fn push_published(&self, query: &mut QueryBuilder<Postgres>) {
        for part in self.wanted.conjuncts() {
            filter::push_range(query, "e.published", part.published);
        }
    }

    /// Reads the first matching events of a source by an index.
    pub(in crate::store) async fn read_pinned(
        &mut self,
        store: &Store,
        source: &Source<'_>,
        is_persistent: bool,
    ) -> Result<PageRows, StoreError> {
        let (collected, is_done) = self.read_collected(store, source, is_persistent).await?;
        let more = match (is_done, source) {
            (true, _) => None,
            (false, Source::Log(_, LogMethod::Walk)) => Some(self.look_on(store, source).await?),
            (false, _) => {
                let by_index = self.pin().is_some() || !matches!(source, Source::Log(..)) && self.is_range();
                let reads = if by_index { store.reads.clone() } else { store.reads.planned_for_values() };
                let more = PageRows::of(self.query(source).build().persistent(is_persistent).fetch_all(&reads).await?)?;
                self.limit -= event_count(&more.rows);
                Some(more)
            }
        };
        let all = [collected, more].into_iter().flatten().reduce(PageRows::with);
        all.ok_or(StoreError::Restored)
    }
}

/// Returns the last of the events that a statement looked at; None if the source ended before, or if the page is full.
fn edge(rows: &[PgRow]) -> Result<Option<Bound>, StoreError> {
    let row = rows.first().ok_or(StoreError::Restored)?;
    Ok(Bound::at(row.try_get("edge_published")?, row.try_get("edge_position")?))
}
