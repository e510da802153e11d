//! Is anything missing? What was read whole is verified, and what hooks missed is counted.

use serde_json::{Value, json};
use sluice::okta::OFFERED_TO_HOOKS;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::events::{lines, sync_events};
use crate::gateway::Gateway;
use crate::okta_org::{OktaOrg, wait_until};

fn text(moment: OffsetDateTime) -> String {
    moment.format(&Rfc3339).unwrap()
}

/// What is known of a range.
pub(crate) async fn coverage(gateway: &Gateway, from: OffsetDateTime, until: OffsetDateTime) -> Vec<Value> {
    let query = "query ($from: DateTime!, $until: DateTime!) { ingestion { \
                 coverage(published: {from: $from, until: $until}) { from until state events missedByHooks } } }";
    let found = gateway.query_with(query, json!({"from": text(from), "until": text(until)})).await;
    found["ingestion"]["coverage"].as_array().unwrap().clone()
}

/// Waits until the whole range is verified, and gives the one stretch.
pub(crate) async fn verified(gateway: &Gateway, from: OffsetDateTime, until: OffsetDateTime) -> Value {
    let is_verified = |stretches: &[Value]| matches!(stretches, [one] if one["state"] == "VERIFIED");
    wait_until("verified", async || is_verified(&coverage(gateway, from, until).await)).await;
    coverage(gateway, from, until).await.remove(0)
}

#[tokio::test]
async fn without_a_system_log_nothing_is_verified() {
    let gateway = Gateway::start().await;
    gateway.deliver(&sync_events("1", 3)).await;
    let at = time::macros::datetime!(2026-03-04 00:00 UTC);
    let found = coverage(&gateway, at, at + time::Duration::DAY).await;
    let expected = json!([{"from": "2026-03-04T00:00:00.000Z", "until": "2026-03-05T00:00:00.000Z",
        "state": "UNVERIFIED", "events": 3, "missedByHooks": 0}]);
    assert_eq!(json!(found), expected);
    let wrong = "{ ingestion { coverage(published: {from: \"2026-03-05T00:00:00Z\", until: \"2026-03-04T00:00:00Z\"}) \
                 { events } } }";
    assert_eq!(gateway.ask(wrong, json!({})).await["errors"][0]["extensions"]["code"], "BAD_USER_INPUT");
}

#[tokio::test]
async fn what_was_read_whole_is_verified_and_later_arrivals_revise_it() {
    let mut org = OktaOrg::start().await;
    org.have_history(300, 48);
    let gateway = Gateway::start_with(|settings| org.read_by(settings)).await;
    let now = OffsetDateTime::now_utc();
    let (from, until) = (now - time::Duration::hours(72), now);
    let whole = verified(&gateway, from, until).await;
    let entries = org.api.log().entries();
    let is_offered = |event_type: &str| OFFERED_TO_HOOKS.contains(&event_type);
    assert!(entries.iter().any(|entry| is_offered(&entry.event_type)));
    assert_eq!((&whole["events"], &whole["missedByHooks"]), (&json!(300), &json!(0)), "there was no hook yet");
    // The first day has no event, and is verified all the same.
    let empty = verified(&gateway, from, now - time::Duration::hours(49)).await;
    assert_eq!((&empty["events"], &empty["missedByHooks"]), (&json!(0), &json!(0)));
    // Hooks can miss events from the first delivery on; an event that a late delivery brings is not missed.
    let first = entries.iter().find(|entry| is_offered(&entry.event_type)).unwrap();
    gateway.deliver(&[serde_json::from_str(&first.json).unwrap()]).await;
    assert_eq!(coverage(&gateway, from, until).await[0]["missedByHooks"], 0);
    let later = org.happen(50);
    let missed: Vec<_> = later.iter().filter(|event| is_offered(event.event_type)).collect();
    assert!(!missed.is_empty());
    org.wait_for(&gateway.database.pool, 350).await;
    let since = async || {
        let stretches = coverage(&gateway, now, OffsetDateTime::now_utc() + time::Duration::MINUTE).await;
        let sum = |what: &str| stretches.iter().map(|stretch| stretch[what].as_u64().unwrap()).sum::<u64>();
        (sum("events"), sum("missedByHooks"))
    };
    assert_eq!(since().await, (50, missed.len() as u64));
    gateway.deliver(&[serde_json::from_str(&missed[0].hook_json()).unwrap()]).await;
    assert_eq!(since().await, (50, missed.len() as u64 - 1));
    // An import alone tells nothing of hooks.
    let mut imported = sync_events("imported", 3);
    for event in &mut imported {
        event["published"] = json!(text(OffsetDateTime::now_utc()));
    }
    assert_eq!(gateway.post("import", lines(&imported)).await.1["stored"], 3);
    assert_eq!(since().await, (53, missed.len() as u64 - 1));
    // An event that is later than all measure is counted, too.
    let happened = org.happen_at(now - time::Duration::hours(60));
    org.wait_for(&gateway.database.pool, 354).await;
    let revised = verified(&gateway, from, until).await;
    assert_eq!(revised["events"], json!(301), "{happened:?}");
    // What lies ahead is not known.
    let beyond = coverage(&gateway, from, now + time::Duration::DAY).await;
    assert_eq!(beyond.last().unwrap()["state"], "UNVERIFIED");
}

