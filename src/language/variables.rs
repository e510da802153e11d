//! The values that a request gives to the variables of an operation, coerced to their types.

use std::fmt;

use serde_json::{Map, Value as Json};

use super::document::DocumentOperation;
use super::fault::{DocumentFault, FaultKind, Location};
use super::types::{InputField, SchemaType, SchemaTypes, TypeBase, TypeReference, TypeShape};
use super::values::{built_in_value, hint, is_built_in};

/// A variable of an operation, without its document.
#[derive(Clone, Debug)]
pub(crate) struct OperationVariable {
    pub(crate) name: String,
    pub(crate) of: TypeReference,
    pub(crate) has_default: bool,
    pub(crate) at: Location,
}

impl OperationVariable {
    /// The variables of an operation.
    pub(crate) fn of(operation: &DocumentOperation<'_>) -> Vec<Self> {
        let variables = operation.variables.iter();
        let variable = variables.map(|variable| Self {
            name: variable.name.text.to_owned(),
            of: variable.of.clone(),
            has_default: variable.default.is_some(),
            at: variable.at,
        });
        variable.collect()
    }
}

/// Coerces the values of variables to their types: 1.0 is an `Int`, and a single value is a list. Values of which the
/// operation has no variable are left out.
///
/// # Errors
/// A variable has no value, or one that is not of its type.
pub(crate) fn coerce(
    types: &SchemaTypes,
    variables: &[OperationVariable],
    mut given: Map<String, Json>,
) -> Result<Map<String, Json>, DocumentFault> {
    let mut values = Map::with_capacity(variables.len());
    for variable in variables {
        let OperationVariable { name, of, at, .. } = variable;
        let wrong = |message: String| {
            let kind = FaultKind::WrongValue { variable: name.clone() };
            DocumentFault { kind, message, locations: vec![*at] }
        };
        match given.remove(name) {
            None if of.is_non_null && !variable.has_default => {
                return Err(wrong(format!("the variable \"${name}\" of type {of} is missing")));
            }
            None => {}
            Some(value) => {
                let coerced = Coercion { types }.value(value, of, &VariablePath::Variable(name)).map_err(wrong)?;
                values.insert(name.clone(), coerced);
            }
        }
    }
    Ok(values)
}

/// The way to a value from the variable of which it is a part.
enum VariablePath<'p> {
    Variable(&'p str),
    Field(&'p Self, &'p str),
    Item(&'p Self, usize),
}

impl fmt::Display for VariablePath<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(formatter, "${name}"),
            Self::Field(before, name) => write!(formatter, "{before}.{name}"),
            Self::Item(before, index) => write!(formatter, "{before}.{index}"),
        }
    }
}

struct Coercion<'s> {
    types: &'s SchemaTypes,
}

impl Coercion<'_> {
    fn value(&self, value: Json, of: &TypeReference, path: &VariablePath<'_>) -> Result<Json, String> {
        match (value, &of.base) {
            (Json::Null, _) if of.is_non_null => Err(mismatch(of, &Json::Null, path, "")),
            (Json::Null, _) => Ok(Json::Null),
            (Json::Array(items), TypeBase::List(item)) => {
                let items = items.into_iter().enumerate();
                items.map(|(index, value)| self.value(value, item, &VariablePath::Item(path, index))).collect()
            }
            // A single value stands for a list of one.
            (value, TypeBase::List(item)) => Ok(Json::Array(vec![self.value(value, item, path)?])),
            (value, TypeBase::Named(name)) => match self.types.find(name) {
                Some(found) => self.named(value, of, found, path),
                None => Err(mismatch(of, &value, path, "")),
            },
        }
    }

    fn named(
        &self,
        value: Json,
        of: &TypeReference,
        found: &SchemaType,
        path: &VariablePath<'_>,
    ) -> Result<Json, String> {
        match (&found.shape, value) {
            (TypeShape::Enum(values), Json::String(name)) if values.contains(&name) => Ok(Json::String(name)),
            (TypeShape::Input { fields, is_one_of }, Json::Object(given)) => {
                self.object(given, &found.name, fields, *is_one_of, path)
            }
            (TypeShape::Scalar, value) if is_built_in(&found.name) => {
                built_in_value(&found.name, &value).ok_or_else(|| mismatch(of, &value, path, hint(&found.name)))
            }
            (TypeShape::Scalar, value) => match (self.types.scalar_fault)(&found.name, &value) {
                None => Ok(value),
                Some(what) => Err(mismatch(of, &value, path, &format!(": {what}"))),
            },
            (_, value) => Err(mismatch(of, &value, path, "")),
        }
    }

    fn object(
        &self,
        mut given: Map<String, Json>,
        name: &str,
        fields: &[InputField],
        is_one_of: bool,
        path: &VariablePath<'_>,
    ) -> Result<Json, String> {
        if is_one_of && (given.len() != 1 || given.values().any(Json::is_null)) {
            return Err(format!(
                "invalid value for the variable \"{path}\": {name} takes exactly one of its fields, which is not null"
            ));
        }
        let mut values = Map::with_capacity(given.len());
        for field in fields {
            let path = VariablePath::Field(path, &field.name);
            match given.remove(&field.name) {
                Some(value) => {
                    values.insert(field.name.clone(), self.value(value, &field.of, &path)?);
                }
                None if field.is_required() => {
                    return Err(format!(
                        "invalid value for the variable \"{path}\": expected {}, found nothing",
                        field.of
                    ));
                }
                None => {}
            }
        }
        match given.keys().next() {
            None => Ok(Json::Object(values)),
            Some(unknown) => {
                Err(format!("invalid value for the variable \"{path}\": there is no field {unknown:?} in {name}"))
            }
        }
    }
}

