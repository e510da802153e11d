//! The cost of documents, by the real schema.

use serde_json::{Map, Value, json};

use super::*;
use crate::graphql::request::executable::executable;
use crate::graphql::request::schema_types::schema_types;
use crate::graphql::types::schema::{plain_sdl, unbound_schema};
use crate::language::parser::parse;
use crate::language::validation::validate;

fn weighed(query: &str, variables: &Value, limits: &DocumentLimits) -> Result<Weight, RequestRefusal> {
    let prices = Prices::new(&plain_sdl(&unbound_schema()));
    let document = executable(&parse(query, 100_000).unwrap());
    let (_, operation) = document.operations.iter().next().unwrap();
    let given: Map<_, _> = variables.as_object().cloned().unwrap_or_default();
    let values = VariableValues::new(&operation.node, &given);
    weigh(&prices, &document, &operation.node, &values, limits)
}

fn price(query: &str, variables: &Value) -> u64 {
    let all = DocumentLimits { complexity: usize::MAX, ..DocumentLimits::default() };
    weighed(query, variables, &all).unwrap().complexity
}

fn refused(query: &str) -> String {
    weighed(query, &json!({}), &DocumentLimits::default()).unwrap_err().message
}

#[test]
fn a_field_costs_what_its_page_has_room_for() {
    let none = json!({});
    for (query, expected) in [
        ("{ __typename }", 1),
        ("{ ingestion { head } }", 2),
        ("{ syncEvents { head } }", 52),
        ("{ syncEvents { head pageInfo { endCursor } } }", 54),
        ("{ syncEvents { nodes { id } } }", 51 + 1 + 50),
        ("{ syncEvents(first: 7) { nodes { id } } }", 51 + 1 + 7),
        ("{ syncEvents(last: 7) { edges { cursor node { id uuid } } } }", 51 + 1 + 7 * 4),
        ("{ syncEvents(first: 7) { ...N } } fragment N on SyncEventConnection { nodes { id } }", 51 + 1 + 7),
        ("{ syncEvents(first: 7) { ... { nodes { id } nodes { id } } } }", 51 + 2 + 14),
        ("{ syncEvents(first: 1000000) { nodes { id } } }", 51 + 1 + 1_000),
        ("{ syncEvents(first: -1) { nodes { id } } }", 51 + 1 + 50),
        ("{ syncEvents { totalCount(upTo: 1000000) { value } } }", 51 + 51 + 10_000 + 1),
        ("{ syncEvents { totalCount { value } } }", 51 + 51 + 100 + 1),
        ("{ nodes(ids: [\"a\", \"b\", \"c\"]) { id } }", 51 + 3),
        (
            "{ applications(first: 10) { nodes { instances(first: 10) { nodes { id } } } } }",
            51 + 1 + 10 * (51 + 1 + 10),
        ),
        ("{ a: ingestion { head } b: ingestion { head } }", 4),
        ("{ syncEvents { top(by: USER) { nodes { key count } } } }", 51 + 1_051 + 1 + 10 * 2),
        (
            "{ syncEvents { top(by: USER, first: 3) { nodes { key count } totalCount { value } } } }",
            51 + 1_051 + 1 + 3 * 2 + 2,
        ),
        ("{ syncEvents { histogram { buckets { from count } } } }", 51 + 1_051 + 1 + 120 * 2),
        ("{ syncEvents { histogram(step: {interval: DAY}) { buckets { from count } } } }", 51 + 1_051 + 1 + 2_500 * 2),
        (
            "{ syncEvents { histogram(step: {buckets: 7}, by: OUTCOME, keys: 2) { buckets { count } series { key counts } } } }",
            51 + 1_051 + 2 + 7 * 3 * (1 + 2),
        ),
        ("mutation { anything { at all } }", 3),
    ] {
        assert_eq!(price(query, &none), expected, "{query}");
    }
    let query =
        "query ($n: Int = 3, $ids: [ID!] = [\"a\"]) { syncEvents(first: $n) { nodes { id } } nodes(ids: $ids) { id } }";
    assert_eq!(price(query, &none), 51 + 1 + 3 + 51 + 1);
    assert_eq!(price(query, &json!({"n": 9, "ids": ["a", "b"]})), 51 + 1 + 9 + 51 + 2);
    let filter = json!({"f": {"applications": vec!["a"; 98]}});
    assert_eq!(price("query ($f: SyncEventFilter) { syncEvents(filter: $f) { head } }", &filter), 52 + 10);
}

