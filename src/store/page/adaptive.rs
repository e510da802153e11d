//! Pages of filters with long lists, or with several lists.
//!
//! No single statement is good for all of them. If many of the newest events match, the page is full after some of them,
//! while an index would be asked once for each value. If few events match, the index finds them, while the order of time
//! would lead through the whole log. So a first statement looks at a bounded number of events in the order of the page.
//! Only if they do not fill the page, further statements read on behind them by an index.
//!
//! Each list has its own index, and the database cannot know which list has the fewest events. A statement for each list
//! therefore collects the places of its events, and gives up where they are too many. A list in each alternative of an `or`
//! does as well as a list of its own.

use sqlx::postgres::PgRow;
use sqlx::{Postgres, QueryBuilder, Row as _};
use time::OffsetDateTime;

use super::ranges::push_event_at;
use super::{Bound, PageRows, Scan, Source, Way, found, told};
use crate::event::Timestamp;
use crate::store::filter::{self, Conditions};
use crate::store::pins::Candidate;
use crate::store::{Store, StoreError};

/// Number of events that the first statement looks at in the order of time, and in the order of the log, where each costs
/// more. A larger page has four times its size looked at.
const LOOKED_AT: (i64, i64) = (2000, 600);

/// Maximum number of statements that look at the first events of a source.
const MAX_LOOKS: usize = 2;

/// Maximum number of sources that are looked at: the nearest months may have few events, or none yet.
pub(super) const MAX_LOOKED_SOURCES: usize = 3;

/// Maximum number of events of a list that are read, whatever else the filter asks of them.
const MOST_COLLECTED: i64 = 500;

