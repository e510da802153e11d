//! GraphQL over server-sent events: what is told, with which ids, and how one goes on.

use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::backpressure::large_events;
use crate::event_stream::{EventStream, PATIENCE};
use crate::events::{sync_event, sync_events, uuid};
use crate::gateway::Gateway;

const AFTER: &str = "subscription ($after: Position!) { syncEvents(from: {after: $after}) { events { position } } }";

impl Gateway {
    /// Gets what a browser's `EventSource` gets.
    fn event_source(&self, query: &str, last_event_id: Option<&str>) -> RequestBuilder {
        let mut url = reqwest::Url::parse(&self.url("/graphql")).unwrap();
        url.query_pairs_mut().append_pair("query", query);
        let request = self.client.get(url).header("accept", "text/event-stream");
        last_event_id.into_iter().fold(request, |request, id| request.header("last-event-id", id))
    }

    /// A stream, opened as soon as the limit on streams has room for it.
    async fn open_when_there_is_room(&self, query: &str, last_event_id: Option<&str>) -> EventStream {
        let open = async {
            loop {
                let response = self.event_source(query, last_event_id).send().await.unwrap();
                if response.status() != StatusCode::SERVICE_UNAVAILABLE {
                    break EventStream::of(response);
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, open).await.expect("there is room in time")
    }
}

#[tokio::test]
async fn history_and_then_what_happens_each_with_its_position_as_id() {
    let gateway = Gateway::start().await;
    gateway.deliver(&sync_events("one", 3)).await;
    for request in [
        gateway.event_stream(AFTER, &json!({"after": "1"})),
        gateway.event_source("subscription { syncEvents(from: {after: \"1\"}) { events { position } } }", None),
    ] {
        let mut stream = EventStream::open(request).await;
        for position in ["2", "3"] {
            assert_eq!(stream.sync_event().await, (position.to_owned(), json!({"position": position})));
        }
    }
    let mut stream = EventStream::open(gateway.event_stream(AFTER, &json!({"after": "3"}))).await;
    gateway.deliver(&sync_events("one", 1)).await;
    assert_eq!(stream.sync_event().await.0, "4");
}

#[tokio::test]
async fn the_last_event_id_wins_wherever_a_subscription_starts() {
    let gateway = Gateway::start().await;
    gateway.deliver(&sync_events("one", 5)).await;
    let literal = "subscription { syncEvents(from: {after: \"1\"}) { events { position } } }";
    let default =
        "subscription ($after: Position! = \"1\") { syncEvents(from: {after: $after}) { events { position } } }";
    let fragment =
        "subscription { ...R } fragment R on Subscription { syncEvents(from: {after: \"1\"}) { events { position } } }";
    let now = "subscription { syncEvents { events { position } } }";
    for query in [literal, default, fragment, now] {
        let mut stream = EventStream::open(gateway.event_source(query, Some("3"))).await;
        for position in ["4", "5"] {
            assert_eq!(stream.sync_event().await.0, position, "{query}");
        }
    }
    for after in ["1", "4", "999"] {
        let request = gateway.event_stream(AFTER, &json!({"after": after})).header("last-event-id", "3");
        assert_eq!(EventStream::open(request).await.sync_event().await.0, "4", "{after}");
    }
    let empty = gateway.event_source(literal, Some(""));
    assert_eq!(EventStream::open(empty).await.sync_event().await.0, "2", "an empty id is none");
    for bad in ["x", "-1", "1.5", "99999999999999999999999999999999"] {
        let response = gateway.event_source(literal, Some(bad)).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{bad}");
        assert_eq!(response.json::<Value>().await.unwrap()["errors"][0]["extensions"]["code"], "BAD_REQUEST");
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_before_its_first_event_can_be_resumed() {
    let gateway = Gateway::start().await;
    gateway.deliver(&sync_events("one", 2)).await;
    let query = "subscription { syncEvents { events { position } } }";
    let mut stream = EventStream::open(gateway.event_source(query, None)).await;
    let (first, batch) = stream.batch().await;
    assert_eq!((first.as_str(), batch), ("2", json!({"events": []})), "it starts from now");
    drop(stream);
    gateway.deliver(&sync_events("one", 1)).await;
    let mut stream = EventStream::open(gateway.event_source(query, Some(&first))).await;
    assert_eq!(stream.sync_event().await.0, "3");
}

#[tokio::test]
async fn a_quiet_subscriber_is_told_that_the_stream_lives_and_how_far_it_is() {
    let gateway = Gateway::start_with(|settings| settings.limits.socket_ping_seconds = 1).await;
    let query = "subscription { syncEvents(filter: {applicationInstances: [\"0oarare\"]}) { events { position } } }";
    let mut stream = EventStream::open(gateway.event_source(query, None)).await;
    let nothing = json!({"events": []});
    assert_eq!(stream.batch().await, ("0".to_owned(), nothing.clone()));
    gateway.deliver(&sync_events("other", 7)).await;
    // One that came before the delivery was over may be on its way.
    while stream.batch().await != ("7".to_owned(), nothing.clone()) {}
    assert_eq!(stream.batch().await, ("7".to_owned(), nothing), "nothing is new");
    gateway.deliver(&[sync_event("rare")]).await;
    assert_eq!(stream.sync_event().await.0, "8");
}

#[tokio::test]
async fn lines_in_what_is_told_are_lines_of_data() {
    let gateway = Gateway::start().await;
    let event = sync_event("one");
    let pretty = serde_json::to_string_pretty(&crate::events::delivery(std::slice::from_ref(&event))).unwrap();
    gateway.post_hook(pretty.replace('\n', "\r\n")).await;
    let query = "subscription { syncEvents(from: {after: \"0\"}) { events { uuid eventDetails } } }";
    let mut stream = EventStream::open(gateway.event_source(query, None)).await;
    assert_eq!(stream.batch().await.0, "0");
    let frame = stream.dispatched().await;
    assert!(frame.data.len() > 10, "the event came in lines: {frame:?}");
    let answer: Value = serde_json::from_str(&frame.data.join("\n")).unwrap();
    assert_eq!(answer["data"]["syncEvents"]["events"], json!([{"uuid": uuid(&event), "eventDetails": event}]));
}

#[tokio::test]
async fn a_query_is_answered_and_complete() {
    let gateway = Gateway::start().await;
    for request in
        [gateway.event_stream("{ __typename }", &json!({})), gateway.event_source("{ __typename }", Some("7"))]
    {
        let mut stream = EventStream::open(request).await;
        assert_eq!(stream.answer().await, (None, json!({"data": {"__typename": "Query"}})));
        stream.completes().await;
    }
}

#[tokio::test]
async fn what_is_refused_before_its_execution_is_told_in_the_stream() {
    let gateway = Gateway::start().await;
    for (query, code) in [
        ("subscription {", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { a: syncEvents { events { uuid } } b: syncEvents { position } }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { syncEvents(filter: {eventTypes: [\"a*b\"]}) { events { uuid } } }", "BAD_USER_INPUT"),
        ("subscription { syncEvents(from: {after: \"7\"}) { events { uuid } } }", "POSITION_AHEAD"),
    ] {
        let mut stream = EventStream::open(gateway.event_source(query, None)).await;
        let (id, answer) = stream.answer().await;
        assert_eq!((id, &answer["errors"][0]["extensions"]["code"]), (None, &json!(code)), "{query}");
        stream.completes().await;
    }
}

#[tokio::test]
async fn what_http_refuses_is_told_by_its_status() {
    let gateway = Gateway::start_with(|settings| {
        settings.readers = sluice::auth::Readers::new(vec![("dashboard".to_owned(), "the token".into())]);
    })
    .await;
    let query = "subscription { syncEvents { events { uuid } } }";
    let told = async |request: RequestBuilder| {
        let response = request.send().await.unwrap();
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with("application/json"));
        response.status().as_u16()
    };
    assert_eq!(told(gateway.event_source(query, None)).await, 401);
    let known = |request: RequestBuilder| request.header("authorization", "Bearer the token");
    assert_eq!(told(known(gateway.event_source(query, None)).header("origin", "https://evil.example")).await, 403);
    assert_eq!(told(known(gateway.event_source("", None))).await, 400);
    let refused = gateway.client.get(gateway.url("/graphql?query={__typename}")).header("accept", "text/html");
    assert_eq!(told(known(refused)).await, 406);
    EventStream::open(known(gateway.event_source(query, None))).await;
}

#[tokio::test]
async fn a_client_that_goes_leaves_nothing_behind() {
    let gateway = Gateway::start_with(|settings| settings.limits.streams = 1).await;
    let query = "subscription { syncEvents { events { uuid } } }";
    let stream = EventStream::open(gateway.event_source(query, None)).await;
    let refused = gateway.event_source(query, None).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.json::<Value>().await.unwrap()["errors"][0]["extensions"]["code"], "UNAVAILABLE");
    drop(stream);
    while gateway.event_source(query, None).send().await.unwrap().status() != StatusCode::OK {
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_off_and_resumes_without_a_loss() {
    let gateway = Gateway::start_with(|settings| {
        settings.limits.socket_write_seconds = 1;
        settings.limits.streams = 1;
    })
    .await;
    let events = large_events();
    gateway.deliver(&events).await;
    let query = "subscription { syncEvents(from: {after: \"0\"}) { events { message position } } }";
    let mut stream = EventStream::open(gateway.event_source(query, None)).await;
    // Another stream has room only once the slow one's place is free.
    drop(gateway.open_when_there_is_room(query, None).await);
    let mut last = 0_usize;
    loop {
        match stream.try_frame().await {
            Ok(Some(frame)) if frame.event.is_some() => {
                let answer: Value = serde_json::from_str(&frame.data.join("\n")).unwrap();
                for event in answer["data"]["syncEvents"]["events"].as_array().unwrap() {
                    last += 1;
                    assert_eq!(event["position"], last.to_string());
                }
                assert_eq!(frame.id, Some(last.to_string()));
            }
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended well"),
            Err(_) => break,
        }
    }
    assert!(last < events.len(), "everything was told");
    let mut stream = gateway.open_when_there_is_room(query, Some(&last.to_string())).await;
    for expected in last + 1..=events.len() {
        assert_eq!(stream.sync_event().await.0, expected.to_string());
    }
}
