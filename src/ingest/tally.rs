//! Adding up what comes by each way. Appends are not held up by it: what has come is written every second.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

use super::Intake;
use super::intake::Receipt;
use crate::event::{IngestSource, Timestamp};
use crate::store::{IngestTally, Store, StoreError};

/// How often what has come is written.
const INTERVAL: Duration = Duration::from_secs(1);

/// What has come and is not written yet. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Tallies(Arc<Mutex<HashMap<(String, IngestSource), IngestTally>>>);

impl Tallies {
    pub(super) fn add(&self, org: &str, source: IngestSource, receipt: &Receipt) {
        if receipt.stored + receipt.duplicates == 0 {
            return;
        }
        let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.put_back(vec![IngestTally {
            org: org.to_owned(),
            source,
            arrived: number(receipt.stored),
            duplicates: number(receipt.duplicates),
            last_arrival_at: Timestamp::now(),
        }]);
    }

    async fn write(&self, store: &Store) -> Result<(), StoreError> {
        let tallies: Vec<_> = self.lock().drain().map(|(_, tally)| tally).collect();
        if tallies.is_empty() {
            return Ok(());
        }
        let written = store.add_tallies(&tallies).await;
        if written.is_err() {
            self.put_back(tallies);
        }
        written
    }

    fn put_back(&self, tallies: Vec<IngestTally>) {
        let mut waiting = self.lock();
        for tally in tallies {
            let key = (tally.org.clone(), tally.source);
            let known =
                waiting.entry(key).or_insert_with(|| IngestTally { arrived: 0, duplicates: 0, ..tally.clone() });
            known.arrived += tally.arrived;
            known.duplicates += tally.duplicates;
            known.last_arrival_at = known.last_arrival_at.max(tally.last_arrival_at);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, IngestSource), IngestTally>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes what has come, for as long as it is polled.
pub async fn write_tallies(intake: Intake) {
    loop {
        sleep(INTERVAL).await;
        if let Err(error) = write_tallies_now(&intake).await {
            tracing::debug!(%error, "could not write how much has come; trying again");
        }
    }
}

/// Writes what has come, now.
///
/// # Errors
/// The database's: it is kept for another time.
pub async fn write_tallies_now(intake: &Intake) -> Result<(), StoreError> {
    intake.tallies().write(intake.log().store()).await
}
