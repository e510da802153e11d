//! Filters as SQL conditions, with the same meaning as `Filter::matches`.

use std::collections::BTreeSet;

use sqlx::{Encode, Postgres, QueryBuilder, Type};

use crate::event::{EntityFilter, EventTypePattern, Filter, Narrowed, Place, RepeatedList, TimeRange, is_address};

/// Adds ` AND …` for each condition of a filter on an event `e`.
pub(super) fn push(query: &mut QueryBuilder<Postgres>, filter: &Narrowed) {
    Conditions::default().push(query, filter);
}

/// Returns the conditions of a filter as SQL, for the fuzzer.
#[cfg(any(test, fuzzing))]
pub(crate) fn conditions_of(filter: &Narrowed) -> String {
    let mut query = QueryBuilder::new("");
    push(&mut query, filter);
    query.sql().as_str().to_owned()
}

/// Largest number of values that a statement compares one by one with each event. More are looked up in a hash table.
const MOST_COMPARED: usize = 16;

/// A condition of a filter, or of one of its `and` parts, that compares a column with a list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compared<'f> {
    /// The filter or the `and` part that has the condition.
    pub(super) part: &'f Filter,
    /// The column, as an expression of its index.
    pub(super) column: &'static str,
}

/// The form in which a statement has the conditions of a filter.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Conditions<'f> {
    /// A condition to leave out, since the statement has it elsewhere.
    pub(super) without: Option<Compared<'f>>,
    /// True to look up each event's value in a hash table of a long list. PostgreSQL does so by itself only if it knows
    /// the values while it plans, so this is for generic plans, and for statements that find their events by other means
    /// than the filter's long lists.
    pub(super) hashes_lists: bool,
}

