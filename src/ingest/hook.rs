//! Event hooks: Okta's deliveries.

use uuid::Uuid;

use super::intake::{Intake, Receipt};
use crate::event::{IngestSource, ReceivedEvent, Timestamp};
use crate::log::{AppendError, AppendRequest};
use crate::okta::{DeliveryError, RawEvent, read_delivery, read_event};
use crate::store::{DeliveryRecord, NewEvent, Rejection, StoreError};

/// Why a delivery is not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// It is none; it was kept in `rejected`. To send it again does not help.
    #[error(transparent)]
    NotADelivery(#[from] DeliveryError),
    /// The database is away: send it again.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The database is away: send it again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Intake {
    /// Takes in one delivery of an org's event hook. When this returns without an error, every event of it is either
    /// in the log or in `rejected`, or of a type that is not wanted.
    ///
    /// # Errors
    /// See [`HookError`].
    pub async fn take_delivery(&self, org: &str, body: &[u8], headers: String) -> Result<Receipt, HookError> {
        let delivery = match read_delivery(body) {
            Ok(delivery) => delivery,
            Err(error) => {
                self.reject(&[rejection(org, error.to_string(), body)]).await?;
                return Err(error.into());
            }
        };
        let record = DeliveryRecord {
            id: Uuid::now_v7(),
            org: org.to_owned(),
            event_id: delivery.event_id,
            event_time: delivery.event_time,
            source: delivery.source,
            headers,
        };
        let Sorted { wanted, broken, dropped } = self.sort(org, record.id, delivery.events);
        let rejected = broken.len();
        self.reject(&broken).await?;
        let request =
            AppendRequest { source: IngestSource::EventHook, events: wanted, deliveries: vec![record] };
        let (mut receipt, refused) = self.append(org, request).await?;
        self.reject(&refused).await?;
        receipt.rejected += rejected;
        receipt.dropped = dropped;
        Self::record(org, IngestSource::EventHook, &receipt);
        Ok(receipt)
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
