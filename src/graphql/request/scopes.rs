//! The scopes that a document needs. A reader that lacks one of them is refused before anything is executed.

use std::collections::HashSet;

use async_graphql::parser::types::{ExecutableDocument, Field, OperationDefinition, OperationType, SelectionSet};
use async_graphql::{Pos, Positioned};
use async_graphql_value::Value;
use serde_json::{Map, Value as Json};

use super::fragments::{SelectionItem, items};
use super::refusal::RequestRefusal;
use crate::event::{Rights, Scope, Scopes};
use crate::language::types::{InputField, SchemaTypes, TypeReference, TypeShape};

/// Fields that need a scope, by the names of the types that have them. The empty name stands for all fields of a type.
const FIELDS: [(&str, &str, Scope); 24] = [
    ("Query", "syncEvent", Scope::EventsRead),
    ("Query", "syncEvents", Scope::EventsRead),
    ("Query", "application", Scope::EventsRead),
    ("Query", "applications", Scope::EventsRead),
    ("Query", "applicationInstance", Scope::EventsRead),
    ("Query", "applicationInstances", Scope::EventsRead),
    ("Query", "ingestion", Scope::IngestionRead),
    ("Subscription", "", Scope::EventsRead),
    ("SyncEvent", "", Scope::EventsRead),
    ("SyncEvent", "eventDetails", Scope::EventsDetails),
    ("SyncEvent", "raw", Scope::EventsDetails),
    ("SyncEvent", "debugContext", Scope::EventsDetails),
    ("SyncEvent", "headers", Scope::EventsDetails),
    ("SyncEvent", "source", Scope::EventsDetails),
    ("SyncEvent", "client", Scope::EventsDetails),
    ("SyncEventConnection", "", Scope::EventsRead),
    ("Application", "", Scope::EventsRead),
    ("ApplicationConnection", "", Scope::EventsRead),
    ("ApplicationInstance", "", Scope::EventsRead),
    ("ApplicationInstanceConnection", "", Scope::EventsRead),
    ("Ingestion", "", Scope::IngestionRead),
    ("RejectedRecord", "", Scope::IngestionRead),
    ("RejectedRecordConnection", "", Scope::IngestionRead),
    ("RejectedRecord", "raw", Scope::EventsDetails),
];

/// Fields of input objects that need a scope, unless they are null. They could be used to guess names.
const INPUTS: [(&str, &str, Scope); 2] =
    [("EntityFilter", "alternateIds", Scope::PeopleRead), ("EntityFilter", "search", Scope::PeopleRead)];

/// The field that counts events by a dimension, and its dimensions of people. Its `search` finds names.
const TOP: (&str, &str, [&str; 2]) = ("SyncEventConnection", "top", ["ADMIN", "USER"]);

/// Checks that a reader has the scopes that an operation needs, including those of fields that a directive leaves out.
///
/// # Errors
/// A scope is missing.
pub(in crate::graphql) fn check(
    types: &SchemaTypes,
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    variables: &Map<String, Json>,
    rights: &Rights,
) -> Result<(), RequestRefusal> {
    if Scopes::READING.iter().all(|scope| rights.has(scope)) {
        return Ok(());
    }
    let root = match operation.ty {
        OperationType::Query => "Query",
        OperationType::Mutation => "Mutation",
        OperationType::Subscription => "Subscription",
    };
    let mut walk = ScopeWalk {
        types,
        document,
        operation,
        variables,
        rights,
        seen: HashSet::new(),
        seen_variables: HashSet::new(),
    };
    walk.set(&operation.selection_set.node, root)
}

struct ScopeWalk<'d> {
    types: &'d SchemaTypes,
    document: &'d ExecutableDocument,
    operation: &'d OperationDefinition,
    variables: &'d Map<String, Json>,
    rights: &'d Rights,
    /// The fragments that were walked. Each has one type, so what it needs does not depend on its place.
    seen: HashSet<&'d str>,
    /// The variables whose values were walked.
    seen_variables: HashSet<&'d str>,
}

