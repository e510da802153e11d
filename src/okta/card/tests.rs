//! Tests of cards as flows post them.

use serde_json::{Value, json};

use super::*;
use crate::event::EventColumn;
use crate::okta::read_event;

fn card() -> Value {
    let entity = |id: &str, kind: &str| json!({"ID": id, "Alternate ID": format!("{id}@acme.example"), "Display Name": "Name", "Type": kind});
    json!({
        "Date and Time": "2026-03-04T05:06:07.890Z",
        "Message": "Sync user in external application",
        "Event ID": "b5a188b9-5ece-4636-b041-482ffda96311",
        "Event Type": "application.provision.user.sync",
        "Event Time": "2026-03-04T05:06:10.000Z",
        "Version": "0",
        "Admin": entity("00uadmin", "SystemPrincipal"),
        "Okta User": entity("00u1", "User"),
        "Application User": entity("0ua1", "AppUser"),
        "Application": entity("0oa1", "AppInstance"),
        "UUID": "7e628fc1-a0b1-11f1-bf59-8b5627020a34",
        "Headers": {"Authorization": "secret", "n": 1},
        "Source": "https://acme.okta.example/api/v1/eventHooks/who1",
        "Debug Context": {"Debug Data": {"AppName": "office365", "n": 1.50}},
    })
}

fn raw(value: &Value) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).unwrap()
}

fn card_in(json: &RawValue) -> Card {
    card_of(&Members::read(json).unwrap()).unwrap()
}

fn read(value: &Value) -> Card {
    card_in(&raw(value))
}

#[test]
fn an_event_is_made_of_the_cards_fields() {
    let card = read(&card());
    let json = RawValue::from_string(card.event.clone()).unwrap();
    let event = read_event(&json, Timestamp::now()).unwrap();
    assert_eq!(event.uuid.to_string(), "7e628fc1-a0b1-11f1-bf59-8b5627020a34");
    assert_eq!(event.published.to_string(), "2026-03-04T05:06:07.890Z");
    assert_eq!(event.text(EventColumn::Message), Some("Sync user in external application"));
    assert_eq!(event.text(EventColumn::Version), Some("0"));
    assert_eq!(event.text(EventColumn::AdminType), Some("SystemPrincipal"));
    assert_eq!(event.text(EventColumn::UserAlternateId), Some("00u1@acme.example"));
    assert_eq!(event.text(EventColumn::ApplicationUserId), Some("0ua1"));
    assert_eq!(event.text(EventColumn::InstanceId), Some("0oa1"));
    assert_eq!(event.text(EventColumn::ApplicationName), Some("office365"));
    assert_eq!(event.text(EventColumn::DebugData), Some(r#"{"AppName":"office365","n":1.5}"#));
    assert_eq!(card.event_id.as_deref(), Some("b5a188b9-5ece-4636-b041-482ffda96311"));
    assert_eq!(card.event_time.unwrap().to_string(), "2026-03-04T05:06:10.000Z");
    assert!(card.headers.contains(&("n".to_owned(), "1".to_owned())));
    assert!(card.has_delivery());
}

#[test]
fn the_details_are_the_event_byte_for_byte() {
    let details = r#"{ "uuid":"7E628FC1-a0b1-11f1-bf59-8b5627020a34","published":"2026-03-04T05:06:07Z","eventType":"a.b","x":1.0 }"#;
    let with = |details: &str| {
        let mut text = card().to_string();
        text.pop();
        card_in(&RawValue::from_string(format!("{text},\"Event Details\":{details}}}")).unwrap()).event
    };
    assert_eq!(with(details), details);
    assert_eq!(with(&Value::from(details).to_string()), details, "in quotes");
    let partial = with(r#"{"severity":"WARN","actor":null,"uuid":null}"#);
    assert!(partial.starts_with(r#"{"uuid":"7e628fc1"#) && partial.contains(r#""severity":"WARN""#), "{partial}");
    assert!(partial.contains(r#""actor":{"id":"00uadmin""#), "{partial}");
    let other = with(&details.replace("7E628FC1", "00000000"));
    assert!(other.contains("7e628fc1") && !other.contains("00000000"), "of another event: {other}");
}

/// Details take precedence; the card's fields fill what the details lack or have as null.
#[test]
fn details_take_precedence_over_the_cards_fields() {
    let details = json!({
        "eventType": null,
        "displayMessage": "of the details",
        "actor": {"id": "00udetails"},
        "target": [],
        "debugContext": {"debugData": {"of": "details"}},
    });
    let mut card = card();
    card["Event Details"] = details.clone();
    let event: Value = serde_json::from_str(&read(&card).event).unwrap();
    for key in ["displayMessage", "actor", "target", "debugContext"] {
        assert_eq!(event[key], details[key], "{key}");
    }
    assert_eq!((&event["eventType"], &event["uuid"]), (&card["Event Type"], &card["UUID"]));
}

#[test]
fn a_debug_context_without_data_is_left_out() {
    let mut card = card();
    card["Debug Context"] = json!({"Debug Data": null});
    let event = read(&card).event;
    assert!(!event.contains("debugContext"), "{event}");
}

#[test]
fn entities_that_workflows_leaves_empty_are_none() {
    let mut empty = card();
    empty["Okta User"] = json!({"ID": "", "Alternate ID": null, "Display Name": "", "Type": "User"});
    empty["Application User"] = json!({"ID": "0ua1", "Type": ""});
    empty["Admin"] = Value::Null;
    let json = RawValue::from_string(read(&empty).event).unwrap();
    let event = read_event(&json, Timestamp::now()).unwrap();
    assert_eq!((event.text(EventColumn::UserId), event.text(EventColumn::AdminId)), (None, None));
    assert_eq!(event.text(EventColumn::ApplicationUserType), Some("AppUser"));
}

#[test]
fn an_object_without_the_cards_fields_is_none() {
    assert!(card_of(&Members::read(&raw(&json!({"uuid": "u"}))).unwrap()).is_none());
}
