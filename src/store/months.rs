//! The months of the log that have partitions, and a cache of them.

use std::sync::Arc;

use parking_lot::RwLock;
use time::{Date, Month, OffsetDateTime, Time};

use crate::event::Timestamp;

/// A cache of the months that have partitions. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownMonths(Arc<RwLock<Arc<Months>>>);

/// The months that have partitions, the oldest first.
#[derive(Debug)]
pub(super) struct Months {
    /// Number of the last change of partitions.
    pub(super) number: i64,
    pub(super) months: Vec<Partition>,
}

impl Default for Months {
    fn default() -> Self {
        // No change has this number, so the first statement finds the cache outdated.
        Self { number: -1, months: Vec::new() }
    }
}

/// A month that has a partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Partition {
    /// The first moment of the month.
    pub(super) start: OffsetDateTime,
    /// The first moment after the month.
    pub(super) end: OffsetDateTime,
    /// The table with the month's events.
    pub(super) table: String,
}

impl Partition {
    /// Returns the month of a table's name, such as `sync_event_2026_01`; None for other names.
    pub(super) fn named(table: String) -> Option<Self> {
        let (year, month) = table.strip_prefix("sync_event_")?.split_once('_')?;
        let month = Month::try_from(month.parse::<u8>().ok()?).ok()?;
        let year = year.parse().ok()?;
        let next_year = if month == Month::December { year + 1 } else { year };
        let start =
            |year, month| Some(Date::from_calendar_date(year, month, 1).ok()?.with_time(Time::MIDNIGHT).assume_utc());
        Some(Self { start: start(year, month)?, end: start(next_year, month.next())?, table })
    }
}

impl Months {
    /// Returns the months that overlap the time between two moments, both inclusive. None is no bound.
    pub(super) fn between(&self, from: Option<Timestamp>, through: Option<Timestamp>) -> &[Partition] {
        let first = from.map_or(0, |from| self.months.partition_point(|month| month.end <= from.date_time()));
        let after_last = through.map_or(self.months.len(), |through| {
            self.months.partition_point(|month| month.start <= through.date_time())
        });
        self.months.get(first..after_last).unwrap_or_default()
    }
}

impl KnownMonths {
    /// Returns the months in the cache.
    pub(super) fn get(&self) -> Arc<Months> {
        Arc::clone(&self.0.read())
    }

    /// Stores months in the cache.
    pub(super) fn keep(&self, months: Months) {
        *self.0.write() = Arc::new(months);
    }

    /// Empties the cache, for example when another log has replaced this one.
    pub(super) fn forget(&self) {
        *self.0.write() = Arc::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_found_by_their_moments() {
        let named = |name: &str| Partition::named(name.to_owned());
        let tables = ["sync_event_2025_11", "sync_event_2025_12", "sync_event_2026_02"];
        let months = Months { number: 0, months: tables.into_iter().filter_map(named).collect() };
        let found = |from: &str, through: &str| {
            let found = months.between(Timestamp::parse(from), Timestamp::parse(through));
            found.iter().map(|month| &month.table["sync_event_".len()..]).collect::<Vec<_>>()
        };
        assert_eq!(found("", ""), ["2025_11", "2025_12", "2026_02"]);
        assert_eq!(found("2025-12-01T00:00:00Z", ""), ["2025_12", "2026_02"]);
        assert_eq!(found("", "2025-12-01T00:00:00Z"), ["2025_11", "2025_12"]);
        assert_eq!(found("2026-01-01T00:00:00Z", "2026-01-31T00:00:00Z"), Vec::<&str>::new());
        assert_eq!(found("2026-03-01T00:00:00Z", "2020-01-01T00:00:00Z"), Vec::<&str>::new());
        assert_eq!(named("sync_event_pkey"), None);
    }
}
