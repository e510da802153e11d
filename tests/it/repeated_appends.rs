//! Appends that fail for a reason that passes: they are made again, and whoever sent the events learns of nothing.

use std::time::Duration;

use sluice::event::{IngestSource, Position};
use sluice::log::{AppendOutcome, AppendRequest, Log, LogOptions};

use crate::append::new_event;
use crate::database::TestDatabase;
use crate::events::sync_event;

/// Appends an event of March 2026; returns what becomes of it.
async fn append(log: &Log) -> Vec<AppendOutcome> {
    let events = vec![new_event("acme", &sync_event("one"), None)];
    log.append(AppendRequest { source: IngestSource::Import, events, deliveries: Vec::new() }).await.unwrap()
}

/// An append whose connection ends is made again over another connection.
#[tokio::test]
async fn an_append_whose_connection_ends_is_made_again() {
    let database = TestDatabase::new().await;
    let log = Log::open(database.store(), &LogOptions::default()).await.unwrap();
    let mut stranger = database.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM log_head FOR UPDATE").execute(&mut *stranger).await.unwrap();
    let (told, ()) = tokio::join!(append(&log), async {
        // The append waits for the log's head.
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                   WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%log_append%'";
        while database.number(end).await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stranger.commit().await.unwrap();
    });
    assert_eq!(told, [AppendOutcome::Stored(Position::new(1))]);
}

/// The partition of a month that an operator has dropped is made again for the next event of that month.
#[tokio::test]
async fn a_partition_that_is_gone_is_made_again_for_the_next_event() {
    let database = TestDatabase::new().await;
    let log = Log::open(database.store(), &LogOptions::default()).await.unwrap();
    assert_eq!(append(&log).await, [AppendOutcome::Stored(Position::new(1))]);
    sqlx::query("DROP TABLE sync_event_2026_03").execute(&database.pool).await.unwrap();
    assert_eq!(append(&log).await, [AppendOutcome::Stored(Position::new(2))]);
    assert_eq!(database.number("SELECT count(*) FROM sync_event_2026_03").await, 1);
}
