//! Event hooks: Okta's deliveries.

use bytes::Bytes;
use uuid::Uuid;

use super::body::{BodyEncoding, UnpackError};
use super::intake::{Intake, Receipt};
use crate::event::{IngestSource, ReceivedEvent, Timestamp};
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
const APPEND_EVENTS: usize = 1000;

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
            Err(error) => return Err(self.refuse(org, error.to_string(), &received.body).await),
        };
        let delivery = match self.read(&body) {
            Ok(delivery) => delivery,
            Err(error) => return Err(self.refuse(org, error.to_string(), &body).await),
        };
        let record = DeliveryRecord {
            id: Uuid::now_v7(),
            org: org.to_owned(),
            event_id: delivery.event_id,
            event_time: delivery.event_time,
            source: delivery.source,
            headers: received.headers,
        };
        let Sorted { wanted, broken, dropped } = self.sort(org, record.id, delivery.events);
        let mut receipt = Receipt { dropped, rejected: broken.len(), ..Receipt::default() };
        self.reject(&broken).await?;
        Self::record(org, IngestSource::EventHook, &receipt);
        let mut wanted = wanted.into_iter().peekable();
        while wanted.peek().is_some() {
            let request = AppendRequest {
                source: IngestSource::EventHook,
                events: wanted.by_ref().take(APPEND_EVENTS).collect(),
                deliveries: vec![record.clone()],
            };
            let appended = self.append(org, request).await?;
            Self::record(org, IngestSource::EventHook, &appended);
            receipt += appended;
        }
        Ok(receipt)
    }

    fn read(&self, body: &[u8]) -> Result<Delivery, DeliveryError> {
        let delivery = read_delivery(body)?;
        let (number, limit) = (delivery.events.len(), self.limits.delivery_events);
        if number > limit { Err(DeliveryError::TooManyEvents { number, limit }) } else { Ok(delivery) }
    }

    /// Keeps a body that is no delivery, and says what is wrong with it.
    async fn refuse(&self, org: &str, reason: String, body: &[u8]) -> HookError {
        match self.reject(&[rejection(org, reason.clone(), body)]).await {
            Ok(()) => {
                Self::record(org, IngestSource::EventHook, &Receipt { rejected: 1, ..Receipt::default() });
                HookError::NotADelivery(reason)
            }
            Err(error) => error.into(),
        }
    }

    /// Reads the events of a delivery: those to append, those that are broken, and how many nobody wants.
    fn sort(&self, org: &str, delivery: Uuid, events: Vec<RawEvent>) -> Sorted {
        let now = Timestamp::now();
        let mut sorted = Sorted::default();
        for raw in events {
            match raw.json().and_then(|json| read_event(json, now)) {
                Ok(occurrence) if self.wants(org, &occurrence.event_type) => {
                    let event = ReceivedEvent { occurrence, raw: raw.into_text() };
                    sorted.wanted.push(NewEvent { org: org.to_owned(), event, delivery: Some(delivery) });
                }
                Ok(_) => sorted.dropped += 1,
                Err(broken) => sorted.broken.push(rejection(org, broken.to_string(), raw.as_bytes())),
            }
        }
        sorted
    }
}

#[derive(Default)]
struct Sorted {
    wanted: Vec<NewEvent>,
    broken: Vec<Rejection>,
    dropped: usize,
}

fn rejection(org: &str, reason: String, raw: &[u8]) -> Rejection {
    Rejection { org: org.to_owned(), source: IngestSource::EventHook, reason, raw: raw.to_vec() }
}
