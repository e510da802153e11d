//! The faults for which an event cannot be stored.

/// Why an event cannot be stored.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BrokenEvent {
    /// Not a JSON object.
    #[error("the event is not a JSON object")]
    NotAnObject,
    /// Bytes that are no text.
    #[error("the event is not UTF-8")]
    NotUtf8,
    /// No identity.
    #[error("the event has no `uuid` that is a UUID: {0}")]
    Uuid(String),
    /// No type.
    #[error("the event has no `eventType`")]
    EventType,
    /// No time.
    #[error("the event has no `published` that is RFC 3339 (2026-01-31T23:59:59.123Z): {0}")]
    Published(String),
    /// A time before Okta or after tomorrow.
    #[error("`published` is {0}: expected a time between 2009 and tomorrow")]
    PublishedOutOfRange(String),
}
