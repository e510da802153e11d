//! A filter as SQL: the same meaning as `Filter::matches`.

use sqlx::{Postgres, QueryBuilder};

use crate::event::{EntityFilter, EventTypePattern, Filter, Place, TimeRange, is_address};

type Query = QueryBuilder<Postgres>;

/// Adds ` AND …` for each part of a filter, over an alias `e`.
pub(super) fn push(query: &mut Query, filter: &Filter) {
    push_list(query, "e.org", filter.orgs.as_deref());
    push_list(query, "e.application_name", filter.applications.as_deref());
    push_list(query, "e.instance_id", filter.application_instances.as_deref());
    if let Some(patterns) = &filter.event_types {
        push_patterns(query, patterns);
    }
    push_range(query, "e.published", filter.published);
    push_range(query, "e.received_at", filter.received);
    push_list(query, "e.outcome_result", filter.outcomes.as_deref());
    if filter.outcomes.as_ref().is_some_and(|outcomes| !outcomes.iter().any(|outcome| outcome == SUCCESS)) {
        // Said, so that the index of all others is used.
        query.push(" AND e.outcome_result <> 'SUCCESS'");
    }
    push_list(query, "e.severity", filter.severities.as_deref());
    if let Some(sources) = &filter.first_sources {
        let codes: Vec<i16> = sources.iter().map(|source| source.code()).collect();
        query.push(" AND e.first_source = ANY(").push_bind(codes).push(")");
    }
    for (person, columns) in people(filter) {
        push_person(query, person, columns);
    }
    if let Some(search) = &filter.search {
        query.push(" AND e.words @@ ").push_bind(search.to_query(None)).push("::tsquery");
    }
    for part in &filter.and {
        push(query, part);
    }
    if let Some(parts) = &filter.or {
        query.push(" AND (false");
        for part in parts {
            query.push(" OR (true");
            push(query, part);
            query.push(")");
        }
        query.push(")");
    }
    if let Some(part) = &filter.not {
        // What is not known to be so is not so.
        query.push(" AND (true");
        push(query, part);
        query.push(") IS NOT TRUE");
    }
}

/// The outcome that most events have.
pub(super) const SUCCESS: &str = "SUCCESS";

/// What an event tells of a person.
pub(super) struct PersonColumns {
    pub(super) id: &'static str,
    pub(super) alternate_id: &'static str,
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
        alternate_id: "e.user_alternate_id",
        folded_alternate_id: "lower(e.user_alternate_id)",
        kind: Kind::Always("User"),
        place: Place::User,
    };
    let application_user = PersonColumns {
        id: "e.application_user_id",
        alternate_id: "e.application_user_alternate_id",
        folded_alternate_id: "lower(e.application_user_alternate_id)",
        kind: Kind::Always("AppUser"),
        place: Place::ApplicationUser,
    };
    let admin = PersonColumns {
        id: "e.admin_id",
        alternate_id: "e.admin_alternate_id",
        folded_alternate_id: "lower(e.admin_alternate_id)",
        kind: Kind::Column("e.admin_type"),
        place: Place::Admin,
    };
    let asked = [(&filter.user, user), (&filter.application_user, application_user), (&filter.admin, admin)];
    asked.into_iter().filter_map(|(person, columns)| Some((person.as_ref()?, columns)))
}

fn push_person(query: &mut Query, person: &EntityFilter, columns: PersonColumns) {
    if let Some(ids) = &person.ids {
        push_ids(query, columns.id, ids);
    }
    if let Some(ids) = &person.alternate_ids {
        let folded: Vec<_> = ids.iter().map(|id| id.to_ascii_lowercase()).collect();
        push_list(query, columns.folded_alternate_id, Some(&folded));
        if ids.iter().any(|id| !is_address(id)) {
            push_ids(query, columns.alternate_id, ids);
        }
    }
    match (&person.types, columns.kind) {
        (None, _) => {}
        (Some(types), Kind::Column(column)) => push_list(query, column, Some(types)),
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

/// Ids compare without regard to case where they are e-mail addresses.
fn push_ids(query: &mut Query, column: &str, ids: &[String]) {
    let (addresses, others): (Vec<_>, Vec<_>) = ids.iter().cloned().partition(|id| is_address(id));
    if addresses.is_empty() {
        return push_list(query, column, Some(&others));
    }
    let addresses: Vec<_> = addresses.iter().map(|id| id.to_ascii_lowercase()).collect();
    query.push(format!(" AND (lower({column}) = ANY(")).push_bind(addresses);
    query.push(format!(") OR {column} = ANY(")).push_bind(others).push("))");
}

pub(super) fn push_range(query: &mut Query, column: &str, range: TimeRange) {
    for (side, end) in [(">=", range.from), ("<", range.until)] {
        if let Some(end) = end {
            query.push(format!(" AND {column} {side} ")).push_bind(end.date_time());
        }
    }
}

fn push_list(query: &mut Query, column: &str, values: Option<&[String]>) {
    match values {
        None => {}
        Some([value]) => {
            query.push(" AND ").push(column).push(" = ").push_bind(value.clone());
        }
        Some(values) => {
            query.push(" AND ").push(column).push(" = ANY(").push_bind(values.to_vec()).push(")");
        }
    }
}

fn push_patterns(query: &mut Query, patterns: &[EventTypePattern]) {
    query.push(" AND ");
    push_types(query, "e.event_type", patterns);
}

/// The condition that an event type is one of these.
pub(super) fn push_types(query: &mut Query, column: &str, patterns: &[EventTypePattern]) {
    let names: Vec<_> = patterns.iter().filter_map(EventTypePattern::exact).map(str::to_owned).collect();
    if let ([name], [_]) = (&*names, patterns) {
        query.push(column).push(" = ").push_bind(name.clone());
        return;
    }
    query.push("(").push(column).push(" = ANY(").push_bind(names).push(")");
    for pattern in patterns {
        if let EventTypePattern::Prefix(prefix) = pattern {
            query.push(" OR starts_with(").push(column).push(", ").push_bind(prefix.clone()).push(")");
        }
    }
    query.push(")");
}
