//! A log to ask about: a year of what a large organisation's syncs do, stored as the gateway appends.

use std::thread;

use anyhow::{Context as _, Result, anyhow, ensure};
use okta_sim::{Organisation, OrganisationOptions};
use sluice::event::{IngestSource, Timestamp};
use sluice::store::{NewEvent, Store};
use time::{Date, Duration};
use tokio::sync::mpsc;

use crate::report::{Thousands, count, progress};
use crate::rows;

/// Events in one append.
const BATCH: usize = 1_000;

/// The org's default name in a gateway without a configuration.
const ORG: &str = "default";

/// Appends so many events, evenly spread from one moment to another, in order of time.
pub(super) async fn append(store: &Store, events: usize, from: Timestamp, until: Timestamp) -> Result<()> {
    let (sender, mut batches) = mpsc::channel::<Vec<NewEvent>>(4);
    // Making events takes a processor, and appending them mostly another: PostgreSQL's.
    let maker = thread::spawn(move || make(events, from, until, &sender));
    let mut appender = store.appender();
    let (mut stored, mut months) = (0, Vec::<Date>::new());
    while let Some(batch) = batches.recv().await {
        for month in batch.iter().filter_map(|new| rows::month(&new.event)) {
            if months.last() != Some(&month) {
                store.add_month(month).await?;
                months.push(month);
            }
        }
        let told = appender.append(IngestSource::SystemLog, &batch, &[]).await?;
        ensure!(told.iter().all(|event| event.is_new), "an event is twice in the log");
        stored += told.len();
        if stored % (events / 10).max(BATCH) < BATCH {
            progress(&format!("appended {} events", Thousands(count(stored))));
        }
    }
    maker.join().map_err(|_| anyhow!("events could not be made"))??;
    ensure!(stored == events, "only {stored} events were appended");
    Ok(())
}

/// Makes events and hands them over in batches, until they are enough or nobody takes them.
fn make(events: usize, from: Timestamp, until: Timestamp, batches: &mpsc::Sender<Vec<NewEvent>>) -> Result<()> {
    let mut organisation = Organisation::new(OrganisationOptions {
        applications: 40,
        instances: 200,
        users: 5_000,
        ..OrganisationOptions::default()
    });
    let span = until.date_time() - from.date_time();
    let millis = i64::try_from(span.whole_milliseconds()).context("too long a span")?;
    let total = i64::try_from(events)?;
    let mut batch = Vec::with_capacity(BATCH);
    for number in 0..total {
        let at = from.plus(Duration::milliseconds(millis.saturating_mul(number) / total));
        let event = organisation.event_at(at.date_time());
        let event = rows::received(event.log_json(), until)?;
        batch.push(NewEvent::new(ORG.to_owned(), event, None));
        if batch.len() == BATCH || number + 1 == total {
            let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
            if batches.blocking_send(full).is_err() {
                break;
            }
        }
    }
    Ok(())
}
