//! The cost of a query: an answer tells it on request, and tools compute it from the prices in the schema.

use std::fs;

use reqwest::Url;
use serde_json::{Value, json};

use crate::event_stream::EventStream;
use crate::events::{sync_event, sync_events};
use crate::gateway::Gateway;
use crate::npm::try_run;
use crate::socket::Socket;

/// The limit of the cost, unless it is set.
const LIMIT: u64 = 100_000;

const QUERY: &str = "query Page { syncEvents(first: 7) { nodes { uuid admin { oktaId } } } }";
/// The price of the field, of the list, and of each of its items.
const COST: u64 = 51 + 1 + 7 * 3;

/// A request that wants its cost told.
fn request(query: &str, variables: &Value) -> Value {
    json!({"query": query, "variables": variables, "extensions": {"cost": true}})
}

async fn cost(gateway: &Gateway, query: &str, variables: &Value) -> i64 {
    let answer: Value = gateway.post_graphql(request(query, variables).to_string()).await.json().await.unwrap();
    answer["extensions"]["cost"]["requested"].as_i64().unwrap_or_else(|| panic!("{query}: {answer}"))
}

/// Documents, with the part of their costs that stands in no directive.
fn documents() -> Vec<(&'static str, Value, i64)> {
    let filter =
        json!({"applications": ["office365"], "published": {"from": "2026-03-01T00:00:00Z"}, "not": {"orgs": []}});
    vec![
        (QUERY, json!({}), 0),
        ("{ __typename }", json!({}), 0),
        ("{ ingestion { head sources { org backfill { progress } lastError { message } } } }", json!({}), 0),
        (
            "{ ingestion { coverage(published: {}) { from events } rejected { edges { cursor node { raw } } } } }",
            json!({}),
            0,
        ),
        ("{ syncEvents { head pageInfo { endCursor } } }", json!({}), 0),
        (
            "{ syncEvents(last: 9, before: null) { edges { cursor node { outcome { result } receivedVia } } } }",
            json!({}),
            0,
        ),
        ("query ($n: Int) { syncEvents(first: $n, after: null) { nodes { id } } }", json!({"n": 30}), 0),
        (
            "query ($n: Int = 4) { syncEvents(first: $n) { nodes { ...F } } } fragment F on SyncEvent { id org }",
            json!({}),
            0,
        ),
        (
            "query ($f: SyncEventFilter) { syncEvents(filter: $f, orderBy: {field: POSITION, direction: ASC}) { head } }",
            json!({"f": filter}),
            // Ten values in the arguments.
            1,
        ),
        // Three ids, of which the directive has the limit.
        (
            "{ nodes(ids: [\"a\", \"b\", \"c\"]) { id ... on SyncEvent { uuid } } node(id: \"a\") { id } }",
            json!({}),
            2 * (3 - 1_000),
        ),
        (
            "{ applications(first: 10) { nodes { name instances(first: 3) { nodes { syncEvents { head } } } } } }",
            json!({}),
            0,
        ),
        ("{ applicationInstance(by: {instanceId: \"0oa\"}) { label application { name } } }", json!({}), 0),
        (
            "{ syncEvent(uuid: \"7e628fc1-a0b1-11f1-bf59-8b5627020a34\") { user { type } client { city } } }",
            json!({}),
            0,
        ),
        ("{ syncEvents { totalCount { value isExact } } }", json!({}), 0),
        ("{ syncEvents { totalCount(upTo: 20000) { value } } }", json!({}), 100),
        ("{ syncEvents { top(by: USER) { nodes { key count } totalCount { value } } } }", json!({}), 0),
        ("{ syncEvents { top(by: ADMIN, first: 3, search: \"a\") { edges { node { label } } } } }", json!({}), 0),
        ("{ syncEvents { histogram { buckets { from until count } } } }", json!({}), 0),
        // Nine buckets, of which the directive has the default.
        ("{ syncEvents { histogram(step: {buckets: 9}) { buckets { count } } } }", json!({}), 9 - 120),
        (
            "{ syncEvents { histogram(step: {interval: DAY}) { buckets { from } series { key counts } } } }",
            json!({}),
            3 * (2_500 - 120),
        ),
        // Three series, whose items cost for each bucket.
        (
            "{ syncEvents { histogram(step: {buckets: 9}, by: OUTCOME, keys: 2) { series { key counts } } } }",
            json!({}),
            2 * (3 * 9 - 120),
        ),
    ]
}

