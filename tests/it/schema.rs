//! The graph in `schema.graphql` is the graph that is served, and that tells of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{FieldDefinition, InputValueDefinition, TypeKind, TypeSystemDefinition};
use async_graphql::{Name, Positioned};
use serde_json::Value;

use crate::gateway::Gateway;

/// The types, by name: what each has and is.
type Types = BTreeMap<String, BTreeSet<String>>;

fn schema_file() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("schema.graphql")).unwrap()
}

/// The definitions in a document of GraphQL's schema language, and the description of the schema, which stands at the end and
/// which async-graphql's parser does not know.
pub(crate) fn definitions_and_description(document: &str) -> (&str, &str) {
    let (before, _) = document.rsplit_once("\n\"\"\"\nschema {").unwrap();
    before.rsplit_once("\n\"\"\"\n").unwrap()
}

fn written_inputs(inputs: &[Positioned<InputValueDefinition>]) -> BTreeSet<String> {
    inputs.iter().map(|input| format!("{}: {}", input.node.name, input.node.ty)).collect()
}

fn written_fields(fields: &[Positioned<FieldDefinition>], implements: &[Positioned<Name>]) -> BTreeSet<String> {
    let field = |field: &FieldDefinition| format!("{}{:?}: {}", field.name, written_inputs(&field.arguments), field.ty);
    let implements = implements.iter().map(|name| format!("implements {name}"));
    fields.iter().map(|positioned| field(&positioned.node)).chain(implements).collect()
}

/// The types of a document in GraphQL's schema language.
fn written(document: &str) -> Types {
    let definitions = parse_schema(definitions_and_description(document).0).unwrap().definitions.into_iter();
    let types = definitions.filter_map(|definition| match definition {
        TypeSystemDefinition::Type(definition) => Some(definition.node),
        _ => None,
    });
    let members = |kind| match kind {
        TypeKind::Scalar => BTreeSet::new(),
        TypeKind::Object(object) => written_fields(&object.fields, &object.implements),
        TypeKind::Interface(interface) => written_fields(&interface.fields, &interface.implements),
        TypeKind::Union(union) => union.members.iter().map(ToString::to_string).collect(),
        TypeKind::Enum(values) => values.values.iter().map(|value| value.node.value.to_string()).collect(),
        TypeKind::InputObject(input) => written_inputs(&input.fields),
    };
    types.map(|definition| (definition.name.to_string(), members(definition.kind))).collect()
}

const INTROSPECTION: &str = "
    {
        __schema {
            queryType { name }
            mutationType { name }
            subscriptionType { name }
            types {
                name
                fields(includeDeprecated: true) { name args { name type { ...Type } } type { ...Type } }
                inputFields { name type { ...Type } }
                interfaces { name }
                enumValues(includeDeprecated: true) { name }
            }
        }
    }
    fragment Type on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }
";

fn told_type(told: &Value) -> String {
    match told["kind"].as_str().unwrap() {
        "NON_NULL" => format!("{}!", told_type(&told["ofType"])),
        "LIST" => format!("[{}]", told_type(&told["ofType"])),
        _ => told["name"].as_str().unwrap().to_owned(),
    }
}

fn each<'a>(told: &'a Value, member: impl Fn(&'a str, &'a Value) -> String) -> impl Iterator<Item = String> {
    told.as_array().into_iter().flatten().map(move |told| member(told["name"].as_str().unwrap(), told))
}

fn told_inputs(told: &Value) -> BTreeSet<String> {
    each(told, |name, input| format!("{name}: {}", told_type(&input["type"]))).collect()
}

fn told_members(told: &Value) -> BTreeSet<String> {
    let fields = each(&told["fields"], |name, field| {
        format!("{name}{:?}: {}", told_inputs(&field["args"]), told_type(&field["type"]))
    });
    let implements = each(&told["interfaces"], |name, _| format!("implements {name}"));
    let values = each(&told["enumValues"], |name, _| name.to_owned());
    fields.chain(told_inputs(&told["inputFields"])).chain(implements).chain(values).collect()
}

#[test]
fn the_schema_file_is_what_the_gateway_serves() {
    let output = Command::new(env!("CARGO_BIN_EXE_sluice")).arg("schema").env_clear().output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout == schema_file().as_bytes(), "schema.graphql is not what is served: run `make schema`");
}

#[tokio::test]
async fn the_graph_tells_of_itself_what_the_schema_file_says() {
    let gateway = Gateway::start().await;
    let schema = gateway.query(INTROSPECTION).await["__schema"].take();
    let types = schema["types"].as_array().unwrap().iter();
    let mut told: Types = types.map(|told| (told["name"].as_str().unwrap().to_owned(), told_members(told))).collect();
    // What every graph has stands in none.
    told.retain(|name, _| !name.starts_with("__"));
    for name in ["Boolean", "Float", "ID", "Int", "String"] {
        told.remove(name);
    }
    assert_eq!(told, written(&schema_file()));
    assert_eq!(schema["queryType"]["name"], "Query");
    assert_eq!(schema["subscriptionType"]["name"], "Subscription");
    assert_eq!(schema["mutationType"], Value::Null);
}

#[test]
fn only_nodes_have_a_field_that_is_named_id() {
    // Caches merge objects of one type that have the same `id`.
    let types = written(&schema_file());
    let has_id = |members: &BTreeSet<String>| members.iter().any(|member| member.starts_with("id{"));
    let with_id: BTreeSet<_> = types.iter().filter(|(_, members)| has_id(members)).map(|(name, _)| name).collect();
    let nodes = types.iter().filter(|(_, members)| members.contains("implements Node")).map(|(name, _)| name);
    let node = "Node".to_owned();
    assert_eq!(with_id, nodes.chain([&node]).collect());
    assert!(with_id.len() > 3);
}

/// Fields of `SyncEventFilter` that are no field of an event: a URL stands for an instance, and the others combine.
const NO_OUTPUT: [&str; 5] = ["applicationInstanceUrls", "search", "and", "or", "not"];

/// The name of the output that a filter's field is about. A list of values is called by the plural of the output's name,
/// which has an `s` or, in place of its `y`, an `ies`; `firstReceivedVia` has no plural.
fn output_of(field: &str, is_list: bool) -> String {
    match field {
        field if !is_list || field == "firstReceivedVia" => field.to_owned(),
        field => match field.strip_suffix("ies") {
            Some(stem) => format!("{stem}y"),
            None => field.strip_suffix('s').unwrap_or("no plural").to_owned(),
        },
    }
}

#[test]
fn each_filter_is_called_what_its_output_is_called() {
    let types = written(&schema_file());
    let names = |name: &str| types[name].iter().map(|member| member.split(['{', ':']).next().unwrap().to_owned());
    for (filter, output) in [("SyncEventFilter", "SyncEvent"), ("EntityFilter", "Entity")] {
        let outputs: BTreeSet<_> = names(output).collect();
        for (field, member) in names(filter).zip(&types[filter]).filter(|(field, _)| !NO_OUTPUT.contains(&&**field)) {
            let about = output_of(&field, member.contains(": ["));
            assert!(outputs.contains(&about), "{filter}.{field} is about {output}.{about}, which is not there");
        }
    }
}
