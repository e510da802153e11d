//! Import over HTTP: every form that history comes in, whatever is broken in it, stored once.

use std::io::Write as _;

use futures_util::future::join_all;
use reqwest::{Body, StatusCode};
use serde_json::{Value, json};

use crate::events::{delivery, lines, sync_event, sync_events, uuid};
use crate::gateway::{Gateway, HOOK_SECRET};

fn report(stored: usize, duplicates: usize) -> Value {
    json!({
        "stored": stored, "duplicates": duplicates, "rejected": 0, "dropped": 0, "droppedTypes": {}, "rejections": [],
    })
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

#[tokio::test]
async fn every_form_is_found_by_looking() {
    let gateway = Gateway::start().await;
    let events = sync_events("one", 3);
    let [one, two, three] = [0, 1, 2].map(|at| &events[at]);
    let wrapped = |event: &Value| delivery(std::slice::from_ref(event));
    let forms: [(&str, Vec<u8>); 9] = [
        ("lines", lines(&events).into()),
        ("a list", serde_json::to_vec(&events).unwrap()),
        ("a list for reading", serde_json::to_vec_pretty(&events).unwrap()),
        ("pages, one a line", format!("[{one},{two}]\n[]\r\n[{three}]\n").into()),
        ("deliveries", format!("{}\n{}", wrapped(one), delivery(&events[1..])).into()),
        ("a list of deliveries", json!([wrapped(one), wrapped(two), wrapped(three)]).to_string().into()),
        ("all of these", format!("\u{feff}{one}\n[{two}]\n{:#}", wrapped(three)).into()),
        ("gzip, in parts", [gzip(lines(&events[..1]).as_bytes()), gzip(lines(&events[1..]).as_bytes())].concat()),
        ("zstd", zstd::encode_all(lines(&events).as_bytes(), 3).unwrap()),
    ];
    for (at, (form, body)) in forms.into_iter().enumerate() {
        let told = if at == 0 { report(3, 0) } else { report(0, 3) };
        assert_eq!(gateway.post("import", body).await, (StatusCode::OK, told), "{form}");
    }
    assert_eq!(gateway.event_details(uuid(one)).await, one.to_string(), "byte for byte");
    assert_eq!(gateway.head().await, "3");
    let answer = gateway.query("{ syncEvents { nodes { receivedVia eventId headers } } }").await;
    let node = json!({"receivedVia": ["IMPORT"], "eventId": null, "headers": null});
    assert_eq!(answer["syncEvents"]["nodes"], json!([node, node, node]));
}

#[tokio::test]
async fn a_delivery_in_a_file_is_kept_as_one() {
    let gateway = Gateway::start().await;
    let delivered = delivery(&sync_events("one", 2));
    assert_eq!(gateway.post("import", delivered.to_string()).await, (StatusCode::OK, report(2, 0)));
    let answer = gateway.query("{ syncEvents { nodes { receivedVia eventId eventTime source headers } } }").await;
    let node = json!({
        "receivedVia": ["IMPORT"], "eventId": delivered["eventId"], "eventTime": delivered["eventTime"],
        "source": delivered["source"], "headers": {},
    });
    assert_eq!(answer["syncEvents"]["nodes"], json!([node, node]));
}

#[tokio::test]
async fn broken_lines_are_kept_with_their_numbers_and_stop_nothing() {
    let gateway = Gateway::start().await;
    let mut other = sync_event("one");
    other["eventType"] = json!("user.session.start");
    let mut broken = sync_event("one");
    broken["uuid"] = json!("none");
    let good = sync_events("one", 4);
    let parts: [Vec<u8>; 12] = [
        good[0].to_string().into(),
        b"not json".into(),
        good[1].to_string().into(),
        Vec::new(),
        broken.to_string().into(),
        good[2].to_string()[..200].into(),
        good[2].to_string().into(),
        b"7".into(),
        other.to_string().into(),
        b"{\"a\":\"\xff\"}".into(),
        delivery(&[good[3].clone(), json!({"uuid": 1}), other.clone()]).to_string().into(),
        good[0].to_string().into(),
    ];
    let body = parts.join(&b"\n"[..]);
    let (status, told) = gateway.post("import", body.clone()).await;
    assert_eq!(status, StatusCode::OK);
    let counts = ["stored", "duplicates", "rejected", "dropped"].map(|count| told[count].as_u64().unwrap());
    assert_eq!(counts, [4, 1, 6, 2], "{told}");
    assert_eq!(told["droppedTypes"], json!({"user.session.start": 2}));
    let told_lines: Vec<_> =
        told["rejections"].as_array().unwrap().iter().map(|one| one["line"].as_u64().unwrap()).collect();
    assert_eq!(told_lines, [2, 5, 6, 8, 10, 11], "{told}");
    assert!(told["rejections"][2]["reason"].as_str().unwrap().contains("EOF"), "{told}");
    let kept: Vec<Vec<u8>> = sqlx::query_scalar("SELECT raw FROM rejected ORDER BY length(raw)")
        .fetch_all(&gateway.database.pool)
        .await
        .unwrap();
    assert_eq!(kept.len(), 6);
    for bytes in [&parts[1], &parts[4], &parts[5], &parts[7], &parts[9]] {
        assert!(kept.contains(bytes), "{}", String::from_utf8_lossy(bytes));
    }
    let (_, again) = gateway.post("import", body).await;
    assert_eq!(
        (again["stored"].clone(), again["duplicates"].clone(), again["rejected"].clone()),
        (json!(0), json!(5), json!(6))
    );
    assert_eq!(gateway.database.number("SELECT count(*) FROM rejected").await, 6);
}

#[tokio::test]
async fn what_cannot_be_imported_is_refused_and_says_why() {
    let gateway = Gateway::start_with(|settings| settings.limits.delivery_body_bytes = 100_000).await;
    let events = sync_events("one", 200);
    let packed = gzip(lines(&events).as_bytes());
    let utf16: Vec<u8> = "\u{feff}{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let cases: [(&str, Vec<u8>, StatusCode, &str, &str); 6] = [
        ("a large body", lines(&events).into(), StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE", "100000 bytes"),
        ("a bomb", packed.clone(), StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE", "events were stored"),
        (
            "gzip cut off",
            packed[..packed.len() / 9].into(),
            StatusCode::BAD_REQUEST,
            "NOT_IMPORTABLE",
            "cannot be read on",
        ),
        ("a list cut off", format!("[{},", events[0]).into(), StatusCode::BAD_REQUEST, "NOT_IMPORTABLE", "cut off"),
        ("UTF-16", utf16, StatusCode::BAD_REQUEST, "NOT_IMPORTABLE", "iconv"),
        ("a table", "Published,Event Type,UUID\n1,2,3\n".into(), StatusCode::BAD_REQUEST, "NOT_IMPORTABLE", "CSV"),
    ];
    for (case, body, status, code, said) in cases {
        let (answered, answer) = gateway.post("import", body).await;
        assert_eq!((answered, answer["error"]["code"].as_str()), (status, Some(code)), "{case}: {answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(said), "{case}: {answer}");
    }
    let post = || gateway.client.post(gateway.url("/okta/acme/import")).body(lines(&events[..1]));
    let refused = post().header("authorization", "wrong").send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let refused = post().header("authorization", HOOK_SECRET).header("content-encoding", "br").send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(gateway.database.number("SELECT count(*) FROM rejected").await, 0);
}

#[tokio::test]
async fn a_stream_without_a_length_is_taken_while_it_comes_and_bounded() {
    let gateway = Gateway::start_with(|settings| settings.limits.delivery_body_bytes = 2_000_000).await;
    let events = sync_events("one", 3_000);
    let pieces = |events: &[Value]| {
        let pieces: Vec<_> = lines(events).into_bytes().chunks(1_000).map(<[u8]>::to_vec).collect();
        Body::wrap_stream(futures_util::stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>)))
    };
    let (status, answer) = gateway.post("import", pieces(&events[..1_500])).await;
    assert_eq!((status, answer), (StatusCode::OK, report(1_500, 0)));
    let (status, answer) = gateway.post("import", pieces(&events)).await;
    assert_eq!((status, &answer["error"]["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("TOO_LARGE")));
    let stored = gateway.database.number("SELECT count(*) FROM sync_event").await;
    assert!((1_501..3_000).contains(&stored), "what came before the limit is stored: {stored}");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_whole_import() {
    let gateway = Gateway::start().await;
    let events = sync_events("one", 2);
    let pieces = [Ok(lines(&events).into_bytes()), Err(std::io::Error::other("gone"))];
    let body = Body::wrap_stream(futures_util::stream::iter(pieces));
    let request = gateway.client.post(gateway.url("/okta/acme/import")).header("authorization", HOOK_SECRET);
    assert!(request.body(body).send().await.is_err());
    assert_eq!(gateway.post("import", lines(&events)).await.0, StatusCode::OK);
    assert_eq!(gateway.database.number("SELECT position FROM log_head").await, 2);
}

#[tokio::test]
async fn hooks_and_imports_that_bring_the_same_at_once_store_it_once() {
    let gateway = Gateway::start().await;
    let events = sync_events("one", 2_000);
    let imports = async {
        let bodies = [lines(&events), lines(&events.iter().rev().cloned().collect::<Vec<_>>())];
        join_all(bodies.map(|body| gateway.post("import", body))).await
    };
    let hooks = join_all(events.chunks(50).map(|some| gateway.deliver(some)));
    let (imported, delivered) = tokio::join!(imports, hooks);
    let stored = imported.iter().map(|(_, told)| &told["stored"]).chain(delivered.iter().map(|told| &told["stored"]));
    assert_eq!(stored.map(|stored| stored.as_u64().unwrap()).sum::<u64>(), 2_000);
    assert_eq!(gateway.head().await, "2000");
    let both = "SELECT count(*) FROM arrival WHERE event_hook_at IS NOT NULL AND import_at IS NOT NULL AND delivery IS NOT NULL";
    assert_eq!(gateway.database.number(both).await, 2_000);
}

#[tokio::test]
async fn while_the_database_is_away_the_answer_is_503_and_the_same_body_is_stored_later() {
    let gateway = Gateway::start().await;
    let body = lines(&sync_events("one", 5));
    gateway.deliver(&sync_events("one", 1)).await;
    gateway.database.close().await;
    for sent in [body.clone(), "broken".to_owned()] {
        let (status, answer) = gateway.post("import", sent).await;
        assert_eq!(
            (status, &answer["error"]["code"]),
            (StatusCode::SERVICE_UNAVAILABLE, &json!("UNAVAILABLE")),
            "{answer}"
        );
    }
    gateway.database.open().await;
    assert_eq!(gateway.post("import", body.clone()).await, (StatusCode::OK, report(5, 0)));
    assert_eq!(gateway.post("import", body).await, (StatusCode::OK, report(0, 5)));
}

#[tokio::test]
async fn a_record_of_too_many_events_is_rejected_as_one() {
    let gateway = Gateway::start_with(|settings| settings.limits.delivery_events = 3).await;
    let mut events = sync_events("one", 4);
    events[0]["uuid"] = json!("none");
    let record = json!({"events": events}).to_string();
    let (_, report) = gateway.post("import", format!("{record}\n{}", sync_event("two"))).await;
    let counts = ["stored", "duplicates", "rejected", "dropped"].map(|count| report[count].as_u64().unwrap());
    assert_eq!(counts, [1, 0, 1, 0], "{report}");
    let rejected = gateway.database.newest_rejected().await;
    assert!(
        rejected.raw == record.as_bytes() && rejected.reason.contains("has 4 events; the limit is 3"),
        "{rejected:?}"
    );
    assert_eq!(gateway.database.number("SELECT count(*) FROM rejected").await, 1);
}
