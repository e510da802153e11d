//! The body of an event hook's delivery, and errors in bodies.

use super::json::{Members, RawJson, text};
use crate::event::Timestamp;

/// A delivery of an event hook: one HTTP request with one or more events.
#[derive(Debug)]
pub struct Delivery<'a> {
    /// The id that Okta gave the delivery.
    pub event_id: Option<String>,
    /// The time at which Okta sent the delivery.
    pub event_time: Option<Timestamp>,
    /// The address of the event hook in the Okta API.
    pub source: Option<String>,
    /// The events, not parsed yet.
    pub events: Vec<RawJson<'a>>,
}

/// The reason why a body cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MalformedBody {
    /// The body is not JSON.
    #[error("the body is not JSON: {0}")]
    NotJson(String),
    /// The JSON has another shape than the expected one.
    #[error("the body is not {0}")]
    Shape(&'static str),
    /// The body has more events than the limit allows.
    #[error("the body has {number} events; the limit is {limit} (limits.delivery_events)")]
    TooManyEvents {
        /// The number of events in the body.
        number: usize,
        /// The maximum number of events.
        limit: usize,
    },
}

/// Reads a delivery's envelope and finds its events, byte for byte. Invalid UTF-8 breaks only the event in which it
/// stands.
///
/// # Errors
/// The JSON has no `data.events` list.
pub fn read_delivery(json: RawJson<'_>) -> Result<Delivery<'_>, MalformedBody> {
    let envelope = Members::read(json.text())
        .ok_or(MalformedBody::Shape("an event hook delivery: expected a JSON object with `data.events`"))?;
    delivery_of(json, &envelope)
}

/// Reads a delivery from the members of its object.
pub(super) fn delivery_of<'a>(json: RawJson<'a>, envelope: &Members<'a>) -> Result<Delivery<'a>, MalformedBody> {
    let events = envelope
        .get("data")
        .and_then(Members::read)
        .and_then(|data| data.get("events"))
        .ok_or(MalformedBody::Shape("an event hook delivery: expected the events under `data.events`"))?;
    let events = json.part(events).items();
    Ok(Delivery {
        event_id: envelope.get("eventId").and_then(text),
        event_time: envelope.text("eventTime").as_deref().and_then(Timestamp::parse),
        source: envelope.text("source"),
        events: events.ok_or(MalformedBody::Shape("an event hook delivery: expected `data.events` to be a list"))?,
    })
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
            assert!(matches!(read_delivery(body.json().unwrap()).unwrap_err(), MalformedBody::Shape(_)), "{body:?}");
        }
    }

    #[test]
    fn nesting_has_no_end_to_fall_off() {
        let deep = format!(r#"{{"data":{{"events":[{}{}]}}}}"#, "[".repeat(200_000), "]".repeat(200_000));
        let body = JsonBody::new(deep.as_bytes());
        assert_eq!(read_delivery(body.json().unwrap()).unwrap().events.len(), 1);
    }
}
