//! The System Log poller: follows the log in the order in which Okta persists events, link by link.
//!
//! The link to the next page is stored in the transaction that stores the page's events, so that a crash neither loses
//! nor repeats anything but work. What happened late is persisted late, and comes all the same: the poller never asks
//! by the time of events.

use time::Duration;
use tokio::time::{Instant, sleep};

use super::org_api::{OrgApi, SystemLogHints, api_backoff};
use super::page::LogPage;
use crate::event::{IngestSource, Timestamp};
use crate::ingest::{Intake, IntakeError};
use crate::log::AppendError;
use crate::okta::{DeliveryError, LOG_PAGE, LogFilter, OktaError, OktaPage, Resource};
use crate::store::{CursorMove, PollCursor, StoreError};

/// How far before what is known to be read a refused link is made up for.
const OVERLAP: Duration = Duration::minutes(5);

/// How old `since` may be: Okta refuses more than 180 days.
const OLDEST: Duration = Duration::days(179);

/// The longest pause between two pages of a backfill.
const LONGEST_REST: std::time::Duration = std::time::Duration::from_secs(1);

/// Reads one org's System Log.
pub(super) struct Poller<'a> {
    intake: &'a Intake,
    api: &'a OrgApi,
    hints: &'a SystemLogHints,
    filter: LogFilter,
    digest: String,
}

/// Why a page was not read.
#[derive(Debug, thiserror::Error)]
enum PollError {
    #[error(transparent)]
    Okta(#[from] OktaError),
    #[error("url: what answers there is not an Okta org: {0}")]
    Page(#[from] DeliveryError),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<IntakeError> for PollError {
    fn from(error: IntakeError) -> Self {
        match error {
            IntakeError::Append(error) => Self::Append(error),
            IntakeError::Store(error) => Self::Store(error),
        }
    }
}

/// What comes after a page.
#[derive(Debug, PartialEq, Eq)]
enum AfterPage {
    /// There is more.
    More,
    /// There is nothing more for now.
    Wait,
}

impl<'a> Poller<'a> {
    pub(super) fn new(intake: &'a Intake, api: &'a OrgApi, hints: &'a SystemLogHints) -> Self {
        let filter = LogFilter::new(intake.event_types(&api.org));
        Self { intake, api, hints, digest: filter.digest(), filter }
    }

    /// Reads for ever.
    pub(super) async fn run(&self) {
        let mut backoff = api_backoff();
        let mut told = None;
        loop {
            match self.poll().await {
                Ok(next) => {
                    backoff.reset();
                    if told.take().is_some() {
                        tracing::info!(org = self.api.org, "the System Log can be read again");
                    }
                    if next == AfterPage::Wait {
                        sleep(self.api.options.poll_interval).await;
                    }
                }
                Err(error) => {
                    self.tell(&error, &mut told).await;
                    sleep(backoff.pause()).await;
                }
            }
        }
    }

    /// Tells a failure once: in the log and in `ingestion`.
    async fn tell(&self, error: &PollError, told: &mut Option<String>) {
        metrics::counter!("sluice_poll_failures_total", "org" => self.api.org.clone()).increment(1);
        let text = error.to_string();
        let is_ours = matches!(error, PollError::Append(_) | PollError::Store(_));
        if told.as_ref() == Some(&text) {
            return;
        }
        if matches!(error, PollError::Okta(OktaError::TooManyRequests) | PollError::Append(AppendError::CursorMoved)) {
            tracing::info!(org = self.api.org, "{text}");
        } else {
            tracing::warn!(org = self.api.org, "could not read the System Log: org {}, {text}", self.api.org);
        }
        if !is_ours {
            // While the database is away, the log line has to do.
            _ = self.intake.ledger().poll_failed(&self.api.org, &text).await;
        }
        *told = Some(text);
    }

    /// Reads one page.
    async fn poll(&self) -> Result<AfterPage, PollError> {
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
                tracing::info!(org = self.api.org, reason, since = %start_at, "Okta refuses the link; going back a little");
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

    /// Where the log is read from: on from where it stands, or, with another filter, everything that Okta has.
    async fn cursor(&self) -> Result<PollCursor, StoreError> {
        let ledger = self.intake.ledger();
        match ledger.poll_cursor(&self.api.org).await? {
            Some(cursor) if cursor.filter == self.digest => Ok(cursor),
            known => {
                let back = Duration::try_from(self.api.options.backfill).unwrap_or(OLDEST).min(OLDEST);
                let from = Timestamp::now().plus(-back);
                let reason = if known.is_some() { "the event types have changed" } else { "it was never read before" };
                tracing::info!(org = self.api.org, reason, %from, "reading what Okta has kept of the System Log");
                ledger.start_poll(&self.api.org, &self.digest, from).await
            }
        }
    }

    /// The address of the first page from a time of persistence on.
    fn first_url(&self, since: Timestamp) -> reqwest::Url {
        let since = since.max(Timestamp::now().plus(-OLDEST)).to_string();
        let limit = LOG_PAGE.to_string();
        let mut parameters = vec![("since", since.as_str()), ("sortOrder", "ASCENDING"), ("limit", &limit)];
        parameters.extend(self.filter.scim().map(|filter| ("filter", filter)));
        self.api.client.url(Resource::Logs, &parameters)
    }

    /// Stores a page, and where the next one is. `link` is the one by which it was got.
    async fn take(
        &self,
        cursor: &PollCursor,
        start_at: Timestamp,
        link: Option<String>,
        page: OktaPage,
    ) -> Result<AfterPage, PollError> {
        let org = self.api.org.as_str();
        let next_link = page.next.map(String::from);
        let next_link =
            next_link.ok_or_else(|| OktaError::NotOkta("a page of the System Log has no next link".into()))?;
        let log_page = LogPage::read(&self.intake.record_reader(org, IngestSource::SystemLog), &page.body)?;
        let (number, is_full) = (log_page.number, log_page.number >= LOG_PAGE);
        // Whatever of it happened was persisted before the page's end, and an empty page has no end but now.
        let read_through =
            if number == 0 { Some(page.answered_at) } else { log_page.newest.min(Some(page.answered_at)) };
        let to = CursorMove {
            start_at,
            // Okta wants the link of an empty page to be asked again.
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
            // What happens now comes by hooks, and has the database to itself half of the time.
            sleep(began.elapsed().min(LONGEST_REST)).await;
        }
        Ok(AfterPage::More)
    }
}

/// A number as the database counts.
pub(super) fn number(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Where to start again after a link was refused.
fn restart(cursor: &PollCursor) -> Timestamp {
    cursor.start_at.max(cursor.read_through.plus(-OVERLAP))
}

/// A move to where a cursor stands.
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
