//! The access path to the events of a filter: the index of one of its lists, or candidates among which a page chooses.

use sqlx::{Postgres, QueryBuilder};

use super::pins::{self, Pin};
use crate::event::{EventOrderField, Filter, Narrowed};

/// Largest number of values of a list whose ranges are read without a look at the first events of the page's order. That
/// look costs about as much as 64 ranges.
const MOST_SHORT: usize = 64;

/// Largest number of values of a list whose ranges are read without such a look for a reader with limited rows. Rights have
/// conditions that no index of a list can check, so each range costs more.
const MOST_SHORT_OF_RIGHTS: usize = 8;

/// Maximum number of candidates that are tried, one by one.
const MOST_CANDIDATES: usize = 4;

/// Maximum number of alternatives of an `or` that one statement reads by their indexes.
const MOST_ALTERNATIVES: usize = 8;

/// The access path to the events of a filter.
#[derive(Debug)]
pub(super) enum Access<'f> {
    /// PostgreSQL chooses the index.
    Any,
    /// The statement reads the index of a pin, value by value.
    Pinned(Pin<'f>),
    /// A first statement looks at the first events in the page's order; further statements try the candidates' indexes.
    Adaptive(Vec<Candidate<'f>>),
}

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

impl<'f> Access<'f> {
    /// Chooses the access path for a filter.
    pub(super) fn of(wanted: &'f Narrowed, field: EventOrderField) -> Self {
        let parts = wanted.conjuncts();
        let pins = Pin::all(&parts);
        let narrowest = Pin::narrowest(&pins);
        let has_several = pins.iter().filter(|pin| pin.is_list()).count() > 1;
        let is_long = |pin: &Pin<'_>| pin.is_list() && pin.breadth() > MOST_SHORT_OF_RIGHTS;
        let has_lists = has_long_list(wanted)
            || (wanted.is_restricted() && narrowest.is_some_and(is_long))
            || (has_several && narrowest.is_some_and(|pin| pin.breadth() > 1));
        let has_or = parts.iter().any(|part| part.or.is_some());
        // No index has the order of the log. PostgreSQL would have to choose between a scan of the log and a sort of all
        // events of a list, and its statistics do not suffice for that.
        // Rights of several kinds are an `or`, and may show so few events that a page leads through all of the log.
        if has_lists
            || (field == EventOrderField::Position && **wanted != Filter::default())
            || (wanted.is_restricted() && has_or && narrowest.is_none_or(Pin::is_common))
        {
            return Self::Adaptive(Candidate::all(pins, &parts));
        }
        let Some(pin) = narrowest else { return Self::Any };
        // Words, alternatives or another single value may have fewer events than the pin. PostgreSQL can compare them, since
        // its statistics have estimates for all of these.
        let is_alone = !pins::seeks_words(wanted) && !has_or && pins.iter().filter(|pin| !pin.is_common()).count() <= 1;
        if pin.breadth() > 1 || is_alone { Self::Pinned(pin.clone()) } else { Self::Any }
    }

    /// Returns the candidates, which only adaptive access has.
    pub(super) fn candidates(&self) -> &[Candidate<'f>] {
        match self {
            Self::Any | Self::Pinned(_) => &[],
            Self::Adaptive(candidates) => candidates,
        }
    }

    /// Moves a candidate with few events to the front, since it probably has few events in other months, too.
    pub(super) fn prefer(&mut self, nth: usize) {
        if let Self::Adaptive(candidates) = self
            && let Some(first) = candidates.get_mut(..=nth)
        {
            first.rotate_right(1);
        }
    }
}

/// Returns true if a filter, or any part of it, has a list of more than [`MOST_SHORT`] values.
fn has_long_list(wanted: &Filter) -> bool {
    let Filter { orgs, applications, application_instances, transactions, event_types, outcomes, severities, .. } =
        wanted;
    let lists = [orgs, applications, application_instances, transactions, outcomes, severities];
    let people = [&wanted.admin, &wanted.user, &wanted.application_user].into_iter().flatten();
    let of_people = people.flat_map(|person| [&person.ids, &person.alternate_ids, &person.types]);
    let is_long = lists.into_iter().chain(of_people).flatten().any(|values| values.len() > MOST_SHORT);
    let mut parts = wanted.and.iter().chain(wanted.or.iter().flatten()).chain(wanted.not.as_deref());
    is_long || event_types.as_ref().is_some_and(|types| types.len() > MOST_SHORT) || parts.any(has_long_list)
}
