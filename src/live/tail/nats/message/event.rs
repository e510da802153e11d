//! An event in a message: all its fields in the log except the position, which follows from the message's first one.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::event::{Details, EventColumn, EventTexts, IngestSource, Occurrence, Position, SyncEvent, Timestamp};

/// An event's JSON. Okta's own JSON is kept byte for byte.
#[derive(Serialize, Deserialize)]
pub(super) struct WireEvent<'a> {
    org: Cow<'a, str>,
    uuid: Uuid,
    /// Milliseconds since 1970.
    published: i64,
    /// Milliseconds since 1970.
    received: i64,
    /// The number of the way in.
    source: i16,
    /// The values of all columns that are texts, in the order of the table of columns.
    texts: Vec<Option<Cow<'a, str>>>,
    #[serde(borrow)]
    raw: &'a RawValue,
}

impl<'a> WireEvent<'a> {
    /// The event as JSON; None if a receiver could not read the same event from it.
    pub(super) fn text(event: &SyncEvent) -> Option<String> {
        serde_json::to_string(&WireEvent::of(event)?).ok()
    }

    fn of(event: &'a SyncEvent) -> Option<Self> {
        let Details::Read(details) = &event.details else { return None };
        let raw: &RawValue = serde_json::from_str(details).ok()?;
        if raw.get().len() != details.len() {
            return None;
        }
        let occurrence = &event.occurrence;
        Some(Self {
            org: event.org.as_str().into(),
            uuid: occurrence.uuid,
            published: occurrence.published.millis(),
            received: event.received_at.millis(),
            source: event.first_source.code(),
            texts: EventColumn::texts().map(|column| occurrence.text(column).map(Cow::Borrowed)).collect(),
            raw,
        })
    }

    /// Returns the event at a position.
    pub(super) fn into_event(self, position: Position) -> Option<SyncEvent> {
        if self.texts.len() != EventColumn::TEXTS {
            return None;
        }
        let mut texts = EventTexts::default();
        for (column, text) in EventColumn::texts().zip(self.texts) {
            texts.set(column, text);
        }
        Some(SyncEvent {
            position,
            org: self.org.into_owned(),
            occurrence: Occurrence { uuid: self.uuid, published: Timestamp::from_millis(self.published)?, texts },
            received_at: Timestamp::from_millis(self.received)?,
            first_source: IngestSource::from_code(self.source)?,
            details: Details::Read(self.raw.get().into()),
        })
    }
}
