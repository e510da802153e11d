//! The intake, through which the events of all sources enter the log.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::large_bodies::LargeBodies;
use super::org_intake::OrgIntake;
use super::sorted::{EventPlaces, RecordReader, SortedRecords};
use crate::backoff::Backoff;
use crate::event::{EventTypePattern, IngestSource, Timestamp};
use crate::ledger::{Ledger, Rejection};
use crate::log::{AppendError, AppendOutcome, AppendRequest, Log};
use crate::store::{CursorMove, DeliveryRecord, NewEvent, StoreError};

/// The number of events in one append, small enough that other appends do not wait long.
pub(super) const APPEND_EVENTS: usize = 1000;

/// The first and the longest pause between retries while the database is unavailable.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// The limits of the intake.
#[derive(Clone, Copy, Debug)]
pub struct IntakeLimits {
    /// The maximum size of a decompressed body, in bytes.
    pub body_bytes: usize,
    /// The maximum number of events in a delivery or another record.
    pub delivery_events: usize,
    /// The time for which work is retried while the database is unavailable, in addition to the time of an append.
    pub patience: Duration,
}

/// The intake of a log. Clones share it.
#[derive(Clone, Debug)]
pub struct Intake {
    log: Log,
    ledger: Ledger,
    orgs: Arc<BTreeMap<String, Arc<OrgIntake>>>,
    pub(super) limits: IntakeLimits,
    pub(super) large_bodies: LargeBodies,
}

/// The reason why events were not taken in: the database is unavailable, and the sender must retry.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The events were not appended.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The rejections were not stored, or the duplicates were not counted.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The numbers of events that came together, by result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Receipt {
    /// Events that were appended.
    pub stored: usize,
    /// Events that the log had already.
    pub duplicates: usize,
    /// Broken events, which were stored in `rejected`.
    pub rejected: usize,
    /// Events of types that the org does not keep.
    pub dropped: usize,
}

impl Receipt {
    /// Returns the number of all events.
    pub const fn total(&self) -> usize {
        self.stored + self.duplicates + self.rejected + self.dropped
    }
}

impl std::ops::AddAssign for Receipt {
    fn add_assign(&mut self, more: Self) {
        self.stored += more.stored;
        self.duplicates += more.duplicates;
        self.rejected += more.rejected;
        self.dropped += more.dropped;
    }
}

/// The result of taking in sorted records.
#[derive(Debug, Default)]
pub(super) struct IntakeResult {
    /// The numbers of events by result.
    pub(super) receipt: Receipt,
    /// The events that the database refused: the index of each among the events, and the reason.
    pub(super) refused: Vec<(usize, String)>,
}

impl Intake {
    /// Creates the intake of a log for these orgs. The ledger stores what is not an event.
    pub fn new(log: Log, ledger: Ledger, orgs: BTreeMap<String, OrgIntake>, limits: IntakeLimits) -> Self {
        let orgs = orgs.into_iter().map(|(name, org)| (name, Arc::new(org))).collect();
        Self { log, ledger, orgs: Arc::new(orgs), limits, large_bodies: LargeBodies::new() }
    }

    /// Creates a reader of the records that come from an org through a source. All events of an unknown org are
    /// dropped.
    pub(super) fn record_reader(&self, org: &str, source: IngestSource) -> RecordReader {
        RecordReader {
            org: org.to_owned(),
            intake: self.orgs.get(org).cloned().unwrap_or_default(),
            source,
            now: Timestamp::now(),
            max_events: self.limits.delivery_events,
            headers: "{}".to_owned(),
        }
    }

