//! Partial answers: a question that fails leaves the others of its request as they are.

use serde_json::{Value, json};

use crate::database::TestDatabase;
use crate::events::sync_events;
use crate::gateway::{Gateway, settings};

#[tokio::test]
async fn a_dashboard_keeps_the_answers_beside_one_that_fails() {
    let gateway = Gateway::start().await;
    gateway.deliver(&sync_events("one", 3)).await;
    let good = [
        ("newest: syncEvents(first: 1) { nodes { position } }", json!({"nodes": [{"position": "3"}]})),
        ("counted: syncEvents { totalCount { value } }", json!({"totalCount": {"value": 3}})),
        ("applications { nodes { name } }", json!({"nodes": [{"name": "office365"}]})),
        ("ingestion { head }", json!({"head": "3"})),
    ];
    for bad in [
        "bad: syncEvents(first: 1001) { head }",
        "bad: syncEvents(filter: {eventTypes: [\"*x\"]}) { totalCount { value } }",
        "bad: applications(first: -1) { nodes { name } }",
        "bad: applicationInstances(after: \"x\") { nodes { label } }",
        "bad: nodes(ids: $many) { id }",
    ] {
        let fields = good.iter().map(|(field, _)| *field).chain([bad]).collect::<Vec<_>>().join(" ");
        let query = if bad.contains("$many") {
            format!("query ($many: [ID!]!) {{ {fields} }}")
        } else {
            format!("{{ {fields} }}")
        };
        let answer = gateway.ask(&query, json!({"many": vec!["x"; 1001]})).await;
        assert_eq!(answer["errors"].as_array().unwrap().len(), 1, "{answer}");
        assert_eq!((&answer["errors"][0]["path"], &answer["data"]["bad"]), (&json!(["bad"]), &Value::Null), "{answer}");
        for (field, expected) in &good {
            let key = field.split([':', ' ']).next().unwrap();
            assert_eq!(answer["data"][key], *expected, "{field}: {answer}");
        }
    }
}

#[tokio::test]
async fn a_count_that_fails_leaves_its_page() {
    let gateway = Gateway::start().await;
    gateway.deliver(&sync_events("one", 1)).await;
    for bad in [
        "totalCount(upTo: -1) { value }",
        "histogram(timeZone: \"Mars\") { buckets { count } }",
        "top(by: USER, first: -1) { nodes { key } }",
    ] {
        let query = format!("{{ syncEvents {{ head nodes {{ position }} bad: {bad} }} }}");
        let answer = gateway.ask(&query, json!({})).await;
        let page = json!({"head": "1", "nodes": [{"position": "1"}], "bad": null});
        assert_eq!(answer["data"]["syncEvents"], page, "{answer}");
        assert_eq!(answer["errors"][0]["path"], json!(["syncEvents", "bad"]), "{answer}");
    }
    let nested = "{ applications { nodes { name instances(first: -1) { nodes { label } } } } }";
    let answer = gateway.ask(nested, json!({})).await;
    let node = json!({"name": "office365", "instances": null});
    assert_eq!(answer["data"]["applications"]["nodes"][0], node, "{answer}");
}

#[tokio::test]
async fn coverage_of_an_ambiguous_org_leaves_the_sources() {
    let database = TestDatabase::new().await;
    let mut settings = settings(&database);
    let other = settings.orgs["acme"].clone();
    settings.orgs.insert("other".to_owned(), other);
    let gateway = Gateway::start_over(database, settings).await;
    let query = "{ ingestion { sources { org } coverage(published: {}) { state } } }";
    let answer = gateway.ask(query, json!({})).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "AMBIGUOUS_ORG", "{answer}");
    let expected = json!({"ingestion": {"sources": [{"org": "acme"}, {"org": "other"}], "coverage": null}});
    assert_eq!(answer["data"], expected);
}
