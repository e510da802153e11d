//! Orders: each list is the same however it is walked, and stands still while others write.

use serde_json::{Value, json};

use crate::events::sync_event;
use crate::gateway::Gateway;

const PAGE: &str = "query ($orderBy: SyncEventOrder, $filter: SyncEventFilter, $first: Int, $after: String, $last: Int, \
                    $before: String) { syncEvents(orderBy: $orderBy, filter: $filter, first: $first, after: $after, \
                    last: $last, before: $before) { head nodes { position } \
                    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }";

const EVENTS: usize = 97;

/// Events of four months, the log's order being another one than that of time, often two at a moment.
fn events() -> Vec<Value> {
    let event = |index: usize| {
        let mut event = sync_event(["one", "two", "three"][index % 3]);
        let moment = index * 37 % EVENTS / 2;
        event["published"] = format!("2025-{:02}-{:02}T00:00:00.000Z", 1 + moment / 15, 1 + moment % 15).into();
        event
    };
    (0..EVENTS).map(event).collect()
}

impl Gateway {
    async fn page_of(&self, variables: Value) -> Value {
        self.query_with(PAGE, variables).await["syncEvents"].clone()
    }

    /// The list from its start, page by page.
    async fn walk(&self, mut variables: Value, size: usize) -> Vec<usize> {
        let mut walked = Vec::new();
        variables["first"] = size.into();
        loop {
            let page = self.page_of(variables.clone()).await;
            assert_eq!(page["pageInfo"]["hasPreviousPage"], json!(!walked.is_empty()), "{page}");
            walked.extend(positions(&page));
            variables["after"] = page["pageInfo"]["endCursor"].clone();
            if page["pageInfo"]["hasNextPage"] == false {
                return walked;
            }
        }
    }

    /// The list from its end, page by page.
    async fn walk_back(&self, mut variables: Value, size: usize) -> Vec<usize> {
        let mut walked = Vec::new();
        variables["last"] = size.into();
        loop {
            let page = self.page_of(variables.clone()).await;
            assert_eq!(page["pageInfo"]["hasNextPage"], json!(!walked.is_empty()), "{page}");
            walked.splice(0..0, positions(&page));
            variables["before"] = page["pageInfo"]["startCursor"].clone();
            if page["pageInfo"]["hasPreviousPage"] == false {
                return walked;
            }
        }
    }
}

fn positions(page: &Value) -> Vec<usize> {
    let position = |node: &Value| node["position"].as_str().unwrap().parse().unwrap();
    page["nodes"].as_array().unwrap().iter().map(position).collect()
}

/// The events as each order lists them.
fn listed(events: &[Value], field: &str, direction: &str, is_wanted: impl Fn(&Value) -> bool) -> Vec<usize> {
    let key = |position: usize, event: &Value| match field {
        "POSITION" => (String::new(), position),
        _ => (event["published"].as_str().unwrap().to_owned(), position),
    };
    let wanted = (1..).zip(events).filter(|(_, event)| is_wanted(event));
    let mut keys: Vec<_> = wanted.map(|(position, event)| key(position, event)).collect();
    keys.sort_unstable();
    if direction == "DESC" {
        keys.reverse();
    }
    keys.into_iter().map(|(_, position)| position).collect()
}

#[tokio::test]
async fn every_order_is_the_same_list_forward_backward_and_whole() {
    let gateway = Gateway::start().await;
    let events = events();
    gateway.deliver(&events).await;
    let two = json!({"applicationInstances": ["0oaone", "0oatwo"]});
    let is_two = |event: &Value| event["target"][0]["id"] != "0oathree";
    for field in ["PUBLISHED", "POSITION"] {
        for direction in ["ASC", "DESC"] {
            let order = json!({"field": field, "direction": direction});
            let all = listed(&events, field, direction, |_| true);
            let some = listed(&events, field, direction, is_two);
            for (filter, expected) in [(json!({}), all), (two.clone(), some)] {
                let variables = json!({"orderBy": order, "filter": filter});
                for size in [7, EVENTS, 1000] {
                    let told = format!("{field} {direction} {filter} {size}");
                    assert_eq!(gateway.walk(variables.clone(), size).await, expected, "{told}");
                    assert_eq!(gateway.walk_back(variables.clone(), size).await, expected, "{told}");
                }
            }
        }
    }
    let nested = "{ applicationInstance(by: {instanceId: \"0oaone\"}) { syncEvents(first: 2, orderBy: \
                  {field: POSITION, direction: ASC}) { nodes { position } } } }";
    let found = gateway.query(nested).await;
    assert_eq!(positions(&found["applicationInstance"]["syncEvents"]), [1, 4]);
}

#[tokio::test]
async fn a_cursor_of_another_order_is_refused() {
    let gateway = Gateway::start().await;
    gateway.deliver(&events()).await;
    let of = |field: &str| json!({"field": field, "direction": "DESC"});
    for (one, other) in [("PUBLISHED", "POSITION"), ("POSITION", "PUBLISHED")] {
        let page = gateway.page_of(json!({"orderBy": of(one), "first": 3})).await;
        let foreign = json!({"orderBy": of(other), "after": page["pageInfo"]["endCursor"]});
        let answer = gateway.ask(PAGE, foreign).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{answer}");
        assert!(answer["errors"][0]["message"].as_str().unwrap().contains("`after`"), "{answer}");
    }
}

#[tokio::test]
async fn a_walk_sees_what_was_there_at_its_start_while_others_write() {
    let gateway = Gateway::start().await;
    gateway.deliver(&events()).await;
    for field in ["PUBLISHED", "POSITION"] {
        for direction in ["ASC", "DESC"] {
            let order = json!({"field": field, "direction": direction});
            let whole = gateway.page_of(json!({"orderBy": order, "first": 1000})).await;
            let head: usize = whole["head"].as_str().unwrap().parse().unwrap();
            let (mut walked, mut after, mut written) = (Vec::new(), Value::Null, 0);
            loop {
                let page = gateway.page_of(json!({"orderBy": order, "first": 9, "after": after})).await;
                walked.extend(positions(&page).into_iter().filter(|position| *position <= head));
                // Some of what comes belongs before the walk's place, some after it, some into new months.
                let mut new = events()[written..written + 2].to_vec();
                new[0]["published"] = format!("2025-{:02}-20T00:00:00Z", 1 + written % 9).into();
                gateway.deliver(&new).await;
                written += 2;
                after = page["pageInfo"]["endCursor"].clone();
                if page["pageInfo"]["hasNextPage"] == false || written > 60 {
                    break;
                }
            }
            if written <= 60 {
                assert_eq!(walked, positions(&whole), "{order}");
            } else {
                assert!(positions(&whole).starts_with(&walked), "{order}");
            }
        }
    }
}
