//! The intake: the only way into the log for what was read, whichever way brought it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::large_bodies::LargeBodies;
use super::org_intake::OrgIntake;
use super::sorted::{EventPlaces, RecordReader, Sorted};
use crate::backoff::Backoff;
use crate::event::{EventTypePattern, IngestSource, Timestamp};
use crate::log::{AppendError, AppendRequest, Log, Outcome};
use crate::store::{CursorMove, DeliveryRecord, Ledger, NewEvent, Rejection, StoreError};

/// The number of events that one append takes: short enough to let others have their turn.
pub(super) const APPEND_EVENTS: usize = 1000;

/// First and longest pause before an unavailable database is asked again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// What is taken in one piece.
#[derive(Clone, Copy, Debug)]
pub struct IntakeLimits {
    /// Bytes of a body, unpacked.
    pub body_bytes: usize,
    /// Events of a delivery, or of another record.
    pub delivery_events: usize,
    /// The time for which a database that is away is waited for, beside that for which an append is tried again.
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

/// Why something was not taken in: the database is away. Send it again.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The events were not appended.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// Rejections were not kept, or duplicates were not counted.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of the events that came together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Receipt {
    /// Stored now.
    pub stored: usize,
    /// Stored before.
    pub duplicates: usize,
    /// Broken, and kept in `rejected`.
    pub rejected: usize,
    /// Of a type that is not wanted.
    pub dropped: usize,
}

impl Receipt {
    /// How many events came.
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

/// The result of taking in something sorted.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Numbers of events by what became of them.
    pub(super) receipt: Receipt,
    /// The events that the database refuses: the place of each among those to append, and the reason.
    pub(super) refused: Vec<(usize, String)>,
}

impl Intake {
    /// Makes the intake of a log, with the ledger beside it, for these orgs.
    pub fn new(log: Log, ledger: Ledger, orgs: BTreeMap<String, OrgIntake>, limits: IntakeLimits) -> Self {
        let orgs = orgs.into_iter().map(|(name, org)| (name, Arc::new(org))).collect();
        Self { log, ledger, orgs: Arc::new(orgs), limits, large_bodies: LargeBodies::new() }
    }

    /// Makes a reader of what comes from an org by a way. Of an org that is not known, nothing is wanted.
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

    /// Returns the headers of an org's request that are kept, as JSON.
    pub fn kept_headers<'a>(&self, org: &str, headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
        self.orgs.get(org).map_or_else(|| "{}".to_owned(), |org| org.headers.of(headers))
    }

    /// Returns the log behind the intake.
    pub(super) const fn log(&self) -> &Log {
        &self.log
    }

    /// Returns the ledger beside the log.
    pub(super) const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Returns the orgs.
    pub(super) fn orgs(&self) -> &BTreeMap<String, Arc<OrgIntake>> {
        &self.orgs
    }

    /// Returns the event types of an org that are kept.
    pub(super) fn event_types(&self, org: &str) -> &[EventTypePattern] {
        self.orgs.get(org).map_or(&[], |org| org.event_types.as_slice())
    }

    /// Takes in what was sorted: keeps what could not be read, appends the events, a thousand in a commit, and counts.
    /// The tally of the way is written in the commit of its events. A cursor moves in the last commit.
    ///
    /// # Errors
    /// The database is away. What was committed before stays; to take the same in again stores nothing twice.
    pub(super) async fn take(
        &self,
        org: &str,
        source: IngestSource,
        sorted: Sorted,
        mut cursor: Option<CursorMove>,
    ) -> Result<Taken, IntakeError> {
        let Sorted { mut events, places, mut deliveries, rejected, dropped, known, .. } = sorted;
        let mut taken = Taken::default();
        self.reject(&rejected).await?;
        taken.count(
            org,
            source,
            Receipt { rejected: rejected.len(), dropped: dropped.values().sum(), ..Receipt::default() },
        );
        drop(rejected);
        match events.first_mut() {
            Some(first) => first.came_again(known),
            None => self.count_known(org, source, known).await?,
        }
        taken.count(org, source, Receipt { duplicates: known, ..Receipt::default() });
        let mut events = events.into_iter().peekable();
        let mut first = 0;
        while events.peek().is_some() || cursor.is_some() {
            let chunk: Vec<_> = events.by_ref().take(APPEND_EVENTS).collect();
            let is_last = events.peek().is_none();
            let bringing = if is_last { std::mem::take(&mut deliveries) } else { of_chunk(&deliveries, &chunk) };
            let number = chunk.len();
            let request = AppendRequest { source, events: chunk, deliveries: bringing };
            let outcomes = match cursor.take_if(|_| is_last) {
                Some(cursor) => self.log.append_page(request, cursor).await?,
                None => self.log.append(request).await?,
            };
            self.settle(org, source, (first, &places), outcomes, &mut taken).await?;
            first += number;
        }
        Ok(taken)
    }

    /// Keeps what the database refuses of a chunk, and counts what became of it.
    async fn settle(
        &self,
        org: &str,
        source: IngestSource,
        (first, places): (usize, &EventPlaces),
        outcomes: Vec<Outcome>,
        taken: &mut Taken,
    ) -> Result<(), IntakeError> {
        let mut receipt = Receipt::default();
        let mut refused = Vec::new();
        for (index, outcome) in outcomes.into_iter().enumerate() {
            match outcome {
                Outcome::Stored(_) => receipt.stored += 1,
                Outcome::Duplicate(_) => receipt.duplicates += 1,
                Outcome::Refused { reason, raw } => {
                    receipt.rejected += 1;
                    let place = first + index;
                    taken.refused.push((place, reason.clone()));
                    let (org, raw) = (org.to_owned(), raw.into_bytes());
                    refused.push(Rejection { org, source, reason, raw, place: places.of(place) });
                }
            }
        }
        self.reject(&refused).await?;
        taken.count(org, source, receipt);
        Ok(())
    }

    /// Keeps what could not be read. The report of an import tells of it, where a line for each batch would flood the log.
    async fn reject(&self, rejections: &[Rejection]) -> Result<(), StoreError> {
        let Some(first) = rejections.first() else { return Ok(()) };
        self.patiently(|| self.ledger.reject(rejections)).await?;
        if first.source != IngestSource::Import {
            let (org, source) = (&first.org, first.source.name());
            tracing::warn!(org, source, number = rejections.len(), first_reason = first.reason, "rejected");
        }
        Ok(())
    }

    /// Counts events that were found in the log and are not appended again.
    async fn count_known(&self, org: &str, source: IngestSource, known: usize) -> Result<(), StoreError> {
        if known == 0 {
            return Ok(());
        }
        self.patiently(|| self.ledger.add_duplicates(org, source, known)).await
    }

    /// Does something in the database, and retries with backoff while the database is unavailable.
    pub(super) async fn patiently<T, F>(&self, work: impl Fn() -> F) -> Result<T, StoreError>
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

impl Taken {
    /// Adds to the receipt, and to the metrics.
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

/// Returns the deliveries that bring these events, which are not the last ones of their deliveries.
fn of_chunk(deliveries: &[DeliveryRecord], chunk: &[NewEvent]) -> Vec<DeliveryRecord> {
    let bringing: HashSet<_> = chunk.iter().filter_map(|new| new.delivery).collect();
    deliveries.iter().filter(|delivery| bringing.contains(&delivery.id)).cloned().collect()
}
