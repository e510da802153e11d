//! Tests of the shapes: events in all wrappers, and objects that hold no event.

use super::*;
use crate::okta::JsonBody;

const EVENT: &str = r#"{ "uuid":"7e628fc1-a0b1-11f1-bf59-8b5627020a34","eventType":"a.b","published":"2026-08-25T18:19:21Z","n":1.10 }"#;

/// Lists the events in a body, byte for byte, and describes everything else in words.
fn found(body: &[u8]) -> Vec<String> {
    let body = JsonBody::new(body);
    let mut found = Vec::new();
    read_shapes(body.json().unwrap(), Timestamp::now(), &mut |json, shape| {
        found.push(match shape {
            Shape::Event(Ok(_)) => String::from_utf8(json.as_bytes().to_vec()).unwrap(),
            Shape::Event(Err(broken)) => broken.to_string(),
            Shape::Delivery(delivery) => format!("a delivery of {}", delivery.events.len()),
            Shape::Card(card) => format!("a card of {}", card.event),
            Shape::Unknown(what) => what.to_string(),
        });
    });
    found
}

#[test]
fn an_event_is_found_in_its_wrapper_byte_for_byte() {
    let quoted = serde_json::Value::from(EVENT).to_string();
    for wrapper in [
        "@".to_owned(),
        r#"{"version":"0","detail-type":"SystemLog","source":"aws.partner/okta.com/acme","detail":@}"#.to_owned(),
        r#"{"time":1793614272.131,"sourcetype":"OktaIM2:log","event":@}"#.to_owned(),
        r#"{"event":"#.to_owned() + &quoted + "}",
        r#"{"preview":false,"result":{"_raw":"#.to_owned() + &quoted + r#","uuid":"7e628fc1"}}"#,
        r#"{"preview":false,"results":[{"_raw":"#.to_owned() + &quoted + "}]}",
        r#"{"_source":{"event":{"kind":"event","original":"#.to_owned() + &quoted + r#"},"message":"x"}}"#,
        r#"{"uuid":"of something else","event.original":"#.to_owned() + &quoted + "}",
        r#"{"took":3,"hits":{"total":1,"hits":[{"_id":"1","_source":{"message":"#.to_owned() + &quoted + "}}]}}",
        r#"{"events":[{"message":"#.to_owned() + &quoted + "}]}",
        r#"{"message":"\n "#.to_owned() + &quoted[1..] + "}",
        r#"{"list":[{"Output":@}]}"#.to_owned(),
        "[[@]]".to_owned(),
    ] {
        assert_eq!(found(wrapper.replace('@', EVENT).as_bytes()), [EVENT], "{wrapper}");
    }
}

/// A text beside an event's members is the event as Okta sent it only if it holds an object.
#[test]
fn a_line_of_text_does_not_stand_for_the_event_beside_it() {
    for key in ["_raw", "event.original"] {
        let event = EVENT.replacen('{', &format!(r#"{{"{key}":"Aug 25 18:19:21 a line","#), 1);
        assert_eq!(found(event.as_bytes()), [event]);
    }
}

#[test]
fn what_is_no_event_is_named() {
    let cases = [
        (r#"{"time":1,"data":"x"}"#, "an object with the keys time, data: neither"),
        ("{}", "an object without keys"),
        (r#"{"event":{"kind":"alert"},"message":"hello"}"#, "the keys event, message:"),
        (r#"{"detail":{"instance-id":"i-1"}}"#, "the keys instance-id:"),
        (r#"{"message":"{\"uuid\":"}"#, "the quoted event in it is not JSON"),
        (r#"{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1,"k":1,"l":1,"m":1,"n":1}"#, "l and 2 more"),
        (r#"{"eventType":"a.b"}"#, "no `uuid` that is a UUID"),
        (r#"{"UUID":"u"}"#, r#"a card of {"uuid":"u"}"#),
        (r#"{"data":{"events":[1,2]}}"#, "a delivery of 2"),
        ("7", "not a JSON object"),
    ];
    for (json, says) in cases {
        let found = found(json.as_bytes());
        assert!(matches!(&found[..], [one] if one.contains(says)), "{json}: {found:?}");
    }
    assert_eq!(found(b"{\"a\":\"\xff\"}"), ["the event is not UTF-8"]);
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    assert_eq!(found(deep.as_bytes()), ["the event is not a JSON object"]);
    let long = format!(r#"{{"{}":1}}"#, "k".repeat(1_000_000));
    assert!(found(long.as_bytes())[0].len() < 200);
}

#[test]
fn an_envelope_of_event_bridge_is_told_from_others() {
    let is_envelope = |json: &str| is_event_bridge(JsonBody::new(json.as_bytes()).json().unwrap());
    assert!(is_envelope(r#"{"detail-type":"SystemLog","detail":{}}"#));
    assert!(!is_envelope(r#"{"detail":{}}"#) && !is_envelope("[]") && !is_envelope(EVENT));
}
