//! Reconciliation: settled windows of the System Log are read again in bounded requests. Only that read proves that the
//! log has all of their events, and shows which events the hooks missed.

use time::Duration;
use tokio::time::sleep;

use super::org_api::{ApiError, OrgApi, api_backoff};
use super::page::LogPage;
use super::poller;
use crate::event::{IngestSource, Timestamp};
use crate::ingest::Intake;
use crate::ledger::{PollCursor, ReadWindow};
use crate::okta::{LogFilter, Resource};

/// The maximum length of a window, long enough that a gateway which was down for days catches up in few requests.
const MAX_WINDOW: Duration = Duration::days(1);

/// The interval until the first backfill is complete.
const SOON: std::time::Duration = std::time::Duration::from_secs(5);

/// Reconciles an org in an endless loop.
pub(super) async fn run(intake: &Intake, api: &OrgApi) {
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
                // The poller fails for the same reasons, and reports them.
                tracing::debug!(org = api.org, %error, "could not reconcile; trying again");
                sleep(backoff.pause()).await;
            }
        }
    }
}

/// Reads the windows that have settled since the last call. Returns false, and reads nothing, before the poller has reached
/// the log's end.
async fn reconcile(intake: &Intake, api: &OrgApi, filter: &LogFilter) -> Result<bool, ApiError> {
    let ledger = intake.ledger();
    let Some(cursor) = ledger.poll_cursor(&api.org).await? else { return Ok(false) };
    let digest = filter.digest();
    let Some(caught_up_at) = cursor.caught_up_at.filter(|_| cursor.filter == digest) else { return Ok(false) };
    let settled = caught_up_at.plus(-Duration::try_from(api.options.settle).unwrap_or(Duration::HOUR));
    let Some(mut from) = ledger.verified_through(&api.org, &digest).await? else {
        first_window(intake, &cursor, caught_up_at, settled).await?;
        return Ok(true);
    };
    // Okta no longer has the events before the backfill.
    from = from.max(cursor.backfill_from);
    while from < settled {
        let until = settled.min(from.plus(MAX_WINDOW));
        let window = read(intake, api, filter, from, until).await?;
        if window.found > 0 {
            tracing::warn!(org = api.org, events = window.found, %from, %until, "found events that the poller missed");
        }
        ledger.keep_read_window(&window).await?;
        from = until;
    }
    Ok(true)
}

/// Stores the first window: what had settled when the poller first reached the log's end, and was read completely
/// before.
async fn first_window(
    intake: &Intake,
    cursor: &PollCursor,
    read_at: Timestamp,
    until: Timestamp,
) -> Result<(), ApiError> {
    let from = cursor.backfill_from;
    if from < until {
        let PollCursor { org, filter, .. } = cursor.clone();
        let window = ReadWindow { org, filter, from, until, read_at, events: 0, found: 0 };
        intake.ledger().keep_read_window(&window).await?;
    }
    Ok(())
}

/// Reads a window completely, and appends the events that the log lacks.
async fn read(
    intake: &Intake,
    api: &OrgApi,
    filter: &LogFilter,
    from: Timestamp,
    until: Timestamp,
) -> Result<ReadWindow, ApiError> {
    let org = api.org.clone();
    let mut window = ReadWindow { org, filter: filter.digest(), from, until, read_at: until, events: 0, found: 0 };
    let mut next = Some(api.log_url(filter, from, Some(until)));
    while let Some(url) = next.take() {
        api.pause(Resource::Logs).await;
        let page = api.client.get(Resource::Logs, url).await?;
        let log_page = LogPage::read(&intake.record_reader(&api.org, IngestSource::SystemLog), &page.body)?;
        let is_empty = log_page.number == 0;
        window.events += poller::number(log_page.number);
        let taken = intake.take(&api.org, IngestSource::SystemLog, log_page.sorted, None).await?;
        window.found += poller::number(taken.receipt.stored);
        window.read_at = page.answered_at;
        // A request with an end must return a last page; an empty page counts as the last.
        next = page.next.filter(|_| !is_empty);
    }
    Ok(window)
}
