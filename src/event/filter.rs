//! Which events somebody wants: one meaning, live and in history.

use super::{
    EntityColumns, EventColumn, EventFields as _, EventTypePattern, IngestSource, Place, Search, SyncEvent, Timestamp,
    Words,
};

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

/// Which person an admin, a user or an application user must be. A part left out asks nothing; where there is no such
/// person, any part that asks something is not met.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct EntityFilter {
    /// Okta's ids.
    pub ids: Option<Vec<String>>,
    /// Alternate ids.
    pub alternate_ids: Option<Vec<String>>,
    /// Okta's types.
    pub types: Option<Vec<String>>,
    /// Words of its names.
    pub search: Option<Search>,
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
    /// Okta's ids of transactions.
    pub transactions: Option<Vec<String>>,
    /// Event types and families of them.
    pub event_types: Option<Vec<EventTypePattern>>,
    /// When it happened.
    pub published: TimeRange,
    /// When sluice stored it.
    pub received: TimeRange,
    /// How it ended: Okta's `outcome.result`.
    pub outcomes: Option<Vec<String>>,
    /// Okta's severities.
    pub severities: Option<Vec<String>>,
    /// Who did it.
    pub admin: Option<EntityFilter>,
    /// The Okta user.
    pub user: Option<EntityFilter>,
    /// The user in the application.
    pub application_user: Option<EntityFilter>,
    /// The way that brought it first.
    pub first_sources: Option<Vec<IngestSource>>,
    /// Words of its message, names and alternate ids.
    pub search: Option<Search>,
    /// All of these.
    pub and: Vec<Filter>,
    /// At least one of these.
    pub or: Option<Vec<Filter>>,
    /// Not this.
    pub not: Option<Box<Filter>>,
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
    /// Too many filters within filters.
    #[error("the filter has more than {limit} parts in `and`, `or` and `not`", limit = Filter::MAX_PARTS)]
    TooManyParts,
    /// An event type that cannot be read.
    #[error("eventTypes: {0:?} is neither an event type nor a family: `*` may stand at the end only")]
    EventType(String),
    /// An event type that is only the beginning of others.
    #[error("eventTypes: {name:?} is no event type, but others begin so: ask for {family:?}")]
    OnlyABeginning {
        /// The text that was given.
        name: String,
        /// The family that is probably meant.
        family: String,
    },
    /// An admin console URL without an instance in it.
    #[error(
        "applicationInstanceUrls: {0:?} holds no application instance; expected a URL such as \
         https://acme-admin.okta.com/admin/app/office365/instance/0oahjhk34aUxGnWcZ0h7/"
    )]
    InstanceUrl(String),
    /// A range of time that ends before it starts.
    #[error("{0}: `from` is after `until`; expected from ≤ t < until")]
    TurnedRound(&'static str),
    /// A search without a word.
    #[error("search: {0:?} holds no word: words are letters and digits, and may end in `*`")]
    NoWord(String),
    /// A search with too many words.
    #[error("search: {0} words are looked for, at most {limit} may be", limit = Search::MAX_WORDS)]
    TooManyWords(usize),
}

/// Whether two ids are the same: without regard to ASCII case where they are e-mail addresses.
fn is_same_id(one: &str, other: &str) -> bool {
    one == other || (is_address(one) && one.eq_ignore_ascii_case(other))
}

/// Whether an id is an e-mail address, as far as comparing goes.
pub fn is_address(id: &str) -> bool {
    id.contains('@')
}

impl Filter {
    /// How many values a list in a filter may have.
    pub const MAX_VALUES: usize = 1000;

    /// How many filters a filter may consist of, itself included.
    pub const MAX_PARTS: usize = 100;

    /// How many filters it consists of, itself included.
    pub fn parts(&self) -> usize {
        let within = self.and.iter().chain(self.or.iter().flatten()).chain(self.not.as_deref());
        1 + within.map(Self::parts).sum::<usize>()
    }

    /// Returns the filters of which an event must match every one: this one, its `and` parts, and theirs.
    pub fn conjuncts(&self) -> Vec<&Self> {
        let mut parts = vec![self];
        let mut next = 0;
        while let Some(part) = parts.get(next) {
            parts.extend(&part.and);
            next += 1;
        }
        parts
    }

    /// Whether an event is asked for. Looks only at what append fixed.
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