#[tokio::test]
async fn the_printed_prices_give_the_cost_that_is_told() {
    let (gateway, documents) = (Gateway::start().await, documents());
    let list: Vec<_> = documents.iter().map(|(query, variables, _)| json!([query, variables])).collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), json!(list).to_string()).unwrap();
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql");
    let (is_well, said) = try_run("prices.mjs", &[schema, file.path().to_str().unwrap()]).await;
    assert!(is_well, "{said}");
    let printed: Vec<i64> = serde_json::from_str(&said).unwrap();
    assert_eq!(printed.len(), documents.len());
    for ((query, variables, more), printed) in documents.iter().zip(printed) {
        assert_eq!(cost(&gateway, query, variables).await, printed + more, "{query}");
    }
}

#[tokio::test]
async fn an_answer_has_its_cost_if_the_request_wants_it() {
    let gateway = Gateway::start().await;
    gateway.deliver(&sync_events("one", 2)).await;
    let told = json!({"cost": {"requested": COST, "limit": LIMIT}});
    let wanted = request(QUERY, &json!({}));
    let plain: Value = gateway.ask(QUERY, Value::Null).await;
    assert_eq!(plain.as_object().unwrap().keys().collect::<Vec<_>>(), ["data"]);
    for unwanted in [json!(false), json!("true"), json!(null), json!({"x": true})] {
        let mut request = wanted.clone();
        request["extensions"]["cost"] = unwanted;
        let answer: Value = gateway.post_graphql(request.to_string()).await.json().await.unwrap();
        assert_eq!(answer, plain);
    }

    let answer: Value = gateway.post_graphql(wanted.to_string()).await.json().await.unwrap();
    assert_eq!((&answer["data"], &answer["extensions"]), (&plain["data"], &told));
    let parameters = [("query", QUERY), ("extensions", r#"{"cost":true}"#)];
    let got =
        gateway.client.get(Url::parse_with_params(&gateway.url("/graphql"), parameters).unwrap()).send().await.unwrap();
    assert_eq!(got.json::<Value>().await.unwrap(), answer);
    let batch = json!([{"query": QUERY}, wanted]);
    let batch: Value = gateway.post_graphql(batch.to_string()).await.json().await.unwrap();
    assert_eq!(batch, json!([plain, answer]));
    let mut socket = Socket::open(gateway.address).await;
    socket.send(json!({"type": "subscribe", "id": "q", "payload": wanted})).await;
    assert_eq!(socket.message().await, json!({"type": "next", "id": "q", "payload": answer}));
    assert_eq!(socket.message().await, json!({"type": "complete", "id": "q"}));

    for stream in ["text/event-stream", "multipart/mixed;subscriptionSpec=1.0"] {
        let post = gateway.client.post(gateway.url("/graphql")).header("accept", stream).json(&wanted);
        let text = post.send().await.unwrap().text().await.unwrap();
        assert!(text.contains(&format!(r#""extensions":{{"cost":{{"requested":{COST},"limit":{LIMIT}}}}}"#)), "{text}");
    }

    // A field that fails does so beside the cost.
    let failing = request("{ syncEvents(first: -1) { head } ingestion { head } }", &json!({}));
    let answer: Value = gateway.post_graphql(failing.to_string()).await.json().await.unwrap();
    assert_eq!(answer["errors"][0]["path"], json!(["syncEvents"]));
    assert_eq!(answer["extensions"]["cost"]["requested"], 51 + 1 + 2);
}

#[tokio::test]
async fn what_is_not_executed_and_what_is_pushed_has_no_cost() {
    let gateway = Gateway::start().await;
    for refused in
        ["{ nothing }", "{ applications(first: 1000) { nodes { instances(first: 1000) { nodes { id } } } } }"]
    {
        let answer: Value = gateway.post_graphql(request(refused, &json!({})).to_string()).await.json().await.unwrap();
        assert_eq!(answer.as_object().unwrap().keys().collect::<Vec<_>>(), ["errors"], "{answer}");
    }
    let subscription = request("subscription { syncEvents { position } }", &json!({}));
    let post = gateway.client.post(gateway.url("/graphql")).header("accept", "text/event-stream").json(&subscription);
    let mut events = EventStream::open(post).await;
    gateway.deliver(&[sync_event("one")]).await;
    let (_, told) = events.answer().await;
    assert_eq!(told.as_object().unwrap().keys().collect::<Vec<_>>(), ["data"], "{told}");
}
