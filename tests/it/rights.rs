//! Rights: which viewer gets what from which field of the graph, over which route.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use reqwest::StatusCode;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sluice::access::NewApiKey;
use sluice::auth::{GeneratedKey, Reader, Readers};
use sluice::config::Settings;
use sluice::event::{Grant, GrantedPart, Rights, Rows, Scope, Scopes};

use crate::database::TestDatabase;
use crate::event_stream::EventStream;
use crate::events::{sync_event, uuid};
use crate::gateway::{Gateway, ORG, settings};
use crate::socket::{Socket, handshake};

/// The kinds of viewers: their scopes, and the grant of each; None for everything.
fn viewers() -> Vec<(&'static str, Scopes, Option<GrantedPart>)> {
    let only = |scope| Scopes::default().with(scope);
    let instance = Some(GrantedPart::Instances(vec!["0oaone".to_owned()]));
    let application = Some(GrantedPart::Applications(vec!["slack".to_owned()]));
    vec![
        ("unlimited", Scopes::READING, None),
        ("whole org", Scopes::READING, Some(GrantedPart::Whole)),
        ("instance", Scopes::READING, instance),
        ("application", Scopes::READING, application),
        ("other instance", Scopes::READING, Some(GrantedPart::Instances(vec!["0oanone".to_owned()]))),
        ("without people", Scopes::READING.without(Scope::PeopleRead).without(Scope::EventsDetails), None),
        ("without details", Scopes::READING.without(Scope::EventsDetails), None),
        ("without events", Scopes::READING.without(Scope::EventsRead), None),
        ("without ingestion", Scopes::READING.without(Scope::IngestionRead), None),
        ("metrics", only(Scope::Metrics), None),
        ("admin", only(Scope::Admin), None),
        (OF_A_KEY, Scopes::READING, Some(GrantedPart::Instances(vec!["0oaone".to_owned()]))),
    ]
}

/// The viewer with an API key, which has the rights of the viewer `instance`.
const OF_A_KEY: &str = "API key";

/// The key of that viewer.
static KEY: LazyLock<GeneratedKey> = LazyLock::new(|| GeneratedKey::generate().unwrap());

fn token(name: &str) -> String {
    if name == OF_A_KEY { KEY.text.expose_secret().to_owned() } else { format!("the token of {name}") }
}

async fn start() -> Gateway {
    let database = TestDatabase::new().await;
    let reader = |(name, scopes, part): (&str, Scopes, Option<GrantedPart>)| {
        let rows = part.map_or(Rows::All, |part| Rows::granted([Grant { org: ORG.to_owned(), part }]));
        Reader {
            name: name.to_owned(),
            token: token(name).into(),
            rights: Arc::new(Rights::new(scopes, rows)),
            documents: sluice::auth::AllowedDocuments::Any,
        }
    };
    let (of_a_key, of_readers): (Vec<_>, Vec<_>) =
        viewers().into_iter().map(reader).partition(|one| one.name == OF_A_KEY);
    let rights = Rights::clone(&of_a_key[0].rights);
    let key = NewApiKey { id: KEY.id.clone(), name: OF_A_KEY.to_owned(), hash: KEY.hash, rights, days: 1 };
    database.store().access_records().add_api_key(&key).await.unwrap();
    let settings = Settings { readers: Readers::with_rights(of_readers), ..settings(&database) };
    Gateway::start_over(database, settings).await
}

