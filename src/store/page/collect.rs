//! Pages by the indexes of lists.
//!
//! Each list of a filter has its own index, and PostgreSQL's statistics do not tell which list has the fewest events. So a
//! statement for each list collects the keys of its events, and stops if there are too many. Lists in all alternatives of
//! an `or` are read together in the same way.
//!
//! If a list has many events, the page needs only the first of them. The same statement then takes the first events of some
//! values as a sample, estimates from it how far the list must be read to fill the page, and collects the events up to
//! there. A look that found some matches makes the sample unnecessary.

use sqlx::{Postgres, QueryBuilder, Row as _};

use super::IN_AN_ERA;
use super::ranges::push_event_at;
use super::scan::{Bound, PageRows, Scan, Source, event_count};
use crate::event::Timestamp;
use crate::store::access_path::Candidate;
use crate::store::filter::Conditions;
use crate::store::{Store, StoreError};

/// Maximum number of events of a list that a statement collects, before the filter's other conditions. For a large page
/// the maximum is three times the page's size.
pub(in crate::store) const MOST_COLLECTED: i64 = 500;

/// Number of values in the sample of a long list.
const SAMPLED_VALUES: usize = 24;

/// Least number of events of each value in the sample.
const SAMPLED_EVENTS: i64 = 12;

/// Maximum number of attempts to collect first stretches after each list was tried once.
const MAX_ATTEMPTS: usize = 5;

/// Result of an attempt to collect the first events of a list.
enum Collected {
    /// The matching events of the whole list, or enough for the page.
    Done(PageRows),
    /// The matching events of the list's first stretch.
    Stretch(PageRows),
    /// Nothing, since the stretch has too many events; true if the sample allows no shorter stretch.
    TooMany(bool),
}

