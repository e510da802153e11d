//! Documents that break one rule each, by a schema of their own. tests/it/validation.rs compares many more with graphql-js.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::super::parser::parse;
use super::super::types::{
    InputField, SchemaDirective, SchemaField, SchemaType, SchemaTypes, TypeBase, TypeReference, TypeShape,
};
use super::*;

/// A type as it is written: a name with `!`, or in brackets.
fn reference(text: &str) -> TypeReference {
    let (base, is_non_null) = text.strip_suffix('!').map_or((text, false), |base| (base, true));
    let item = base.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let base = match item {
        Some(item) => TypeBase::List(Box::new(reference(item))),
        None => TypeBase::Named(base.to_owned()),
    };
    TypeReference { base, is_non_null }
}

/// Arguments or fields: a name and a type each; a name that ends in `=` has a default.
fn inputs(fields: &[(&str, &str)]) -> Vec<InputField> {
    let input = |(name, of): &(&str, &str)| InputField {
        name: name.trim_end_matches('=').to_owned(),
        of: reference(of),
        has_default: name.ends_with('='),
    };
    fields.iter().map(input).collect()
}

type FieldText<'t> = (&'t str, &'t str, &'t [(&'t str, &'t str)]);

fn fields(fields: &[FieldText<'_>]) -> BTreeMap<String, SchemaField> {
    let field = |(name, of, arguments): &FieldText<'_>| {
        ((*name).to_owned(), SchemaField { of: reference(of), arguments: inputs(arguments) })
    };
    fields.iter().map(field).collect()
}

