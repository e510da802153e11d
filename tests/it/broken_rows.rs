//! Rows that cannot be decoded: each is an error that names the table, the column and the event, never an invented
//! value.

use serde_json::json;
use sluice::event::{EventColumn, EventColumns, EventOrder, EventOrderField, PageRequest, Position};
use sluice::store::StoreError;
use sqlx::AssertSqlSafe;

use crate::database::everything;
use crate::events::sync_events;
use crate::gateway::Gateway;

#[tokio::test]
async fn a_value_that_cannot_be_decoded_is_named_and_nothing_is_put_in_its_place() {
    let gateway = Gateway::start().await;
    gateway.deliver(&sync_events("one", 3)).await;
    let store = gateway.database.store();
    let page = PageRequest::new(Some(10), None, sluice::event::PageBounds { after: None, before: None }).unwrap();
    let every = EventColumns::WITHOUT_DETAILS.with(EventColumn::Details);
    let order = EventOrder { field: EventOrderField::Published, is_descending: true };
    for (column, type_of, broken, fault) in [
        ("first_source", "smallint", "99", "is 99, which names no way in"),
        ("received_at", "timestamptz", "NULL", "is null"),
        ("uuid", "uuid", "NULL", "is null"),
        ("raw", "bytea", r"'\x28b52ffd'", "cannot be decompressed: the frame has no valid size"),
    ] {
        let execute = async |sql: String| {
            sqlx::query(AssertSqlSafe(sql)).execute(&gateway.database.pool).await.unwrap();
        };
        execute(format!("ALTER TABLE sync_event ALTER {column} DROP NOT NULL")).await;
        execute(format!("ALTER TABLE sync_event ADD COLUMN kept {type_of}")).await;
        execute(format!("UPDATE sync_event SET kept = {column}, {column} = {broken} WHERE position = 2")).await;
        let expected = format!("the row of the event with the number 2 cannot be decoded: sync_event.{column} {fault}");
        let read = store.read_after(Position::START, 10, &everything(), true).await.unwrap_err();
        assert!(matches!(read, StoreError::Row(_)), "{read}");
        assert_eq!(read.to_string(), expected);
        let page = store.page(&everything(), order, &page, every).await.unwrap_err();
        assert_eq!(page.to_string(), expected);
        let answer = gateway.ask("{ syncEvents { nodes { uuid org eventType receivedAt } } }", json!({})).await;
        // The query does not ask for the source of an event, nor for its JSON.
        let is_asked_for = !["first_source", "raw"].contains(&column);
        assert_eq!(answer["errors"][0]["extensions"]["code"] == "INTERNAL", is_asked_for, "{answer}");
        execute(format!("UPDATE sync_event SET {column} = kept WHERE position = 2")).await;
        execute("ALTER TABLE sync_event DROP COLUMN kept".to_owned()).await;
    }
    assert_eq!(store.read_after(Position::START, 10, &everything(), true).await.unwrap().events.len(), 3);
}
