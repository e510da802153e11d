//! Filters of events, with one meaning for queries and subscriptions.

use super::{
    EntityColumns, EventColumn, EventFields as _, EventTypePattern, IngestSource, Place, Search, SyncEvent, Timestamp,
    Words,
};

/// A time range: `from ≤ t < until`, unbounded on a side that is None.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TimeRange {
    /// The start, inclusive.
    pub from: Option<Timestamp>,
    /// The end, exclusive.
    pub until: Option<Timestamp>,
}

impl TimeRange {
    /// Returns true if the range contains a time.
    pub fn contains(&self, moment: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= moment) && self.until.is_none_or(|until| moment < until)
    }
}

/// Conditions on an admin, a user or an application user. An omitted condition does not filter; an event without the
/// entity fails every other condition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct EntityFilter {
    /// Okta's ids; one of them must match.
    pub ids: Option<Vec<String>>,
    /// Alternate ids; one of them must match.
    pub alternate_ids: Option<Vec<String>>,
    /// Okta's types; one of them must match.
    pub types: Option<Vec<String>>,
    /// Words that the names must contain.
    pub search: Option<Search>,
}

/// Conditions on an event. An omitted condition does not filter; the values of one condition are ORed, the conditions
/// are ANDed, and an empty list matches nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// Configured names of Okta orgs.
    pub orgs: Option<Vec<String>>,
    /// Okta's keys of applications, each with all its instances.
    pub applications: Option<Vec<String>>,
    /// Okta's ids of application instances.
    pub application_instances: Option<Vec<String>>,
    /// Okta's ids of transactions.
    pub transactions: Option<Vec<String>>,
    /// Event types and families of event types.
    pub event_types: Option<Vec<EventTypePattern>>,
    /// The time at which the event happened.
    pub published: TimeRange,
    /// The time at which sluice stored the event.
    pub received: TimeRange,
    /// The results of events: Okta's `outcome.result`.
    pub outcomes: Option<Vec<String>>,
    /// Okta's severities.
    pub severities: Option<Vec<String>>,
    /// Conditions on the admin who caused the event.
    pub admin: Option<Box<EntityFilter>>,
    /// Conditions on the Okta user.
    pub user: Option<Box<EntityFilter>>,
    /// Conditions on the user in the application.
    pub application_user: Option<Box<EntityFilter>>,
    /// The sources from which sluice first received the event.
    pub first_sources: Option<Vec<IngestSource>>,
    /// Words that the message, names or alternate ids must contain.
    pub search: Option<Search>,
    /// Filters that must all match.
    pub and: Vec<Filter>,
    /// Filters of which at least one must match.
    pub or: Option<Vec<Filter>>,
    /// A filter that must not match.
    pub not: Option<Box<Filter>>,
}

/// The reason why a filter is invalid.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FilterError {
    /// A list has too many values.
    #[error("{field} has {count} values; the limit is {limit}: split the request into several")]
    TooMany {
        /// The filter's field.
        field: &'static str,
        /// The number of values.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// The filter has too many nested filters.
    #[error("the filter has more than {limit} parts in `and`, `or` and `not`", limit = Filter::MAX_PARTS)]
    TooManyParts,
    /// A text is not an event type.
    #[error("eventTypes: {0:?} is neither an event type nor a family: `*` may only be the last character")]
    EventType(String),
    /// A text is only the beginning of event types.
    #[error("eventTypes: {name:?} is not an event type, but the beginning of some: use {family:?}")]
    IncompleteEventType {
        /// The text.
        name: String,
        /// The family that the user probably means.
        family: String,
    },
    /// A URL does not show an application instance.
    #[error(
        "applicationInstanceUrls: {0:?} does not show an application instance; expected a URL such as \
         https://acme-admin.okta.com/admin/app/office365/instance/0oahjhk34aUxGnWcZ0h7/"
    )]
    InstanceUrl(String),
    /// A time range ends before it starts.
    #[error("`{0}` ends before it begins; expected from ≤ t < until")]
    InvertedRange(&'static str),
    /// A search has no words.
    #[error("search: {0:?} has no words; a word consists of letters and digits, and may end in `*`")]
    NoWord(String),
    /// A search has too many words.
    #[error("search: {0} words; the limit is {limit}", limit = Search::MAX_WORDS)]
    TooManyWords(usize),
}

