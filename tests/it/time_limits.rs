//! What nobody waits for any more stops, in the database, too.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::gateway::Gateway;

const PAGE: &str = "{ syncEvents { nodes { uuid } } }";

/// The longest that anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// Statements of the gateway that read pages and are under way; its tail reads on by itself.
const AT_WORK: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                       AND application_name = 'sluice' AND state = 'active' AND query LIKE 'SELECT e.%'";

impl Gateway {
    /// Waits until so many of the gateway's statements are under way.
    async fn until_at_work(&self, number: i64) {
        let waited = async {
            while self.database.number(AT_WORK).await != number {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, waited).await.unwrap_or_else(|_| panic!("{number} statements are under way in time"));
    }
}

#[tokio::test]
async fn a_query_that_takes_too_long_is_stopped_in_the_database_too() {
    // The limit leaves a query time to reach the database, where it is seen, on a busy machine.
    let gateway = Gateway::start_with(|settings| {
        settings.limits.query_seconds = 3;
        settings.limits.query_connections = 2;
    })
    .await;
    gateway.query(PAGE).await;
    let mut lock = gateway.database.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE sync_event IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    for (accept, status) in [("application/json", 200), ("application/graphql-response+json", 504)] {
        let request =
            gateway.client.post(gateway.url("/graphql")).header("accept", accept).json(&json!({"query": PAGE}));
        let (response, ()) = futures_util::future::join(request.send(), gateway.until_at_work(1)).await;
        let response = response.unwrap();
        assert_eq!(response.status(), status);
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer["errors"][0]["extensions"]["code"], "TIMEOUT", "{answer}");
        assert!(answer.get("data").is_none(), "{answer}");
        gateway.until_at_work(0).await;
    }
    let mut socket = gateway.socket().await;
    socket.subscribe("1", PAGE, json!({})).await;
    let error = socket.message().await;
    assert_eq!((&error["type"], &error["payload"][0]["extensions"]["code"]), (&json!("error"), &json!("TIMEOUT")));
    gateway.until_at_work(0).await;
    lock.rollback().await.unwrap();
    gateway.query(PAGE).await;
}

#[tokio::test]
async fn a_query_whose_client_is_gone_is_stopped_in_the_database() {
    // The lock also stops what the gateway reads for itself, which may hold some of the connections.
    let gateway = Gateway::start_with(|settings| settings.limits.query_connections = 8).await;
    gateway.query(PAGE).await;
    let mut lock = gateway.database.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE sync_event IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    for _ in 0..3 {
        let asked = || gateway.post_graphql(json!({"query": PAGE}).to_string());
        let both = futures_util::future::join(asked(), asked());
        let gone = timeout(Duration::from_secs(10), async {
            tokio::select! {
                _ = both => panic!("nothing can be read"),
                () = gateway.until_at_work(2) => {}
            }
        });
        gone.await.unwrap();
        let mut socket = gateway.socket().await;
        gateway.until_at_work(0).await;
        socket.subscribe("1", PAGE, json!({})).await;
        gateway.until_at_work(1).await;
        socket.send(json!({"type": "complete", "id": "1"})).await;
        gateway.until_at_work(0).await;
    }
    lock.rollback().await.unwrap();
    gateway.query(PAGE).await;
}
