//! Histograms: counts of events in buckets of time.
//!
//! A first statement computes where the buckets begin, since PostgreSQL knows the time zones. The most frequent keys follow,
//! if there are series, and then the counts of all buckets: `width_bucket` finds an event's bucket by binary search.

use sqlx::{Postgres, QueryBuilder};
use time::OffsetDateTime;

use super::dimension::{graph_key, key};
use super::top::KeyCount;
use super::windows::MonthWindow;
use super::{Store, StoreError, filter};
use crate::event::{
    BucketLength, Cursor, Dimension, Direction, EventColumns, EventFields as _, EventOrder, EventOrderField, Histogram,
    HistogramRequest, HistogramSeries, HistogramStep, MAX_BUCKETS, MAX_PAGE_SIZE, Narrowed, PageBounds, PageRequest,
    Position, TimeRange, Timestamp, TopRequest,
};

/// A range of time, both of whose moments are in it.
type Span = (Timestamp, Timestamp);

/// The earliest and the latest moment that a histogram reaches. The edges of their buckets are still in the calendar of
/// RFC 3339.
const CALENDAR: [&str; 2] = ["0002-01-01T00:00:00Z", "9998-01-01T00:00:00Z"];

/// The number of a bucket from 1 on, the number of a key from 1 on (0 for all others), and the number of events.
type CountRow = (i32, i32, i64);

impl Store {
    /// Counts events through a position in buckets of time, and by the keys of a dimension. The buckets cover the filter's
    /// range; where that is open, they begin with the first matching event, or end with the last one. Returns None if there
    /// would be more than [`MAX_BUCKETS`].
    ///
    /// # Errors
    /// The database's; [`StoreError::Data`] for an unknown time zone.
    pub async fn histogram(
        &self,
        wanted: &Narrowed,
        request: &HistogramRequest,
        through: Position,
    ) -> Result<Option<Histogram>, StoreError> {
        let Some((first, last)) = self.span(wanted, through).await? else { return Ok(Some(Histogram::default())) };
        let millis = last.millis() - first.millis() + 1;
        let length = match request.step {
            HistogramStep::Buckets(buckets) => BucketLength::covering(millis, buckets),
            HistogramStep::Length(length) => length,
        };
        let most = i64::try_from(MAX_BUCKETS).unwrap_or(i64::MAX);
        if millis / length.millis() > most {
            return Ok(None);
        }
        let edges = self.edges((first, last), length, &request.time_zone).await?;
        if edges.len() > MAX_BUCKETS + 1 {
            return Ok(None);
        }
        let windows = self.windows_through(wanted.published, through).await?;
        let keys = match request.by {
            Some(by) => {
                let top = TopRequest {
                    by,
                    search: None,
                    with_known: false,
                    first: request.keys,
                    after: None,
                    with_total: false,
                };
                self.most_frequent(wanted, &top, &windows).await?.0
            }
            None => Vec::new(),
        };
        let has_others = keys.len() > request.keys;
        let keys: Vec<_> = keys.into_iter().take(request.keys).collect();
        let mut counting = HistogramCounts::new(&edges, keys, has_others);
        let is_one = windows.len() == 1;
        for window in &windows {
            let mut query = counting.query(wanted, request.by, &edges, window);
            let query = query.build_query_as().persistent(is_one);
            let rows: Vec<CountRow> = query.fetch_all(&self.reads.planned_for_values()).await?;
            for row in rows {
                counting.add(row);
            }
        }
        Ok(Some(counting.into_histogram(request.by, &edges)))
    }

    /// Returns true if the database knows a time zone by this name.
    ///
    /// # Errors
    /// The database's.
    pub async fn knows_time_zone(&self, name: &str) -> Result<bool, StoreError> {
        let known = self.time_zones.get_or_try_init(|| async {
            let names: Vec<String> =
                sqlx::query_scalar("SELECT lower(name) FROM pg_timezone_names").fetch_all(&self.reads).await?;
            Ok::<_, StoreError>(names.into_iter().collect())
        });
        Ok(known.await?.contains(&name.to_lowercase()))
    }

    /// Returns the range of time of a filter; None if it is empty, or if it is open and no event matches.
    async fn span(&self, wanted: &Narrowed, through: Position) -> Result<Option<Span>, StoreError> {
        let TimeRange { from, until } = wanted.published_range();
        let first = match from {
            Some(from) => Some(from),
            None => self.outermost(wanted, false, through).await?,
        };
        let last = match until {
            Some(until) => Timestamp::from_millis(until.millis().saturating_sub(1)),
            None => self.outermost(wanted, true, through).await?,
        };
        let [earliest, latest] = CALENDAR.map(Timestamp::parse);
        let span = first.max(earliest).zip(last.map(|last| latest.map_or(last, |latest| last.min(latest))));
        Ok(span.filter(|(first, last)| first <= last))
    }

    /// Returns the time of the first or the last event through a position that matches. It is the end of a page, which an
    /// index finds; events after the position are few, since it was the log's end a moment ago.
    async fn outermost(
        &self,
        wanted: &Narrowed,
        is_descending: bool,
        through: Position,
    ) -> Result<Option<Timestamp>, StoreError> {
        let order = EventOrder { field: EventOrderField::Published, is_descending };
        let bounds = PageBounds { after: None, before: None };
        let mut request = PageRequest { direction: Direction::Forward, size: 1, bounds };
        loop {
            let page = self.page(wanted, order, &request, EventColumns::KEYS).await?.page;
            if let Some(event) = page.items.iter().find(|event| event.position() <= through) {
                return Ok(Some(event.published()));
            }
            let Some(event) = page.items.last().filter(|_| page.has_next) else { return Ok(None) };
            request.bounds.after = Some(Cursor { published: event.published(), position: event.position() });
            request.size = MAX_PAGE_SIZE;
        }
    }

