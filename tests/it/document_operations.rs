//! The GraphQL operations of README.md, of docs/ and of what the gateway shows have names, by which the access log tells them apart.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{InputValueDefinition, TypeKind, TypeSystemDefinition};

use crate::document_commands::Page;
use crate::schema::definitions_and_description;

/// Words with which an operation begins.
const KEYWORDS: [&str; 3] = ["query", "subscription", "mutation"];

/// Characters after which a `{` begins an operation: those that quote it, and the one before a parameter's value.
const OPENINGS: [char; 4] = ['"', '\'', '`', '='];

/// Files beside the documents that show operations, or send them from a browser.
const SHOWN: [&str; 2] = ["src/serve/page.html", "scripts/run"];

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The fields with which an operation's selection may begin. True for those that need arguments: `nodes` alone is a part of pages.
type RootFields = BTreeMap<String, bool>;

fn root_fields() -> RootFields {
    let mut fields: RootFields = ["__typename", "__schema", "__type"].map(|name| (name.to_owned(), false)).into();
    let schema = read("schema.graphql");
    for definition in parse_schema(definitions_and_description(&schema).0).unwrap().definitions {
        if let TypeSystemDefinition::Type(definition) = definition
            && let TypeKind::Object(object) = definition.node.kind
            && ["Query", "Subscription"].contains(&definition.node.name.node.as_str())
        {
            fields.extend(object.fields.iter().map(|field| {
                let is_needed =
                    |argument: &InputValueDefinition| !argument.ty.node.nullable && argument.default_value.is_none();
                let needs_arguments = field.node.arguments.iter().any(|argument| is_needed(&argument.node));
                (field.node.name.node.to_string(), needs_arguments)
            }));
        }
    }
    fields
}

/// The operations of a text.
#[derive(Debug, Default, PartialEq, Eq)]
struct Operations<'t> {
    named: Vec<&'t str>,
    /// The line of each operation without a name, and how it begins.
    anonymous: Vec<(usize, &'t str)>,
}

impl<'t> Operations<'t> {
    /// Finds operations in text, commands and code of any language: each `{` that is followed by a field of the schema's root.
    fn of(text: &'t str, root_fields: &RootFields) -> Self {
        let mut found = Self::default();
        for (at, _) in text.match_indices('{') {
            let (before, selection) = text.split_at(at);
            let (field, rest) = first_field(&selection[1..]);
            match root_fields.get(field) {
                Some(needs_arguments) if !needs_arguments || rest.starts_with('(') => {}
                _ => continue,
            }
            match header(before) {
                Header::Named(name) => found.named.push(name),
                Header::Anonymous => {
                    let line = before.matches('\n').count() + 1;
                    found.anonymous.push((line, selection.lines().next().unwrap_or_default()));
                }
                Header::OfNoOperation => {}
            }
        }
        found
    }
}

/// Returns the name of the first field of a selection, which may have an alias, and what follows it.
fn first_field(selection: &str) -> (&str, &str) {
    let (first, rest) = first_word(selection);
    rest.trim_start().strip_prefix(':').map_or((first, rest), first_word)
}

fn first_word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_at(text.find(|letter| !is_of_word(letter)).unwrap_or(text.len()))
}

/// Splits a text before its last word, which may be empty.
fn last_word(text: &str) -> (&str, &str) {
    let text = text.trim_end();
    text.split_at(text.trim_end_matches(is_of_word).len())
}

fn is_of_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// The text before a selection of the root's fields: the beginning of an operation, or of something else.
enum Header<'t> {
    Named(&'t str),
    Anonymous,
    /// The text is an object of another language, or a part of a fragment.
    OfNoOperation,
}

fn header(before: &str) -> Header<'_> {
    let mut before = before.trim_end();
    // Comments of GraphQL may stand before an operation.
    while let Some(last) = before.lines().last().filter(|line| line.trim_start().starts_with('#')) {
        before = before[..before.len() - last.len()].trim_end();
    }
    if before.is_empty() || before.lines().last().is_some_and(|line| line.trim_start().starts_with("```")) {
        return Header::Anonymous;
    }
    let (start, has_variables) = match before.strip_suffix(')').and_then(|variables| variables.rsplit_once('(')) {
        Some((start, _)) => (start, true),
        None => (before, false),
    };
    let (start, word) = last_word(start);
    if KEYWORDS.contains(&word) || !has_variables && word.is_empty() && start.ends_with(OPENINGS) {
        Header::Anonymous
    } else if !word.is_empty() && KEYWORDS.contains(&last_word(start).1) {
        Header::Named(word)
    } else {
        Header::OfNoOperation
    }
}

#[test]
fn every_operation_of_the_documents_has_a_name() {
    let root_fields = root_fields();
    let shown = SHOWN.map(|path| Page { path: path.to_owned(), text: read(path) });
    let (mut named, mut faults) = (0, Vec::new());
    for Page { path, text } in Page::read_all().into_iter().chain(shown) {
        let operations = Operations::of(&text, &root_fields);
        named += operations.named.len();
        faults.extend(operations.anonymous.iter().map(|(line, operation)| {
            format!("{path}:{line}: this operation has no name, write `query Name {{ … }}`: {operation}")
        }));
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    assert!(named > 40, "only {named} operations were found");
}

#[test]
fn operations_without_a_name_are_found() {
    let root_fields = root_fields();
    for (text, line) in [
        ("Ask `{ viewer { name } }`.", 1),
        ("```graphql\n{\n  syncEvents { head }\n}\n```", 2),
        ("```graphql\n# The newest events.\n{ syncEvents { head } }\n```", 3),
        ("```graphql\nquery { newest: syncEvents { head } }\n```", 2),
        ("curl -d '{\"query\": \"{ syncEvents { head } }\"}'", 1),
        ("curl -G --data-urlencode query='\n{ ingestion { head } }'", 2),
        ("curl -G --data-urlencode 'query={ ingestion { head } }'", 1),
        ("'query=query ($first: Int) { syncEvents(first: $first) { head } }'", 1),
        ("subscription($after: Position!)\n  { syncEvents(from: {after: $after}) { position } }", 2),
        ("const text = `subscription {\n  syncEvents { position } }`;", 1),
        ("`{ nodes(ids: [\"a\"]) { id } }`", 1),
    ] {
        let operations = Operations::of(text, &root_fields);
        assert!(operations.named.is_empty(), "{text}: {operations:?}");
        assert!(matches!(&operations.anonymous[..], [(found, _)] if *found == line), "{text}: {operations:?}");
    }
    for (text, names) in [
        ("query Newest { syncEvents { head } }", &["Newest"][..]),
        ("subscription Events(\n  $after: Position!\n) { syncEvents { position } }", &["Events"]),
        ("query A { viewer { name } } query B { ingestion { head } }", &["A", "B"]),
        ("fragment Page on Query { syncEvents { head } }", &[]),
        ("const { syncEvents } = data; cache = new Cache({ syncEvents: pages }); { fields: { syncEvents } }", &[]),
        ("{\"data\": {\"syncEvents\": {\"nodes\": []}}} and `{after: \"41\"}` and `{ nodes { position } }`", &[]),
    ] {
        let expected = Operations { named: names.to_vec(), anonymous: Vec::new() };
        assert_eq!(Operations::of(text, &root_fields), expected, "{text}");
    }
}
