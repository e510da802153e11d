//! The limit for many events: the gateway's rows into the gateway's tables by UNNEST, a batch a transaction, from one
//! connection. Nothing is read, numbered or deduplicated.

use std::time::{Duration, Instant};

use anyhow::Result;
use sluice::event::{EventColumn, ReceivedEvent, Timestamp};
use sluice::store::{SearchVector, compress_json};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::results::Measurement;
use crate::load::Identities;
use crate::postgres::Reference;
use crate::report::{count, millis};
use crate::rows::text_column_names;

/// How much is inserted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Extent {
    /// What fits into this time.
    Time(Duration),
    /// So many rows, up to whole batches.
    Rows(usize),
}

/// Inserts batches; gives what that measured, and how many rows it inserted.
pub(crate) async fn insert(
    reference: &mut Reference,
    events: &[ReceivedEvent],
    identities: &Identities,
    rows: usize,
    extent: Extent,
) -> Result<(Measurement, i64)> {
    let statement = statement();
    // As the gateway's own connections have it.
    reference.execute("SET work_mem = '16MB'".to_owned()).await?;
    let (mut position, mut batches) = (0_i64, 0);
    let started = Instant::now();
    for batch in events.chunks_exact(rows).cycle() {
        let is_done = match extent {
            Extent::Time(duration) => started.elapsed() >= duration,
            Extent::Rows(wanted) => batches * rows >= wanted,
        };
        if is_done {
            break;
        }
        let positions: Vec<i64> = (position + 1..).take(rows).collect();
        let uuids: Vec<Uuid> = batch.iter().map(|_| identities.next()).collect();
        let mut query = sqlx::query(AssertSqlSafe(statement.as_str()))
            .bind(&positions)
            .bind(batch.iter().map(|event| event.occurrence.published.date_time()).collect::<Vec<_>>())
            .bind(vec!["default"; rows])
            .bind(&uuids)
            .bind(Timestamp::now().date_time())
            .bind(batch.iter().map(|event| compress_json(&event.raw)).collect::<Vec<_>>())
            .bind(vec![Uuid::new_v4(); rows]);
        for column in EventColumn::texts() {
            query = query.bind(batch.iter().map(|event| event.occurrence.text(column)).collect::<Vec<_>>());
        }
        query = query.bind(batch.iter().map(|event| SearchVector::of(&event.occurrence)).collect::<Vec<_>>());
        query.execute(reference.connection()).await?;
        position = positions.last().copied().unwrap_or(position);
        batches += 1;
    }
    let elapsed = started.elapsed();
    let measurement = Measurement {
        rate: count(batches * rows) / elapsed.as_secs_f64(),
        mean: millis(elapsed) / count(batches),
        percentiles: None,
    };
    Ok((measurement, position))
}

/// One statement, as a round trip for each table would cost the limit.
fn statement() -> String {
    let names = text_column_names();
    let texts =
        names.split(", ").chain(["words"]).zip(8..).map(|(name, number)| format!("unnest(${number}) AS {name}"));
    let texts = texts.collect::<Vec<_>>().join(", ");
    format!(
        "WITH events AS (
             INSERT INTO sync_event (position, published, org, uuid, {names}, words, raw, received_at, first_source)
             SELECT position, published, org, uuid, {names}, words, raw, $5, 0
             FROM (
                 SELECT unnest($1) AS position, unnest($2) AS published, unnest($3) AS org, unnest($4) AS uuid,
                     unnest($6) AS raw, {texts}
             ) rows
         )
         INSERT INTO arrival (org, uuid, position, published, event_hook_at, delivery)
         SELECT rows.org, rows.uuid, rows.position, rows.published, $5, rows.delivery
         FROM (
             SELECT unnest($3) AS org, unnest($4) AS uuid, unnest($1) AS position, unnest($2) AS published,
                 unnest($7) AS delivery
         ) rows"
    )
}
