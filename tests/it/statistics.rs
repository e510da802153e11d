//! Counts of a connection: histograms over time, the most frequent values, and the one head of all of them.

use serde_json::{Value, json};

use crate::events::{sync_event, sync_events};
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

const HISTOGRAM: &str = "query ($filter: SyncEventFilter, $step: HistogramStep!, $by: SyncEventDimension, $keys: Int! = 5, \
                         $timeZone: String! = \"UTC\") { syncEvents(filter: $filter) { histogram(step: $step, by: $by, \
                         keys: $keys, timeZone: $timeZone) { buckets { from until count } \
                         series { key label isOther count counts } } } }";

/// As cheap as it can be, so that the limits of the histogram itself are met before that of the request's cost.
const BUCKETS: &str = "query ($filter: SyncEventFilter, $step: HistogramStep! = {buckets: 120}, $keys: Int! = 5, \
                       $timeZone: String! = \"UTC\") { syncEvents(filter: $filter) { histogram(step: $step, keys: $keys, \
                       timeZone: $timeZone) { buckets { count } } } }";

const TOP: &str = "query ($by: SyncEventDimension!, $search: String, $known: Boolean! = false, $first: Int! = 2, \
                   $after: String) { syncEvents { top(by: $by, search: $search, known: $known, first: $first, \
                   after: $after) { nodes { key label count lastEventAt } edges { cursor node { key } } \
                   pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount { value isExact } } } }";

impl Gateway {
    async fn histogram(&self, variables: Value) -> Value {
        self.query_with(HISTOGRAM, variables).await["syncEvents"]["histogram"].take()
    }

    /// The starts of the buckets that have events, with their counts. All buckets follow each other without a gap.
    async fn buckets(&self, variables: Value) -> Vec<(String, i64)> {
        let found = self.histogram(variables).await;
        let buckets = found["buckets"].as_array().unwrap();
        assert!(buckets.windows(2).all(|pair| pair[0]["until"] == pair[1]["from"]), "{found}");
        assert!(buckets.iter().all(|bucket| bucket["from"].as_str() < bucket["until"].as_str()), "{found}");
        let bucket = |bucket: &Value| (bucket["from"].as_str().unwrap().to_owned(), bucket["count"].as_i64().unwrap());
        buckets.iter().map(bucket).filter(|(_, count)| *count > 0).collect()
    }

    async fn refused_histogram(&self, variables: Value) -> String {
        let answer = self.ask(BUCKETS, variables).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{answer}");
        assert_eq!(
            answer["data"]["syncEvents"]["histogram"],
            Value::Null,
            "only the field itself has failed: {answer}"
        );
        answer["errors"][0]["message"].as_str().unwrap().to_owned()
    }

    async fn top(&self, variables: Value) -> Value {
        self.query_with(TOP, variables).await["syncEvents"]["top"].take()
    }
}

#[tokio::test]
async fn a_histogram_counts_events_in_intervals_of_the_calendar() {
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
            "Asia/Kolkata",
            vec![
                ("2025-03-29T23:30", 1),
                ("2025-03-30T00:30", 1),
                ("2025-03-30T11:30", 1),
                ("2025-03-31T09:30", 2),
                ("2025-04-02T09:30", 1),
            ],
        ),
    ] {
        let found = gateway.buckets(json!({"step": {"interval": interval}, "timeZone": time_zone})).await;
        assert_eq!(found.len(), expected.len(), "{interval} {time_zone}: {found:?}");
        for ((from, count), (expected_from, expected_count)) in found.iter().zip(expected) {
            assert!(from.starts_with(expected_from), "{interval} {time_zone}: {found:?}");
            assert_eq!(*count, expected_count, "{interval} {time_zone}: {found:?}");
        }
    }
    // The day on which the clocks go forward is an hour shorter.
    let found = gateway.histogram(json!({"step": {"interval": "DAY"}, "timeZone": "Europe/Berlin"})).await;
    let edges: Vec<_> = found["buckets"].as_array().unwrap().iter().map(|bucket| bucket["from"].clone()).collect();
    let days = [
        "2025-03-29T23:00:00.000Z",
        "2025-03-30T22:00:00.000Z",
        "2025-03-31T22:00:00.000Z",
        "2025-04-01T22:00:00.000Z",
    ];
    assert_eq!(edges, days);
}

