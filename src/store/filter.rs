//! A filter as SQL: the same meaning as `Filter::matches`.

use std::collections::BTreeSet;

use sqlx::{Postgres, QueryBuilder};

use crate::event::{EntityFilter, EventTypePattern, Filter, Narrowed, Place, TimeRange, is_address};

type Query = QueryBuilder<Postgres>;

/// Adds ` AND …` for each part of a filter, over an alias `e`.
pub(super) fn push(query: &mut Query, filter: &Narrowed) {
    Conditions::default().push(query, filter);
}

/// Largest number of values that are compared one after the other, as an event is read.
const MOST_COMPARED: usize = 16;

/// A condition of a filter, or of one of its `and` parts, that compares a column with a list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compared<'f> {
    /// The filter or the part.
    pub(super) part: &'f Filter,
    /// The column, as the index has it.
    pub(super) column: &'static str,
}

/// The form in which a statement has the conditions of a filter.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Conditions<'f> {
    /// A condition to leave out, since the statement has it elsewhere.
    pub(super) without: Option<Compared<'f>>,
    /// True for statements that are planned whatever the values, and for those that find their events by other means than
    /// the filter's long lists. Such lists are then looked up in a hash table, once for each event that is read; the
    /// database itself does so only if it knows the values while it plans.
    pub(super) hashes_lists: bool,
}

impl Conditions<'_> {
    /// Adds ` AND …` for each part of a filter, over an alias `e`.
    pub(super) fn push(&self, query: &mut Query, filter: &Narrowed) {
        self.push_part(query, filter);
    }

    /// Returns true if nothing is left of a filter, so that every event that is found matches it.
    pub(super) fn are_none(&self, filter: &Narrowed) -> bool {
        let mut query = Query::new("");
        self.push(&mut query, filter);
        query.sql().as_str().is_empty()
    }

    fn push_part(&self, query: &mut Query, filter: &Filter) {
        self.push_list(query, filter, "e.org", filter.orgs.as_deref());
        self.push_list(query, filter, "e.application_name", filter.applications.as_deref());
        self.push_list(query, filter, "e.instance_id", filter.application_instances.as_deref());
        self.push_list(query, filter, "e.transaction_id", filter.transactions.as_deref());
        if let Some(patterns) = filter.event_types.as_ref().filter(|_| !self.leaves_out(filter, "e.event_type")) {
            self.push_patterns(query, patterns);
        }
        push_range(query, "e.published", filter.published);
        push_range(query, "e.received_at", filter.received);
        // The second conditions follow from the lists; the planner needs them to use the partial index of all other values.
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

    fn push_list(&self, query: &mut Query, part: &Filter, column: &'static str, values: Option<&[String]>) {
        if self.leaves_out(part, column) {
            return;
        }
        match values {
            None => {}
            Some([value]) => {
                query.push(" AND ").push(column).push(" = ").push_bind(value.clone());
            }
            Some(values) => {
                query.push(" AND ");
                self.push_membership(query, column, values.to_vec());
            }
        }
    }

    /// Adds the condition that a column has one of several values.
    fn push_membership(&self, query: &mut Query, column: &str, values: Vec<String>) {
        query.push(column);
        if self.hashes_lists && values.len() > MOST_COMPARED {
            // As a part of an expression the subquery stays one, and its result is hashed.
            query.push(" IN (SELECT unnest(").push_bind(values).push("::text[])) IS TRUE");
        } else {
            query.push(" = ANY(").push_bind(values).push(")");
        }
    }

    fn push_patterns(&self, query: &mut Query, patterns: &[EventTypePattern]) {
        query.push(" AND ");
        let names: Option<Vec<_>> = patterns.iter().map(|pattern| pattern.exact().map(str::to_owned)).collect();
        match names {
            Some(names) if names.len() > 1 => self.push_membership(query, "e.event_type", names),
            None if patterns.len() > MOST_COMPARED => {
                // The log has few types: each is compared with the patterns once, and not each event.
                query.push("e.event_type IN (SELECT t.name FROM event_type t WHERE ");
                push_types(query, "t.name", patterns);
                query.push(if self.hashes_lists { ") IS TRUE" } else { ")" });
            }
            _ => push_types(query, "e.event_type", patterns),
        }
    }

    fn push_person(&self, query: &mut Query, part: &Filter, person: &EntityFilter, columns: PersonColumns) {
        if let Some(ids) = &person.ids {
            self.push_ids(query, part, (columns.id, columns.folded_id), ids);
        }
        if let Some(ids) = &person.alternate_ids {
            self.push_ids(query, part, (columns.alternate_id, columns.folded_alternate_id), ids);
        }
        match (&person.types, columns.kind) {
            (None, _) => {}
            (Some(types), Kind::Column(column)) => self.push_list(query, part, column, Some(types)),
            (Some(types), Kind::Always(kind)) if types.iter().any(|one| one == kind) => {
                query.push(" AND ").push(columns.id).push(" IS NOT NULL");
            }
            (Some(_), Kind::Always(_)) => {
                query.push(" AND false");
            }
        }
        if let Some(search) = &person.search {
            query.push(" AND e.words @@ ").push_bind(search.to_query(Some(columns.place))).push("::tsquery");
        }
    }

    /// Adds the condition on the ids, or alternate ids, of a person. E-mail addresses compare without regard to case, so the
    /// index has all ids in lower case.
    fn push_ids(
        &self,
        query: &mut Query,
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
        self.push_membership(query, folded_column, fold(&addresses));
        query.push(" OR ");
        self.push_membership(query, column, others);
        query.push(")");
    }
}

