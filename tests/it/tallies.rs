//! Events are counted for the way that brought them in the commit that stores them, by gateways and by commands.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::events::{delivery, lines, sync_event, sync_events};
use crate::gateway::Gateway;
use crate::log_stream::envelope;
use crate::process::GatewayProcess;

/// Returns the graph's numbers of each way: of events that it brought first, and of those that were there already.
async fn sources(gateway: &Gateway) -> BTreeMap<String, (u64, u64)> {
    let answer = gateway.query("{ ingestion { sources { source arrived duplicates } } }").await;
    let rows = answer["ingestion"]["sources"].as_array().unwrap();
    let number = |row: &Value, what: &str| row[what].as_u64().unwrap();
    rows.iter()
        .map(|row| (row["source"].as_str().unwrap().to_owned(), (number(row, "arrived"), number(row, "duplicates"))))
        .collect()
}

/// The tallies as they are stored: way, arrived, duplicates.
async fn tallies(pool: &PgPool) -> Vec<(i16, i64, i64)> {
    let rows = "SELECT source, arrived, duplicates FROM ingest_tally ORDER BY source";
    sqlx::query_as(rows).fetch_all(pool).await.unwrap()
}

#[tokio::test]
async fn every_way_that_brought_something_is_a_source_as_soon_as_it_is_acknowledged() {
    let gateway = Gateway::start().await;
    assert_eq!(sources(&gateway).await, BTreeMap::from([("EVENT_HOOK".to_owned(), (0, 0))]));
    let events = sync_events("one", 6);
    // One alone, several at once, one twice in a delivery.
    gateway.deliver(&events[..1]).await;
    gateway.deliver(&events[..3]).await;
    gateway.deliver(&[events[3].clone(), events[3].clone()]).await;
    gateway.deliver(&events[3..4]).await;
    assert_eq!(sources(&gateway).await["EVENT_HOOK"], (4, 3));
    gateway.post("workflows", json!({"Event Details": events[4], "UUID": events[4]["uuid"]}).to_string()).await;
    gateway.post("log-stream", envelope(&events[5]).to_string()).await;
    gateway.post("log-stream", envelope(&events[0]).to_string()).await;
    // Events that an earlier import brought are not appended again, but are counted as duplicates.
    let (_, first) = gateway.post("import", lines(&[events.clone(), sync_events("two", 2)].concat())).await;
    assert_eq!((&first["stored"], &first["duplicates"]), (&json!(2), &json!(6)));
    let (_, again) = gateway.post("import", lines(&events)).await;
    assert_eq!((&again["stored"], &again["duplicates"]), (&json!(0), &json!(6)));
    let expected = [("EVENT_HOOK", (4, 3)), ("WORKFLOWS", (1, 0)), ("LOG_STREAM", (1, 1)), ("IMPORT", (2, 12))];
    assert_eq!(sources(&gateway).await, expected.map(|(way, counts)| (way.to_owned(), counts)).into());
    let metrics = gateway.client.get(gateway.url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains(r#"source="log_stream",result="duplicate""#), "{metrics}");
    let times = "SELECT count(*) FROM ingest_tally WHERE first_arrival_at <= last_arrival_at \
                 AND first_arrival_at > now() - interval '1 hour'";
    assert_eq!(gateway.database.number(times).await, 4);
}

#[tokio::test]
async fn nothing_is_counted_for_an_append_that_fails() {
    let gateway = Gateway::start().await;
    let rule = "ALTER TABLE sync_event ADD CHECK (message IS DISTINCT FROM 'refuse me')";
    sqlx::query(rule).execute(&gateway.database.pool).await.unwrap();
    let mut events = sync_events("one", 5);
    events[2]["displayMessage"] = json!("refuse me");
    gateway.deliver(&events).await;
    assert_eq!(sources(&gateway).await["EVENT_HOOK"], (4, 0));
}

#[tokio::test]
async fn a_gateway_that_is_killed_after_an_import_forgets_none_of_it() {
    let mut gateway = GatewayProcess::start().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let events = sync_events("one", 5);
    let url = format!("http://{}/okta/acme/import", gateway.address);
    let post = client.post(url).header("authorization", crate::gateway::HOOK_SECRET).body(lines(&events));
    assert_eq!(post.send().await.unwrap().status(), 200);
    gateway.kill().await;
    gateway.start_again().await;
    assert_eq!(tallies(&gateway.pool()).await, [(3, 5, 0)]);
}

#[tokio::test]
async fn what_commands_bring_counts() {
    let gateway = GatewayProcess::start().await;
    let pool = gateway.pool();
    let file = gateway.beside("history.ndjson");
    fs::write(&file, lines(&sync_events("one", 3))).unwrap();
    for expected in [(3, 3, 0), (3, 3, 3)] {
        let mut import = gateway.command("import");
        assert!(import.arg(&file).status().await.unwrap().success(), "{}", gateway.output());
        assert_eq!(tallies(&pool).await, [expected]);
    }
    let insert = "INSERT INTO rejected (org, source, reason, raw, digest) VALUES ('acme', $1, 'old', $2, sha256($2))";
    for (source, raw) in [(0_i16, delivery(&sync_events("one", 2))), (4, envelope(&sync_event("one")))] {
        sqlx::query(insert).bind(source).bind(raw.to_string().as_bytes()).execute(&pool).await.unwrap();
    }
    assert!(gateway.command_of(&["rejected", "retry"]).status().await.unwrap().success(), "{}", gateway.output());
    assert_eq!(tallies(&pool).await, [(0, 2, 0), (3, 3, 3), (4, 1, 0)]);
}
