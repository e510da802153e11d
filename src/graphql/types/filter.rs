//! Filters as clients write them.

use async_graphql::{InputObject, Result};

use super::enums::{IngestSourceNode, Severity};
use super::scalars::{DateTime, Url};
use crate::event::{EntityFilter, EventTypePattern, Filter, FilterError, Search, TimeRange};
use crate::graphql::answer::error::bad_input;
use crate::okta::{ENTITY_TYPES, OUTCOMES, family_meant_by, instance_id_in_url};

/// A range of time. It is open at an end that is left out.
#[derive(InputObject, Clone, Debug)]
#[graphql(name = "TimeRange")]
pub(super) struct TimeRangeInput {
    /// The first moment of the range, inclusive.
    from: Option<DateTime>,
    /// The end of the range, exclusive.
    until: Option<DateTime>,
}

/// Conditions on an admin, a user or an application user. All fields must match; of the values of a list, one must match. An
/// empty list matches nothing.
#[derive(InputObject, Clone, Debug)]
#[graphql(name = "EntityFilter")]
pub(super) struct EntityFilterInput {
    /// Okta's ids. System Log: `actor.id`, `target.id`.
    okta_ids: Option<Vec<String>>,
    /// Alternate ids, such as logins. E-mail addresses compare without regard to case. System Log: `actor.alternateId`,
    /// `target.alternateId`.
    alternate_ids: Option<Vec<String>>,
    /// Okta's types, such as User, AppUser, SystemPrincipal or PublicClientApp, without regard to case. System Log:
    /// `actor.type`, `target.type`.
    types: Option<Vec<String>>,
    /// Words of the display name and the alternate id, as in `search` of the filter of events.
    search: Option<String>,
}

/// Conditions on events. All fields must match; of the values of a list, one must match. An empty list matches nothing, and a
/// field that is left out does not filter. A list has at most 1,000 values. A filter and all filters in it are at most 100.
#[derive(InputObject, Clone, Debug, Default)]
#[graphql(name = "SyncEventFilter")]
pub(in crate::graphql) struct SyncEventFilterInput {
    /// Okta orgs, by their names in sluice's settings.
    orgs: Option<Vec<String>>,
    /// Okta's keys of applications, such as office365: the events of all their instances.
    applications: Option<Vec<String>>,
    /// Okta's ids of application instances. System Log: `target.id`, of the target of type `AppInstance`.
    application_instances: Option<Vec<String>>,
    /// URLs of application instances in Okta's admin console. sluice reads the ids in them.
    application_instance_urls: Option<Vec<Url>>,
    /// Okta's ids of transactions: all events of one request or job. System Log: `transaction.id`.
    transactions: Option<Vec<String>>,
    /// Event types, or families of them such as `application.provision.user.*`. The mere beginning of event types, such as
    /// `application.provision`, is an error that names the family. `top(by: EVENT_TYPE, known: true)` lists the types that
    /// Okta documents. System Log: `eventType`.
    event_types: Option<Vec<String>>,
    /// When the event happened in Okta. System Log: `published`.
    published: Option<TimeRangeInput>,
    /// When sluice stored the event: use it to find events that came late.
    received_at: Option<TimeRangeInput>,
    /// Results, such as SUCCESS, FAILURE or SKIPPED, without regard to case. System Log: `outcome.result`.
    outcomes: Option<Vec<String>>,
    /// Okta's severities. System Log: `severity`.
    severities: Option<Vec<Severity>>,
    /// The actor. System Log: `actor`.
    admin: Option<EntityFilterInput>,
    /// The Okta user. System Log: the `target` of type `User`.
    user: Option<EntityFilterInput>,
    /// The user's account in the application. System Log: the `target` of type `AppUser`.
    application_user: Option<EntityFilterInput>,
    /// Sources of which one brought the event first.
    first_received_via: Option<Vec<IngestSourceNode>>,
    /// Words of the message, the names and the alternate ids, in any order and without regard to case. All of them must
    /// occur. `prov*` stands for every word that begins with prov. At most 20 words, of which the first 64 letters count.
    search: Option<String>,
    /// Filters that must all match.
    and: Option<Vec<SyncEventFilterInput>>,
    /// Filters of which at least one must match.
    or: Option<Vec<SyncEventFilterInput>>,
    /// A filter that must not match.
    not: Option<Box<SyncEventFilterInput>>,
}

impl SyncEventFilterInput {
    /// Reads the filter.
    pub(in crate::graphql) fn read(self) -> Result<Filter> {
        let read = self.into_filter().and_then(|filter| match filter.parts() {
            ..=Filter::MAX_PARTS => Ok(filter),
            _ => Err(FilterError::TooManyParts),
        });
        read.map_err(|error| bad_input(format!("`filter`: {error}")))
    }

