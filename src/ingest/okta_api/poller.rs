//! The System Log poller, which follows the log page by page in the order in which Okta persists events.
//!
//! The link to the next page is stored in the transaction that stores the page's events, so that after a crash no event
//! is lost or stored twice. Events that Okta persists late come too, since the poller never requests a period of event
//! times.

use time::Duration;
use tokio::time::{Instant, sleep};

use super::org_api::{ApiError, OrgApi, SystemLogHints, api_backoff};
use super::page::LogPage;
use crate::event::{IngestSource, Timestamp};
use crate::ingest::{Intake, IntakeError};
use crate::ledger::PollCursor;
use crate::log::AppendError;
use crate::okta::{LOG_PAGE, LogFilter, OktaError, OktaPage, Resource};
use crate::store::{CursorMove, StoreError};

/// The period before the last known event that is read again after Okta rejected a link.
const OVERLAP: Duration = Duration::minutes(5);

/// The maximum age of `since`: Okta rejects more than 180 days.
const OLDEST: Duration = Duration::days(179);

/// The maximum pause between two pages of a backfill.
const MAX_BACKFILL_PAUSE: std::time::Duration = std::time::Duration::from_secs(1);

/// The poller of one org's System Log.
pub(super) struct Poller<'a> {
    intake: &'a Intake,
    api: &'a OrgApi,
    hints: &'a SystemLogHints,
    filter: LogFilter,
    digest: String,
}

/// The next step after a page.
#[derive(Debug, PartialEq, Eq)]
enum AfterPage {
    /// The log has more pages.
    More,
    /// The end of the log: poll again later.
    Wait,
}

impl<'a> Poller<'a> {
    pub(super) fn new(intake: &'a Intake, api: &'a OrgApi, hints: &'a SystemLogHints) -> Self {
        let filter = LogFilter::new(intake.event_types(&api.org));
        Self { intake, api, hints, digest: filter.digest(), filter }
    }

    /// Reads the System Log in an endless loop.
    pub(super) async fn run(&self) {
        let mut backoff = api_backoff();
        let mut last_error = None;
        loop {
            match self.poll().await {
                Ok(next) => {
                    backoff.reset();
                    if last_error.take().is_some() {
                        tracing::info!(org = self.api.org, "the System Log can be read again");
                    }
                    if next == AfterPage::Wait {
                        sleep(self.api.options.poll_interval).await;
                    }
                }
                Err(error) => {
                    self.report_failure(&error, &mut last_error).await;
                    sleep(backoff.pause()).await;
                }
            }
        }
    }

    /// Reports a failure in the log and in `ingestion`, unless it is the last one again.
    async fn report_failure(&self, error: &ApiError, last_error: &mut Option<String>) {
        metrics::counter!("sluice_poll_failures_total", "org" => self.api.org.clone()).increment(1);
        let text = error.to_string();
        let is_ours = matches!(error, ApiError::Intake(_) | ApiError::Store(_));
        if last_error.as_ref() == Some(&text) {
            return;
        }
        let cursor_moved = matches!(error, ApiError::Intake(IntakeError::Append(AppendError::CursorMoved)));
        if cursor_moved || matches!(error, ApiError::Okta(OktaError::TooManyRequests)) {
            tracing::info!(org = self.api.org, "{text}");
        } else {
            tracing::warn!(org = self.api.org, "could not read the System Log: org {}, {text}", self.api.org);
        }
        if !is_ours {
            // While the database is unavailable, the failure cannot be recorded, and only the log line reports it.
            _ = self.intake.ledger().poll_failed(&self.api.org, &text).await;
        }
        *last_error = Some(text);
    }

