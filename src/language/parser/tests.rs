//! Texts that are documents, and texts that are none.

use super::*;
use crate::language::document::LiteralValue;

fn fault(text: &str) -> DocumentFault {
    parse(text, 1_000).expect_err(text)
}

#[test]
fn all_that_the_grammar_has_is_read() {
    for text in [
        "{ a }",
        "\u{feff}query Q($a: [Int!]! = [1, 2] @d(x: {y: null}), \"of use\" $b: B) @e { a: b(c: $a, d: E) { ...on on @x { b } } }",
        "\"\"\"one\"\"\" query A { a } \"two\" fragment F on T @d { ... @skip(if: true) { b } ... on on { c } ...F }",
        "subscription on { on: on(on: on) @on { on } } mutation { a(b: [], c: {}, d: [[{e: \"\"}]]) }",
        "query query($query: query) { fragment true: null }",
    ] {
        parse(text, 1_000).unwrap_or_else(|fault| panic!("{text}: {}", fault.message));
    }
}

#[test]
fn texts_that_are_no_documents_are_told_where() {
    for (text, line, column) in [
        ("", 1, 1),
        ("{", 1, 2),
        ("{}", 1, 2),
        ("{ a }\n\n}", 3, 1),
        ("query () { a }", 1, 8),
        ("{ a() }", 1, 5),
        ("{ a(b) }", 1, 6),
        ("{ a(b: ) }", 1, 8),
        ("{ a { } }", 1, 7),
        ("{ a: }", 1, 6),
        ("{ ...on }", 1, 9),
        ("{ ... on T }", 1, 12),
        ("fragment on on T { a }", 1, 10),
        ("fragment F T { a }", 1, 12),
        ("fragment F($x: Int) on T { a }", 1, 11),
        ("query ($a: Int = $b) { a }", 1, 18),
        ("query ($a: Int @d(x: $b)) { a }", 1, 22),
        ("query ($a Int) { a }", 1, 11),
        ("query ($a: [Int) { a }", 1, 16),
        ("\"described\" { a }", 1, 13),
        ("\"described\"", 1, 12),
        ("\"\\x\" query { a }", 1, 1),
        ("{ a(b: \"\\uD800\") }", 1, 8),
        ("queri { a }", 1, 1),
        ("extend query { a }", 1, 1),
        ("{ a } b", 1, 7),
        ("{ a & b }", 1, 5),
    ] {
        let fault = fault(text);
        assert_eq!(fault.locations, [Location { line, column }], "{text}: {}", fault.message);
        assert!(fault.message.contains(&format!("line {line}, column {column}: ")), "{}", fault.message);
    }
}

#[test]
fn parts_of_a_schema_are_not_executed() {
    use crate::language::fault::FaultKind;
    for text in ["type A { b: C }", "{ a } extend type A { b: C }", "\"described\" scalar D"] {
        assert_eq!(fault(text).kind, FaultKind::Invalid, "{text}");
    }
}

#[test]
fn values_are_as_they_are_written() {
    let text = "{ a(b: [1, -0, 1.0, true, null, E, \"\\u{e9}\", \"\"\"\n  x\n\"\"\", $v, {f: 99999999999999999999}]) }";
    let document = parse(text, 1_000).unwrap();
    let Item::Field(field) = &document.operations[0].selection.items[0] else { panic!("no field") };
    let LiteralValue::List(items) = &field.arguments[0].value.value else { panic!("no list") };
    let shown: Vec<_> = items.iter().map(|item| item.value.shown()).collect();
    assert_eq!(shown, ["1", "-0", "1.0", "true", "null", "E", "\"é\"", "\"x\"", "$v", "an object"]);
}
