//! What is relied on of async-graphql's executor, some of whose versions answer wrongly.

use std::future::ready;
use std::time::Duration;

use async_graphql::{EmptyMutation, EmptySubscription, Object, Result, Schema, SimpleObject};

struct Query;

struct Parent;

#[derive(SimpleObject)]
struct Item {
    number: i32,
}

#[Object]
impl Query {
    async fn slow(&self) -> i32 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        1
    }

    async fn fast(&self) -> i32 {
        2
    }

    async fn nullable(&self) -> Option<Parent> {
        Some(Parent)
    }

    async fn required(&self) -> Parent {
        Parent
    }

    async fn items(&self) -> Vec<Option<Result<Item>>> {
        vec![Some(Ok(Item { number: 1 })), Some(Err("no second".into())), None]
    }
}

#[Object]
impl Parent {
    async fn fast(&self) -> i32 {
        2
    }

    async fn fails(&self) -> Result<i32> {
        ready(Err("it fails".into())).await
    }

    async fn fails_softly(&self) -> Option<Result<i32>> {
        Some(Err("it fails".into()))
    }
}

async fn answer(query: &str) -> (String, usize) {
    let response = Schema::new(Query, EmptyMutation, EmptySubscription).execute(query).await;
    (serde_json::to_string(&response.data).unwrap(), response.errors.len())
}

#[tokio::test]
async fn keys_come_in_the_order_in_which_they_are_asked_for() {
    assert_eq!(answer("{ slow fast }").await, (r#"{"slow":1,"fast":2}"#.to_owned(), 0));
    let fragments = "{ ...F fast b: slow } fragment F on Query { a: fast slow }";
    assert_eq!(answer(fragments).await, (r#"{"a":2,"slow":1,"fast":2,"b":1}"#.to_owned(), 0));
}

#[tokio::test]
async fn a_field_that_must_not_be_null_takes_its_parent_along() {
    assert_eq!(answer("{ fast nullable { fast fails } }").await, (r#"{"fast":2,"nullable":null}"#.to_owned(), 1));
    assert_eq!(answer("{ fast required { fast fails } }").await, ("null".to_owned(), 1));
}

#[tokio::test]
async fn a_field_that_may_be_null_fails_alone() {
    let soft = r#"{"required":{"fast":2,"failsSoftly":null}}"#.to_owned();
    assert_eq!(answer("{ required { fast failsSoftly } }").await, (soft, 1));
    assert_eq!(answer("{ items { number } }").await, (r#"{"items":[{"number":1},null,null]}"#.to_owned(), 1));
}
