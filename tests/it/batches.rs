//! Payloads of a subscription: batches of events with a position and the head, of which the first comes at once.

use serde_json::{Value, json};

use crate::event_stream::EventStream;
use crate::events::{sync_event, sync_events};
use crate::gateway::Gateway;
use crate::socket::{Heard, Socket, handshake};

const QUERY: &str = "subscription ($from: SyncEventStart, $batch: Int! = 100) { \
                     syncEvents(from: $from, batch: $batch) { events { position } position head } }";

/// The expected payload: events at these positions, in a log that ends there.
fn batch(events: std::ops::RangeInclusive<u64>, position: u64, head: u64) -> Value {
    let events: Vec<_> = events.map(|position| json!({"position": position.to_string()})).collect();
    json!({"events": events, "position": position.to_string(), "head": head.to_string()})
}

fn none(position: u64, head: u64) -> Value {
    json!({"events": [], "position": position.to_string(), "head": head.to_string()})
}

/// The errors that end an operation.
async fn errors(socket: &mut Socket) -> Value {
    let Heard::Message(message) = socket.hear_whole().await else { panic!("the socket is closed") };
    assert_eq!(message["type"], "error", "{message}");
    message["payload"].clone()
}

#[tokio::test]
async fn the_first_payload_comes_at_once_and_history_in_full_batches() {
    let gateway = Gateway::start().await;
    gateway.deliver(&sync_events("one", 250)).await;
    let mut socket = gateway.socket().await;
    socket.subscribe("now", QUERY, json!({})).await;
    assert_eq!(socket.batch("now").await, none(250, 250));
    socket.send(json!({"type": "complete", "id": "now"})).await;
    for (size, last) in [(100, 200), (1000, 0), (7, 245)] {
        socket.subscribe("1", QUERY, json!({"from": {"after": "0"}, "batch": size})).await;
        assert_eq!(socket.batch("1").await, none(0, 250), "{size}");
        for end in (size..=last).step_by(usize::try_from(size).unwrap()) {
            assert_eq!(socket.batch("1").await, batch(end - size + 1..=end, end, 250), "{size}");
        }
        assert_eq!(socket.batch("1").await, batch(last + 1..=250, 250, 250), "{size}");
        socket.send(json!({"type": "complete", "id": "1"})).await;
    }
}

#[tokio::test]
async fn live_a_payload_has_what_came_since_the_last_one_and_subscribers_may_have_different_batches() {
    let gateway = Gateway::start().await;
    let mut sockets = Vec::new();
    for size in [1, 2, 100] {
        let mut socket = gateway.socket().await;
        socket.subscribe("1", QUERY, json!({"batch": size})).await;
        assert_eq!(socket.batch("1").await, none(0, 0));
        sockets.push((size, socket));
    }
    gateway.deliver(&sync_events("one", 5)).await;
    for (size, socket) in &mut sockets {
        for start in (1..=5).step_by(usize::try_from(*size).unwrap()) {
            let end = 5.min(start + *size - 1);
            assert_eq!(socket.batch("1").await, batch(start..=end, end, 5), "{size}");
        }
    }
}

#[tokio::test]
async fn any_selection_of_a_batch_is_answered_as_it_is_written() {
    let gateway = Gateway::start().await;
    gateway.deliver(&sync_events("one", 2)).await;
    let mut socket = gateway.socket().await;
    // Events of the first selection are written at once, those of the second one for the first subscriber that asks.
    for field in ["version", "applicationInstance { label }"] {
        let query = format!(
            "subscription ($yes: Boolean!, $no: Boolean!) {{ syncEvents(from: {{after: \"0\"}}) {{ h: head ...F \
             skipped: position @skip(if: $yes) events @include(if: $no) {{ uuid }} }} }} \
             fragment F on SyncEventBatch {{ __typename events @include(if: $yes) {{ position }} events {{ {field} }} \
             an: events {{ p: position }} position }}"
        );
        socket.subscribe("1", &query, json!({"yes": true, "no": false})).await;
        let Heard::Message(first) = socket.hear_whole().await else { panic!("the socket is closed") };
        let told = "{\"syncEvents\":{\"h\":\"2\",\"__typename\":\"SyncEventBatch\",\"events\":[],\"an\":[],\
                    \"position\":\"0\"}}";
        assert_eq!(first["payload"]["data"], serde_json::from_str::<Value>(told).unwrap(), "{first}");
        let told = socket.batch("1").await;
        assert_eq!(told["an"], json!([{"p": "1"}, {"p": "2"}]));
        assert_eq!((&told["position"], &told["h"]), (&json!("2"), &json!("2")));
        for (event, position) in told["events"].as_array().unwrap().iter().zip(["1", "2"]) {
            assert_eq!((&event["position"], event.as_object().unwrap().len()), (&json!(position), 2), "{told}");
        }
        assert_eq!(told["events"].as_array().unwrap().len(), 2);
        socket.send(json!({"type": "complete", "id": "1"})).await;
    }
    let query = "subscription { syncEvents(from: {after: \"0\"}) { position } }";
    socket.subscribe("1", query, json!({})).await;
    assert_eq!(socket.batch("1").await, json!({"position": "0"}));
    assert_eq!(socket.batch("1").await, json!({"position": "2"}));
}

