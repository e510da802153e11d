//! How many events there were, by what and when.

use super::Timestamp;

/// By what events are told apart when they are counted.
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
    /// Who did it, by id.
    Admin,
    /// The Okta user, by id.
    User,
    /// The way that brought it first.
    FirstSource,
}

/// How long the stretches of time are in which events are counted. Weeks start on Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// From minute to minute.
    Minute,
    /// From hour to hour.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday to Monday.
    Week,
    /// From the first of a month to the next.
    Month,
}

/// How many buckets an answer may have.
pub const MAX_BUCKETS: usize = 10_000;

/// How many events there were in a stretch of time, of one kind where they are told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivityBucket {
    /// When the stretch starts.
    pub start: Timestamp,
    /// What the events have in common; None where nothing is told apart, or where they lack it.
    pub key: Option<String>,
    /// What people call that.
    pub label: Option<String>,
    /// How many there were.
    pub count: i64,
}

/// How many events there were of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// What they have in common; None for those that lack it.
    pub key: Option<String>,
    /// What people call that.
    pub label: Option<String>,
    /// How many there were.
    pub count: i64,
    /// When the newest of them happened.
    pub last_event_at: Timestamp,
}
