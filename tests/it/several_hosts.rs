//! A primary and its standby: sluice reads and writes at the primary, whichever hosts its URL names and wherever a host
//! name leads.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use sluice::config::DatabaseLocation;
use sluice::store::{Store, StoreError, StoreOptions};
use sqlx::PgPool;
use tokio::time::{sleep, timeout};

use crate::database::TestDatabase;
use crate::events::{delivery, sync_event, sync_events, uuid};
use crate::gateway::{Gateway, settings};
use crate::postgres_server::PostgresServer;
use crate::process::GatewayProcess;
use crate::switch::SwitchableProxy;
use crate::traffic::Traffic;

/// Time limit of every wait in these tests.
const PATIENCE: Duration = Duration::from_mins(1);

/// Time limit for reads and writes to work again, from when the primary can be reached.
const SOON: Duration = Duration::from_secs(5);

/// Time that Okta waits for an answer.
const OKTAS_PATIENCE: Duration = Duration::from_secs(3);

const HEAD: &str = "{ syncEvents { head } }";

/// Starts a gateway in this process over a URL.
async fn gateway_over(url: &str, pool: PgPool) -> Gateway {
    let database = TestDatabase { url: url.to_owned(), pool };
    let mut settings = settings(&database);
    settings.database = DatabaseLocation::Url(url.to_owned());
    let gateway = Gateway::start_over(database, settings).await;
    gateway.until_ready().await;
    gateway
}

