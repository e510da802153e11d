//! A valid document in the form that async-graphql executes.

use async_graphql::parser::types::{self as tree, DocumentOperations, ExecutableDocument, TypeCondition};
use async_graphql::{Name, Pos, Positioned};
use async_graphql_value::{ConstValue, Number, Value};

use crate::language::document::{
    Directive, Document, DocumentOperation, Item, Literal, LiteralValue, NamedLiteral, SelectionSet, VariableDefinition,
};
use crate::language::fault::Location;
use crate::language::types::{RootKind, TypeBase, TypeReference};

/// Makes a valid document executable.
pub(in crate::graphql) fn executable(document: &Document<'_>) -> ExecutableDocument {
    let named = |of: &DocumentOperation<'_>| Some((Name::new(of.name?.text), operation(of)));
    let operations = match &document.operations[..] {
        [only] if only.name.is_none() => DocumentOperations::Single(operation(only)),
        operations => DocumentOperations::Multiple(operations.iter().filter_map(named).collect()),
    };
    let fragments = document.fragments.iter().map(|fragment| {
        let definition = tree::FragmentDefinition {
            type_condition: condition(fragment.condition),
            directives: directives(&fragment.directives),
            selection_set: selection(&fragment.selection),
        };
        (Name::new(fragment.name.text), placed(definition, fragment.at))
    });
    ExecutableDocument { operations, fragments: fragments.collect() }
}

fn placed<T>(node: T, at: Location) -> Positioned<T> {
    Positioned::new(node, Pos { line: at.line, column: at.column })
}

fn name(name: crate::language::document::Name<'_>) -> Positioned<Name> {
    placed(Name::new(name.text), name.at)
}

fn condition(on: crate::language::document::Name<'_>) -> Positioned<TypeCondition> {
    placed(TypeCondition { on: name(on) }, on.at)
}

fn operation(operation: &DocumentOperation<'_>) -> Positioned<tree::OperationDefinition> {
    let definition = tree::OperationDefinition {
        ty: match operation.kind {
            RootKind::Query => tree::OperationType::Query,
            RootKind::Mutation => tree::OperationType::Mutation,
            RootKind::Subscription => tree::OperationType::Subscription,
        },
        variable_definitions: operation.variables.iter().map(variable).collect(),
        directives: directives(&operation.directives),
        selection_set: selection(&operation.selection),
    };
    placed(definition, operation.at)
}

fn variable(variable: &VariableDefinition<'_>) -> Positioned<tree::VariableDefinition> {
    let default = variable.default.as_ref();
    let definition = tree::VariableDefinition {
        name: name(variable.name),
        var_type: placed(reference(&variable.of), variable.type_at),
        directives: directives(&variable.directives),
        default_value: default.and_then(|default| Some(placed(constant(&default.value)?, default.at))),
    };
    placed(definition, variable.at)
}

fn constant(literal: &LiteralValue<'_>) -> Option<ConstValue> {
    value(literal).into_const()
}

fn reference(of: &TypeReference) -> tree::Type {
    let base = match &of.base {
        TypeBase::Named(name) => tree::BaseType::Named(Name::new(name)),
        TypeBase::List(item) => tree::BaseType::List(Box::new(reference(item))),
    };
    tree::Type { base, nullable: !of.is_non_null }
}

fn directives(given: &[Directive<'_>]) -> Vec<Positioned<tree::Directive>> {
    let directive = |directive: &Directive<'_>| {
        let node = tree::Directive { name: name(directive.name), arguments: arguments(&directive.arguments) };
        placed(node, directive.at)
    };
    given.iter().map(directive).collect()
}

fn arguments(given: &[NamedLiteral<'_>]) -> Vec<(Positioned<Name>, Positioned<Value>)> {
    let argument =
        |argument: &NamedLiteral<'_>| (name(argument.name), placed(value(&argument.value.value), argument.value.at));
    given.iter().map(argument).collect()
}

fn selection(given: &SelectionSet<'_>) -> Positioned<tree::SelectionSet> {
    let item = |item: &Item<'_>| match item {
        Item::Field(field) => {
            let node = tree::Field {
                alias: field.alias.map(name),
                name: name(field.name),
                arguments: arguments(&field.arguments),
                directives: directives(&field.directives),
                selection_set: selection(&field.selection),
            };
            let at = field.response_key().at;
            placed(tree::Selection::Field(placed(node, at)), at)
        }
        Item::Spread(spread) => {
            let node =
                tree::FragmentSpread { fragment_name: name(spread.name), directives: directives(&spread.directives) };
            placed(tree::Selection::FragmentSpread(placed(node, spread.at)), spread.at)
        }
        Item::Inline(inline) => {
            let node = tree::InlineFragment {
                type_condition: inline.condition.map(condition),
                directives: directives(&inline.directives),
                selection_set: selection(&inline.selection),
            };
            placed(tree::Selection::InlineFragment(placed(node, inline.at)), inline.at)
        }
    };
    placed(tree::SelectionSet { items: given.items.iter().map(item).collect() }, given.at)
}

fn value(literal: &LiteralValue<'_>) -> Value {
    let object = |fields: &[NamedLiteral<'_>]| {
        fields.iter().map(|field| (Name::new(field.name.text), value(&field.value.value))).collect()
    };
    match literal {
        LiteralValue::Null => Value::Null,
        LiteralValue::Boolean(given) => Value::Boolean(*given),
        // Only the scalars that take digits in a string, too, take whole numbers of more than 64 bits.
        LiteralValue::Int(text) => text
            .parse::<i64>()
            .map_or_else(|_| Value::String((*text).to_owned()), |number| Value::Number(number.into())),
        LiteralValue::Float(text) => text.parse().ok().and_then(Number::from_f64).map_or(Value::Null, Value::Number),
        LiteralValue::Text(text) => Value::String(text.clone()),
        LiteralValue::Enum(text) => Value::Enum(Name::new(text)),
        LiteralValue::List(items) => Value::List(items.iter().map(|item: &Literal<'_>| value(&item.value)).collect()),
        LiteralValue::Object(fields) => Value::Object(object(fields)),
        LiteralValue::Variable(text) => Value::Variable(Name::new(text)),
    }
}
