//! Application names that are learned after events were stored.

use std::time::Duration;

use tokio::time::sleep;

use crate::store::Store;

/// How often to look for events that can be named.
const INTERVAL: Duration = Duration::from_secs(5);

/// Names events as soon as their applications become known, for as long as it is polled. Queries find them by name from
/// then on; they are not delivered again.
pub async fn name_events(store: Store) {
    loop {
        match store.name_events().await {
            Ok(0) => sleep(INTERVAL).await,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "could not name events whose application has become known; trying again");
                sleep(INTERVAL).await;
            }
        }
    }
}
