//! Pings and payloads without events tell quiet subscribers how far they are, and never more than they were told.

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::events::{sync_event, sync_events};
use crate::gateway::Gateway;
use crate::socket::Socket;

const RARE: &str = "subscription ($from: SyncEventStart) { \
    syncEvents(from: $from, filter: {applicationInstances: [\"0oarare\"]}) { events { position } } }";

impl Socket {
    /// The next message of any kind; pings are answered.
    async fn any(&mut self) -> Value {
        loop {
            if let Message::Text(text) = self.0.next().await.unwrap().unwrap() {
                let message: Value = serde_json::from_str(&text).unwrap();
                if message["type"] == "ping" {
                    self.send(json!({"type": "pong"})).await;
                }
                return message;
            }
        }
    }

    /// Waits for a ping that tells this. Before it, only payloads without events may come.
    async fn pinged(&mut self, payload: Value) {
        loop {
            let message = self.any().await;
            if message["payload"]["data"]["syncEvents"]["events"] == json!([]) {
                continue;
            }
            assert_eq!(message["type"], "ping", "{message}");
            if message["payload"] == payload {
                return;
            }
        }
    }
}

async fn start() -> Gateway {
    Gateway::start_with(|settings| settings.limits.socket_ping_seconds = 1).await
}

#[tokio::test]
async fn a_subscriber_that_nothing_matches_resumes_from_now() {
    let gateway = start().await;
    let mut socket = gateway.socket().await;
    socket.pinged(json!(null)).await;
    socket.subscribe("quiet", RARE, json!({"from": {"after": "0"}})).await;
    gateway.deliver(&sync_events("other", 9)).await;
    socket.pinged(json!({"position": "9", "operations": ["quiet"]})).await;
    drop(socket);
    gateway.deliver(&[sync_event("other"), sync_event("rare")]).await;
    let mut socket = gateway.socket().await;
    socket.subscribe("again", RARE, json!({"from": {"after": "9"}})).await;
    assert_eq!(socket.event("again").await, json!({"position": "11"}));
    socket.pinged(json!({"position": "11", "operations": ["again"]})).await;
}

#[tokio::test]
async fn what_is_told_holds_for_every_subscription_of_the_socket() {
    let gateway = start().await;
    gateway.deliver(&sync_events("other", 3)).await;
    let mut socket = gateway.socket().await;
    socket.subscribe("b", RARE, json!({})).await;
    socket.subscribe("a", RARE, json!({"from": {"after": "1"}})).await;
    socket.pinged(json!({"position": "3", "operations": ["a", "b"]})).await;
    gateway.deliver(&sync_events("other", 2)).await;
    socket.pinged(json!({"position": "5", "operations": ["a", "b"]})).await;
    socket.send(json!({"type": "complete", "id": "b"})).await;
    socket.pinged(json!({"position": "5", "operations": ["a"]})).await;
    socket.send(json!({"type": "complete", "id": "a"})).await;
    socket.pinged(json!(null)).await;
}

#[tokio::test]
async fn a_ping_never_tells_more_than_the_client_was_told() {
    let gateway = start().await;
    gateway.deliver(&sync_events("rare", 500)).await;
    let mut socket = gateway.socket().await;
    // The catalogue is asked for each event: telling one takes a while.
    let query = "subscription { syncEvents(from: {after: \"0\"}, batch: 3) \
                 { position events { position applicationInstance { label } } } }";
    socket.subscribe("1", query, json!({})).await;
    let (mut last, mut pings) = (0, 0);
    while last < 520 {
        let message = socket.any().await;
        let number = |text: &Value| text.as_str().unwrap().parse::<u64>().unwrap();
        if message["type"] == "ping" {
            if let Some(told) = message["payload"].get("position") {
                assert!(number(told) <= last, "{message} after {last}");
                pings += 1;
            }
        } else {
            let batch = &message["payload"]["data"]["syncEvents"];
            let events = batch["events"].as_array().unwrap();
            for event in events {
                assert_eq!(number(&event["position"]), last + 1);
                last += 1;
            }
            assert_eq!(number(&batch["position"]), last, "{message}");
            if last >= 500 && !events.is_empty() {
                gateway.deliver(&sync_events("rare", 1)).await;
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
        }
    }
    assert!(pings > 0, "nothing was told");
}
