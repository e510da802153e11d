//! Filters: each means the same live, in history and when counted.

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use crate::events::sync_event;
use crate::gateway::Gateway;
use crate::random_events::{random_event, random_filter};
use crate::traffic::seed;

const FILTERS: usize = 90;
const EVENTS: usize = 240;

/// A word that only the last event has, by which a subscriber sees that it has heard all.
const LAST: &str = "thelast";

fn positions(page: &Value) -> Vec<usize> {
    let position = |node: &Value| node["position"].as_str().unwrap().parse().unwrap();
    page["nodes"].as_array().unwrap().iter().map(position).collect()
}

#[tokio::test]
async fn live_and_history_choose_the_same_events() {
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let gateway = Gateway::start().await;
    let filters: Vec<Value> = (0..FILTERS).map(|_| random_filter(&mut random, 2)).collect();
    let mut socket = gateway.socket().await;
    let query = "subscription ($filter: SyncEventFilter) { syncEvents(filter: $filter) { position message } }";
    for (id, filter) in filters.iter().enumerate() {
        let or_last = json!({"or": [filter, {"search": LAST}]});
        socket.subscribe(&id.to_string(), query, json!({"filter": or_last})).await;
    }
    // Nothing tells that a subscription has begun: a query over the same socket is answered after them.
    socket.subscribe("begun", "{ ingestion { head } }", json!({})).await;
    while socket.message().await["type"] != "complete" {}
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let mut events: Vec<Value> = (0..EVENTS).map(|_| random_event(&mut random)).collect();
    let mut last = sync_event("last");
    last["displayMessage"] = LAST.into();
    events.push(last);
    for delivery in events.chunks(40) {
        gateway.deliver(delivery).await;
    }
    let mut heard = vec![Vec::new(); FILTERS];
    let mut waiting = FILTERS;
    while waiting > 0 {
        let message = socket.message().await;
        assert_eq!(message["type"], "next", "{message}");
        let id: usize = message["id"].as_str().unwrap().parse().unwrap();
        let event = &message["payload"]["data"]["syncEvents"];
        heard[id].push(event["position"].as_str().unwrap().parse::<usize>().unwrap());
        waiting -= usize::from(event["message"] == LAST);
    }
    let query = "query ($filter: SyncEventFilter, $field: SyncEventOrderField!) { \
                 syncEvents(filter: $filter, first: 1000, orderBy: {field: $field, direction: ASC}) { \
                 nodes { position } count { value } } }";
    let mut narrowing = 0;
    for (filter, mut live) in filters.iter().zip(heard) {
        live.retain(|position| *position <= EVENTS);
        let filter_of_these = json!({"and": [filter, {"not": {"search": LAST}}]});
        for field in ["POSITION", "PUBLISHED"] {
            let variables = json!({"filter": filter_of_these, "field": field});
            let page = gateway.query_with(query, variables).await["syncEvents"].clone();
            let mut history = positions(&page);
            history.sort_unstable();
            assert_eq!(live, history, "{field} {filter} (SLUICE_TEST_SEED={seed})");
            assert_eq!(page["count"]["value"], json!(live.len()), "{filter}");
        }
        narrowing += usize::from(!live.is_empty() && live.len() < EVENTS);
    }
    assert!(narrowing > FILTERS / 4, "only {narrowing} of {FILTERS} filters chose some events and not others");
}

#[tokio::test]
async fn people_are_found_by_what_is_known_of_them() {
    let gateway = Gateway::start().await;
    let mut other = sync_event("one");
    other["target"][2] =
        json!({"type": "User", "id": "00uada", "alternateId": "Ada@Acme.Example", "displayName": "Ada K."});
    other["actor"]["type"] = "SystemPrincipal".into();
    other["outcome"] = json!({"result": "FAILURE", "reason": "quota"});
    gateway.deliver(&[sync_event("one"), other]).await;
    for (filter, expected) in [
        (json!({"user": {"ids": ["00uada", "00unobody"]}}), vec![2]),
        (json!({"user": {"alternateIds": ["ada@acme.example"]}}), vec![2]),
        (json!({"user": {"alternateIds": ["ADA@ACME.EXAMPLE", "grace@acme.example"]}}), vec![1, 2]),
        (json!({"user": {"search": "ada"}}), vec![2]),
        (json!({"user": {"search": "ad"}}), vec![]),
        (json!({"search": "ada"}), vec![1, 2]),
        (json!({"search": "GRACE tenant*"}), vec![1, 2]),
        (json!({"search": "  "}), vec![1, 2]),
        (json!({"admin": {"types": ["SystemPrincipal"]}}), vec![2]),
        (json!({"outcomes": ["FAILURE", "SKIPPED"]}), vec![2]),
        (json!({"outcomes": ["FAILURE"]}), vec![2]),
        (json!({"not": {"outcomes": ["FAILURE"]}}), vec![1]),
        (json!({"or": [{"user": {"ids": ["00ugrace"]}}, {"outcomes": ["FAILURE"]}]}), vec![1, 2]),
        (json!({"or": []}), vec![]),
        (json!({"and": []}), vec![1, 2]),
        (json!({"user": {}}), vec![1, 2]),
        (json!({"user": {"ids": []}}), vec![]),
        (json!({"receivedVia": ["EVENT_HOOK"]}), vec![1, 2]),
        (json!({"received": {"until": "2020-01-01T00:00:00Z"}}), vec![]),
    ] {
        let query = "query ($filter: SyncEventFilter) { syncEvents(filter: $filter, orderBy: \
                     {field: POSITION, direction: ASC}) { nodes { position } } }";
        let found = gateway.query_with(query, json!({"filter": filter})).await;
        assert_eq!(positions(&found["syncEvents"]), expected, "{filter}");
    }
}

#[tokio::test]
async fn a_filter_that_cannot_be_meant_is_refused_by_its_field() {
    let gateway = Gateway::start().await;
    let nested = (0..101).fold(json!({}), |inner, _| json!({"not": inner}));
    let words: Vec<_> = (0..21).map(|word| word.to_string()).collect();
    for (filter, told) in [
        (json!({"published": {"from": "2025-02-01T00:00:00Z", "until": "2025-01-01T00:00:00Z"}}), "published"),
        (json!({"received": {"from": "2025-02-01T00:00:00Z", "until": "2025-01-01T00:00:00Z"}}), "received"),
        (json!({"search": "--"}), "search"),
        (json!({"admin": {"search": "*"}}), "search"),
        (json!({"search": words.join(" ")}), "21 words"),
        (json!({"user": {"ids": vec!["x"; 1001]}}), "ids has 1001 values"),
        (json!({"outcomes": vec!["x"; 1001]}), "outcomes has 1001 values"),
        (json!({"and": vec![json!({}); 101]}), "100 parts"),
        (nested, "100 parts"),
    ] {
        let query = "query ($filter: SyncEventFilter) { syncEvents(filter: $filter) { head } }";
        let answer = gateway.ask(query, json!({"filter": filter})).await;
        let error = &answer["errors"][0];
        assert_eq!(error["extensions"]["code"], "BAD_USER_INPUT", "{answer}");
        assert!(error["message"].as_str().unwrap().contains(told), "{told}: {answer}");
    }
}
