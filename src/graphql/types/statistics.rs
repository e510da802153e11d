//! Statistics of the events of a connection: histograms over time, and the most frequent values.
//!
//! The functions that make a histogram and a page of tallies know no field: their values can be printed by other means.

use async_graphql::{Enum, OneofObject, Result, SimpleObject};

use super::count::Count;
use super::page::PageInfo;
use super::printed_list::{PrintedList, PrintedObject, PrintedValue};
use super::scalars::{DateTime, saturated};
use crate::event::{
    BucketLength, Dimension, Histogram, HistogramRequest, HistogramSeries, HistogramStep, MAX_BUCKETS,
    MAX_HISTOGRAM_KEYS, MAX_PAGE_SIZE, Position, Tally, TallyPage, Timestamp, TopRequest,
};
use crate::graphql::answer::error::{bad_input, from_store};
use crate::graphql::answer::ids::{decode_tally_cursor, encode_tally_cursor};
use crate::log::MatchingEvents;

/// An interval of the calendar.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ActivityInterval {
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day, from midnight to midnight.
    Day,
    /// A week, which begins on Monday.
    Week,
    /// A month of the calendar.
    Month,
}

impl From<ActivityInterval> for BucketLength {
    fn from(interval: ActivityInterval) -> Self {
        match interval {
            ActivityInterval::Minute => Self::Minutes(1),
            ActivityInterval::Hour => Self::Hours(1),
            ActivityInterval::Day => Self::Day,
            ActivityInterval::Week => Self::Week,
            ActivityInterval::Month => Self::Month,
        }
    }
}

/// The value by which events are grouped.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "Dimension")]
pub(super) enum SyncEventDimension {
    /// The application. The key is Okta's key, such as office365, and the label its name in Okta's catalogue.
    Application,
    /// The application instance. The key is Okta's id of it, and the label its label in Okta.
    ApplicationInstance,
    /// The event type.
    EventType,
    /// The result, such as SUCCESS. System Log: `outcome.result`.
    Outcome,
    /// The severity.
    Severity,
    /// The actor. The key is Okta's id of it, and the label its name in the newest event.
    Admin,
    /// The Okta user. The key is Okta's id of the user, and the label the name in the newest event.
    User,
    /// The source that brought the event first.
    #[graphql(name = "FIRST_RECEIVED_VIA")]
    FirstSource,
}

/// The length of a histogram's buckets: give exactly one of the fields.
#[derive(OneofObject, Clone, Copy, Debug)]
#[graphql(name = "HistogramStep")]
pub(super) enum HistogramStepInput {
    /// About so many buckets (1 to 10,000) of a round length: the shortest of 1, 5, 10, 15 and 30 seconds and minutes, 1, 3,
    /// 6 and 12 hours, a day, a week, a month, a quarter and a year that covers the range with so many.
    Buckets(i32),
    /// Buckets of this interval of the calendar.
    Interval(ActivityInterval),
}

/// Counts of events over time. The buckets follow each other without a gap, the oldest first. A bucket without events counts
/// 0.
#[derive(SimpleObject)]
#[graphql(name = "Histogram")]
pub(super) struct HistogramNode {
    /// The buckets.
    buckets: PrintedList<HistogramBucket>,
    /// The counts of the most frequent keys, the most frequent first, and then those of all other keys together, if there
    /// are others. Empty without `by`.
    series: PrintedList<HistogramSeriesNode>,
}

/// A bucket of a histogram: a stretch of time, and the number of events in it.
#[derive(SimpleObject)]
pub(super) struct HistogramBucket {
    /// The first moment of the bucket, inclusive.
    from: DateTime,
    /// The end of the bucket, exclusive.
    until: DateTime,
    /// The number of events in the bucket.
    count: i32,
}

/// The counts of one key over time, or of all other keys together.
#[derive(SimpleObject)]
#[graphql(name = "HistogramSeries")]
pub(super) struct HistogramSeriesNode {
    /// The key; null for events that lack the value, and for all other keys.
    key: Option<String>,
    /// The key's name for people; null where the key itself is the name.
    label: Option<String>,
    /// True for the series of all other keys.
    is_other: bool,
    /// The number of events in all buckets.
    count: i32,
    /// The number of events in each bucket, in the order of `buckets`.
    counts: Vec<i32>,
}

