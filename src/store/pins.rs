//! Pins: the lists of a filter for which an index exists. The index has the list's column first and then the order of
//! pages.
//!
//! Each value of a list is a range of the index, and a page is the merge of the first events of these ranges. PostgreSQL
//! might choose another index: if its statistics know only one value of a column, the index of time looks equally cheap,
//! although a value that no event has would then cost a scan of the whole log. `push_equal` and `push_single` prevent
//! that.

use std::borrow::Cow;
use std::collections::BTreeSet;

use sqlx::{Postgres, QueryBuilder};

use super::filter::{self, Compared, INFO, SUCCESS};
use crate::event::{EventTypePattern, Filter};

/// A column that leads an index, before `published` and `position`, and the values of it that a filter wants.
#[derive(Clone, Debug)]
pub(super) struct Pin<'f> {
    /// The condition that the pin stands for.
    pub(super) compared: Compared<'f>,
    values: Values<'f>,
    /// Index of the pin's column in [`COLUMNS_BY_RARITY`].
    rarity: usize,
}

#[derive(Clone, Debug)]
enum Values<'f> {
    Listed(Vec<Cow<'f, str>>),
    /// Codes of the ways in.
    Codes(Vec<i16>),
    /// All event types of the catalogue that match these patterns.
    Types(&'f [EventTypePattern]),
}

impl<'f> Pin<'f> {
    /// Returns the pins of a filter's parts, those with the rarest column first.
    pub(super) fn all(parts: &[&'f Filter]) -> Vec<Self> {
        let of_column = |(rarity, pins): (usize, PinsOfColumn)| {
            parts.iter().copied().flat_map(pins).map(move |pin| Self { rarity, ..pin })
        };
        COLUMNS_BY_RARITY.into_iter().enumerate().flat_map(of_column).collect()
    }

    /// Returns the pin with the rarest column, and of these the one with the fewest values.
    pub(super) fn narrowest(pins: &[Self]) -> Option<&Self> {
        pins.iter().min_by_key(|pin| (pin.rarity, pin.breadth()))
    }

    /// Returns the number of values; `usize::MAX` for patterns of event types, since only the catalogue has the types.
    pub(super) fn breadth(&self) -> usize {
        match &self.values {
            Values::Listed(values) => values.len(),
            Values::Codes(codes) => codes.len(),
            Values::Types(_) => usize::MAX,
        }
    }

    /// Returns the number of values for comparisons between pins. Event types count as one value, since a log has few.
    pub(super) fn counted_breadth(&self) -> usize {
        if self.compared.column == TYPE { 1 } else { self.breadth() }
    }

    /// Returns true if most events may have the same value in the pin's column.
    pub(super) fn is_common(&self) -> bool {
        [ORG, SOURCE, ADMIN_TYPE].contains(&self.compared.column)
    }

    /// Returns true for several values that few events may have.
    pub(super) fn is_list(&self) -> bool {
        matches!(self.values, Values::Listed(_)) && self.breadth() > 1 && !self.is_common()
    }

    /// Returns true if the pin has more values than a page has events.
    pub(super) fn is_broader_than(&self, limit: i64) -> bool {
        let is_counted = !matches!(self.values, Values::Types(_));
        is_counted && i64::try_from(self.breadth()).is_ok_and(|breadth| breadth > limit)
    }

    const fn of(compared: Compared<'f>, values: Values<'f>) -> Self {
        Self { compared, values, rarity: 0 }
    }

    fn listed(compared: Compared<'f>, values: impl Iterator<Item = Cow<'f, str>>) -> Self {
        let mut distinct: Vec<_> = values.collect();
        distinct.sort_unstable();
        distinct.dedup();
        Self::of(compared, Values::Listed(distinct))
    }

    /// Adds the values as an array. Several event types are reduced to those in the catalogue, which has every type of the
    /// log's events.
    fn push_array(&self, query: &mut QueryBuilder<Postgres>) {
        match &self.values {
            Values::Listed(values) if self.compared.column == TYPE && values.len() > 1 => {
                query.push("ARRAY(SELECT t.name FROM event_type t WHERE (t.name IN (SELECT unnest(");
                query.push_bind(values).push("::text[]))) IS TRUE)");
            }
            Values::Listed(values) => {
                query.push_bind(values).push("::text[]");
            }
            Values::Codes(codes) => {
                query.push_bind(codes).push("::smallint[]");
            }
            Values::Types(patterns) => {
                query.push("ARRAY(SELECT t.name FROM event_type t WHERE ");
                filter::push_types(query, "t.name", patterns);
                query.push(")");
            }
        }
    }

    /// Adds the values as rows of a table.
    pub(super) fn push_values(&self, query: &mut QueryBuilder<Postgres>) {
        query.push("unnest(");
        self.push_array(query);
        query.push(")");
    }

    /// Adds every `step`th of the values as rows of a table.
    pub(super) fn push_sample(&self, query: &mut QueryBuilder<Postgres>, step: usize) {
        match &self.values {
            Values::Listed(values) if self.compared.column != TYPE => {
                let some: Vec<_> = values.iter().step_by(step).collect();
                query.push("unnest(").push_bind(some).push("::text[])");
            }
            Values::Listed(_) | Values::Codes(_) | Values::Types(_) => self.push_values(query),
        }
    }

    /// Adds the condition that an event `e` has one of the values, each of which is a range of the index.
    pub(super) fn push_any(&self, query: &mut QueryBuilder<Postgres>) {
        query.push(self.compared.column).push(" = ANY(");
        self.push_array(query);
        query.push(")").push(self.predicate());
    }

    /// Adds the condition that an event `e` has a value. With an equality, the planner would drop the column from the
    /// statement's order, and other indexes could have that order, too. An array of one value prevents that.
    pub(super) fn push_equal(
        &self,
        query: &mut QueryBuilder<Postgres>,
        push_value: impl FnOnce(&mut QueryBuilder<Postgres>),
    ) {
        query.push(self.compared.column).push(" = ANY(ARRAY[");
        push_value(query);
        query.push("])").push(self.predicate());
    }

    /// Returns the condition of a partial index, without which the planner does not use it; empty for other indexes.
    fn predicate(&self) -> &'static str {
        match self.compared.column {
            OUTCOME => filter::UNUSUAL_OUTCOME,
            SEVERITY => filter::UNUSUAL_SEVERITY,
            _ => "",
        }
    }

    /// Adds the condition that an event `e` has the only value of this pin. Two of the comparisons are redundant: they
    /// lower PostgreSQL's estimate of the matching events, so that it uses no other index.
    pub(super) fn push_single(&self, query: &mut QueryBuilder<Postgres>) {
        for (nth, comparison) in [" = ", " >= ", " <= "].into_iter().enumerate() {
            query.push(if nth == 0 { "" } else { " AND " }).push(self.compared.column).push(comparison);
            match &self.values {
                Values::Listed(values) => query.push_bind(values.first()),
                Values::Codes(codes) => query.push_bind(codes.first()),
                Values::Types(_) => query.push("NULL"),
            };
        }
        query.push(self.predicate());
    }
}

/// Returns true if an index finds the matching events: that of a pin, or that of words. A pin of a common column, such as
/// the org, has too many events.
pub(super) fn is_pinned(wanted: &Filter) -> bool {
    seeks_words(wanted) || Pin::narrowest(&Pin::all(&wanted.conjuncts())).is_some_and(|pin| !pin.is_common())
}

/// Returns true if a filter, or one of its `and` parts, looks for words.
pub(super) fn seeks_words(wanted: &Filter) -> bool {
    wanted.conjuncts().into_iter().any(|part| {
        let mut people = [&part.admin, &part.user, &part.application_user].into_iter().flatten();
        part.search.is_some() || people.any(|person| person.search.is_some())
    })
}

/// A function that returns a filter's pins of one column, or of people's columns.
type PinsOfColumn = for<'f> fn(&'f Filter) -> Vec<Pin<'f>>;

