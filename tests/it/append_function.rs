//! The function that appends: each version's gateways install their own, and leave those of others.

use serde_json::Value;
use sluice::event::IngestSource;
use sluice::store::{Store, StoreError, StoreOptions};
use sqlx::{AssertSqlSafe, PgPool};
use time::macros::date;

use crate::append::new_event;
use crate::database::TestDatabase;
use crate::events::{sync_event, sync_events, uuid};
use crate::gateway::Gateway;
use crate::postgres_server::PostgresServer;

/// The name of another version's function.
const OTHER: &str = "log_append_0123abcd";

/// Returns the names of the functions that append.
async fn functions(pool: &PgPool) -> Vec<String> {
    let names = "SELECT proname::text FROM pg_proc WHERE proname LIKE 'log\\_append\\_%' ORDER BY 1";
    sqlx::query_scalar(names).fetch_all(pool).await.unwrap()
}

/// Appends an event by another version's function; returns its turn.
async fn append_by_other(pool: &PgPool, event: &Value) -> i64 {
    let parameters: Vec<(String, String)> = sqlx::query_as(
        "SELECT a.name, format_type(a.type, NULL) FROM pg_proc p, \
         unnest(p.proargnames[:p.pronargs], p.proargtypes::oid[]) WITH ORDINALITY AS a (name, type, ordinal) \
         WHERE p.proname = $1 ORDER BY a.ordinal",
    )
    .bind(OTHER)
    .fetch_all(pool)
    .await
    .unwrap();
    let values = parameters.iter().map(|(name, of_type)| match &**name {
        "orgs" => "ARRAY['acme']".to_owned(),
        "uuids" => format!("ARRAY['{}'::uuid]", uuid(event)),
        "event_types" => "ARRAY['a.b']".to_owned(),
        "publisheds" => format!("ARRAY['{}'::timestamptz]", event["published"].as_str().unwrap()),
        "raws" => format!("ARRAY[convert_to('{event}', 'UTF8')]"),
        "times_received" => "ARRAY[1::bigint]".to_owned(),
        "way" => "3::smallint".to_owned(),
        name if name.starts_with("delivery_") => format!("'{{}}'::{of_type}"),
        _ => format!("'{{NULL}}'::{of_type}"),
    });
    let call = format!("SELECT turns[1] + head FROM {OTHER}({})", values.collect::<Vec<_>>().join(", "));
    sqlx::query_scalar(AssertSqlSafe(call)).fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn gateways_of_two_versions_append_to_one_database() {
    let database = TestDatabase::new().await;
    let store = database.store();
    let own = functions(&database.pool).await;
    assert_eq!(own.len(), 1);
    let definition = "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = $1";
    let definition: String = sqlx::query_scalar(definition).bind(&own[0]).fetch_one(&database.pool).await.unwrap();
    let other = definition.replace(&own[0], OTHER);
    sqlx::raw_sql(AssertSqlSafe(other)).execute(&database.pool).await.unwrap();
    // A gateway that starts leaves the other one.
    store.migrate().await.unwrap();
    assert_eq!(functions(&database.pool).await.len(), 2);
    store.add_month(date!(2026 - 03 - 01)).await.unwrap();
    let events = sync_events("one", 3);
    let mut appender = store.appender();
    let mut positions = Vec::new();
    let ours = |event: &Value| [new_event("acme", event, None), new_event("acme", &sync_event("one"), None)];
    for (index, event) in events.iter().enumerate() {
        if index == 1 {
            positions.push(append_by_other(&database.pool, event).await);
        } else {
            let told = appender.append(IngestSource::Import, &ours(event), &[]).await.unwrap();
            positions.extend(told.iter().map(|one| i64::try_from(one.position.get()).unwrap()));
        }
    }
    assert_eq!(positions, [1, 2, 3, 4, 5]);
    // Each knows what the other has appended.
    let again: Vec<_> = events.iter().map(|event| new_event("acme", event, None)).collect();
    let told = appender.append(IngestSource::Import, &again, &[]).await.unwrap();
    assert!(told.iter().all(|one| !one.is_new), "{told:?}");
}

#[tokio::test]
async fn a_gateway_installs_its_function_again_when_it_is_gone() {
    let gateway = Gateway::start().await;
    gateway.deliver(&sync_events("one", 2)).await;
    let own = functions(&gateway.database.pool).await;
    sqlx::raw_sql(AssertSqlSafe(format!("DROP FUNCTION {}", own[0]))).execute(&gateway.database.pool).await.unwrap();
    gateway.deliver(&sync_events("one", 2)).await;
    assert_eq!(functions(&gateway.database.pool).await, own);
    assert_eq!(gateway.database.number("SELECT count(*) FROM sync_event").await, 4);
    gateway.stop().await;
}

#[tokio::test]
async fn gateways_that_start_together_install_it_once() {
    let database = TestDatabase::new().await;
    let own = functions(&database.pool).await;
    sqlx::raw_sql(AssertSqlSafe(format!("DROP FUNCTION {}", own[0]))).execute(&database.pool).await.unwrap();
    // A busy machine takes long to open many connections at once.
    let options = StoreOptions::new(format!("{}?connect_timeout=60", database.url));
    let stores: Vec<_> = std::iter::repeat_with(|| Store::new(&options).unwrap()).take(8).collect();
    for started in futures_util::future::join_all(stores.iter().map(Store::migrate)).await {
        started.unwrap();
    }
    assert_eq!(functions(&database.pool).await, own);
}

#[tokio::test]
async fn a_user_who_may_not_create_is_told_the_statement_that_grants_it() {
    let server = PostgresServer::start().await;
    let owner = Store::new(&StoreOptions::new(server.url())).unwrap();
    owner.migrate().await.unwrap();
    server.execute("CREATE ROLE \"Gate way\" LOGIN").await;
    server.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO \"Gate way\"").await;
    let pool = PgPool::connect(&server.url()).await.unwrap();
    let own = functions(&pool).await;
    sqlx::raw_sql(AssertSqlSafe(format!("DROP FUNCTION {}", own[0]))).execute(&pool).await.unwrap();
    let store = Store::new(&StoreOptions::new(format!("postgres://Gate%20way@{}/sluice", server.address))).unwrap();
    let error = store.migrate().await.unwrap_err();
    let StoreError::NoPrivilege { grant, .. } = &error else { panic!("{error}") };
    assert!(error.to_string().contains("GRANT USAGE, CREATE ON SCHEMA public TO \"Gate way\""), "{error}");
    sqlx::raw_sql(AssertSqlSafe(grant.clone())).execute(&pool).await.unwrap();
    store.migrate().await.unwrap();
    assert_eq!(functions(&pool).await, own);
}
