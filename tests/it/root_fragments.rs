//! The field at the root of a subscription may stand in fragments.

use serde_json::json;

use crate::events::sync_events;
use crate::gateway::Gateway;

#[tokio::test]
async fn a_subscription_in_fragments_is_told_its_events() {
    let gateway = Gateway::start().await;
    gateway.deliver(&sync_events("one", 2)).await;
    let mut socket = gateway.socket().await;
    for (id, query) in [
        (
            "spread",
            "subscription { ...R } fragment R on Subscription { syncEvents(from: {after: \"0\"}) { events { position } } }",
        ),
        (
            "inline",
            "subscription { ... on Subscription { ... { syncEvents(from: {after: \"0\"}) { events { position } } } } }",
        ),
        (
            "nested",
            "subscription ($a: Position!) { ...R } fragment R on Subscription { ...S } \
             fragment S on Subscription { syncEvents(from: {after: $a}) { events { ...E } } } fragment E on SyncEvent { position }",
        ),
        (
            "merged",
            "subscription { syncEvents(from: {after: \"0\"}) { events { ...E } } ...R } fragment E on SyncEvent { position } \
             fragment R on Subscription { syncEvents(from: {after: \"0\"}) { ... on SyncEventBatch { events { ... on Node { id } } } } }",
        ),
        (
            "alias",
            "query Q { __typename } subscription S { ... { syncEvents: syncEvents(from: {after: \"0\"}) { events { position } } } }",
        ),
    ] {
        let name = (id == "alias").then_some("S");
        let payload = json!({"query": query, "variables": {"a": "0"}, "operationName": name});
        socket.send(json!({"type": "subscribe", "id": id, "payload": payload})).await;
        for position in ["1", "2"] {
            assert_eq!(socket.event(id).await["position"], position, "{query}");
        }
        socket.send(json!({"type": "complete", "id": id})).await;
    }
}

#[tokio::test]
async fn what_is_wrong_in_a_root_fragment_is_still_wrong() {
    let gateway = Gateway::start().await;
    let mut socket = gateway.socket().await;
    for query in [
        "subscription { ...R } fragment R on Subscription { nothing }",
        "subscription { ...R } fragment R on Subscription { syncEvents { events { nothing } } }",
        "subscription { ...R } fragment R on Subscription { syncEvents { events { uuid } } } fragment Unused on SyncEvent { uuid }",
        "subscription { ...R } fragment R on Subscription { ...R }",
        "subscription { ...Nowhere }",
    ] {
        socket.subscribe("1", query, json!({})).await;
        let message = socket.message().await;
        assert_eq!((&message["type"], &message["id"]), (&json!("error"), &json!("1")), "{query}: {message}");
        assert_eq!(message["payload"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED", "{query}: {message}");
    }
}
