//! What machines ask of a gateway, and what everybody gets: probes, metrics, request ids, refusals, the page.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;
use uuid::Uuid;

use crate::events::{delivery, sync_event, sync_events};
use crate::gateway::{Gateway, HOOK_SECRET, ORG};

/// The longest that anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

impl Gateway {
    async fn send(&self, method: Method, path: &str) -> Response {
        self.client.request(method, self.url(path)).send().await.unwrap()
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let response = self.send(Method::GET, path).await;
        (response.status(), response.text().await.unwrap())
    }

    /// Delivers to an org; gives the status.
    async fn deliver_to(&self, org: &str, secret: &str, events: &[Value]) -> StatusCode {
        let request = self.client.post(self.url(&format!("/okta/{org}/hooks"))).header("authorization", secret);
        request.body(delivery(events).to_string()).send().await.unwrap().status()
    }
}

#[tokio::test]
async fn a_gateway_lives_without_its_database_and_is_ready_with_it() {
    let gateway = Gateway::start().await;
    let alive = (StatusCode::OK, "alive\n".to_owned());
    let ready = (StatusCode::OK, "ready\n".to_owned());
    let away = (StatusCode::SERVICE_UNAVAILABLE, "not ready: the database does not answer\n".to_owned());
    for _ in 0..3 {
        // A connection that was in use a moment ago is taken to be alive, once.
        let becomes_ready = async { while gateway.get("/readyz").await != ready {} };
        timeout(PATIENCE, becomes_ready).await.expect("it is ready in time");
        gateway.database.close().await;
        assert_eq!((gateway.get("/livez").await, gateway.get("/readyz").await), (alive.clone(), away.clone()));
        gateway.database.open().await;
    }
}

#[tokio::test]
async fn after_the_database_was_away_no_question_meets_a_dead_connection() {
    let gateway = Gateway::start().await;
    let ask = || gateway.ask("{ syncEvents { head } }", json!({}));
    // Several connections, which then lie idle.
    futures_util::future::join_all((0..16).map(|_| ask())).await;
    gateway.database.close().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    gateway.database.open().await;
    for _ in 0..16 {
        let answer = ask().await;
        assert_eq!(answer["data"]["syncEvents"]["head"], "0", "{answer}");
    }
}

#[tokio::test]
async fn one_connection_is_enough_for_all_queries() {
    let gateway = Gateway::start_with(|settings| settings.limits.query_connections = 1).await;
    for position in ["1", "2", "3"] {
        gateway.deliver(&sync_events(position, 1)).await;
        assert_eq!(gateway.query("{ syncEvents { head } }").await["syncEvents"]["head"], position);
    }
}

/// The samples of Prometheus's text format, by name and labels. Everything must be in its place.
fn samples(text: &str) -> BTreeMap<&str, f64> {
    let (mut samples, mut kinds, mut described) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    let mut family = ("", "");
    assert!(text.ends_with('\n'));
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some((name, _)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            assert!(described.insert(name), "{line}");
        } else if let Some(declared) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            family = declared;
            assert!(["counter", "gauge", "histogram"].contains(&family.1), "{line}");
            assert!(kinds.insert(family.0, family.1).is_none(), "{line}");
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let suffix = name.strip_prefix(family.0).unwrap_or(name);
            let suffixes: &[_] = if family.1 == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            assert!(suffixes.contains(&suffix), "{line}");
            let labels = labels.strip_suffix('}').unwrap().split_terminator("\",");
            let labels: Vec<_> = labels.map(|label| label.split_once("=\"").unwrap().0).collect();
            assert!(labels.iter().all(|label| label.bytes().all(|byte| byte.is_ascii_lowercase())), "{line}");
            assert!(samples.insert(series, value.parse().unwrap()).is_none(), "{line}");
        }
    }
    assert!(kinds.keys().eq(&described), "each is described: {kinds:?} {described:?}");
    samples
}

