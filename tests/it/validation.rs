//! Documents and values of variables, beside what graphql-js makes of them: `tests/npm/validation.mjs` says that of the
//! documents of `tests/validation/`, of systematic ones and of random ones. The same are refused, for faults of the same
//! kind, before anything is executed. `tests/validation/own.graphql` lists the exceptions.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::npm::try_run;

/// Requests that are in flight at once.
const AT_ONCE: usize = 4;

/// Random documents, unless `SLUICE_VALIDATION_DOCUMENTS` says how many.
const RANDOM: &str = "2000";

/// A request, and what graphql-js makes of it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JudgedRequest {
    name: String,
    query: String,
    /// JSON, whose numbers are as they are written.
    variables: String,
    /// The phase of a request in which graphql-js finds a fault: syntax, document, variables, or none.
    phase: String,
    says: String,
    operation_name: Option<String>,
}

/// The phase in which the gateway refuses a request, as graphql-js calls it; the answer.
async fn phase(gateway: &Gateway, request: &JudgedRequest) -> (String, Value) {
    let JudgedRequest { query, variables, operation_name, .. } = request;
    let (query, operation) = (json!(query), json!(operation_name));
    let body = format!(r#"{{"query":{query},"variables":{variables},"operationName":{operation}}}"#);
    let post = gateway.client.post(gateway.url("/graphql")).header("content-type", "application/json");
    let response = post.header("accept", "application/graphql-response+json").body(body).send().await.unwrap();
    let status = response.status();
    let answer: Value = response.json().await.unwrap();
    let error = &answer["errors"][0];
    let code = error["extensions"]["code"].as_str().unwrap_or_default();
    let phase = match code {
        "GRAPHQL_PARSE_FAILED" => "syntax",
        "GRAPHQL_VALIDATION_FAILED" => "document",
        "BAD_USER_INPUT" if error["path"].is_null() => "variables",
        "TOO_COMPLEX" => "too complex",
        _ => return ("none".to_owned(), answer),
    };
    let errors = answer["errors"].as_array().unwrap();
    let is_whole = status == StatusCode::BAD_REQUEST
        && answer.get("data").is_none()
        && errors.iter().all(|error| error["locations"][0]["line"].is_u64() && error["extensions"]["code"] == code);
    assert!(is_whole, "{query}: {status} {answer}");
    (phase.to_owned(), answer)
}

#[tokio::test]
async fn graphql_js_refuses_the_same_for_the_same_reasons() {
    let root = env!("CARGO_MANIFEST_DIR");
    let (schema, corpus) = (format!("{root}/schema.graphql"), format!("{root}/tests/validation"));
    let seed = std::env::var("SLUICE_VALIDATION_SEED").unwrap_or_else(|_| "20250903".to_owned());
    let count = std::env::var("SLUICE_VALIDATION_DOCUMENTS").unwrap_or_else(|_| RANDOM.to_owned());
    eprintln!("SLUICE_VALIDATION_SEED={seed} SLUICE_VALIDATION_DOCUMENTS={count}");
    let (is_well, said) = try_run("validation.mjs", &[&schema, &corpus, &seed, &count]).await;
    assert!(is_well, "{said}");
    let judged: Vec<JudgedRequest> = said.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let gateway = Gateway::start().await;
    let answered = futures_util::stream::iter(&judged).map(|request| {
        let gateway = &gateway;
        async move { (request, phase(gateway, request).await) }
    });
    let mut answered = answered.buffered(AT_ONCE);
    let (mut differ, mut complex) = (Vec::new(), 0);
    let mut phases: BTreeMap<&str, [usize; 4]> = BTreeMap::new();
    while let Some((request, (phase, answer))) = answered.next().await {
        let at = ["none", "variables", "document", "syntax"].iter().position(|known| *known == request.phase).unwrap();
        phases.entry(request.name.split(' ').next().unwrap()).or_default()[at] += 1;
        // A limit is looked at after all the rest.
        let is_complex = phase == "too complex" && request.phase == "none";
        complex += usize::from(is_complex);
        let own = request.name.starts_with("own.graphql").then(|| own_phase(&request.query));
        let expected = own.unwrap_or(&request.phase);
        if (own.is_some() && request.phase == phase) || (phase != expected && !is_complex) {
            let JudgedRequest { name, query, variables, phase: theirs, says, .. } = request;
            let message = &answer["errors"][0]["message"];
            differ.push(format!(
                "{name}: graphql-js: {theirs} {says:?}, sluice: {phase} {message}\n  {query}\n  {variables}"
            ));
        }
    }
    eprintln!("{} requests; none, variables, document, syntax: {phases:?}; {complex} too complex", judged.len());
    assert!(differ.is_empty(), "{} of {} differ:\n{}", differ.len(), judged.len(), differ.join("\n"));
    let written = phases.iter().filter(|(name, _)| name.contains('.')).map(|(_, counts)| counts.iter().sum::<usize>());
    assert!(written.sum::<usize>() >= 400 && complex * 20 < judged.len(), "{phases:?} {complex}");
}

/// The phase in which the gateway refuses a document of the list of exceptions, by its first line.
fn own_phase(query: &str) -> &'static str {
    let first = query.lines().next().unwrap_or_default();
    match first.trim_start_matches("# ").split(':').next() {
        Some("refused") => "document",
        Some("too complex") => "too complex",
        _ => "none",
    }
}

