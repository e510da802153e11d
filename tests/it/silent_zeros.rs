//! Questions that can only be mistakes are answered with an error that says so, and not with nothing.

use serde_json::{Value, json};
use sluice::store::StoreError;
use tokio::time::{Duration, timeout};

use crate::events::sync_event;
use crate::gateway::Gateway;

/// The longest that anything may take before a test fails.
const PATIENCE: Duration = Duration::from_mins(1);

const PAGE: &str = "query ($filter: SyncEventFilter) { syncEvents(filter: $filter) { totalCount { value } } }";

#[tokio::test]
async fn outcomes_and_types_of_people_are_found_whatever_their_case() {
    let gateway = Gateway::start().await;
    let mut failed = sync_event("one");
    failed["outcome"] = json!({"result": "FAILURE"});
    let mut odd = sync_event("two");
    odd["outcome"] = json!({"result": "oddlySpelled"});
    gateway.deliver(&[sync_event("three"), failed, odd]).await;
    for (filter, count) in [
        (json!({"outcomes": ["failure"]}), 1),
        (json!({"outcomes": ["Failure", "FAILURE"]}), 1),
        (json!({"outcomes": ["success", "failure"]}), 2),
        // Okta may add outcomes: they are found as they are written.
        (json!({"outcomes": ["oddlySpelled"]}), 1),
        (json!({"outcomes": ["oddlyspelled"]}), 0),
        (json!({"not": {"outcomes": ["failure"]}}), 2),
        (json!({"user": {"types": ["user"]}}), 3),
        (json!({"applicationUser": {"types": ["APPUSER"]}}), 3),
    ] {
        let found = gateway.query_with(PAGE, json!({"filter": filter})).await;
        assert_eq!(found["syncEvents"]["totalCount"]["value"], count, "{filter}");
    }
}

#[tokio::test]
async fn the_beginning_of_event_types_is_an_error_that_names_the_family() {
    let gateway = Gateway::start().await;
    gateway.deliver(&[sync_event("one")]).await;
    let message = "`filter`: eventTypes: \"application.provision\" is not an event type, but the beginning of some: use \
                   \"application.provision.*\"";
    let filter = json!({"filter": {"eventTypes": ["application.provision"]}});
    let answer = gateway.ask(PAGE, filter.clone()).await;
    assert_eq!(answer["errors"][0]["message"], message, "{answer}");
    assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{answer}");
    let mut socket = gateway.socket().await;
    let live = "subscription ($filter: SyncEventFilter) { syncEvents(filter: $filter) { events { uuid } } }";
    socket.subscribe("1", live, filter).await;
    let refused = socket.message().await;
    assert_eq!((&refused["type"], &refused["payload"][0]["message"]), (&json!("error"), &json!(message)));
    // A type that is not in the catalogue may be a new one of Okta's, so it is no error.
    for (types, count) in [(json!(["application.provision.*"]), 1), (json!(["app.of.tomorrow"]), 0)] {
        let found = gateway.query_with(PAGE, json!({"filter": {"eventTypes": types}})).await;
        assert_eq!(found["syncEvents"]["totalCount"]["value"], count, "{types}");
    }
}

fn coverage(org: &str, fields: &str) -> String {
    format!(
        "{{ ingestion {{ coverage(org: \"{org}\", published: {{from: \"2026-03-04T00:00:00Z\", \
         until: \"2026-03-05T00:00:00Z\"}}) {{ {fields} }} }} }}"
    )
}

#[tokio::test]
async fn the_coverage_of_an_unknown_org_is_an_error() {
    let gateway = Gateway::start().await;
    let answer = gateway.ask(&coverage("x", "state"), json!({})).await;
    assert_eq!(answer["errors"][0]["message"], "`org` is \"x\", and there is no such org; there are: acme", "{answer}");
    assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{answer}");
    assert_eq!(gateway.query(&coverage("acme", "state")).await["ingestion"]["coverage"][0]["state"], "UNVERIFIED");
    // One that is configured no more still has its past.
    let insert = "INSERT INTO ingest_tally (org, source, last_arrival_at) VALUES ('former', 0, now())";
    sqlx::query(insert).execute(&gateway.database.pool).await.unwrap();
    assert_eq!(gateway.query(&coverage("former", "state")).await["ingestion"]["coverage"][0]["state"], "UNVERIFIED");
}

#[tokio::test]
async fn coverage_counts_events_only_where_they_are_asked_for() {
    let gateway = Gateway::start_with(|settings| settings.limits.query_seconds = 1).await;
    gateway.deliver(&[sync_event("one")]).await;
    let mut lock = gateway.database.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE sync_event IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    let without = coverage("acme", "from until state");
    let found: Value = timeout(PATIENCE, gateway.query(&without)).await.expect("no event is looked at");
    assert_eq!(found["ingestion"]["coverage"][0]["state"], "UNVERIFIED");
    for with in ["events", "missedByHooks", "...Counts } } } fragment Counts on Coverage { also: events __typename"] {
        // The fragment closes the braces that are closed below.
        let query = coverage("acme", with);
        let query = if with.starts_with("...") { query.trim_end_matches(" } }").to_owned() } else { query };
        let answer = gateway.ask(&query, json!({})).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "TIMEOUT", "{query}: {answer}");
    }
    lock.rollback().await.unwrap();
    let found = gateway.query(&coverage("acme", "events missedByHooks")).await;
    assert_eq!(found["ingestion"]["coverage"][0], json!({"events": 1, "missedByHooks": 0}));
}

#[tokio::test]
async fn a_server_process_that_a_full_disk_keeps_from_starting_is_unavailable() {
    let gateway = Gateway::start().await;
    let raise = |code: &str| {
        format!("DO $$ BEGIN RAISE EXCEPTION 'could not write init file' USING ERRCODE = '{code}'; END $$")
    };
    for (code, is_unavailable) in [("XX000", true), ("XX001", false)] {
        let failed = sqlx::raw_sql(sqlx::AssertSqlSafe(raise(code))).execute(&gateway.database.pool).await;
        assert_eq!(StoreError::from(failed.unwrap_err()).is_unavailable(), is_unavailable, "{code}");
    }
}
