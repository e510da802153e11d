//! A failover over a name that leads elsewhere for a while: subscribers by the code of docs/clients.md go on by themselves.

use std::time::Duration;

use serde_json::Value;
use sluice::auth::Readers;
use sqlx::postgres::PgPoolOptions;
use tokio::time::{Instant, sleep, timeout};

use crate::database::TestDatabase;
use crate::events::sync_events;
use crate::gateway::{Gateway, settings};
use crate::npm::run;
use crate::postgres_server::PostgresServer;
use crate::switch::Switch;
use crate::traffic::Traffic;

/// The longest that anything may take before a test fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long the name leads to a server that takes no writes.
const ELSEWHERE: Duration = Duration::from_secs(5);

/// How soon after the name leads to a server that takes writes a delivery is taken.
const SOON: Duration = Duration::from_secs(5);

/// Events before, while, and after the name leads elsewhere, and after the failover.
const EVENTS: usize = 12;

const TOKEN: &str = "a reader's token";

/// Delivers until it is taken.
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
    let name = Switch::start(primary.address).await;
    let url = format!("postgres://sluice@{}/sluice", name.address);
    let pool = PgPoolOptions::new().max_connections(2).connect_lazy(&url).unwrap();
    let database = TestDatabase { url, pool };
    let mut settings = settings(&database);
    settings.readers = Readers::new(vec![("front end".to_owned(), TOKEN.into())]);
    let gateway = Gateway::start_over(database, settings).await;
    let story = async {
        deliver(&gateway, &sync_events("listed", EVENTS)).await;
        // The name leads to the standby, which takes no writes, and back.
        name.lead_to(standby.address);
        name.cut();
        sleep(ELSEWHERE).await;
        name.lead_to(primary.address);
        let back = Instant::now();
        deliver(&gateway, &sync_events("listed", EVENTS)).await;
        assert!(back.elapsed() < SOON, "taken again after {:?}", back.elapsed());
        // The primary is lost, and the standby takes over: a new era begins.
        primary.wait_for_standby(&standby).await;
        primary.crash().await;
        standby.promote().await;
        name.lead_to(standby.address);
        name.cut();
        deliver(&gateway, &sync_events("listed", EVENTS)).await;
    };
    let graph = gateway.url("/graphql");
    let total = (3 * EVENTS).to_string();
    let arguments = [graph.as_str(), TOKEN, &total];
    tokio::join!(run("failover.mjs", &arguments), story);
}
