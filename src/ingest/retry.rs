//! Retries of rejected records, which may be readable after an upgrade or a change of the settings.

use super::body::BodyEncoding;
use super::import::RECORD_BYTES;
use super::intake::{Intake, IntakeError, Receipt};
use super::sorted::SortedRecords;
use crate::ledger::StoredRejection;
use crate::okta::read_records;

/// The result of retrying a rejected record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retried {
    /// The record was read: its events are in the log, and the rejection was removed. Parts that are still broken are
    /// rejected on their own.
    Read(Receipt),
    /// The record is still broken, for this reason; the rejection stays.
    Broken(String),
    /// The record's events are of this type, which the org does not keep; the rejection stays.
    NotWanted(String),
}

/// The results of several retries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryReport {
    /// The number of rejections that were read.
    pub read: usize,
    /// The number of rejections that stay.
    pub left: usize,
    /// The results of the events that were read.
    pub receipt: Receipt,
}

impl RetryReport {
    /// Adds one result.
    pub fn add(&mut self, retried: &Retried) {
        match retried {
            Retried::Read(receipt) => {
                self.read += 1;
                self.receipt += *receipt;
            }
            Retried::Broken(_) | Retried::NotWanted(_) => self.left += 1,
        }
    }
}

impl Intake {
    /// Reads a rejected record again, and appends its events as events of the original source.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn retry(&self, rejection: &StoredRejection) -> Result<Retried, IntakeError> {
        let StoredRejection { id, org, source, raw, .. } = rejection;
        let reader = self.record_reader(org, *source);
        let mut sorted = SortedRecords::default();
        // A body that could not be read was stored as it came, so it may be compressed.
        let body = match BodyEncoding::Identity.decompress(raw, self.limits.body_bytes) {
            Ok(body) => body,
            Err(error) => return Ok(Retried::Broken(error.to_string())),
        };
        read_records(&body, RECORD_BYTES.max(raw.len()), &mut |record| _ = reader.read_record(&record, &mut sorted));
        if sorted.events.is_empty() {
            return Ok(match (sorted.rejected.first(), sorted.dropped.pop_last()) {
                (Some(broken), _) => Retried::Broken(broken.reason.clone()),
                (None, Some((event_type, _))) => Retried::NotWanted(event_type),
                (None, None) => Retried::Broken("there is no event in it".to_owned()),
            });
        }
        let is_refused = sorted.events.len() == 1 && sorted.rejected.is_empty();
        let receipt = self.take(org, *source, sorted, None).await?.receipt;
        if is_refused && receipt.rejected > 0 {
            return Ok(Retried::Broken("the database refuses it".to_owned()));
        }
        self.ledger().drop_rejections(&[*id]).await?;
        Ok(Retried::Read(receipt))
    }
}
