//! Okta's Log Streaming, as an API destination of Amazon EventBridge posts it.

use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

use crate::database::TestDatabase;
use crate::events::{PUBLISHED, delivery, sync_event, uuid};
use crate::gateway::{Gateway, HOOK_SECRET, settings};
use crate::postgres_server::PostgresServer;

/// The envelope in which Okta hands an event to EventBridge.
pub(crate) fn envelope(event: &Value) -> Value {
    json!({
        "version": "0", "id": Uuid::new_v4(), "detail-type": "SystemLog", "source": "aws.partner/okta.com/acme/stream",
        "account": "111122223333", "time": PUBLISHED, "region": "eu-central-1", "resources": [], "detail": event,
    })
}

fn receipt(stored: usize, duplicates: usize, rejected: usize, dropped: usize) -> Value {
    json!({"stored": stored, "duplicates": duplicates, "rejected": rejected, "dropped": dropped})
}

#[tokio::test]
async fn an_envelope_brings_its_event_by_a_way_of_its_own() {
    let gateway = Gateway::start().await;
    let mut socket = gateway.socket().await;
    socket.subscribe("1", "subscription { syncEvents(from: {after: \"0\"}) { events { uuid } } }", json!({})).await;
    let event = sync_event("one");
    let stream = async |body: Value| gateway.post("log-stream", body.to_string()).await;
    assert_eq!(stream(envelope(&event)).await, (StatusCode::OK, receipt(1, 0, 0, 0)));
    assert_eq!(socket.event("1").await["uuid"], event["uuid"]);
    assert_eq!(stream(envelope(&event)).await, (StatusCode::OK, receipt(0, 1, 0, 0)));
    assert_eq!(gateway.event_details(uuid(&event)).await, event.to_string(), "byte for byte");
    gateway.deliver(std::slice::from_ref(&event)).await;
    let by_stream = "{ syncEvents(filter: {firstReceivedVia: [LOG_STREAM]}) { nodes { receivedVia eventId } } }";
    let nodes = gateway.query(by_stream).await["syncEvents"]["nodes"].take();
    assert_eq!(nodes[0]["receivedVia"], json!(["LOG_STREAM", "EVENT_HOOK"]));
    // A hook that comes first stays the first, and the stream is told of, too.
    let other = sync_event("two");
    gateway.deliver(std::slice::from_ref(&other)).await;
    assert_eq!(stream(envelope(&other)).await, (StatusCode::OK, receipt(0, 1, 0, 0)));
    let both = format!("{{ syncEvent(uuid: \"{}\") {{ receivedVia }} }}", uuid(&other));
    assert_eq!(gateway.query(&both).await["syncEvent"]["receivedVia"], json!(["EVENT_HOOK", "LOG_STREAM"]));
    // A list, the bare event (a rule with the input path $.detail), a type that is not kept.
    let list = json!([envelope(&sync_event("one")), sync_event("one")]);
    assert_eq!(stream(list).await, (StatusCode::OK, receipt(2, 0, 0, 0)));
    let mut unwanted = sync_event("one");
    unwanted["eventType"] = json!("user.session.start");
    assert_eq!(stream(envelope(&unwanted)).await, (StatusCode::OK, receipt(0, 0, 0, 1)));
    let sources = gateway.query("{ ingestion { sources { source arrived duplicates state } } }").await;
    let sources = sources["ingestion"]["sources"].as_array().unwrap();
    let row = json!({"source": "LOG_STREAM", "arrived": 3, "duplicates": 2, "state": "RECEIVING"});
    assert!(sources.contains(&row), "{sources:?}");
}

#[tokio::test]
async fn what_is_no_event_of_the_stream_is_kept_and_told() {
    let gateway = Gateway::start().await;
    let broken = envelope(&json!({"uuid": "none", "eventType": "a.b"})).to_string();
    assert_eq!(gateway.post("log-stream", broken).await, (StatusCode::OK, receipt(0, 0, 1, 0)));
    let card = json!({"UUID": "u", "Event Type": "a.b"});
    let cases = [
        ("hooks", delivery(&[sync_event("one")]).to_string()),
        ("workflows", card.to_string()),
        ("detail", String::new()),
        ("not a JSON object", "hello".to_owned()),
        ("the keys instance-id", envelope(&json!({"instance-id": "i-1"})).to_string()),
    ];
    for (says, body) in cases {
        let (status, answer) = gateway.post("log-stream", body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{says}: {answer}");
        assert_eq!(answer["error"]["code"], "NOT_A_LOG_EVENT", "{says}: {answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(says), "{says}: {answer}");
        assert!(gateway.database.newest_rejected().await.reason.contains(says), "{says}");
    }
    assert_eq!(gateway.database.number("SELECT count(*) FROM rejected WHERE source = 4").await, 6);
    assert_eq!(gateway.head().await, "0");
}

#[tokio::test]
async fn only_who_has_a_secret_may_stream_and_the_hook_names_the_route() {
    let gateway = Gateway::start().await;
    let body = envelope(&sync_event("one")).to_string();
    let (status, answer) = gateway.post("hooks", body.clone()).await;
    assert_eq!((status, &answer["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("NOT_A_DELIVERY")));
    assert!(answer["error"]["message"].as_str().unwrap().contains("/okta/acme/log-stream"), "{answer}");
    let post = |org: &str| gateway.client.post(gateway.url(&format!("/okta/{org}/log-stream"))).body(body.clone());
    for (request, status) in [
        (post("acme"), StatusCode::UNAUTHORIZED),
        (post("acme").header("authorization", "wrong"), StatusCode::UNAUTHORIZED),
        (post("other").header("authorization", HOOK_SECRET), StatusCode::NOT_FOUND),
        (gateway.client.get(gateway.url("/okta/acme/log-stream")), StatusCode::METHOD_NOT_ALLOWED),
    ] {
        assert_eq!(request.send().await.unwrap().status(), status);
    }
    assert_eq!(gateway.head().await, "0");
}

#[tokio::test]
async fn a_stream_is_refused_in_time_while_the_database_is_away() {
    let mut server = PostgresServer::start().await;
    server.stop().await;
    let pool = PgPoolOptions::new().max_connections(2).connect_lazy(&server.url()).unwrap();
    let database = TestDatabase { url: server.url(), pool };
    let mut settings = settings(&database);
    settings.limits.hook_seconds = 1;
    let gateway = Gateway::start_unready(database, settings).await;
    let body = envelope(&sync_event("one")).to_string();
    let (status, answer) = gateway.post("log-stream", body.clone()).await;
    assert_eq!((status, &answer["error"]["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("UNAVAILABLE")));
    let stranger = gateway.client.post(gateway.url("/okta/acme/log-stream")).body(body.clone());
    assert_eq!(stranger.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    server.start_again().await;
    let taken = async {
        while gateway.post("log-stream", body.clone()).await.0 != StatusCode::OK {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(1), taken).await.expect("it is taken in again");
    server.freeze();
    let (status, _) = gateway.post("log-stream", envelope(&sync_event("two")).to_string()).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    server.thaw();
}
