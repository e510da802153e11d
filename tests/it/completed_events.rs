//! Events that were stored without something, and are given it later.

use sluice::event::IngestSource;
use sluice::log::{AppendRequest, Log, LogOptions};

use crate::append::new_event;
use crate::database::TestDatabase;
use crate::events::sync_events;

/// More events than are given their words in one transaction.
const EVENTS: usize = 2100;

/// Events that were stored before searches by words existed are all given their words, however many there are.
#[tokio::test]
async fn all_older_events_are_given_their_words() {
    const WITHOUT_WORDS: &str = "SELECT count(*) FROM sync_event WHERE words IS NULL";
    let database = TestDatabase::new().await;
    let log = Log::open(database.store(), &LogOptions::default()).await.unwrap();
    let events = sync_events("one", EVENTS).iter().map(|event| new_event("acme", event, None)).collect();
    log.append(AppendRequest { source: IngestSource::Import, events, deliveries: Vec::new() }).await.unwrap();
    sqlx::query("UPDATE sync_event SET words = NULL").execute(&database.pool).await.unwrap();
    assert_eq!(database.number(WITHOUT_WORDS).await, 2100);
    sluice::ingest::add_words(log).await;
    assert_eq!(database.number(WITHOUT_WORDS).await, 0);
}