fn mismatch(of: &TypeReference, found: &Json, path: &VariablePath<'_>, what: &str) -> String {
    let found = match found {
        Json::Array(_) => "a list".to_owned(),
        Json::Object(_) => "an object".to_owned(),
        Json::String(text) if text.len() > 100 => "a long string".to_owned(),
        value => value.to_string(),
    };
    format!("invalid value for the variable \"{path}\": expected {of}, found {found}{what}")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::json;

    use super::super::parser::parse;
    use super::*;

    fn coerced(given: Json) -> Result<Json, String> {
        let scalars = ["Int", "ID", "Boolean", "Moment"].map(|name| (name, TypeShape::Scalar));
        let named = |name: &str| TypeReference { base: TypeBase::Named(name.to_owned()), is_non_null: false };
        let field = InputField { name: "id".to_owned(), of: named("ID"), has_default: false };
        let inputs = TypeShape::Input { fields: vec![field], is_one_of: true };
        let shapes =
            scalars.into_iter().chain([("Colour", TypeShape::Enum(vec!["RED".to_owned()])), ("Choice", inputs)]);
        let types = shapes.map(|(name, shape)| (name.to_owned(), SchemaType { name: name.to_owned(), shape }));
        let scalar_fault = |_: &str, value: &Json| (!value.is_string()).then(|| "a string".to_owned());
        let types = SchemaTypes { types: types.collect(), directives: HashMap::new(), scalar_fault, suggests: false };
        let query =
            "query ($n: Int! = 1, $i: [ID!], $b: Boolean, $m: Moment, $c: [Colour], $o: Choice, $r: Int!) { a }";
        let document = parse(query, 1_000).unwrap();
        let Json::Object(mut given) = given else { panic!("no object") };
        given.entry("r").or_insert(json!(0));
        let values = coerce(&types, &OperationVariable::of(&document.operations[0]), given);
        values.map(Json::Object).map_err(|fault| {
            assert_eq!(fault.locations.len(), 1);
            fault.message
        })
    }

    #[test]
    fn values_get_the_types_of_their_variables() {
        for (given, expected) in [
            (json!({"unknown": 1}), json!({"r": 0})),
            (json!({"n": 1.0, "i": 1e2, "c": "RED"}), json!({"n": 1, "i": ["100"], "c": ["RED"], "r": 0})),
            (json!({"n": -0.0, "i": ["a", 7], "b": null}), json!({"n": 0, "i": ["a", "7"], "b": null, "r": 0})),
            (
                json!({"m": "now", "o": {"id": 1}, "c": [null]}),
                json!({"m": "now", "o": {"id": "1"}, "c": [null], "r": 0}),
            ),
        ] {
            assert_eq!(coerced(given.clone()), Ok(expected), "{given}");
        }
    }

    #[test]
    fn a_wrong_value_is_told_with_its_variable() {
        for (given, says) in [
            (json!({"r": null}), "\"$r\": expected Int!, found null"),
            (json!({"n": null}), "\"$n\": expected Int!, found null"),
            (json!({"n": 1.5}), "\"$n\": expected Int!, found 1.5: a whole number"),
            (json!({"n": 2_147_483_648_u32}), "\"$n\""),
            (json!({"i": ["a", null]}), "\"$i.1\": expected ID!, found null"),
            (json!({"b": "true"}), "\"$b\": expected Boolean, found \"true\""),
            (json!({"m": 7}), "\"$m\": expected Moment, found 7: a string"),
            (json!({"c": ["red"]}), "\"$c.0\": expected Colour"),
            (json!({"o": {}}), "\"$o\": Choice takes exactly one"),
            (json!({"o": {"id": null}}), "exactly one"),
            (json!({"o": {"name": 1}}), "no field \"name\" in Choice"),
        ] {
            let said = coerced(given.clone()).expect_err(&given.to_string());
            assert!(said.contains(says), "{given}: {said}");
        }
    }
}
