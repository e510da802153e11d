//! Sizes of the log's relations, as PostgreSQL knows them.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use sluice::event::{COLUMNS, OBJECTS};
use sluice::store::decompress_json;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use crate::report::count;

/// Tables that grow with every event. The others hold applications, tallies and the like.
const TABLES: [&str; 3] = ["sync_event", "arrival", "delivery"];

/// Number of events whose JSON is decompressed to learn its size.
const SAMPLE: i64 = 1_000;

/// Bytes of the pointer to a row, at the begin of its page.
const LINE_POINTER: usize = 4;

/// Sizes of a log. All of them are in bytes.
#[derive(Debug)]
pub(super) struct Storage {
    /// The number of events.
    pub(super) events: usize,
    /// The JSON of an event as Okta sent it, on average.
    pub(super) json: f64,
    /// The tables.
    pub(super) tables: Vec<TableSize>,
    /// All that the database has beside these tables: tables of a fixed size, and PostgreSQL's own.
    pub(super) rest: f64,
}

/// Sizes of a table, over all its partitions.
#[derive(Debug)]
pub(super) struct TableSize {
    pub(super) name: &'static str,
    /// The pages of rows, with their maps of free space and of visibility.
    pub(super) heap: f64,
    /// The values in these pages, by group of columns.
    pub(super) columns: Vec<(String, f64)>,
    /// Headers of rows and pointers to them, and the gaps that align values.
    pub(super) headers: f64,
    /// Large values that are stored apart, with their index.
    pub(super) toast: f64,
    /// The indexes.
    pub(super) indexes: Vec<(String, f64)>,
}

impl Storage {
    /// Measures a database.
    pub(super) async fn measure(connection: &mut PgConnection) -> Result<Self> {
        let events: i64 = sqlx::query_scalar("SELECT count(*) FROM sync_event").fetch_one(&mut *connection).await?;
        let every = (events / SAMPLE).max(1);
        let sample = format!("SELECT raw FROM sync_event WHERE position % {every} = 0");
        let sample: Vec<Vec<u8>> = sqlx::query_scalar(AssertSqlSafe(sample)).fetch_all(&mut *connection).await?;
        let texts = sample.iter().map(|raw| decompress_json(raw)).collect::<Result<Vec<_>, _>>()?;
        let json = count(texts.iter().map(String::len).sum()) / count(texts.len().max(1));
        let mut tables = Vec::with_capacity(TABLES.len());
        for name in TABLES {
            tables.push(TableSize::measure(name, connection).await?);
        }
        let database: i64 =
            sqlx::query_scalar("SELECT pg_database_size(current_database())").fetch_one(connection).await?;
        let of_tables: f64 = tables.iter().map(TableSize::total).sum();
        let rest = count(usize::try_from(database)?) - of_tables;
        Ok(Self { events: usize::try_from(events)?, json, tables, rest })
    }

    /// The bytes of all tables that grow with every event.
    pub(super) fn total(&self) -> f64 {
        self.tables.iter().map(TableSize::total).sum()
    }
}

impl TableSize {
    async fn measure(name: &'static str, connection: &mut PgConnection) -> Result<Self> {
        // A partitioned table or index has no size of its own, and a plain one is in no tree.
        let statement = "SELECT sum(pg_table_size(c.oid))::bigint,
                sum(coalesce(pg_total_relation_size(nullif(c.reltoastrelid, 0)), 0))::bigint
             FROM pg_class c
             WHERE c.oid = $1::regclass OR c.oid IN (SELECT relid FROM pg_partition_tree($1::regclass))";
        let (all, toast): (i64, i64) = sqlx::query_as(statement).bind(name).fetch_one(&mut *connection).await?;
        let statement = "SELECT i.indexrelid::regclass::text, (
                SELECT sum(pg_relation_size(c.oid)) FROM pg_class c
                WHERE c.oid = i.indexrelid OR c.oid IN (SELECT relid FROM pg_partition_tree(i.indexrelid))
             )::bigint
             FROM pg_index i WHERE i.indrelid = $1::regclass ORDER BY i.indexrelid";
        let indexes: Vec<(String, i64)> = sqlx::query_as(statement).bind(name).fetch_all(&mut *connection).await?;
        let (columns, headers) = columns_of(name, connection).await?;
        let bytes = |bytes: i64| anyhow::Ok(count(usize::try_from(bytes)?));
        Ok(Self {
            name,
            heap: bytes(all - toast)?,
            columns,
            headers,
            toast: bytes(toast)?,
            indexes: indexes.into_iter().map(|(name, size)| anyhow::Ok((name, bytes(size)?))).collect::<Result<_>>()?,
        })
    }

    /// The bytes of the table with all that belongs to it.
    pub(super) fn total(&self) -> f64 {
        self.heap + self.toast + self.indexes.iter().map(|(_, size)| size).sum::<f64>()
    }

    /// Bytes in the pages of rows that no row has: free space, space of dead rows, headers of pages.
    pub(super) fn unused(&self) -> f64 {
        self.heap - self.headers - self.columns.iter().map(|(_, size)| size).sum::<f64>()
    }
}

/// Returns the bytes of a table's values by group of columns, and the bytes of the rows' headers and gaps.
async fn columns_of(table: &str, connection: &mut PgConnection) -> Result<(Vec<(String, f64)>, f64)> {
    let statement = "SELECT attname::text FROM pg_attribute
         WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum";
    let names: Vec<String> = sqlx::query_scalar(statement).bind(table).fetch_all(&mut *connection).await?;
    let sizes: Vec<_> = names.iter().map(|name| format!("coalesce(sum(pg_column_size({name})), 0)::bigint")).collect();
    let rows = format!(
        "SELECT {}, coalesce(sum((pg_column_size(t.*) + 7) / 8 * 8 + {LINE_POINTER}), 0)::bigint FROM {table} t",
        sizes.join(", ")
    );
    let row = sqlx::query(AssertSqlSafe(rows)).fetch_one(connection).await?;
    let value = |place: usize| anyhow::Ok(count(usize::try_from(row.try_get::<i64, _>(place)?)?));
    let groups = groups_of(table);
    let mut columns: Vec<(String, f64)> = Vec::new();
    for (place, name) in names.iter().enumerate() {
        let group = groups.get(name.as_str()).map_or(name.as_str(), |group| group);
        let size = value(place)?;
        match columns.iter_mut().find(|(known, _)| known == group) {
            Some((_, sum)) => *sum += size,
            None => columns.push((group.to_owned(), size)),
        }
    }
    let rows = value(names.len()).context("the rows have no size")?;
    let headers = rows - columns.iter().map(|(_, size)| size).sum::<f64>();
    Ok((columns, headers))
}

/// The columns of `sync_event` that belong to an object of the graph, and the object's field.
fn groups_of(table: &str) -> HashMap<&'static str, &'static str> {
    if table != "sync_event" {
        return HashMap::new();
    }
    let group = |object| OBJECTS.iter().find(|known| known.object == object).map(|known| known.field);
    let columns = COLUMNS.iter().filter_map(|column| Some((column.sql_name()?, group(column.graph?.object)?)));
    columns.collect()
}