#[test]
fn what_people_ask_is_within_the_defaults() {
    let limits = DocumentLimits::default();
    let entity = "{ oktaId alternateId displayName type }";
    let all = format!(
        "fragment All on SyncEvent {{ id position org uuid eventType published message version severity
           outcome {{ result reason }} admin {entity} user {entity} applicationUser {entity} application {entity}
           applicationInstance {{ id org instanceId label status adminUrl eventCount lastEventAt
             application {{ id org name displayName eventCount lastEventAt }} }}
           debugContext {{ debugData }} transaction {{ oktaId type }}
           client {{ ipAddress userAgent city country }} eventDetails eventId eventTime source headers receivedAt receivedVia }}"
    );
    let page = format!(
        "{{ syncEvents(first: 1000) {{ head pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }}
           totalCount {{ value isExact }} edges {{ cursor node {{ ...All }} }} }} }} {all}"
    );
    let weight = weighed(&page, &json!({}), &limits).unwrap();
    assert!(weight.complexity > 50_000, "{weight:?}");
    let introspection = weighed(INTROSPECTION, &json!({}), &limits).unwrap();
    assert!(introspection.introspects && introspection.complexity < limits.complexity as u64 / 3, "{introspection:?}");
    for text in [INTROSPECTION, &page] {
        let types = schema_types(&plain_sdl(&unbound_schema()), true);
        assert_eq!(validate(&types, &parse(text, limits.tokens).unwrap(), limits.fields), []);
    }
}

#[test]
fn what_is_too_much_is_named() {
    let nested = |levels: usize| format!("{{ a {} }}", "{ a ".repeat(levels) + &"}".repeat(levels));
    let deep_lists = "{ applications { nodes ".to_owned()
        + &"{ instances { nodes { application ".repeat(3)
        + "{ id }"
        + &"} } }".repeat(3)
        + "} }";
    let types = "{ __schema { types { fields { type ".to_owned()
        + &"{ fields { type ".repeat(6)
        + "{ name }"
        + &"} }".repeat(6)
        + "} } } }";
    let ids = format!("{{ nodes(ids: [{}]) {{ id }} }}", "\"a\" ".repeat(10_000));
    for (query, says) in [
        (nested(21), "limits.document_depth"),
        (deep_lists, "limits.complexity"),
        (types, "limits.complexity"),
        (format!("{{ {} }}", "__typename ".repeat(21)), "limits.document_root_fields"),
        (format!("{{ ingestion {{ {} }} }}", "a: head ".repeat(101)), "limits.document_aliases"),
        (format!("{{ ingestion {{ head {} }} }}", "@skip(if: false) ".repeat(101)), "limits.document_directives"),
        (ids, "limits.document_values"),
    ] {
        let said = refused(&query);
        assert!(said.contains(says), "{query:.80}: {said}");
    }
    let used = "query ($f: SyncEventFilter) { a: syncEvents(filter: $f) { head } b: syncEvents(filter: $f) { head } }";
    let many = json!({"f": {"applications": vec!["a"; 6_000]}});
    assert!(weighed(used, &many, &DocumentLimits::default()).unwrap_err().message.contains("limits.document_values"));
}

/// The introspection query of GraphiQL and graphql-js, with every option.
const INTROSPECTION: &str =
    "query IntrospectionQuery { __schema { description queryType { name kind } mutationType { name kind }
  subscriptionType { name kind } types { ...FullType }
  directives { name description isRepeatable locations args(includeDeprecated: true) { ...InputValue } } } }
fragment FullType on __Type { kind name description specifiedByURL isOneOf
  fields(includeDeprecated: true) { name description args(includeDeprecated: true) { ...InputValue }
    type { ...TypeRef } isDeprecated deprecationReason }
  inputFields(includeDeprecated: true) { ...InputValue } interfaces { ...TypeRef }
  enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason } possibleTypes { ...TypeRef } }
fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue isDeprecated deprecationReason }
fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name
  ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } } }";

#[test]
fn the_limits_themselves_are_allowed() {
    let query = "{ a: syncEvents(first: 7) { nodes { id uuid @include(if: true) } } ingestion { head } }";
    let price = usize::try_from(price(query, &json!({}))).unwrap();
    let none = DocumentLimits {
        complexity: price,
        depth: 3,
        root_fields: 2,
        aliases: 1,
        directives: 1,
        values: 2,
        ..DocumentLimits::default()
    };
    assert!(weighed(query, &json!({}), &none).is_ok(), "{:?}", weighed(query, &json!({}), &none).err());
    for (limits, said) in [
        (DocumentLimits { complexity: price - 1, ..none }, "limits.complexity"),
        (DocumentLimits { depth: 2, ..none }, "limits.document_depth"),
        (DocumentLimits { root_fields: 1, ..none }, "limits.document_root_fields"),
        (DocumentLimits { aliases: 0, ..none }, "limits.document_aliases"),
        (DocumentLimits { directives: 0, ..none }, "limits.document_directives"),
        (DocumentLimits { values: 1, ..none }, "limits.document_values"),
    ] {
        let message = weighed(query, &json!({}), &limits).unwrap_err().message;
        assert!(message.contains(said), "{said}: {message}");
    }
}
