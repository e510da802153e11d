//! Counts of the events that match a filter.

use sqlx::{Postgres, QueryBuilder, Row as _};

use super::access_path::{Access, Candidate};
use super::filter::{self, Conditions};
use super::page::{MOST_COLLECTED, Source, push_event_at};
use super::pins::{self, Pin};
use super::windows::MonthWindow;
use super::{Store, StoreError};
use crate::event::{EventOrderField, Narrowed, Position};

impl Store {
    /// Returns the number of events through a position that match, at most `up_to`, and true if no more of them match.
    ///
    /// # Errors
    /// The database's.
    pub async fn count(&self, wanted: &Narrowed, up_to: i64, through: Position) -> Result<(i64, bool), StoreError> {
        let (mut found, most) = (0, up_to.saturating_add(1));
        let windows = self.windows_through(wanted.published, through).await?;
        let mut counting = Counting {
            wanted,
            access: Access::of(wanted, EventOrderField::Position),
            is_persistent: windows.len() == 1,
        };
        // The newest window comes first, since most of its pages are in PostgreSQL's cache.
        for window in windows.iter().rev() {
            found += counting.count_within(self, window, most - found).await?;
            if found >= most {
                break;
            }
        }
        Ok((found.min(up_to), found <= up_to))
    }
}

/// A running count of the events that match a filter, window by window.
struct Counting<'a> {
    wanted: &'a Narrowed,
    access: Access<'a>,
    /// True if the statements are sent often enough to stay prepared.
    is_persistent: bool,
}

impl Counting<'_> {
    /// Counts the matching events of a window, at most `most`. The events of a short list are counted by its index;
    /// otherwise PostgreSQL chooses the plan.
    async fn count_within(&mut self, store: &Store, window: &MonthWindow, most: i64) -> Result<i64, StoreError> {
        let tried = if pins::seeks_words(self.wanted) { 0 } else { self.access.candidates().len() };
        for nth in 0..tried {
            let Some(candidate) = self.access.candidates().get(nth) else { break };
            let mut query = self.collect_query(candidate, window, most);
            let row = query.build().persistent(self.is_persistent).fetch_one(&store.reads).await?;
            if row.try_get::<i64, _>("collected")? <= MOST_COLLECTED {
                self.access.prefer(nth);
                return Ok(row.try_get("found")?);
            }
        }
        let (mut query, reads) = match self.access.candidates() {
            [only] if tried > 0 && only.pin().is_some_and(|pin| pin.breadth() < usize::MAX) => {
                (self.query(only.pin(), window, most), store.reads.clone())
            }
            _ => (self.query(None, window, most), store.reads.planned_for_values()),
        };
        Ok(query.build_query_scalar().persistent(self.is_persistent).fetch_one(&reads).await?)
    }

    /// Returns the statement that counts the matching events among those of a candidate, if it has at most
    /// [`MOST_COLLECTED`] events.
    fn collect_query(&self, candidate: &Candidate<'_>, window: &MonthWindow, most: i64) -> QueryBuilder<Postgres> {
        let mut query = QueryBuilder::new("WITH collected AS MATERIALIZED (");
        candidate.push_keys(&mut query, MOST_COLLECTED, |query| {
            for part in self.wanted.conjuncts() {
                filter::push_range(query, "e.published", part.published);
            }
            window.push(query, "e");
        });
        query.push(
            ") SELECT (SELECT count(*) FROM collected) AS collected, \
             (SELECT count(*) FROM (SELECT FROM (SELECT DISTINCT * FROM collected) k",
        );
        push_event_at(&mut query, "sync_event", "k", &Source::MonthWindow(window));
        query.push(" WHERE (SELECT count(*) FROM collected) <= ").push_bind(MOST_COLLECTED);
        let without = candidate.pin().map(|pin| pin.compared);
        Conditions { without, hashes_lists: true }.push(&mut query, self.wanted);
        query.push(" LIMIT ").push_bind(most).push(") e) AS found");
        query
    }

    /// Returns the statement that counts the matching events by a pin's index; without a pin, PostgreSQL chooses the
    /// index.
    fn query(&self, pin: Option<&Pin<'_>>, window: &MonthWindow, most: i64) -> QueryBuilder<Postgres> {
        let mut query = QueryBuilder::new("SELECT count(*) FROM (SELECT FROM sync_event e WHERE ");
        match pin {
            Some(pin) => pin.push_any(&mut query),
            None => {
                query.push("true");
            }
        }
        Conditions { without: pin.map(|pin| pin.compared), hashes_lists: pin.is_some() }.push(&mut query, self.wanted);
        window.push(&mut query, "e");
        if let Some(pin) = pin {
            query.push(" ORDER BY ").push(pin.compared.column).push(", e.published, e.position");
        }
        query.push(" LIMIT ").push_bind(most).push(") AS found");
        query
    }
}