async fn ask(gateway: &Gateway, name: &str, query: &str) -> (StatusCode, Value) {
    let request = gateway.client.post(gateway.url("/graphql")).bearer_auth(token(name));
    let request = request.header("accept", "application/graphql-response+json").json(&json!({"query": query}));
    let response = request.send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

async fn socket(gateway: &Gateway, name: &str) -> Socket {
    let mut socket = Socket::connect(handshake(gateway.address, "graphql-transport-ws")).await.unwrap();
    let payload = json!({"authorization": format!("Bearer {}", token(name))});
    socket.send(json!({"type": "connection_init", "payload": payload})).await;
    assert_eq!(socket.message().await["type"], "connection_ack");
    socket
}

/// The answer over a socket, in the form of an answer over HTTP.
async fn ask_on_socket(gateway: &Gateway, name: &str, query: &str) -> Value {
    let mut socket = socket(gateway, name).await;
    socket.subscribe("1", query, json!({})).await;
    let message = socket.message().await;
    if message["type"] == "error" { json!({"errors": message["payload"]}) } else { message["payload"].clone() }
}

/// An event of the instance `0oatwo` of another application.
fn other_event() -> Value {
    let mut event = sync_event("two");
    event["debugContext"]["debugData"]["appname"] = "slack".into();
    event
}

/// A query, the place of its value, the viewers that are refused, and the value for a viewer who sees the first event, the
/// second, and the org's ingestion, or not.
type Field<'f> = (String, &'f str, &'f [&'f str], &'f dyn Fn(bool, bool, bool) -> Value);

/// Fields of the graph with the viewers that are refused, and what the others find where something is hidden from some.
#[tokio::test]
async fn each_kind_of_viewer_gets_its_part_of_each_field_over_each_route() {
    let gateway = start().await;
    let (one, two) = (sync_event("one"), other_event());
    gateway.deliver(&[one.clone(), two.clone()]).await;
    gateway.post_hook(json!({"eventId": "e", "data": {"events": [{"broken": 1}]}}).to_string()).await;
    let (first, second) = (uuid(&one), uuid(&two));
    // For each viewer that is not refused: does it see the first event, the second, and the org's ingestion?
    let seen = |name: &str| match name {
        "instance" | OF_A_KEY => (true, false, false),
        "application" => (false, true, false),
        "other instance" => (false, false, false),
        "without ingestion" => (true, true, false),
        _ => (true, true, true),
    };
    let no_events = ["without events", "metrics", "admin"];
    let no_details = ["without people", "without details", "metrics", "admin", "without events"];
    let no_ingestion = ["without ingestion", "metrics", "admin"];
    let cases: [Field<'_>; 13] = [
        ("{ syncEvents { totalCount { value } } }".into(), "/syncEvents/totalCount/value", &no_events, &|a, b, _| {
            json!(u8::from(a) + u8::from(b))
        }),
        (format!("{{ syncEvent(uuid: \"{first}\") {{ uuid }} }}"), "/syncEvent", &no_events, &|a, _, _| {
            if a { json!({"uuid": first}) } else { Value::Null }
        }),
        (format!("{{ syncEvent(uuid: \"{second}\") {{ raw }} }}"), "/syncEvent", &no_details, &|_, b, _| {
            if b { json!({"raw": two.to_string()}) } else { Value::Null }
        }),
        ("{ applications { nodes { name } } }".into(), "/applications/nodes", &no_events, &|a, b, _| {
            named(&[("office365", a), ("slack", b)], "name")
        }),
        ("{ application(name: \"slack\") { name } }".into(), "/application", &no_events, &|_, b, _| {
            if b { json!({"name": "slack"}) } else { Value::Null }
        }),
        (
            "{ applicationInstances { nodes { instanceId } } }".into(),
            "/applicationInstances/nodes",
            &no_events,
            &|a, b, _| named(&[("0oaone", a), ("0oatwo", b)], "instanceId"),
        ),
        (
            "{ applicationInstance(by: {instanceId: \"0oaone\"}) { label } }".into(),
            "/applicationInstance",
            &no_events,
            &|a, _, _| if a { json!({"label": "Label one"}) } else { Value::Null },
        ),
        ("{ node(id: \"SyncEvent:2\") { id } }".into(), "/node", &[], &|_, b, _| {
            if b { json!({"id": "SyncEvent:2"}) } else { Value::Null }
        }),
        ("{ nodes(ids: [\"Application:acme:slack\"]) { __typename } }".into(), "/nodes", &[], &|_, b, _| {
            json!([if b { json!({"__typename": "Application"}) } else { Value::Null }])
        }),
        ("{ nodes(ids: [\"RejectedRecord:1\"]) { __typename } }".into(), "/nodes", &[], &|_, _, c| {
            json!([if c { json!({"__typename": "RejectedRecord"}) } else { Value::Null }])
        }),
        ("{ ingestion { sources { org } } }".into(), "/ingestion/sources", &no_ingestion, &|_, _, c| {
            if c { json!([{"org": "acme"}]) } else { json!([]) }
        }),
        (
            "{ ingestion { rejected { nodes { org } } } }".into(),
            "/ingestion/rejected/nodes",
            &no_ingestion,
            &|_, _, c| if c { json!([{"org": "acme"}]) } else { json!([]) },
        ),
        ("{ ingestion { head } }".into(), "/ingestion/head", &no_ingestion, &|_, _, _| json!("2")),
    ];
    for (name, ..) in viewers() {
        for (query, place, refused, expected) in &cases {
            let (status, answer) = ask(&gateway, name, query).await;
            assert_eq!(ask_on_socket(&gateway, name, query).await, answer, "{name}: {query}");
            if refused.contains(&name) {
                assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN", "{name}: {query}: {answer}");
                assert_eq!((status, answer.get("data")), (StatusCode::FORBIDDEN, None), "{name}: {query}: {answer}");
                continue;
            }
            // Without the scope, an id alone finds nothing.
            let (mut a, mut b, mut c) = seen(name);
            (a, b) = if no_events.contains(&name) { (false, false) } else { (a, b) };
            c &= !no_ingestion.contains(&name);
            let found = answer.pointer(&format!("/data{place}"));
            assert_eq!(found, Some(&expected(a, b, c)), "{name}: {query}: {answer}");
        }
    }
    // `ingestion.coverage` counts events of the whole org.
    let coverage = "{ ingestion { coverage(org: \"acme\", published: {from: \"2026-03-01T00:00:00Z\"}) { events } } }";
    assert_eq!(ask(&gateway, "whole org", coverage).await.1["data"]["ingestion"]["coverage"][0]["events"], 2);
    let (_, refused) = ask(&gateway, "instance", coverage).await;
    let message = refused["errors"][0]["message"].as_str().unwrap();
    assert!(message.ends_with("there is no such org; there are: "), "{refused}");
}

