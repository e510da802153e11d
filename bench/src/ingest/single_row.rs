//! The limit for single events: pgbench inserts a row into the gateway's two tables, one transaction each.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use sluice::event::{EventColumn, ReceivedEvent};
use sluice::store::{SearchVector, compress_json};

use super::results::Measurement;
use crate::pgbench::Pgbench;
use crate::postgres::Reference;
use crate::rows::text_column_names;

/// A script for pgbench, and the row that it inserts.
#[derive(Debug)]
pub(super) struct SingleRow(Pgbench);

impl SingleRow {
    /// Writes the script that inserts an event into a reference database.
    pub(super) async fn prepare(reference: &mut Reference, event: &ReceivedEvent, directory: &Path) -> Result<Self> {
        reference.execute("CREATE SEQUENCE single_row".to_owned()).await?;
        let script = directory.join("single_row.sql");
        fs::write(&script, statement(event)).with_context(|| script.display().to_string())?;
        // The row's values are sent with every statement, as a real client would.
        let texts = EventColumn::texts()
            .filter_map(|column| Some(format!("{}={}", column.spec().sql_name()?, event.occurrence.text(column)?)))
            .chain([format!("published={}", event.occurrence.published), format!("raw={}", compressed(event))])
            .chain([format!("words={}", words(reference, event).await?)]);
        let mut arguments = vec!["-f".into(), script.into_os_string()];
        arguments.extend(texts.flat_map(|text| [OsString::from("-D"), text.into()]));
        Ok(Self(Pgbench::new(arguments, reference.url())?))
    }

    /// Inserts rows for a while; gives what that measured, and how many rows it inserted.
    pub(super) async fn insert(&self, clients: usize, duration: Duration) -> Result<(Measurement, i64)> {
        let told = self.0.run(clients, duration).await?;
        Ok((Measurement { rate: told.rate, mean: told.mean, percentiles: None }, told.transactions))
    }
}

/// The event's JSON as the gateway stores it, as a text that PostgreSQL reads.
fn compressed(event: &ReceivedEvent) -> String {
    let digits = compress_json(&event.raw).into_iter().map(|byte| format!("{byte:02x}"));
    format!("\\x{}", digits.collect::<String>())
}

/// The event's words as a text that PostgreSQL reads: pgbench has no other form.
async fn words(reference: &mut Reference, event: &ReceivedEvent) -> Result<String> {
    let words = SearchVector::of(&event.occurrence);
    Ok(sqlx::query_scalar("SELECT $1::text").bind(words).fetch_one(reference.connection()).await?)
}

/// One statement for both tables, so that a row is one round trip and one transaction. UUIDs ascend as the
/// deliveries' do.
fn statement(event: &ReceivedEvent) -> String {
    let texts = EventColumn::texts().filter_map(|column| {
        let name = column.spec().sql_name()?;
        Some(event.occurrence.text(column).map_or_else(|| "NULL".to_owned(), |_| format!(":{name}::text")))
    });
    let texts: Vec<_> = texts.collect();
    format!(
        "WITH fresh AS MATERIALIZED (
             SELECT next AS position, lpad(to_hex(next), 32, '0')::uuid AS uuid, :published::timestamptz AS published
             FROM nextval('single_row') AS next
         ), events AS (
             INSERT INTO sync_event (position, published, org, uuid, {names}, words, raw, received_at, first_source)
             SELECT position, published, 'default', uuid, {texts}, :words::tsvector, :raw::bytea, now(), 0 FROM fresh
         )
         INSERT INTO arrival (org, uuid, position, published, event_hook_at, delivery)
         SELECT 'default', uuid, position, published, now(), uuid FROM fresh;\n",
        names = text_column_names(),
        texts = texts.join(", "),
    )
}
