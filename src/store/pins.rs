//! Pins: the lists of a filter whose values an index has before the order of pages.
//!
//! Each value is a range of such an index, and the first events of each range, merged, are the first of all. The database
//! could take them from elsewhere: where statistics know a single value of a column, they make the order of time look as
//! cheap as the index, and a value that is not there costs the whole log. `push_equal` leaves only the index.

use std::collections::BTreeSet;

use sqlx::{Postgres, QueryBuilder};

use super::filter::{self, Compared, SUCCESS};
use crate::event::{EventTypePattern, Filter};

/// Largest number of values in a list that is read value by value at once. A look at the newest events costs about as
/// much as 64 pages of single values.
const MOST_SHORT: usize = 64;

/// Maximum number of candidates that are tried, one after the other.
const MOST_CANDIDATES: usize = 4;

/// Maximum number of alternatives of an `or` that one statement reads by their indexes.
const MOST_ALTERNATIVES: usize = 8;

/// A column that an index has before `published` and `position`, and the values that a filter wants of it.
#[derive(Debug)]
pub(super) struct Pin<'f> {
    /// The condition that the pin stands for.
    pub(super) compared: Compared<'f>,
    values: Values<'f>,
}

#[derive(Debug)]
enum Values<'f> {
    Listed(Vec<String>),
    /// The event types that are there and match.
    Types(&'f [EventTypePattern]),
}

/// The way in which pages of a filter are read.
#[derive(Debug)]
pub(super) enum Access<'f> {
    /// The database chooses the index.
    Any,
    /// The statement reads the index of a pin, value by value.
    Pinned(Pin<'f>),
    /// Statements try one index after the other until one finds few events: the filter has long lists, or several.
    Adaptive(Vec<Candidate<'f>>),
}

/// Pins of which at least one holds for each event that matches: a pin of the filter, or pins of all alternatives of an
/// `or`.
#[derive(Debug)]
pub(super) struct Candidate<'f>(pub(super) Vec<Pin<'f>>);

impl<'f> Access<'f> {
    /// Chooses the way for a filter.
    pub(super) fn of(wanted: &'f Filter) -> Self {
        let parts = wanted.conjuncts();
        let narrowest = Pin::narrowest(&parts);
        let pins = Pin::all(&parts);
        let has_several = pins.iter().filter(|pin| pin.is_list()).count() > 1;
        if has_long_list(wanted) || (has_several && narrowest.as_ref().is_some_and(|pin| pin.breadth() > 1)) {
            let pins = pins.into_iter().map(|pin| Candidate(vec![pin]));
            let candidates = pins.chain(parts.iter().copied().filter_map(Candidate::of_alternatives));
            return Self::Adaptive(candidates.take(MOST_CANDIDATES).collect());
        }
        let Some(pin) = narrowest else { return Self::Any };
        // The database sees the index of a single value by itself, but not that of an org: most logs have one org, in
        // which case the order of time looks as good. Words, or alternatives, may have a better index than the org.
        let is_alone = !seeks_words(wanted) && parts.iter().all(|part| part.or.is_none());
        if pin.breadth() > 1 || (pin.is_org() && is_alone) { Self::Pinned(pin) } else { Self::Any }
    }

    /// Returns the candidates for pages that are read adaptively.
    pub(super) fn candidates(&self) -> &[Candidate<'f>] {
        match self {
            Self::Any | Self::Pinned(_) => &[],
            Self::Adaptive(candidates) => candidates,
        }
    }

    /// Moves a candidate that has few events to the front, since it will have few in other months, too.
    pub(super) fn prefer(&mut self, nth: usize) {
        if let Self::Adaptive(candidates) = self
            && let Some(first) = candidates.get_mut(..=nth)
        {
            first.rotate_right(1);
        }
    }
}

impl<'f> Candidate<'f> {
    /// Returns the pins of the alternatives of a filter's `or`; None where one of them has none, or where they are too many
    /// for one statement.
    fn of_alternatives(part: &'f Filter) -> Option<Self> {
        let alternatives = part.or.as_ref().filter(|parts| (1..=MOST_ALTERNATIVES).contains(&parts.len()))?;
        let pins = alternatives.iter().map(|part| Pin::narrowest(&part.conjuncts()));
        pins.collect::<Option<_>>().map(Self)
    }

    /// Returns the only pin; None for alternatives.
    pub(super) fn pin(&self) -> Option<&Pin<'f>> {
        if let [pin] = &*self.0 { Some(pin) } else { None }
    }
}

/// Returns true if a filter, or any part of it, has a list that is not short.
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