/// The columns that lead indexes, those with the rarest values first.
const COLUMNS_BY_RARITY: [PinsOfColumn; 10] =
    [transactions, people, instances, applications, outcomes, severities, types, admin_types, sources, orgs];

const ORG: &str = "e.org";

const TYPE: &str = "e.event_type";

const OUTCOME: &str = "e.outcome_result";

const SEVERITY: &str = "e.severity";

const SOURCE: &str = "e.first_source";

const ADMIN_TYPE: &str = "e.admin_type";

fn people<'f>(part: &'f Filter) -> Vec<Pin<'f>> {
    let pins = filter::people(part).flat_map(|(person, columns)| {
        let pin = |column, ids: &'f [String]| Pin::listed(Compared { part, column }, ids.iter().map(|id| folded(id)));
        let by_id = person.ids.as_deref().map(|ids| pin(columns.folded_id, ids));
        let by_alternate = person.alternate_ids.as_deref().map(|ids| pin(columns.folded_alternate_id, ids));
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
    listed(part, OUTCOME, without(part.outcomes.as_deref(), SUCCESS))
}

fn severities(part: &Filter) -> Vec<Pin<'_>> {
    listed(part, SEVERITY, without(part.severities.as_deref(), INFO))
}

fn admin_types(part: &Filter) -> Vec<Pin<'_>> {
    listed(part, ADMIN_TYPE, part.admin.as_ref().and_then(|admin| admin.types.as_deref()))
}

fn sources(part: &Filter) -> Vec<Pin<'_>> {
    let codes = part.first_sources.iter().map(|sources| {
        let codes: BTreeSet<_> = sources.iter().map(|source| source.code()).collect();
        Pin::of(Compared { part, column: SOURCE }, Values::Codes(codes.into_iter().collect()))
    });
    codes.collect()
}

/// Returns the values, unless the usual value is among them: the partial index omits its events.
fn without<'f>(values: Option<&'f [String]>, usual: &str) -> Option<&'f [String]> {
    values.filter(|values| !values.iter().any(|value| value == usual))
}

/// Returns an id in lower case.
fn folded(id: &str) -> Cow<'_, str> {
    if id.bytes().any(|byte| byte.is_ascii_uppercase()) { id.to_ascii_lowercase().into() } else { id.into() }
}

fn listed<'f>(part: &'f Filter, column: &'static str, values: Option<&'f [String]>) -> Vec<Pin<'f>> {
    let pin = |values: &'f [String]| Pin::listed(Compared { part, column }, values.iter().map(Cow::from));
    values.map(pin).into_iter().collect()
}

fn types(part: &Filter) -> Vec<Pin<'_>> {
    let Some(patterns) = &part.event_types else { return Vec::new() };
    let is_every =
        |pattern: &EventTypePattern| matches!(pattern, EventTypePattern::Prefix(prefix) if prefix.is_empty());
    if patterns.iter().any(is_every) {
        return Vec::new();
    }
    let compared = Compared { part, column: TYPE };
    let exact: Option<Vec<_>> = patterns.iter().map(|pattern| pattern.exact().map(Cow::from)).collect();
    vec![match exact {
        Some(names) => Pin::listed(compared, names.into_iter()),
        None => Pin::of(compared, Values::Types(patterns)),
    }]
}
