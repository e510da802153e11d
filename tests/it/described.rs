//! The graph is described for people: every element has a description, every root field an example that works, and every
//! output of Okta its path.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use async_graphql::Positioned;
use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{FieldDefinition, InputValueDefinition, TypeKind, TypeSystemDefinition};
use serde_json::{Value, json};

use crate::events::sync_events;
use crate::gateway::Gateway;
use crate::schema::definitions_and_description;

/// Descriptions by the path of the element, such as `SyncEvent.message`; empty for an element without one.
type Descriptions = BTreeMap<String, String>;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn inputs(all: &mut Descriptions, parent: &str, inputs: &[Positioned<InputValueDefinition>]) {
    for input in inputs {
        let described = input.node.description.as_ref().map(|text| text.node.clone()).unwrap_or_default();
        all.insert(format!("{parent}.{}", input.node.name), described);
    }
}

fn fields(all: &mut Descriptions, parent: &str, fields: &[Positioned<FieldDefinition>]) {
    for field in fields {
        let path = format!("{parent}.{}", field.node.name);
        inputs(all, &path, &field.node.arguments);
        all.insert(path, field.node.description.as_ref().map(|text| text.node.clone()).unwrap_or_default());
    }
}

/// The descriptions in `schema.graphql`, that of the schema with an empty path.
fn written() -> Descriptions {
    let file = read("schema.graphql");
    let (definitions, description) = definitions_and_description(&file);
    let mut all = Descriptions::from([(String::new(), description.to_owned())]);
    for definition in parse_schema(definitions).unwrap().definitions {
        match definition {
            TypeSystemDefinition::Type(definition) => {
                let name = definition.node.name.to_string();
                match &definition.node.kind {
                    TypeKind::Object(object) => fields(&mut all, &name, &object.fields),
                    TypeKind::Interface(interface) => fields(&mut all, &name, &interface.fields),
                    TypeKind::InputObject(input) => inputs(&mut all, &name, &input.fields),
                    TypeKind::Enum(found) => {
                        for value in &found.values {
                            let described = value.node.description.as_ref().map(|text| text.node.clone());
                            all.insert(format!("{name}.{}", value.node.value), described.unwrap_or_default());
                        }
                    }
                    TypeKind::Scalar | TypeKind::Union(_) => {}
                }
                all.insert(name, definition.node.description.map(|text| text.node).unwrap_or_default());
            }
            TypeSystemDefinition::Directive(definition) => {
                let name = format!("@{}", definition.node.name);
                inputs(&mut all, &name, &definition.node.arguments);
                all.insert(name, definition.node.description.map(|text| text.node).unwrap_or_default());
            }
            TypeSystemDefinition::Schema(_) => {}
        }
    }
    all
}

const INTROSPECTION: &str = "
    {
        __schema {
            description
            types {
                name
                description
                fields(includeDeprecated: true) { name description args { name description } }
                inputFields { name description }
                enumValues(includeDeprecated: true) { name description }
            }
            directives { name description args { name description } }
        }
    }
";

fn add(all: &mut Descriptions, parent: &str, told: &Value) {
    for element in told.as_array().into_iter().flatten() {
        let path = format!("{parent}{}", element["name"].as_str().unwrap());
        for members in ["fields", "inputFields", "enumValues", "args"] {
            add(all, &format!("{path}."), &element[members]);
        }
        all.insert(path, element["description"].as_str().unwrap_or_default().to_owned());
    }
}

#[tokio::test]
async fn every_element_is_described_in_the_file_and_in_introspection() {
    let written = written();
    assert!(written.len() > 300, "only {} elements were found", written.len());
    let lacking = written.iter().filter(|(_, text)| text.trim().is_empty()).map(|(path, _)| path);
    let lacking: Vec<_> = lacking.collect();
    assert!(lacking.is_empty(), "{lacking:?}");

    let gateway = Gateway::start().await;
    let schema = gateway.query(INTROSPECTION).await["__schema"].take();
    let mut told = Descriptions::from([(String::new(), schema["description"].as_str().unwrap().to_owned())]);
    add(&mut told, "", &schema["types"]);
    add(&mut told, "@", &schema["directives"]);
    for (path, text) in &written {
        assert_eq!(told.get(path), Some(text), "{path}");
    }
    // GraphQL's own elements stand in no file.
    let types: BTreeSet<_> = written.keys().filter_map(|path| path.split('.').next()).collect();
    let more: BTreeSet<_> = told.keys().filter_map(|path| path.split('.').next()).collect();
    let own: Vec<_> = more.difference(&types).filter(|name| !name.starts_with("__")).collect();
    assert_eq!(own, [&"@deprecated", &"Boolean", &"Float", &"ID", &"Int", &"String"]);
}