/// The nodes of a list: those of these values that are seen.
fn named(values: &[(&str, bool)], field: &str) -> Value {
    let seen = values.iter().filter(|(_, is_seen)| *is_seen);
    seen.map(|(value, _)| Value::Object([(field.to_owned(), json!(value))].into_iter().collect())).collect()
}

#[tokio::test]
async fn names_are_null_without_the_right_to_people_and_cannot_be_guessed() {
    let gateway = start().await;
    let mut event = sync_event("one");
    event["outcome"]["reason"] = "Grace User is known already".into();
    gateway.deliver(&[event]).await;
    let query = "{ syncEvents { nodes { message outcome { result reason } admin { oktaId alternateId displayName type } \
                 user { oktaId alternateId displayName } applicationUser { oktaId alternateId displayName } application { alternateId } } \
                 top(by: USER) { nodes { key label } } histogram(by: ADMIN) { series { key label } } } }";
    let found = ask(&gateway, "without people", query).await.1["data"]["syncEvents"].clone();
    let expected = json!({
        "message": "Sync user in external application",
        "outcome": {"result": "SUCCESS", "reason": null},
        "admin": {"oktaId": "00uadmin", "alternateId": null, "displayName": null, "type": "User"},
        "user": {"oktaId": "00ugrace", "alternateId": null, "displayName": null},
        "applicationUser": {"oktaId": "0uaper", "alternateId": null, "displayName": null},
        "application": {"alternateId": "Label one"}
    });
    assert_eq!(found["nodes"], json!([expected]));
    assert_eq!(found["top"]["nodes"], json!([{"key": "00ugrace", "label": null}]));
    assert_eq!(found["histogram"]["series"], json!([{"key": "00uadmin", "label": null}]));
    let named = ask(&gateway, "without details", query).await.1["data"]["syncEvents"].clone();
    assert_eq!(named["top"]["nodes"][0]["label"], "Grace User");
    assert_eq!(named["nodes"][0]["outcome"]["reason"], "Grace User is known already");
    // An alias selects a list twice, so that resolvers answer instead of the writer: names are hidden there, too.
    let twice = "{ syncEvents { nodes { user { displayName } } more: nodes { id user { displayName } applicationInstance { label } } } }";
    let found = ask(&gateway, "without people", twice).await.1;
    assert_eq!(found["data"]["syncEvents"]["more"][0]["user"]["displayName"], Value::Null, "{found}");
    for (filter, count) in [("{search: \"grace\"}", 0), ("{not: {search: \"grace\"}}", 1), ("{search: \"sync\"}", 1)] {
        let query = format!("{{ syncEvents(filter: {filter}) {{ totalCount {{ value }} }} }}");
        let found = ask(&gateway, "without people", &query).await.1;
        assert_eq!(found["data"]["syncEvents"]["totalCount"]["value"], count, "{filter}: {found}");
    }
    for filter in ["{user: {alternateIds: [\"grace@acme.example\"]}}", "{not: {admin: {search: \"ada\"}}}"] {
        let query = format!("{{ syncEvents(filter: {filter}) {{ totalCount {{ value }} }} }}");
        let (_, answer) = ask(&gateway, "without people", &query).await;
        let message = answer["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains("the scope people:read"), "{answer}");
    }
}

const LIVE: &str = "subscription { syncEvents { events { uuid user { displayName } applicationInstance { label application { eventCount } } } position } }";

#[tokio::test]
async fn a_feed_has_its_rights_also_when_its_founder_is_gone() {
    let gateway = start().await;
    gateway.deliver(&[sync_event("one"), other_event()]).await;
    // An unlimited reader founds one feed, and two readers of the same rights another. Their founders leave.
    let mut founders = Vec::new();
    for name in ["unlimited", "instance", "without people"] {
        let mut founder = socket(&gateway, name).await;
        founder.subscribed("1", LIVE, json!({})).await;
        founders.push(founder);
    }
    let mut followers = Vec::new();
    for name in ["unlimited", "instance", "without people"] {
        let mut follower = socket(&gateway, name).await;
        follower.subscribed("1", LIVE, json!({})).await;
        followers.push(follower);
    }
    drop(founders);
    let catch_up = LIVE.replace("syncEvents {", "syncEvents(from: {after: \"0\"}) {");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (one, two) = (sync_event("one"), other_event());
    gateway.deliver(&[two.clone(), one.clone()]).await;
    let shown = |event: &Value, name: &str| {
        let (label, count) = if event["target"][0]["id"] == "0oaone" { ("Label one", 2) } else { ("Label two", 2) };
        let name = if name == "without people" { Value::Null } else { "Grace User".into() };
        json!({"uuid": uuid(event), "user": {"displayName": name},
            "applicationInstance": {"label": label, "application": {"eventCount": count}}})
    };
    for (name, mut follower) in ["unlimited", "instance", "without people"].into_iter().zip(followers) {
        if name != "instance" {
            assert_eq!(follower.event("1").await, shown(&two, name), "{name}");
        }
        assert_eq!(follower.event("1").await, shown(&one, name), "{name}");
        assert!(follower.hears_nothing(Duration::from_millis(50)).await, "{name}");
        // Another subscriber of these rights reads the past.
        let request = gateway.event_stream(&catch_up, &json!({})).bearer_auth(token(name));
        let mut stream = EventStream::open(request).await;
        let mut heard = 0;
        while heard < if name == "instance" { 2 } else { 4 } {
            let (_, answer) = stream.answer().await;
            let events = answer["data"]["syncEvents"]["events"].as_array().unwrap().clone();
            assert!(
                events.iter().all(|event| name != "instance" || event["applicationInstance"]["label"] == "Label one")
            );
            assert!(events.iter().all(|event| event["user"]["displayName"].is_null() == (name == "without people")));
            heard += events.len();
        }
    }
    let mut refused = socket(&gateway, "metrics").await;
    refused.subscribe("1", LIVE, json!({})).await;
    let message = refused.message().await;
    assert_eq!(message["payload"][0]["extensions"]["code"], "FORBIDDEN", "{message}");
}
