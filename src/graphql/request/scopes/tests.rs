//! Tests of the scopes that documents need, by the real schema.

use serde_json::json;

use super::*;
use crate::event::{COLUMNS, EventColumn, OBJECTS, Rows};
use crate::graphql::request::executable::executable;
use crate::graphql::request::schema_types::schema_types;
use crate::graphql::types::schema::{plain_sdl, unbound_schema};
use crate::language::parser::parse;
use crate::language::validation::validate;

/// Returns the scope for want of which a reader with these scopes is refused.
fn missing(scopes: &[Scope], query: &str, variables: &Json) -> Option<Scope> {
    let types = schema_types(&plain_sdl(&unbound_schema()), true);
    let parsed = parse(query, 10_000).unwrap();
    assert!(validate(&types, &parsed, 1_000).is_empty(), "{query}");
    let document = executable(&parsed);
    let (_, operation) = document.operations.iter().next().unwrap();
    let rights = Rights::new(scopes.iter().copied().collect(), Rows::All);
    let given = variables.as_object().cloned().unwrap_or_default();
    let refused = check(&types, &document, &operation.node, &given, &rights).err()?;
    assert_eq!((refused.code, refused.locations.len()), ("FORBIDDEN", 1), "{query}");
    Scope::ALL.into_iter().find(|scope| refused.message.contains(&format!("the scope {scope},")))
}

#[test]
fn a_document_needs_the_scopes_of_what_it_selects() {
    use Scope::{EventsDetails, EventsRead, IngestionRead, PeopleRead};
    let none = json!({});
    for (query, needed) in [
        ("{ __typename }", &[][..]),
        ("{ node(id: \"a\") { id __typename } }", &[]),
        ("{ syncEvents { nodes { id } } }", &[EventsRead]),
        ("{ applications { nodes { name } } }", &[EventsRead]),
        ("{ node(id: \"a\") { ... on Application { name } } }", &[EventsRead]),
        ("{ ingestion { head } }", &[IngestionRead]),
        ("{ node(id: \"a\") { ... on RejectedRecord { reason } } }", &[IngestionRead]),
        ("{ node(id: \"a\") { ...R } } fragment R on RejectedRecord { raw }", &[IngestionRead, EventsDetails]),
        ("{ a: syncEvents { b: nodes { c: raw } } }", &[EventsRead, EventsDetails]),
        ("{ syncEvents { edges { node { ... { client { city } } } } } }", &[EventsRead, EventsDetails]),
        (
            "{ syncEvents { nodes { ... on Node { ...D } } } } fragment D on SyncEvent { headers }",
            &[EventsRead, EventsDetails],
        ),
        ("{ syncEvents { nodes { source @skip(if: true) } } }", &[EventsRead, EventsDetails]),
        ("{ syncEvents { nodes { user { alternateId } outcome { reason } } } }", &[EventsRead]),
        ("{ syncEvents(filter: {user: {oktaIds: [\"a\"]}, search: \"ada\"}) { head } }", &[EventsRead]),
        ("{ syncEvents(filter: {user: {alternateIds: null}}) { head } }", &[EventsRead]),
        ("{ syncEvents(filter: {user: {alternateIds: []}}) { head } }", &[EventsRead, PeopleRead]),
        ("{ syncEvents(filter: {or: [{not: {admin: {search: \"a\"}}}]}) { head } }", &[EventsRead, PeopleRead]),
        ("{ syncEvents { top(by: USER) { nodes { label } } } }", &[EventsRead]),
        ("{ syncEvents { top(by: USER, search: \" \") { nodes { key } } } }", &[EventsRead]),
        ("{ syncEvents { top(by: APPLICATION, search: \"a\") { nodes { key } } } }", &[EventsRead]),
        ("{ syncEvents { top(by: ADMIN, search: \"a\") { nodes { key } } } }", &[EventsRead, PeopleRead]),
    ] {
        let mut scopes = Vec::new();
        // `events:details` counts beside `people:read` only.
        let more = if needed.contains(&EventsDetails) { &[PeopleRead][..] } else { &[] };
        while let Some(scope) = missing(&[&scopes, more].concat(), query, &none) {
            assert!(!scopes.contains(&scope), "{query}");
            scopes.push(scope);
        }
        assert_eq!(scopes, needed, "{query}");
    }
}

