//! Counts: activity over time, and what there is most of.

use serde_json::{Value, json};

use crate::events::sync_event;
use crate::gateway::Gateway;

/// Events, each on its day at its time, in an instance, with an outcome.
fn events() -> Vec<Value> {
    let events = [
        ("2025-03-29T23:30:00Z", "one", "SUCCESS"), // a Saturday; in Berlin already Sunday
        ("2025-03-30T00:30:00Z", "one", "FAILURE"), // the night of summer time
        ("2025-03-30T12:00:00Z", "two", "SUCCESS"),
        ("2025-03-31T10:15:10Z", "one", "SUCCESS"), // a Monday
        ("2025-03-31T10:15:50Z", "one", "SUCCESS"),
        ("2025-04-02T10:16:00Z", "two", "SKIPPED"),
    ];
    let event = |(published, instance, outcome): (&str, &str, &str)| {
        let mut event = sync_event(instance);
        event["published"] = published.into();
        event["outcome"]["result"] = outcome.into();
        event
    };
    events.into_iter().map(event).collect()
}

const ACTIVITY: &str = "query ($filter: SyncEventFilter, $interval: ActivityInterval!, $by: SyncEventDimension, \
                        $timeZone: String) { activity(filter: $filter, interval: $interval, by: $by, \
                        timeZone: $timeZone) { start key label count } }";

impl Gateway {
    async fn activity(&self, variables: Value) -> Vec<(String, Option<String>, i64)> {
        let found = self.query_with(ACTIVITY, variables).await;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let bucket =
            |bucket: &Value| (text(&bucket["start"]).unwrap(), text(&bucket["key"]), bucket["count"].as_i64().unwrap());
        found["activity"].as_array().unwrap().iter().map(bucket).collect()
    }

