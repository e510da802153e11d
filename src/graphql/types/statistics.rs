//! Statistics: activity over time, and the most frequent values.

use async_graphql::{Context, Enum, Result, SimpleObject};

use super::filter::SyncEventFilterInput;
use super::scalars::{DateTime, saturated};
use crate::event::{ActivityBucket, Dimension, Interval, MAX_BUCKETS, MAX_PAGE_SIZE, Tally};
use crate::graphql::answer::error::{bad_input, from_store};
use crate::log::View;

/// How long the stretches of time are in which events are counted.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "Interval")]
pub(super) enum ActivityInterval {
    /// From minute to minute.
    Minute,
    /// From hour to hour.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday to Monday.
    Week,
    /// From the first of a month to the first of the next.
    Month,
}

/// By what events are told apart when they are counted.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "Dimension")]
pub(super) enum SyncEventDimension {
    /// The application: its key, labelled with its name in Okta's catalogue.
    Application,
    /// The application instance: its id, labelled with what people call it.
    ApplicationInstance,
    /// What happened.
    EventType,
    /// How it ended.
    Outcome,
    /// How serious it is.
    Severity,
    /// Who did it: the id, labelled with the name in the newest event.
    Admin,
    /// The Okta user: the id, labelled with the name in the newest event.
    User,
    /// The way that brought it first.
    #[graphql(name = "FIRST_RECEIVED_VIA")]
    FirstSource,
}

/// How many events there were in a stretch of time.
#[derive(SimpleObject)]
#[graphql(name = "ActivityBucket")]
pub(super) struct ActivityBucketNode {
    /// When it starts, in UTC.
    start: DateTime,
    /// What these events have in common; null where `by` is left out, and for events that lack it.
    key: Option<String>,
    /// What people call that, where that is something else.
    label: Option<String>,
    /// How many there were.
    count: i32,
}

/// How many events there were of one kind.
#[derive(SimpleObject)]
#[graphql(name = "Tally")]
pub(super) struct TallyNode {
    /// What they have in common; null for those that lack it.
    key: Option<String>,
    /// What people call that, where that is something else.
    label: Option<String>,
    /// How many there were.
    count: i32,
    /// When the newest of them happened.
    last_event_at: DateTime,
}

pub(in crate::graphql) async fn activity(
    context: &Context<'_>,
    filter: Option<SyncEventFilterInput>,
    interval: ActivityInterval,
    by: Option<SyncEventDimension>,
    time_zone: &str,
) -> Result<Vec<ActivityBucketNode>> {
    let filter = filter.unwrap_or_default().read()?;
    let view = context.data::<View>()?;
    let unknown = || {
        bad_input(format!(
            "`timeZone` is {time_zone:?}, which is no time zone; expected a name such as UTC or Europe/Berlin"
        ))
    };
    if time_zone.contains('\0') || !view.knows_time_zone(time_zone).await.map_err(|error| from_store(&error))? {
        return Err(unknown());
    }
    let by = by.map(Into::into);
    let counted = view.matching(filter).activity(interval.into(), by, time_zone).await;
    let Some(buckets) = counted.map_err(|error| from_store(&error))? else {
        let advice = "take a longer `interval` or a shorter `filter.published`";
        return Err(bad_input(format!("the answer would have more than {MAX_BUCKETS} buckets: {advice}")));
    };
    Ok(buckets.into_iter().map(ActivityBucketNode::from).collect())
}

pub(in crate::graphql) async fn top(
    context: &Context<'_>,
    filter: Option<SyncEventFilterInput>,
    by: SyncEventDimension,
    first: i32,
) -> Result<Vec<TallyNode>> {
    let filter = filter.unwrap_or_default().read()?;
    if usize::try_from(first).is_ok_and(|first| first <= MAX_PAGE_SIZE) {
        let events = context.data::<View>()?.matching(filter);
        let tallies = events.top(by.into(), i64::from(first)).await.map_err(|error| from_store(&error))?;
        return Ok(tallies.into_iter().map(TallyNode::from).collect());
    }
    Err(bad_input(format!("`first` is {first}; expected 0 to {MAX_PAGE_SIZE}")))
}

impl From<ActivityBucket> for ActivityBucketNode {
    fn from(bucket: ActivityBucket) -> Self {
        let ActivityBucket { start, key, label, count } = bucket;
        Self { start: DateTime(start), key, label, count: saturated(count) }
    }
}

impl From<Tally> for TallyNode {
    fn from(tally: Tally) -> Self {
        let Tally { key, label, count, last_event_at } = tally;
        Self { key, label, count: saturated(count), last_event_at: DateTime(last_event_at) }
    }
}
