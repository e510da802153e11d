//! Event hooks: Okta's deliveries.

use std::collections::HashSet;

use bytes::Bytes;
use uuid::Uuid;

use super::body::{BodyEncoding, UnpackError};
use super::intake::{Intake, Receipt};
use super::record::Sorted;
use crate::event::{IngestSource, ReceivedEvent};
use crate::log::{AppendError, AppendRequest};
use crate::okta::{Delivery, DeliveryError, RawEvent, read_delivery, read_event};
use crate::store::{DeliveryRecord, NewEvent, Rejection, StoreError};

/// A delivery as it came in.
#[derive(Clone, Debug)]
pub struct ReceivedDelivery {
    /// The request's body.
    pub body: Bytes,
    /// How the body is packed.
    pub encoding: BodyEncoding,
    /// The request's headers as JSON, secrets redacted.
    pub headers: String,
}

/// Why a delivery is not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// It is none; it was kept in `rejected`. To send it again does not help.
    #[error("{0}")]
    NotADelivery(String),
    /// It is larger than what is taken; it was not kept.
    #[error("{0}")]
    TooLarge(String),
    /// The database is away: send it again.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The database is away: send it again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How many events one append takes: short enough to let others have their turn.
pub(super) const APPEND_EVENTS: usize = 1000;

impl Intake {
    /// Takes in one delivery of an org's event hook. When this returns without an error, every event of it is either
    /// in the log or in `rejected`, or of a type that is not wanted.
    ///
    /// # Errors
    /// See [`HookError`].
    pub async fn take_delivery(&self, org: &str, received: ReceivedDelivery) -> Result<Receipt, HookError> {
        let body = match received.encoding.unpack(&received.body, self.limits.body_bytes) {
            Ok(body) => body,
            Err(error @ UnpackError::TooLarge(_)) => return Err(HookError::TooLarge(error.to_string())),
            Err(error) => {
                return Err(self.refuse(org, IngestSource::EventHook, error.to_string(), &received.body).await);
            }
        };
        let delivery = match self.read(&body) {
            Ok(delivery) => delivery,
            Err(error) => return Err(self.refuse(org, IngestSource::EventHook, error.to_string(), &body).await),
        };
        let record = DeliveryRecord {
            id: Uuid::now_v7(),
            org: org.to_owned(),
            event_id: delivery.event_id,
            event_time: delivery.event_time,
            source: delivery.source,
            headers: received.headers,
        };
        let sorted = self.sort(org, record, delivery.events);
        self.append_sorted(org, IngestSource::EventHook, sorted).await
    }

    fn read(&self, body: &[u8]) -> Result<Delivery, DeliveryError> {
        let delivery = read_delivery(body)?;
        let (number, limit) = (delivery.events.len(), self.limits.delivery_events);
        if number > limit { Err(DeliveryError::TooManyEvents { number, limit }) } else { Ok(delivery) }
    }

    /// Keeps a body that is none of what is expected, and says what is wrong with it.
    pub(super) async fn refuse(&self, org: &str, source: IngestSource, reason: String, body: &[u8]) -> HookError {
        let rejection = Rejection { org: org.to_owned(), source, reason: reason.clone(), raw: body.to_vec() };
        match self.reject(&[rejection]).await {
            Ok(()) => {
                Self::record(org, source, &Receipt { rejected: 1, ..Receipt::default() });
                HookError::NotADelivery(reason)
            }
            Err(error) => error.into(),
        }
    }

    /// Reads the events of a delivery: those to append, those that are broken, and those that nobody wants.
    fn sort(&self, org: &str, delivery: DeliveryRecord, events: Vec<RawEvent>) -> Sorted {
        let reader = self.record_reader(org, IngestSource::EventHook);
        let mut sorted = Sorted::default();
        for raw in events {
            match raw.json().and_then(|json| read_event(json, reader.now)) {
                Ok(occurrence) if reader.intake.wants(&occurrence.event_type) => {
                    let event = ReceivedEvent { occurrence, raw: raw.into_text() };
                    sorted.wanted.push(NewEvent::new(org.to_owned(), event, Some(delivery.id)));
                }
                Ok(occurrence) => sorted.dropped.push(occurrence.event_type),
                Err(broken) => sorted.broken.push(reader.rejection(broken.to_string(), raw.as_bytes())),
            }
        }
        sorted.deliveries.push(delivery);
        sorted
    }

    /// Keeps what is broken and appends what is wanted, a few at a time.
    pub(super) async fn append_sorted(
        &self,
        org: &str,
        source: IngestSource,
        sorted: Sorted,
    ) -> Result<Receipt, HookError> {
        let Sorted { wanted, deliveries, broken, dropped } = sorted;
        let mut receipt = Receipt { dropped: dropped.len(), rejected: broken.len(), ..Receipt::default() };
        self.reject(&broken).await?;
        Self::record(org, source, &receipt);
        let mut wanted = wanted.into_iter().peekable();
        while wanted.peek().is_some() {
            let events: Vec<_> = wanted.by_ref().take(APPEND_EVENTS).collect();
            let bringing: HashSet<_> = events.iter().filter_map(|new| new.delivery).collect();
            let deliveries = deliveries.iter().filter(|delivery| bringing.contains(&delivery.id)).cloned().collect();
            let appended = self.append(org, AppendRequest { source, events, deliveries }).await?;
            Self::record(org, source, &appended);
            receipt += appended;
        }
        Ok(receipt)
    }
}
