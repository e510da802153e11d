//! Arguments' values, as far as they tell what a field costs.

use std::collections::HashMap;

use async_graphql::Value as Constant;
use async_graphql::parser::types::{Field, OperationDefinition};
use async_graphql_value::Value;
use serde_json::{Map, Value as Json};

use super::super::refusal::Refusal;

/// What the variables of an operation are.
pub(in crate::graphql) struct Values<'r>(HashMap<&'r str, Variable>);

#[derive(Clone, Copy, Default)]
struct Variable {
    /// How many values it has, itself included.
    values: usize,
    /// The number that it is.
    number: Option<u64>,
    /// How long the list is that it is.
    length: Option<u64>,
}

impl<'r> Values<'r> {
    /// The variables of an operation.
    ///
    /// # Errors
    /// One that is required is missing.
    pub(in crate::graphql) fn new(
        operation: &'r OperationDefinition,
        given: &'r Map<String, Json>,
    ) -> Result<Self, Refusal> {
        let mut known = HashMap::with_capacity(operation.variable_definitions.len());
        for definition in &operation.variable_definitions {
            let name = definition.node.name.node.as_str();
            let default = definition.node.default_value.as_ref();
            let variable = match given.get(name) {
                Some(Json::Null) if !definition.node.var_type.node.nullable => return Err(missing(name, definition)),
                None if !definition.node.var_type.node.nullable && default.is_none() => {
                    return Err(missing(name, definition));
                }
                Some(value) => of_json(value),
                None => default.map(|default| of_constant(&default.node)).unwrap_or_default(),
            };
            known.insert(name, variable);
        }
        Ok(Self(known))
    }

    /// How many values a value has, itself included.
    pub(super) fn count(&self, value: &Value) -> usize {
        match value {
            Value::Variable(name) => self.variable(name).values.max(1),
            Value::List(items) => items.iter().fold(1, |sum, item| sum.saturating_add(self.count(item))),
            Value::Object(fields) => fields.values().fold(1, |sum, field| sum.saturating_add(self.count(field))),
            _ => 1,
        }
    }

    /// The number that an argument is; None where it is no number, or negative.
    pub(super) fn number(&self, field: &Field, argument: &str) -> Option<u64> {
        match &field.get_argument(argument)?.node {
            Value::Number(number) => number.as_u64(),
            Value::Variable(name) => self.variable(name).number,
            _ => None,
        }
    }

    /// How long the list is that an argument is.
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

fn missing(
    name: &str,
    definition: &async_graphql::Positioned<async_graphql::parser::types::VariableDefinition>,
) -> Refusal {
    let message = format!("the variable \"${name}\" of type {} is missing", definition.node.var_type.node);
    Refusal::new("BAD_USER_INPUT", message)
}

fn of_json(value: &Json) -> Variable {
    fn count(value: &Json) -> usize {
        match value {
            Json::Array(items) => items.iter().fold(1, |sum, item| sum.saturating_add(count(item))),
            Json::Object(fields) => fields.values().fold(1, |sum, field| sum.saturating_add(count(field))),
            _ => 1,
        }
    }
    let length = value.as_array().map(|items| items.len() as u64);
    Variable { values: count(value), number: value.as_u64(), length }
}

fn of_constant(value: &Constant) -> Variable {
    fn count(value: &Constant) -> usize {
        match value {
            Constant::List(items) => items.iter().fold(1, |sum, item| sum.saturating_add(count(item))),
            Constant::Object(fields) => fields.values().fold(1, |sum, field| sum.saturating_add(count(field))),
            _ => 1,
        }
    }
    let number = if let Constant::Number(number) = value { number.as_u64() } else { None };
    let length = if let Constant::List(items) = value { Some(items.len() as u64) } else { None };
    Variable { values: count(value), number, length }
}