    /// Returns the starts of the buckets that cover a range, and the end of the last one.
    async fn edges(
        &self,
        (first, last): Span,
        length: BucketLength,
        time_zone: &str,
    ) -> Result<Vec<OffsetDateTime>, StoreError> {
        let (origin, step) = ("timestamp '2001-01-01'", interval(length));
        let local = match length {
            // Months have several lengths.
            BucketLength::Month => "date_trunc('month', l.first)".to_owned(),
            BucketLength::Quarter => "date_trunc('quarter', l.first)".to_owned(),
            BucketLength::Year => "date_trunc('year', l.first)".to_owned(),
            // The origin is a Monday's midnight.
            _ => format!("date_bin('{step}', l.first, {origin})"),
        };
        let edges = if length.millis() <= BucketLength::Hours(1).millis() {
            // Hours and less follow each other without regard to the clock, which daylight saving time sets back.
            format!("generate_series($1 - (l.first - {local}), $2 + interval '{step}', '{step}') AS t")
        } else {
            format!(
                "generate_series({local}, l.last + interval '{step}', '{step}') AS s CROSS JOIN LATERAL \
                 (SELECT s AT TIME ZONE $3) z (t)"
            )
        };
        let statement = format!(
            "SELECT DISTINCT t FROM (SELECT $1 AT TIME ZONE $3 AS first, $2 AT TIME ZONE $3 AS last) l CROSS JOIN LATERAL \
             {edges} ORDER BY t"
        );
        let query = sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).bind(first.date_time()).bind(last.date_time());
        Ok(query.bind(time_zone).fetch_all(&self.reads).await?)
    }
}

/// The interval of a length in SQL.
fn interval(length: BucketLength) -> String {
    match length {
        BucketLength::Seconds(count) => format!("{count} seconds"),
        BucketLength::Minutes(count) => format!("{count} minutes"),
        BucketLength::Hours(count) => format!("{count} hours"),
        BucketLength::Day => "1 day".to_owned(),
        BucketLength::Week => "7 days".to_owned(),
        BucketLength::Month => "1 month".to_owned(),
        BucketLength::Quarter => "3 months".to_owned(),
        BucketLength::Year => "1 year".to_owned(),
    }
}

/// The counts of a histogram while they are added up.
struct HistogramCounts {
    keys: Vec<KeyCount>,
    has_others: bool,
    /// The counts of all events.
    counts: Vec<i64>,
    /// The counts of all other keys, and then those of each key.
    of_keys: Vec<Vec<i64>>,
}

impl HistogramCounts {
    fn new(edges: &[OffsetDateTime], keys: Vec<KeyCount>, has_others: bool) -> Self {
        let counts = vec![0; edges.len().saturating_sub(1)];
        Self { of_keys: vec![counts.clone(); keys.len() + 1], keys, has_others, counts }
    }

    fn query(
        &self,
        wanted: &Narrowed,
        by: Option<Dimension>,
        edges: &[OffsetDateTime],
        window: &MonthWindow,
    ) -> QueryBuilder<Postgres> {
        let mut query = QueryBuilder::new("SELECT width_bucket(e.published, ");
        query.push_bind(edges.to_vec()).push("::timestamptz[]) AS bucket, ");
        match by {
            Some(by) => {
                let keys: Vec<_> = self.keys.iter().map(|found| found.key.clone()).collect();
                query.push("coalesce(array_position(").push_bind(keys).push("::text[], ").push(key(by)).push("), 0)");
            }
            None => drop(query.push("0")),
        }
        query.push(" AS key, count(*) FROM sync_event e WHERE true");
        filter::push(&mut query, wanted);
        window.push(&mut query, "e");
        query.push(" GROUP BY 1, 2");
        query
    }

    fn add(&mut self, (bucket, key, count): CountRow) {
        let place = |number: i32| usize::try_from(number).ok();
        let Some(bucket) = place(bucket).and_then(|bucket| bucket.checked_sub(1)) else { return };
        let of_key = place(key).and_then(|key| self.of_keys.get_mut(key));
        for counts in [Some(&mut self.counts), of_key].into_iter().flatten() {
            if let Some(known) = counts.get_mut(bucket) {
                *known += count;
            }
        }
    }

    fn into_histogram(self, by: Option<Dimension>, edges: &[OffsetDateTime]) -> Histogram {
        let mut of_keys = self.of_keys.into_iter();
        let others = of_keys.next().filter(|_| self.has_others);
        let series = by.map(|by| {
            let own = self.keys.into_iter().zip(of_keys).map(|(found, counts)| HistogramSeries {
                key: graph_key(by, found.key),
                label: found.label,
                is_other: false,
                counts,
            });
            let others = others.map(|counts| HistogramSeries { key: None, label: None, is_other: true, counts });
            own.chain(others).collect()
        });
        Histogram {
            edges: edges.iter().map(|edge| Timestamp::from(*edge)).collect(),
            counts: self.counts,
            series: series.unwrap_or_default(),
        }
    }
}
