//! Deliveries that are not what they should be: what is good is stored, the rest is kept with the reason.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::events::{PUBLISHED, delivery, delivery_of, sync_event, sync_events, uuid};
use crate::gateway::{Gateway, HOOK_SECRET};

/// JSON in which `@id`, `@type` and `@time` stand for what every event must have.
fn fill(template: &str) -> String {
    let id = format!(r#""uuid":"{}""#, Uuid::new_v4());
    let event_type = r#""eventType":"application.provision.user.sync""#;
    let time = format!(r#""published":"{PUBLISHED}""#);
    template.replace("@id", &id).replace("@type", event_type).replace("@time", &time)
}

/// Nested so deep that reading it by recursion would overflow the stack.
fn deep() -> String {
    "[".repeat(200_000) + &"]".repeat(200_000)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

async fn still_answers(gateway: &Gateway) {
    let receipt = gateway.deliver(&[sync_event("after")]).await;
    assert_eq!(receipt, json!({"stored": 1, "duplicates": 0, "rejected": 0, "dropped": 0}));
    let nodes =
        gateway.query(r#"{ syncEvents(filter: {applicationInstances: ["0oaafter"]}) { nodes { org } } }"#).await;
    assert_eq!(nodes["syncEvents"]["nodes"], json!([{"org": "acme"}]));
}

/// Bodies that are no delivery: a name, the body, and what the reason says.
fn no_deliveries() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let whole = delivery(&sync_events("one", 2)).to_string().into_bytes();
    let (object, data, list) = ("expected a JSON object", "expected the events under `data.events`", "to be a list");
    let not_json = "the body is not JSON";
    vec![
        ("nothing", Vec::new(), not_json),
        ("space", b" \n".to_vec(), not_json),
        ("words", b"hello".to_vec(), not_json),
        ("a form", b"payload=%7B%7D".to_vec(), not_json),
        ("bytes that are no text", vec![0xff, 0xfe, 0x00], not_json),
        ("half of a delivery", whole[..whole.len() / 2].to_vec(), not_json),
        ("all but the last byte", whole[..whole.len() - 1].to_vec(), not_json),
        ("two deliveries", [&whole[..], &whole[..]].concat(), not_json),
        ("UTF-16", String::from_utf8_lossy(&whole).encode_utf16().flat_map(u16::to_le_bytes).collect(), not_json),
        ("NUL in a text", delivery_of(&[fill("{@id,@type,@time,\"displayMessage\":\"a\0b\"}")]), not_json),
        ("NUL for an event", delivery_of(&["\0"]), not_json),
        ("bytes that are no text between events", delivery_of(&[&b"{}"[..], b"\xff"]), not_json),
        ("an event that breaks off", delivery_of(&[fill("{@id,@type,@time")]), not_json),
        ("single quotes", b"{'data':{'events':[]}}".to_vec(), not_json),
        ("a comma too many", delivery_of(&["{}", ""]), not_json),
        ("NaN", delivery_of(&["NaN"]), not_json),
        ("brackets that do not close", "[".repeat(200_000).into_bytes(), not_json),
        ("null", b"null".to_vec(), object),
        ("a number", b"1e400".to_vec(), object),
        ("a text", br#""data""#.to_vec(), object),
        ("a list of deliveries", [b"[", &whole[..], b"]"].concat(), object),
        ("deep nesting", deep().into_bytes(), object),
        ("an empty object", b"{}".to_vec(), data),
        ("an event without its delivery", sync_event("one").to_string().into_bytes(), data),
        ("data null", br#"{"data":null}"#.to_vec(), data),
        ("data a list", br#"{"data":[{"events":[]}]}"#.to_vec(), data),
        ("data in another case", br#"{"Data":{"events":[]}}"#.to_vec(), data),
        ("data twice, the last without events", br#"{"data":{"events":[]},"data":{}}"#.to_vec(), data),
        ("events null", br#"{"data":{"events":null}}"#.to_vec(), list),
        ("events an object", br#"{"data":{"events":{"0":{}}}}"#.to_vec(), list),
        ("events a text", br#"{"data":{"events":"[]"}}"#.to_vec(), list),
    ]
}

#[tokio::test]
async fn a_body_that_is_no_delivery_is_refused_with_the_reason_and_kept() {
    let gateway = Gateway::start_for_every_event_type().await;
    let mut kept = 0;
    for (name, body, reason) in no_deliveries() {
        let (status, answer) = gateway.post_hook(body.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{name}: {answer}");
        assert_eq!(answer["error"]["code"], "NOT_A_DELIVERY", "{name}: {answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(reason), "{name}: {answer}");
        let rejected = gateway.database.newest_rejected().await;
        assert!(rejected.raw == body, "{name}: other bytes were kept");
        assert!(rejected.reason.contains(reason), "{name}: {}", rejected.reason);
        kept += 1;
        assert_eq!(gateway.database.number("SELECT count(*) FROM rejected").await, kept, "{name}");
    }
    assert_eq!(gateway.head().await, "0");
    still_answers(&gateway).await;
}

/// Events that are broken: a name, the event, and what the reason says.
fn broken_events() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let (object, id) = ("not a JSON object", "`uuid`");
    let (event_type, time, range) = ("`eventType`", "`published`", "between 2009 and tomorrow");
    let deep_id = format!(r#"{{"uuid":{},@type,@time}}"#, deep());
    let long_type = format!(r#"{{@id,"eventType":"{}",@time}}"#, "a.".repeat(500_000));
    let texts = [
        ("null", "null", object),
        ("true", "true", object),
        ("a number", "-1e400", object),
        ("a text", r#""{}""#, object),
        ("a list", "[{@id,@type,@time}]", object),
        ("deep nesting", &deep(), object),
        ("nothing in it", "{}", id),
        ("no uuid", "{@type,@time}", "`uuid` that is a UUID: it is missing"),
        ("uuid null", r#"{"uuid":null,@type,@time}"#, "it is missing"),
        ("uuid empty", r#"{"uuid":"",@type,@time}"#, id),
        ("uuid a number", r#"{"uuid":1e400,@type,@time}"#, "its length is 5"),
        ("uuid an object", r#"{"uuid":{@id},@type,@time}"#, id),
        ("uuid with NUL", r#"{"uuid":"7e628fc1-a0b1-11f1-bf59-8b5627020a3\u0000",@type,@time}"#, id),
        ("uuid a lone surrogate", r#"{"uuid":"\ud800",@type,@time}"#, id),
        ("uuid in another case", r#"{"UUID":"7e628fc1-a0b1-11f1-bf59-8b5627020a34",@type,@time}"#, id),
        ("uuid twice, the last one broken", r#"{@id,@type,@time,"uuid":7}"#, "its length is 1"),
        ("uuid nested deep", &deep_id, id),
        ("no eventType", "{@id,@time}", event_type),
        ("eventType null", r#"{@id,"eventType":null,@time}"#, event_type),
        ("eventType empty", r#"{@id,"eventType":"",@time}"#, event_type),
        ("eventType a list", r#"{@id,"eventType":["a.b"],@time}"#, event_type),
        ("eventType of 1 MB", &long_type, "the database refuses it"),
        ("no published", "{@id,@type}", "it is missing"),
        ("published null", r#"{@id,@type,"published":null}"#, time),
        ("published a number", r#"{@id,@type,"published":1772600767}"#, "its length is 10"),
        ("published without a zone", r#"{@id,@type,"published":"2026-03-04T05:06:07.890"}"#, time),
        ("published without a time", r#"{@id,@type,"published":"2026-03-04"}"#, time),
        ("published with a space", r#"{@id,@type,"published":"2026-03-04 05:06:07Z"}"#, time),
        ("published in month 13", r#"{@id,@type,"published":"2026-13-04T05:06:07Z"}"#, time),
        ("published on 30 February", r#"{@id,@type,"published":"2026-02-30T05:06:07Z"}"#, time),
        ("published in 10000", r#"{@id,@type,"published":"10000-01-01T00:00:00Z"}"#, time),
        ("published after the calendar", r#"{@id,@type,"published":"9999-12-31T23:59:59-23:00"}"#, time),
        ("published in 0000", r#"{@id,@type,"published":"0000-01-01T00:00:00Z"}"#, range),
        ("published in 2008", r#"{@id,@type,"published":"2009-01-01T00:59:59+01:00"}"#, range),
        ("published in 2999", r#"{@id,@type,"published":"2999-01-01T00:00:00Z"}"#, range),
    ];
    let mut events: Vec<_> =
        texts.into_iter().map(|(name, text, reason)| (name, fill(text).into_bytes(), reason)).collect();
    let no_text = [fill("{@id,@type,@time,\"displayMessage\":\"").as_bytes(), b"\xff\xfe\"}"].concat();
    events.push(("bytes that are no text in a text", no_text, "not UTF-8"));
    let no_text = [fill("{@id,@type,@time,\"").as_bytes(), b"\xc3\":1}"].concat();
    events.push(("half a character in a key", no_text, "not UTF-8"));
    events
}

#[tokio::test]
async fn a_broken_event_is_kept_with_the_reason_and_the_others_are_stored() {
    let gateway = Gateway::start_for_every_event_type().await;
    let mut kept = 0;
    for (name, broken, reason) in broken_events() {
        let good: Vec<_> = sync_events("one", 2);
        let (before, after) = (good[0].to_string(), good[1].to_string());
        let body = delivery_of(&[before.as_bytes(), &broken, after.as_bytes()]);
        let (status, receipt) = gateway.post_hook(body).await;
        assert_eq!(status, StatusCode::OK, "{name}: {receipt}");
        assert_eq!(receipt, json!({"stored": 2, "duplicates": 0, "rejected": 1, "dropped": 0}), "{name}");
        for good in &good {
            assert_eq!(gateway.event_details(uuid(good)).await, good.to_string(), "{name}");
        }
        let rejected = gateway.database.newest_rejected().await;
        assert!(rejected.raw == broken, "{name}: other bytes were kept");
        assert!(rejected.reason.contains(reason), "{name}: {}", rejected.reason);
        kept += 1;
        assert_eq!(gateway.database.number("SELECT count(*) FROM rejected").await, kept, "{name}");
    }
    assert_eq!(gateway.head().await, (2 * kept).to_string(), "positions have no gaps");
    still_answers(&gateway).await;
}

/// Events that are odd and have all they need: a name and the event.
fn odd_events() -> Vec<(&'static str, String)> {
    let digits = format!(r#"{{@id,@type,@time,"version":{}}}"#, "9".repeat(100_000));
    let deep_unknown = format!(r#"{{@id,@type,@time,"x":{0},"debugContext":{{"debugData":{0}}}}}"#, deep());
    let large = format!(r#"{{@id,@type,@time,"displayMessage":"{}"}}"#, "large ".repeat(10_000_000 / 6));
    let keys = (0..20_000).map(|key| format!(r#","{key}":{key}"#)).collect::<Vec<_>>().concat();
    let target = r#"{"type":"UserGroup","id":"00g"},"#.repeat(10_000);
    let wrong_types = r#"{@id,@type,@time,"actor":7,"target":"x","outcome":[],"debugContext":3,"displayMessage":{},
        "severity":[1],"version":true}"#;
    let wrong_types_within = r#"{@id,@type,@time,"actor":{"id":[],"type":null},"target":[null,3,"x",[],{"type":7}],
        "outcome":{"result":{}},"debugContext":{"debugData":[{"appname":"x"}]}}"#;
    let events = [
        ("only what it needs", "{@id,@type,@time}"),
        ("wrong types", wrong_types),
        ("wrong types within", wrong_types_within),
        ("nulls", r#"{@id,@type,@time,"actor":null,"target":null,"outcome":null,"debugContext":{"debugData":null}}"#),
        (
            "NUL escaped",
            r#"{@id,@type,@time,"displayMessage":"a\u0000b","debugContext":{"debugData":{"\u0000":"\u0000"}}}"#,
        ),
        ("lone surrogates", r#"{@id,@type,@time,"displayMessage":"\ud800x\udc00","\udfff":1,"actor":{"id":"\ud834"}}"#),
        ("a huge number", r#"{@id,@type,@time,"version":1e400,"severity":-1E-4000}"#),
        ("a number of 100,000 digits", &digits),
        ("deep nesting", &deep_unknown),
        ("10 MB", &large),
        ("20,000 unknown keys", &format!("{{@id,@type,@time{keys}}}")),
        ("10,001 targets", &format!(r#"{{@id,@type,@time,"target":[{target}null]}}"#)),
        ("keys twice", r#"{"uuid":1,@id,@type,@type,@time,"published":"2026-03-04T05:06:07Z","x":1,"x":2}"#),
        ("a key in escapes", r#"{"\u0075uid":"7e628fc1-a0b1-11f1-bf59-8b5627020a34",@type,@time}"#),
        ("uuid without hyphens", r#"{"uuid":"7E628FC1A0B111F1BF598B5627020A35",@type,@time}"#),
        ("eventType a number", r#"{@id,"eventType":7,@time}"#),
        ("published as early as can be", r#"{@id,@type,"published":"2009-01-01T00:00:00Z"}"#),
        ("published in a leap second", r#"{@id,@type,"published":"2016-12-31T23:59:60Z"}"#),
        ("published far from Greenwich", r#"{@id,@type,"published":"2026-01-01T00:00:00.123456789+14:00"}"#),
        ("space everywhere", "{\r\n\t@id ,\n@type , @time ,\"a\" : [ 1 , 2.50 ] }"),
        ("characters beyond ASCII", r#"{@id,@type,@time,"displayMessage":"Zoë 🦭 \ud83e\uddad","🦭":"é"}"#),
    ];
    events.into_iter().map(|(name, template)| (name, fill(template))).collect()
}

#[tokio::test]
async fn an_odd_event_is_stored_and_answered_byte_for_byte() {
    let gateway = Gateway::start_for_every_event_type().await;
    for (name, event) in odd_events() {
        let (status, receipt) = gateway.post_hook(delivery_of(&[&event])).await;
        assert_eq!(status, StatusCode::OK, "{name}: {receipt}");
        assert_eq!(receipt, json!({"stored": 1, "duplicates": 0, "rejected": 0, "dropped": 0}), "{name}");
        let stored = "SELECT uuid FROM sync_event ORDER BY position DESC LIMIT 1";
        let uuid: Uuid = sqlx::query_scalar(stored).fetch_one(&gateway.database.pool).await.unwrap();
        assert!(gateway.event_details(&uuid.to_string()).await == event, "{name}: other details are answered");
        let whole = format!(
            r#"{{ syncEvent(uuid: "{uuid}") {{ message version severity outcome {{ result }} admin {{ oktaId }}
                user {{ oktaId }} application {{ oktaId }} debugContext {{ debugData }} published }} }}"#
        );
        let answer = gateway.post_graphql(json!({"query": whole}).to_string()).await.text().await.unwrap();
        assert!(answer.starts_with(r#"{"data":{"syncEvent":{"message":"#), "{name}: {answer:.300}");
    }
    still_answers(&gateway).await;
}

#[tokio::test]
async fn a_delivery_without_events_is_acknowledged() {
    let gateway = Gateway::start().await;
    assert_eq!(gateway.deliver(&[]).await, json!({"stored": 0, "duplicates": 0, "rejected": 0, "dropped": 0}));
    assert_eq!(gateway.database.number("SELECT count(*) FROM rejected").await, 0);
}

/// Bodies by the way they are packed: a name, the content-encoding, the body, and the answer's status and what it says.
fn packed_bodies() -> Vec<(&'static str, &'static str, Vec<u8>, u16, &'static str)> {
    let good = || delivery(&sync_events("one", 2)).to_string().into_bytes();
    let halves = good();
    let halves = halves.split_at(100);
    let half = gzip(&good());
    let half = half[..half.len() / 2].to_vec();
    let large = delivery_of(&[fill(&format!(r#"{{@id,@type,@time,"x":"{}"}}"#, "x".repeat(10_000)))]);
    let crowd = delivery(&sync_events("one", 4)).to_string().into_bytes();
    vec![
        ("plain", "identity", good(), 200, ""),
        ("gzip", "gzip", gzip(&good()), 200, ""),
        ("gzip by its old name", "X-GZIP", gzip(&good()), 200, ""),
        ("gzip in two members", "gzip", [gzip(halves.0), gzip(halves.1)].concat(), 200, ""),
        ("gzip that breaks off", "gzip", half, 400, "not gzip"),
        ("gzip of nothing", "gzip", gzip(b""), 400, "not JSON"),
        ("nothing for gzip", "gzip", Vec::new(), 400, "not gzip"),
        ("what is not gzip", "gzip", good(), 400, "not gzip"),
        ("gzip in gzip", "gzip", gzip(&gzip(&good())), 400, "not JSON"),
        ("gzip of what is no delivery", "gzip", gzip(b"[]"), 400, "expected a JSON object"),
        ("a bomb", "gzip", gzip(&vec![b' '; 1_000_000]), 413, "the decompressed body is larger than 8000 bytes"),
        ("a large body", "identity", large, 413, "8000 bytes"),
        ("too many events", "identity", crowd.clone(), 400, "has 4 events; the limit is 3"),
        ("too many packed events", "gzip", gzip(&crowd), 400, "has 4 events; the limit is 3"),
        ("brotli", "br", good(), 415, "content-encoding"),
        ("gzip twice", "gzip, gzip", gzip(&gzip(&good())), 415, "content-encoding"),
    ]
}

#[tokio::test]
async fn bodies_are_unpacked_within_their_limits() {
    let gateway = Gateway::start_with(|settings| {
        settings.limits.delivery_body_bytes = 8000;
        settings.limits.delivery_events = 3;
    })
    .await;
    let mut stored = 0;
    for (name, encoding, body, status, says) in packed_bodies() {
        let request = gateway.client.post(gateway.url("/okta/acme/hooks")).header("authorization", HOOK_SECRET);
        let response = request.header("content-encoding", encoding).body(body).send().await.unwrap();
        let answered = response.status();
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answered, status, "{name}: {answer}");
        assert!(answer.to_string().contains(says), "{name}: {answer}");
        stored += answer["stored"].as_u64().unwrap_or_default();
        assert_eq!(gateway.head().await, stored.to_string(), "{name}");
    }
    assert_eq!(stored, 8);
    still_answers(&gateway).await;
}

#[tokio::test]
async fn the_same_bytes_again_are_counted_and_kept_once() {
    let gateway = Gateway::start().await;
    for times in 1..=2 {
        let (status, _) = gateway.post_hook("no delivery").await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        let rejected = gateway.database.newest_rejected().await;
        assert_eq!((rejected.raw, rejected.times), (b"no delivery".to_vec(), times));
    }
    for times in [2, 4] {
        let (status, receipt) = gateway.post_hook(delivery_of(&["[1]", "[1]"])).await;
        assert_eq!((status, &receipt["rejected"]), (StatusCode::OK, &json!(2)));
        let rejected = gateway.database.newest_rejected().await;
        assert_eq!((rejected.raw, rejected.times), (b"[1]".to_vec(), times));
    }
    assert_eq!(gateway.database.number("SELECT count(*) FROM rejected").await, 2);
}

#[tokio::test]
async fn an_event_that_the_database_refuses_does_not_hold_up_the_others() {
    let gateway = Gateway::start().await;
    let rule = "ALTER TABLE sync_event ADD CHECK (message IS DISTINCT FROM 'refuse me')";
    sqlx::query(rule).execute(&gateway.database.pool).await.unwrap();
    let mut events = sync_events("one", 5);
    events[0]["displayMessage"] = json!("refuse me");
    events[3]["displayMessage"] = json!("refuse me");
    let receipt = gateway.deliver(&events).await;
    assert_eq!(receipt, json!({"stored": 3, "duplicates": 0, "rejected": 2, "dropped": 0}));
    let rejected = gateway.database.newest_rejected().await;
    assert!(rejected.reason.contains("the database refuses it"), "{}", rejected.reason);
    let kept: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT raw FROM rejected").fetch_all(&gateway.database.pool).await.unwrap();
    assert_eq!(kept.len(), 2);
    assert!([0, 3].iter().all(|refused: &usize| kept.contains(&events[*refused].to_string().into_bytes())));
    let nodes = gateway.query("{ syncEvents { nodes { uuid position } } }").await["syncEvents"]["nodes"].clone();
    let expected = [(4, "3"), (2, "2"), (1, "1")];
    assert_eq!(
        nodes,
        json!(expected.map(|(event, position)| json!({"uuid": events[event]["uuid"], "position": position})))
    );
    assert_eq!(gateway.database.number("SELECT count(*) FROM delivery").await, 1);
    assert_eq!(gateway.database.number("SELECT count(DISTINCT delivery) FROM arrival").await, 1);
}
