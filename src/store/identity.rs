//! Which log this is, told apart from every other one: for what gateways tell each other outside of the database.

use secrecy::SecretSlice;

use super::{Store, StoreError};
use crate::event::Position;

/// Which log a gateway writes to, as the server says to which it is connected now.
#[derive(Clone, Debug)]
pub struct LogIdentity {
    /// The cluster's system identifier, its time line, and the database's number in it. Differs between a server that
    /// failed and the one that took over.
    pub database: String,
    /// The start of the era in which the log ends.
    pub era: Position,
    /// With what gateways on this log sign what they tell each other; kept in the database only.
    pub key: SecretSlice<u8>,
}

impl LogIdentity {
    /// Whether it is still the same log, in the same era.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.database, self.era) == (&other.database, other.era)
    }
}

impl Store {
    /// Which log this is.
    ///
    /// # Errors
    /// The database's.
    pub async fn identity(&self) -> Result<LogIdentity, StoreError> {
        let (database, era, key): (String, i64, Vec<u8>) = sqlx::query_as(
            "SELECT concat_ws('-', c.system_identifier, left(pg_walfile_name(pg_current_wal_insert_lsn()), 8), d.oid), \
             (SELECT era FROM log_head), k.key \
             FROM pg_control_system() c, tail_key k, pg_database d WHERE d.datname = current_database()",
        )
        .fetch_one(&self.writes)
        .await?;
        Ok(LogIdentity { database, era: Position::in_era(era, 0), key: key.into() })
    }
}