    fn into_filter(self) -> Result<Filter, FilterError> {
        let by_url = self.application_instance_urls.map(read_urls).transpose()?;
        let application_instances = match (read_list("applicationInstances", self.application_instances)?, by_url) {
            (Some(ids), Some(by_url)) => Some(ids.into_iter().filter(|id| by_url.contains(id)).collect()),
            (ids, by_url) => ids.or(by_url),
        };
        let read_all = |filters: Vec<Self>| filters.into_iter().map(Self::into_filter).collect::<Result<Vec<_>, _>>();
        Ok(Filter {
            orgs: read_list("orgs", self.orgs)?,
            applications: read_list("applications", self.applications)?,
            application_instances,
            transactions: read_list("transactions", self.transactions)?,
            event_types: self.event_types.map(read_event_types).transpose()?,
            published: read_range("published", self.published.as_ref())?,
            received: read_range("receivedAt", self.received_at.as_ref())?,
            outcomes: read_list("outcomes", self.outcomes)?.map(with_known_spelling(&OUTCOMES)),
            severities: self.severities.map(|severities| severities.iter().map(|one| one.name().to_owned()).collect()),
            admin: self.admin.map(EntityFilterInput::into_filter).transpose()?.map(Box::new),
            user: self.user.map(EntityFilterInput::into_filter).transpose()?.map(Box::new),
            application_user: self.application_user.map(EntityFilterInput::into_filter).transpose()?.map(Box::new),
            first_sources: self.first_received_via.map(|sources| sources.into_iter().map(Into::into).collect()),
            search: read_search(self.search)?,
            and: self.and.map(read_all).transpose()?.unwrap_or_default(),
            or: self.or.map(read_all).transpose()?,
            not: self.not.map(|filter| filter.into_filter().map(Box::new)).transpose()?,
        })
    }
}

impl EntityFilterInput {
    fn into_filter(self) -> Result<EntityFilter, FilterError> {
        Ok(EntityFilter {
            ids: read_list("oktaIds", self.okta_ids)?,
            alternate_ids: read_list("alternateIds", self.alternate_ids)?,
            types: read_list("types", self.types)?.map(with_known_spelling(&ENTITY_TYPES)),
            search: read_search(self.search)?,
        })
    }
}

fn check_size<T>(field: &'static str, values: &[T]) -> Result<(), FilterError> {
    let (count, limit) = (values.len(), Filter::MAX_VALUES);
    if count > limit { Err(FilterError::TooMany { field, count, limit }) } else { Ok(()) }
}

/// Reads a list of texts. A text with U+0000 is left out: the log has none, so it matches nothing.
fn read_list(field: &'static str, values: Option<Vec<String>>) -> Result<Option<Vec<String>>, FilterError> {
    let Some(mut values) = values else { return Ok(None) };
    check_size(field, &values)?;
    values.retain(|value| !value.contains('\0'));
    Ok(Some(values))
}

/// Returns a function that adds to values the spelling that Okta uses, where that differs in case only. The log has texts
/// as Okta wrote them.
fn with_known_spelling(known: &'static [&'static str]) -> impl FnOnce(Vec<String>) -> Vec<String> {
    |mut values| {
        let spelled = |value: &String| {
            let same = known.iter().find(|known| known.eq_ignore_ascii_case(value) && **known != value.as_str());
            same.map(|known| (*known).to_owned())
        };
        let added: Vec<_> = values.iter().filter_map(spelled).collect();
        values.extend(added);
        values.sort_unstable();
        values.dedup();
        values
    }
}

fn read_event_types(types: Vec<String>) -> Result<Vec<EventTypePattern>, FilterError> {
    check_size("eventTypes", &types)?;
    let pattern = |text: String| {
        let pattern = EventTypePattern::parse(&text).ok_or_else(|| FilterError::EventType(text.clone()))?;
        match pattern.exact().and_then(family_meant_by) {
            Some(family) => Err(FilterError::IncompleteEventType { name: text, family }),
            None => Ok(pattern),
        }
    };
    types.into_iter().filter(|text| !text.contains('\0')).map(pattern).collect()
}

fn read_urls(urls: Vec<Url>) -> Result<Vec<String>, FilterError> {
    check_size("applicationInstanceUrls", &urls)?;
    urls.into_iter()
        .map(|url| instance_id_in_url(&url.0).map(str::to_owned).ok_or(FilterError::InstanceUrl(url.0)))
        .collect()
}

pub(super) fn read_range(field: &'static str, range: Option<&TimeRangeInput>) -> Result<TimeRange, FilterError> {
    let from = range.and_then(|range| range.from).map(|from| from.0);
    let until = range.and_then(|range| range.until).map(|until| until.0);
    match (from, until) {
        (Some(start), Some(end)) if start > end => Err(FilterError::InvertedRange(field)),
        _ => Ok(TimeRange { from, until }),
    }
}

/// Reads a text to search for. A blank text asks for nothing.
fn read_search(text: Option<String>) -> Result<Option<Search>, FilterError> {
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return Ok(None) };
    let Some(search) = Search::parse(&text) else { return Err(FilterError::NoWord(text)) };
    match search.len() {
        ..=Search::MAX_WORDS => Ok(Some(search)),
        words => Err(FilterError::TooManyWords(words)),
    }
}