/// A schema of people and places, which are both things.
fn schema() -> SchemaTypes {
    let node = ["Thing".to_owned()];
    let person: &[FieldText<'_>] = &[
        ("id", "ID!", &[]),
        ("name", "String!", &[("upper", "Boolean"), ("most=", "Int!")]),
        ("age", "Int", &[]),
        ("friends", "[Person!]!", &[("first", "Int!")]),
        ("home", "Place", &[]),
    ];
    let place: &[FieldText<'_>] =
        &[("id", "ID!", &[]), ("name", "String", &[]), ("age", "String", &[]), ("home", "Person", &[])];
    let query: &[FieldText<'_>] = &[
        ("thing", "Thing", &[("id", "ID!")]),
        ("people", "[Person!]!", &[("filter", "Filter"), ("by", "Choice")]),
        ("any", "Either", &[]),
    ];
    let shapes = [
        ("Int", TypeShape::Scalar),
        ("String", TypeShape::Scalar),
        ("Boolean", TypeShape::Scalar),
        ("ID", TypeShape::Scalar),
        ("Moment", TypeShape::Scalar),
        ("Colour", TypeShape::Enum(vec!["RED".to_owned(), "BLUE".to_owned()])),
        ("Query", TypeShape::Object { fields: fields(query), interfaces: Vec::new() }),
        (
            "Subscription",
            TypeShape::Object {
                fields: fields(&[("thing", "Thing", &[]), ("other", "Int", &[])]),
                interfaces: Vec::new(),
            },
        ),
        ("Person", TypeShape::Object { fields: fields(person), interfaces: node.to_vec() }),
        ("Place", TypeShape::Object { fields: fields(place), interfaces: node.to_vec() }),
        ("Thing", TypeShape::Interface { fields: fields(&[("id", "ID!", &[])]) }),
        ("Either", TypeShape::Union(vec!["Person".to_owned(), "Place".to_owned()])),
        (
            "Filter",
            TypeShape::Input {
                fields: inputs(&[
                    ("names", "[String!]"),
                    ("age", "Int"),
                    ("colour", "Colour"),
                    ("at", "Moment"),
                    ("not", "Filter"),
                    ("must=", "Int!"),
                ]),
                is_one_of: false,
            },
        ),
        ("Choice", TypeShape::Input { fields: inputs(&[("id", "ID"), ("name", "String")]), is_one_of: true }),
    ];
    let types = shapes.into_iter().map(|(name, shape)| (name.to_owned(), SchemaType { name: name.to_owned(), shape }));
    let condition = |places: &[&str]| SchemaDirective {
        arguments: inputs(&[("if", "Boolean!")]),
        is_repeatable: false,
        locations: places.iter().map(|place| (*place).to_owned()).collect::<HashSet<_>>(),
    };
    let skip = condition(&["FIELD", "FRAGMENT_SPREAD", "INLINE_FRAGMENT"]);
    SchemaTypes {
        types: types.collect(),
        directives: HashMap::from([("skip".to_owned(), skip)]),
        scalar_fault: |_, value| (!value.is_string()).then(|| "a string".to_owned()),
        suggests: true,
    }
}

fn faults(text: &str) -> Vec<String> {
    let types = schema();
    let document = parse(text, 2_000).unwrap_or_else(|fault| panic!("{text}: {}", fault.message));
    let faults = validate(&types, &document, 5_000);
    assert!(faults.iter().all(|fault| !fault.locations.is_empty()), "{text}: {faults:?}");
    faults.into_iter().map(|fault| fault.message).collect()
}

#[test]
fn valid_documents_have_no_faults() {
    for text in [
        "{ thing(id: 99999999999999999999) { __typename id ... on Person { name } ... on Place { place: name } } }",
        "query ($n: Int) { people(filter: {names: \"one\", at: \"now\", not: {age: $n}}) { name(most: $n) friends(first: 1) { id } } }",
        "query ($n: Int = 1) { people { friends(first: $n) { id } } }",
        "query ($id: ID!) { people(by: {id: $id}) { ...A ...A } } fragment A on Person { id ...B } fragment B on Thing { id }",
        "{ any { __typename ... on Person { age } ... on Place { name home { age } } } }",
        "{ any { ... on Person { home { id } } ... on Place { home { id } } } }",
        "query A { thing(id: 1) { id } } query B($b: Boolean!) { thing(id: \"1\") { id @skip(if: $b) } }",
        "subscription { ...R thing { id } } fragment R on Subscription { thing { __typename } }",
        "{ people(filter: {colour: RED}) { name(upper: true) name(upper: true) } }",
    ] {
        assert_eq!(faults(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn each_broken_rule_is_told() {
    for (text, says) in [
        ("query A { any { __typename } } query A { any { __typename } }", "two operations are called \"A\""),
        ("{ any { __typename } } query A { any { __typename } }", "must be the only one"),
        ("subscription { thing { id } other }", "one field at its root"),
        ("subscription { thing { id } ...R } fragment R on Subscription { other }", "one field at its root"),
        ("subscription { __typename }", "nothing to subscribe to"),
        ("subscription { other @skip(if: false) }", "at the root of a subscription"),
        ("{ peeple { id } }", "there is no field \"peeple\" on Query; did you mean \"people\"?"),
        ("{ any { id } }", "no field \"id\" on Either"),
        ("{ people }", "needs a selection"),
        ("{ __typename { id } }", "has no fields to select"),
        ("{ people { name { id } } }", "has no fields to select"),
        ("{ people(limit: 1) { id } }", "no argument \"limit\" at the field \"people\""),
        ("{ people(filter: null, filter: null) { id } }", "\"filter\" is there twice"),
        ("{ thing { id } }", "\"id\" of type ID! is missing"),
        ("{ thing(id: null) { id } }", "argument \"id\": expected ID!, found null"),
        ("{ thing(id: 1.5) { id } }", "expected ID!, found 1.5"),
        ("{ people(filter: {age: \"1\"}) { id } }", "\"filter.age\": expected Int, found \"1\": a whole number"),
        ("{ people(filter: {age: 2147483648}) { id } }", "\"filter.age\""),
        ("{ people(filter: {names: [\"a\", null]}) { id } }", "\"filter.names.1\": expected String!, found null"),
        ("{ people(filter: {colour: \"RED\"}) { id } }", "expected Colour, found \"RED\""),
        ("{ people(filter: {colour: READ}) { id } }", "did you mean \"RED\"?"),
        ("{ people(filter: {at: 7}) { id } }", "expected Moment, found 7: a string"),
        ("{ people(filter: {at: now}) { id } }", "expected Moment, found now"),
        ("{ people(filter: 7) { id } }", "expected Filter, found 7"),
        ("{ people(filter: {nothing: 1}) { id } }", "no field \"nothing\" in Filter"),
        ("{ people(filter: {age: 1, age: 2}) { id } }", "\"age\" is there twice"),
        ("{ people(filter: {must: null}) { id } }", "expected Int!, found null"),
        ("{ people(by: {}) { id } }", "exactly one"),
        ("{ people(by: {id: null}) { id } }", "exactly one"),
        ("query ($id: ID) { people(by: {id: $id}) { id } }", "may be null"),
        ("{ people { friends(first: \"x\") { id } } }", "expected Int!"),
        ("{ ...Nowhere }", "no fragment \"Nowhere\""),
        ("{ any { __typename } } fragment F on Person { id }", "\"F\" is not used"),
        ("{ any { ...F } } fragment F on Person { id } fragment F on Place { id }", "two fragments are called \"F\""),
        ("{ any { ...F } } fragment F on Nothing { id }", "no type \"Nothing\""),
        ("{ any { ... on Colour { id } } }", "cannot be on \"Colour\""),
        ("{ people { ... on Place { id } } }", "never applies to Person"),
        ("{ ...F } fragment F on Query { ...G } fragment G on Query { ...F }", "spreads itself"),
        ("{ any @nothing { __typename } }", "no directive \"@nothing\""),
        ("query @skip(if: true) { any { __typename } }", "cannot stand at a query"),
        ("query ($a: ID! @skip(if: true)) { thing(id: $a) { id } }", "cannot stand at a variable definition"),
        ("{ any @skip(if: true) @skip(if: true) { __typename } }", "\"@skip\" is there twice"),
        ("{ any @skip { __typename } }", "\"if\" of type Boolean! is missing"),
        ("query ($a: Int, $a: Int) { people(filter: {age: $a}) { id } }", "two variables are called \"$a\""),
        ("query ($a: Person) { people(filter: {age: $a}) { id } }", "cannot be of type Person"),
        ("query ($a: Nothing) { people(filter: {age: $a}) { id } }", "no type \"Nothing\""),
        ("query ($a: Int = \"x\") { people(filter: {age: $a}) { id } }", "default of \"$a\": expected Int"),
        ("query ($a: Int! = null) { people(filter: {age: $a}) { id } }", "expected Int!, found null"),
        ("{ people(filter: {age: $a}) { id } }", "\"$a\" is not defined"),
        ("query { people { ...F } } fragment F on Person { name(most: $a) }", "\"$a\" is not defined"),
        ("query ($a: Int) { any { __typename } }", "\"$a\" is not used"),
        (
            "query ($a: String) { people(filter: {age: $a}) { id } }",
            "of type String cannot be used where Int is expected",
        ),
        ("query ($a: Boolean) { any @skip(if: $a) { __typename } }", "where Boolean! is expected"),
        ("query ($a: [String]) { people(filter: {names: $a}) { id } }", "where [String!] is expected"),
        ("query ($a: String) { people(filter: {names: [$a]}) { id } }", "where String! is expected"),
        ("{ x: any { __typename } x: people { id } }", "\"x\" (any and people)"),
        ("{ people { name(upper: true) name } }", "different arguments"),
        ("{ people { x: id } people { x: age } }", "\"x\" (id and age)"),
        ("{ any { ... on Person { age } ... on Place { age } } }", "values of different types"),
        ("{ any { ... on Person { home { x: id } } ... on Place { home { x: age } } } }", "values of different types"),
        ("{ any { ... on Person { x: name } ... on Place { x: name } } }", "values of different types"),
        ("{ thing(id: 1) { ... on Person { x: age } ... on Thing { x: id } } }", "(age and id)"),
    ] {
        let told = faults(text);
        assert!(told.iter().any(|told| told.contains(says)), "{text}: expected {says:?}: {told:?}");
    }
}

#[test]
fn a_document_has_a_bounded_number_of_faults_and_of_fields() {
    assert_eq!(faults(&format!("{{ {} }}", "nothing ".repeat(100))).len(), 20);
    let bomb = |spread: &str| {
        let fragments = (0..40).map(|level| {
            format!(" fragment F{level} on Query {{ {} }}", spread.replace('%', &format!("...F{}", level + 1)))
        });
        format!("{{ ...F0 }}{} fragment F40 on Query {{ __typename }}", fragments.collect::<Vec<_>>().concat())
    };
    for text in [bomb("% %"), bomb("a: __typename % % @skip(if: false) %")] {
        assert!(faults(&text)[0].contains("limits.document_fields"), "{text}");
    }
    let deep = (0..70).map(|level| format!(" fragment F{level} on Query {{ ...F{} }}", level + 1));
    let deep = format!("{{ ...F0 }}{} fragment F70 on Query {{ __typename }}", deep.collect::<Vec<_>>().concat());
    assert!(faults(&deep)[0].contains("deeper than 64"));
}