#[tokio::test]
async fn sources_tell_how_they_are_doing() {
    let mut org = OktaOrg::start().await;
    org.happen(20);
    let gateway = Gateway::start_with(|settings| org.read_by(settings)).await;
    org.wait_for(&gateway.database.pool, 20).await;
    let entries = org.api.log().entries();
    let events: Vec<Value> = entries.iter().take(5).map(|entry| serde_json::from_str(&entry.json).unwrap()).collect();
    gateway.deliver(&events).await;
    gateway.deliver(&sync_events("1", 2)).await;
    let query = "{ ingestion { sources { org source state lastArrivalAt lagSeconds arrived duplicates \
                 backfill { progress } lastError { message at } } } }";
    let sources = async || gateway.query(query).await["ingestion"]["sources"].as_array().unwrap().clone();
    let found = sources().await;
    let [hook, log] = &found[..] else { panic!("{found:?}") };
    assert_eq!(
        (&hook["source"], &hook["state"], &hook["org"]),
        (&json!("EVENT_HOOK"), &json!("RECEIVING"), &json!("acme"))
    );
    assert_eq!((&hook["arrived"], &hook["duplicates"], &hook["lastError"]), (&json!(2), &json!(5), &Value::Null));
    assert_eq!(
        (&log["source"], &log["state"], &log["arrived"], &log["backfill"]),
        (&json!("SYSTEM_LOG"), &json!("FOLLOWING"), &json!(20), &Value::Null)
    );
    assert!(log["lagSeconds"].as_f64().unwrap() < 30.0 && log["lastArrivalAt"].is_string(), "{log}");
    // A delivery that Okta gave up on shows.
    let delivery = org.organisation.hook().delivery(uuid::Uuid::new_v4(), OffsetDateTime::now_utc(), vec![]);
    org.api.log().record(&delivery.failure(OffsetDateTime::now_utc()));
    wait_until("the failure", async || sources().await[0]["state"] == "FAILING").await;
    assert!(sources().await[0]["lastError"]["message"].as_str().unwrap().contains("could not deliver"));
    let before = OffsetDateTime::now_utc();
    org.api.fail_logs(okta_sim::Fault::Status(500), 3);
    wait_until("an error", async || {
        let log = &sources().await[1];
        log["state"] == "FAILING" && log["lastError"]["message"].as_str().is_some_and(|error| error.contains("500"))
    })
    .await;
    let at = sources().await[1]["lastError"]["at"].as_str().map(|at| OffsetDateTime::parse(at, &Rfc3339).unwrap());
    assert!(at.is_none_or(|at| at > before - time::Duration::seconds(5)), "{at:?}");
}

#[tokio::test]
async fn each_count_of_a_stretch_is_told_also_alone() {
    let mut org = OktaOrg::start().await;
    let gateway = Gateway::start_with(|settings| org.read_by(settings)).await;
    let from = OffsetDateTime::now_utc();
    gateway.deliver(&sync_events("first", 1)).await;
    let happened = org.happen(40);
    org.wait_for(&gateway.database.pool, 41).await;
    let missed = happened.iter().filter(|event| OFFERED_TO_HOOKS.contains(&event.event_type)).count();
    assert!(missed > 0);
    let until = OffsetDateTime::now_utc() + time::Duration::MINUTE;
    for (field, expected) in [("events", 40), ("missedByHooks", missed)] {
        let query = format!(
            "query ($from: DateTime!, $until: DateTime!) {{ ingestion {{ \
             coverage(published: {{from: $from, until: $until}}) {{ {field} }} }} }}"
        );
        let found = gateway.query_with(&query, json!({"from": text(from), "until": text(until)})).await;
        let stretches = found["ingestion"]["coverage"].as_array().unwrap();
        let sum: u64 = stretches.iter().map(|stretch| stretch[field].as_u64().unwrap()).sum();
        assert_eq!(sum, expected as u64, "{field}");
    }
}

#[tokio::test]
async fn a_system_log_that_is_read_no_more_is_still_listed_with_what_it_brought() {
    let mut org = OktaOrg::start().await;
    org.happen(20);
    let gateway = Gateway::start_with(|settings| org.read_by(settings)).await;
    org.wait_for(&gateway.database.pool, 20).await;
    let (database, settings) = (gateway.database.clone(), crate::gateway::settings(&gateway.database));
    gateway.stop().await;
    sqlx::query("DELETE FROM poll_cursor").execute(&database.pool).await.unwrap();
    let gateway = Gateway::start_over(database, settings).await;
    let sources =
        gateway.query("{ ingestion { sources { source state arrived } } }").await["ingestion"]["sources"].take();
    let expected = json!([
        {"source": "EVENT_HOOK", "state": "WAITING", "arrived": 0},
        {"source": "SYSTEM_LOG", "state": "RECEIVING", "arrived": 20},
    ]);
    assert_eq!(sources, expected);
}
