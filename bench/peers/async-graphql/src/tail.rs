//! The log's tail, as one would follow it by hand: LISTEN reports that there is something new, which is then read.

use anyhow::Result;
use sqlx::postgres::PgListener;
use sqlx::{AssertSqlSafe, PgPool};
use tokio::sync::broadcast;

use crate::event::SyncEvent;
use crate::page::COLUMNS;

/// Sends each new event to the subscribers, in the order of the log.
pub(crate) async fn follow(pool: PgPool, events: broadcast::Sender<SyncEvent>) -> Result<()> {
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen("sluice_log").await?;
    let mut position: i64 = sqlx::query_scalar("SELECT position FROM log_head").fetch_one(&pool).await?;
    let statement = format!(
        "SELECT {COLUMNS} FROM arrival a JOIN sync_event e ON e.published = a.published AND e.position = a.position \
         WHERE a.position > $1 ORDER BY a.position LIMIT 1000"
    );
    loop {
        listener.recv().await?;
        loop {
            let query = sqlx::query_as(AssertSqlSafe(statement.clone())).bind(position);
            let new: Vec<SyncEvent> = query.fetch_all(&pool).await?;
            let Some(last) = new.last() else { break };
            position = last.position.parse()?;
            for event in new {
                // Nobody may be subscribed.
                _ = events.send(event);
            }
        }
    }
}