impl<'f> Pin<'f> {
    /// Returns the pins of a filter's parts, the narrowest first, and of equally narrow ones the rarer kind first.
    fn all(parts: &[&'f Filter]) -> Vec<Self> {
        let of_kind = |kind: Kind| parts.iter().copied().flat_map(kind);
        let mut pins: Vec<_> = KINDS.into_iter().flat_map(of_kind).collect();
        pins.sort_by_key(Self::breadth);
        pins
    }

    /// Returns the narrowest pin of the rarest kind.
    fn narrowest(parts: &[&'f Filter]) -> Option<Self> {
        let of_kind = |kind: Kind| parts.iter().copied().flat_map(kind).min_by_key(Self::breadth);
        KINDS.into_iter().find_map(of_kind)
    }

    /// Returns the number of values, without those of families, whose number only the database knows.
    fn breadth(&self) -> usize {
        match &self.values {
            Values::Listed(values) => values.len(),
            Values::Types(_) => usize::MAX,
        }
    }

    const fn is_listed(&self) -> bool {
        matches!(self.values, Values::Listed(_))
    }

    fn is_org(&self) -> bool {
        self.compared.column == ORG
    }

    /// Returns true for several values that may be rare together. Orgs are not: all their events are most of a log.
    fn is_list(&self) -> bool {
        self.is_listed() && self.breadth() > 1 && !self.is_org()
    }

    /// Returns true if the pin has more values than a page has events.
    pub(super) fn is_broader_than(&self, limit: i64) -> bool {
        self.is_listed() && i64::try_from(self.breadth()).is_ok_and(|breadth| breadth > limit)
    }

    fn listed(compared: Compared<'f>, values: &[String], fold: fn(&str) -> String) -> Self {
        let distinct: BTreeSet<String> = values.iter().map(|value| fold(value)).collect();
        Self { compared, values: Values::Listed(distinct.into_iter().collect()) }
    }

    /// Adds the values as rows of a table.
    pub(super) fn push_values(&self, query: &mut QueryBuilder<Postgres>) {
        match &self.values {
            Values::Listed(values) => {
                query.push("unnest(").push_bind(values.clone()).push("::text[])");
            }
            Values::Types(patterns) => {
                query.push("(SELECT t.name FROM event_type t WHERE ");
                filter::push_types(query, "t.name", patterns);
                query.push(")");
            }
        }
    }

    /// Returns the value of a pin that has only one.
    pub(super) fn single(&self) -> Option<&str> {
        match &self.values {
            Values::Listed(values) => {
                if let [value] = &**values {
                    Some(value)
                } else {
                    None
                }
            }
            Values::Types(_) => None,
        }
    }

    /// Adds the condition that an event `e` has a value. An array of one value keeps the column in the order of the rows,
    /// in which an equality would not count, so that no other index has that order.
    pub(super) fn push_equal(
        &self,
        query: &mut QueryBuilder<Postgres>,
        push_value: impl FnOnce(&mut QueryBuilder<Postgres>),
    ) {
        query.push(self.compared.column).push(" = ANY(ARRAY[");
        push_value(query);
        query.push("])");
        if self.compared.column == OUTCOME {
            // The planner uses the partial index, which leaves this outcome out, only with this condition.
            query.push(" AND e.outcome_result <> 'SUCCESS'");
        }
    }
}

/// Returns true if an index finds all matching events: the index of a pin, even of a single value, or that of words. The
/// events of an org are too many to count.
pub(super) fn is_pinned(wanted: &Filter) -> bool {
    seeks_words(wanted) || Pin::narrowest(&wanted.conjuncts()).is_some_and(|pin| !pin.is_org())
}

/// Returns true if a filter, or one of its `and` parts, looks for words.
pub(super) fn seeks_words(wanted: &Filter) -> bool {
    wanted.conjuncts().into_iter().any(|part| {
        let mut people = [&part.admin, &part.user, &part.application_user].into_iter().flatten();
        part.search.is_some() || people.any(|person| person.search.is_some())
    })
}

type Kind = for<'f> fn(&'f Filter) -> Vec<Pin<'f>>;

/// The leading columns of indexes, those with the rarest values first.
const KINDS: [Kind; 7] = [transactions, people, instances, applications, outcomes, types, orgs];

const ORG: &str = "e.org";

const OUTCOME: &str = "e.outcome_result";

fn people(part: &Filter) -> Vec<Pin<'_>> {
    let pins = filter::people(part).flat_map(|(person, columns)| {
        let compared = |column| Compared { part, column };
        // Ids that are addresses compare without regard to case, which their index does not.
        let ids = person.ids.as_ref().filter(|ids| !ids.iter().any(|id| crate::event::is_address(id)));
        let by_id = ids.filter(|_| columns.id != "e.application_user_id");
        let by_id = by_id.map(|ids| Pin::listed(compared(columns.id), ids, str::to_owned));
        let by_alternate = person.alternate_ids.as_ref();
        let by_alternate =
            by_alternate.map(|ids| Pin::listed(compared(columns.folded_alternate_id), ids, str::to_ascii_lowercase));
        by_id.into_iter().chain(by_alternate)
    });
    pins.collect()
}

fn transactions(part: &Filter) -> Vec<Pin<'_>> {
    listed(part, "e.transaction_id", part.transactions.as_deref())
}

fn instances(part: &Filter) -> Vec<Pin<'_>> {
    listed(part, "e.instance_id", part.application_instances.as_deref())
}

fn applications(part: &Filter) -> Vec<Pin<'_>> {
    listed(part, "e.application_name", part.applications.as_deref())
}

fn orgs(part: &Filter) -> Vec<Pin<'_>> {
    listed(part, ORG, part.orgs.as_deref())
}

fn outcomes(part: &Filter) -> Vec<Pin<'_>> {
    let is_rare = |outcomes: &&[String]| !outcomes.iter().any(|outcome| outcome == SUCCESS);
    listed(part, OUTCOME, part.outcomes.as_deref().filter(is_rare))
}

fn listed<'f>(part: &'f Filter, column: &'static str, values: Option<&[String]>) -> Vec<Pin<'f>> {
    let pin = |values: &[String]| Pin::listed(Compared { part, column }, values, str::to_owned);
    values.map(pin).into_iter().collect()
}

fn types(part: &Filter) -> Vec<Pin<'_>> {
    let Some(patterns) = &part.event_types else { return Vec::new() };
    let is_every =
        |pattern: &EventTypePattern| matches!(pattern, EventTypePattern::Prefix(prefix) if prefix.is_empty());
    if patterns.iter().any(is_every) {
        return Vec::new();
    }
    let compared = Compared { part, column: "e.event_type" };
    let exact: Option<Vec<_>> = patterns.iter().map(|pattern| pattern.exact().map(str::to_owned)).collect();
    vec![match exact {
        Some(names) => Pin::listed(compared, &names, str::to_owned),
        None => Pin { compared, values: Values::Types(patterns) },
    }]
}
