//! Values of scalars: those of the specification, and those of the schema.

use serde_json::{Map, Number, Value as Json};

use super::document::LiteralValue;
use super::types::SchemaTypes;

/// True for a scalar of the specification.
pub(super) fn is_built_in(scalar: &str) -> bool {
    matches!(scalar, "Int" | "Float" | "String" | "Boolean" | "ID")
}

/// Says what is wrong with a literal as the value of a scalar; None if it is right. The text ends a message.
pub(super) fn literal_fault(types: &SchemaTypes, scalar: &str, value: &LiteralValue<'_>) -> Option<String> {
    let is_right = match (scalar, value) {
        ("Int", LiteralValue::Int(text)) => text.parse::<i32>().is_ok(),
        ("Float", LiteralValue::Int(_) | LiteralValue::Float(_))
        | ("String", LiteralValue::Text(_))
        | ("Boolean", LiteralValue::Boolean(_))
        | ("ID", LiteralValue::Text(_) | LiteralValue::Int(_)) => true,
        (scalar, _) if is_built_in(scalar) => false,
        (_, LiteralValue::Enum(_)) => false,
        (scalar, value) => match (types.scalar_fault)(scalar, &json(value)) {
            Some(what) => return Some(format!(": {what}")),
            None => true,
        },
    };
    (!is_right).then(|| hint(scalar).to_owned())
}

/// Returns the value of a scalar of the specification for a JSON value, such as 1 for 1.0; None if it has none.
pub(super) fn built_in_value(scalar: &str, value: &Json) -> Option<Json> {
    match (scalar, value) {
        ("Int", Json::Number(number)) => i32::try_from(whole(number)?).ok().map(Json::from),
        ("Float", Json::Number(_)) | ("String" | "ID", Json::String(_)) | ("Boolean", Json::Bool(_)) => {
            Some(value.clone())
        }
        ("ID", Json::Number(number)) => Some(match whole(number) {
            Some(whole) => Json::from(whole.to_string()),
            // Beyond 128 bits, which only a number with an exponent is, the shortest digits that mean the number.
            None => Json::from(number.as_f64().filter(|number| number.fract() == 0.0)?.to_string()),
        }),
        _ => None,
    }
}

/// A description of the values of a scalar of the specification, for the end of a message.
pub(super) fn hint(scalar: &str) -> &'static str {
    if scalar == "Int" { ": a whole number from -2147483648 to 2147483647" } else { "" }
}

/// The value of a number without a fraction; None for another one.
fn whole(number: &Number) -> Option<i128> {
    if let Some(whole) = number.as_i128() {
        return Some(whole);
    }
    let number = number.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < 1e38)?;
    #[expect(clippy::cast_possible_truncation, reason = "the number is whole, and within the bounds")]
    Some(number as i128)
}

/// The JSON of a literal that is the value of a scalar. A number that JSON cannot hold is a string.
fn json(value: &LiteralValue<'_>) -> Json {
    match value {
        LiteralValue::Null => Json::Null,
        LiteralValue::Boolean(value) => Json::Bool(*value),
        LiteralValue::Int(text) => text.parse::<i64>().map_or_else(|_| Json::from(*text), Json::from),
        LiteralValue::Float(text) => text.parse::<f64>().map_or(Json::Null, Json::from),
        LiteralValue::Text(text) => Json::from(text.as_str()),
        LiteralValue::Enum(name) | LiteralValue::Variable(name) => Json::from(*name),
        LiteralValue::List(items) => items.iter().map(|item| json(&item.value)).collect(),
        LiteralValue::Object(fields) => {
            let fields = fields.iter().map(|field| (field.name.text.to_owned(), json(&field.value.value)));
            Json::Object(fields.collect::<Map<_, _>>())
        }
    }
}
