//! Filters: each means the same live, in history and when counted.

use std::sync::Arc;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use reqwest::Client;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde_json::{Value, json};
use sluice::auth::{Reader, Readers};
use sluice::event::{Grant, GrantedPart, Rights, Rows, Scopes};

use crate::events::sync_event;
use crate::gateway::{Gateway, ORG};
use crate::random_events::{random_event, random_filter};
use crate::socket::{Socket, handshake};
use crate::traffic::seed;

const FILTERS: usize = 90;
const EVENTS: usize = 240;

/// The token of a limited reader.
const TOKEN: &str = "the limited reader's token";

/// A word that only the last event has.
const LAST: &str = "thelast";

fn positions(page: &Value) -> Vec<usize> {
    let position = |node: &Value| node["position"].as_str().unwrap().parse().unwrap();
    page["nodes"].as_array().unwrap().iter().map(position).collect()
}

#[tokio::test]
async fn live_and_history_choose_the_same_events() {
    let gateway = Gateway::start().await;
    let socket = gateway.socket().await;
    let (_, all) = choose(&gateway, socket, &mut StdRng::seed_from_u64(seed())).await;
    assert_eq!(all, EVENTS + 1, "an unlimited reader sees everything");
}

/// The rights narrow each filter, in SQL and where live events are routed.
#[tokio::test]
async fn live_and_history_choose_the_same_events_of_a_limited_reader() {
    let grants =
        |parts: &[GrantedPart]| Rows::granted(parts.iter().cloned().map(|part| Grant { org: ORG.to_owned(), part }));
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let instances = GrantedPart::Instances(names(&["0oaone", "0oalast", "0oanone"]));
    let applications = GrantedPart::Applications(names(&["slack"]));
    let both = [instances, applications];
    for rows in [grants(&both[..1]), grants(&both[1..]), grants(&both)] {
        let rights = Arc::new(Rights::new(Scopes::READING, rows));
        let documents = sluice::auth::AllowedDocuments::Any;
        let reader = Reader { name: "limited".to_owned(), token: TOKEN.into(), rights, documents };
        let mut gateway = Gateway::start_with(|settings| settings.readers = Readers::with_rights(vec![reader])).await;
        let headers =
            HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {TOKEN}")).unwrap())]);
        gateway.client = Client::builder().default_headers(headers.clone()).build().unwrap();
        let mut request = handshake(gateway.address, "graphql-transport-ws");
        request.headers_mut().extend(headers);
        let mut socket = Socket::connect(request).await.unwrap();
        socket.send(json!({"type": "connection_init"})).await;
        assert_eq!(socket.message().await["type"], "connection_ack");
        let (narrowing, all) = choose(&gateway, socket, &mut StdRng::seed_from_u64(seed())).await;
        assert!(narrowing > 0 && (EVENTS / 10..EVENTS).contains(&all), "{narrowing}, {all}");
    }
}

/// Checks that live and history choose the same events by each of some filters. Returns the number of filters that chose some
/// events and not others, and the number of all events that are seen.
async fn choose(gateway: &Gateway, mut socket: Socket, random: &mut StdRng) -> (usize, usize) {
    let seed = seed();
    let filters: Vec<Value> = (0..FILTERS).map(|number| subscribed_filter(random, number)).collect();
    let query = "subscription ($filter: SyncEventFilter) { syncEvents(filter: $filter, from: {after: \"0\"}) { events { position } } }";
    for (id, filter) in filters.iter().enumerate() {
        socket.subscribe(&id.to_string(), query, json!({"filter": filter})).await;
    }
    wait_until_answered(&mut socket).await;
    let mut events: Vec<Value> = (0..EVENTS).map(|_| random_event(random)).collect();
    let mut last = sync_event("last");
    last["displayMessage"] = LAST.into();
    events.push(last);
    for delivery in events.chunks(40) {
        gateway.deliver(delivery).await;
    }
    let query = "query ($filter: SyncEventFilter, $field: SyncEventOrderField!) { \
                 syncEvents(filter: $filter, first: 1000, orderBy: {field: $field, direction: ASC}) { \
                 nodes { position } totalCount { value } } }";
    let mut chosen = Vec::new();
    for filter in &filters {
        let mut histories = Vec::new();
        for field in ["POSITION", "PUBLISHED"] {
            let page = gateway.query_with(query, json!({"filter": filter, "field": field})).await["syncEvents"].clone();
            let mut history = positions(&page);
            history.sort_unstable();
            assert_eq!(page["totalCount"]["value"], json!(history.len()), "{filter}");
            histories.push(history);
        }
        assert_eq!(histories[0], histories[1], "{filter} (SLUICE_TEST_SEED={seed})");
        chosen.push(histories.remove(0));
    }
    let mut heard = vec![Vec::new(); FILTERS];
    for _ in 0..chosen.iter().map(Vec::len).sum() {
        let message = socket.message().await;
        assert_eq!(message["type"], "next", "{message}");
        let id: usize = message["id"].as_str().unwrap().parse().unwrap();
        let position = &message["payload"]["data"]["syncEvents"]["position"];
        heard[id].push(position.as_str().unwrap().parse::<usize>().unwrap());
    }
    for ((filter, live), history) in filters.iter().zip(heard).zip(&chosen) {
        assert_eq!(live, *history, "{filter} (SLUICE_TEST_SEED={seed})");
    }
    let narrowing = chosen.iter().filter(|positions| (2..EVENTS).contains(&positions.len())).count();
    assert!(narrowing > FILTERS / 4, "only {narrowing} of {FILTERS} filters chose some events and not others");
    let all =
        gateway.query("{ syncEvents { totalCount { value } } }").await["syncEvents"]["totalCount"]["value"].clone();
    (narrowing, all.as_u64().unwrap().try_into().unwrap())
}

/// Returns a filter. Every other one is a filter as users write it, and the router finds it by the values that it names.
/// The others choose the last event as well, so that the router must try them for every event.
fn subscribed_filter(random: &mut StdRng, number: usize) -> Value {
    let filter = random_filter(random, 2);
    if number.is_multiple_of(2) { filter } else { json!({"or": [filter, {"search": LAST}]}) }
}

/// Waits until the gateway has answered everything that was sent over a socket so far. A subscription has no
/// acknowledgement, but a query is answered after it.
async fn wait_until_answered(socket: &mut Socket) {
    socket.subscribe("begun", "{ ingestion { head } }", json!({})).await;
    while socket.message().await["type"] != "complete" {}
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
        (json!({"user": {"oktaIds": ["00uada", "00unobody"]}}), vec![2]),
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
        (json!({"or": [{"user": {"oktaIds": ["00ugrace"]}}, {"outcomes": ["FAILURE"]}]}), vec![1, 2]),
        (json!({"or": []}), vec![]),
        (json!({"and": []}), vec![1, 2]),
        (json!({"user": {}}), vec![1, 2]),
        (json!({"user": {"oktaIds": []}}), vec![]),
        (json!({"firstReceivedVia": ["EVENT_HOOK"]}), vec![1, 2]),
        (json!({"receivedAt": {"until": "2020-01-01T00:00:00Z"}}), vec![]),
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
        (json!({"receivedAt": {"from": "2025-02-01T00:00:00Z", "until": "2025-01-01T00:00:00Z"}}), "receivedAt"),
        (json!({"search": "--"}), "search"),
        (json!({"admin": {"search": "*"}}), "search"),
        (json!({"search": words.join(" ")}), "21 words"),
        (json!({"user": {"oktaIds": vec!["x"; 1001]}}), "oktaIds has 1001 values"),
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