    /// Returns the headers of an org's request that are stored, as JSON.
    pub fn kept_headers<'a>(&self, org: &str, headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
        self.orgs.get(org).map_or_else(|| "{}".to_owned(), |org| org.headers.filter(headers))
    }

    pub(super) const fn log(&self) -> &Log {
        &self.log
    }

    pub(super) const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(super) fn orgs(&self) -> &BTreeMap<String, Arc<OrgIntake>> {
        &self.orgs
    }

    /// Returns the patterns of the event types that an org keeps.
    pub(super) fn event_types(&self, org: &str) -> &[EventTypePattern] {
        self.orgs.get(org).map_or(&[], |org| org.event_types.as_slice())
    }

    /// Takes in sorted records: stores the rejections, appends the events in chunks, and counts all results. The source's
    /// tally is written in the transaction of its events, and a cursor moves in the last transaction.
    ///
    /// # Errors
    /// The database is unavailable. Committed chunks stay, and a retry does not store them twice.
    pub(super) async fn take(
        &self,
        org: &str,
        source: IngestSource,
        sorted: SortedRecords,
        mut cursor: Option<CursorMove>,
    ) -> Result<IntakeResult, IntakeError> {
        let SortedRecords { mut events, places, mut deliveries, rejected, dropped, known, .. } = sorted;
        let mut result = IntakeResult::default();
        self.reject(&rejected).await?;
        result.count(
            org,
            source,
            Receipt { rejected: rejected.len(), dropped: dropped.values().sum(), ..Receipt::default() },
        );
        drop(rejected);
        match events.first_mut() {
            Some(first) => first.add_duplicates(known),
            None => self.count_known(org, source, known).await?,
        }
        result.count(org, source, Receipt { duplicates: known, ..Receipt::default() });
        let mut events = events.into_iter().peekable();
        let mut first = 0;
        while events.peek().is_some() || cursor.is_some() {
            let chunk: Vec<_> = events.by_ref().take(APPEND_EVENTS).collect();
            let is_last = events.peek().is_none();
            let chunk_deliveries =
                if is_last { std::mem::take(&mut deliveries) } else { deliveries_of(&deliveries, &chunk) };
            let number = chunk.len();
            let request = AppendRequest { source, events: chunk, deliveries: chunk_deliveries };
            let page_end = cursor.take_if(|_| is_last);
            let outcomes = match page_end.clone() {
                Some(cursor) => self.log.append_page(request, cursor).await?,
                None => self.log.append(request).await?,
            };
            let is_refused = outcomes.iter().any(|outcome| matches!(outcome, AppendOutcome::Refused { .. }));
            self.settle(org, source, (first, &places), outcomes, &mut result).await?;
            first += number;
            if let Some(cursor) = page_end.filter(|_| is_refused) {
                let nothing = AppendRequest { source, events: Vec::new(), deliveries: Vec::new() };
                self.log.append_page(nothing, cursor).await?;
            }
        }
        Ok(result)
    }

    /// Rejects the events of a chunk that the database refused, and counts the results of all its events.
    async fn settle(
        &self,
        org: &str,
        source: IngestSource,
        (first, places): (usize, &EventPlaces),
        outcomes: Vec<AppendOutcome>,
        result: &mut IntakeResult,
    ) -> Result<(), IntakeError> {
        let mut receipt = Receipt::default();
        let mut refused = Vec::new();
        for (index, outcome) in outcomes.into_iter().enumerate() {
            match outcome {
                AppendOutcome::Stored(_) => receipt.stored += 1,
                AppendOutcome::Duplicate(_) => receipt.duplicates += 1,
                AppendOutcome::Refused { reason, raw } => {
                    receipt.rejected += 1;
                    let place = first + index;
                    result.refused.push((place, reason.clone()));
                    let (org, raw) = (org.to_owned(), raw.into_bytes());
                    refused.push(Rejection { org, source, reason, raw, place: places.of(place) });
                }
            }
        }
        self.reject(&refused).await?;
        result.count(org, source, receipt);
        Ok(())
    }

    /// Stores rejections. No line is logged for an import, whose report lists them, since each batch would log one.
    async fn reject(&self, rejections: &[Rejection]) -> Result<(), StoreError> {
        let Some(first) = rejections.first() else { return Ok(()) };
        self.retry_unavailable(|| self.ledger.reject(rejections)).await?;
        if first.source != IngestSource::Import {
            let (org, source) = (&first.org, first.source.name());
            tracing::warn!(org, source, number = rejections.len(), first_reason = first.reason, "rejected");
        }
        Ok(())
    }

    /// Counts events that the log has already and that are not appended again.
    async fn count_known(&self, org: &str, source: IngestSource, known: usize) -> Result<(), StoreError> {
        if known == 0 {
            return Ok(());
        }
        self.retry_unavailable(|| self.ledger.add_duplicates(org, source, known)).await
    }

    /// Runs work in the database, with retries and backoff while the database is unavailable.
    pub(super) async fn retry_unavailable<T, F>(&self, work: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let deadline = Instant::now() + self.limits.patience;
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1).with_jitter();
        loop {
            match work().await {
                Err(error) if error.is_unavailable() && Instant::now() < deadline => sleep(backoff.pause()).await,
                done => return done,
            }
        }
    }
}

impl IntakeResult {
    /// Adds results to the receipt and to the metrics.
    fn count(&mut self, org: &str, source: IngestSource, receipt: Receipt) {
        let results = [
            ("stored", receipt.stored),
            ("duplicate", receipt.duplicates),
            ("rejected", receipt.rejected),
            ("dropped", receipt.dropped),
        ];
        for (result, number) in results.into_iter().filter(|(_, number)| *number > 0) {
            metrics::counter!("sluice_events_total", "org" => org.to_owned(), "source" => source.name(), "result" => result)
                .increment(number as u64);
        }
        self.receipt += receipt;
    }
}

/// Returns the deliveries of these events.
fn deliveries_of(deliveries: &[DeliveryRecord], events: &[NewEvent]) -> Vec<DeliveryRecord> {
    let ids: HashSet<_> = events.iter().filter_map(|new| new.delivery).collect();
    deliveries.iter().filter(|delivery| ids.contains(&delivery.id)).cloned().collect()
}
