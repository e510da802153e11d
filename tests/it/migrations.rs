//! The migrations: what they keep of a database that has rows, what they say of each table and column, and which databases
//! they refuse.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value};
use sluice::event::{COLUMNS, EventColumn, EventFields as _, IngestSource, Position, Stored, SyncEvent, Timestamp};
use sluice::store::{Store, StoreError};
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, PgPool};

use crate::append::new_event;
use crate::database::{TestDatabase, everything};
use crate::events::{sync_event, sync_events};
use crate::gateway::Gateway;
use crate::postgres_server::PostgresServer;

/// The migrations as they stand in their directory; the program brings them along.
async fn migrations() -> Migrator {
    Migrator::new(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations"))).await.unwrap()
}

/// The number of the first migration.
const FIRST: i64 = 1;

/// Exit status of a command for a log that was made before 0.1.0.
const MADE_BEFORE: i32 = 4;

/// Rows of all tables as JSON, without any order.
type Rows = BTreeMap<String, Vec<Map<String, Value>>>;

#[tokio::test]
async fn what_is_stored_stays_the_same_through_every_later_migration() {
    let gateway = Gateway::start().await;
    gateway.deliver(&sync_events("one", 3)).await;
    gateway.deliver(&[sync_event("two")]).await;
    gateway.post("import", r#"{"payload":1}"#).await;
    let written = &gateway.database;
    let server = PostgresServer::start().await;
    let database = TestDatabase { url: server.url(), pool: PgPool::connect(&server.url()).await.unwrap() };
    let migrations = migrations().await;
    migrations.run_to(FIRST, &database.pool).await.unwrap();
    copy_rows(&written.pool, &database.pool).await;
    let stored = rows(&database.pool).await;
    for table in ["sync_event", "arrival", "delivery", "rejected", "ingest_tally", "application_instance"] {
        assert!(!stored[table].is_empty(), "{table}");
    }
    for migration in migrations.iter().filter(|migration| migration.version > FIRST) {
        migrations.run_to(migration.version, &database.pool).await.unwrap();
        assert_same(&stored, &rows(&database.pool).await, migration.version);
    }
    let store = database.store();
    store.migrate().await.unwrap();
    let (events, expected) = (events(&store).await, events(&written.store()).await);
    assert_eq!((events.len(), expected.len()), (4, 4));
    for (event, expected) in events.iter().zip(&expected) {
        assert_eq!(seen(event, &stored), seen(expected, &stored));
    }
    // The log goes on: it knows the events that it has, and takes new ones.
    let mut appender = store.appender();
    let known: Value = serde_json::from_str(&raw(&expected[0])).unwrap();
    let together = [new_event(&expected[0].org, &known, None), new_event(&expected[0].org, &sync_event("three"), None)];
    let told = appender.append(IngestSource::Import, &together, &[]).await.unwrap();
    assert_eq!(told.iter().map(|one| one.is_new).collect::<Vec<_>>(), [false, true]);
    assert_eq!(told[0].position, expected[0].position);
    gateway.stop().await;
}

/// Copies the rows of a log's tables into a database of an earlier schema, as far as that has the tables and columns.
async fn copy_rows(from: &PgPool, to: &PgPool) {
    sqlx::query("SELECT log_add_month('2026-03-01')").execute(to).await.unwrap();
    for (table, there) in rows(to).await {
        // These tables have one row from the start.
        if !there.is_empty() {
            continue;
        }
        let all = format!("SELECT coalesce(jsonb_agg(to_jsonb(t)), '[]')::text FROM {table} t");
        let all: String = sqlx::query_scalar(AssertSqlSafe(all)).fetch_one(from).await.unwrap();
        let copy = format!(
            "INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_recordset(NULL::{table}, $1::jsonb)"
        );
        sqlx::query(AssertSqlSafe(copy)).bind(all).execute(to).await.unwrap();
    }
    let head: i64 = sqlx::query_scalar("SELECT position FROM log_head").fetch_one(from).await.unwrap();
    sqlx::query("UPDATE log_head SET position = $1").bind(head).execute(to).await.unwrap();
}

/// Returns the rows of all tables.
async fn rows(pool: &PgPool) -> Rows {
    let tables = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') \
                  AND NOT relispartition AND relname <> '_sqlx_migrations'";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(pool).await.unwrap();
    let mut rows = Rows::new();
    for table in tables {
        let sql = format!("SELECT to_jsonb(t)::text FROM {table} t ORDER BY 1");
        let texts: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(pool).await.unwrap();
        rows.insert(table, texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect());
    }
    rows
}

/// Compares the rows before and after a migration, in the tables and columns that both have.
fn assert_same(before: &Rows, after: &Rows, version: i64) {
    for (table, before) in before {
        let Some(after) = after.get(table) else { continue };
        let columns =
            |rows: &[Map<String, Value>]| -> BTreeSet<String> { rows.iter().flat_map(Map::keys).cloned().collect() };
        let common: BTreeSet<_> = columns(before).intersection(&columns(after)).cloned().collect();
        let kept = |rows: &[Map<String, Value>]| {
            let kept = rows.iter().map(|row| {
                let row = row.iter().filter(|(column, _)| common.contains(*column));
                Value::Object(row.map(|(column, value)| (column.clone(), value.clone())).collect()).to_string()
            });
            let mut kept: Vec<_> = kept.collect();
            kept.sort();
            kept
        };
        assert_eq!(kept(before), kept(after), "{table} after migration {version}");
    }
}

/// Returns what an event has in the columns that the first migration made.
fn seen(event: &SyncEvent, stored: &Rows) -> (Position, [Timestamp; 2], IngestSource, Vec<Option<String>>, String) {
    let columns = &stored["sync_event"][0];
    let columns = EventColumn::texts().filter(|column| columns.contains_key(column.spec().sql_name().unwrap()));
    let texts: Vec<_> = columns.map(|column| event.text(column).map(str::to_owned)).collect();
    assert!(texts.len() > 20, "{texts:?}");
    (event.position, [event.occurrence.published, event.received_at], event.first_source, texts, raw(event))
}

/// Reads all events.
async fn events(store: &Store) -> Vec<SyncEvent> {
    store.read_after(Position::START, 1000, &everything(), true).await.unwrap().events
}

fn raw(event: &SyncEvent) -> String {
    match &event.details {
        sluice::event::Details::Read(raw) => raw.to_string(),
        sluice::event::Details::NotRead => panic!("the details were asked for"),
    }
}

#[tokio::test]
async fn the_table_of_columns_is_that_of_the_database() {
    let database = TestDatabase::new().await;
    let columns = "SELECT attname::text, atttypid::regtype::text FROM pg_attribute \
                   WHERE attrelid = 'sync_event'::regclass AND attnum > 0 AND NOT attisdropped AND attname <> 'words' \
                   ORDER BY attname";
    let columns: Vec<(String, String)> = sqlx::query_as(columns).fetch_all(&database.pool).await.unwrap();
    let mut known = Vec::new();
    for spec in &COLUMNS {
        if let Stored::Event(name, sql_type) = spec.stored {
            let full_name = sqlx::query_scalar("SELECT $1::regtype::text").bind(sql_type.name());
            known.push((name.to_owned(), full_name.fetch_one(&database.pool).await.unwrap()));
        }
    }
    known.sort();
    assert_eq!(known, columns);
}

#[tokio::test]
async fn the_comment_of_each_table_and_column_is_a_plain_sentence() {
    let database = TestDatabase::new().await;
    let comments: Vec<(String, Option<String>)> = sqlx::query_as(
        "SELECT concat_ws('.', c.relname, a.attname), \
             CASE a.attnum WHEN 0 THEN obj_description(c.oid, 'pg_class') ELSE col_description(c.oid, a.attnum) END \
         FROM pg_class c \
         CROSS JOIN LATERAL (SELECT NULL::name AS attname, 0::int2 AS attnum UNION ALL \
             SELECT attname, attnum FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) a \
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition \
             AND c.relname <> '_sqlx_migrations' ORDER BY 1",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    assert!(comments.len() > 100, "only {} comments were found", comments.len());
    let faults = comments.iter().filter_map(|(place, comment)| match comment {
        None => Some(format!("{place} has no comment")),
        Some(comment) => comment_fault(comment).map(|fault| format!("{place}: {fault}: {comment}")),
    });
    assert_eq!(faults.collect::<Vec<_>>(), Vec::<String>::new());
}

/// Returns why a comment is no plain sentence that begins with a noun.
fn comment_fault(comment: &str) -> Option<&'static str> {
    const NO_NOUNS: [&str; 24] = [
        "It", "Its", "They", "Their", "Who", "Whoever", "That", "Those", "This", "These", "What", "Whatever",
        "Whether", "How", "Where", "When", "Why", "If", "Is", "Has", "Always", "Only", "Through", "From",
    ];
    let first = comment.split(|letter: char| !letter.is_alphabetic()).next().unwrap_or_default();
    if NO_NOUNS.contains(&first) || comment.starts_with("The same") {
        Some("does not begin with a noun")
    } else if !first.starts_with(char::is_uppercase) || !comment.ends_with('.') {
        Some("is no sentence")
    } else {
        None
    }
}

#[test]
fn comments_that_are_no_plain_sentences_are_found() {
    assert_eq!(comment_fault("The time of the append, by the database's clock."), None);
    for comment in ["Its place in the log.", "Why it began, in words.", "The same as before.", "an id", "The position"]
    {
        assert!(comment_fault(comment).is_some(), "{comment}");
    }
}

#[tokio::test]
async fn a_log_made_by_the_former_migrations_is_refused_with_what_to_do() {
    // The former migrations had other texts; all but the first are gone.
    for changes in [
        "UPDATE _sqlx_migrations SET checksum = '\\x00'",
        "INSERT INTO _sqlx_migrations SELECT 13, 'org index', now(), true, '\\x01', 0",
    ] {
        let database = TestDatabase::new().await;
        let former = "UPDATE _sqlx_migrations SET checksum = '\\x00' WHERE version = 1";
        for sql in [former, changes] {
            sqlx::query(sql).execute(&database.pool).await.unwrap();
        }
        let error = database.store().prepare(true).await.unwrap_err();
        assert!(matches!(error, StoreError::TooOld), "{error}");
        for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["migrate"], &["import", "/dev/null"]] {
            let mut sluice = Command::new(env!("CARGO_BIN_EXE_sluice"));
            let said = sluice.args(command).env("DATABASE_URL", &database.url).env("RUST_LOG", "off").output().unwrap();
            let errors = String::from_utf8(said.stderr).unwrap();
            assert_eq!(said.status.code(), Some(MADE_BEFORE), "{command:?}: {errors}");
            let last = errors.lines().last().unwrap_or_default();
            assert!(last.contains(&error.to_string()), "{command:?}: {errors}");
        }
    }
    // A log of a later version is not taken for an old one.
    let database = TestDatabase::new().await;
    let later = "INSERT INTO _sqlx_migrations SELECT 9999, 'later', now(), true, '\\x01', 0";
    sqlx::query(later).execute(&database.pool).await.unwrap();
    let error = database.store().prepare(true).await.unwrap_err();
    assert!(matches!(error, StoreError::Migration(_)), "{error}");
}
