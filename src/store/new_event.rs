//! Events that are to be appended, and the deliveries that bring them.

use std::sync::OnceLock;

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
    /// Columns that are computed from the event.
    computed: OnceLock<ComputedColumns>,
    /// Number of times that the event came, for the tally.
    times_received: usize,
}

/// Columns of an event that take a while to compute.
#[derive(Clone, Debug)]
pub(super) struct ComputedColumns {
    /// The words by which `search` finds the event.
    pub(super) words: SearchVector,
    /// The event's JSON in the form in which it is stored.
    pub(super) raw: Vec<u8>,
}

impl NewEvent {
    /// Creates an event that came once.
    pub fn new(org: String, event: ReceivedEvent, delivery: Option<Uuid>) -> Self {
        Self { org, event, delivery, computed: OnceLock::new(), times_received: 1 }
    }

    /// Computes the columns that take a while. During the append, other appends would wait for that.
    pub(crate) fn prepare(&self) {
        self.computed();
    }

    /// Returns an upper bound of the event's size in memory, in bytes. The fields together are no longer than the raw
    /// event that they were read from.
    pub(crate) fn size(&self) -> usize {
        let computed = self.computed.get().map_or(0, |computed| computed.words.len() + computed.raw.len());
        size_of::<Self>() + 2 * self.event.raw.len() + computed
    }

    /// Returns the columns that are computed from the event. The first call computes them: an import drops events that
    /// the log has before that.
    pub(super) fn computed(&self) -> &ComputedColumns {
        self.computed.get_or_init(|| ComputedColumns {
            words: SearchVector::of(&self.event.occurrence),
            raw: raw_json::compress(&self.event.raw),
        })
    }

    /// Counts a number of further events of the same org and way in as duplicates. The caller knows that the log has them.
    pub(crate) const fn add_duplicates(&mut self, times: usize) {
        self.times_received = self.times_received.saturating_add(times);
    }

    /// Returns the number of times that the event came, with the duplicates that it counts for.
    pub(crate) const fn times_received(&self) -> usize {
        self.times_received
    }

    /// Returns the number of times that the event came as a `bigint` of the database.
    pub(super) fn times_received_in_sql(&self) -> i64 {
        i64::try_from(self.times_received).unwrap_or(i64::MAX)
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
