//! The graph's scalars.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};

use serde_json::Value as JsonValue;
use uuid::Uuid;

use crate::event::{Position, Timestamp};
use crate::graphql::answer::print;

/// A count as GraphQL's `Int`, which has 32 bits: a larger count becomes the greatest `Int`.
pub(in crate::graphql) fn saturated(count: i64) -> i32 {
    i32::try_from(count).unwrap_or(if count < 0 { i32::MIN } else { i32::MAX })
}

/// Says what a value of a scalar must be; None if it is one. Scalars of the specification are not looked at.
pub(in crate::graphql) fn scalar_fault(scalar: &str, value: &JsonValue) -> Option<String> {
    let is_hyphenated = |text: &str| !text.starts_with(['{', 'u', 'U']) && Uuid::try_parse(text).is_ok();
    let parsed = |parse: fn(Value) -> bool| Value::from_json(value.clone()).is_ok_and(parse);
    let (is_right, expected) = match scalar {
        "DateTime" => {
            (parsed(|value| DateTime::parse(value).is_ok()), "RFC 3339, such as \"2026-01-31T23:59:59.123Z\"")
        }
        "Position" => (parsed(|value| LogPosition::parse(value).is_ok()), "digits, such as \"41\""),
        "URL" => (value.is_string(), "a string"),
        "UUID" => (
            value.as_str().is_some_and(is_hyphenated),
            "hexadecimal digits with hyphens, such as \"0f3c9b1e-5d2a-4c8e-9f70-1b2a3c4d5e6f\"",
        ),
        _ => (true, ""),
    };
    (!is_right).then(|| expected.to_owned())
}

/// A moment: RFC 3339 in UTC, to the millisecond, as Okta prints it. Any offset is understood.
#[derive(Clone, Copy, Debug)]
pub(in crate::graphql) struct DateTime(pub(in crate::graphql) Timestamp);

/// A date and a time of RFC 3339, in UTC and to the millisecond, such as 2026-01-31T23:59:59.123Z. Arguments may have any
/// offset.
#[Scalar(specified_by_url = "https://scalars.graphql.org/andimarek/date-time.html")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        Timestamp::parse(text).map(Self).ok_or_else(|| {
            InputValueError::custom(format!(
                "{text:?} is not RFC 3339; expected a time such as 2026-01-31T23:59:59.123Z"
            ))
        })
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// A place in the log: a decimal string, "1", "2", "3" …, gapless within an era, in the order of commits; "0" is
/// before the first event.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogPosition(pub(super) Position);

/// A place in sluice's log: a string of decimal digits, such as "41". Positions have the order in which sluice stored the
/// events, without gaps from one restore of the database to the next. "0" is before the first event. Compare positions as
/// integers of any length.
#[Scalar(name = "Position")]
impl ScalarType for LogPosition {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::String(text) => text.parse().map(Self).map_err(InputValueError::custom),
            Value::Number(number) => number.to_string().parse().map(Self).map_err(InputValueError::custom),
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// Any JSON.
#[derive(Clone, Debug)]
pub(in crate::graphql) struct Json(pub(in crate::graphql) String);

/// Any JSON value: an object, a list, a string, a number, true, false or null.
#[Scalar(name = "JSON", specified_by_url = "https://www.rfc-editor.org/rfc/rfc8259")]
impl ScalarType for Json {
    fn parse(value: Value) -> InputValueResult<Self> {
        Ok(Self(value.to_string()))
    }

    /// The JSON text as it is.
    fn to_value(&self) -> Value {
        print::raw(self.0.clone())
    }
}

/// A URL.
#[derive(Clone, Debug)]
pub(super) struct Url(pub(super) String);

/// A URL, such as https://acme.okta.com.
#[Scalar(name = "URL", specified_by_url = "https://url.spec.whatwg.org/")]
impl ScalarType for Url {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) => Ok(Self(text)),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

/// Okta's identifier of an event.
#[derive(Clone, Copy, Debug)]
pub(super) struct EventUuid(pub(super) Uuid);

/// A UUID of RFC 9562: 32 hexadecimal digits with hyphens, such as 7e628fc1-a0b1-11f1-bf59-8b5627020a34. Arguments may have
/// upper-case letters, and may leave out the hyphens.
#[Scalar(name = "UUID", specified_by_url = "https://www.rfc-editor.org/rfc/rfc9562")]
impl ScalarType for EventUuid {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        Uuid::try_parse(text).map(Self).map_err(InputValueError::custom)
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}