impl Conditions<'_> {
    /// Adds ` AND …` for each condition of a filter on an event `e`.
    pub(super) fn push(&self, query: &mut QueryBuilder<Postgres>, filter: &Narrowed) {
        self.push_part(query, filter);
    }

    /// Returns true if the filter has no conditions beside the one that is left out.
    pub(super) fn are_none(&self, filter: &Narrowed) -> bool {
        let mut query = QueryBuilder::new("");
        self.push(&mut query, filter);
        query.sql().as_str().is_empty()
    }

    fn push_part(&self, query: &mut QueryBuilder<Postgres>, filter: &Filter) {
        self.push_list(query, filter, "e.org", filter.orgs.as_deref());
        self.push_list(query, filter, "e.application_name", filter.applications.as_deref());
        self.push_list(query, filter, "e.instance_id", filter.application_instances.as_deref());
        self.push_list(query, filter, "e.transaction_id", filter.transactions.as_deref());
        if let Some(patterns) = filter.event_types.as_ref().filter(|_| !self.leaves_out(filter, "e.event_type")) {
            self.push_patterns(query, patterns);
        }
        push_range(query, "e.published", filter.published);
        push_range(query, "e.received_at", filter.received);
        // The conditions without the usual value are redundant: the planner needs them to use the partial indexes.
        self.push_list(query, filter, "e.outcome_result", filter.outcomes.as_deref());
        if filter.outcomes.as_ref().is_some_and(|outcomes| !outcomes.iter().any(|outcome| outcome == SUCCESS)) {
            query.push(UNUSUAL_OUTCOME);
        }
        self.push_list(query, filter, "e.severity", filter.severities.as_deref());
        if filter.severities.as_ref().is_some_and(|severities| !severities.iter().any(|severity| severity == INFO)) {
            query.push(UNUSUAL_SEVERITY);
        }
        if let Some(sources) = filter.first_sources.as_ref().filter(|_| !self.leaves_out(filter, "e.first_source")) {
            let codes: Vec<i16> = sources.iter().map(|source| source.code()).collect();
            query.push(" AND e.first_source = ANY(").push_bind(codes).push(")");
        }
        for (person, columns) in people(filter) {
            self.push_person(query, filter, person, columns);
        }
        if let Some(search) = &filter.search {
            query.push(" AND e.words @@ ").push_bind(search.to_query(None)).push("::tsquery");
        }
        for part in &filter.and {
            self.push_part(query, part);
        }
        if let Some(parts) = &filter.or {
            query.push(" AND (false");
            for part in parts {
                query.push(" OR (true");
                self.push_part(query, part);
                query.push(")");
            }
            query.push(")");
        }
        if let Some(part) = &filter.not {
            // `NOT` of NULL is NULL, and a missing value must match a negated condition.
            query.push(" AND (true");
            self.push_part(query, part);
            query.push(") IS NOT TRUE");
        }
    }

    fn leaves_out(&self, part: &Filter, column: &str) -> bool {
        self.without.is_some_and(|without| without.column == column && std::ptr::eq(without.part, part))
    }

    /// Adds the condition that a column has one of the listed values. None is no condition.
    fn push_list(
        &self,
        query: &mut QueryBuilder<Postgres>,
        part: &Filter,
        column: &'static str,
        values: Option<&[String]>,
    ) {
        if self.leaves_out(part, column) {
            return;
        }
        match values {
            None => {}
            Some([value]) => {
                query.push(" AND ").push(column).push(" = ").push_bind(value);
            }
            Some(values) => {
                query.push(" AND ");
                self.push_membership(query, column, values);
            }
        }
    }

    /// Adds a comparison of a column with several values.
    fn push_membership<'v, T>(&self, query: &mut QueryBuilder<Postgres>, column: &str, values: &'v [T])
    where
        &'v [T]: Encode<'v, Postgres> + Type<Postgres>,
    {
        query.push(column);
        if self.hashes_lists && values.len() > MOST_COMPARED {
            // Within an expression, the planner does not turn the subquery into a join: it hashes the result.
            query.push(" IN (SELECT unnest(").push_bind(values).push("::text[])) IS TRUE");
        } else {
            query.push(" = ANY(").push_bind(values).push(")");
        }
    }

    fn push_patterns(&self, query: &mut QueryBuilder<Postgres>, patterns: &[EventTypePattern]) {
        query.push(" AND ");
        let names: Option<Vec<_>> = patterns.iter().map(EventTypePattern::exact).collect();
        match names {
            Some(names) if names.len() > 1 => self.push_membership(query, "e.event_type", &names),
            None if patterns.len() > MOST_COMPARED => {
                // Comparing the few types of the catalogue with the patterns is cheaper than comparing each event.
                query.push("e.event_type IN (SELECT t.name FROM event_type t WHERE ");
                push_types(query, "t.name", patterns);
                query.push(if self.hashes_lists { ") IS TRUE" } else { ")" });
            }
            _ => push_types(query, "e.event_type", patterns),
        }
    }

    fn push_person(
        &self,
        query: &mut QueryBuilder<Postgres>,
        part: &Filter,
        person: &EntityFilter,
        columns: PersonColumns,
    ) {
        if let Some(ids) = &person.ids {
            self.push_ids(query, part, (columns.id, columns.folded_id), ids);
        }
        if let Some(ids) = &person.alternate_ids {
            self.push_ids(query, part, (columns.alternate_id, columns.folded_alternate_id), ids);
        }
        match (&person.types, columns.person_type) {
            (None, _) => {}
            (Some(types), PersonType::Column(column)) => self.push_list(query, part, column, Some(types)),
            (Some(types), PersonType::Constant(constant)) if types.iter().any(|one| one == constant) => {
                query.push(" AND ").push(columns.id).push(" IS NOT NULL");
            }
            (Some(_), PersonType::Constant(_)) => {
                query.push(" AND false");
            }
        }
        if let Some(search) = &person.search {
            query.push(" AND e.words @@ ").push_bind(search.to_query(Some(columns.place))).push("::tsquery");
        }
    }

    /// Adds the condition on the ids, or alternate ids, of a person. Email addresses compare without regard to case, so the
    /// index has all ids in lower case.
    fn push_ids(
        &self,
        query: &mut QueryBuilder<Postgres>,
        part: &Filter,
        (column, folded_column): (&'static str, &'static str),
        ids: &[String],
    ) {
        let (addresses, others): (Vec<_>, Vec<_>) = ids.iter().cloned().partition(|id| is_address(id));
        let fold = |ids: &[String]| ids.iter().map(|id| id.to_ascii_lowercase()).collect::<Vec<_>>();
        if others.is_empty() || !self.hashes_lists {
            self.push_list(query, part, folded_column, Some(&fold(ids)));
        }
        if others.is_empty() {
            return;
        }
        if addresses.is_empty() {
            return self.push_list(query, part, column, Some(&others));
        }
        query.push(" AND (");
        self.push_membership(query, folded_column, &fold(&addresses));
        query.push(" OR ");
        self.push_membership(query, column, &others);
        query.push(")");
    }
}

/// Returns the list of a reader's rights that only repeats the lists of their alternatives, so that there is an index for it.
pub(super) fn repeated_list(wanted: &Narrowed) -> Option<Compared<'_>> {
    let column = match wanted.repeated_list()? {
        RepeatedList::Applications => "e.application_name",
        RepeatedList::Instances => "e.instance_id",
    };
    Some(Compared { part: wanted, column })
}

/// The usual outcome, which the partial index of outcomes omits.
pub(super) const SUCCESS: &str = "SUCCESS";

/// The usual severity, which the partial index of severities omits.
pub(super) const INFO: &str = "INFO";

/// The condition of the partial index of outcomes.
pub(super) const UNUSUAL_OUTCOME: &str = " AND e.outcome_result <> 'SUCCESS'";

/// The condition of the partial index of severities.
pub(super) const UNUSUAL_SEVERITY: &str = " AND e.severity <> 'INFO'";

/// The columns of an event `e` that describe a person.
pub(super) struct PersonColumns {
    id: &'static str,
    /// The id in lower case, as an expression of its index.
    pub(super) folded_id: &'static str,
    alternate_id: &'static str,
    /// The alternate id in lower case, as an expression of its index.
    pub(super) folded_alternate_id: &'static str,
    person_type: PersonType,
    place: Place,
}

