//! What a filter pins: the index whose ranges are in the order of pages.

use std::collections::BTreeSet;

use sqlx::{Postgres, QueryBuilder};

use super::filter::{self, SUCCESS};
use crate::event::{EventTypePattern, Filter};

/// A column that an index has before `published` and `position`, and the values that are wanted of it. Each value is a
/// range of the index: the first of each range, merged, are the first of all.
pub(super) struct Pin {
    /// The column, as the index has it.
    pub(super) column: &'static str,
    values: Values,
}

enum Values {
    Listed(Vec<String>),
    /// The event types that are there and match.
    Types(Vec<EventTypePattern>),
}

impl Pin {
    /// The pin of a filter with several values, the narrowest first; None where no list is pinned, or a single value,
    /// which the database sees by itself.
    pub(super) fn of(wanted: &Filter) -> Option<Self> {
        Self::narrowest(&all_parts(wanted)).filter(|pin| pin.breadth() > 1)
    }

    fn narrowest(parts: &[&Filter]) -> Option<Self> {
        [people, instances, applications, outcomes, types].into_iter().find_map(|kind| {
            let pins: Vec<_> = parts.iter().filter_map(|part| kind(part)).collect();
            pins.into_iter().min_by_key(Self::breadth)
        })
    }

    fn breadth(&self) -> usize {
        match &self.values {
            Values::Listed(values) => values.len(),
            Values::Types(_) => usize::MAX,
        }
    }

    fn listed(column: &'static str, values: &[String], fold: fn(&str) -> String) -> Self {
        let distinct: BTreeSet<String> = values.iter().map(|value| fold(value)).collect();
        Self { column, values: Values::Listed(distinct.into_iter().collect()) }
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
}

/// Returns true if an index finds all matching events: the index of a pin, even of a single value, or that of words.
pub(super) fn is_pinned(wanted: &Filter) -> bool {
    let parts = all_parts(wanted);
    let seeks_words = |part: &&Filter| {
        let mut people = [&part.admin, &part.user, &part.application_user].into_iter().flatten();
        part.search.is_some() || people.any(|person| person.search.is_some())
    };
    parts.iter().any(seeks_words) || Pin::narrowest(&parts).is_some()
}

/// Returns a filter, its `and` parts, and theirs.
fn all_parts(wanted: &Filter) -> Vec<&Filter> {
    let mut parts = vec![wanted];
    let mut next = 0;
    while let Some(part) = parts.get(next) {
        parts.extend(&part.and);
        next += 1;
    }
    parts
}

fn people(wanted: &Filter) -> Option<Pin> {
    let pins = filter::people(wanted).flat_map(|(person, columns)| {
        // Ids that are addresses compare without regard to case, which their index does not.
        let ids = person.ids.as_ref().filter(|ids| !ids.iter().any(|id| crate::event::is_address(id)));
        let by_id = ids.filter(|_| columns.id != "e.application_user_id");
        let by_id = by_id.map(|ids| Pin::listed(columns.id, ids, str::to_owned));
        let by_alternate = person.alternate_ids.as_ref();
        let by_alternate =
            by_alternate.map(|ids| Pin::listed(columns.folded_alternate_id, ids, str::to_ascii_lowercase));
        by_id.into_iter().chain(by_alternate)
    });
    pins.min_by_key(Pin::breadth)
}

fn instances(wanted: &Filter) -> Option<Pin> {
    Some(Pin::listed("e.instance_id", wanted.application_instances.as_ref()?, str::to_owned))
}

fn applications(wanted: &Filter) -> Option<Pin> {
    Some(Pin::listed("e.application_name", wanted.applications.as_ref()?, str::to_owned))
}

fn outcomes(wanted: &Filter) -> Option<Pin> {
    let outcomes = wanted.outcomes.as_ref()?;
    let is_rare = !outcomes.iter().any(|outcome| outcome == SUCCESS);
    is_rare.then(|| Pin::listed("e.outcome_result", outcomes, str::to_owned))
}

fn types(wanted: &Filter) -> Option<Pin> {
    let patterns = wanted.event_types.as_ref()?;
    let is_every =
        |pattern: &EventTypePattern| matches!(pattern, EventTypePattern::Prefix(prefix) if prefix.is_empty());
    if patterns.iter().any(is_every) {
        return None;
    }
    let exact: Option<Vec<_>> = patterns.iter().map(|pattern| pattern.exact().map(str::to_owned)).collect();
    let values = match exact {
        Some(names) => return Some(Pin::listed("e.event_type", &names, str::to_owned)),
        None => Values::Types(patterns.clone()),
    };
    Some(Pin { column: "e.event_type", values })
}
