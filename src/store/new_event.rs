//! Events that are to be appended, and the deliveries that bring them.

use uuid::Uuid;

use super::raw_json;
use super::search_vector::SearchVector;
use crate::event::{ReceivedEvent, Timestamp};

/// An event to be appended.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// The configured name of the Okta org.
    pub org: String,
    /// The event.
    pub event: ReceivedEvent,
    /// The id of the event hook delivery that brings the event; None for other ways in.
    pub delivery: Option<Uuid>,
    /// The words by which `search` finds the event.
    pub(super) words: SearchVector,
    /// The event's JSON in the form in which it is stored.
    pub(super) compressed: Vec<u8>,
    /// Number of times that the event came, for the tally.
    comings: usize,
}

impl NewEvent {
    /// Creates an event, splits its texts into words and compresses its JSON here: during an append, other appends would
    /// wait for that.
    pub fn new(org: String, event: ReceivedEvent, delivery: Option<Uuid>) -> Self {
        let words = SearchVector::of(&event.occurrence);
        let compressed = raw_json::compress(&event.raw);
        Self { org, event, delivery, words, compressed, comings: 1 }
    }

    /// Returns an upper bound of the event's size in memory, in bytes. The fields together are no longer than the raw
    /// event that they were read from.
    pub(crate) const fn size(&self) -> usize {
        size_of::<Self>() + 2 * self.event.raw.len() + self.words.len() + self.compressed.len()
    }

    /// Counts a number of further events of the same org and way in as duplicates. The caller knows that the log has them.
    pub(crate) const fn came_again(&mut self, times: usize) {
        self.comings = self.comings.saturating_add(times);
    }

    /// Returns the number of times that the event came, with the duplicates that it counts for.
    pub(crate) const fn comings(&self) -> usize {
        self.comings
    }

    /// Returns the number of times that the event came as a `bigint` of the database.
    pub(super) fn comings_in_sql(&self) -> i64 {
        i64::try_from(self.comings).unwrap_or(i64::MAX)
    }
}

/// An event hook delivery, which an append stores if the delivery is the first to bring one of the events.
#[derive(Clone, Debug)]
pub struct DeliveryRecord {
    /// sluice's own id of the delivery.
    pub id: Uuid,
    /// The configured name of the Okta org.
    pub org: String,
    /// `eventId` of the delivery.
    pub event_id: Option<String>,
    /// `eventTime` of the delivery.
    pub event_time: Option<Timestamp>,
    /// `source` of the delivery.
    pub source: Option<String>,
    /// The request's headers that the settings keep, as JSON.
    pub headers: String,
}
