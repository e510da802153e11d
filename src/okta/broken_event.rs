//! Reasons why an event cannot be stored.

/// The reason why an event cannot be stored.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BrokenEvent {
    /// The JSON is not an object.
    #[error("the event is not a JSON object")]
    NotAnObject,
    /// The bytes are not UTF-8.
    #[error("the event is not UTF-8")]
    NotUtf8,
    /// The event has no valid `uuid`.
    #[error("the event has no `uuid` that is a UUID: {0}")]
    Uuid(String),
    /// The event has no type.
    #[error("the event has no `eventType`")]
    EventType,
    /// The event has no valid time.
    #[error("the event has no `published` that is RFC 3339 (2026-01-31T23:59:59.123Z): {0}")]
    Published(String),
    /// The time is before Okta was founded, or more than a day in the future.
    #[error("`published` is {0}: expected a time between 2009 and tomorrow")]
    PublishedOutOfRange(String),
}