    async fn refused_activity(&self, variables: Value) -> String {
        let answer = self.ask(ACTIVITY, variables).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{answer}");
        answer["errors"][0]["message"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn activity_counts_events_in_stretches_of_time() {
    let gateway = Gateway::start().await;
    gateway.deliver(&events()).await;
    for (interval, time_zone, expected) in [
        (
            "MINUTE",
            "UTC",
            vec![
                ("2025-03-29T23:30", 1),
                ("2025-03-30T00:30", 1),
                ("2025-03-30T12:00", 1),
                ("2025-03-31T10:15", 2),
                ("2025-04-02T10:16", 1),
            ],
        ),
        ("DAY", "UTC", vec![("2025-03-29T00", 1), ("2025-03-30T00", 2), ("2025-03-31T00", 2), ("2025-04-02T00", 1)]),
        // Midnight in Berlin, before and after the clocks went forward.
        ("DAY", "Europe/Berlin", vec![("2025-03-29T23", 3), ("2025-03-30T22", 2), ("2025-04-01T22", 1)]),
        ("WEEK", "UTC", vec![("2025-03-24T00", 3), ("2025-03-31T00", 3)]),
        ("MONTH", "UTC", vec![("2025-03-01T00", 5), ("2025-04-01T00", 1)]),
        (
            "HOUR",
            "UTC",
            vec![
                ("2025-03-29T23:00", 1),
                ("2025-03-30T00:00", 1),
                ("2025-03-30T12:00", 1),
                ("2025-03-31T10:00", 2),
                ("2025-04-02T10:00", 1),
            ],
        ),
    ] {
        let found = gateway.activity(json!({"interval": interval, "timeZone": time_zone})).await;
        assert_eq!(found.len(), expected.len(), "{interval} {time_zone}: {found:?}");
        for ((start, key, count), (expected_start, expected_count)) in found.iter().zip(expected) {
            assert!(start.starts_with(expected_start), "{interval} {time_zone}: {found:?}");
            assert_eq!((key, *count), (&None, expected_count), "{interval} {time_zone}: {found:?}");
        }
    }
    let filter = json!({"outcomes": ["SUCCESS"], "published": {"from": "2025-03-30T00:00:00Z"}});
    let variables = json!({"interval": "MONTH", "by": "APPLICATION_INSTANCE", "filter": filter});
    let start = "2025-03-01T00:00:00.000Z".to_owned();
    let expected = [(start.clone(), Some("0oaone".to_owned()), 2), (start, Some("0oatwo".to_owned()), 1)];
    assert_eq!(gateway.activity(variables).await, expected);
}

#[tokio::test]
async fn what_there_is_most_of_comes_first_with_what_people_call_it() {
    let gateway = Gateway::start().await;
    let mut events = events();
    events[5]["actor"] = json!({"id": "system", "type": "SystemPrincipal", "displayName": "Okta System"});
    events[4]["actor"]["displayName"] = "Ada Renamed".into();
    events[0]["target"][2] = json!({"type": "Other"});
    gateway.deliver(&events).await;
    let query =
        "query ($by: SyncEventDimension!, $first: Int) { top(by: $by, first: $first) { key label count lastEventAt } }";
    let top = |by: &'static str| {
        let gateway = &gateway;
        async move { gateway.query_with(query, json!({"by": by, "first": 2})).await["top"].clone() }
    };
    let tally = |key: Value, label: Value, count: i64, last: &str| json!({"key": key, "label": label, "count": count, "lastEventAt": last});
    let (monday, wednesday) = ("2025-03-31T10:15:50.000Z", "2025-04-02T10:16:00.000Z");
    let of_instances = [
        tally(json!("0oaone"), json!("Label one"), 4, monday),
        tally(json!("0oatwo"), json!("Label two"), 2, wednesday),
    ];
    assert_eq!(top("APPLICATION_INSTANCE").await, json!(of_instances));
    let of_applications = [tally(json!("office365"), json!("Microsoft Office 365"), 6, wednesday)];
    assert_eq!(top("APPLICATION").await, json!(of_applications));
    let of_outcomes = [
        tally(json!("SUCCESS"), json!(null), 4, monday),
        tally(json!("FAILURE"), json!(null), 1, "2025-03-30T00:30:00.000Z"),
    ];
    assert_eq!(top("OUTCOME").await, json!(of_outcomes));
    let of_admins = [
        tally(json!("00uadmin"), json!("Ada Renamed"), 5, monday),
        tally(json!("system"), json!("Okta System"), 1, wednesday),
    ];
    assert_eq!(top("ADMIN").await, json!(of_admins));
    let of_users = [
        tally(json!("00ugrace"), json!("Grace User"), 5, wednesday),
        tally(json!(null), json!(null), 1, "2025-03-29T23:30:00.000Z"),
    ];
    assert_eq!(top("USER").await, json!(of_users));
    assert_eq!(top("FIRST_RECEIVED_VIA").await, json!([tally(json!("EVENT_HOOK"), json!(null), 6, wednesday)]));
    for by in ["SEVERITY", "EVENT_TYPE"] {
        assert_eq!(top(by).await[0]["count"], 6, "{by}");
    }
    for first in [-1, 1001] {
        let answer = gateway.ask(query, json!({"by": "ADMIN", "first": first})).await;
        assert!(answer["errors"][0]["message"].as_str().unwrap().contains("`first`"), "{answer}");
    }
}

#[tokio::test]
async fn activity_that_cannot_be_told_is_refused() {
    let gateway = Gateway::start().await;
    for zone in ["Europe/Atlantis", "", "ABC5", "UTC\0", "'; DROP TABLE sync_event"] {
        let told = gateway.refused_activity(json!({"interval": "DAY", "timeZone": zone})).await;
        assert!(told.contains("`timeZone`"), "{told}");
    }
    // More buckets than an answer has: an event a minute.
    for day in 0..3 {
        let event = |minute: usize| {
            let mut event = sync_event("one");
            let of_day = minute % 1440;
            event["published"] =
                format!("2025-01-{:02}T{:02}:{:02}:00Z", 1 + day * 3 + minute / 1440, of_day / 60, of_day % 60).into();
            event
        };
        gateway.deliver(&(0..3400).map(event).collect::<Vec<_>>()).await;
    }
    let told = gateway.refused_activity(json!({"interval": "MINUTE"})).await;
    assert!(told.contains("10000 buckets"), "{told}");
    assert_eq!(gateway.activity(json!({"interval": "DAY"})).await.iter().map(|bucket| bucket.2).sum::<i64>(), 10_200);
}

#[tokio::test]
async fn the_largest_number_of_keys_may_be_asked_for() {
    let gateway = Gateway::start().await;
    gateway.deliver(&[sync_event("one"), sync_event("two"), sync_event("two")]).await;
    let query = "query ($first: Int) { top(by: APPLICATION_INSTANCE, first: $first) { key count } }";
    let whole = json!([{"key": "0oatwo", "count": 2}, {"key": "0oaone", "count": 1}]);
    for (first, expected) in [(1000, whole), (1, json!([{"key": "0oatwo", "count": 2}])), (0, json!([]))] {
        assert_eq!(gateway.query_with(query, json!({"first": first})).await["top"], expected, "{first}");
    }
    let refused = gateway.ask(query, json!({"first": 1001})).await;
    assert_eq!(refused["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{refused}");
}
