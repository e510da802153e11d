//! Events and deliveries for tests.

use serde_json::{Value, json};
use uuid::Uuid;

/// When the tests' events happen: a month of which there is no partition to begin with.
pub(crate) const PUBLISHED: &str = "2026-03-04T05:06:07.890Z";

/// A sync of a user, with all that the card shows, in an instance `0oa{instance}` of `office365`.
pub(crate) fn sync_event(instance: &str) -> Value {
    json!({
        "uuid": Uuid::new_v4(),
        "published": PUBLISHED,
        "eventType": "application.provision.user.sync",
        "version": "0",
        "severity": "INFO",
        "displayMessage": "Sync user in external application",
        "actor": {"id": "00uadmin", "type": "User", "alternateId": "ada@acme.example", "displayName": "Ada Admin"},
        "outcome": {"result": "SUCCESS"},
        "target": [
            {"id": format!("0oa{instance}"), "type": "AppInstance", "alternateId": format!("Label {instance}"),
             "displayName": "Microsoft Office 365"},
            {"id": "0uaper", "type": "AppUser", "alternateId": "grace@tenant.example", "displayName": "Grace User"},
            {"id": "00ugrace", "type": "User", "alternateId": "grace@acme.example", "displayName": "Grace User"}
        ],
        "debugContext": {"debugData": {"appname": "office365"}}
    })
}

/// As many of them as wanted.
pub(crate) fn sync_events(instance: &str, number: usize) -> Vec<Value> {
    std::iter::repeat_with(|| sync_event(instance)).take(number).collect()
}

/// A delivery of events, as an event hook makes it.
pub(crate) fn delivery(events: &[Value]) -> Value {
    json!({
        "eventType": "com.okta.event_hook",
        "eventTypeVersion": "1.0",
        "cloudEventsVersion": "0.1",
        "source": "https://acme.okta.example/api/v1/eventHooks/whoacme",
        "eventId": Uuid::new_v4(),
        "eventTime": "2026-03-04T05:06:10.000Z",
        "contentType": "application/json",
        "data": {"events": events}
    })
}

/// A delivery's body with these events in it, byte for byte.
pub(crate) fn delivery_of<T: AsRef<[u8]>>(events: &[T]) -> Vec<u8> {
    let events: Vec<_> = events.iter().map(AsRef::as_ref).collect();
    [br#"{"eventId":"e","data":{"events":["#, events.join(&b","[..]).as_slice(), b"]}}"].concat()
}

/// The uuid of an event.
pub(crate) fn uuid(event: &Value) -> &str {
    event["uuid"].as_str().unwrap()
}

/// Events, one a line.
pub(crate) fn lines(events: &[Value]) -> String {
    let mut lines = events.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    lines.push('\n');
    lines
}