#[tokio::test]
async fn an_argument_without_a_value_has_its_default() {
    let gateway = Gateway::start().await;
    let query = "query ($deprecated: Boolean) { __type(name: \"Severity\") { enumValues(includeDeprecated: $deprecated) { name } } }";
    for variables in [json!({}), json!({"deprecated": true})] {
        let data = gateway.query_with(query, variables).await;
        assert_eq!(data["__type"]["enumValues"][0]["name"], "DEBUG");
    }
}

/// Documents that would take long if each way through their fragments, or each pair of their fields, were looked at.
fn hostile_documents() -> Vec<String> {
    let fragments = |count: usize, text: &dyn Fn(usize) -> String| (0..count).map(text).collect::<String>();
    let conditions =
        fragments(60, &|at| format!("... on Query {{ a{at}: syncEvents(first: {at}) {{ nodes {{ uuid }} }} }}"));
    vec![
        // Fields with one key, each with another argument; with one argument.
        format!("{{ {} }}", fragments(190, &|at| format!("a: syncEvents(first: {at}) {{ head }} "))),
        format!("{{ {} }}", "syncEvents(first: 1) { head } ".repeat(190)),
        format!("{{ {} }}", "syncEvents { ".repeat(30) + "head" + &"}".repeat(30)),
        // Fragments that spread the next one twice, below fields.
        format!(
            "{{ syncEvents {{ nodes {{ ...F0 }} }} }} {} fragment F40 on SyncEvent {{ uuid }}",
            fragments(40, &|at| {
                let next = at + 1;
                format!(
                    "fragment F{at} on SyncEvent {{ a: applicationInstance {{ syncEvents {{ nodes {{ ...F{next} }} }} }} \
                     b: applicationInstance {{ syncEvents {{ nodes {{ ...F{next} }} }} }} }} "
                )
            })
        ),
        // Each fragment spreads all those after it.
        format!(
            "{{ ...F0 }} {}",
            fragments(40, &|at| {
                let rest = fragments(39 - at, &|more| format!("...F{} ", at + more + 1));
                format!("fragment F{at} on Query {{ __typename {rest} }} ")
            })
        ),
        format!("{{ {conditions} {conditions} }}"),
        format!("{{ {} }}", "a".repeat(190).as_str().to_owned() + &" b".repeat(1_900)),
        format!("{{ {} }}", fragments(600, &|at| format!("{}{at} ", "x".repeat(90)))),
        format!("query ({}) {{ __typename }}", fragments(390, &|at| format!("$v{at}: Int "))),
        fragments(140, &|at| format!("query Q{at} {{ ...F }} ")) + "fragment F on Query { a: nothing(x: $x) }",
        format!("{{ syncEvents(filter: {{ {} }}) {{ head }} }}", "orgs: [] ".repeat(480)),
        format!("{{ __typename {} }}", "@nothing ".repeat(900)),
        format!("{{ nodes(ids: [{}]) {{ id }} }}", "1 ".repeat(1_950)),
        format!("{{ node(id: \"{}\") {{ id }} }}", "\\u{1F600}".repeat(6_000)),
        format!("{{ node(id: \"\"\"{}\"\"\") {{ id }} }}", "\n ".repeat(30_000)),
        format!("#{}\n{{ __typename }}", "#".repeat(60_000)),
    ]
}

#[tokio::test]
async fn a_hostile_document_takes_no_time() {
    let gateway = Gateway::start().await;
    let mut slow = Vec::new();
    for query in hostile_documents() {
        let body = json!({"query": query}).to_string();
        // The fastest of three: others use the machine, too. A document that is refused is not cached.
        let mut fastest = Duration::MAX;
        for _ in 0..3 {
            let started = Instant::now();
            let response = gateway.post_graphql(body.clone()).await;
            let text = response.text().await.unwrap();
            fastest = fastest.min(started.elapsed());
            assert!(text.len() < 50_000, "{query:.100}: {text:.300}");
        }
        eprintln!("{fastest:?} {query:.100}");
        if fastest > Duration::from_millis(50) {
            slow.push(format!("{fastest:?} {query:.100}"));
        }
    }
    assert!(slow.is_empty(), "{slow:?}");
}
