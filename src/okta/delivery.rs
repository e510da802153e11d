//! The body of an event hook's delivery.

use super::json::{Members, RawJson, text};
use crate::event::Timestamp;

/// One notification of an event hook.
#[derive(Debug)]
pub struct Delivery<'a> {
    /// Okta's id of the delivery.
    pub event_id: Option<String>,
    /// When Okta delivered it.
    pub event_time: Option<Timestamp>,
    /// The hook's own address at Okta.
    pub source: Option<String>,
    /// Its events, unread.
    pub events: Vec<RawJson<'a>>,
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
/// The JSON has no `data.events` list.
pub fn read_delivery(json: RawJson<'_>) -> Result<Delivery<'_>, DeliveryError> {
    let envelope = Members::read(json.text())
        .ok_or(DeliveryError::Shape("an event hook delivery: expected a JSON object with `data.events`"))?;
    delivery_of(json, &envelope)
}

/// Reads the delivery that an object with these members is.
pub(super) fn delivery_of<'a>(json: RawJson<'a>, envelope: &Members<'a>) -> Result<Delivery<'a>, DeliveryError> {
    let events = envelope
        .get("data")
        .and_then(Members::read)
        .and_then(|data| data.get("events"))
        .ok_or(DeliveryError::Shape("an event hook delivery: expected the events under `data.events`"))?;
    let events = json.part(events).items();
    Ok(Delivery {
        event_id: envelope.get("eventId").and_then(text),
        event_time: envelope.text("eventTime").as_deref().and_then(Timestamp::parse),
        source: envelope.text("source"),
        events: events.ok_or(DeliveryError::Shape("an event hook delivery: expected `data.events` to be a list"))?,
    })
}

/// Reads a list of events and finds each byte for byte as it came, as [`read_delivery`] does.
///
/// # Errors
/// The JSON is no list.
pub(super) fn read_list(json: RawJson<'_>) -> Result<Vec<RawJson<'_>>, DeliveryError> {
    json.items().ok_or(DeliveryError::Shape("a list of events"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::okta::{BrokenEvent, JsonBody};

    #[test]
    fn events_come_byte_for_byte() {
        let body =
            br#" {"eventId":"e","data":{"events":[ {"a" : 1.10, "a":2} ,7]},"eventTime":"2026-01-02T03:04:05Z"}"#;
        let body = JsonBody::new(body);
        let delivery = read_delivery(body.json().unwrap()).unwrap();
        assert_eq!(delivery.event_id.as_deref(), Some("e"));
        assert_eq!(delivery.event_time.unwrap().to_string(), "2026-01-02T03:04:05.000Z");
        let events: Vec<_> = delivery.events.iter().map(|event| event.as_bytes()).collect();
        assert_eq!(events, [&br#"{"a" : 1.10, "a":2}"#[..], b"7"]);
    }

    #[test]
    fn bad_bytes_spoil_only_their_event() {
        let body = b"\xef\xbb\xbf\n{\"data\":{\"events\":[{\"a\":\"\xff\xfe\"},{\"b\":\"\xc3\xa9\"}]}}";
        let body = JsonBody::new(body);
        let delivery = read_delivery(body.json().unwrap()).unwrap();
        assert_eq!(delivery.events[0].as_bytes(), b"{\"a\":\"\xff\xfe\"}");
        assert_eq!(delivery.events[0].exact().unwrap_err(), BrokenEvent::NotUtf8);
        assert_eq!(delivery.events[1].exact().unwrap().get(), "{\"b\":\"\u{e9}\"}");
    }

    #[test]
    fn what_is_no_delivery_says_why() {
        assert!(JsonBody::new(b"{\"data\":").json().is_err());
        for body in ["[]", "3", "{}", r#"{"data":[]}"#, r#"{"data":{"events":{}}}"#] {
            let body = JsonBody::new(body.as_bytes());
            assert!(matches!(read_delivery(body.json().unwrap()).unwrap_err(), DeliveryError::Shape(_)), "{body:?}");
        }
    }

    #[test]
    fn nesting_has_no_end_to_fall_off() {
        let deep = format!(r#"{{"data":{{"events":[{}{}]}}}}"#, "[".repeat(200_000), "]".repeat(200_000));
        let body = JsonBody::new(deep.as_bytes());
        assert_eq!(read_delivery(body.json().unwrap()).unwrap().events.len(), 1);
    }
}
