//! Migrations of databases that have rows.

use std::borrow::Cow;

use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, PgPool};

use crate::database::TestDatabase;
use crate::postgres_server::PostgresServer;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// Brings a database's schema to what it was after a migration.
async fn migrate_through(pool: &PgPool, version: i64) {
    let earlier: Vec<_> = MIGRATIONS.iter().filter(|migration| migration.version <= version).cloned().collect();
    let earlier = Migrator { migrations: Cow::Owned(earlier), ..Migrator::DEFAULT };
    earlier.run(pool).await.unwrap();
}

#[tokio::test]
async fn ways_that_brought_something_before_it_was_counted_get_their_rows() {
    let server = PostgresServer::start().await;
    let database = TestDatabase { url: server.url(), pool: PgPool::connect(&server.url()).await.unwrap() };
    migrate_through(&database.pool, 9).await;
    let rows = "
        INSERT INTO arrival (org, uuid, position, published, event_hook_at, system_log_at, workflows_at, import_at)
        SELECT 'acme', gen_random_uuid(), n, '2026-03-04Z',
            CASE WHEN n > 2 THEN '2026-05-01Z'::timestamptz + n * interval '1 second' END,
            CASE WHEN n > 4 THEN '2026-06-01Z'::timestamptz END, NULL,
            CASE WHEN n <= 3 THEN '2026-04-01Z'::timestamptz END
        FROM generate_series(1, 6) n;
        INSERT INTO ingest_tally (org, source, arrived, duplicates, last_arrival_at) VALUES ('acme', 0, 3, 7, '2026-07-01Z');
        INSERT INTO delivery (id, org, headers, received_at) VALUES (gen_random_uuid(), 'acme', '{\"cookie\":\"x\"}', now());
    ";
    sqlx::raw_sql(AssertSqlSafe(rows.to_owned())).execute(&database.pool).await.unwrap();
    database.store().migrate().await.unwrap();
    let tallies: Vec<(i16, i64, i64, String, String)> = sqlx::query_as(
        "SELECT source, arrived, duplicates, (first_arrival_at AT TIME ZONE 'UTC')::text, \
         (last_arrival_at AT TIME ZONE 'UTC')::text FROM ingest_tally ORDER BY source",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    let told: Vec<_> = tallies.iter().map(|row| (row.0, row.1, row.2, row.3.as_str(), row.4.as_str())).collect();
    let expected = [
        (0, 3, 7, "2026-05-01 00:00:03", "2026-07-01 00:00:00"),
        (1, 0, 2, "2026-06-01 00:00:00", "2026-06-01 00:00:00"),
        (3, 3, 0, "2026-04-01 00:00:00", "2026-04-01 00:00:00"),
    ];
    assert_eq!(told, expected);
    assert_eq!(database.number("SELECT count(*) FROM arrival WHERE log_stream_at IS NULL").await, 6);
}

#[tokio::test]
async fn every_table_and_column_has_a_comment() {
    let database = TestDatabase::new().await;
    let without: Vec<String> = sqlx::query_scalar(
        "SELECT format('%s.%s', c.relname, coalesce(a.attname, '')) FROM pg_class c \
         CROSS JOIN LATERAL (SELECT NULL::name AS attname, 0::int2 AS attnum UNION ALL \
             SELECT attname, attnum FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) a \
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition \
             AND c.relname <> '_sqlx_migrations' AND col_description(c.oid, a.attnum) IS NULL \
             AND (a.attnum > 0 OR obj_description(c.oid, 'pg_class') IS NULL) ORDER BY 1",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    assert_eq!(without, Vec::<String>::new());
}
