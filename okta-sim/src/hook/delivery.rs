//! A delivery of an event hook.

use std::sync::Arc;

use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::event::{HookForm, LogEvent, as_okta_prints_it, json, without_nulls};

/// An event hook of the organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventHook {
    /// The hook's id, `who…`.
    pub id: String,
    /// The address of the hook in the Okta API: the `source` of its deliveries.
    pub source: String,
}

impl EventHook {
    /// Creates the hook with an id in the organisation at `url`.
    pub fn new(url: &str, id: String) -> Self {
        Self { source: format!("{url}/api/v1/eventHooks/{id}"), id }
    }

    /// Creates a delivery of events. `event_id` identifies the delivery, not an event.
    pub fn delivery(&self, event_id: Uuid, event_time: OffsetDateTime, events: Vec<Arc<LogEvent>>) -> Delivery {
        Delivery { source: self.source.clone(), event_id, event_time, events }
    }
}

/// A delivery of an event hook.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The address of the hook in the Okta API.
    pub source: String,
    /// The id of the delivery.
    pub event_id: Uuid,
    /// The time at which Okta sent the delivery.
    pub event_time: OffsetDateTime,
    /// The events, in no particular order.
    pub events: Vec<Arc<LogEvent>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    event_type: &'static str,
    event_type_version: &'static str,
    cloud_events_version: &'static str,
    source: &'a str,
    event_id: Uuid,
    data: Events<'a>,
    #[serde(serialize_with = "as_okta_prints_it")]
    event_time: OffsetDateTime,
    content_type: &'static str,
}

#[derive(Serialize)]
struct Events<'a> {
    events: Vec<HookForm<'a>>,
}

impl Delivery {
    /// Returns the System Log's event about the failed delivery, `event_hook.delivery`. Okta does not document its
    /// targets and debug data; here they name the hook and the delivery.
    pub fn failure(&self, at: OffsetDateTime) -> LogEvent {
        let id = self.source.rsplit('/').next().unwrap_or_default().to_owned();
        LogEvent::delivery_failure(EventHook { id, source: self.source.clone() }, self.event_id, at)
    }

    /// Formats the body: the envelope around the events, each formatted by [`LogEvent::hook_json`].
    pub fn json(&self) -> String {
        without_nulls(&json(&Envelope {
            event_type: "com.okta.event_hook",
            event_type_version: "1.0",
            cloud_events_version: "0.1",
            source: &self.source,
            event_id: self.event_id,
            data: Events { events: self.events.iter().map(|event| HookForm::from(&**event)).collect() },
            event_time: self.event_time,
            content_type: "application/json",
        }))
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::Organisation;

    #[test]
    fn the_envelope_is_around_the_events_byte_for_byte() {
        let at = datetime!(2026-11-23 08:00:00.5 UTC);
        let mut organisation = Organisation::new(crate::OrganisationOptions::default());
        let events: Vec<_> = (0..3).map(|_| Arc::new(organisation.event_at(at))).collect();
        let printed: Vec<_> = events.iter().map(|event| event.hook_json()).collect();
        let hook = organisation.hook();
        let source = &hook.source;
        assert_eq!(*source, format!("https://acme.okta.example/api/v1/eventHooks/{}", hook.id));
        let before = r#"{"eventType":"com.okta.event_hook","eventTypeVersion":"1.0","cloudEventsVersion":"0.1","#;
        let source = format!(r#""source":"{source}","#);
        let id = r#""eventId":"00000000-0000-0000-0000-000000000000","#;
        let data = format!(r#""data":{{"events":[{}]}},"#, printed.join(","));
        let after = r#""eventTime":"2026-11-23T08:00:00.500Z","contentType":"application/json"}"#;
        assert_eq!(hook.delivery(Uuid::nil(), at, events).json(), format!("{before}{source}{id}{data}{after}"));
    }
}