/// Compares two ids, ignoring the ASCII case of e-mail addresses.
fn is_same_id(one: &str, other: &str) -> bool {
    one == other || (is_address(one) && one.eq_ignore_ascii_case(other))
}

/// Returns true if an id is an e-mail address, for comparisons.
pub fn is_address(id: &str) -> bool {
    id.contains('@')
}

impl Filter {
    /// The maximum number of values of a list in a filter.
    pub const MAX_VALUES: usize = 1000;

    /// The maximum number of filters in a filter, including itself.
    pub const MAX_PARTS: usize = 100;

    /// Returns the number of filters in this one, including itself.
    pub fn parts(&self) -> usize {
        let within = self.and.iter().chain(self.or.iter().flatten()).chain(self.not.as_deref());
        1 + within.map(Self::parts).sum::<usize>()
    }

    /// Returns the filters that must all match: this one, its `and` parts, and their `and` parts.
    pub fn conjuncts(&self) -> Vec<&Self> {
        let mut parts = vec![self];
        let mut next = 0;
        while let Some(part) = parts.get(next) {
            parts.extend(&part.and);
            next += 1;
        }
        parts
    }

    /// Returns the range of time in which all matching events happened, as far as the filter and its `and` parts say.
    pub fn published_range(&self) -> TimeRange {
        self.conjuncts().into_iter().fold(TimeRange::default(), |all, part| TimeRange {
            from: all.from.max(part.published.from),
            until: match (all.until, part.published.until) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            },
        })
    }

    /// Returns true if an event matches. The result never changes, since it depends only on values that append fixed.
    pub fn matches(&self, event: &SyncEvent) -> bool {
        let words = std::cell::OnceCell::new();
        self.matches_with(event, &|| words.get_or_init(|| Words::of(&event.occurrence)))
    }

    fn matches_with<'w>(&self, event: &SyncEvent, words: &impl Fn() -> &'w Words) -> bool {
        let occurrence = &event.occurrence;
        let people = [
            (&self.admin, EntityColumns::ADMIN, Place::Admin),
            (&self.user, EntityColumns::USER, Place::User),
            (&self.application_user, EntityColumns::APPLICATION_USER, Place::ApplicationUser),
        ];
        is_in(self.orgs.as_deref(), Some(&event.org))
            && is_in(self.applications.as_deref(), event.text(EventColumn::ApplicationName))
            && is_in(self.application_instances.as_deref(), event.text(EventColumn::InstanceId))
            && is_in(self.transactions.as_deref(), event.text(EventColumn::TransactionId))
            && self
                .event_types
                .as_ref()
                .is_none_or(|patterns| patterns.iter().any(|pattern| pattern.matches(occurrence.event_type())))
            && self.published.contains(occurrence.published)
            && self.received.contains(event.received_at)
            && is_in(self.outcomes.as_deref(), event.text(EventColumn::OutcomeResult))
            && is_in(self.severities.as_deref(), event.text(EventColumn::Severity))
            && self.first_sources.as_ref().is_none_or(|sources| sources.contains(&event.first_source))
            && people.into_iter().all(|(wanted, columns, place)| {
                wanted.as_ref().is_none_or(|wanted| wanted.matches(event, columns, words, place))
            })
            && self.search.as_ref().is_none_or(|search| search.matches(words(), None))
            && self.and.iter().all(|part| part.matches_with(event, words))
            && self.or.as_ref().is_none_or(|parts| parts.iter().any(|part| part.matches_with(event, words)))
            && self.not.as_ref().is_none_or(|part| !part.matches_with(event, words))
    }
}

impl EntityFilter {
    fn matches<'w>(
        &self,
        event: &SyncEvent,
        columns: EntityColumns,
        words: &impl Fn() -> &'w Words,
        place: Place,
    ) -> bool {
        let same = |wanted: &Option<Vec<String>>, value: Option<&str>| {
            wanted
                .as_ref()
                .is_none_or(|wanted| value.is_some_and(|value| wanted.iter().any(|wanted| is_same_id(wanted, value))))
        };
        same(&self.ids, event.text(columns.id))
            && same(&self.alternate_ids, event.text(columns.alternate_id))
            && is_in(self.types.as_deref(), event.text(columns.kind))
            && self.search.as_ref().is_none_or(|search| search.matches(words(), Some(place)))
    }
}

fn is_in(wanted: Option<&[String]>, value: Option<&str>) -> bool {
    wanted.is_none_or(|wanted| value.is_some_and(|value| wanted.iter().any(|one| one == value)))
}
