//! The domain: events, positions, filters, rights and pages, as plain data without I/O and frameworks.

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
mod scope;
mod source_state;
mod statement_usage;
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
    Cursor, DEFAULT_PAGE_SIZE, Direction, EventOrder, EventOrderField, MAX_PAGE_SIZE, Page, PageBounds, PageRequest,
    PageRequestError,
};
pub use pattern::EventTypePattern;
pub use position::{Position, PositionParseError};
pub use rights::{Grant, GrantedPart, Narrowed, RepeatedList, Rights, Rows};
pub use scope::{Scope, Scopes};
pub use source_state::SourceState;
pub use statement_usage::StatementUsage;
pub use statistics::{
    BucketLength, Dimension, Histogram, HistogramRequest, HistogramSeries, HistogramStep, MAX_BUCKETS,
    MAX_HISTOGRAM_KEYS, Tally, TallyCursor, TallyPage, TopRequest, source_name,
};
pub use texts::EventTexts;
pub use timestamp::Timestamp;
pub use words::{Place, Search, Words};

use uuid::Uuid;

/// An event as Okta sent it, with the values that filters and queries use, parsed from its JSON.
///
/// Texts are normalised (no U+0000) when they are parsed, so that Rust and SQL compare identical characters.
#[derive(Clone, Debug, PartialEq)]
pub struct Occurrence {
    /// The id that Okta gave the event. Together with the org it identifies the event in the log.
    pub uuid: Uuid,
    /// The time at which the event happened in Okta, to the millisecond.
    pub published: Timestamp,
    /// The event's texts. Every event has the text of its type.
    pub texts: EventTexts,
}

impl Occurrence {
    /// Creates an event with the values that every event has.
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

/// An event that has been received and is not in the log yet.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceivedEvent {
    /// The parsed event.
    pub occurrence: Occurrence,
    /// The event's JSON, byte for byte.
    pub raw: String,
}

/// A source from which sluice receives events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IngestSource {
    /// Okta's event hooks.
    EventHook,
    /// Okta's System Log API.
    SystemLog,
    /// An Okta Workflows flow that relays the output of its card.
    Workflows,
    /// Imported files.
    Import,
    /// Okta's Log Streaming through Amazon EventBridge.
    LogStream,
}

impl IngestSource {
    /// All sources, in the order of [`IngestSource::code`].
    pub const ALL: [Self; 5] = [Self::EventHook, Self::SystemLog, Self::Workflows, Self::Import, Self::LogStream];

    /// Returns the number that the database stores.
    pub const fn code(self) -> i16 {
        match self {
            Self::EventHook => 0,
            Self::SystemLog => 1,
            Self::Workflows => 2,
            Self::Import => 3,
            Self::LogStream => 4,
        }
    }

    /// Returns the source of a number in the database.
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.code() == code)
    }

    /// Returns the name in metrics and logs.
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

/// An event in the log: the event and the values that append added.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncEvent {
    /// The position in the log.
    pub position: Position,
    /// The configured name of the event's Okta org.
    pub org: String,
    /// The event. Its application name is the catalogue's name if the catalogue had one at append, otherwise the
    /// event's own.
    pub occurrence: Occurrence,
    /// The time at which sluice stored the event.
    pub received_at: Timestamp,
    /// The source from which sluice first received the event.
    pub first_source: IngestSource,
    /// The original JSON, if it was read.
    pub details: Details,
}

impl SyncEvent {
    /// Returns the approximate memory size of the event in bytes.
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.org.len() + self.occurrence.texts.size() + self.details.size()
    }
}
