//! Ids that are e-mail addresses: filters compare them without regard to case, in history as live, and other ids exactly.

use serde_json::{Value, json};

use crate::events::{delivery, sync_event};
use crate::gateway::Gateway;

/// Ids of people in the log, one for each event.
const IDS: [&str; 4] = ["Some@Where.example", "some@where.example", "00uOne", "00uone"];

/// Lists of a filter, each with the numbers of the ids that it selects.
const LISTS: [(&[&str], &[usize]); 5] = [
    (&["some@WHERE.example"], &[1, 2]),
    (&["some@where.example", "00uone"], &[1, 2, 4]),
    (&["00uone", "00uother"], &[4]),
    (&["00UONE"], &[]),
    (&["00uOne", "SOME@where.example", "absent@where.example"], &[1, 2, 3]),
];

/// Returns an event in which a person has an id.
fn event(role: &str, id: &str) -> Value {
    let mut event = sync_event("case");
    match role {
        "admin" => event["actor"]["id"] = json!(id),
        "applicationUser" => event["target"][1]["id"] = json!(id),
        _ => event["target"][2]["id"] = json!(id),
    }
    event
}

#[tokio::test]
async fn ids_that_are_addresses_are_found_in_any_case_in_history_as_live() {
    for role in ["admin", "user", "applicationUser"] {
        let gateway = Gateway::start().await;
        let mut sockets = Vec::new();
        let filters = LISTS.map(|(ids, _)| json!({role: {"oktaIds": ids}}));
        for filter in &filters {
            let mut socket = gateway.socket().await;
            let query = "subscription ($filter: SyncEventFilter) { syncEvents(filter: $filter, from: {after: \"0\"}) { events { position } } }";
            socket.subscribe("1", query, json!({"filter": filter})).await;
            sockets.push(socket);
        }
        let events: Vec<_> = IDS.iter().map(|id| event(role, id)).collect();
        assert_eq!(gateway.post_hook(delivery(&events).to_string()).await.0, 200);
        for ((filter, (ids, expected)), socket) in filters.iter().zip(LISTS).zip(&mut sockets) {
            let expected: Vec<_> = expected.iter().map(|number| json!({"position": number.to_string()})).collect();
            let query = "query ($filter: SyncEventFilter) { syncEvents(filter: $filter, orderBy: \
                         {field: POSITION, direction: ASC}) { nodes { position } totalCount { value } } }";
            let page = gateway.query_with(query, json!({"filter": filter})).await;
            assert_eq!(page["syncEvents"]["nodes"], json!(expected), "{role} {ids:?}");
            assert_eq!(page["syncEvents"]["totalCount"]["value"], expected.len(), "{role} {ids:?}");
            for position in expected {
                assert_eq!(socket.event("1").await, position, "{role} {ids:?}, live");
            }
        }
    }
}
