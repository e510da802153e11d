//! The border between two eras: subscribers who are there when one ends are told, and lists go on over it.

use serde_json::{Value, json};
use sluice::event::Position;

use crate::database::TestDatabase;
use crate::events::{sync_event, sync_events, uuid};
use crate::gateway::Gateway;
use crate::socket::Socket;

/// Documents of subscriptions whose events are rendered at once, and for the first subscriber that asks.
const DOCUMENTS: [&str; 2] = [
    "subscription ($filter: SyncEventFilter) { syncEvents(filter: $filter, from: {after: \"0\"}) { events { position } } }",
    "subscription ($filter: SyncEventFilter) { syncEvents(filter: $filter, from: {after: \"0\"}) \
     { events { position applicationInstance { label } } } }",
];

const PAGE: &str = "query ($field: SyncEventOrderField!, $direction: OrderDirection!, $filter: SyncEventFilter, $first: Int, \
                    $after: String, $last: Int, $before: String) { syncEvents(orderBy: {field: $field, direction: \
                    $direction}, filter: $filter, first: $first, after: $after, last: $last, before: $before) { \
                    nodes { uuid } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }";

/// Restores the log to a state in which it ended at a position: the rest is gone, and a new era begins.
async fn restore(database: &TestDatabase, through: i64) -> Position {
    for table in ["sync_event", "arrival"] {
        let sql = format!("DELETE FROM {table} WHERE position > {through}");
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&database.pool).await.unwrap();
    }
    sqlx::query("UPDATE log_head SET position = $1").bind(through).execute(&database.pool).await.unwrap();
    database.store().new_era("a test restored it").await.unwrap()
}

/// Subscribes with each document, and reads the first events.
async fn subscribed(gateway: &Gateway, filter: &Value, expected: &[&str]) -> Vec<Socket> {
    let mut sockets = Vec::new();
    for document in DOCUMENTS {
        let mut socket = gateway.socket().await;
        socket.subscribe("1", document, json!({"filter": filter})).await;
        for position in expected {
            assert_eq!(socket.event("1").await["position"], **position);
        }
        sockets.push(socket);
    }
    sockets
}

/// The subscription ends since its position was lost; no other event comes first.
async fn is_told_of_the_loss(socket: &mut Socket) {
    let message = socket.message().await;
    let errors = if message["type"] == "error" { &message["payload"] } else { &message["payload"]["errors"] };
    assert_eq!(errors[0]["extensions"]["code"], "POSITION_LOST", "{message}");
}

#[tokio::test]
async fn who_waits_with_lost_events_is_told_also_where_no_event_comes() {
    for new_events in [0, 3] {
        let gateway = Gateway::start().await;
        gateway.deliver(&sync_events("one", 4)).await;
        let mut sockets = subscribed(&gateway, &json!({}), &["1", "2", "3", "4"]).await;
        // This one was sent none of the lost events, and has passed them.
        let rare = json!({"applicationInstances": ["0oarare"]});
        sockets.extend(subscribed(&gateway, &rare, &[]).await);
        sockets.push({
            let mut late = gateway.socket().await;
            late.subscribed("1", "subscription { syncEvents { events { position } } }", json!({})).await;
            late
        });
        restore(&gateway.database, 2).await;
        if new_events > 0 {
            gateway.deliver(&sync_events("rare", new_events)).await;
        }
        for socket in &mut sockets {
            is_told_of_the_loss(socket).await;
        }
    }
}

#[tokio::test]
async fn who_waits_and_lost_nothing_is_led_on_into_the_new_era() {
    let gateway = Gateway::start().await;
    gateway.deliver(&sync_events("one", 2)).await;
    let mut sockets = subscribed(&gateway, &json!({}), &["1", "2"]).await;
    let era = restore(&gateway.database, 2).await;
    for number in 1..=3 {
        gateway.deliver(&[sync_event("one")]).await;
        let position = Position::new(era.get() + number).to_string();
        for socket in &mut sockets {
            assert_eq!(socket.event("1").await["position"], position);
        }
    }
}

#[tokio::test]
async fn lists_are_the_same_forward_and_backward_over_the_border() {
    let gateway = Gateway::start().await;
    let mut listed = Vec::new();
    for era in 0..3 {
        // Later eras have earlier events, too, and some of the same moment.
        let mut events = sync_events(["one", "two"][era % 2], 5);
        for (number, event) in events.iter_mut().enumerate() {
            event["published"] = format!("2025-0{}-01T00:00:00.000Z", 1 + (3 * number + era) % 4).into();
        }
        gateway.deliver(&events).await;
        listed.extend(events);
        gateway.database.store().new_era("a test").await.unwrap();
    }
    let in_log = |field: &str, direction: &str, instance: Option<&str>| {
        let wanted = listed.iter().filter(|event| instance.is_none_or(|id| event["target"][0]["id"] == id));
        let mut wanted: Vec<_> = wanted.collect();
        if field == "PUBLISHED" {
            wanted.sort_by_key(|event| event["published"].as_str().unwrap());
        }
        if direction == "DESC" {
            wanted.reverse();
        }
        wanted.into_iter().map(|event| uuid(event).to_owned()).collect::<Vec<_>>()
    };
    for (field, direction) in [("POSITION", "ASC"), ("POSITION", "DESC"), ("PUBLISHED", "ASC"), ("PUBLISHED", "DESC")] {
        for instance in [None, Some("0oaone")] {
            let filter = instance.map_or_else(|| json!({}), |id| json!({"applicationInstances": [id]}));
            let expected = in_log(field, direction, instance);
            for size in [1, 2, 5, 6] {
                let order = json!({"field": field, "direction": direction, "filter": filter});
                let told = format!("{order} {size}");
                assert_eq!(walk(&gateway, &order, size, true).await, expected, "{told}");
                assert_eq!(walk(&gateway, &order, size, false).await, expected, "{told}, from the end");
            }
        }
    }
}

/// The uuids of a list, page by page, from its start or from its end.
async fn walk(gateway: &Gateway, order: &Value, size: usize, is_forward: bool) -> Vec<String> {
    let (size_of, place, cursor, more) = if is_forward {
        ("first", "after", "endCursor", "hasNextPage")
    } else {
        ("last", "before", "startCursor", "hasPreviousPage")
    };
    let (mut walked, mut variables) = (Vec::new(), order.clone());
    variables[size_of] = size.into();
    loop {
        let page = gateway.query_with(PAGE, variables.clone()).await["syncEvents"].take();
        let nodes = page["nodes"].as_array().unwrap().iter().map(|node| uuid(node).to_owned());
        if is_forward {
            walked.extend(nodes);
        } else {
            walked.splice(0..0, nodes);
        }
        if page["pageInfo"][more] == false {
            return walked;
        }
        assert!(walked.len() < 100, "the walk does not end");
        variables[place] = page["pageInfo"][cursor].clone();
    }
}
