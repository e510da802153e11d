//! Pages of events: the same list however it is read, and the same events however they are asked for.

use serde_json::{Value, json};
use sluice::auth::HookSecrets;

use crate::database::TestDatabase;
use crate::events::{delivery, sync_event, sync_events, uuid};
use crate::gateway::{Gateway, every_event_type, settings};

const PAGE: &str = "query ($filter: SyncEventFilter, $first: Int, $after: String, $last: Int, $before: String) { \
                    syncEvents(filter: $filter, first: $first, after: $after, last: $last, before: $before) { \
                    nodes { position } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } \
                    edges { cursor } } }";

const EVENTS: usize = 60;

/// Whether a filter wants an event.
type IsWanted = fn(&Value) -> bool;

fn published(event: &Value) -> &str {
    event["published"].as_str().unwrap()
}

fn is_of(instance: &str, event: &Value) -> bool {
    event["target"][0]["id"] == instance
}

fn is_slack(event: &Value) -> bool {
    event["debugContext"]["debugData"]["appname"] == "slack"
}

fn is_added(event: &Value) -> bool {
    event["eventType"] == "application.user_membership.add"
}

/// What the gateways of these tests hold: events of five months, three instances of two applications, two types; always
/// two in a row happened at the same moment. By their positions.
fn history() -> Vec<Value> {
    let event = |index: usize| {
        let mut event = sync_event(["one", "two", "three"][index % 3]);
        // The later half happened first.
        let moment = (EVENTS - index) / 2;
        event["published"] = format!("2025-{:02}-{:02}T00:00:00.000Z", 1 + moment % 5, 1 + moment / 5).into();
        if index.is_multiple_of(3) {
            event["debugContext"]["debugData"]["appname"] = "slack".into();
        }
        if index.is_multiple_of(4) {
            event["eventType"] = "application.user_membership.add".into();
        }
        event
    };
    (0..EVENTS).map(event).collect()
}

/// The positions of the events that are wanted, newest event first.
fn newest_first(history: &[Value], is_wanted: impl Fn(&Value) -> bool) -> Vec<usize> {
    let mut wanted: Vec<_> =
        (1..).zip(history).filter(|(_, event)| is_wanted(event)).map(|(at, event)| (published(event), at)).collect();
    wanted.sort_unstable();
    wanted.into_iter().rev().map(|(_, position)| position).collect()
}

impl Gateway {
    async fn start_with_history() -> (Self, Vec<Value>) {
        let gateway = Self::start().await;
        let history = history();
        gateway.deliver(&history).await;
        (gateway, history)
    }

    async fn page(&self, variables: Value) -> Value {
        self.query_with(PAGE, variables).await["syncEvents"].clone()
    }

    /// The code of the error with which a page is refused.
    async fn refused_page(&self, variables: Value) -> Value {
        let answer = self.ask(PAGE, variables).await;
        assert!(answer["data"]["syncEvents"].is_null(), "{answer}");
        answer["errors"][0]["extensions"]["code"].clone()
    }
}

fn positions(page: &Value) -> Vec<usize> {
    let position = |node: &Value| node["position"].as_str().unwrap().parse().unwrap();
    page["nodes"].as_array().unwrap().iter().map(position).collect()
}