#[tokio::test]
async fn about_so_many_buckets_have_a_round_length_and_cover_the_filters_range() {
    let gateway = Gateway::start().await;
    gateway.deliver(&events()).await;
    let range = |from: &str, until: &str| json!({"published": {"from": from, "until": until}});
    for (from, until, buckets, number, first_end) in [
        ("2025-03-30T00:00:00Z", "2025-03-31T00:00:00Z", 120, 96, "2025-03-30T00:15:00.000Z"),
        ("2025-03-30T00:07:00Z", "2025-03-30T00:08:00Z", 120, 60, "2025-03-30T00:07:01.000Z"),
        ("2025-03-01T00:00:00Z", "2025-03-31T00:00:00Z", 31, 30, "2025-03-02T00:00:00.000Z"),
        ("2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z", 12, 12, "2025-02-01T00:00:00.000Z"),
        // Quarters, of which the first begins before the range.
        ("2025-02-15T00:00:00Z", "2026-01-01T00:00:00Z", 4, 4, "2025-04-01T00:00:00.000Z"),
    ] {
        let found = gateway.histogram(json!({"filter": range(from, until), "step": {"buckets": buckets}})).await;
        let found = found["buckets"].as_array().unwrap();
        assert_eq!((found.len(), &found[0]["until"]), (number, &json!(first_end)), "{from} {until} {buckets}");
        assert!(found[number - 1]["until"].as_str().unwrap() >= &until[..19], "{from} {until} {buckets}");
    }
    // Without a range, from the first event that matches to the last one.
    let found =
        gateway.histogram(json!({"filter": {"applicationInstances": ["0oatwo"]}, "step": {"buckets": 5}})).await;
    let counts: Vec<_> = found["buckets"].as_array().unwrap().iter().map(|bucket| bucket["count"].clone()).collect();
    assert_eq!(counts, [1, 0, 0, 1]);
    assert_eq!(found["series"], json!([]));
    // A range is there without events; without either, there is nothing to count.
    let none = json!({"and": [range("2025-05-01T00:00:00Z", "2025-05-03T00:00:00Z")]});
    let found = gateway.histogram(json!({"filter": none, "step": {"interval": "DAY"}})).await;
    let counts: Vec<_> = found["buckets"].as_array().unwrap().iter().map(|bucket| bucket["count"].clone()).collect();
    assert_eq!(counts, [0, 0]);
    let found =
        gateway.histogram(json!({"filter": {"outcomes": ["NONE"]}, "step": {"buckets": 5}, "by": "USER"})).await;
    assert_eq!(found, json!({"buckets": [], "series": []}));
    let found = gateway
        .histogram(json!({"filter": range("0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z"), "step": {"buckets": 5}}))
        .await;
    assert_eq!(found["buckets"].as_array().unwrap().iter().filter(|bucket| bucket["count"] == 6).count(), 1);
}

#[tokio::test]
async fn series_are_the_most_frequent_keys_and_all_others_together() {
    let gateway = Gateway::start().await;
    let mut events = events();
    events.push(sync_event("one"));
    let newest = events.last_mut().unwrap();
    (newest["published"], newest["outcome"]) = ("2025-04-02T10:17:00Z".into(), Value::Null);
    gateway.deliver(&events).await;
    let by = |by: &str, keys: i32| json!({"step": {"interval": "MONTH"}, "by": by, "keys": keys});
    let series = |key: Value, label: Value, is_other: bool, counts: [i64; 2]| json!({"key": key, "label": label, "isOther": is_other, "count": counts[0] + counts[1], "counts": counts});
    let null = Value::Null;
    let instances = gateway.histogram(by("APPLICATION_INSTANCE", 5)).await;
    let both = [
        series(json!("0oaone"), json!("Label one"), false, [4, 1]),
        series(json!("0oatwo"), json!("Label two"), false, [1, 1]),
    ];
    assert_eq!(instances["series"], json!(both));
    let outcomes = gateway.histogram(by("OUTCOME", 1)).await;
    let expected =
        [series(json!("SUCCESS"), null.clone(), false, [4, 0]), series(null.clone(), null.clone(), true, [1, 2])];
    assert_eq!(outcomes["series"], json!(expected));
    // Events without an outcome are a series of their own, and not among the others.
    let outcomes = gateway.histogram(by("OUTCOME", 12)).await;
    assert_eq!(outcomes["series"][3], series(null.clone(), null.clone(), false, [0, 1]));
    let sources = gateway.histogram(by("FIRST_RECEIVED_VIA", 2)).await;
    assert_eq!(sources["series"], json!([series(json!("EVENT_HOOK"), null, false, [5, 2])]));
    for keys in [0, 51, -1] {
        assert!(gateway.refused_histogram(json!({"keys": keys})).await.contains("`keys`"));
    }
}

