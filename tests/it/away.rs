//! A database that is not there yet, becomes unavailable, freezes, or accepts no writes. The gateway answers every
//! request meanwhile, and refuses a delivery before Okta's timeout.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::postgres::PgPoolOptions;
use tokio::time::{Instant, sleep, timeout};

use crate::consistency::check_log;
use crate::database::TestDatabase;
use crate::events::{delivery, sync_event, sync_events};
use crate::gateway::{Gateway, HOOK_SECRET, settings};
use crate::postgres_server::PostgresServer;

/// Time limit of every wait in these tests.
const PATIENCE: Duration = Duration::from_mins(1);

/// Time limit for the refusal of a delivery: Okta waits for 3 s.
const REFUSED_WITHIN: Duration = Duration::from_millis(2500);

/// Number of deliveries while the database is unavailable.
const DELIVERIES: usize = 100;

impl Gateway {
    async fn get_status(&self, path: &str) -> (StatusCode, String) {
        let response = self.client.get(self.url(path)).send().await.unwrap();
        (response.status(), response.text().await.unwrap())
    }

    async fn wait_for_readiness(&self, expected: StatusCode) -> String {
        let becomes = async {
            loop {
                let (status, text) = self.get_status("/readyz").await;
                if status == expected {
                    return text;
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, becomes).await.expect("readiness changes in time")
    }
}

/// Starts a gateway with the default time limit of deliveries, and does not wait for the database.
async fn unready_gateway_over(server: &PostgresServer) -> Gateway {
    let pool = PgPoolOptions::new().max_connections(2).connect_lazy(&server.url()).unwrap();
    let database = TestDatabase { url: server.url(), pool };
    let mut settings = settings(&database);
    settings.limits.hook_seconds = 2;
    Gateway::start_unready(database, settings).await
}

async fn gateway_over(server: &PostgresServer) -> Gateway {
    let gateway = unready_gateway_over(server).await;
    gateway.wait_for_readiness(StatusCode::OK).await;
    gateway
}

/// Sends many deliveries at once. The gateway must refuse each of them in time, and its process must stay alive.
async fn all_are_refused(gateway: &Gateway) {
    let deliver = async |event: Value| {
        let started = Instant::now();
        let (status, answer) = gateway.post_hook(delivery(&[event]).to_string()).await;
        let took = started.elapsed();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
        assert!(took < REFUSED_WITHIN, "refused after {took:?}");
        assert_eq!(gateway.get_status("/livez").await.0, StatusCode::OK);
    };
    join_all(sync_events("away", DELIVERIES).into_iter().map(deliver)).await;
}

#[tokio::test]
async fn a_gateway_answers_before_its_database_is_there() {
    let mut server = PostgresServer::start().await;
    server.stop().await;
    let gateway = unready_gateway_over(&server).await;
    assert_eq!(gateway.get_status("/livez").await, (StatusCode::OK, "alive\n".to_owned()));
    let (status, reason) = gateway.get_status("/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(reason.starts_with("not ready: "), "{reason}");
    let hook = gateway.url("/okta/acme/hooks");
    let challenge = gateway.client.get(&hook).header("x-okta-verification-challenge", "is somebody there");
    let answer: Value = challenge.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer, json!({"verification": "is somebody there"}));
    all_are_refused(&gateway).await;
    let stranger = gateway.client.post(&hook).header("authorization", "another secret").send().await.unwrap();
    assert_eq!(stranger.status(), StatusCode::UNAUTHORIZED);
    let question = gateway.post_graphql(json!({"query": "{ __typename }"}).to_string()).await;
    assert_eq!(question.status(), StatusCode::SERVICE_UNAVAILABLE);
    let answer: Value = question.json().await.unwrap();
    assert_eq!(answer["errors"][0]["extensions"], json!({"code": "UNAVAILABLE", "retryAfterSeconds": 1}), "{answer}");
    assert_eq!(gateway.get_status("/").await.0, StatusCode::OK);
    assert_eq!(gateway.get_status("/nowhere").await.0, StatusCode::NOT_FOUND);

    server.start_again().await;
    gateway.wait_for_readiness(StatusCode::OK).await;
    gateway.deliver(&[sync_event("there")]).await;
    assert_eq!(gateway.head().await, "1");
    gateway.stop().await;
}

#[tokio::test]
async fn a_gateway_that_waits_for_its_database_can_be_stopped() {
    let mut server = PostgresServer::start().await;
    server.stop().await;
    let gateway = unready_gateway_over(&server).await;
    all_are_refused(&gateway).await;
    timeout(PATIENCE, gateway.stop()).await.expect("it stops in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_is_refused_in_time_while_the_database_is_gone_or_stands_still() {
    let mut server = PostgresServer::start().await;
    let gateway = gateway_over(&server).await;
    let mut socket = gateway.socket().await;
    socket.subscribe("1", "subscription { syncEvents(from: {after: \"0\"}) { events { uuid } } }", json!({})).await;
    gateway.deliver(&[sync_event("before")]).await;
    socket.event("1").await;
    server.stop().await;
    all_are_refused(&gateway).await;
    gateway.wait_for_readiness(StatusCode::SERVICE_UNAVAILABLE).await;
    server.start_again().await;
    gateway.wait_for_readiness(StatusCode::OK).await;
    server.freeze();
    all_are_refused(&gateway).await;
    gateway.wait_for_readiness(StatusCode::SERVICE_UNAVAILABLE).await;
    server.thaw();
    gateway.wait_for_readiness(StatusCode::OK).await;
    // The database may have stored a refused event all the same, but only once; the subscriber receives what the log
    // has.
    let last = sync_event("last");
    let delivered = async {
        let body = delivery(std::slice::from_ref(&last)).to_string();
        while gateway.post_hook(body.clone()).await.0 != StatusCode::OK {}
    };
    timeout(PATIENCE, delivered).await.expect("deliveries are taken again");
    let log = check_log(&gateway.database.pool).await;
    for expected in &log[1..] {
        assert_eq!(socket.event("1").await, json!({"uuid": expected}));
    }
}

#[tokio::test]
async fn a_database_that_confirms_no_write_is_not_ready() {
    let server = PostgresServer::start().await;
    let gateway = gateway_over(&server).await;
    // No standby has this name, so PostgreSQL never confirms a commit.
    server.execute("ALTER SYSTEM SET synchronous_standby_names = 'gone'").await;
    server.execute("SELECT pg_reload_conf()").await;
    let reason = gateway.wait_for_readiness(StatusCode::SERVICE_UNAVAILABLE).await;
    assert_eq!(reason, "not ready: the database does not take writes\n");
    let request = gateway.client.post(gateway.url("/okta/acme/hooks")).header("authorization", HOOK_SECRET);
    let refused = request.body(delivery(&[sync_event("one")]).to_string()).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    gateway.query("{ ingestion { head } }").await;
    server.execute("ALTER SYSTEM RESET synchronous_standby_names").await;
    server.execute("SELECT pg_reload_conf()").await;
    gateway.wait_for_readiness(StatusCode::OK).await;
    gateway.deliver(&[sync_event("two")]).await;
}
