//! What all ways in share: which org, which event types, and the one append.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::HookError;
use super::record::RecordReader;
use super::tally::Tallies;
use crate::event::{EventTypePattern, IngestSource, Timestamp};
use crate::log::{AppendRequest, Log, Outcome};
use crate::store::{CursorMove, Rejection, StoreError};

/// What is known of an org when something comes from it.
#[derive(Clone, Debug)]
pub struct OrgIntake {
    /// Event types that are kept; others are counted and dropped.
    pub event_types: Vec<EventTypePattern>,
    /// The header that bears its secret, in lower case; see [`redacted_headers`](super::redacted_headers).
    pub secret_header: String,
}

impl OrgIntake {
    /// Whether an event type is wanted.
    pub(super) fn wants(&self, event_type: &str) -> bool {
        self.event_types.iter().any(|pattern| pattern.matches(event_type))
    }
}

/// What is taken in one piece.
#[derive(Clone, Copy, Debug)]
pub struct IntakeLimits {
    /// Bytes of a body, unpacked.
    pub body_bytes: usize,
    /// Events of a delivery.
    pub delivery_events: usize,
}

/// The door to the log. Clones are the same door.
#[derive(Clone, Debug)]
pub struct Intake {
    log: Log,
    orgs: Arc<BTreeMap<String, Arc<OrgIntake>>>,
    tallies: Tallies,
    pub(super) limits: IntakeLimits,
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

impl Intake {
    /// A door for these orgs.
    pub fn new(log: Log, orgs: BTreeMap<String, OrgIntake>, limits: IntakeLimits) -> Self {
        let orgs = orgs.into_iter().map(|(name, org)| (name, Arc::new(org))).collect();
        Self { log, orgs: Arc::new(orgs), tallies: Tallies::default(), limits }
    }

    /// Reads what comes from an org by a way. Of an org that is not known, nothing is wanted.
    pub(super) fn record_reader(&self, org: &str, source: IngestSource) -> RecordReader {
        let nobody = || Arc::new(OrgIntake { event_types: Vec::new(), secret_header: String::new() });
        let intake = self.orgs.get(org).cloned().unwrap_or_else(nobody);
        RecordReader { org: org.to_owned(), intake, source, now: Timestamp::now() }
    }

    /// The log behind the door.
    pub(super) const fn log(&self) -> &Log {
        &self.log
    }

    /// What has come and is not written yet.
    pub(super) const fn tallies(&self) -> &Tallies {
        &self.tallies
    }

    /// The event types of an org that are kept.
    pub(super) fn event_types(&self, org: &str) -> &[EventTypePattern] {
        self.orgs.get(org).map_or(&[], |org| org.event_types.as_slice())
    }

    /// Whether an event type of an org is wanted.
    pub(super) fn wants(&self, org: &str, event_type: &str) -> bool {
        self.orgs.get(org).is_some_and(|org| org.event_types.iter().any(|pattern| pattern.matches(event_type)))
    }

    /// Keeps what could not be read.
    pub(super) async fn reject(&self, rejections: &[Rejection]) -> Result<(), StoreError> {
        let Some(first) = rejections.first() else { return Ok(()) };
        self.log.store().reject(rejections).await?;
        tracing::warn!(org = first.org, number = rejections.len(), first_reason = first.reason, "rejected");
        Ok(())
    }

    /// Appends the events of a request, keeps those that the database refuses, and tells what became of them.
    pub(super) async fn append(&self, org: &str, request: AppendRequest) -> Result<Receipt, HookError> {
        let source = request.source;
        let outcomes = self.log.append(request).await?;
        self.receipt(org, source, outcomes).await
    }

    /// Appends the events of a page of an org's System Log and moves its cursor, in one transaction.
    pub(super) async fn append_page(
        &self,
        org: &str,
        request: AppendRequest,
        cursor: CursorMove,
    ) -> Result<Receipt, HookError> {
        let source = request.source;
        let outcomes = self.log.append_page(request, cursor).await?;
        self.receipt(org, source, outcomes).await
    }

    /// Keeps what the database refuses, and counts.
    async fn receipt(&self, org: &str, source: IngestSource, outcomes: Vec<Outcome>) -> Result<Receipt, HookError> {
        let mut receipt = Receipt::default();
        let mut refused = Vec::new();
        for outcome in outcomes {
            match outcome {
                Outcome::Stored(_) => receipt.stored += 1,
                Outcome::Duplicate(_) => receipt.duplicates += 1,
                Outcome::Refused { reason, raw } => {
                    receipt.rejected += 1;
                    refused.push(Rejection { org: org.to_owned(), source, reason, raw: raw.into_bytes() });
                }
            }
        }
        self.tallies.add(org, source, &receipt);
        self.reject(&refused).await?;
        Ok(receipt)
    }

    /// Tells the metrics what became of the events.
    pub(super) fn record(org: &str, source: IngestSource, receipt: &Receipt) {
        let results = [
            ("stored", receipt.stored),
            ("duplicate", receipt.duplicates),
            ("rejected", receipt.rejected),
            ("dropped", receipt.dropped),
        ];
        for (result, number) in results {
            if number > 0 {
                metrics::counter!("sluice_events_total", "org" => org.to_owned(), "source" => source.name(), "result" => result)
                    .increment(number as u64);
            }
        }
    }
}