/// One value of a dimension, and the number of events that have it.
#[derive(SimpleObject, Clone)]
#[graphql(name = "Tally")]
pub(super) struct TallyNode {
    /// The key; null for events that lack the value.
    key: Option<String>,
    /// The key's name for people; null where the key itself is the name.
    label: Option<String>,
    /// The number of events.
    count: i32,
    /// When the newest of these events happened; null for a known key without events.
    last_event_at: Option<DateTime>,
}

/// A tally on a page.
#[derive(SimpleObject)]
pub(super) struct TallyEdge {
    /// The cursor of the tally: give it as `after` for what follows.
    cursor: String,
    /// The tally.
    node: TallyNode,
}

/// A page of tallies, the most frequent key first.
#[derive(SimpleObject)]
pub(super) struct TallyConnection {
    /// The tallies with their cursors.
    edges: PrintedList<TallyEdge>,
    /// The tallies.
    nodes: PrintedList<TallyNode>,
    /// The place of the page in the list.
    page_info: PageInfo,
    /// The number of different keys.
    total_count: Count,
}

impl PrintedObject for HistogramBucket {
    fn type_name(&self) -> &'static str {
        "HistogramBucket"
    }

    fn value(&self, field: &str) -> PrintedValue<'_> {
        match field {
            "from" => PrintedValue::Time(self.from),
            "until" => PrintedValue::Time(self.until),
            "count" => PrintedValue::Number(self.count),
            _ => PrintedValue::Null,
        }
    }
}

impl PrintedObject for HistogramSeriesNode {
    fn type_name(&self) -> &'static str {
        "HistogramSeries"
    }

    fn value(&self, field: &str) -> PrintedValue<'_> {
        match field {
            "key" => PrintedValue::optional_text(self.key.as_ref()),
            "label" => PrintedValue::optional_text(self.label.as_ref()),
            "isOther" => PrintedValue::Boolean(self.is_other),
            "count" => PrintedValue::Number(self.count),
            "counts" => PrintedValue::Numbers(&self.counts),
            _ => PrintedValue::Null,
        }
    }
}

impl PrintedObject for TallyNode {
    fn type_name(&self) -> &'static str {
        "Tally"
    }

    fn value(&self, field: &str) -> PrintedValue<'_> {
        match field {
            "key" => PrintedValue::optional_text(self.key.as_ref()),
            "label" => PrintedValue::optional_text(self.label.as_ref()),
            "count" => PrintedValue::Number(self.count),
            "lastEventAt" => PrintedValue::optional_time(self.last_event_at),
            _ => PrintedValue::Null,
        }
    }
}

impl PrintedObject for TallyEdge {
    fn type_name(&self) -> &'static str {
        "TallyEdge"
    }

    fn value(&self, field: &str) -> PrintedValue<'_> {
        match field {
            "cursor" => PrintedValue::Text(&self.cursor),
            "node" => PrintedValue::Object(&self.node),
            _ => PrintedValue::Null,
        }
    }
}

/// The arguments of a histogram.
pub(super) struct HistogramArguments {
    pub(super) step: HistogramStepInput,
    pub(super) by: Option<SyncEventDimension>,
    pub(super) keys: i32,
    pub(super) time_zone: String,
}

/// The arguments of a page of tallies.
pub(super) struct TopArguments {
    pub(super) by: SyncEventDimension,
    pub(super) search: Option<String>,
    pub(super) known: bool,
    pub(super) first: i32,
    pub(super) after: Option<String>,
    /// True if the number of keys is selected.
    pub(super) counts_keys: bool,
}

fn within(name: &str, value: i32, range: std::ops::RangeInclusive<usize>) -> Result<usize> {
    match usize::try_from(value) {
        Ok(value) if range.contains(&value) => Ok(value),
        _ => Err(bad_input(format!("`{name}` is {value}; expected {} to {}", range.start(), range.end()))),
    }
}