#[tokio::test]
async fn a_batch_that_cannot_be_is_refused_before_anything() {
    let gateway = Gateway::start().await;
    let mut socket = gateway.socket().await;
    for size in [-1, 0, 1001] {
        // The position is beyond the log's end, which is found out later.
        socket.subscribe("1", QUERY, json!({"batch": size, "from": {"after": "9"}})).await;
        let errors = errors(&mut socket).await;
        assert_eq!(errors[0]["message"], format!("`batch` is {size}; expected 1 to 1000"));
        assert_eq!(errors[0]["extensions"], json!({"code": "BAD_USER_INPUT", "argument": "batch"}));
    }
}

#[tokio::test]
async fn an_event_that_fails_comes_in_no_part_and_ends_the_subscription_after_the_events_before_it() {
    let gateway = Gateway::start_for_every_event_type().await;
    let mut events = sync_events("one", 4);
    for whole in [0, 1, 3] {
        // Without an instance, nothing is asked below it that fails.
        events[whole]["target"].as_array_mut().unwrap().retain(|target| target["type"] != "AppInstance");
    }
    gateway.deliver(&events).await;
    let query = "subscription { syncEvents(from: {after: \"0\"}) { position events { position \
                 applicationInstance { syncEvents(first: 5000) { head } } } } }";
    let mut socket = gateway.socket().await;
    socket.subscribe("1", query, json!({})).await;
    assert_eq!(socket.batch("1").await, json!({"position": "0", "events": []}));
    let whole = |position: &str| json!({"position": position, "applicationInstance": null});
    assert_eq!(socket.batch("1").await, json!({"position": "2", "events": [whole("1"), whole("2")]}));
    assert_eq!(errors(&mut socket).await[0]["extensions"]["code"], "BAD_USER_INPUT");
    // Over HTTP, the last payload has the errors and no data, and no id from which a client would resume.
    let mut stream = EventStream::open(gateway.event_stream(query, &json!({}))).await;
    assert_eq!((stream.batch().await.0, stream.batch().await.0), ("0".to_owned(), "2".to_owned()));
    let (id, last) = stream.answer().await;
    assert_eq!((id, &last["data"]), (None, &json!(null)), "{last}");
    let path = json!(["syncEvents", "events", 0, "applicationInstance", "syncEvents"]);
    assert_eq!((&last["errors"][0]["path"], last.as_object().unwrap().len()), (&path, 2), "{last}");
    stream.completes().await;
}

