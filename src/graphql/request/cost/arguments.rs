//! The values of arguments, as far as the cost of a field depends on them.

use std::collections::HashMap;

use async_graphql::parser::types::{Field, OperationDefinition};
use async_graphql_value::Value;
use serde_json::{Map, Value as Json};

/// The variables of an operation.
pub(in crate::graphql) struct VariableValues<'r>(HashMap<&'r str, Variable>);

/// A value of a variable.
#[derive(Clone, Copy, Default)]
struct Variable {
    /// The number of values in it, itself included.
    values: usize,
    /// The value, if it is a number or an input object whose only field is one.
    number: Option<u64>,
    /// The length, if the value is a list.
    length: Option<u64>,
}

impl<'r> VariableValues<'r> {
    /// Reads the variables of an operation.
    pub(in crate::graphql) fn new(operation: &'r OperationDefinition, given: &'r Map<String, Json>) -> Self {
        let mut known = HashMap::with_capacity(operation.variable_definitions.len());
        for definition in &operation.variable_definitions {
            let name = definition.node.name.node.as_str();
            let default = definition.node.default_value.as_ref();
            let variable = match given.get(name) {
                Some(value) => of_json(value),
                None => default
                    .and_then(|default| default.node.clone().into_json().ok())
                    .as_ref()
                    .map(of_json)
                    .unwrap_or_default(),
            };
            known.insert(name, variable);
        }
        Self(known)
    }

    /// The number of values in a value, itself included.
    pub(super) fn count(&self, value: &Value) -> usize {
        match value {
            Value::Variable(name) => self.variable(name).values.max(1),
            Value::List(items) => items.iter().fold(1, |sum, item| sum.saturating_add(self.count(item))),
            Value::Object(fields) => fields.values().fold(1, |sum, field| sum.saturating_add(self.count(field))),
            _ => 1,
        }
    }

    /// The value of an argument, or of the only field of the input object that it is; None if that is no number, or negative.
    pub(super) fn number(&self, field: &Field, argument: &str) -> Option<u64> {
        self.number_in(&field.get_argument(argument)?.node)
    }

    fn number_in(&self, value: &Value) -> Option<u64> {
        match value {
            Value::Number(number) => number.as_u64(),
            Value::Variable(name) => self.variable(name).number,
            Value::Object(fields) if fields.len() == 1 => {
                fields.values().next().and_then(|field| self.number_in(field))
            }
            _ => None,
        }
    }

    /// The length of an argument; None if it is no list.
    pub(super) fn length(&self, field: &Field, argument: &str) -> Option<u64> {
        match &field.get_argument(argument)?.node {
            Value::List(items) => Some(items.len() as u64),
            Value::Variable(name) => self.variable(name).length,
            _ => None,
        }
    }

    fn variable(&self, name: &str) -> Variable {
        self.0.get(name).copied().unwrap_or_default()
    }
}

fn of_json(value: &Json) -> Variable {
    fn count(value: &Json) -> usize {
        match value {
            Json::Array(items) => items.iter().fold(1, |sum, item| sum.saturating_add(count(item))),
            Json::Object(fields) => fields.values().fold(1, |sum, field| sum.saturating_add(count(field))),
            _ => 1,
        }
    }
    fn number(value: &Json) -> Option<u64> {
        match value {
            Json::Object(fields) if fields.len() == 1 => fields.values().next().and_then(number),
            value => value.as_u64(),
        }
    }
    let length = value.as_array().map(|items| items.len() as u64);
    Variable { values: count(value), number: number(value), length }
}
