//! Parts of the statements for pages: ranges of indexes, and conditions on their events.

use sqlx::{Postgres, QueryBuilder};

use super::scan::{Bound, Scan, Source};
use crate::event::EventOrderField;
use crate::store::access_path::Access;
use crate::store::filter::Conditions;
use crate::store::pins::{self, Pin};
use crate::store::windows::MonthWindow;

impl Scan<'_> {
    /// Returns the pin whose index the next statement reads; None if PostgreSQL chooses the index.
    pub(super) fn pin(&self) -> Option<&Pin<'_>> {
        match &self.access {
            Access::Pinned(pin) if self.is_by_time() => Some(pin),
            Access::Any | Access::Pinned(_) => None,
            // PostgreSQL's statistics show whether the words are rarer than the list's values.
            Access::Adaptive(candidates) => candidates.first()?.pin().filter(|_| !self.seeks_words()),
        }
    }

    /// Returns true if the filter has words, whose index may find fewer events than any list's.
    pub(super) fn seeks_words(&self) -> bool {
        pins::seeks_words(self.wanted)
    }

    /// Returns true if PostgreSQL plans without the lists' values, or finds the events by other means than the lists.
    fn hashes_lists(&self) -> bool {
        self.pin().is_some() || (self.is_by_time() && (self.is_range() || self.is_adaptive()))
    }

    /// Adds the query for the matching events of a table: a range of an index, or a range for each value of a pin.
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

    /// Adds the query for the keys of a table's first matching events: the merge of the first events of each value of a pin.
    fn push_keys(&self, query: &mut QueryBuilder<Postgres>, table: &str, pin: &Pin<'_>, source: &Source<'_>) {
        query.push("SELECT k.* FROM ");
        if self.is_by_time() && pin.is_broader_than(self.limit) {
            // The page's events can only have the values whose own first events come first.
            query.push("(SELECT pin.value FROM ");
            pin.push_values(query);
            query.push(" AS pin (value) CROSS JOIN LATERAL (");
            self.push_keys_of_value(query, table, pin, source, Some(1));
            query.push(") k").push(self.order("k")).push(" LIMIT ").push_bind(self.limit).push(")");
        } else {
            pin.push_values(query);
        }
        query.push(" AS pin (value) CROSS JOIN LATERAL (");
        // In the order of the log no limit holds for a value: the last event of its range may be the page's first.
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

    /// Adds the conditions of the filter, except a pin that the statement has elsewhere, and those on the event's place.
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

    /// Adds the conditions that an event `e` is between the cursors and within the source.
    pub(super) fn push_place(&self, query: &mut QueryBuilder<Postgres>, source: &Source<'_>) {
        if let Source::Log(window, _) = source {
            self.push_bounds(query, "e");
            window.push(query, "e");
            return;
        }
        if let Some(head) = self.head {
            query.push(" AND e.position <= ").push_bind(head);
        }
        // The bound on `published` alone is redundant, but it lets the planner skip partitions.
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

    /// Adds the query for the matching events in the order of the log, by a join with `arrival`, whose index has that order
    /// over all months.
    pub(super) fn push_walk(&self, query: &mut QueryBuilder<Postgres>, window: &MonthWindow) {
        query.push("SELECT ").push(&self.layout.list).push(" FROM arrival a JOIN sync_event e ");
        query.push("ON e.published = a.published AND e.position = a.position WHERE true");
        Conditions { without: None, hashes_lists: self.hashes_lists() }.push(query, self.wanted);
        self.push_bounds(query, "a");
        window.push(query, "e");
        query.push(" ORDER BY a.position").push(self.sort_direction()).push(" LIMIT ").push_bind(self.limit);
    }

    /// Adds the conditions on positions for a page in the order of the log: its cursors and its stretch.
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

    pub(super) const fn sort_direction(&self) -> &'static str {
        if self.is_descending { " DESC" } else { "" }
    }

    /// Returns the order of a pin's index, which has the order of the page within each value.
    pub(super) fn order_of(&self, pin: &Pin<'_>) -> String {
        let direction = self.sort_direction();
        format!(" ORDER BY {}{direction}, e.published{direction}, e.position{direction}", pin.compared.column)
    }

    pub(super) fn order(&self, alias: &str) -> String {
        let direction = self.sort_direction();
        match self.field {
            EventOrderField::Published => {
                format!(" ORDER BY {alias}.published{direction}, {alias}.position{direction}")
            }
            EventOrderField::Position => format!(" ORDER BY {alias}.position{direction}"),
        }
    }
}

/// Adds a join with the event `e` whose key is in a row of another alias. PostgreSQL does not know how few rows there are,
/// and would prefer a join that reads all events; the limit prevents that.
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