    /// Reads one page.
    async fn poll(&self) -> Result<AfterPage, ApiError> {
        let cursor = self.cursor().await?;
        let link = cursor.next_link.as_ref().and_then(|link| self.api.client.link(Resource::Logs, link));
        let start_at = if link.is_none() && cursor.next_link.is_some() { restart(&cursor) } else { cursor.start_at };
        let url = link.clone().unwrap_or_else(|| self.first_url(start_at));
        self.api.pause(Resource::Logs).await;
        match self.api.client.get(Resource::Logs, url.clone()).await {
            Ok(page) => {
                let kept = link.map(|_| url.to_string());
                self.take(&cursor, start_at, kept, page).await
            }
            Err(OktaError::Refused(reason)) if link.is_some() => {
                let start_at = restart(&cursor);
                tracing::info!(org = self.api.org, reason, since = %start_at, "Okta rejected the link; reading again from `since`");
                let back = CursorMove {
                    start_at,
                    next_link: None,
                    read_through: cursor.read_through,
                    ..at_same_place(&cursor)
                };
                self.intake.ledger().move_cursor(&back).await?;
                Ok(AfterPage::More)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the org's cursor, or starts a new backfill if the org is new or its filter has changed.
    async fn cursor(&self) -> Result<PollCursor, StoreError> {
        let ledger = self.intake.ledger();
        match ledger.poll_cursor(&self.api.org).await? {
            Some(cursor) if cursor.filter == self.digest => Ok(cursor),
            known => {
                let back = Duration::try_from(self.api.options.backfill).unwrap_or(OLDEST).min(OLDEST);
                let from = Timestamp::now().plus(-back);
                let reason = if known.is_some() { "the event types have changed" } else { "this org is new" };
                tracing::info!(org = self.api.org, reason, %from, "starting a backfill of the System Log");
                ledger.start_poll(&self.api.org, &self.digest, from).await
            }
        }
    }

    /// Returns the URL of the first page of events that Okta persisted since a time.
    fn first_url(&self, since: Timestamp) -> reqwest::Url {
        self.api.log_url(&self.filter, since.max(Timestamp::now().plus(-OLDEST)), None)
    }

    /// Stores a page and the link to the next one. `link` is the link that returned the page.
    async fn take(
        &self,
        cursor: &PollCursor,
        start_at: Timestamp,
        link: Option<String>,
        page: OktaPage,
    ) -> Result<AfterPage, ApiError> {
        let org = self.api.org.as_str();
        let next_link = page.next.map(String::from);
        let next_link =
            next_link.ok_or_else(|| OktaError::NotOkta("a page of the System Log has no next link".into()))?;
        let log_page = LogPage::read(&self.intake.record_reader(org, IngestSource::SystemLog), &page.body)?;
        let (number, is_full) = (log_page.number, log_page.number >= LOG_PAGE);
        // Events of the page were persisted before its end; an empty page's end is the time of the response.
        let read_through =
            if number == 0 { Some(page.answered_at) } else { log_page.newest.min(Some(page.answered_at)) };
        let to = CursorMove {
            start_at,
            // Okta requires that the link of an empty page is requested again.
            next_link: link.filter(|_| number == 0).or(Some(next_link)),
            read_through: read_through.unwrap_or(cursor.read_through),
            caught_up_at: (!is_full).then_some(page.answered_at),
            failed_deliveries: log_page.failed_deliveries,
            failed_delivery_at: log_page.failed_delivery_at,
            ..at_same_place(cursor)
        };
        let began = Instant::now();
        self.intake.take(org, IngestSource::SystemLog, log_page.sorted, Some(to)).await?;
        if log_page.changes_applications {
            self.hints.applications.notify_one();
        }
        if !is_full {
            return Ok(AfterPage::Wait);
        }
        if cursor.caught_up_at.is_none() {
            let through = log_page.newest.map(|newest| newest.to_string());
            tracing::debug!(org, events = number, through, "backfill");
            // The backfill pauses so that hooks, which bring the newest events, have half of the database's time.
            sleep(began.elapsed().min(MAX_BACKFILL_PAUSE)).await;
        }
        Ok(AfterPage::More)
    }
}

/// Converts a number of events to the database's type.
pub(super) fn number(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Returns the time from which the log is read again after Okta rejected a link.
fn restart(cursor: &PollCursor) -> Timestamp {
    cursor.start_at.max(cursor.read_through.plus(-OVERLAP))
}

/// Returns a move that leaves a cursor where it is.
fn at_same_place(cursor: &PollCursor) -> CursorMove {
    CursorMove {
        org: cursor.org.clone(),
        revision: cursor.revision,
        start_at: cursor.start_at,
        next_link: cursor.next_link.clone(),
        read_through: cursor.read_through,
        caught_up_at: None,
        failed_deliveries: 0,
        failed_delivery_at: None,
    }
}
