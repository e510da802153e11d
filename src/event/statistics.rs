//! Counts of events by dimension and time.

use super::{IngestSource, Timestamp};

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

/// The maximum number of keys of a histogram, without the series of all others.
pub const MAX_HISTOGRAM_KEYS: usize = 50;

/// The maximum number of buckets in a response.
pub const MAX_BUCKETS: usize = 10_000;

/// A histogram to be computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistogramRequest {
    /// The length of the buckets.
    pub step: HistogramStep,
    /// The dimension of the series; None for no series.
    pub by: Option<Dimension>,
    /// The maximum number of keys that have a series of their own.
    pub keys: usize,
    /// The name of the time zone in which buckets begin at round times.
    pub time_zone: String,
}

/// The length of the buckets of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistogramStep {
    /// The shortest round length of which about this number covers the range.
    Buckets(usize),
    /// A given length.
    Length(BucketLength),
}

/// A length of time that is round on a clock or in a calendar. Weeks start on Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum BucketLength {
    Seconds(u8),
    Minutes(u8),
    Hours(u8),
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

impl BucketLength {
    /// The round lengths, from the shortest to the longest.
    pub const ROUND: [Self; 19] = [
        Self::Seconds(1),
        Self::Seconds(5),
        Self::Seconds(10),
        Self::Seconds(15),
        Self::Seconds(30),
        Self::Minutes(1),
        Self::Minutes(5),
        Self::Minutes(10),
        Self::Minutes(15),
        Self::Minutes(30),
        Self::Hours(1),
        Self::Hours(3),
        Self::Hours(6),
        Self::Hours(12),
        Self::Day,
        Self::Week,
        Self::Month,
        Self::Quarter,
        Self::Year,
    ];

    /// Returns the average length in milliseconds.
    pub const fn millis(self) -> i64 {
        1000 * match self {
            Self::Seconds(count) => count as i64,
            Self::Minutes(count) => 60 * count as i64,
            Self::Hours(count) => 3_600 * count as i64,
            Self::Day => 86_400,
            Self::Week => 604_800,
            Self::Month => 2_629_746,
            Self::Quarter => 7_889_238,
            Self::Year => 31_556_952,
        }
    }

    /// Returns the shortest round length of which at most this number cover a span of milliseconds; a year, if none does.
    pub fn covering(span: i64, buckets: usize) -> Self {
        let buckets = i64::try_from(buckets).unwrap_or(i64::MAX);
        let covers = |length: &Self| length.millis().saturating_mul(buckets) >= span;
        Self::ROUND.into_iter().find(covers).unwrap_or(Self::Year)
    }
}

/// Counts of events in buckets of time that follow each other without a gap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// The start of each bucket, and the end of the last one.
    pub edges: Vec<Timestamp>,
    /// The number of events in each bucket.
    pub counts: Vec<i64>,
    /// The most frequent keys, the most frequent first, and then all other keys together, if there are others.
    pub series: Vec<HistogramSeries>,
}

/// The counts of one key, or of all other keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistogramSeries {
    /// The key; None for events that lack the value, and for all other keys.
    pub key: Option<String>,
    /// The display name of the key.
    pub label: Option<String>,
    /// True for the counts of all other keys.
    pub is_other: bool,
    /// The number of events in each bucket.
    pub counts: Vec<i64>,
}

/// A request for the most frequent keys of a dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopRequest {
    /// The dimension.
    pub by: Dimension,
    /// A text that the key or its display name must contain, without regard to case.
    pub search: Option<String>,
    /// True to add keys that are known and have no events.
    pub with_known: bool,
    /// The maximum number of keys.
    pub first: usize,
    /// The tally after which the keys begin.
    pub after: Option<TallyCursor>,
    /// True to count the keys.
    pub with_total: bool,
}

/// A place in a list of tallies, which is ordered by count and key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TallyCursor {
    /// The number of events.
    pub count: i64,
    /// The key.
    pub key: Option<String>,
}

/// A page of the most frequent keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TallyPage {
    /// The tallies, the most frequent key first; equally frequent ones by key, with None last.
    pub tallies: Vec<Tally>,
    /// True if there are more keys.
    pub has_next: bool,
    /// The number of keys, if it was asked for.
    pub total: Option<i64>,
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
    /// The time of the newest of these events; None if there are none.
    pub last_event_at: Option<Timestamp>,
}

/// Returns the name of a source in the graph.
pub fn source_name(source: IngestSource) -> String {
    source.name().to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_round_length_that_covers_the_span_is_chosen() {
        let day = 86_400_000;
        for (span, buckets, length) in [
            (1, 120, BucketLength::Seconds(1)),
            (day, 120, BucketLength::Minutes(15)),
            (day, 96, BucketLength::Minutes(15)),
            (day, 95, BucketLength::Minutes(30)),
            (30 * day, 120, BucketLength::Hours(6) /* 120 of them */),
            (30 * day, 119, BucketLength::Hours(12)),
            (90 * day, 120, BucketLength::Day),
            (3_650 * day, 10, BucketLength::Year),
            (3_650 * day, 1, BucketLength::Year),
        ] {
            assert_eq!(BucketLength::covering(span, buckets), length, "{span} ms in {buckets}");
        }
    }

    #[test]
    fn each_round_length_is_longer_than_the_one_before() {
        assert!(BucketLength::ROUND.windows(2).all(|pair| pair[0].millis() < pair[1].millis()));
    }
}