#[tokio::test]
async fn a_histogram_that_cannot_be_told_is_refused() {
    let gateway = Gateway::start().await;
    gateway.deliver(&events()).await;
    for zone in ["Europe/Atlantis", "", "ABC5", "UTC\0", "'; DROP TABLE sync_event"] {
        let told = gateway.refused_histogram(json!({"step": {"interval": "DAY"}, "timeZone": zone})).await;
        assert!(told.contains("`timeZone`"), "{told}");
    }
    for buckets in [0, -1, 10_001] {
        let told = gateway.refused_histogram(json!({"step": {"buckets": buckets}})).await;
        assert!(told.contains("`step.buckets`"), "{told}");
    }
    let range = |from: &str, until: &str| json!({"published": {"from": from, "until": until}});
    let week = range("2025-01-01T00:00:00Z", "2025-01-07T22:40:00Z");
    let found = gateway.histogram(json!({"filter": week, "step": {"interval": "MINUTE"}})).await;
    assert_eq!(found["buckets"].as_array().unwrap().len(), 10_000);
    for until in ["2025-01-07T22:41:00Z", "9999-01-01T00:00:00Z"] {
        let filter = range("2025-01-01T00:00:00Z", until);
        let told = gateway.refused_histogram(json!({"filter": filter, "step": {"interval": "MINUTE"}})).await;
        assert!(told.contains("10000 buckets"), "{told}");
    }
}

fn tally(key: Value, label: Value, count: i64, last: Option<&str>) -> Value {
    let mut tally = json!({"count": count, "lastEventAt": last});
    (tally["key"], tally["label"]) = (key, label);
    tally
}

#[tokio::test]
async fn the_most_frequent_values_come_first_with_what_people_call_them() {
    let gateway = Gateway::start().await;
    let mut events = events();
    events[5]["actor"] = json!({"id": "system", "type": "SystemPrincipal", "displayName": "Okta System"});
    events[4]["actor"]["displayName"] = "Ada Renamed".into();
    events[0]["target"][2] = json!({"type": "Other"});
    events[1]["target"][2] = json!({"type": "User", "displayName": "Without Id"});
    gateway.deliver(&events).await;
    let top = async |by: &str| gateway.top(json!({"by": by})).await["nodes"].take();
    let (monday, wednesday) = (Some("2025-03-31T10:15:50.000Z"), Some("2025-04-02T10:16:00.000Z"));
    let null = Value::Null;
    let of_instances = [
        tally(json!("0oaone"), json!("Label one"), 4, monday),
        tally(json!("0oatwo"), json!("Label two"), 2, wednesday),
    ];
    assert_eq!(top("APPLICATION_INSTANCE").await, json!(of_instances));
    let of_applications = [tally(json!("office365"), json!("Microsoft Office 365"), 6, wednesday)];
    assert_eq!(top("APPLICATION").await, json!(of_applications));
    let of_outcomes = [
        tally(json!("SUCCESS"), null.clone(), 4, monday),
        tally(json!("FAILURE"), null.clone(), 1, Some("2025-03-30T00:30:00.000Z")),
    ];
    assert_eq!(top("OUTCOME").await, json!(of_outcomes));
    let of_admins = [
        tally(json!("00uadmin"), json!("Ada Renamed"), 5, monday),
        tally(json!("system"), json!("Okta System"), 1, wednesday),
    ];
    assert_eq!(top("ADMIN").await, json!(of_admins));
    // A user without an id has no key, as events without a user have none.
    let of_users = [
        tally(json!("00ugrace"), json!("Grace User"), 4, wednesday),
        tally(null.clone(), null.clone(), 2, Some("2025-03-30T00:30:00.000Z")),
    ];
    assert_eq!(top("USER").await, json!(of_users));
    assert_eq!(top("FIRST_RECEIVED_VIA").await, json!([tally(json!("EVENT_HOOK"), null, 6, wednesday)]));
    for by in ["SEVERITY", "EVENT_TYPE"] {
        assert_eq!(top(by).await[0]["count"], 6, "{by}");
    }
    for first in [-1, 1001] {
        let answer = gateway.ask(TOP, json!({"by": "ADMIN", "first": first})).await;
        assert!(answer["errors"][0]["message"].as_str().unwrap().contains("`first`"), "{answer}");
    }
    let answer = gateway.ask(TOP, json!({"by": "ADMIN", "after": "e1.2"})).await;
    assert!(answer["errors"][0]["message"].as_str().unwrap().contains("`after`"), "{answer}");
}