#[tokio::test]
async fn quiet_subscribers_are_sent_their_progress_over_both_websocket_protocols() {
    let gateway = Gateway::start_with(|settings| settings.limits.socket_ping_seconds = 1).await;
    let query =
        "subscription { syncEvents(filter: {applicationInstances: [\"0oarare\"]}) { events { uuid } position } }";
    for (protocol, start, next) in [("graphql-transport-ws", "subscribe", "next"), ("graphql-ws", "start", "data")] {
        let mut socket = Socket::connect(handshake(gateway.address, protocol)).await.unwrap();
        socket.send(json!({"type": "connection_init"})).await;
        socket.send(json!({"type": start, "id": "1", "payload": {"query": query}})).await;
        let head = gateway.head().await;
        let mut told = Vec::new();
        while told.last().is_none_or(|last: &Value| last["position"] == head) {
            let Heard::Message(message) = socket.hear_whole().await else { panic!("the socket is closed") };
            if message["type"] == next {
                told.push(message["payload"]["data"]["syncEvents"].clone());
            }
            if told.len() == 1 {
                gateway.deliver(&[sync_event("other")]).await;
            }
        }
        let now = (head.parse::<u64>().unwrap() + told.len().min(2) as u64 - 1).to_string();
        assert_eq!(told[0], json!({"events": [], "position": head}), "{protocol}");
        assert!(told.last().unwrap()["position"].as_str().unwrap() >= now.as_str(), "{protocol}: {told:?}");
        assert!(told.iter().all(|batch| batch["events"] == json!([])), "{protocol}: {told:?}");
    }
}

/// The positions that a subscription from a moment has before it, and the first event after it.
async fn start_of(socket: &mut Socket, moment: &str) -> (String, Option<String>) {
    socket.subscribe("1", QUERY, json!({"from": {"receivedAt": moment}})).await;
    let first = socket.batch("1").await;
    assert_eq!(first["events"], json!([]));
    let position = first["position"].as_str().unwrap().to_owned();
    let mut event = None;
    if first["position"] != first["head"] {
        let batch = socket.batch("1").await;
        event = Some(batch["events"][0]["position"].as_str().unwrap().to_owned());
    }
    socket.send(json!({"type": "complete", "id": "1"})).await;
    (position, event)
}

#[tokio::test]
async fn a_subscription_begins_with_the_first_event_that_was_stored_at_a_moment_or_after_it() {
    let gateway = Gateway::start().await;
    let mut socket = gateway.socket().await;
    assert_eq!(start_of(&mut socket, "2020-01-01T00:00:00Z").await, ("0".to_owned(), None), "the log is empty");
    gateway.deliver(&sync_events("one", 100)).await;
    // Ten minutes apart, but for the last events: the clock was set back by three seconds among them.
    for sql in [
        "UPDATE arrival SET event_hook_at = '2026-01-01T00:00:00Z'::timestamptz + position * interval '10 minutes'",
        "UPDATE arrival SET event_hook_at = event_hook_at + interval '1 day' WHERE position > 93",
        "UPDATE arrival SET event_hook_at = '2026-01-02T00:00:03Z' WHERE position = 91",
        "UPDATE arrival SET event_hook_at = '2026-01-02T00:00:00Z' WHERE position = 92",
        "UPDATE arrival SET event_hook_at = '2026-01-02T00:00:02Z' WHERE position = 93",
    ] {
        sqlx::query(sql).execute(&gateway.database.pool).await.unwrap();
    }
    for (moment, after) in [
        ("2020-01-01T00:00:00Z", 0),
        ("2026-01-01T00:10:00.000Z", 0),
        ("2026-01-01T00:10:00.001Z", 1),
        ("2026-01-01T01:40:00+01:00", 3),
        ("2026-01-01T10:00:00Z", 59),
        ("2026-01-01T10:00:01Z", 60),
        // Event 92 is no reason to leave out event 91.
        ("2026-01-02T00:00:01Z", 90),
        ("2026-01-02T00:00:03Z", 90),
    ] {
        let (position, first) = start_of(&mut socket, moment).await;
        assert_eq!((position, first), (after.to_string(), Some((after + 1).to_string())), "{moment}");
    }
    for later in ["2026-02-02T00:00:00Z", "2100-01-01T00:00:00Z"] {
        assert_eq!(start_of(&mut socket, later).await, ("100".to_owned(), None), "from now");
    }
    // Of a later era, too.
    let era = gateway.database.store().new_era("a test").await.unwrap();
    gateway.deliver(&sync_events("two", 3)).await;
    let (position, _) = start_of(&mut socket, "2026-02-02T00:00:00Z").await;
    assert_eq!(position, era.to_string());
    socket.subscribe("bad", QUERY, json!({"from": {"receivedAt": "2026-02-02T00:00:00Z", "after": "0"}})).await;
    assert!(errors(&mut socket).await[0]["extensions"]["code"].is_string(), "one of the two");
}
