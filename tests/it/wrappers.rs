//! Wrappers of other programs, byte order marks, blanks and packings are read alike by every way in.

use std::io::Write as _;

use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::events::{PUBLISHED, delivery, delivery_of, sync_event, uuid};
use crate::gateway::{Gateway, HOOK_SECRET};
use crate::log_stream::envelope;

/// An event whose bytes no program would write so again.
fn odd_event() -> (String, String) {
    let uuid = Uuid::new_v4().to_string();
    let event = format!(
        "{{ \"n\" : 1.10, \"s\":\"\\u00e9\\/\\\"\", \"uuid\":\"{uuid}\",\"published\":\"{PUBLISHED}\", \
         \"eventType\":\"application.provision.user.sync\" }}"
    );
    (uuid, event)
}

/// Puts something around a body, or packs it.
type Around = fn(&[u8]) -> Vec<u8>;

/// Each wrapper with `@` for the event, and `$` for the event as a text.
const WRAPPERS: [(&str, &str); 12] = [
    ("EventBridge", r#"{"version":"0","detail-type":"SystemLog","source":"aws.partner/okta.com/acme/s","detail":@}"#),
    ("Splunk's collector", r#"{"time":1793614272.131,"sourcetype":"OktaIM2:log","event":@}"#),
    ("Splunk's collector, a text", r#"{"time":1793614272.131,"event":$}"#),
    ("an export of Splunk", r#"{"preview":false,"result":{"_raw":$,"uuid":"cut off","host":"h"}}"#),
    ("Splunk's list", r#"{"preview":false,"results":[{"_raw":$}]}"#),
    ("Elastic", r#"{"_index":"i","_source":{"event":{"kind":"event","original":$},"okta":{"uuid":"x"}}}"#),
    ("Elastic, flat", r#"{"event.original":$,"event.kind":"event"}"#),
    ("Elastic's answer", r#"{"took":1,"hits":{"total":{"value":1},"hits":[{"_source":{"message":$}}]}}"#),
    ("a message", r#"{"message":$}"#),
    ("a list of messages", r#"{"events":[{"message":$}]}"#),
    ("a list", r#"{"events":[@]}"#),
    ("Workflows", r#"{"list":[{"Output":@}]}"#),
];

fn wrapped(wrapper: &str, event: &str) -> String {
    wrapper.replace('@', event).replace('$', &Value::from(event).to_string())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

#[tokio::test]
async fn an_event_is_found_in_the_usual_wrappers_byte_for_byte() {
    let gateway = Gateway::start().await;
    for (name, wrapper) in WRAPPERS {
        for way in ["import", "log-stream", "workflows"] {
            let (uuid, event) = odd_event();
            let (status, answer) = gateway.post(way, wrapped(wrapper, &event)).await;
            assert_eq!((status, &answer["stored"]), (StatusCode::OK, &json!(1)), "{name} by {way}: {answer}");
            assert_eq!(gateway.event_details(&uuid).await, event, "{name} by {way}");
        }
    }
    let (first, second) = (odd_event(), odd_event());
    let lines = WRAPPERS.map(|(_, wrapper)| wrapped(wrapper, &first.1)).join("\n") + "\n" + &second.1;
    let (_, answer) = gateway.post("import", lines).await;
    assert_eq!((&answer["stored"], &answer["duplicates"]), (&json!(2), &json!(11)), "{answer}");
    assert_eq!(gateway.database.number("SELECT count(*) FROM rejected").await, 0);
}

#[tokio::test]
async fn a_wrapper_that_is_not_known_is_named_by_its_keys() {
    let gateway = Gateway::start().await;
    let body = format!("{}\n{{\"n\":1}}\n", json!({"time": 1, "sourcetype": "x", "payload": sync_event("one")}));
    let (status, answer) = gateway.post("import", body.clone()).await;
    assert_eq!((status, &answer["rejected"]), (StatusCode::OK, &json!(2)), "{answer}");
    let reason = answer["rejections"][0]["reason"].as_str().unwrap();
    assert!(reason.starts_with("an object with the keys payload, sourcetype, time"), "{reason}");
    let (status, answer) = gateway.post("log-stream", body).await;
    assert_eq!((status, &answer["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("NOT_A_LOG_EVENT")), "{answer}");
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("an object with the keys payload, sourcetype, time"), "{message}");
}

/// A body for each way in, which brings one new event.
fn bodies() -> [(&'static str, String); 4] {
    let event = || sync_event("one");
    [
        ("hooks", delivery(&[event()]).to_string()),
        ("workflows", json!({"Event Details": event()}).to_string().replacen('{', "{\"UUID\":null,", 1)),
        ("log-stream", envelope(&event()).to_string()),
        ("import", event().to_string()),
    ]
}

#[tokio::test]
async fn what_stands_around_the_json_is_read_alike_by_every_way() {
    let gateway = Gateway::start().await;
    let around: [(&str, &str, Around); 8] = [
        ("blanks", "", |body| [b"\r\n \t", body, b"\n\n"].concat()),
        ("a byte order mark", "", |body| [b"\xef\xbb\xbf", body].concat()),
        ("both", "", |body| [b"\xef\xbb\xbf\n ", body, b" "].concat()),
        ("gzip by its look", "", gzip),
        ("zstd by its look", "", |body| zstd::encode_all(body, 3).unwrap()),
        ("gzip by its name", "gzip", gzip),
        ("zstd by its name", "zstd", |body| zstd::encode_all(body, 3).unwrap()),
        ("line breaks in odd places", "", |body| String::from_utf8_lossy(body).replace("\":", "\":\n").into_bytes()),
    ];
    for (name, encoding, wrap) in around {
        for (way, body) in bodies() {
            let request = gateway.client.post(gateway.url(&format!("/okta/acme/{way}")));
            let request = request.header("authorization", HOOK_SECRET).header("content-encoding", encoding);
            let response = request.body(wrap(body.as_bytes())).send().await.unwrap();
            let status = response.status();
            let answer: Value = response.json().await.unwrap();
            assert_eq!((status, &answer["stored"]), (StatusCode::OK, &json!(1)), "{name} by {way}: {answer}");
        }
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_spoil_one_event_of_a_delivery_by_every_way() {
    let gateway = Gateway::start().await;
    for way in ["hooks", "import", "workflows"] {
        let good = [sync_event("one"), sync_event("one")];
        let bad = sync_event("one").to_string().replace("Grace User", "@").into_bytes();
        let bad: Vec<u8> = bad.into_iter().map(|byte| if byte == b'@' { 0xff } else { byte }).collect();
        let body = delivery_of(&[good[0].to_string().as_bytes(), &bad, good[1].to_string().as_bytes()]);
        let (status, answer) = gateway.post(way, body).await;
        let counts = (&answer["stored"], &answer["rejected"]);
        assert_eq!((status, counts), (StatusCode::OK, (&json!(2), &json!(1))), "{way}: {answer}");
        let rejected = gateway.database.newest_rejected().await;
        assert!(rejected.raw == bad && rejected.reason.contains("not UTF-8"), "{way}: {}", rejected.reason);
        assert_eq!(gateway.event_details(uuid(&good[1])).await, good[1].to_string(), "{way}");
    }
}

#[tokio::test]
async fn a_record_with_too_many_events_is_rejected_as_a_whole() {
    let gateway = Gateway::start_with(|settings| settings.limits.delivery_events = 3).await;
    let events: Vec<_> = std::iter::repeat_with(|| sync_event("one")).take(4).collect();
    let body = format!("{}\n{}\n{}\n", json!({"events": events}), delivery(&events), events[0]);
    let (status, answer) = gateway.post("import", body).await;
    let counts = (&answer["stored"], &answer["rejected"]);
    assert_eq!((status, counts), (StatusCode::OK, (&json!(1), &json!(2))), "{answer}");
    let reason = answer["rejections"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("has 4 events; the limit is 3") && reason.contains("limits.delivery_events"), "{reason}");
    let (status, answer) = gateway.post("log-stream", json!({"events": events}).to_string()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
}