#[tokio::test]
async fn metrics_count_what_became_of_the_events_of_each_org() {
    // Counters are of the process, in which other tests run, too: these orgs are of this test.
    let gateway = Gateway::start_with(|settings| {
        let org = settings.orgs[ORG].clone();
        settings.orgs.extend(["counted", "counted-too", "quiet"].map(|name| (name.to_owned(), org.clone())));
    })
    .await;
    let mut events = sync_events("one", 3);
    events.extend([json!({"eventType": "broken"}), json!(null), sync_event("one"), sync_event("one")]);
    events[5]["eventType"] = json!("user.session.start");
    for _ in 0..2 {
        assert_eq!(gateway.deliver_to("counted", HOOK_SECRET, &events).await, StatusCode::OK);
    }
    assert_eq!(gateway.deliver_to("counted", HOOK_SECRET, &events[..1]).await, StatusCode::OK);
    assert_eq!(gateway.deliver_to("counted-too", HOOK_SECRET, &events[..3]).await, StatusCode::OK);
    assert_eq!(gateway.deliver_to("counted-too", "wrong", &events).await, StatusCode::UNAUTHORIZED);
    gateway.send(Method::from_bytes(b"BREW").unwrap(), "/livez").await;

    let response = gateway.send(Method::GET, "/metrics").await;
    assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = response.text().await.unwrap();
    let samples = samples(&text);
    let ours = samples.iter().filter(|(series, _)| series.contains("counted") || series.contains("quiet"));
    let events = |org: &str, result: &str| {
        format!(r#"sluice_events_total{{org="{org}",source="event_hook",result="{result}"}}"#)
    };
    let expected = [
        (events("counted", "stored"), 4.0),
        (events("counted", "duplicate"), 5.0),
        (events("counted", "rejected"), 4.0),
        (events("counted", "dropped"), 2.0),
        (events("counted-too", "stored"), 3.0),
        (r#"sluice_hooks_refused_total{org="counted-too"}"#.to_owned(), 1.0),
    ];
    let ours: BTreeMap<_, _> = ours.map(|(series, value)| ((*series).to_owned(), *value)).collect();
    assert_eq!(ours.get(&events("quiet", "stored")), Some(&0.0), "what never happened is told, too: {ours:?}");
    let counted: BTreeMap<_, _> = ours.into_iter().filter(|(_, value)| *value > 0.0).collect();
    assert_eq!(counted, expected.into());
    let requests = r#"sluice_http_requests_total{route="/okta/{org}/hooks",method="POST",status="401"}"#;
    assert!(samples[requests] >= 1.0, "{text}");
    let strange = r#"sluice_http_requests_total{route="/livez",method="other",status="405"}"#;
    assert!(samples[strange] >= 1.0, "clients do not name series: {text}");
    assert!(samples.contains_key("sluice_log_position") && samples.contains_key("sluice_window_bytes"), "{text}");
}

/// The id in the answer to a request that came with this one.
async fn request_id(gateway: &Gateway, path: &str, given: Option<&[u8]>) -> Vec<u8> {
    let given = given.map(|id| HeaderValue::from_bytes(id).unwrap());
    let request = gateway.client.get(gateway.url(path));
    let request = given.into_iter().fold(request, |request, id| request.header("x-request-id", id));
    let response = request.send().await.unwrap();
    let ids: Vec<_> = response.headers().get_all("x-request-id").iter().collect();
    let [id] = ids[..] else { panic!("expected one id: {ids:?}") };
    id.as_bytes().to_vec()
}

#[tokio::test]
async fn every_answer_bears_the_requests_id_or_a_new_one() {
    let gateway = Gateway::start().await;
    let (longest, too_long) = ([b'x'; 128], [b'x'; 129]);
    let mut made = BTreeSet::new();
    for path in ["/", "/livez", "/graphql", "/okta/other/hooks", "/nowhere"] {
        for given in [&b"1"[..], b"5b2f1e9c-7a52-4f0e-b7f4-8f9fd8f1a3a1", b"a b/c=\"d\"", &longest] {
            assert_eq!(request_id(&gateway, path, Some(given)).await, given, "{path}");
        }
        for given in [None, Some(&too_long[..]), Some(b"\xff\xfe"), Some("é".as_bytes()), Some(b"")] {
            let id = request_id(&gateway, path, given).await;
            let id = Uuid::try_parse_ascii(&id).unwrap_or_else(|_| panic!("{path} {given:?}: {id:?}"));
            assert!(made.insert(id), "an id is used once");
        }
    }
}

/// The answer is a problem: this code, and a sentence that names what was asked for.
async fn assert_problem(response: Response, code: &str, path: &str) {
    assert_eq!(response.headers()["content-type"], "application/json", "{path}");
    let answer: Value = response.json().await.unwrap();
    let message = answer["error"]["message"].as_str().unwrap();
    assert_eq!(answer, json!({"error": {"code": code, "message": message}}), "{path}");
    assert!(message.contains(path), "{answer}");
}

#[tokio::test]
async fn what_is_not_there_is_answered_404_whatever_the_method() {
    let gateway = Gateway::start().await;
    for path in ["/nowhere", "/livez/", "/graphql/", "/graphql/x", "//", "/okta/acme", "/okta/acme/hooks/", "/%ff"] {
        for method in [Method::GET, Method::POST, Method::OPTIONS, Method::from_bytes(b"BREW").unwrap()] {
            let response = gateway.send(method, path).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
            assert_problem(response, "NOT_FOUND", path).await;
        }
    }
}

#[tokio::test]
async fn what_is_there_by_another_method_is_answered_405_with_the_methods_that_it_takes() {
    let gateway = Gateway::start().await;
    let reading: &[_] = &["GET", "HEAD"];
    let both: &[_] = &["GET", "HEAD", "POST"];
    let cases = [
        ("/", "POST", reading),
        ("/livez", "POST", reading),
        ("/readyz", "DELETE", reading),
        ("/metrics", "PUT", reading),
        ("/graphql", "PUT", both),
        ("/graphql", "OPTIONS", both),
        ("/okta/acme/hooks", "PATCH", both),
        ("/okta/other/hooks", "DELETE", both),
    ];
    for (path, method, allowed) in cases {
        let response = gateway.send(method.parse().unwrap(), path).await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        let allow = response.headers()["allow"].to_str().unwrap();
        let allow: BTreeSet<_> = allow.split(',').map(str::trim).collect();
        assert!(allow.iter().eq(allowed), "{method} {path}: {allow:?}");
        assert_problem(response, "METHOD_NOT_ALLOWED", path).await;
    }
    for path in ["/", "/livez", "/readyz", "/metrics"] {
        let response = gateway.send(Method::HEAD, path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(response.text().await.unwrap(), "", "{path}");
    }
}

/// Responses of all kinds tell browsers that no other site may use them.
#[tokio::test]
async fn every_response_has_the_security_headers() {
    let gateway = Gateway::start().await;
    let events = "/graphql?query=subscription%7BsyncEvents%7Bposition%7D%7D";
    let paths = ["/", "/graphiql", "/graphql?query=%7B__typename%7D", "/graphql", "/livez", "/readyz", "/metrics"];
    for path in paths.into_iter().chain(["/nothing", "/okta/acme/hooks"]) {
        let response = gateway.send(Method::GET, path).await;
        assert_security_headers(response.headers(), path);
    }
    let stream = gateway.client.get(gateway.url(events)).header("accept", "text/event-stream").send().await.unwrap();
    assert_security_headers(stream.headers(), events);
    let foreign = gateway.client.get(gateway.url("/graphql")).header("origin", "https://foreign.example");
    let refused = foreign.send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert_security_headers(refused.headers(), "a refused origin");
}

fn assert_security_headers(headers: &HeaderMap, what: &str) {
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{what}: {policy}");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        let found: Vec<_> = headers.get_all(name).iter().collect();
        assert_eq!(found, [value], "{what}: {name}");
    }
}

#[tokio::test]
async fn the_page_asks_no_other_host_and_may_not() {
    let gateway = Gateway::start().await;
    let response = gateway.send(Method::GET, "/").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    let policy: BTreeMap<_, _> = policy.split(';').filter_map(|directive| directive.trim().split_once(' ')).collect();
    for (directive, expected) in [("default-src", "'none'"), ("connect-src", "'self'"), ("frame-ancestors", "'none'")] {
        assert_eq!(policy.get(directive), Some(&expected), "{policy:?}");
    }
    let is_known = |source: &&str| ["'none'", "'self'"].contains(source) || source.starts_with("'sha256-");
    assert!(policy.values().all(is_known), "a foreign source, or any inline one: {policy:?}");
    let page = response.text().await.unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("location.host"), "{page}");
    // `//` and a name would be the address of a host, whatever stands before it.
    for rest in page.split("//").skip(1) {
        assert!(!rest.starts_with(|first: char| first.is_alphanumeric() || first == '['), "//{rest:.40}");
    }
}
