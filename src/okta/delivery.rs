//! The body of an event hook's delivery.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::json::{Members, text};
use super::log_event::BrokenEvent;
use crate::event::Timestamp;

/// One notification of an event hook.
#[derive(Debug)]
pub struct Delivery {
    /// Okta's id of the delivery.
    pub event_id: Option<String>,
    /// When Okta delivered it.
    pub event_time: Option<Timestamp>,
    /// The hook's own address at Okta.
    pub source: Option<String>,
    /// Its events, unread.
    pub events: Vec<RawEvent>,
}

/// An event of a delivery, not yet read.
#[derive(Debug)]
pub enum RawEvent {
    /// JSON.
    Json(Box<RawValue>),
    /// Bytes that are no UTF-8, where JSON stood.
    Bytes(Vec<u8>),
}

impl RawEvent {
    /// The bytes as they came.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Json(json) => json.get().as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// The event's text; of bytes that are no UTF-8, what can be read.
    pub fn into_text(self) -> String {
        match self {
            Self::Json(json) => Box::<str>::from(json).into_string(),
            Self::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    /// The event as JSON.
    ///
    /// # Errors
    /// It is not UTF-8.
    pub fn json(&self) -> Result<&RawValue, BrokenEvent> {
        match self {
            Self::Json(json) => Ok(json),
            Self::Bytes(_) => Err(BrokenEvent::NotUtf8),
        }
    }
}

/// Why a body is not a delivery.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DeliveryError {
    /// Not JSON at all.
    #[error("the body is not JSON: {0}")]
    NotJson(String),
    /// JSON of another shape.
    #[error("the body is not {0}")]
    Shape(&'static str),
    /// More events than are taken at once.
    #[error("the body has {number} events, at most {limit} are taken at once (limits.delivery_events)")]
    TooManyEvents {
        /// How many there are.
        number: usize,
        /// How many may be.
        limit: usize,
    },
}

/// Reads a delivery's envelope and finds its events, each byte for byte as it came. Bytes that are no UTF-8 spoil
/// only the event in which they are.
///
/// # Errors
/// The body is not JSON, or has no `data.events` list.
pub fn read_delivery(body: &[u8]) -> Result<Delivery, DeliveryError> {
    match std::str::from_utf8(body) {
        Ok(text) => read_envelope(text, body),
        // Put a character of the same length for every bad byte: what is read keeps its place in the body.
        Err(_) => read_envelope(&with_bad_bytes_masked(body), body),
    }
}

/// The delivery that a JSON object is; None where it is none.
pub fn delivery_in(json: &RawValue) -> Option<Delivery> {
    read_delivery(json.get().as_bytes()).ok()
}

/// Reads a list of events and finds each byte for byte as it came, as [`read_delivery`] does.
///
/// # Errors
/// The body is not JSON, or no list.
pub(super) fn read_list(body: &[u8]) -> Result<Vec<RawEvent>, DeliveryError> {
    let text_of_body = match std::str::from_utf8(body) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(with_bad_bytes_masked(body)),
    };
    let text_of_body = &*text_of_body;
    let json: &RawValue =
        serde_json::from_str(text_of_body).map_err(|error| DeliveryError::NotJson(error.to_string()))?;
    let events =
        serde_json::from_str::<Vec<&RawValue>>(json.get()).map_err(|_| DeliveryError::Shape("a list of events"))?;
    Ok(events.into_iter().map(|event| original(event, text_of_body, body)).collect())
}

fn read_envelope(text_of_body: &str, body: &[u8]) -> Result<Delivery, DeliveryError> {
    let json: &RawValue =
        serde_json::from_str(text_of_body).map_err(|error| DeliveryError::NotJson(error.to_string()))?;
    let envelope = Members::read(json)
        .ok_or(DeliveryError::Shape("an event hook delivery: expected a JSON object with `data.events`"))?;
    let events = envelope
        .get("data")
        .and_then(Members::read)
        .and_then(|data| data.get("events"))
        .ok_or(DeliveryError::Shape("an event hook delivery: expected the events under `data.events`"))?;
    let events = serde_json::from_str::<Vec<&RawValue>>(events.get())
        .map_err(|_| DeliveryError::Shape("an event hook delivery: expected `data.events` to be a list"))?;
    let event_id = envelope.get("eventId").and_then(text);
    Ok(Delivery {
        event_id,
        event_time: envelope.text("eventTime").as_deref().and_then(Timestamp::parse),
        source: envelope.text("source"),
        events: events.into_iter().map(|event| original(event, text_of_body, body)).collect(),
    })
}

/// The bytes of the body from which an event was read.
pub(super) fn original(event: &RawValue, text_of_body: &str, body: &[u8]) -> RawEvent {
    let start = event.get().as_ptr().addr() - text_of_body.as_ptr().addr();
    let bytes = &body[start..start + event.get().len()];
    if std::str::from_utf8(bytes).is_ok() { RawEvent::Json(event.to_owned()) } else { RawEvent::Bytes(bytes.to_vec()) }
}

pub(super) fn with_bad_bytes_masked(body: &[u8]) -> String {
    let mut masked = String::with_capacity(body.len());
    for chunk in body.utf8_chunks() {
        masked.push_str(chunk.valid());
        masked.extend(chunk.invalid().iter().map(|_| '?'));
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_byte_for_byte() {
        let body =
            br#" {"eventId":"e","data":{"events":[ {"a" : 1.10, "a":2} ,7]},"eventTime":"2026-01-02T03:04:05Z"}"#;
        let delivery = read_delivery(body).unwrap();
        assert_eq!(delivery.event_id.as_deref(), Some("e"));
        assert_eq!(delivery.event_time.unwrap().to_string(), "2026-01-02T03:04:05.000Z");
        let events: Vec<_> = delivery.events.iter().map(RawEvent::as_bytes).collect();
        assert_eq!(events, [&br#"{"a" : 1.10, "a":2}"#[..], b"7"]);
    }

    #[test]
    fn bad_bytes_spoil_only_their_event() {
        let body = b"{\"data\":{\"events\":[{\"a\":\"\xff\xfe\"},{\"b\":\"\xc3\xa9\"}]}}";
        let delivery = read_delivery(body).unwrap();
        assert_eq!(delivery.events[0].as_bytes(), b"{\"a\":\"\xff\xfe\"}");
        assert_eq!(delivery.events[0].json().unwrap_err(), BrokenEvent::NotUtf8);
        assert_eq!(delivery.events[1].json().unwrap().get(), "{\"b\":\"\u{e9}\"}");
    }

    #[test]
    fn what_is_no_delivery_says_why() {
        assert!(matches!(read_delivery(b"{\"data\":").unwrap_err(), DeliveryError::NotJson(_)));
        for body in ["[]", "3", "{}", r#"{"data":[]}"#, r#"{"data":{"events":{}}}"#] {
            assert!(matches!(read_delivery(body.as_bytes()).unwrap_err(), DeliveryError::Shape(_)), "{body}");
        }
    }

    #[test]
    fn nesting_has_no_end_to_fall_off() {
        let deep = format!(r#"{{"data":{{"events":[{}{}]}}}}"#, "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(read_delivery(deep.as_bytes()).unwrap().events.len(), 1);
    }
}
