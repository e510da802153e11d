//! Which events somebody wants: one meaning, live and in history.

use super::{EventTypePattern, SyncEvent, Timestamp};

/// A stretch of time: `from ≤ t < until`, open where an end is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TimeRange {
    /// The first moment inside.
    pub from: Option<Timestamp>,
    /// The first moment after it.
    pub until: Option<Timestamp>,
}

impl TimeRange {
    /// Whether a moment lies in it.
    pub fn contains(&self, moment: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= moment) && self.until.is_none_or(|until| moment < until)
    }
}

/// What an event must be. A part left out asks nothing; values within a part are ORed, parts are ANDed; an empty
/// list matches nothing, as no value is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// Configured names of Okta orgs.
    pub orgs: Option<Vec<String>>,
    /// Okta's keys of applications: every instance of each.
    pub applications: Option<Vec<String>>,
    /// Okta's ids of application instances.
    pub application_instances: Option<Vec<String>>,
    /// Event types and families of them.
    pub event_types: Option<Vec<EventTypePattern>>,
    /// When it happened.
    pub published: TimeRange,
}

/// Why a filter is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FilterError {
    /// Too many values in a list.
    #[error("{field} has {count} values, at most {limit} are allowed: ask for several pages or subscriptions")]
    TooMany {
        /// The filter's field.
        field: &'static str,
        /// How many were given.
        count: usize,
        /// How many may be.
        limit: usize,
    },
    /// An event type that cannot be read.
    #[error("eventTypes: {0:?} is neither an event type nor a family: `*` may stand at the end only")]
    EventType(String),
    /// An admin console URL without an instance in it.
    #[error(
        "applicationInstanceUrls: {0:?} holds no application instance; expected a URL such as \
         https://acme-admin.okta.com/admin/app/office365/instance/0oahjhk34aUxGnWcZ0h7/"
    )]
    InstanceUrl(String),
}

impl Filter {
    /// How many values a list in a filter may have.
    pub const MAX_VALUES: usize = 1000;

    /// Whether an event is asked for. Looks only at what append fixed.
    pub fn matches(&self, event: &SyncEvent) -> bool {
        let occurrence = &event.occurrence;
        is_in(self.orgs.as_deref(), Some(&event.org))
            && is_in(self.applications.as_deref(), occurrence.application_name.as_deref())
            && is_in(self.application_instances.as_deref(), occurrence.application.as_ref().map(|found| &*found.id))
            && self
                .event_types
                .as_ref()
                .is_none_or(|patterns| patterns.iter().any(|pattern| pattern.matches(&occurrence.event_type)))
            && self.published.contains(occurrence.published)
    }
}

fn is_in(wanted: Option<&[String]>, value: Option<&str>) -> bool {
    wanted.is_none_or(|wanted| value.is_some_and(|value| wanted.iter().any(|one| one == value)))
}
