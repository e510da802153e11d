//! Tasks that complete stored events: the names of their applications, and the words of events that were stored without.

use std::time::Duration;

use tokio::time::sleep;

use crate::log::Log;
use crate::store::StoreError;

/// The pause between searches for events that can be completed, and after a failure.
const INTERVAL: Duration = Duration::from_secs(5);

/// Names events once their applications are known, for as long as the future is polled. From then on queries find the
/// events by that name; subscriptions do not receive them again.
pub async fn name_events(log: Log) {
    loop {
        match log.name_events().await {
            Ok(0) => sleep(INTERVAL).await,
            Ok(_) => {}
            Err(error) => {
                pause_after(&error, "could not name events whose application has become known; retrying").await;
            }
        }
    }
}

/// Adds words to events that were stored before searches by words existed, and ends when all events have theirs.
pub async fn add_words(log: Log) {
    loop {
        match log.add_words().await {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => pause_after(&error, "could not add words to older events; retrying").await,
        }
    }
}

async fn pause_after(error: &StoreError, message: &str) {
    if !error.is_logged() {
        tracing::warn!(%error, "{message}");
    }
    sleep(INTERVAL).await;
}