#[tokio::test]
async fn paging_forward_and_backward_gives_the_whole_list() {
    let (gateway, history) = Gateway::start_with_history().await;
    let expected = newest_first(&history, |_| true);
    let whole = gateway.page(json!({"first": 1000})).await;
    assert_eq!(positions(&whole), expected);
    let ends = |page: &Value| (page["pageInfo"]["hasPreviousPage"].clone(), page["pageInfo"]["hasNextPage"].clone());
    assert_eq!(ends(&whole), (json!(false), json!(false)));
    for size in [1, 7, EVENTS, EVENTS - 1] {
        let (mut forward, mut cursor) = (Vec::new(), Value::Null);
        let (mut backward, mut before) = (Vec::new(), Value::Null);
        while forward.len() < EVENTS {
            let page = gateway.page(json!({"first": size, "after": cursor})).await;
            let is_first = forward.is_empty();
            forward.extend(positions(&page));
            assert_eq!(ends(&page), (json!(!is_first), json!(forward.len() < EVENTS)), "{size}");
            assert_eq!(page["edges"].as_array().unwrap().last().unwrap()["cursor"], page["pageInfo"]["endCursor"]);
            cursor = page["pageInfo"]["endCursor"].clone();
        }
        while backward.len() < EVENTS {
            let page = gateway.page(json!({"last": size, "before": before})).await;
            let is_last = backward.is_empty();
            backward.splice(0..0, positions(&page));
            assert_eq!(ends(&page), (json!(backward.len() < EVENTS), json!(!is_last)), "{size}");
            assert_eq!(page["edges"][0]["cursor"], page["pageInfo"]["startCursor"]);
            before = page["pageInfo"]["startCursor"].clone();
        }
        assert_eq!((&forward, &backward), (&expected, &expected), "{size}");
        let beyond = gateway.page(json!({"first": size, "after": cursor})).await;
        assert_eq!((positions(&beyond), ends(&beyond).1), (Vec::new(), json!(false)));
    }
}

#[tokio::test]
async fn a_page_lies_between_two_cursors() {
    let (gateway, history) = Gateway::start_with_history().await;
    let expected = newest_first(&history, |_| true);
    let whole = gateway.page(json!({"first": 1000})).await;
    let (after, before) = (&whole["edges"][9]["cursor"], &whole["edges"][20]["cursor"]);
    let between = gateway.page(json!({"after": after, "before": before})).await;
    assert_eq!(positions(&between), expected[10..20]);
    let first = gateway.page(json!({"after": after, "before": before, "first": 3})).await;
    assert_eq!(positions(&first), expected[10..13]);
    let last = gateway.page(json!({"after": after, "before": before, "last": 3})).await;
    assert_eq!(positions(&last), expected[17..20]);
    let nothing = gateway.page(json!({"first": 0})).await;
    assert_eq!((positions(&nothing), &nothing["pageInfo"]["hasNextPage"]), (Vec::new(), &json!(true)));
}

#[tokio::test]
async fn whether_a_list_goes_on_is_told_of_the_list_and_not_of_a_cursor() {
    let (gateway, history) = Gateway::start_with_history().await;
    let (whole, filter) = (newest_first(&history, |_| true), json!({"applications": ["slack"]}));
    let list = newest_first(&history, is_slack);
    let edges = gateway.page(json!({"first": 1000})).await["edges"].clone();
    // Cursors of the whole list, most of them of events that are not in the filtered one.
    for (place, edge) in edges.as_array().unwrap().iter().enumerate() {
        let cursor = &edge["cursor"];
        let is_in = |position: &usize, range: &[usize]| range.contains(position);
        let (upto, since) = (&whole[..=place], &whole[place..]);
        let behind = list.iter().filter(|position| is_in(position, upto)).count();
        let ahead = list.iter().filter(|position| is_in(position, since)).count();
        for size in [1, 7] {
            let page = gateway.page(json!({"filter": filter, "first": size, "after": cursor})).await;
            assert_eq!(page["pageInfo"]["hasPreviousPage"], behind > 0, "after {place}: {page}");
            assert_eq!(page["pageInfo"]["hasNextPage"], list.len() - behind > size, "after {place}: {page}");
            let page = gateway.page(json!({"filter": filter, "last": size, "before": cursor})).await;
            assert_eq!(page["pageInfo"]["hasNextPage"], ahead > 0, "before {place}: {page}");
            assert_eq!(page["pageInfo"]["hasPreviousPage"], list.len() - ahead > size, "before {place}: {page}");
        }
        // Between two cursors.
        let page =
            gateway.page(json!({"filter": filter, "first": 50, "after": edges[3]["cursor"], "before": cursor})).await;
        if place > 3 {
            assert_eq!(page["pageInfo"]["hasNextPage"], ahead > 0, "3 to {place}: {page}");
        }
    }
}

