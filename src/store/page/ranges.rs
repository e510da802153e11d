//! The parts of statements for pages: ranges of indexes, and the conditions on them.

use sqlx::{Postgres, QueryBuilder};

use super::{Bound, Scan, Source};
use crate::event::EventOrderField;
use crate::store::filter::Conditions;
use crate::store::pins::{self, Access, Pin};
use crate::store::windows::MonthWindow;

impl Scan<'_> {
    /// Returns the pin by which the next statement reads; None if the database chooses the index.
    pub(super) fn pin(&self) -> Option<&Pin<'_>> {
        match &self.access {
            Access::Pinned(pin) if self.is_by_time() => Some(pin),
            Access::Any | Access::Pinned(_) => None,
            // The database knows from its statistics whether words are rare.
            Access::Adaptive(candidates) => candidates.first()?.pin().filter(|_| !self.seeks_words()),
        }
    }

    pub(super) fn is_by_time(&self) -> bool {
        self.field == EventOrderField::Published
    }

    /// Returns true if the index of words may find fewer events than any list.
    pub(super) fn seeks_words(&self) -> bool {
        pins::seeks_words(self.wanted)
    }

    /// Returns true if the database does not know the lists while it plans, or need not.
    fn hashes_lists(&self) -> bool {
        self.pin().is_some() || (self.is_by_time() && (self.is_range() || self.is_adaptive()))
    }

    /// Adds the query for the matching events of a table: a range of an index, or one range for each value of a pin.
    pub(super) fn push_range(&self, query: &mut QueryBuilder<Postgres>, table: &str, source: &Source<'_>) {
        query.push("SELECT ").push(&self.layout.list).push(" FROM ");
        match self.pin() {
            None => {
                query.push(table).push(" e WHERE true");
                self.push_conditions(query, source, None);
            }
            Some(pin) if pin.breadth() == 1 && self.is_by_time() => {
                query.push(table).push(" e WHERE ");
                pin.push_single(query);
                self.push_conditions(query, source, Some(pin));
            }
            Some(pin) => {
                query.push("(");
                self.push_keys(query, table, pin, source);
                query.push(") k");
                push_event_at(query, table, "k", source);
            }
        }
        query.push(self.order("e")).push(" LIMIT ").push_bind(self.limit);
    }

    /// Adds the query for the places of the first events that match in a table: the first of each value of a pin, merged.
    fn push_keys(&self, query: &mut QueryBuilder<Postgres>, table: &str, pin: &Pin<'_>, source: &Source<'_>) {
        query.push("SELECT k.* FROM ");
        if self.is_by_time() && pin.is_broader_than(self.limit) {
            // No event of the page has another value than those whose first events are the first of all.
            query.push("(SELECT pin.value FROM ");
            pin.push_values(query);
            query.push(" AS pin (value) CROSS JOIN LATERAL (");
            self.push_keys_of_value(query, table, pin, source, Some(1));
            query.push(") k").push(self.order("k")).push(" LIMIT ").push_bind(self.limit).push(")");
        } else {
            pin.push_values(query);
        }
        query.push(" AS pin (value) CROSS JOIN LATERAL (");
        // The last event of an index's range may be the first of a page in the order of the log.
        self.push_keys_of_value(query, table, pin, source, self.is_by_time().then_some(self.limit));
        query.push(") k").push(self.order("k")).push(" LIMIT ").push_bind(self.limit);
    }

    fn push_keys_of_value(
        &self,
        query: &mut QueryBuilder<Postgres>,
        table: &str,
        pin: &Pin<'_>,
        source: &Source<'_>,
        limit: Option<i64>,
    ) {
        query.push("SELECT e.published, e.position FROM ").push(table).push(" e WHERE ");
        pin.push_equal(query, |query| {
            query.push("pin.value");
        });
        self.push_conditions(query, source, Some(pin));
        query.push(self.order_of(pin));
        if let Some(limit) = limit {
            query.push(" LIMIT ").push_bind(limit);
        }
    }

    /// Adds the filter, without a pin that the statement has elsewhere, and the place.
    pub(super) fn push_conditions(
        &self,
        query: &mut QueryBuilder<Postgres>,
        source: &Source<'_>,
        without: Option<&Pin<'_>>,
    ) {
        let without = without.map(|pin| pin.compared);
        Conditions { without, hashes_lists: self.hashes_lists() }.push(query, self.wanted);
        self.push_place(query, source);
    }

    /// Adds the conditions on the place of an event `e`: between the cursors, and within the source.
    pub(super) fn push_place(&self, query: &mut QueryBuilder<Postgres>, source: &Source<'_>) {
        if let Source::Log(window, _) = source {
            self.push_bounds(query, "e");
            window.push(query, "e");
            return;
        }
        if let Some(head) = self.head {
            query.push(" AND e.position <= ").push_bind(head);
        }
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
        if let Source::MonthWindow(window) = source {
            window.push(query, "e");
        }
    }

    /// Adds the query for the matching events in the order of the log, through `arrival`, which has that order over all
    /// months.
    pub(super) fn push_walk(&self, query: &mut QueryBuilder<Postgres>, window: &MonthWindow) {
        query.push("SELECT ").push(&self.layout.list).push(" FROM arrival a JOIN sync_event e ");
        query.push("ON e.published = a.published AND e.position = a.position WHERE true");
        Conditions { without: None, hashes_lists: self.hashes_lists() }.push(query, self.wanted);
        self.push_bounds(query, "a");
        window.push(query, "e");
        query.push(" ORDER BY a.position").push(self.way()).push(" LIMIT ").push_bind(self.limit);
    }

    /// Adds the conditions on the position that a page in the order of the log has: its cursors and its stretch.
    pub(in crate::store) fn push_bounds(&self, query: &mut QueryBuilder<Postgres>, alias: &str) {
        let (passed, end) = self.stretch;
        let (beyond, as_far_as) = if self.is_descending { ("<", ">=") } else { (">", "<=") };
        let position = |bound: Option<Bound>| bound.map(|bound| bound.number);
        let cursors = [(">", position(self.above)), ("<", position(self.below))];
        let bounds = cursors.into_iter().chain([(beyond, passed), (as_far_as, end), ("<=", self.head)]);
        for (side, position) in bounds {
            if let Some(position) = position {
                query.push(" AND ").push(alias).push(".position ").push(side).push(" ").push_bind(position);
            }
        }
    }

    pub(super) const fn way(&self) -> &'static str {
        if self.is_descending { " DESC" } else { "" }
    }

    /// Returns the order of a pin's index, which is that of the page for each value.
    pub(super) fn order_of(&self, pin: &Pin<'_>) -> String {
        let way = self.way();
        format!(" ORDER BY {}{way}, e.published{way}, e.position{way}", pin.compared.column)
    }

    pub(super) fn order(&self, alias: &str) -> String {
        let way = self.way();
        match self.field {
            EventOrderField::Published => format!(" ORDER BY {alias}.published{way}, {alias}.position{way}"),
            EventOrderField::Position => format!(" ORDER BY {alias}.position{way}"),
        }
    }
}

/// Adds the event `e` at the place that a row of another alias names. The limit keeps the database from reading all events
/// in order to join them, which it holds for cheaper where it does not know how few rows there are.
pub(in crate::store) fn push_event_at(
    query: &mut QueryBuilder<Postgres>,
    table: &str,
    alias: &str,
    source: &Source<'_>,
) {
    query.push(" CROSS JOIN LATERAL (SELECT e.* FROM ").push(table).push(" e WHERE e.published = ").push(alias);
    query.push(".published AND e.position = ").push(alias).push(".position");
    source.push_months(query, "e");
    query.push(" LIMIT 1) e");
}
