//! Access to the columns of an event, either in memory or in a row of the database.

use uuid::Uuid;

use super::{Details, EventColumn, IngestSource, Position, SyncEvent, Timestamp};

/// An event in memory or in a row of the database. A column that was not read has no value.
pub trait EventFields {
    /// Returns the position in the log.
    fn position(&self) -> Position;
    /// Returns the time at which the event happened.
    fn published(&self) -> Timestamp;
    /// Returns the time at which sluice stored the event.
    fn received_at(&self) -> Timestamp;
    /// Returns the id that Okta gave the event.
    fn uuid(&self) -> Uuid;
    /// Returns the source from which sluice first received the event.
    fn first_source(&self) -> IngestSource;
    /// Returns the value of a text column; None for other columns.
    fn text(&self, column: EventColumn) -> Option<&str>;
    /// Returns true if a text column has a value.
    fn has(&self, column: EventColumn) -> bool {
        self.text(column).is_some()
    }
    /// Returns the value of a time column.
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