/// The GraphQL documents in a description.
fn examples(text: &str) -> Vec<&str> {
    text.split("```graphql\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect()
}

/// The first payload of a subscription that has events.
async fn first_payload(gateway: &Gateway, example: &str) -> Value {
    let mut socket = gateway.socket().await;
    socket.subscribe("1", example, Value::Null).await;
    loop {
        let batch = socket.batch("1").await;
        if batch["events"] != json!([]) {
            return json!({"data": {"syncEvents": batch}});
        }
    }
}

#[tokio::test]
async fn every_root_field_has_one_example_that_works() {
    let gateway = Gateway::start().await;
    gateway.deliver(&sync_events("hjhk34aUxGnWcZ0h7", 3)).await;
    let written = written();
    let mut number = 0;
    for (path, text) in written.iter().filter(|(path, _)| path.matches('.').count() == 1) {
        let found = examples(text);
        let (parent, field) = path.split_once('.').unwrap();
        let is_query = parent == "Query";
        if !is_query && parent != "Subscription" {
            continue;
        }
        let [example] = &found[..] else { panic!("{path} has {} examples", found.len()) };
        let answer =
            if is_query { gateway.ask(example, Value::Null).await } else { first_payload(&gateway, example).await };
        assert!(answer["errors"].is_null(), "{path}: {answer}");
        let roots: Vec<_> = answer["data"].as_object().unwrap().keys().collect();
        assert_eq!(roots, [field], "{path}");
        number += 1;
    }
    assert!(number > 8, "only {number} examples were found");
    // An example that found nothing would show little.
    for (field, pointer) in [
        ("node", "/node/displayName"),
        ("application", "/application/instances/nodes/0/label"),
        ("applicationInstance", "/applicationInstance/syncEvents/nodes/0/message"),
    ] {
        let example = examples(&written[&format!("Query.{field}")])[0];
        let answer = gateway.ask(example, Value::Null).await;
        assert!(answer["data"].pointer(pointer).is_some_and(Value::is_string), "{field}: {answer}");
    }
}

/// A description's words after a mark, up to the end of the sentence; none where they do not stand.
fn told_after<'t>(text: &'t str, mark: &str) -> &'t str {
    let rest = text.split_once(mark).map(|(_, rest)| rest);
    rest.map_or("", |rest| rest.split(". ").next().unwrap_or(rest).trim_end_matches('.'))
}

/// The outputs of the card, as Okta's builder of flows names them.
const CARD: [&str; 16] = [
    "Admin",
    "Application",
    "Application User",
    "Date and Time",
    "Debug Context",
    "Debug Data",
    "Event Details",
    "Event ID",
    "Event Time",
    "Event Type",
    "Headers",
    "Message",
    "Okta User",
    "Source",
    "UUID",
    "Version",
];

#[test]
fn every_output_of_okta_has_its_path_in_the_schema_and_in_the_table() {
    let descriptions = written();
    let types = [("outcome", "Outcome"), ("admin", "Entity"), ("transaction", "Transaction"), ("client", "Client")];
    let types = types.into_iter().chain([("debugContext", "DebugContext"), ("", "SyncEvent")]);
    let mut told = BTreeMap::new();
    for (prefix, parent) in types {
        for (path, text) in &descriptions {
            let Some((of, field)) = path.split_once('.').filter(|(of, field)| *of == parent && !field.contains('.'))
            else {
                continue;
            };
            assert_eq!(of, parent);
            let text = text.replace('\n', " ");
            let (card, log) = (told_after(&text, "On the card: "), told_after(&text, "System Log: "));
            let name = if prefix.is_empty() { field.to_owned() } else { format!("{prefix}.{field}") };
            told.insert(name, (card.to_owned(), log.to_owned()));
        }
    }
    let own = ["applicationInstance", "firstReceivedVia", "id", "org", "position", "receivedAt", "receivedVia"];
    let without: Vec<_> = told.iter().filter(|(_, (card, log))| card.is_empty() && log.is_empty()).collect();
    assert_eq!(without.into_iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), own);
    told.retain(|name, _| !own.contains(&name.as_str()));

    let page = read("docs/fields.md");
    let rows = page.lines().filter(|line| line.starts_with("| `") && !line.starts_with("| `SyncEvent`"));
    let rows = rows.map(|line| line.split('|').skip(1).map(|cell| cell.trim().to_owned()).collect::<Vec<_>>());
    let rows: BTreeMap<_, _> =
        rows.map(|cells| (cells[0].trim_matches('`').to_owned(), (cells[1].clone(), cells[2].clone()))).collect();
    assert_eq!(rows, told);

    let mut outputs: Vec<_> =
        rows.iter().filter(|(name, _)| !name.starts_with("admin.")).map(|(_, row)| &row.0).collect();
    outputs.retain(|output| !output.is_empty());
    outputs.sort();
    assert_eq!(outputs, CARD.iter().collect::<Vec<_>>());
}
