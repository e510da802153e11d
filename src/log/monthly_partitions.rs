//! Monthly partitions, created before events need them.

use std::collections::HashSet;

use parking_lot::Mutex;
use time::{Date, Duration};

use crate::event::Timestamp;
use crate::store::{Store, StoreError};

/// The months whose partitions are known to exist.
#[derive(Debug)]
pub(super) struct MonthlyPartitions {
    store: Store,
    known: Mutex<HashSet<Date>>,
}

impl MonthlyPartitions {
    pub(super) fn new(store: Store) -> Self {
        Self { store, known: Mutex::default() }
    }

    /// Creates the partitions of this month and the next one.
    pub(super) async fn make_ahead(&self) -> Result<(), StoreError> {
        let now = Timestamp::now();
        self.make([now, now.plus(Duration::days(31))].into_iter()).await
    }

    /// Creates the partitions for events of these times. This happens outside the append's transaction, so that other
    /// appends do not wait for it.
    pub(super) async fn make(&self, times: impl Iterator<Item = Timestamp>) -> Result<(), StoreError> {
        let missing: HashSet<Date> = {
            let known = self.known.lock();
            times.map(month).filter(|month| !known.contains(month)).collect()
        };
        for month in missing {
            self.store.add_month(month).await?;
            self.known.lock().insert(month);
        }
        Ok(())
    }

    /// Clears the known months, for example after a partition was dropped.
    pub(super) fn forget(&self) {
        self.known.lock().clear();
    }
}

fn month(time: Timestamp) -> Date {
    let date = time.date_time().date();
    date.replace_day(1).unwrap_or(date)
}
