//! The cache of the monthly partitions, and the check that a statement has read all of them.
//!
//! PostgreSQL plans a statement before it takes the snapshot that the statement reads. A partition that is attached in
//! between is missing from the plan, although the snapshot has its events and a log's end that counts them. So each
//! statement over partitions also returns the number of the last change of partitions. If this number differs from the
//! cached one, the cache is read again and the statement is repeated.

use std::sync::Arc;

use parking_lot::RwLock;
use time::{Date, Month, OffsetDateTime, Time};

use super::{Store, StoreError};
use crate::event::Timestamp;

/// A cache of the months that have partitions. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Partitions(Arc<RwLock<Arc<Months>>>);

/// The months that have partitions, the oldest first.
#[derive(Debug)]
pub(super) struct Months {
    /// Number of the last change of partitions.
    number: i64,
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

impl Partitions {
    /// Empties the cache, for example when another log has replaced this one.
    pub(super) fn forget(&self) {
        *self.0.write() = Arc::default();
    }
}

impl Store {
    /// Returns the known months. The first call reads them, since a statement without their bounds locks every month.
    pub(super) async fn months(&self) -> Result<Arc<Months>, StoreError> {
        let known = self.known_months();
        if known.number != Months::default().number {
            return Ok(known);
        }
        self.read_months().await?;
        Ok(self.known_months())
    }

    fn known_months(&self) -> Arc<Months> {
        Arc::clone(&self.partitions.0.read())
    }

    /// Returns true if a statement that was built for these months, and that returned this number of the last change, has
    /// read every partition of its snapshot. Otherwise reads the months again, and the caller must repeat the statement.
    pub(super) async fn saw_all(&self, months: &Months, number: i64) -> Result<bool, StoreError> {
        if months.number == number {
            return Ok(true);
        }
        self.read_months().await?;
        Ok(false)
    }

    async fn read_months(&self) -> Result<(), StoreError> {
        let (number, tables): (i64, Vec<String>) = sqlx::query_as(
            "SELECT number, ARRAY(SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
             WHERE i.inhparent = 'sync_event'::regclass) FROM partition_change",
        )
        .fetch_one(&self.reads)
        .await?;
        let mut months: Vec<_> = tables.into_iter().filter_map(Partition::named).collect();
        months.sort_unstable();
        *self.partitions.0.write() = Arc::new(Months { number, months });
        Ok(())
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
        assert_eq!(named("sync_event_raw"), None);
    }
}
