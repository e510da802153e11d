//! Counts of events by dimension and time.

use super::Timestamp;

/// The dimension by which events are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// Okta's key of the application.
    Application,
    /// Okta's id of the application instance.
    ApplicationInstance,
    /// The event type.
    EventType,
    /// Okta's `outcome.result`.
    Outcome,
    /// Okta's severity.
    Severity,
    /// The admin, by id.
    Admin,
    /// The Okta user, by id.
    User,
    /// The source from which sluice first received the event.
    FirstSource,
}

/// The length of the time buckets in which events are counted. Weeks start on Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// One minute.
    Minute,
    /// One hour.
    Hour,
    /// A day, from midnight to midnight.
    Day,
    /// A week, from Monday to Sunday.
    Week,
    /// A calendar month.
    Month,
}

/// The maximum number of buckets in a response.
pub const MAX_BUCKETS: usize = 10_000;

/// The number of events in a time bucket, for one key if events are counted by a dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivityBucket {
    /// The start of the bucket.
    pub start: Timestamp,
    /// The key; None without a dimension, and for events that lack the value.
    pub key: Option<String>,
    /// The display name of the key.
    pub label: Option<String>,
    /// The number of events.
    pub count: i64,
}

/// The number of events with one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// The key; None for events that lack the value.
    pub key: Option<String>,
    /// The display name of the key.
    pub label: Option<String>,
    /// The number of events.
    pub count: i64,
    /// The time of the newest of these events.
    pub last_event_at: Timestamp,
}
