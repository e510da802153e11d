//! The check that a statement has read all monthly partitions.
//!
//! PostgreSQL plans a statement before it takes the snapshot that the statement reads. A partition that is attached in
//! between is missing from the plan, although the snapshot has its events and a log's end that counts them. So each
//! statement over partitions also returns the number of the last change of partitions. If this number differs from the
//! cached one, the cache is read again and the statement is repeated.

use std::sync::Arc;

use super::months::{Months, Partition};
use super::{Store, StoreError};

impl Store {
    /// Returns the known months. The first call reads them, since a statement without their bounds locks every month.
    pub(super) async fn months(&self) -> Result<Arc<Months>, StoreError> {
        let known = self.months.get();
        if known.number != Months::default().number {
            return Ok(known);
        }
        self.read_months().await?;
        Ok(self.months.get())
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
        self.months.keep(Months { number, months });
        Ok(())
    }
}