impl Scan<'_> {
    /// Reads the first events of a source that match: at first by looking, then by an index.
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
        self.limit -= found(&more.rows);
        let Some(mut answer) = looked else { return Ok(more) };
        answer.rows.extend(more.rows);
        answer.era = more.era;
        Ok(answer)
    }

    /// Looks at the first events of a source, and takes those that match. Returns true if the page is not full and the
    /// source has further events, which are then the ones that the scan reads next.
    pub(in crate::store) async fn look(
        &mut self,
        store: &Store,
        source: &Source<'_>,
    ) -> Result<(PageRows, bool), StoreError> {
        let least = if self.is_by_time() { LOOKED_AT.0 } else { LOOKED_AT.1 };
        let mut size = least.max(self.limit.saturating_mul(4));
        let most = size.saturating_mul(2);
        let (mut answer, mut is_partial): (Option<PageRows>, bool) = (None, false);
        for _ in 0..MAX_LOOKS {
            let more = told(self.look_query(source, size).build().fetch_all(&store.reads).await?)?;
            self.head.get_or_insert(more.head);
            let (edge, hits) = (edge(&more.rows)?, found(&more.rows));
            self.limit -= hits;
            match &mut answer {
                None => answer = Some(more),
                Some(answer) => {
                    answer.rows.extend(more.rows);
                    answer.era = more.era;
                }
            }
            is_partial = self.limit > 0 && edge.is_some();
            let Some(edge) = edge.filter(|_| is_partial) else { break };
            self.pass(edge);
            // As many of the next events should match. Half as many again are looked at.
            let needed = size.saturating_mul(self.limit) / hits.max(1) * 3 / 2;
            if hits == 0 || needed > most {
                break;
            }
            size = needed.max(least / 4);
        }
        Ok((answer.ok_or(StoreError::Restored)?, is_partial))
    }

    /// Lets the scan begin behind an event.
    fn pass(&mut self, edge: Bound) {
        if !self.is_by_time() {
            self.stretch.0 = Some(edge.number);
        } else if self.is_descending {
            self.below = Some(edge);
        } else {
            self.above = Some(edge);
        }
    }

    /// Returns the statement that looks at so many events. The subquery's limit keeps the filter's conditions out of it,
    /// so that the database reads no other events, whatever it expects to match.
    fn look_query(&self, source: &Source<'_>, size: i64) -> QueryBuilder<Postgres> {
        let mut query = QueryBuilder::new("WITH hits AS MATERIALIZED (SELECT ");
        query.push(&self.layout.of_event).push(" FROM (SELECT ");
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
        Conditions { without: None, hashes_lists: true }.push(&mut query, self.wanted);
        query.push(self.order(alias)).push(" LIMIT ").push_bind(self.limit);
        query.push("), edge AS MATERIALIZED (SELECT ").push(alias).push(".published, ").push(alias);
        query.push(if self.is_by_time() { ".position FROM sync_event e" } else { ".position FROM arrival a" });
        query.push(" WHERE (SELECT count(*) FROM hits) < ").push_bind(self.limit);
        self.push_looked_at(&mut query, source);
        query.push(self.order(alias)).push(" OFFSET ").push_bind(size - 1).push(" LIMIT 1) SELECT ");
        query.push(&self.layout.all).push(
            ", h.position AS head, h.era, p.number, x.published AS edge_published, x.position AS edge_position \
             FROM log_head h CROSS JOIN partition_change p LEFT JOIN edge x ON true LEFT JOIN hits e ON true",
        );
        self.push_end(&mut query, source);
        query
    }

    /// Adds the conditions on the events, or on their arrivals, that are looked at.
    fn push_looked_at(&self, query: &mut QueryBuilder<Postgres>, source: &Source<'_>) {
        if self.is_by_time() {
            self.push_place(query, source);
            self.push_published(query);
        } else {
            self.push_bounds(query, "a");
        }
    }

    /// Adds the bounds of time that the filter has, which the index of each pin has, too.
    fn push_published(&self, query: &mut QueryBuilder<Postgres>) {
        for part in self.wanted.conjuncts() {
            filter::push_range(query, "e.published", part.published);
        }
    }

    /// Reads the first events of a source that match, by an index.
    pub(in crate::store) async fn read_pinned(
        &mut self,
        store: &Store,
        source: &Source<'_>,
        is_persistent: bool,
    ) -> Result<PageRows, StoreError> {
        // The index of a single list has its events in the order of time, whatever their number.
        let is_chosen = matches!(self.access.candidates(), [only] if only.pin().is_some());
        let is_ordered = is_chosen && self.is_by_time() && !self.seeks_words();
        let tries = if is_ordered { 0 } else { self.access.candidates().len() };
        for nth in 0..tries {
            let Some(candidate) = self.access.candidates().get(nth) else { break };
            let mut query = self.collect_query(source, candidate);
            let rows = query.build().persistent(is_persistent).fetch_all(&store.reads).await?;
            let first = rows.first().ok_or(StoreError::Restored)?;
            if first.try_get::<i64, _>("collected")? <= MOST_COLLECTED {
                self.access.prefer(nth);
                return told(rows);
            }
        }
        let reads = match (self.pin(), source) {
            (_, Source::Log(_, Way::Walked)) | (None, Source::Log(..)) => store.reads.planned_for_values(),
            (Some(_), _) => store.reads.clone(),
            (None, _) => self.reads(store),
        };
        told(self.query(source).build().persistent(is_persistent).fetch_all(&reads).await?)
    }

    /// Returns the statement that collects the places of a candidate's events, and reads these events if they are not too
    /// many.
    fn collect_query(&self, source: &Source<'_>, candidate: &Candidate<'_>) -> QueryBuilder<Postgres> {
        let mut query = QueryBuilder::new("WITH collected AS MATERIALIZED (");
        for (nth, pin) in candidate.0.iter().enumerate() {
            query.push(if nth == 0 { "(SELECT k.* FROM " } else { " UNION ALL (SELECT k.* FROM " });
            pin.push_values(&mut query);
            query.push(" AS pin (value) CROSS JOIN LATERAL (SELECT e.published, e.position FROM sync_event e WHERE ");
            pin.push_equal(&mut query, |query| {
                query.push("pin.value");
            });
            self.push_place(&mut query, source);
            self.push_published(&mut query);
            query.push(self.order_of(pin)).push(" LIMIT ").push_bind(MOST_COLLECTED + 1);
            query.push(") k LIMIT ").push_bind(MOST_COLLECTED + 1).push(")");
        }
        query.push(") SELECT ").push(&self.layout.all);
        query.push(
            ", h.position AS head, h.era, p.number, (SELECT count(*) FROM collected) AS collected \
             FROM log_head h CROSS JOIN partition_change p LEFT JOIN LATERAL (SELECT ",
        );
        // An event may have come by several alternatives.
        query.push(&self.layout.of_event).push(" FROM (SELECT DISTINCT * FROM collected) k");
        push_event_at(&mut query, "sync_event", "k", source);
        query.push(" WHERE (SELECT count(*) FROM collected) <= ").push_bind(MOST_COLLECTED);
        let without = candidate.pin().map(|pin| pin.compared);
        Conditions { without, hashes_lists: true }.push(&mut query, self.wanted);
        query.push(self.order("e")).push(" LIMIT ").push_bind(self.limit).push(") e ON true");
        self.push_end(&mut query, source);
        query
    }
}

/// Returns the last of the events that were looked at; None if there were fewer, or if the page is full.
fn edge(rows: &[PgRow]) -> Result<Option<Bound>, StoreError> {
    let row = rows.first().ok_or(StoreError::Restored)?;
    let published: Option<OffsetDateTime> = row.try_get("edge_published")?;
    let number: Option<i64> = row.try_get("edge_position")?;
    Ok(published.zip(number).map(|(published, number)| Bound { published: Timestamp::from(published), number }))
}
