//! Filters as clients write them.

use async_graphql::{InputObject, Result};

use super::error::bad_input;
use super::scalars::{DateTime, Url};
use crate::event::{EventTypePattern, Filter, FilterError, TimeRange};
use crate::okta::instance_id_in_url;

/// A stretch of time: from ≤ t < until, open where an end is left out.
#[derive(InputObject, Clone, Debug)]
#[graphql(name = "TimeRange")]
pub(super) struct TimeRangeInput {
    /// The first moment inside.
    from: Option<DateTime>,
    /// The first moment after it.
    until: Option<DateTime>,
}

/// Which events. Fields are ANDed, values within a list are ORed; an empty list matches nothing. A list has at most
/// 1,000 values.
#[derive(InputObject, Clone, Debug, Default)]
#[graphql(name = "SyncEventFilter")]
pub(super) struct SyncEventFilterInput {
    /// Configured names of Okta orgs.
    orgs: Option<Vec<String>>,
    /// Application names (Okta's keys, such as "office365"): all instances of each.
    applications: Option<Vec<String>>,
    /// Okta's ids of application instances.
    application_instances: Option<Vec<String>>,
    /// Admin console URLs of application instances: the id is read out of them.
    application_instance_urls: Option<Vec<Url>>,
    /// Event types, exact or a family: "application.provision.user.*".
    event_types: Option<Vec<String>>,
    /// When it happened in Okta.
    published: Option<TimeRangeInput>,
}

impl SyncEventFilterInput {
    /// The filter that is meant.
    pub(super) fn read(self) -> Result<Filter> {
        self.into_filter().map_err(|error| bad_input(error.to_string()))
    }

    fn into_filter(self) -> Result<Filter, FilterError> {
        check_size("orgs", self.orgs.as_ref())?;
        check_size("applications", self.applications.as_ref())?;
        check_size("applicationInstances", self.application_instances.as_ref())?;
        check_size("applicationInstanceUrls", self.application_instance_urls.as_ref())?;
        check_size("eventTypes", self.event_types.as_ref())?;
        let by_url = self.application_instance_urls.map(read_urls).transpose()?;
        let application_instances = match (self.application_instances, by_url) {
            (Some(ids), Some(by_url)) => Some(ids.into_iter().filter(|id| by_url.contains(id)).collect()),
            (ids, by_url) => ids.or(by_url),
        };
        let pattern = |text: String| EventTypePattern::parse(&text).ok_or(FilterError::EventType(text));
        let event_types = self.event_types.map(|types| types.into_iter().map(pattern).collect()).transpose()?;
        let published = self.published.map_or_else(TimeRange::default, |range| TimeRange {
            from: range.from.map(|from| from.0),
            until: range.until.map(|until| until.0),
        });
        Ok(Filter {
            orgs: self.orgs.map(without_nul),
            applications: self.applications.map(without_nul),
            application_instances: application_instances.map(without_nul),
            event_types,
            published,
        })
    }
}

fn check_size<T>(field: &'static str, values: Option<&Vec<T>>) -> Result<(), FilterError> {
    match values.map_or(0, Vec::len) {
        count if count > Filter::MAX_VALUES => Err(FilterError::TooMany { field, count, limit: Filter::MAX_VALUES }),
        _ => Ok(()),
    }
}

fn read_urls(urls: Vec<Url>) -> Result<Vec<String>, FilterError> {
    urls.into_iter()
        .map(|url| instance_id_in_url(&url.0).map(str::to_owned).ok_or(FilterError::InstanceUrl(url.0)))
        .collect()
}

/// Text in the log has no U+0000, so a value with one matches nothing.
fn without_nul(values: Vec<String>) -> Vec<String> {
    values.into_iter().filter(|value| !value.contains('\0')).collect()
}
