//! Reconciling: stretches of the recent past are read once more, in bounded requests, some time after they were over.
//! Only then is it known that everything of them is there, and what hooks missed.

use time::Duration;
use tokio::time::sleep;

use super::org_api::{OrgApi, api_backoff};
use super::page::LogPage;
use super::poller;
use crate::event::{IngestSource, Timestamp};
use crate::ingest::{Intake, IntakeError};
use crate::okta::{DeliveryError, LOG_PAGE, LogFilter, OktaError, Resource};
use crate::store::{PollCursor, ReadWindow, StoreError};

/// The longest stretch that is read at once: after a long time without a gateway, the poller is not to wait for many
/// small ones.
const LONGEST: Duration = Duration::days(1);

/// How soon to look again while the log is read for the first time.
const SOON: std::time::Duration = std::time::Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
enum ReconcileError {
    #[error(transparent)]
    Okta(#[from] OktaError),
    #[error("url: what answers there is not an Okta org: {0}")]
    Page(#[from] DeliveryError),
    #[error(transparent)]
    Intake(#[from] IntakeError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reconciles an org, again and again.
pub(super) async fn keep(intake: &Intake, api: &OrgApi) {
    let filter = LogFilter::new(intake.event_types(&api.org));
    let mut backoff = api_backoff();
    loop {
        match reconcile(intake, api, &filter).await {
            Ok(has_caught_up) => {
                backoff.reset();
                let interval = api.options.reconcile_interval;
                sleep(if has_caught_up { interval } else { interval.min(SOON) }).await;
            }
            Err(error) => {
                // The poller has the same troubles and tells of them.
                tracing::debug!(org = api.org, %error, "could not reconcile; trying again");
                sleep(backoff.pause()).await;
            }
        }
    }
}

/// Reads what has settled since the last time. Gives whether the log's end has been reached; before, nothing is read.
async fn reconcile(intake: &Intake, api: &OrgApi, filter: &LogFilter) -> Result<bool, ReconcileError> {
    let ledger = intake.ledger();
    let Some(cursor) = ledger.poll_cursor(&api.org).await? else { return Ok(false) };
    let digest = filter.digest();
    let Some(caught_up_at) = cursor.caught_up_at.filter(|_| cursor.filter == digest) else { return Ok(false) };
    let settled = caught_up_at.plus(-Duration::try_from(api.options.settle).unwrap_or(Duration::HOUR));
    let Some(mut from) = ledger.verified_through(&api.org, &digest).await? else {
        first_window(intake, &cursor, caught_up_at, settled).await?;
        return Ok(true);
    };
    // What lies behind what Okta keeps cannot be read any more.
    from = from.max(cursor.backfill_from);
    while from < settled {
        let until = settled.min(from.plus(LONGEST));
        let window = read(intake, api, filter, from, until).await?;
        if window.found > 0 {
            tracing::warn!(org = api.org, events = window.found, %from, %until, "found events that the poller had not");
        }
        ledger.keep_read_window(&window).await?;
        from = until;
    }
    Ok(true)
}

/// What had settled when the log's end was first reached was read whole on the way there.
async fn first_window(
    intake: &Intake,
    cursor: &PollCursor,
    read_at: Timestamp,
    until: Timestamp,
) -> Result<(), ReconcileError> {
    let from = cursor.backfill_from;
    if from < until {
        let PollCursor { org, filter, .. } = cursor.clone();
        let window = ReadWindow { org, filter, from, until, read_at, events: 0, found: 0 };
        intake.ledger().keep_read_window(&window).await?;
    }
    Ok(())
}

/// Reads a stretch whole, and stores what is not there.
async fn read(
    intake: &Intake,
    api: &OrgApi,
    filter: &LogFilter,
    from: Timestamp,
    until: Timestamp,
) -> Result<ReadWindow, ReconcileError> {
    let org = api.org.clone();
    let mut window = ReadWindow { org, filter: filter.digest(), from, until, read_at: until, events: 0, found: 0 };
    let (since, end, limit) = (from.to_string(), until.to_string(), LOG_PAGE.to_string());
    let mut parameters =
        vec![("since", since.as_str()), ("until", &end), ("sortOrder", "ASCENDING"), ("limit", &limit)];
    parameters.extend(filter.scim().map(|scim| ("filter", scim)));
    let mut next = Some(api.client.url(Resource::Logs, &parameters));
    while let Some(url) = next.take() {
        api.pause(Resource::Logs).await;
        let page = api.client.get(Resource::Logs, url).await?;
        let log_page = LogPage::read(&intake.record_reader(&api.org, IngestSource::SystemLog), &page.body)?;
        let is_empty = log_page.number == 0;
        window.events += poller::number(log_page.number);
        let taken = intake.take(&api.org, IngestSource::SystemLog, log_page.sorted, None).await?;
        window.found += poller::number(taken.receipt.stored);
        window.read_at = page.answered_at;
        // A bounded answer ends; one that does not is no answer.
        next = page.next.filter(|_| !is_empty);
    }
    Ok(window)
}
