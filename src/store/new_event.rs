//! Events that are to be appended, and the deliveries that bring them.

use uuid::Uuid;

use super::raw_json;
use super::search_vector::SearchVector;
use crate::event::{ReceivedEvent, Timestamp};

/// An event to be appended.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// The configured name of the Okta org it came from.
    pub org: String,
    /// The event.
    pub event: ReceivedEvent,
    /// The event hook delivery that brings it.
    pub delivery: Option<Uuid>,
    /// The event's, by which `search` finds it.
    pub(super) words: SearchVector,
    /// The event's JSON as it is stored.
    pub(super) compressed: Vec<u8>,
    /// The number of times that it came, for the tally.
    comings: usize,
}

impl NewEvent {
    /// An event. Its words are cut and its JSON is compressed here and not by who appends it, as all others wait for that.
    pub fn new(org: String, event: ReceivedEvent, delivery: Option<Uuid>) -> Self {
        let words = SearchVector::of(&event.occurrence);
        let compressed = raw_json::compress(&event.raw);
        Self { org, event, delivery, words, compressed, comings: 1 }
    }

    /// Returns about how many bytes it takes: all that was read out of the event is no longer than the event.
    pub(crate) const fn size(&self) -> usize {
        size_of::<Self>() + 2 * self.event.raw.len() + self.words.len() + self.compressed.len()
    }

    /// Counts so many more events of the same org and way, which are known to be in the log, as duplicates.
    pub(crate) const fn came_again(&mut self, times: usize) {
        self.comings = self.comings.saturating_add(times);
    }

    /// Returns the number of times that it came.
    pub(crate) const fn comings(&self) -> usize {
        self.comings
    }

    /// Returns the same as the database counts.
    pub(super) fn comings_in_sql(&self) -> i64 {
        i64::try_from(self.comings).unwrap_or(i64::MAX)
    }
}

/// An event hook delivery to be kept if it brings an event first.
#[derive(Clone, Debug)]
pub struct DeliveryRecord {
    /// sluice's own id of it.
    pub id: Uuid,
    /// The configured name of the Okta org.
    pub org: String,
    /// The envelope's id.
    pub event_id: Option<String>,
    /// The envelope's time.
    pub event_time: Option<Timestamp>,
    /// The envelope's source.
    pub source: Option<String>,
    /// The request's headers that are kept, as JSON.
    pub headers: String,
}
