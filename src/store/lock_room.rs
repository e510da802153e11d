//! Whether the database server has room for the locks that a log of many months needs.

use super::windows::{LOCKS_AT_ONCE, RELATIONS_OF_MONTH};
use super::{Store, StoreError};

/// A server that has too little room for locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockShortage {
    /// How many months the log has.
    pub months: u32,
    /// `max_locks_per_transaction` as it is.
    pub setting: u32,
    /// What it should be at least.
    pub needed: u32,
}

impl LockShortage {
    /// The shortage of a server that has room for `setting` locks for each of `connections`, where there is one.
    fn of(months: u32, queries: u32, setting: u32, connections: u32) -> Option<Self> {
        // A change of the schema, and an import into all months at once, lock every table and index of every month. Queries
        // go on meanwhile. Locks of several connections on the same table share one place and PostgreSQL has room for two
        // holders of each, so queries count half.
        let locks = months.saturating_mul(RELATIONS_OF_MONTH).saturating_add(queries.saturating_mul(LOCKS_AT_ONCE) / 2);
        let needed = locks.div_ceil(connections.max(1));
        (needed > setting).then(|| Self { months, setting, needed: needed.next_multiple_of(64) })
    }
}

impl Store {
    /// Whether the server has too little room for the locks of the log's months and of the queries at one gateway.
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
    fn a_shortage_is_told_before_locks_run_out() {
        let shortage = |months, setting| LockShortage::of(months, 16, setting, 100);
        assert_eq!((shortage(24, 64), shortage(240, 64)), (None, None), "twenty years fit into PostgreSQL as it comes");
        assert_eq!(shortage(24, 10), Some(LockShortage { months: 24, setting: 10, needed: 64 }));
        assert_eq!(shortage(480, 64), Some(LockShortage { months: 480, setting: 64, needed: 128 }));
        assert_eq!(shortage(480, 128), None);
    }
}
