//! Queries that are wrong: each is told what, by a code and by the name of what is meant, and none is a fault of the
//! gateway's.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::events::sync_events;
use crate::gateway::Gateway;

const VALIDATION: &str = "GRAPHQL_VALIDATION_FAILED";
const INPUT: &str = "BAD_USER_INPUT";
const COMPLEX: &str = "TOO_COMPLEX";
const PARSE: &str = "GRAPHQL_PARSE_FAILED";

/// Queries that are wrong by their arguments: a query, its variables, the error's code, and what it names.
fn wrong_arguments() -> Vec<(&'static str, Value, &'static str, &'static str)> {
    vec![
        ("{ syncEvents(first: \"ten\") { head } }", json!({}), VALIDATION, "argument \"first\": expected Int"),
        ("{ syncEvents(first: 1.5) { head } }", json!({}), VALIDATION, "\"first\""),
        ("{ syncEvents(after: 7) { head } }", json!({}), VALIDATION, "\"after\""),
        ("{ syncEvents(filter: 7) { head } }", json!({}), VALIDATION, "\"filter\""),
        ("{ syncEvents(filter: {applications: {}}) { head } }", json!({}), VALIDATION, "\"filter.applications\""),
        (
            "{ syncEvents(filter: {applications: [\"a\", 7]}) { head } }",
            json!({}),
            VALIDATION,
            "\"filter.applications.1\"",
        ),
        ("{ syncEvents(filter: {applications: [null]}) { head } }", json!({}), VALIDATION, "\"filter.applications.0\""),
        ("{ syncEvents(filter: {nothing: 1}) { head } }", json!({}), VALIDATION, "no field \"nothing\""),
        ("{ syncEvents { totalCount(upTo: null) { value } } }", json!({}), VALIDATION, "\"upTo\""),
        ("{ node(id: null) { id } }", json!({}), VALIDATION, "\"id\""),
        ("{ nodes(ids: [null]) { id } }", json!({}), VALIDATION, "\"ids.0\""),
        ("{ nodes { id } }", json!({}), VALIDATION, "\"ids\""),
        ("{ syncEvent(uuid: \"no-uuid\") { id } }", json!({}), VALIDATION, "argument \"uuid\""),
        ("{ syncEvent(uuid: 7) { id } }", json!({}), VALIDATION, "argument \"uuid\""),
        ("query ($u: UUID!) { syncEvent(uuid: $u) { id } }", json!({"u": "x"}), INPUT, "variable \"$u\""),
        ("query ($n: Int) { syncEvents(first: $n) { head } }", json!({"n": "1"}), INPUT, "variable \"$n\""),
        ("query ($n: Int!) { syncEvents(first: $n) { head } }", json!({}), INPUT, "\"$n\" of type Int! is missing"),
        ("query ($n: Int!) { syncEvents(first: $n) { head } }", json!({"n": null}), INPUT, "\"$n\""),
        ("query ($n: String) { syncEvents(first: $n) { head } }", json!({"n": "1"}), VALIDATION, "Int is expected"),
        ("query ($n: Nothing) { syncEvents(first: $n) { head } }", json!({}), VALIDATION, "\"Nothing\""),
        ("{ syncEvents(first: $n) { head } }", json!({}), VALIDATION, "\"$n\" is not defined"),
        ("query ($n: Int) { __typename }", json!({}), VALIDATION, "\"$n\" is not used"),
        // Numbers beyond all bounds, pages that cannot be.
        ("{ syncEvents(first: 99999999999999999999) { head } }", json!({}), VALIDATION, "\"first\""),
        ("{ syncEvents(first: 2147483648) { head } }", json!({}), VALIDATION, "\"first\""),
        ("query ($n: Int) { syncEvents(first: $n) { head } }", json!({"n": 1e300}), INPUT, "\"$n\""),
        ("{ syncEvents(first: -1) { head } }", json!({}), INPUT, "`first`"),
        ("{ syncEvents(last: -2147483648) { head } }", json!({}), INPUT, "`last`"),
        ("{ syncEvents(first: 1001) { head } }", json!({}), INPUT, "`first`"),
        ("{ applications(last: 1001) { nodes { id } } }", json!({}), INPUT, "`last`"),
        ("{ syncEvents(first: 1, last: 1) { head } }", json!({}), INPUT, "`first` or `last`"),
        ("{ syncEvents { totalCount(upTo: -1) { value } } }", json!({}), INPUT, "`upTo`"),
        ("{ syncEvents { totalCount(upTo: 1000001) { value } } }", json!({}), INPUT, "`upTo`"),
        // Statistics.
        ("{ syncEvents { top(by: NOTHING) { nodes { key } } } }", json!({}), VALIDATION, "\"by\""),
        ("{ syncEvents { top(by: USER, first: -1) { nodes { key } } } }", json!({}), INPUT, "`first`"),
        ("{ syncEvents { top { nodes { key } } } }", json!({}), VALIDATION, "\"by\""),
        ("{ syncEvents { histogram(timeZone: \"Mars\") { buckets { count } } } }", json!({}), INPUT, "`timeZone`"),
        // Cursors that are none, or another list's.
        ("{ syncEvents(after: \"\") { head } }", json!({}), INPUT, "`after`"),
        ("{ syncEvents(after: \"e1\") { head } }", json!({}), INPUT, "`after`"),
        ("{ syncEvents(before: \"e99999999999999999999.1\") { head } }", json!({}), INPUT, "`before`"),
        ("{ syncEvents(after: \"ca:b:c\") { head } }", json!({}), INPUT, "`after`"),
        ("{ applications(after: \"e1.1\") { nodes { id } } }", json!({}), INPUT, "`after`"),
        ("{ applicationInstances(before: \"c%00::\") { nodes { id } } }", json!({}), INPUT, "`before`"),
        // Times, ranges, positions, families, addresses.
        (
            "{ syncEvents(filter: {published: {from: \"yesterday\"}}) { head } }",
            json!({}),
            VALIDATION,
            "\"filter.published.from\"",
        ),
        (
            "{ syncEvents(filter: {published: {until: 7}}) { head } }",
            json!({}),
            VALIDATION,
            "\"filter.published.until\"",
        ),
        (
            "query ($f: SyncEventFilter) { syncEvents(filter: $f) { head } }",
            json!({"f": {"published": {"from": "2026-13-01T00:00:00Z"}}}),
            INPUT,
            "RFC 3339",
        ),
        (
            "{ syncEvents(filter: {published: {from: \"2026-02-01T00:00:00Z\", until: \"2026-01-01T00:00:00Z\"}}) { head } }",
            json!({}),
            INPUT,
            "published",
        ),
        ("{ syncEvents(filter: {eventTypes: [\"a.*.b\"]}) { head } }", json!({}), INPUT, "eventTypes"),
        ("{ syncEvents(filter: {eventTypes: [\"\"]}) { head } }", json!({}), INPUT, "eventTypes"),
        (
            "{ syncEvents(filter: {applicationInstanceUrls: [\"https://acme.okta.com/\"]}) { head } }",
            json!({}),
            INPUT,
            "applicationInstanceUrls",
        ),
        ("{ applicationInstance { id } }", json!({}), VALIDATION, "\"by\""),
        ("{ applicationInstance(by: {url: \"https://evil.example\"}) { id } }", json!({}), INPUT, "`url`"),
        ("subscription { syncEvents(from: {after: \"-1\"}) { head } }", json!({}), VALIDATION, "\"from.after\""),
        ("subscription { syncEvents(from: {after: \"1e3\"}) { head } }", json!({}), VALIDATION, "\"from.after\""),
        ("subscription { syncEvents(from: {after: 1.5}) { head } }", json!({}), VALIDATION, "\"from.after\""),
        (
            "subscription { syncEvents(from: {after: \"99999999999999999999999999999999\"}) { head } }",
            json!({}),
            VALIDATION,
            "from.after",
        ),
        ("subscription { syncEvents(from: {after: \"7\"}) { head } }", json!({}), "POSITION_AHEAD", "7"),
    ]
}