impl<'d> ScopeWalk<'d> {
    fn set(&mut self, set: &'d SelectionSet, parent: &str) -> Result<(), RequestRefusal> {
        for item in items(&self.document.fragments, set) {
            match item {
                SelectionItem::Field(field) => self.field(field, parent)?,
                SelectionItem::Fragment(fragment) => {
                    let is_new = fragment.name.is_none_or(|name| self.seen.insert(name.as_str()));
                    if let Some(selection) = fragment.selection.filter(|_| is_new) {
                        self.set(selection, fragment.condition.unwrap_or(parent))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn field(&mut self, field: &'d Positioned<Field>, parent: &str) -> Result<(), RequestRefusal> {
        let (name, at) = (field.node.name.node.as_str(), field.pos);
        if name.starts_with("__") {
            return Ok(());
        }
        for (_, _, scope) in
            FIELDS.iter().filter(|(of, known, _)| *of == parent && (*known == name || known.is_empty()))
        {
            self.require(*scope, || format!("{parent}.{name}"), at)?;
        }
        let types = self.types;
        let shape = types.types.get(parent).map(|found| &found.shape);
        let Some(TypeShape::Object { fields, .. } | TypeShape::Interface { fields }) = shape else { return Ok(()) };
        let Some(definition) = fields.get(name) else { return Ok(()) };
        for argument in &definition.arguments {
            if let Some(value) = field.node.get_argument(&argument.name) {
                self.value(&value.node, &argument.of, value.pos)?;
            }
        }
        if (parent, name) == (TOP.0, TOP.1) && self.searches_people(&field.node) {
            self.require(Scope::PeopleRead, || "`search` by a person".to_owned(), at)?;
        }
        self.set(&field.node.selection_set.node, definition.of.named())
    }

    /// Returns true if a field counts by people and searches.
    fn searches_people(&self, field: &Field) -> bool {
        let argument = |name| self.json(&field.get_argument(name)?.node);
        let is_blank = |search: &Json| search.as_str().is_none_or(|text| text.trim().is_empty());
        argument("search").is_some_and(|search| !is_blank(&search))
            && argument("by").is_none_or(|by| by.as_str().is_none_or(|by| TOP.2.contains(&by)))
    }

    /// Returns a value with the values of its variables; None for a variable that has none.
    fn json(&self, value: &Value) -> Option<Json> {
        match value {
            Value::Variable(name) => self.variable(name).cloned().or_else(|| self.default_of(name)),
            value => value.clone().into_const()?.into_json().ok(),
        }
    }

    fn variable(&self, name: &str) -> Option<&'d Json> {
        self.variables.get(name)
    }

    fn default_of(&self, name: &str) -> Option<Json> {
        let mut definitions = self.operation.variable_definitions.iter();
        let definition = definitions.find(|definition| definition.node.name.node == name)?;
        definition.node.default_value.as_ref()?.node.clone().into_json().ok()
    }

    /// Checks a value of an argument.
    fn value(&mut self, value: &'d Value, of: &TypeReference, at: Pos) -> Result<(), RequestRefusal> {
        match value {
            // A variable has one type, so what it needs does not depend on its place.
            Value::Variable(name) if self.seen_variables.insert(name.as_str()) => match self.variable(name) {
                Some(value) => self.given(value, of, at),
                None => self.default_of(name).map_or(Ok(()), |value| self.given(&value, of, at)),
            },
            Value::List(items) => items.iter().try_for_each(|item| self.value(item, of, at)),
            Value::Object(fields) => {
                for (name, value) in fields {
                    if self.json(value).is_some_and(|value| !value.is_null()) || holds_variables(value) {
                        self.input(of, name, at)?;
                    }
                    if let Some(input) = input_of(self.types, of, name) {
                        self.value(value, &input.of, at)?;
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Checks the value of a variable.
    fn given(&self, value: &Json, of: &TypeReference, at: Pos) -> Result<(), RequestRefusal> {
        match value {
            Json::Array(items) => items.iter().try_for_each(|item| self.given(item, of, at)),
            Json::Object(fields) => {
                fields.iter().filter(|(_, value)| !value.is_null()).try_for_each(|(name, value)| {
                    self.input(of, name, at)?;
                    input_of(self.types, of, name).map_or(Ok(()), |input| self.given(value, &input.of, at))
                })
            }
            _ => Ok(()),
        }
    }

    /// Checks a field of an input object.
    fn input(&self, of: &TypeReference, name: &str, at: Pos) -> Result<(), RequestRefusal> {
        let needed = INPUTS.iter().filter(|(type_name, known, _)| *type_name == of.named() && *known == name);
        needed.into_iter().try_for_each(|(_, _, scope)| self.require(*scope, || format!("{}.{name}", of.named()), at))
    }

    fn require(&self, scope: Scope, what: impl FnOnce() -> String, at: Pos) -> Result<(), RequestRefusal> {
        if self.rights.has(scope) {
            return Ok(());
        }
        let message = format!("{} needs the scope {scope}, which this reader lacks (see docs/access.md)", what());
        Err(RequestRefusal::new("FORBIDDEN", message).with("scope", scope.name()).at(at))
    }
}

/// Returns a field of an input object.
fn input_of<'t>(types: &'t SchemaTypes, of: &TypeReference, name: &str) -> Option<&'t InputField> {
    match &types.types.get(of.named())?.shape {
        TypeShape::Input { fields, .. } => fields.iter().find(|input| input.name == name),
        _ => None,
    }
}

/// Returns true for a list or an object in which a variable stands.
fn holds_variables(value: &Value) -> bool {
    match value {
        Value::List(items) => items.iter().any(|item| matches!(item, Value::Variable(_)) || holds_variables(item)),
        Value::Object(fields) => {
            fields.values().any(|field| matches!(field, Value::Variable(_)) || holds_variables(field))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
