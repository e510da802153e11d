//! What is learned of events after they were stored: their application's name, and their words where none were kept.

use std::time::Duration;

use tokio::time::sleep;

use crate::log::Log;

/// How often to look for events that can be named.
const INTERVAL: Duration = Duration::from_secs(5);

/// Names events as soon as their applications become known, for as long as it is polled. Queries find them by name from
/// then on; they are not delivered again.
pub async fn name_events(log: Log) {
    loop {
        match log.name_events().await {
            Ok(0) => sleep(INTERVAL).await,
            Ok(_) => {}
            Err(error) => {
                if !error.is_logged() {
                    tracing::warn!(%error, "could not name events whose application has become known; trying again");
                }
                sleep(INTERVAL).await;
            }
        }
    }
}

/// Gives their words to events that were stored before words were kept; ends when all have theirs. Searches find them
/// from then on.
pub async fn add_words(log: Log) {
    loop {
        match log.add_words().await {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                if !error.is_logged() {
                    tracing::warn!(%error, "could not give older events their words; trying again");
                }
                sleep(INTERVAL).await;
            }
        }
    }
}
