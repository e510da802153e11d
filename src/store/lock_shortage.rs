//! The check that PostgreSQL's lock table is large enough for a log of many months.

use super::windows::{LOCKS_AT_ONCE, RELATIONS_OF_MONTH};
use super::{Store, StoreError};

/// A shortage of locks: the lock table of the database server is too small for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockShortage {
    /// Number of months in the log.
    pub months: u32,
    /// The server's `max_locks_per_transaction`.
    pub setting: u32,
    /// The least setting that suffices, rounded up to a multiple of 64.
    pub needed: u32,
}

impl LockShortage {
    /// Returns the shortage of a server with space for `setting` locks for each of `connections`; None if there is
    /// enough space.
    fn of(months: u32, queries: u32, setting: u32, connections: u32) -> Option<Self> {
        // A schema change, or an import into all months at once, locks every table and index of every month, while
        // queries continue. Connections that lock the same table share one entry of the lock table, and PostgreSQL has
        // space for two holders of each entry, so queries count half.
        let locks = months.saturating_mul(RELATIONS_OF_MONTH).saturating_add(queries.saturating_mul(LOCKS_AT_ONCE) / 2);
        let needed = locks.div_ceil(connections.max(1));
        (needed > setting).then(|| Self { months, setting, needed: needed.next_multiple_of(64) })
    }
}

impl Store {
    /// Returns the shortage if the server has too few locks for all months of the log and the queries of one gateway.
    ///
    /// # Errors
    /// The database's.
    pub async fn lock_shortage(&self, read_connections: u32) -> Result<Option<LockShortage>, StoreError> {
        let months = u32::try_from(self.months().await?.months.len()).unwrap_or(u32::MAX);
        let (setting, connections): (i32, i32) = sqlx::query_as(
            "SELECT current_setting('max_locks_per_transaction')::integer, \
             current_setting('max_connections')::integer + current_setting('max_prepared_transactions')::integer",
        )
        .fetch_one(&self.reads)
        .await?;
        let [setting, connections] = [setting, connections].map(|setting| u32::try_from(setting).unwrap_or_default());
        Ok(LockShortage::of(months, read_connections, setting, connections))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_is_reported_before_locks_run_out() {
        let shortage = |months, setting| LockShortage::of(months, 16, setting, 100);
        assert_eq!(
            (shortage(24, 64), shortage(180, 64)),
            (None, None),
            "fifteen years fit into PostgreSQL as it comes"
        );
        assert_eq!(shortage(24, 10), Some(LockShortage { months: 24, setting: 10, needed: 64 }));
        assert_eq!(shortage(480, 64), Some(LockShortage { months: 480, setting: 64, needed: 128 }));
        assert_eq!(shortage(480, 128), None);
    }
}