impl Gateway {
    async fn until_ready(&self) {
        let ready = async {
            while self.client.get(self.url("/readyz")).send().await.ok().map(|answer| answer.status())
                != Some(StatusCode::OK)
            {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, ready).await.expect("the gateway is ready in time");
    }

    async fn ready_status(&self) -> StatusCode {
        self.client.get(self.url("/readyz")).send().await.unwrap().status()
    }
}

fn pool(server: &PostgresServer) -> PgPool {
    PgPool::connect_lazy(&server.url()).unwrap()
}

#[tokio::test]
async fn of_several_hosts_the_primary_is_used_before_and_after_a_failover() {
    let mut primary = PostgresServer::start().await;
    let standby = primary.start_standby().await;
    // The URL names the standby first, then an address where no server listens, and the primary last.
    let closed = crate::process::free_address();
    let hosts = format!("{},{closed},{}", standby.address, primary.address);
    let url = format!("postgres://sluice@{hosts}/sluice?target_session_attrs=read-write");
    let gateway = gateway_over(&url, pool(&primary)).await;
    let answers = futures_util::future::join_all((0..8).map(|_| gateway.ask(HEAD, json!({})))).await;
    assert!(answers.iter().all(|answer| answer["data"]["syncEvents"]["head"] == "0"), "{answers:?}");
    gateway.deliver(&sync_events("one", 3)).await;
    assert_eq!(gateway.query(HEAD).await["syncEvents"]["head"], "3");
    let here = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sluice'";
    assert_eq!(standby.value(here).await.as_deref(), Some("0"), "nothing stays connected to the standby");

    primary.wait_for_standby(&standby).await;
    primary.stop().await;
    let away = Instant::now();
    let (status, answer) = gateway.post_hook(delivery(&sync_events("refused", 1)).to_string()).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
    assert!(away.elapsed() < OKTAS_PATIENCE, "Okta has gone after {:?}", away.elapsed());
    assert_eq!(gateway.ready_status().await, StatusCode::SERVICE_UNAVAILABLE);
    standby.promote().await;
    let promoted = Instant::now();
    gateway.until_ready().await;
    let (traffic, event) = (Traffic::new(), sync_event("two"));
    while traffic.deliver(gateway.address, std::slice::from_ref(&event)).await.is_err() {
        assert!(promoted.elapsed() < SOON, "writes come back in time");
    }
    assert!(promoted.elapsed() < SOON, "{:?}", promoted.elapsed());
    let found = gateway.query("{ syncEvents(first: 1) { nodes { uuid } } }").await;
    assert_eq!(found["syncEvents"]["nodes"][0]["uuid"], uuid(&event));
    gateway.stop().await;
}

/// Sends reads until a gateway answers all of them again. No answer may have a head that is older than `acknowledged`.
async fn ask_until_current(gateway: &Gateway, acknowledged: i64, deadline: Duration) {
    let started = Instant::now();
    loop {
        let answers = futures_util::future::join_all((0..6).map(|_| gateway.ask(HEAD, json!({})))).await;
        let heads = answers.iter().map(|answer| answer["data"]["syncEvents"]["head"].as_str().map(str::parse::<i64>));
        let heads: Vec<_> = heads.map(|head| head.and_then(Result::ok)).collect();
        assert!(heads.iter().flatten().all(|head| *head >= acknowledged), "an old answer: {heads:?}");
        if heads.iter().all(Option::is_some) {
            return;
        }
        assert!(started.elapsed() < deadline, "reads come back in time: {answers:?}");
    }
}

#[tokio::test]
async fn while_a_name_leads_to_a_standby_nothing_is_read_there() {
    let primary = PostgresServer::start().await;
    let standby = primary.start_standby().await;
    let name = SwitchableProxy::start(primary.address).await;
    let url = format!("postgres://sluice@{}/sluice", name.address);
    let gateway = gateway_over(&url, pool(&primary)).await;
    gateway.deliver(&sync_events("before", 3)).await;
    let mut socket = gateway.socket().await;
    socket.subscribed("1", "subscription { syncEvents { events { position } } }", json!({})).await;
    primary.wait_for_standby(&standby).await;
    standby.execute("SELECT pg_wal_replay_pause()").await;

    name.set_target(standby.address);
    name.close_connections();
    let answers = futures_util::future::join_all((0..6).map(|_| gateway.ask(HEAD, json!({})))).await;
    for answer in &answers {
        assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{answer}");
    }
    assert_eq!(gateway.ready_status().await, StatusCode::SERVICE_UNAVAILABLE);
    // Another gateway appends at the primary, and the standby does not replay that.
    let other = gateway_over(&primary.url(), pool(&primary)).await;
    other.deliver(&sync_events("meanwhile", 2)).await;
    name.set_target(primary.address);
    ask_until_current(&gateway, 5, SOON).await;
    gateway.deliver(&sync_events("after", 2)).await;
    ask_until_current(&gateway, 7, SOON).await;
    assert_eq!(gateway.ready_status().await, StatusCode::OK);
    for position in ["4", "5", "6", "7"] {
        let told = timeout(PATIENCE, socket.message()).await.expect("the subscriber is told");
        assert_eq!(told["payload"]["data"]["syncEvents"]["position"], Value::from(position), "{told}");
    }
    standby.execute("SELECT pg_wal_replay_resume()").await;
    other.stop().await;
    gateway.stop().await;
}

/// A server that takes no writes any more is not read over the connections that were opened before, either.
#[tokio::test]
async fn an_idle_connection_is_not_used_once_its_server_takes_no_writes() {
    let server = PostgresServer::start().await;
    let store = Store::new(&StoreOptions::new(server.url())).unwrap();
    store.migrate().await.unwrap();
    store.head().await.unwrap();
    server.execute("ALTER SYSTEM SET default_transaction_read_only = on").await;
    server.execute("SELECT pg_reload_conf()").await;
    let refused = async {
        loop {
            // Longer than a connection may stand idle without a check.
            sleep(Duration::from_millis(600)).await;
            if let Err(error) = store.head().await {
                return error.to_string();
            }
        }
    };
    let refused = timeout(PATIENCE, refused).await.expect("it is refused in time");
    assert!(refused.contains("takes no writes"), "{refused}");
}

#[tokio::test]
async fn reads_follow_the_newest_connection_to_another_primary() {
    let old = PostgresServer::start().await;
    let new = old.start_standby().await;
    let name = SwitchableProxy::start(old.address).await;
    let store = Store::new(&StoreOptions::new(format!("postgres://sluice@{}/sluice", name.address))).unwrap();
    store.migrate().await.unwrap();
    store.head().await.unwrap();
    old.wait_for_standby(&new).await;
    // The old primary keeps running, and so do the connections to it.
    new.promote().await;
    name.set_target(new.address);
    store.add_month(time::macros::date!(2031 - 02 - 01)).await.unwrap();
    store.head().await.unwrap();
    let connected = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sluice'";
    old.wait_until(&format!("({connected}) = 0")).await;
    let month = "SELECT to_regclass('sync_event_2031_02') IS NOT NULL";
    assert_eq!((new.value(month).await.as_deref(), old.value(month).await.as_deref()), (Some("true"), Some("false")));
    store.close().await;
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_refused_and_named_with_its_cause() {
    let mut primary = PostgresServer::start().await;
    let standby = primary.start_standby().await;
    let refused = async |url: &str| {
        let store = Store::new(&StoreOptions::new(url)).unwrap();
        let error = store.head().await.unwrap_err();
        assert!(error.is_unavailable(), "{error}");
        error.to_string()
    };
    let of = |address: std::net::SocketAddr, cause: &str| format!("the database cannot be reached: {address}: {cause}");
    assert_eq!(refused(&standby.url()).await, of(standby.address, "is a standby (in recovery), which takes no writes"));
    primary.execute("ALTER SYSTEM SET default_transaction_read_only = on").await;
    primary.execute("SELECT pg_reload_conf()").await;
    primary.wait_until("current_setting('transaction_read_only')::boolean").await;
    let said = refused(&primary.url()).await;
    assert_eq!(said, of(primary.address, "takes no writes: default_transaction_read_only is on there"));
    primary.stop().await;
    let both = format!("postgres://hunter2:hunter2@{},{}/hunter2", standby.address, primary.address);
    let said = refused(&both).await;
    assert!(
        said.contains(&format!("{}: refuses the login", standby.address)) || said.contains("no such database"),
        "{said}"
    );
    assert!(said.ends_with(&format!("{}: connection refused", primary.address)), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[tokio::test]
async fn a_role_that_owns_its_database_suffices_and_others_are_told_what_they_lack() {
    let server = PostgresServer::start().await;
    server.execute("CREATE ROLE owner LOGIN").await;
    server.execute("CREATE ROLE stranger LOGIN").await;
    server.execute("CREATE DATABASE owned OWNER owner").await;
    server.execute("REVOKE CONNECT ON DATABASE owned FROM PUBLIC").await;
    let migrated = async |user: &str, database: &str| {
        let url = format!("postgres://{user}@{}/{database}", server.address);
        let store = Store::new(&StoreOptions::new(url)).unwrap();
        let migrated = store.migrate().await.map_err(|error| error.to_string());
        store.close().await;
        migrated
    };
    assert_eq!(migrated("owner", "owned").await, Ok(()));
    for (user, database, cause) in [
        ("stranger", "owned", "the user lacks a privilege: GRANT CONNECT on the database"),
        ("owner", "none", "has no such database: create it, or mend its name in the URL"),
        ("nobody", "owned", "refuses the login (SQLSTATE 28000): mend user and password of the URL, or pg_hba.conf"),
    ] {
        let said = migrated(user, database).await.unwrap_err();
        let expected = format!("the database cannot be reached: {}: {cause}", server.address);
        assert!(said.starts_with(&expected), "{said}");
    }
}

#[tokio::test]
async fn a_database_whose_processes_stand_still_is_given_up_in_time() {
    let server = PostgresServer::start().await;
    let store = Store::new(&StoreOptions::new(server.url())).unwrap();
    store.migrate().await.unwrap();
    store.head().await.unwrap();
    server.freeze();
    let started = Instant::now();
    // The read first checks its connection, which was idle for over 500 ms; the write opens a new connection.
    sleep(Duration::from_millis(600)).await;
    let (old, new) =
        futures_util::future::join(store.head(), store.add_month(time::macros::date!(2031 - 02 - 01))).await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let silent = format!("the database cannot be reached: {}: no answer within 1.25 s", server.address);
    assert_eq!((old.unwrap_err().to_string(), new.unwrap_err().to_string()), (silent.clone(), silent));
    server.thaw();
    store.head().await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn the_log_tells_when_the_database_goes_and_when_it_is_back() {
    let mut server = PostgresServer::start().await;
    let mut gateway = GatewayProcess::prepare_over(&server.url(), "");
    gateway.start_again().await;
    assert_eq!(gateway.metric("sluice_database_connected").await, Some(1));
    server.stop().await;
    gateway.wait_until(async |gateway| gateway.metric("sluice_database_connected").await == Some(0)).await;
    let cause = format!("the database cannot be reached: {}: connection refused", server.address);
    gateway.wait_until(async |gateway| gateway.output().matches(&cause).count() >= 2).await;
    let failures = gateway.metric("sluice_connection_failures_total").await.unwrap();
    assert!(failures > 10, "{failures} attempts failed");
    server.start_again().await;
    gateway.wait_until(async |gateway| gateway.output().contains("the database is back")).await;
    assert_eq!(gateway.metric("sluice_database_connected").await, Some(1));
    let output = gateway.output();
    // One more line may report that the server is shutting down.
    let lines: Vec<_> = output.lines().filter(|line| line.contains("no connection to the database")).collect();
    assert!(lines.len() < 8, "one line for each doubling: {output}");
    assert!(lines[0].contains("\"away_seconds\":0") && lines[1].contains("\"away_seconds\":1"), "{output}");
    assert_eq!(output.matches("the database is back").count(), 1, "{output}");
}

#[tokio::test]
async fn all_connections_busy_is_an_error_of_its_own() {
    let database = TestDatabase::new().await;
    let mut options = StoreOptions::new(database.url.clone());
    options.reads.connections = 1;
    let store = Store::new(&options).unwrap();
    let mut lock = database.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE poll_cursor IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    let busy = store.clone();
    let reading = tokio::spawn(async move { busy.ledger().poll_cursors().await });
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while database.number(waits).await == 0 {}
    let refused = store.head().await.unwrap_err();
    assert!(matches!(refused, StoreError::Busy(_)), "{refused}");
    assert!(refused.to_string().starts_with("the database is busy: no connection became free"), "{refused}");
    lock.rollback().await.unwrap();
    reading.await.unwrap().unwrap();
    store.head().await.unwrap();
    store.close().await;
}