impl Scan<'_> {
    /// Reads the first matching events of a source by the index of the first list with few events. Returns the events, and
    /// true if the page needs no others from the source.
    pub(super) async fn read_collected(
        &mut self,
        store: &Store,
        source: &Source<'_>,
        is_persistent: bool,
    ) -> Result<(Option<PageRows>, bool), StoreError> {
        let mut answer: Option<PageRows> = None;
        let add = |answer: Option<PageRows>, more| answer.into_iter().chain([more]).reduce(PageRows::with);
        let candidates = self.access.candidates().len();
        let attempts = if candidates == 0 || self.seeks_words() { 0 } else { MAX_ATTEMPTS };
        if let Some(moment) = self.expected_end.take() {
            match self.collect(store, source, (0, StretchEnd::Expected(moment)), is_persistent).await? {
                Collected::Done(more) => return Ok((Some(more), true)),
                Collected::Stretch(more) => answer = Some(more),
                Collected::TooMany(_) => {}
            }
        }
        let mut aim = self.most_collected() / 2;
        for attempt in 0..candidates + attempts {
            let nth = if attempt < candidates { attempt } else { 0 };
            let Some(candidate) = self.access.candidates().get(nth) else { break };
            let end = StretchEnd::Sampled(Sample::of(candidate, aim));
            match self.collect(store, source, (nth, end), is_persistent).await? {
                Collected::Done(more) => {
                    self.access.prefer(nth);
                    return Ok((add(answer, more), true));
                }
                Collected::Stretch(more) => answer = add(answer, more),
                Collected::TooMany(true) if attempt + 1 >= candidates => break,
                Collected::TooMany(_) if attempt >= candidates || candidates == 1 => aim /= 8,
                Collected::TooMany(_) => {}
            }
        }
        Ok((answer, false))
    }

    /// Collects the events of a candidate's first stretch, and reads those that match.
    async fn collect(
        &mut self,
        store: &Store,
        source: &Source<'_>,
        (nth, end): (usize, StretchEnd),
        is_persistent: bool,
    ) -> Result<Collected, StoreError> {
        let Some(candidate) = self.access.candidates().get(nth) else { return Ok(Collected::TooMany(true)) };
        let mut query = self.collect_query(source, candidate, &end);
        let is_shortest = matches!(&end, StretchEnd::Sampled(sample) if sample.rank == 0);
        let rows = query.build().persistent(is_persistent).fetch_all(&store.reads).await?;
        let first = rows.first().ok_or(StoreError::Restored)?;
        let collected: i64 = first.try_get("collected")?;
        let end = Bound::at(first.try_get("end_published")?, first.try_get("end_position")?);
        let answer = PageRows::of(rows)?;
        self.head.get_or_insert(answer.head);
        if collected > self.most_collected() {
            return Ok(Collected::TooMany(is_shortest));
        }
        self.limit -= event_count(&answer.rows);
        Ok(match end.filter(|_| self.limit > 0) {
            Some(end) => {
                self.pass_all(end);
                Collected::Stretch(answer)
            }
            None => Collected::Done(answer),
        })
    }

    /// Advances the scan past all events of a moment in the order of time, or past an event in the order of the log.
    fn pass_all(&mut self, end: Bound) {
        let number = if self.is_descending { i64::MIN } else { i64::MAX };
        self.pass(if self.is_by_time() { Bound { number, ..end } } else { end });
    }

    fn most_collected(&self) -> i64 {
        MOST_COLLECTED.max(self.limit.saturating_mul(3))
    }

    /// Returns the statement that collects the keys of a candidate's first events, and reads these events unless there are
    /// too many.
    fn collect_query(
        &self,
        source: &Source<'_>,
        candidate: &Candidate<'_>,
        end: &StretchEnd,
    ) -> QueryBuilder<Postgres> {
        let most = self.most_collected();
        let mut query = QueryBuilder::new("WITH ends AS MATERIALIZED (SELECT ");
        match end {
            StretchEnd::Sampled(sample) => self.push_sample(&mut query, source, candidate, sample),
            StretchEnd::Expected(moment) => self.push_last_until(&mut query, source, *moment),
        }
        query.push("), collected AS MATERIALIZED (");
        candidate.push_keys(&mut query, most, |query| {
            self.push_indexed(query, source);
            // Without an end, the whole list is read.
            match (self.is_by_time(), self.is_descending) {
                (true, true) => query.push(" AND e.published >= coalesce((SELECT published FROM ends), '-infinity')"),
                (true, false) => query.push(" AND e.published <= coalesce((SELECT published FROM ends), 'infinity')"),
                (false, true) => query.push(" AND e.position >= coalesce((SELECT position FROM ends), 0)"),
                (false, false) => {
                    query.push(" AND e.position <= coalesce((SELECT position FROM ends), 9223372036854775807)")
                }
            };
        });
        query.push(") SELECT ").push(&self.layout.list).push(
            ", h.position AS head, h.era, p.number, (SELECT count(*) FROM collected) AS collected, \
             (SELECT published FROM ends) AS end_published, (SELECT position FROM ends) AS end_position \
             FROM log_head h CROSS JOIN partition_change p LEFT JOIN LATERAL (SELECT ",
        );
        let conditions = Conditions { without: candidate.pin().map(|pin| pin.compared), hashes_lists: true };
        // Several alternatives may have the same event.
        query.push(&self.layout.list).push(" FROM (SELECT DISTINCT * FROM collected");
        if conditions.are_none(self.wanted) {
            query.push(self.order("collected")).push(" LIMIT ").push_bind(self.limit);
        }
        query.push(") k");
        push_event_at(&mut query, "sync_event", "k", source);
        query.push(" WHERE (SELECT count(*) FROM collected) <= ").push_bind(most);
        conditions.push(&mut query, self.wanted);
        query.push(self.order("e")).push(" LIMIT ").push_bind(self.limit).push(") e ON true");
        query.push(IN_AN_ERA);
        query
    }

    /// Adds the rest of the query for the event at which a candidate's first stretch ends, as estimated from the sample. The
    /// query returns no row if the sample has too few events.
    fn push_sample(
        &self,
        query: &mut QueryBuilder<Postgres>,
        source: &Source<'_>,
        candidate: &Candidate<'_>,
        sample: &Sample,
    ) {
        query.push("k.published, k.position FROM (");
        for (nth, pin) in candidate.0.iter().enumerate() {
            query.push(if nth == 0 { "SELECT k.* FROM " } else { " UNION ALL SELECT k.* FROM " });
            pin.push_sample(query, sample.step);
            query.push(" AS pin (value) CROSS JOIN LATERAL (SELECT e.published, e.position FROM sync_event e WHERE ");
            pin.push_equal(query, |query| {
                query.push("pin.value");
            });
            self.push_indexed(query, source);
            query.push(self.order_of(pin)).push(" LIMIT ").push_bind(sample.events).push(") k");
        }
        query.push(") k").push(self.order("k")).push(" OFFSET ").push_bind(sample.rank).push(" LIMIT 1");
    }

    /// Adds the rest of the query for the last event of the source, in the order of the page, that is not beyond a moment. A
    /// stretch ends at an event of the source, since what follows may be in another source.
    fn push_last_until(&self, query: &mut QueryBuilder<Postgres>, source: &Source<'_>, moment: Timestamp) {
        let (side, direction) = if self.is_descending { (">=", "") } else { ("<=", " DESC") };
        query.push("e.published, e.position FROM sync_event e WHERE e.published ").push(side).push(" ");
        query.push_bind(moment.date_time());
        self.push_indexed(query, source);
        query.push(format!(" ORDER BY e.published{direction}, e.position{direction} LIMIT 1"));
    }

    /// Adds the conditions on an event `e` that a pin's index can check.
    fn push_indexed(&self, query: &mut QueryBuilder<Postgres>, source: &Source<'_>) {
        self.push_place(query, source);
        self.push_published(query);
    }
}

/// End of a candidate's first stretch.
enum StretchEnd {
    /// The end that a sample of the candidate's events gives.
    Sampled(Sample),
    /// The moment at which a look expects the page to be full.
    Expected(Timestamp),
}

/// A sample of a candidate's events: the first events of some values.
struct Sample {
    /// Distance between two values of the sample in the list.
    step: usize,
    /// Number of events of each value.
    events: i64,
    /// Expected number of the sample's events in the first stretch, if the whole list has the wanted number there.
    rank: i64,
}

impl Sample {
    fn of(candidate: &Candidate<'_>, aim: i64) -> Self {
        let number = |size: usize| i64::try_from(size).unwrap_or(i64::MAX);
        let breadth = candidate.breadth().max(1);
        let step = breadth.div_ceil(SAMPLED_VALUES);
        let values = breadth.div_ceil(step);
        let rank = aim.saturating_mul(number(values)) / number(breadth);
        // A value may have several times its share of these events, but no more than all of them.
        let events = (rank.saturating_mul(4) / number(values)).max(SAMPLED_EVENTS).min(rank.saturating_add(1));
        Self { step, events, rank }
    }
}
