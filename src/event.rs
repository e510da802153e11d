//! What happened, and how one asks for it: plain data that knows no I/O and no framework.

mod catalogue;
mod columns;
mod coverage;
mod details;
mod entity;
mod fields;
mod filter;
mod page;
mod pattern;
mod position;
mod rights;
mod source_state;
mod statistics;
mod texts;
mod timestamp;
mod words;

pub use catalogue::{Application, ApplicationInstance, CatalogueKey};
pub use columns::{
    COLUMNS, ColumnSpec, EventColumn, EventColumns, GraphField, GraphKind, GraphObject, OBJECTS, ObjectSpec, SqlType,
    Stored,
};
pub use coverage::{Stretch, stretches};
pub use details::Details;
pub use entity::EntityColumns;
pub use fields::EventFields;
pub use filter::{EntityFilter, Filter, FilterError, TimeRange, is_address};
pub use page::{
    Cursor, Cut, DEFAULT_PAGE_SIZE, Direction, EventOrder, EventOrderField, MAX_PAGE_SIZE, Page, PageRequest,
    PageRequestError,
};
pub use pattern::EventTypePattern;
pub use position::{Position, PositionParseError};
pub use rights::{Narrowed, Rights, Rows};
pub use source_state::SourceState;
pub use statistics::{ActivityBucket, Dimension, Interval, MAX_BUCKETS, Tally};
pub use texts::EventTexts;
pub use timestamp::Timestamp;
pub use words::{Place, Search, Words};

use uuid::Uuid;

/// An event as Okta sent it, read out of its JSON: everything that people filter on or select.
///
/// Text is normalised (no U+0000) when it is read, so that Rust and SQL compare the same characters.
#[derive(Clone, Debug, PartialEq)]
pub struct Occurrence {
    /// Okta's identity of the event; with the org it is the identity in the log.
    pub uuid: Uuid,
    /// The time at which the event happened in Okta, to the millisecond.
    pub published: Timestamp,
    /// The event's texts, of which each event has its type.
    pub texts: EventTexts,
}

impl Occurrence {
    /// Creates an event with what each event has.
    pub fn new(uuid: Uuid, event_type: &str, published: Timestamp) -> Self {
        let mut texts = EventTexts::default();
        texts.set(EventColumn::EventType, Some(event_type));
        Self { uuid, published, texts }
    }

    /// Returns Okta's event type, such as `application.provision.user.sync`.
    pub fn event_type(&self) -> &str {
        self.text(EventColumn::EventType).unwrap_or_default()
    }

    /// Returns the text of a column.
    pub fn text(&self, column: EventColumn) -> Option<&str> {
        self.texts.get(column)
    }
}

#[cfg(test)]
impl Occurrence {
    /// Creates an event of a type that happens now, with a new identity.
    pub(crate) fn of_type(event_type: &str) -> Self {
        Self::new(Uuid::new_v4(), event_type, Timestamp::now())
    }

    /// Adds texts.
    pub(crate) fn with(mut self, texts: &[(EventColumn, &str)]) -> Self {
        for (column, text) in texts {
            self.texts.set(*column, Some(*text));
        }
        self
    }
}

/// An event that has come in and is not yet in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceivedEvent {
    /// What it tells.
    pub occurrence: Occurrence,
    /// Its JSON, byte for byte as it came.
    pub raw: String,
}

/// One way by which events reach sluice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IngestSource {
    /// Okta's event hooks.
    EventHook,
    /// Okta's System Log API.
    SystemLog,
    /// An Okta Workflows flow that relays its card's output.
    Workflows,
    /// Files of history.
    Import,
    /// Okta's Log Streaming, by way of Amazon EventBridge.
    LogStream,
}

impl IngestSource {
    /// Every source, in the order of [`IngestSource::code`].
    pub const ALL: [Self; 5] = [Self::EventHook, Self::SystemLog, Self::Workflows, Self::Import, Self::LogStream];

    /// The number that stands for it in the database.
    pub const fn code(self) -> i16 {
        match self {
            Self::EventHook => 0,
            Self::SystemLog => 1,
            Self::Workflows => 2,
            Self::Import => 3,
            Self::LogStream => 4,
        }
    }

    /// The source that a number in the database stands for.
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.code() == code)
    }

    /// The name in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EventHook => "event_hook",
            Self::SystemLog => "system_log",
            Self::Workflows => "workflows",
            Self::Import => "import",
            Self::LogStream => "log_stream",
        }
    }
}

/// An event in the log: what happened, and what append fixed about it.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncEvent {
    /// Its place in the log.
    pub position: Position,
    /// The configured Okta org it came from.
    pub org: String,
    /// What happened. The application's name is the catalogue's where that knew it at append, else the event's own.
    pub occurrence: Occurrence,
    /// When sluice stored it.
    pub received_at: Timestamp,
    /// The way that brought it first.
    pub first_source: IngestSource,
    /// The event as Okta sent it, where it was read along.
    pub details: Details,
}

impl SyncEvent {
    /// About how many bytes of memory the event holds.
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.org.len() + self.occurrence.texts.size() + self.details.size()
    }
}