#[test]
fn values_of_variables_need_what_they_need_as_literals() {
    let events = "query ($f: SyncEventFilter! = {}, $u: EntityFilter, $t: String) { syncEvents(filter: {and: [$f, {user: $u}, \
                  {admin: {search: $t}}]}) { head } }";
    let top = "query ($by: SyncEventDimension! = USER, $t: String) { syncEvents { top(by: $by, search: $t) { nodes { key } } } }";
    for (query, variables, is_refused) in [
        (events, json!({}), false),
        (events, json!({"f": {"user": {"oktaIds": ["a"]}}, "u": {"types": []}, "t": null}), false),
        (events, json!({"f": {"or": [{"user": {"alternateIds": ["a"]}}]}}), true),
        (events, json!({"f": {"user": {"alternateIds": null}}}), false),
        (events, json!({"u": {"search": "a"}}), true),
        (events, json!({"t": "a"}), true),
        (top, json!({}), false),
        (top, json!({"t": "a"}), true),
        (top, json!({"t": "a", "by": "ADMIN"}), true),
    ] {
        let expected = is_refused.then_some(Scope::PeopleRead);
        assert_eq!(missing(&[Scope::EventsRead], query, &variables), expected, "{query} {variables}");
    }
    let by_outcome = top.replace("= USER", "= OUTCOME");
    assert_eq!(missing(&[Scope::EventsRead], &by_outcome, &json!({"t": "a"})), None);
    let by_default = "query ($f: SyncEventFilter = {user: {search: \"a\"}}) { syncEvents(filter: $f) { head } }";
    assert_eq!(missing(&[Scope::EventsRead], by_default, &json!({})), Some(Scope::PeopleRead));
    assert_eq!(missing(&[Scope::EventsRead], by_default, &json!({"f": null})), None);
    let list = "query ($f: [SyncEventFilter!]) { a: syncEvents(filter: {or: $f}) { head } b: syncEvents { head } }";
    let given = json!({"f": [{}, {"applicationUser": {"search": "a"}}]});
    assert_eq!(missing(&[Scope::EventsRead], list, &given), Some(Scope::PeopleRead));
}

#[test]
fn the_columns_that_details_hide_are_fields_that_need_them() {
    let rights = Rights::new([Scope::EventsRead, Scope::PeopleRead].into_iter().collect(), Rows::All);
    let hidden = COLUMNS.iter().filter(|spec| !rights.columns().has(spec.column));
    let mut fields = 0;
    for spec in hidden {
        let shown = spec.graph.unwrap();
        let name =
            OBJECTS.iter().find(|object| object.object == shown.object).map_or(shown.name, |object| object.field);
        assert!(FIELDS.contains(&("SyncEvent", name, Scope::EventsDetails)), "{name}");
        fields += 1;
    }
    assert!(fields >= 6 && !rights.columns().has(EventColumn::Details));
}

#[test]
fn the_tables_name_what_the_schema_has() {
    let types = schema_types(&plain_sdl(&unbound_schema()), true);
    let has = |type_name: &str, field: &str| match &types.types.get(type_name).unwrap().shape {
        TypeShape::Object { fields, .. } => field.is_empty() || fields.contains_key(field),
        TypeShape::Input { fields, .. } => fields.iter().any(|input| input.name == field),
        _ => false,
    };
    for (type_name, field, _) in FIELDS.into_iter().chain(INPUTS) {
        assert!(has(type_name, field), "{type_name}.{field}");
    }
    assert!(has(TOP.0, TOP.1));
    // Every type with fields of the log needs a scope by itself, however it is reached.
    let Some(TypeShape::Object { fields, .. }) = types.types.get("Query").map(|query| &query.shape) else { panic!() };
    for name in fields.keys().filter(|name| !name.starts_with("__")) {
        let is_free = ["node", "nodes", "viewer"].contains(&name.as_str());
        assert_eq!(FIELDS.iter().any(|(of, field, _)| (*of, *field) == ("Query", name)), !is_free, "{name}");
    }
}
