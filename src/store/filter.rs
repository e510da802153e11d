//! A filter as SQL: the same meaning as `Filter::matches`.

use sqlx::{Postgres, QueryBuilder};

use crate::event::{EventTypePattern, Filter};

/// Adds ` AND …` for each part of a filter, over an alias `e`.
pub(super) fn push(query: &mut QueryBuilder<Postgres>, filter: &Filter) {
    push_list(query, "e.org", filter.orgs.as_deref());
    push_list(query, "e.application_name", filter.applications.as_deref());
    push_list(query, "e.instance_id", filter.application_instances.as_deref());
    if let Some(patterns) = &filter.event_types {
        push_patterns(query, patterns);
    }
    if let Some(from) = filter.published.from {
        query.push(" AND e.published >= ").push_bind(from.date_time());
    }
    if let Some(until) = filter.published.until {
        query.push(" AND e.published < ").push_bind(until.date_time());
    }
}

fn push_list(query: &mut QueryBuilder<Postgres>, column: &str, values: Option<&[String]>) {
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

fn push_patterns(query: &mut QueryBuilder<Postgres>, patterns: &[EventTypePattern]) {
    let names = patterns.iter().filter_map(|pattern| match pattern {
        EventTypePattern::Exact(name) => Some(name.clone()),
        EventTypePattern::Prefix(_) => None,
    });
    query.push(" AND (e.event_type = ANY(").push_bind(names.collect::<Vec<_>>()).push(")");
    for pattern in patterns {
        if let EventTypePattern::Prefix(prefix) = pattern {
            query.push(" OR starts_with(e.event_type, ").push_bind(prefix.clone()).push(")");
        }
    }
    query.push(")");
}