/// Documents that are wrong: a document, the error's code, and what it names.
fn wrong_documents() -> Vec<(String, &'static str, &'static str)> {
    let texts = [
        ("", PARSE, "line 1, column 1"),
        ("{", PARSE, "line 1, column 2"),
        ("{ syncEvents( }", PARSE, "line 1, column 15"),
        ("{ a }\n\n}", PARSE, "line 3, column 1"),
        ("{ syncEvents(first: 1 { head } }", PARSE, "line 1"),
        ("query { __typename } query { __typename }", VALIDATION, "the only one"),
        ("query A { __typename } query A { __typename }", VALIDATION, "called \"A\""),
        ("fragment F on Query { __typename }", VALIDATION, "\"F\" is not used"),
        ("type Query { a: Int }", VALIDATION, "`type` defines a part of a schema"),
        ("{ syncEvent2 }", VALIDATION, "syncEvent2"),
        ("{ syncEvents { nothing } }", VALIDATION, "nothing"),
        ("{ syncEvents }", VALIDATION, "syncEvents"),
        ("{ ingestion { head { position } } }", VALIDATION, "head"),
        ("{ syncEvents(limit: 1) { head } }", VALIDATION, "limit"),
        ("{ syncEvents { head @nothing } }", VALIDATION, "nothing"),
        ("{ syncEvents { head @skip } }", VALIDATION, "skip"),
        ("{ ...F }", VALIDATION, "F"),
        ("{ ...F } fragment F on Nothing { id }", VALIDATION, "Nothing"),
        ("{ __typename } fragment F on Query { __typename }", VALIDATION, "F"),
        ("{ ...F } fragment F on Query { ...F }", VALIDATION, "\"F\" spreads itself"),
        ("{ a: syncEvents { head } a: applications { nodes { id } } }", VALIDATION, "a"),
        ("mutation { deleteEverything }", VALIDATION, "mutation"),
        (
            "subscription { a: syncEvents { events { uuid } } b: syncEvents { position } }",
            VALIDATION,
            "one field at its root",
        ),
        (
            "{ syncEvents(first: 1000) { nodes { applicationInstance { syncEvents(first: 1000) { nodes { id } } } } } }",
            COMPLEX,
            "limits.complexity",
        ),
    ];
    let mut documents: Vec<_> = texts.into_iter().map(|(text, code, says)| (text.to_owned(), code, says)).collect();
    let levels = (0..30).map(|level| format!(" fragment F{level} on Query {{ ...F{0} ...F{0} }}", level + 1));
    let bomb = format!("{{ ...F0 }}{} fragment F30 on Query {{ __typename }}", levels.collect::<Vec<_>>().concat());
    documents.extend([
        (bomb, COMPLEX, "limits.document_fields"),
        ("{ a ".repeat(100_000), COMPLEX, "limits.document_bytes"),
        ("{ a ".repeat(10_000), COMPLEX, "nested deeper"),
        (format!("{{ a(b: {}", "[".repeat(10_000)), COMPLEX, "nested deeper"),
        (format!("{{ {} }}", "a ".repeat(2_000)), COMPLEX, "limits.document_tokens"),
        (format!("{{ {} }}", "a".repeat(10_000)), COMPLEX, "a name has 10000 bytes"),
        (format!("{{ {} }}", "a: __typename ".repeat(200)), COMPLEX, "limits.document_root_fields"),
        (format!("{{ syncEvents {{ {} }} }}", "a: head ".repeat(200)), COMPLEX, "limits.document_aliases"),
        (
            format!("{{ syncEvents {{ {} }} }}", "head @skip(if: false) ".repeat(150)),
            COMPLEX,
            "limits.document_directives",
        ),
        (format!("{{ {} __typename {} }}", "... {".repeat(66), "}".repeat(66)), COMPLEX, "nested deeper"),
        (format!("{{ {} }}", "nothing ".repeat(100)), VALIDATION, "no field \"nothing\""),
        (format!("{{ a(b: \"{}", "x".repeat(1_000)), PARSE, "line 1"),
        (format!("# {}", "x".repeat(60_000)), PARSE, "line 1"),
    ]);
    documents
}