#[tokio::test]
async fn a_page_has_50_events_where_nothing_is_said_and_1000_at_most() {
    let gateway = Gateway::start().await;
    gateway.deliver(&sync_events("one", 1001)).await;
    assert_eq!(positions(&gateway.page(json!({})).await), (952..=1001).rev().collect::<Vec<_>>());
    assert_eq!(positions(&gateway.page(json!({"first": 1000})).await).len(), 1000);
    let cursor = gateway.page(json!({"first": 1})).await["pageInfo"]["endCursor"].clone();
    let of_a_catalogue = "query { applications { pageInfo { endCursor } } }";
    let foreign = gateway.query(of_a_catalogue).await["applications"]["pageInfo"]["endCursor"].clone();
    assert!(foreign.is_string());
    for refused in [
        json!({"first": 1001}),
        json!({"last": 1001}),
        json!({"first": -1}),
        json!({"last": -1}),
        json!({"first": 1, "last": 1}),
        json!({"after": foreign}),
        json!({"before": "garbage"}),
        json!({"after": ""}),
        json!({"after": format!("{}0", cursor.as_str().unwrap().replace('.', ".x"))}),
        json!({"after": "e99999999999999999.1"}),
        json!({"filter": {"eventTypes": ["a*b"]}}),
        json!({"filter": {"applicationInstanceUrls": ["https://acme.okta.example/admin"]}}),
        json!({"filter": {"orgs": vec!["acme"; 1001]}}),
    ] {
        assert_eq!(gateway.refused_page(refused.clone()).await, "BAD_USER_INPUT", "{refused}");
    }
}

#[tokio::test]
async fn a_filter_finds_what_it_says() {
    const MONTH: &str = "2025-03-01T00:00:00.000Z";
    let (gateway, history) = Gateway::start_with_history().await;
    let url = |name: &str| format!("https://acme-admin.okta.example/admin/app/office365/instance/0oa{name}/");
    let cases: [(Value, IsWanted); 16] = [
        (json!({"orgs": ["acme"]}), |_| true),
        (json!({"orgs": ["other"]}), |_| false),
        (json!({"applications": ["slack"]}), is_slack),
        (json!({"applications": ["slack", "office365", "slack"]}), |_| true),
        (json!({"applicationInstances": ["0oatwo"]}), |event| is_of("0oatwo", event)),
        (json!({"applicationInstances": ["0oathree", "0oaone", "0oanone"]}), |event| !is_of("0oatwo", event)),
        (json!({"applicationInstanceUrls": [url("one"), url("two")]}), |event| !is_of("0oathree", event)),
        (
            json!({"applicationInstanceUrls": [url("one"), url("two")],
                   "applicationInstances": ["0oatwo", "0oathree"]}),
            |event| is_of("0oatwo", event),
        ),
        (json!({"eventTypes": ["application.user_membership.add"]}), is_added),
        (json!({"eventTypes": ["application.user_membership.*", "application.unheard.of"]}), is_added),
        (json!({"eventTypes": ["*"]}), |_| true),
        (json!({"published": {"from": MONTH}}), |event| MONTH <= published(event)),
        (json!({"published": {"until": MONTH}}), |event| published(event) < MONTH),
        (json!({"published": {"from": MONTH, "until": "2025-03-01T00:00:00.001Z"}}), |event| published(event) == MONTH),
        (
            json!({"published": {"from": "2025-03-01T02:00:00+02:00", "until": "2025-04-01T00:00:00Z"},
                   "applications": ["slack", "office365"], "eventTypes": ["application.user_membership.*"]}),
            |event| published(event).starts_with("2025-03") && is_added(event),
        ),
        (json!({"applications": ["slack"], "applicationInstances": ["0oaone"]}), |event| {
            is_slack(event) && is_of("0oaone", event)
        }),
    ];
    for (filter, is_wanted) in cases {
        let expected = newest_first(&history, is_wanted);
        assert_eq!(expected.is_empty(), filter == json!({"orgs": ["other"]}), "{filter} tests nothing");
        assert_eq!(positions(&gateway.page(json!({"filter": filter, "first": 1000})).await), expected, "{filter}");
        let mut paged = Vec::new();
        let mut before = Value::Null;
        loop {
            let page = gateway.page(json!({"filter": filter, "last": 7, "before": before})).await;
            paged.splice(0..0, positions(&page));
            before = page["pageInfo"]["startCursor"].clone();
            if page["pageInfo"]["hasPreviousPage"] == false {
                break;
            }
        }
        assert_eq!(paged, expected, "{filter}");
    }
    for field in ["orgs", "applications", "applicationInstances", "applicationInstanceUrls", "eventTypes"] {
        let nothing = json!({"filter": {field: []}});
        assert!(positions(&gateway.page(nothing).await).is_empty(), "an empty list of {field} matches nothing");
    }
}