/// The source of Okta's type of a person.
enum PersonType {
    /// A column, since actors have several types.
    Column(&'static str),
    /// A constant, since all targets in this place have one type.
    Constant(&'static str),
}

/// Returns a filter's conditions on people, with the columns that they concern.
pub(super) fn people(filter: &Filter) -> impl Iterator<Item = (&EntityFilter, PersonColumns)> {
    let user = PersonColumns {
        id: "e.user_id",
        folded_id: "lower(e.user_id)",
        alternate_id: "e.user_alternate_id",
        folded_alternate_id: "lower(e.user_alternate_id)",
        person_type: PersonType::Constant("User"),
        place: Place::User,
    };
    let application_user = PersonColumns {
        id: "e.application_user_id",
        folded_id: "lower(e.application_user_id)",
        alternate_id: "e.application_user_alternate_id",
        folded_alternate_id: "lower(e.application_user_alternate_id)",
        person_type: PersonType::Constant("AppUser"),
        place: Place::ApplicationUser,
    };
    let admin = PersonColumns {
        id: "e.admin_id",
        folded_id: "lower(e.admin_id)",
        alternate_id: "e.admin_alternate_id",
        folded_alternate_id: "lower(e.admin_alternate_id)",
        person_type: PersonType::Column("e.admin_type"),
        place: Place::Admin,
    };
    let asked = [(&filter.user, user), (&filter.application_user, application_user), (&filter.admin, admin)];
    asked.into_iter().filter_map(|(person, columns)| Some((person.as_deref()?, columns)))
}

/// Adds ` AND …` for each end of a range of time.
pub(super) fn push_range(query: &mut QueryBuilder<Postgres>, column: &str, range: TimeRange) {
    for (side, end) in [(">=", range.from), ("<", range.until)] {
        if let Some(end) = end {
            query.push(format!(" AND {column} {side} ")).push_bind(end.date_time());
        }
    }
}

/// Adds the condition that an event type matches one of these patterns.
pub(super) fn push_types(query: &mut QueryBuilder<Postgres>, column: &str, patterns: &[EventTypePattern]) {
    let names: Vec<_> = patterns.iter().filter_map(EventTypePattern::exact).map(str::to_owned).collect();
    if let ([name], [_]) = (&*names, patterns) {
        query.push(column).push(" = ").push_bind(name);
        return;
    }
    query.push("(").push(column).push(" = ANY(").push_bind(names).push(")");
    let families = patterns.iter().filter_map(|pattern| match pattern {
        EventTypePattern::Prefix(prefix) => Some(prefix.clone()),
        EventTypePattern::Exact(_) => None,
    });
    let families: Vec<_> = families.collect();
    if families.len() > MOST_COMPARED {
        // Prefixes of the type, of the families' lengths, are looked up in a hash table of the families.
        let lengths = families.iter().filter_map(|family| i32::try_from(family.chars().count()).ok());
        let lengths: Vec<_> = lengths.collect::<BTreeSet<_>>().into_iter().collect();
        query.push(" OR EXISTS (SELECT FROM unnest(").push_bind(lengths);
        query.push("::integer[]) AS family (length) WHERE left(").push(column);
        query.push(", family.length) IN (SELECT unnest(").push_bind(families).push("::text[])) IS TRUE)");
    } else {
        for prefix in families {
            query.push(" OR starts_with(").push(column).push(", ").push_bind(prefix).push(")");
        }
    }
    query.push(")");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Rights;

    #[test]
    fn rights_to_everything_add_nothing_to_a_statement() {
        let list = |values: &[&str]| Some(values.iter().map(|&value| value.to_owned()).collect::<Vec<_>>());
        let acme = Filter { orgs: list(&["acme"]), ..Filter::default() };
        let instances = Filter { application_instances: list(&["0oa1", "0oa2"]), ..Filter::default() };
        let nested = Filter {
            outcomes: list(&["FAILURE"]),
            and: vec![acme.clone()],
            or: Some(vec![instances.clone(), acme.clone()]),
            not: Some(Box::new(instances.clone())),
            ..Filter::default()
        };
        for (filter, expected) in [
            (Filter::default(), "WHERE true"),
            (acme, "WHERE true AND e.org = $1"),
            (instances, "WHERE true AND e.instance_id = ANY($1)"),
            (
                nested,
                "WHERE true AND e.outcome_result = $1 AND e.outcome_result <> 'SUCCESS' AND e.org = $2 AND (false OR \
                 (true AND e.instance_id = ANY($3)) OR (true AND e.org = $4)) AND (true AND e.instance_id = ANY($5)) IS \
                 NOT TRUE",
            ),
        ] {
            let mut query = QueryBuilder::new("WHERE true");
            push(&mut query, &Rights::everything().narrow(filter));
            assert_eq!(query.sql().as_str(), expected);
        }
    }
}
