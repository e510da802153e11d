//! Candidates: the access paths among which a page of a filter with lists chooses.

use sqlx::{Postgres, QueryBuilder};

use super::pins::Pin;
use crate::event::Filter;

/// Maximum number of candidates that are tried, one by one.
const MOST_CANDIDATES: usize = 4;

/// Maximum number of alternatives of an `or` that one statement reads by their indexes.
const MOST_ALTERNATIVES: usize = 8;

/// Pins that together find every matching event: one pin of the filter, or one pin of each alternative of an `or`.
#[derive(Debug)]
pub(super) struct Candidate<'f>(pub(super) Vec<Pin<'f>>);

impl<'f> Candidate<'f> {
    /// Returns the candidates of a filter's parts, given their pins: first those with the fewest values, and of these the
    /// ones with the rarer column.
    pub(super) fn all(mut pins: Vec<Pin<'f>>, parts: &[&'f Filter]) -> Vec<Self> {
        pins.sort_by_key(Pin::counted_breadth);
        let (common, rare): (Vec<_>, Vec<_>) = pins.into_iter().partition(Pin::is_common);
        let single = |pins: Vec<Pin<'f>>| pins.into_iter().map(|pin| Self(vec![pin]));
        let alternatives = parts.iter().copied().filter_map(Self::of_alternatives);
        single(rare).chain(alternatives).chain(single(common)).take(MOST_CANDIDATES).collect()
    }

    /// Returns the pins of all alternatives of a filter's `or`; None if an alternative has no pin, or if there are too many
    /// alternatives for one statement.
    fn of_alternatives(part: &'f Filter) -> Option<Self> {
        let alternatives = part.or.as_ref().filter(|parts| (1..=MOST_ALTERNATIVES).contains(&parts.len()))?;
        let pins = alternatives.iter().map(|part| Pin::narrowest(&Pin::all(&part.conjuncts())).cloned());
        pins.collect::<Option<_>>().map(Self)
    }

    /// Adds a query for the keys of at most `most + 1` events of each pin. The query follows the order of the pin's index,
    /// so that PostgreSQL stops reading at the limit.
    pub(super) fn push_keys(
        &self,
        query: &mut QueryBuilder<Postgres>,
        most: i64,
        push_conditions: impl Fn(&mut QueryBuilder<Postgres>),
    ) {
        for (nth, pin) in self.0.iter().enumerate() {
            query.push(if nth == 0 { "" } else { " UNION ALL " });
            query.push("(SELECT e.published, e.position FROM sync_event e WHERE ");
            pin.push_any(query);
            push_conditions(query);
            query.push(" ORDER BY ").push(pin.compared.column).push(", e.published, e.position LIMIT ");
            query.push_bind(most.saturating_add(1)).push(")");
        }
    }

    /// Returns true if most events may have a value of one of the pins.
    pub(super) fn is_common(&self) -> bool {
        self.0.iter().any(Pin::is_common)
    }

    /// Returns the number of values of all pins, as far as comparisons count them.
    pub(super) fn breadth(&self) -> usize {
        self.0.iter().map(Pin::counted_breadth).sum()
    }

    /// Returns the pin; None for several alternatives.
    pub(super) fn pin(&self) -> Option<&Pin<'f>> {
        if let [pin] = &*self.0 { Some(pin) } else { None }
    }
}
