//! What was rejected, read again: after an upgrade, or a change of the settings, more of it may be readable.

use super::body::BodyEncoding;
use super::import::RECORD_BYTES;
use super::intake::{Intake, IntakeError, Receipt};
use super::sorted::Sorted;
use crate::okta::read_records;
use crate::store::StoredRejection;

/// What became of something that was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retried {
    /// It was read: its events are in the log, and it is gone from `rejected`. Parts of it that are still broken stand there
    /// by themselves.
    Read(Receipt),
    /// It cannot be read now, either: it stays.
    Broken(String),
    /// It can be read, but its events are of this type, which the org does not keep: it stays.
    NotWanted(String),
}

/// What became of everything that was read again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryReport {
    /// How many rejections were read.
    pub read: usize,
    /// How many stay.
    pub left: usize,
    /// What became of the events of those that were read.
    pub receipt: Receipt,
}

impl RetryReport {
    /// Counts one more.
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
    /// Reads a rejection again, and appends what can be read now, by the way by which it came.
    ///
    /// # Errors
    /// The database is away.
    pub async fn retry(&self, rejection: &StoredRejection) -> Result<Retried, IntakeError> {
        let StoredRejection { id, org, source, raw, .. } = rejection;
        let reader = self.record_reader(org, *source);
        let mut sorted = Sorted::default();
        // A body that could not be read is kept as it came, perhaps packed.
        let body = match BodyEncoding::Identity.unpack(raw, self.limits.body_bytes) {
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