#[tokio::test]
async fn pages_of_tallies_follow_each_other_and_a_search_finds_keys_and_labels() {
    let gateway = Gateway::start().await;
    let mut events: Vec<_> = (0..7).flat_map(|number| sync_events(&format!("n{number}"), 1 + number % 3)).collect();
    events[0]["target"][0] = json!({"type": "Other"});
    gateway.deliver(&events).await;
    let (mut seen, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = gateway.top(json!({"by": "APPLICATION_INSTANCE", "after": after})).await;
        assert_eq!(page["totalCount"], json!({"value": 7, "isExact": true}));
        assert_eq!(page["pageInfo"]["hasPreviousPage"], json!(!after.is_null()));
        seen.extend(page["nodes"].as_array().unwrap().iter().map(|node| (node["count"].clone(), node["key"].clone())));
        after = page["pageInfo"]["endCursor"].clone();
        assert_eq!(page["edges"].as_array().unwrap().last().unwrap()["cursor"], after);
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    let expected = [(3, "0oan2"), (3, "0oan5"), (2, "0oan1"), (2, "0oan4"), (1, "0oan3"), (1, "0oan6"), (1, "")];
    let expected = expected.map(|(count, key)| (json!(count), if key.is_empty() { Value::Null } else { json!(key) }));
    assert_eq!(seen, expected);
    let beyond = gateway.top(json!({"by": "APPLICATION_INSTANCE", "after": after})).await;
    assert_eq!((&beyond["nodes"], &beyond["totalCount"]["value"]), (&json!([]), &json!(7)));
    for (by, search, expected) in [
        ("APPLICATION_INSTANCE", "N4", vec![json!("0oan4")]),
        ("APPLICATION_INSTANCE", "label N5", vec![json!("0oan5")]),
        ("APPLICATION", "microsoft", vec![json!("office365")]),
        ("USER", "grace USER", vec![json!("00ugrace")]),
        ("ADMIN", "ada", vec![json!("00uadmin")]),
        ("EVENT_TYPE", "provision", vec![json!("application.provision.user.sync")]),
        ("FIRST_RECEIVED_VIA", "hook", vec![json!("EVENT_HOOK")]),
        ("APPLICATION_INSTANCE", "%", vec![]),
        ("APPLICATION_INSTANCE", "a\0b", vec![]),
    ] {
        let found = gateway.top(json!({"by": by, "search": search})).await;
        let keys: Vec<_> = found["nodes"].as_array().unwrap().iter().map(|node| node["key"].clone()).collect();
        assert_eq!((&keys, &found["totalCount"]["value"]), (&expected, &json!(expected.len())), "{by} {search}");
    }
}

#[tokio::test]
async fn known_values_without_events_follow_those_with_events() {
    let gateway = Gateway::start().await;
    gateway.deliver(&[sync_event("one"), sync_event("two")]).await;
    let top = async |more: Value| {
        let mut variables = json!({"known": true, "first": 100});
        variables.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        gateway.top(variables).await
    };
    let severities = top(json!({"by": "SEVERITY"})).await;
    let known = |key: &str| tally(json!(key), Value::Null, 0, None);
    assert_eq!(severities["nodes"][0]["key"], "INFO");
    assert_eq!(severities["nodes"].as_array().unwrap()[1..], [known("DEBUG"), known("ERROR"), known("WARN")]);
    assert_eq!(severities["totalCount"]["value"], 4);
    let sources = top(json!({"by": "FIRST_RECEIVED_VIA", "search": "log"})).await;
    assert_eq!(sources["nodes"], json!([known("SYSTEM_LOG"), known("LOG_STREAM")]));
    let types = top(json!({"by": "EVENT_TYPE", "search": "application.provision.user"})).await;
    assert!(types["nodes"].as_array().unwrap().len() > 3, "{types}");
    // The catalogue's instances, as far as the filter leaves them.
    let query = "{ syncEvents(filter: {outcomes: [\"FAILURE\"]}) { top(by: APPLICATION_INSTANCE, known: true) { \
                 nodes { key label count } } } }";
    let found = gateway.query(query).await["syncEvents"]["top"]["nodes"].take();
    let instance = |name: &str| json!({"key": format!("0oa{name}"), "label": format!("Label {name}"), "count": 0});
    assert_eq!(found, json!([instance("one"), instance("two")]));
    let query = query.replace("outcomes: [\"FAILURE\"]", "applicationInstances: [\"0oaone\"]");
    let found = gateway.query(&query).await["syncEvents"]["top"]["nodes"].take();
    assert_eq!(found, json!([{"key": "0oaone", "label": "Label one", "count": 1}]));
    let admins = top(json!({"by": "ADMIN"})).await;
    assert_eq!(admins["totalCount"]["value"], 1);
}

/// Everything that a connection tells is of one moment, while events arrive.
#[tokio::test]
async fn all_that_one_connection_tells_is_of_the_log_through_its_head() {
    let gateway = Gateway::start().await;
    let query = "{ syncEvents(first: 1000) { head nodes { position } totalCount(upTo: 1000000) { value } \
                 histogram(by: OUTCOME) { buckets { count } series { count } } \
                 top(by: APPLICATION, first: 1) { nodes { count } } } }";
    let aggregates = query.replace("nodes { position } ", "");
    let arrivals = async {
        for _ in 0..40 {
            gateway.deliver(&sync_events("one", 5)).await;
        }
    };
    let reads = async {
        for number in 0..40 {
            let found = gateway.query(if number % 2 == 0 { query } else { &aggregates }).await["syncEvents"].take();
            let head: i64 = found["head"].as_str().unwrap().parse().unwrap();
            let sum =
                |list: &Value| list.as_array().unwrap().iter().filter_map(|one| one["count"].as_i64()).sum::<i64>();
            let histogram = &found["histogram"];
            let told = [sum(&histogram["buckets"]), sum(&histogram["series"]), sum(&found["top"]["nodes"])];
            assert_eq!((told, &found["totalCount"]["value"]), ([head; 3], &json!(head)));
            if let Some(nodes) = found.get("nodes") {
                assert_eq!(nodes.as_array().unwrap().len(), usize::try_from(head).unwrap());
            }
        }
    };
    tokio::join!(arrivals, reads);
}

#[tokio::test]
async fn a_connection_of_nothing_but_counts_reads_no_events() {
    let gateway = Gateway::start().await;
    gateway.deliver(&sync_events("one", 3)).await;
    let query = "{ syncEvents(orderBy: {field: POSITION, direction: DESC}) { __typename head totalCount { value } } }";
    let expected = json!({"__typename": "SyncEventConnection", "head": "3", "totalCount": {"value": 3}});
    assert_eq!(gateway.query(query).await["syncEvents"], expected);
}