#[tokio::test]
async fn events_are_counted_as_far_as_is_asked() {
    let (gateway, history) = Gateway::start_with_history().await;
    let slack = newest_first(&history, is_slack).len();
    let query = "query ($upTo: Int!) { syncEvents(filter: {applications: [\"slack\"]}, first: 1) { \
                 totalCount(upTo: $upTo) { value isExact } all: totalCount { value isExact } } }";
    for (up_to, value, is_exact) in [(slack + 1, slack, true), (slack, slack, true), (slack - 1, slack - 1, false)] {
        let counted = &gateway.query_with(query, json!({"upTo": up_to})).await["syncEvents"];
        assert_eq!(counted["totalCount"], json!({"value": value, "isExact": is_exact}), "{up_to}");
        assert_eq!(counted["all"], json!({"value": slack, "isExact": true}));
    }
    let refused = gateway.ask(query, json!({"upTo": 1_000_001})).await;
    assert_eq!(refused["errors"][0]["extensions"]["code"], "BAD_USER_INPUT");
}

#[tokio::test]
async fn an_event_is_found_by_its_uuid_and_by_org_where_several_have_one() {
    let database = TestDatabase::new().await;
    let mut settings = settings(&database);
    let mut other = settings.orgs["acme"].clone();
    (other.hook, other.event_types) = (HookSecrets::new("authorization", Vec::new()), every_event_type());
    settings.orgs.insert("other".to_owned(), other);
    let gateway = Gateway::start_over(database, settings).await;
    let (shared, single) = (sync_event("one"), sync_event("one"));
    gateway.deliver(&[shared.clone(), single.clone()]).await;
    let to_other =
        gateway.client.post(gateway.url("/okta/other/hooks")).body(delivery(std::slice::from_ref(&shared)).to_string());
    assert!(to_other.send().await.unwrap().status().is_success());

    let query = "query ($uuid: UUID!, $org: String) { syncEvent(uuid: $uuid, org: $org) { org position } }";
    let found = gateway.query_with(query, json!({"uuid": uuid(&single)})).await;
    assert_eq!(found["syncEvent"], json!({"org": "acme", "position": "2"}));
    for (org, position) in [("acme", "1"), ("other", "3")] {
        let found = gateway.query_with(query, json!({"uuid": uuid(&shared), "org": org})).await;
        assert_eq!(found["syncEvent"], json!({"org": org, "position": position}));
    }
    let ambiguous = gateway.ask(query, json!({"uuid": uuid(&shared)})).await;
    assert_eq!(ambiguous["errors"][0]["extensions"]["code"], "AMBIGUOUS_ORG");
    for nowhere in [json!({"uuid": uuid(&sync_event("one"))}), json!({"uuid": uuid(&single), "org": "other"})] {
        assert_eq!(gateway.query_with(query, nowhere).await, json!({"syncEvent": null}));
    }
    for (orgs, expected) in [(json!(["other"]), vec![3]), (json!(["acme"]), vec![2, 1])] {
        assert_eq!(positions(&gateway.page(json!({"filter": {"orgs": orgs}})).await), expected);
    }
}
