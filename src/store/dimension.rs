//! Dimensions by which events are counted: the keys of events, their labels, the search in both, and the known keys.

use sqlx::{Postgres, QueryBuilder};

use super::filter;
use super::visible::{push_visible_applications, push_visible_instances};
use super::windows::MonthWindow;
use crate::event::{Dimension, Filter, IngestSource, Narrowed, source_name};
use crate::okta::{KNOWN_EVENT_TYPES, OUTCOMES, SEVERITIES};

/// Returns the expression for the key of an event `e` in a dimension, as text. A person whose id Okta left out is stored with
/// an empty one, and has no key.
pub(super) const fn key(by: Dimension) -> &'static str {
    match by {
        Dimension::Application => "e.application_name",
        Dimension::ApplicationInstance => "e.instance_id",
        Dimension::EventType => "e.event_type",
        Dimension::Outcome => "e.outcome_result",
        Dimension::Severity => "e.severity",
        Dimension::Admin => "nullif(e.admin_id, '')",
        Dimension::User => "nullif(e.user_id, '')",
        Dimension::FirstSource => "e.first_source::text",
    }
}

/// Returns the column that has the label of an event's key, if events have it, such as names of users.
pub(super) const fn own_label(by: Dimension) -> Option<&'static str> {
    match by {
        Dimension::Admin => Some("e.admin_display_name"),
        Dimension::User => Some("e.user_display_name"),
        _ => None,
    }
}

/// Adds an expression for the label of a key. A row `t` has the key and the time of the key's newest event, which is in
/// the window. The catalogue has the current labels of applications; a person's current label is in the newest event. Only
/// what the rights of `wanted` show has labels.
pub(super) fn label(query: &mut QueryBuilder<Postgres>, by: Dimension, window: &MonthWindow, wanted: &Narrowed) {
    let rights = wanted.rights();
    let id = match by {
        Dimension::Application => {
            query.push("(SELECT max(p.display_name) FROM application p WHERE p.name = t.key");
            push_visible_applications(query, "p", rights.event_rows());
            query.push(")");
            return;
        }
        Dimension::ApplicationInstance => {
            query.push("(SELECT max(c.label) FROM application_instance c WHERE c.instance_id = t.key");
            push_visible_instances(query, "c", rights.event_rows());
            query.push(")");
            return;
        }
        Dimension::Admin | Dimension::User if !rights.see_people() => {
            query.push("NULL::text");
            return;
        }
        Dimension::Admin => "e.admin_id",
        Dimension::User => "e.user_id",
        Dimension::EventType | Dimension::Outcome | Dimension::Severity | Dimension::FirstSource => {
            query.push("NULL::text");
            return;
        }
    };
    query.push("(SELECT ").push(own_label(by).unwrap_or("NULL::text")).push(" FROM sync_event e WHERE ").push(id);
    query.push(" = t.key AND e.published = t.last");
    // Two events of a person may have happened at the same time, and only one of them may be visible.
    filter::push(query, &wanted.without_conditions());
    window.push_months(query, "e");
    query.push(" LIMIT 1)");
}

/// Returns a key as the graph has it: a source by its name instead of its code.
pub(super) fn graph_key(by: Dimension, key: Option<String>) -> Option<String> {
    if by != Dimension::FirstSource {
        return key;
    }
    Some(source_name(key?.parse().ok().and_then(IngestSource::from_code)?))
}

/// Returns a key of the graph as the database has it.
pub(super) fn stored_key(by: Dimension, key: Option<String>) -> Option<String> {
    if by != Dimension::FirstSource {
        return key;
    }
    let name = key?;
    IngestSource::ALL.into_iter().find(|source| source_name(*source) == name).map(|source| source.code().to_string())
}

/// Returns the codes of the sources whose names contain a text.
fn codes(needle: &str) -> Vec<String> {
    let found =
        IngestSource::ALL.into_iter().filter(|source| source_name(*source).to_ascii_lowercase().contains(needle));
    found.map(|source| source.code().to_string()).collect()
}