/// Reads the histogram of events through a position.
pub(super) async fn histogram(
    events: &MatchingEvents,
    arguments: HistogramArguments,
    through: Position,
) -> Result<Histogram> {
    let HistogramArguments { step, by, keys, time_zone } = arguments;
    let step = match step {
        HistogramStepInput::Buckets(buckets) => {
            HistogramStep::Buckets(within("step.buckets", buckets, 1..=MAX_BUCKETS)?)
        }
        HistogramStepInput::Interval(interval) => HistogramStep::Length(interval.into()),
    };
    let keys = within("keys", keys, 1..=MAX_HISTOGRAM_KEYS)?;
    let knows_zone = async || events.view().knows_time_zone(&time_zone).await.map_err(|error| from_store(&error));
    if time_zone.contains('\0') || !knows_zone().await? {
        return Err(bad_input(format!(
            "`timeZone` is {time_zone:?}, which is no time zone; expected a name such as UTC or Europe/Berlin"
        )));
    }
    let request = HistogramRequest { step, by: by.map(Into::into), keys, time_zone };
    let counted = events.histogram(&request, through).await.map_err(|error| from_store(&error))?;
    counted.ok_or_else(|| {
        let advice = "take a longer one or a shorter `filter.published`";
        bad_input(format!("`step` would make more than {MAX_BUCKETS} buckets: {advice}"))
    })
}

/// Reads a page of the most frequent keys of events through a position.
pub(super) async fn top(events: &MatchingEvents, arguments: TopArguments, through: Position) -> Result<TallyPage> {
    let TopArguments { by, search, known, first, after, counts_keys } = arguments;
    let after = after.map(|text| {
        let malformed = || bad_input(format!("`after` is {text:?}, which is no cursor of this list"));
        decode_tally_cursor(&text).ok_or_else(malformed)
    });
    let request = TopRequest {
        by: by.into(),
        search: search.filter(|text| !text.trim().is_empty()),
        with_known: known,
        first: within("first", first, 0..=MAX_PAGE_SIZE)?,
        after: after.transpose()?,
        with_total: counts_keys,
    };
    // The log has no text with U+0000.
    if request.search.as_ref().is_some_and(|text| text.contains('\0')) {
        return Ok(TallyPage { total: Some(0), ..TallyPage::default() });
    }
    events.top(&request, through).await.map_err(|error| from_store(&error))
}

impl From<Histogram> for HistogramNode {
    fn from(histogram: Histogram) -> Self {
        let edges = histogram.edges.iter().zip(histogram.edges.iter().skip(1));
        let bucket = |((from, until), count): ((&Timestamp, &Timestamp), i64)| HistogramBucket {
            from: DateTime(*from),
            until: DateTime(*until),
            count: saturated(count),
        };
        Self {
            buckets: PrintedList(edges.zip(histogram.counts).map(bucket).collect()),
            series: PrintedList(histogram.series.into_iter().map(HistogramSeriesNode::from).collect()),
        }
    }
}

impl From<HistogramSeries> for HistogramSeriesNode {
    fn from(series: HistogramSeries) -> Self {
        let HistogramSeries { key, label, is_other, counts } = series;
        let count = saturated(counts.iter().sum());
        Self { key, label, is_other, count, counts: counts.into_iter().map(saturated).collect() }
    }
}

impl TallyConnection {
    /// The connection of a page; `is_continued` if it comes after a cursor.
    pub(super) fn new(page: TallyPage, is_continued: bool) -> Self {
        let TallyPage { tallies, has_next, total } = page;
        let edge = |tally: &Tally| TallyEdge { cursor: encode_tally_cursor(tally), node: tally.clone().into() };
        let edges: Vec<_> = tallies.iter().map(edge).collect();
        let page_info = PageInfo::of_cursors(
            has_next,
            is_continued,
            edges.first().map(|edge| edge.cursor.clone()),
            edges.last().map(|edge| edge.cursor.clone()),
        );
        let nodes = PrintedList(edges.iter().map(|edge| edge.node.clone()).collect());
        let edges = PrintedList(edges);
        Self { edges, nodes, page_info, total_count: Count::new(total.unwrap_or_default(), true) }
    }
}

impl From<Tally> for TallyNode {
    fn from(tally: Tally) -> Self {
        let Tally { key, label, count, last_event_at } = tally;
        Self { key, label, count: saturated(count), last_event_at: last_event_at.map(DateTime) }
    }
}

#[cfg(test)]
mod tests;
