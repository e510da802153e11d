//! Arguments whose variables have no value: by the specification, such an argument is left out, and has its default.
//! async-graphql takes it for null.

use std::collections::HashSet;

use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, OperationDefinition, Selection, SelectionSet,
};
use async_graphql::{Name, Variables};
use async_graphql_value::Value;

/// Returns the variables of an operation that have neither a value nor a default.
pub(in crate::graphql) fn omitted(operation: &OperationDefinition, values: &Variables) -> HashSet<Name> {
    let variables = operation.variable_definitions.iter().map(|variable| &variable.node);
    let omitted = variables.filter(|one| one.default_value.is_none() && !values.contains_key(&one.name.node));
    omitted.map(|one| one.name.node.clone()).collect()
}

/// Removes the arguments whose values are variables without a value.
pub(in crate::graphql) fn remove(document: &mut ExecutableDocument, omitted: &HashSet<Name>) {
    if omitted.is_empty() {
        return;
    }
    match &mut document.operations {
        DocumentOperations::Single(operation) => remove_in(&mut operation.node.selection_set.node, omitted),
        DocumentOperations::Multiple(operations) => {
            for operation in operations.values_mut() {
                remove_in(&mut operation.node.selection_set.node, omitted);
            }
        }
    }
    for fragment in document.fragments.values_mut() {
        remove_in(&mut fragment.node.selection_set.node, omitted);
    }
}

fn remove_in(selection: &mut SelectionSet, omitted: &HashSet<Name>) {
    for item in &mut selection.items {
        match &mut item.node {
            Selection::Field(field) => {
                let is_given = |value: &Value| !matches!(value, Value::Variable(name) if omitted.contains(name));
                field.node.arguments.retain(|(_, value)| is_given(&value.node));
                remove_in(&mut field.node.selection_set.node, omitted);
            }
            Selection::InlineFragment(inline) => remove_in(&mut inline.node.selection_set.node, omitted),
            Selection::FragmentSpread(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::graphql::request::executable::executable;
    use crate::language::parser::parse;

    fn arguments(selection: &SelectionSet, all: &mut Vec<String>) {
        for item in &selection.items {
            match &item.node {
                Selection::Field(field) => {
                    all.extend(
                        field.node.arguments.iter().map(|(name, value)| format!("{}:{}", name.node, value.node)),
                    );
                    arguments(&field.node.selection_set.node, all);
                }
                Selection::InlineFragment(inline) => arguments(&inline.node.selection_set.node, all),
                Selection::FragmentSpread(_) => {}
            }
        }
    }

    #[test]
    fn arguments_without_a_value_are_left_out() {
        let query = "query ($a: Int, $b: Int = 1, $c: Int, $d: Int) { x(a: $a, b: $b, c: $c) { ...F ... { y(d: $d, e: [$a]) } } } \
                     fragment F on X { z(c: $c, d: $d) }";
        let mut document = executable(&parse(query, 1_000).unwrap());
        let values = Variables::from_json(json!({"c": null}));
        let operation = document.operations.iter().next().unwrap().1.node.clone();
        let omitted = omitted(&operation, &values);
        assert_eq!(omitted, ["a", "d"].map(Name::new).into_iter().collect::<HashSet<_>>());
        remove(&mut document, &omitted);
        let mut left = Vec::new();
        arguments(&document.operations.iter().next().unwrap().1.node.selection_set.node, &mut left);
        arguments(&document.fragments["F"].node.selection_set.node, &mut left);
        assert_eq!(left, ["b:$b", "c:$c", "e:[$a]", "c:$c"]);
    }
}
