//! A task that applies the current [`KeptHeaders`] to headers that earlier versions stored.

use std::time::Duration;

use tokio::time::sleep;
use uuid::Uuid;

use super::{Intake, KeptHeaders};
use crate::store::StoreError;

/// The number of deliveries in one step, small enough that other transactions do not wait long.
const STEP: i64 = 1000;

/// The pause after a failure.
const PAUSE: Duration = Duration::from_secs(5);

/// Filters the headers of the deliveries that were stored since the last run, in bounded steps, and ends when all are
/// done.
pub async fn reduce_stored_headers(intake: Intake) {
    let mut reduced = 0;
    loop {
        match reduce(&intake, &mut reduced).await {
            Ok(()) => break,
            Err(error) => {
                if !error.is_logged() {
                    tracing::warn!(%error, "could not filter the stored headers of deliveries; trying again");
                }
                sleep(PAUSE).await;
            }
        }
    }
    if reduced > 0 {
        tracing::info!(deliveries = reduced, "removed headers that are not to be stored from deliveries");
    }
}

async fn reduce(intake: &Intake, reduced: &mut usize) -> Result<(), StoreError> {
    let ledger = intake.ledger();
    let mut through = ledger.headers_reduced_through().await?;
    let usual = KeptHeaders::default();
    loop {
        let stored = ledger.stored_headers(through, STEP).await?;
        let Some(last) = stored.last().map(|one| one.delivery) else { return Ok(()) };
        let changed: Vec<(Uuid, String)> = stored
            .iter()
            .filter_map(|one| {
                let keeper = intake.orgs().get(&one.org).map_or(&usual, |org| &org.headers);
                Some((one.delivery, keeper.filter_stored(&one.headers)?))
            })
            .collect();
        ledger.reduce_headers(&changed, last).await?;
        metrics::counter!("sluice_headers_reduced_total").increment(changed.len() as u64);
        *reduced += changed.len();
        through = last;
    }
}
