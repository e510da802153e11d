//! A failover behind a host name that leads to another server for a while: subscribers that use the code of
//! docs/clients.md resume by themselves.

use std::time::Duration;

use serde_json::Value;
use sluice::auth::Readers;
use sqlx::postgres::PgPoolOptions;
use tokio::time::{Instant, sleep, timeout};

use crate::database::TestDatabase;
use crate::events::sync_events;
use crate::gateway::{Gateway, settings};
use crate::npm::run;
use crate::okta_org::wait_until;
use crate::postgres_server::PostgresServer;
use crate::switch::SwitchableProxy;
use crate::traffic::Traffic;

/// Time limit of every wait in these tests.
const PATIENCE: Duration = Duration::from_mins(1);

/// Time during which the name leads to a server that accepts no writes.
const ELSEWHERE: Duration = Duration::from_secs(5);

/// Time limit for an accepted delivery, from when the name leads to a server that accepts writes.
const SOON: Duration = Duration::from_secs(5);

/// Number of events in each of three deliveries: at first, after the name leads back, and after the failover.
const EVENTS: usize = 12;

const TOKEN: &str = "a reader's token";

/// Sends a delivery until the gateway accepts it.
async fn deliver(gateway: &Gateway, events: &[Value]) {
    let traffic = Traffic::new();
    let delivered = async {
        while traffic.deliver(gateway.address, events).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, delivered).await.expect("deliveries are taken in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_go_on_by_themselves() {
    let mut primary = PostgresServer::start().await;
    let standby = primary.start_standby().await;
    let name = SwitchableProxy::start(primary.address).await;
    let url = format!("postgres://sluice@{}/sluice", name.address);
    let pool = PgPoolOptions::new().max_connections(2).connect_lazy(&url).unwrap();
    let database = TestDatabase { url, pool };
    let mut settings = settings(&database);
    settings.readers = Readers::new(vec![("front end".to_owned(), TOKEN.into())]);
    let gateway = Gateway::start_over(database, settings).await;
    let story = async {
        deliver(&gateway, &sync_events("listed", EVENTS)).await;
        // The name leads to the standby, which accepts no writes, and back to the primary.
        name.set_target(standby.address);
        name.close_connections();
        sleep(ELSEWHERE).await;
        name.set_target(primary.address);
        let back = Instant::now();
        deliver(&gateway, &sync_events("listed", EVENTS)).await;
        assert!(back.elapsed() < SOON, "taken again after {:?}", back.elapsed());
        // The primary crashes, and the standby takes over: a new era begins.
        primary.wait_for_standby(&standby).await;
        primary.crash().await;
        standby.promote().await;
        name.set_target(standby.address);
        name.close_connections();
        deliver(&gateway, &sync_events("listed", EVENTS)).await;
    };
    let graph = gateway.url("/graphql");
    let total = (3 * EVENTS).to_string();
    let arguments = [graph.as_str(), TOKEN, &total, "generated-failover"];
    tokio::join!(run("failover.mjs", &arguments), story);
}

#[tokio::test]
async fn subscribers_that_are_refused_before_their_first_event_try_again() {
    let database = TestDatabase::new().await;
    let mut settings = settings(&database);
    settings.readers = Readers::new(vec![("front end".to_owned(), TOKEN.into())]);
    let gateway = Gateway::start_over(database, settings).await;
    gateway.database.close().await;
    let directory = tempfile::tempdir().unwrap();
    let all_refused = directory.path().join("all-refused");
    let story = async {
        wait_until("a refusal of each client", async || all_refused.exists()).await;
        gateway.database.open().await;
        deliver(&gateway, &sync_events("listed", EVENTS)).await;
    };
    let (graph, total) = (gateway.url("/graphql"), EVENTS.to_string());
    let arguments = [graph.as_str(), TOKEN, &total, "generated-refused", all_refused.to_str().unwrap()];
    tokio::join!(run("failover.mjs", &arguments), story);
}