async fn still_answers(gateway: &Gateway) {
    assert_eq!(gateway.head().await, "2");
}

/// Asks over HTTP, or for a subscription over a WebSocket: the first error, the status, and the whole answer's length.
async fn first_error(gateway: &Gateway, query: &str, variables: &Value) -> (StatusCode, Value, usize) {
    if query.starts_with("subscription") {
        let mut socket = gateway.socket().await;
        socket.subscribe("1", query, variables.clone()).await;
        let message = socket.message().await;
        assert_eq!(message["type"], "error", "{query:.200}: {message}");
        let length = message.to_string().len();
        return (StatusCode::OK, message["payload"][0].clone(), length);
    }
    let response = gateway.post_graphql(json!({"query": query, "variables": variables}).to_string()).await;
    let status = response.status();
    let text = response.text().await.unwrap();
    let answer: Value = serde_json::from_str(&text).unwrap();
    (status, answer["errors"][0].clone(), text.len())
}

/// True if an error has the facts of its code beside it.
fn has_facts(extensions: &Value, says: &str) -> bool {
    let is_text = |name: &str| extensions[name].as_str().is_some_and(|text| !text.is_empty());
    match extensions["code"].as_str() {
        // The fault lies in the choice of two arguments.
        Some(INPUT) if says == "`first` or `last`" => true,
        Some(INPUT) => is_text("argument") != is_text("variable"),
        Some(COMPLEX) => {
            extensions["limit"].is_u64() && (says != "limits.complexity" || extensions["cost"].as_u64() > Some(50_000))
        }
        Some("POSITION_AHEAD") => extensions["head"] == "2",
        _ => true,
    }
}

