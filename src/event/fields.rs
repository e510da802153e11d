//! Access to an event, column by column, in memory or in a row of the database.

use uuid::Uuid;

use super::{Details, EventColumn, IngestSource, Position, SyncEvent, Timestamp};

/// An event in memory or in a row of the database, column by column. A column that was not read is like a missing one.
pub trait EventFields {
    /// The event's place in the log.
    fn position(&self) -> Position;
    /// The time at which the event happened.
    fn published(&self) -> Timestamp;
    /// The time at which sluice stored the event.
    fn received_at(&self) -> Timestamp;
    /// Okta's identity of the event.
    fn uuid(&self) -> Uuid;
    /// The way by which the event came first.
    fn first_source(&self) -> IngestSource;
    /// Returns the value of a column that is text; None for others.
    fn text(&self, column: EventColumn) -> Option<&str>;
    /// Returns true if a column that is text has a value.
    fn has(&self, column: EventColumn) -> bool {
        self.text(column).is_some()
    }
    /// Returns the value of a column that is a time.
    fn time(&self, column: EventColumn) -> Timestamp {
        if matches!(column, EventColumn::ReceivedAt) { self.received_at() } else { self.published() }
    }
}

impl EventFields for SyncEvent {
    fn position(&self) -> Position {
        self.position
    }

    fn published(&self) -> Timestamp {
        self.occurrence.published
    }

    fn received_at(&self) -> Timestamp {
        self.received_at
    }

    fn uuid(&self) -> Uuid {
        self.occurrence.uuid
    }

    fn first_source(&self) -> IngestSource {
        self.first_source
    }

    fn text(&self, column: EventColumn) -> Option<&str> {
        match (column, &self.details) {
            (EventColumn::Org, _) => Some(&self.org),
            (EventColumn::Details, Details::Read(raw)) => Some(raw),
            (column, _) => self.occurrence.text(column),
        }
    }
}