/// Adds the condition on a group of events with the same key that the key or its label contains a text. Of a person, the
/// text may be in any name that the events have, if the rights of `wanted` show names.
pub(super) fn push_search(query: &mut QueryBuilder<Postgres>, by: Dimension, search: &str, wanted: &Narrowed) {
    let (key, needle, rights) = (key(by), search.to_ascii_lowercase(), wanted.rights());
    if by == Dimension::FirstSource {
        query.push("(").push(key).push(" = ANY(").push_bind(codes(&needle)).push("))");
        return;
    }
    query.push("coalesce(strpos(lower(").push(key).push("), ").push_bind(needle.clone()).push(") > 0");
    match (by, own_label(by)) {
        (_, Some(_)) if !rights.see_people() => {}
        (_, Some(label)) => {
            query.push(" OR bool_or(strpos(lower(").push(label).push("), ").push_bind(needle).push(") > 0)");
        }
        (Dimension::Application, _) => {
            query.push(" OR ").push(key).push(" IN (SELECT name FROM application WHERE strpos(lower(display_name), ");
            query.push_bind(needle).push(") > 0");
            push_visible_applications(query, "application", rights.event_rows());
            query.push(")");
        }
        (Dimension::ApplicationInstance, _) => {
            query
                .push(" OR ")
                .push(key)
                .push(" IN (SELECT instance_id FROM application_instance WHERE strpos(lower(label), ");
            query.push_bind(needle).push(") > 0");
            push_visible_instances(query, "application_instance", rights.event_rows());
            query.push(")");
        }
        _ => {}
    }
    query.push(", false)");
}

/// Returns true if sluice knows keys of a dimension beside those of events. It knows no people that no event names.
pub(super) const fn has_known(by: Dimension) -> bool {
    !matches!(by, Dimension::Admin | Dimension::User)
}

/// Adds a query for the known keys of a dimension, without any that is not of the filter's orgs or applications, that a
/// search does not find, or that the filter's rights do not show.
pub(super) fn push_known(query: &mut QueryBuilder<Postgres>, by: Dimension, wanted: &Narrowed, search: Option<&str>) {
    let listed: Vec<String> = match by {
        Dimension::EventType => KNOWN_EVENT_TYPES.iter().map(|known| known.name.to_owned()).collect(),
        Dimension::Outcome => OUTCOMES.map(str::to_owned).to_vec(),
        Dimension::Severity => SEVERITIES.map(str::to_owned).to_vec(),
        Dimension::FirstSource => IngestSource::ALL.map(|source| source.code().to_string()).to_vec(),
        Dimension::Application => {
            return push_catalogue(query, ["application", "name", "display_name", "name"], wanted, search);
        }
        Dimension::ApplicationInstance => {
            return push_catalogue(
                query,
                ["application_instance", "instance_id", "label", "application"],
                wanted,
                search,
            );
        }
        Dimension::Admin | Dimension::User => Vec::new(),
    };
    let needle = search.map(str::to_ascii_lowercase);
    let is_found = |key: &String| match &needle {
        Some(needle) if by == Dimension::FirstSource => codes(needle).contains(key),
        Some(needle) => key.to_ascii_lowercase().contains(needle),
        None => true,
    };
    let found: Vec<String> = listed.into_iter().filter(is_found).collect();
    query.push("SELECT key FROM unnest(").push_bind(found).push("::text[]) k (key)");
}

/// Adds a query for the keys in a table of the catalogue, given with the columns of the key, the label and the application.
fn push_catalogue(
    query: &mut QueryBuilder<Postgres>,
    [table, key, label, application]: [&str; 4],
    wanted: &Narrowed,
    search: Option<&str>,
) {
    query.push("SELECT DISTINCT ").push(key).push(" AS key FROM ").push(table).push(" WHERE true");
    for part in wanted.conjuncts() {
        let Filter { orgs, applications, application_instances, .. } = part;
        let instances = application_instances.as_ref().filter(|_| key == "instance_id");
        for (column, values) in [("org", orgs.as_ref()), (application, applications.as_ref()), (key, instances)] {
            if let Some(values) = values {
                query.push(" AND ").push(column).push(" = ANY(").push_bind(values.clone()).push(")");
            }
        }
    }
    let rows = wanted.rights().event_rows();
    if key == "instance_id" {
        push_visible_instances(query, table, rows);
    } else {
        push_visible_applications(query, table, rows);
    }
    if let Some(needle) = search.map(str::to_ascii_lowercase) {
        query.push(" AND (strpos(lower(").push(key).push("), ").push_bind(needle.clone());
        query.push(") > 0 OR strpos(lower(").push(label).push("), ").push_bind(needle).push(") > 0)");
    }
}