#[tokio::test]
async fn each_bad_query_is_told_what_is_wrong() {
    let gateway = Gateway::start().await;
    gateway.deliver(&sync_events("one", 2)).await;
    let arguments =
        wrong_arguments().into_iter().map(|(query, variables, code, says)| (query.to_owned(), variables, code, says));
    let documents = wrong_documents().into_iter().map(|(query, code, says)| (query, json!({}), code, says));
    let mut faults = Vec::new();
    let mut number = 0;
    for (query, variables, code, says) in arguments.chain(documents) {
        number += 1;
        let started = Instant::now();
        let (status, error, length) = first_error(&gateway, &query, &variables).await;
        let message = error["message"].as_str().unwrap_or_default();
        // What the parser, a library or the database says to itself is none of the client's business.
        let leaks = ["-->", "rust", "async_graphql", "serde", "sqlx", "SQL", "panicked"]
            .iter()
            .any(|word| message.contains(word));
        let is_right = status == StatusCode::OK
            && error["extensions"]["code"] == code
            && message.contains(says)
            && !leaks
            && has_facts(&error["extensions"], says)
            && length < 25_000
            && (code == "POSITION_AHEAD" || started.elapsed() < Duration::from_secs(2));
        if !is_right {
            faults.push(format!(
                "{query:.150} {variables}: expected {code} and {says:?}: {status} {error} {:?}",
                started.elapsed()
            ));
        }
    }
    assert!(faults.is_empty(), "{} of {number}:\n{}", faults.len(), faults.join("\n"));
    assert!(number >= 40);
    still_answers(&gateway).await;
}

#[tokio::test]
async fn bodies_that_break_off_are_refused() {
    let gateway = Gateway::start().await;
    gateway.deliver(&sync_events("one", 2)).await;
    let whole =
        json!({"query": "{ ingestion { head } }", "variables": {"é": [1, {}]}, "operationName": null}).to_string();
    for end in 0..whole.len() {
        let response = gateway.post_graphql(whole.as_bytes()[..end].to_vec()).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{end}");
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_REQUEST", "{end}: {answer}");
    }
    // A body that is shorter than it says, and then the end.
    let mut stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    let head = format!(
        "POST /graphql HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{",
        gateway.address
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    _ = stream.read_to_end(&mut answer).await;
    assert!(
        !answer.starts_with(b"HTTP/1.1 200") && !answer.starts_with(b"HTTP/1.1 5"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    still_answers(&gateway).await;
}

#[tokio::test]
async fn foreign_ids_are_nothing_and_no_error() {
    let gateway = Gateway::start().await;
    gateway.deliver(&sync_events("one", 2)).await;
    for id in [
        "",
        "x",
        "SyncEvent:0",
        "SyncEvent:99",
        "SyncEvent:99999999999999999999",
        "Application:acme:none",
        "User:1",
        "\u{0}",
        "%00",
    ] {
        let data = gateway
            .query_with("query ($id: ID!) { node(id: $id) { id } nodes(ids: [$id]) { id } }", json!({"id": id}))
            .await;
        assert_eq!(data, json!({"node": null, "nodes": [null]}), "{id:?}");
    }
    let text = "a\u{0}b";
    let query = "query ($t: String!) { application(name: $t) { id } applicationInstance(by: {instanceId: $t}) { id } \
                 syncEvents(filter: {applications: [$t], orgs: [$t]}) { nodes { id } } applications(search: $t) { nodes { id } } }";
    let answer = gateway.ask(query, json!({"t": text})).await;
    assert!(!answer.to_string().contains("INTERNAL"), "{answer}");
    still_answers(&gateway).await;
}
