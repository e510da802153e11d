//! The schema's types, as documents are validated against them: read from the schema in GraphQL's schema language.

use std::collections::{BTreeMap, HashMap};

use async_graphql::Positioned;
use async_graphql::parser::types::{
    BaseType, DirectiveDefinition, FieldDefinition, InputValueDefinition, Type, TypeDefinition, TypeKind,
    TypeSystemDefinition,
};

use crate::graphql::types::scalars::scalar_fault;
use crate::language::types::{
    InputField, SchemaDirective, SchemaField, SchemaType, SchemaTypes, TypeBase, TypeReference, TypeShape,
};

/// Types of every schema: the scalars and the types of introspection of the specification of September 2025.
const BUILT_IN: &str = "
scalar Int scalar Float scalar String scalar Boolean scalar ID
type __Schema { description: String types: [__Type!]! queryType: __Type! mutationType: __Type subscriptionType: __Type
  directives: [__Directive!]! }
type __Type { kind: __TypeKind! name: String description: String specifiedByURL: String
  fields(includeDeprecated: Boolean! = false): [__Field!] interfaces: [__Type!] possibleTypes: [__Type!]
  enumValues(includeDeprecated: Boolean! = false): [__EnumValue!]
  inputFields(includeDeprecated: Boolean! = false): [__InputValue!] ofType: __Type isOneOf: Boolean }
type __Field { name: String! description: String args(includeDeprecated: Boolean! = false): [__InputValue!]!
  type: __Type! isDeprecated: Boolean! deprecationReason: String }
type __InputValue { name: String! description: String type: __Type! defaultValue: String isDeprecated: Boolean!
  deprecationReason: String }
type __EnumValue { name: String! description: String isDeprecated: Boolean! deprecationReason: String }
type __Directive { name: String! description: String isRepeatable: Boolean! locations: [__DirectiveLocation!]!
  args(includeDeprecated: Boolean! = false): [__InputValue!]! }
enum __TypeKind { SCALAR OBJECT INTERFACE UNION ENUM INPUT_OBJECT LIST NON_NULL }
enum __DirectiveLocation { QUERY MUTATION SUBSCRIPTION FIELD FRAGMENT_DEFINITION FRAGMENT_SPREAD INLINE_FRAGMENT
  VARIABLE_DEFINITION SCHEMA SCALAR OBJECT FIELD_DEFINITION ARGUMENT_DEFINITION INTERFACE UNION ENUM ENUM_VALUE
  INPUT_OBJECT INPUT_FIELD_DEFINITION }
type Root { __schema: __Schema! __type(name: String!): __Type }
";

/// Reads the types of a schema. `suggests` allows messages to name types and fields.
pub(in crate::graphql) fn schema_types(sdl: &str, suggests: bool) -> SchemaTypes {
    let mut types = SchemaTypes { types: HashMap::new(), directives: HashMap::new(), scalar_fault, suggests };
    for text in [BUILT_IN, sdl] {
        let definitions = async_graphql::parser::parse_schema(text).map(|document| document.definitions);
        for definition in definitions.unwrap_or_default() {
            match definition {
                TypeSystemDefinition::Type(definition) => {
                    let read = schema_type(&definition.node);
                    types.types.insert(read.name.clone(), read);
                }
                TypeSystemDefinition::Directive(definition) => {
                    types.directives.insert(definition.node.name.node.to_string(), directive(&definition.node, text));
                }
                TypeSystemDefinition::Schema(_) => {}
            }
        }
    }
    let root = types.types.remove("Root").map(|root| root.shape);
    let query = types.types.get_mut("Query").map(|query| &mut query.shape);
    if let (Some(TypeShape::Object { fields: more, .. }), Some(TypeShape::Object { fields, .. })) = (root, query) {
        fields.extend(more);
    }
    types
}

fn schema_type(definition: &TypeDefinition) -> SchemaType {
    let names = |names: &[Positioned<async_graphql::Name>]| names.iter().map(|name| name.node.to_string()).collect();
    let shape = match &definition.kind {
        TypeKind::Scalar => TypeShape::Scalar,
        TypeKind::Enum(found) => {
            TypeShape::Enum(found.values.iter().map(|value| value.node.value.node.to_string()).collect())
        }
        TypeKind::Object(object) => {
            TypeShape::Object { fields: fields(&object.fields), interfaces: names(&object.implements) }
        }
        TypeKind::Interface(interface) => TypeShape::Interface { fields: fields(&interface.fields) },
        TypeKind::Union(union) => TypeShape::Union(names(&union.members)),
        TypeKind::InputObject(input) => TypeShape::Input {
            fields: inputs(&input.fields),
            is_one_of: definition.directives.iter().any(|directive| directive.node.name.node == "oneOf"),
        },
    };
    SchemaType { name: definition.name.node.to_string(), shape }
}

fn fields(definitions: &[Positioned<FieldDefinition>]) -> BTreeMap<String, SchemaField> {
    let field = |field: &Positioned<FieldDefinition>| {
        let FieldDefinition { name, ty, arguments, .. } = &field.node;
        (name.node.to_string(), SchemaField { of: reference(&ty.node), arguments: inputs(arguments) })
    };
    definitions.iter().map(field).collect()
}

fn inputs(definitions: &[Positioned<InputValueDefinition>]) -> Vec<InputField> {
    let input = |input: &Positioned<InputValueDefinition>| InputField {
        name: input.node.name.node.to_string(),
        of: reference(&input.node.ty.node),
        has_default: input.node.default_value.is_some(),
    };
    definitions.iter().map(input).collect()
}

fn directive(definition: &DirectiveDefinition, sdl: &str) -> SchemaDirective {
    let locations = definition.locations.iter();
    // async-graphql's parser takes every directive for a repeatable one.
    let written = sdl.split_once(&format!("directive @{}", definition.name.node)).map(|(_, rest)| rest);
    let head = written.and_then(|rest| rest.split_once(" on ")).map(|(head, _)| head);
    SchemaDirective {
        arguments: inputs(&definition.arguments),
        is_repeatable: head.is_some_and(|head| head.ends_with(" repeatable")),
        // The library's names of locations are those of the specification, in another case.
        locations: locations.map(|location| screaming(&format!("{:?}", location.node))).collect(),
    }
}

/// `FragmentSpread` as `FRAGMENT_SPREAD`.
fn screaming(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(letter.to_ascii_uppercase());
    }
    text
}

fn reference(of: &Type) -> TypeReference {
    let base = match &of.base {
        BaseType::Named(name) => TypeBase::Named(name.to_string()),
        BaseType::List(item) => TypeBase::List(Box::new(reference(item))),
    };
    TypeReference { base, is_non_null: !of.nullable }
}