/// The outcome that most events have.
pub(super) const SUCCESS: &str = "SUCCESS";

/// The severity that most events have.
pub(super) const INFO: &str = "INFO";

/// The condition of the partial index of outcomes.
pub(super) const UNUSUAL_OUTCOME: &str = " AND e.outcome_result <> 'SUCCESS'";

/// The condition of the partial index of severities.
pub(super) const UNUSUAL_SEVERITY: &str = " AND e.severity <> 'INFO'";

/// What an event tells of a person.
pub(super) struct PersonColumns {
    id: &'static str,
    /// The id as the index has it.
    pub(super) folded_id: &'static str,
    alternate_id: &'static str,
    /// The alternate id as the index has it.
    pub(super) folded_alternate_id: &'static str,
    kind: Kind,
    place: Place,
}

/// Okta's type of a person: what an actor says, or what every target in its place has.
enum Kind {
    Column(&'static str),
    Always(&'static str),
}

/// What is asked of people, and where it stands.
pub(super) fn people(filter: &Filter) -> impl Iterator<Item = (&EntityFilter, PersonColumns)> {
    let user = PersonColumns {
        id: "e.user_id",
        folded_id: "lower(e.user_id)",
        alternate_id: "e.user_alternate_id",
        folded_alternate_id: "lower(e.user_alternate_id)",
        kind: Kind::Always("User"),
        place: Place::User,
    };
    let application_user = PersonColumns {
        id: "e.application_user_id",
        folded_id: "lower(e.application_user_id)",
        alternate_id: "e.application_user_alternate_id",
        folded_alternate_id: "lower(e.application_user_alternate_id)",
        kind: Kind::Always("AppUser"),
        place: Place::ApplicationUser,
    };
    let admin = PersonColumns {
        id: "e.admin_id",
        folded_id: "lower(e.admin_id)",
        alternate_id: "e.admin_alternate_id",
        folded_alternate_id: "lower(e.admin_alternate_id)",
        kind: Kind::Column("e.admin_type"),
        place: Place::Admin,
    };
    let asked = [(&filter.user, user), (&filter.application_user, application_user), (&filter.admin, admin)];
    asked.into_iter().filter_map(|(person, columns)| Some((person.as_ref()?, columns)))
}

pub(super) fn push_range(query: &mut Query, column: &str, range: TimeRange) {
    for (side, end) in [(">=", range.from), ("<", range.until)] {
        if let Some(end) = end {
            query.push(format!(" AND {column} {side} ")).push_bind(end.date_time());
        }
    }
}

/// The condition that an event type is one of these.
pub(super) fn push_types(query: &mut Query, column: &str, patterns: &[EventTypePattern]) {
    let names: Vec<_> = patterns.iter().filter_map(EventTypePattern::exact).map(str::to_owned).collect();
    if let ([name], [_]) = (&*names, patterns) {
        query.push(column).push(" = ").push_bind(name.clone());
        return;
    }
    query.push("(").push(column).push(" = ANY(").push_bind(names).push(")");
    let families = patterns.iter().filter_map(|pattern| match pattern {
        EventTypePattern::Prefix(prefix) => Some(prefix.clone()),
        EventTypePattern::Exact(_) => None,
    });
    let families: Vec<_> = families.collect();
    if families.len() > MOST_COMPARED {
        // Each beginning of the type is looked up in a hash table of the families: a comparison with each would take long.
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
            let mut query = Query::new("WHERE true");
            push(&mut query, &Rights::everything().narrow(filter));
            assert_eq!(query.sql().as_str(), expected);
        }
    }
}
